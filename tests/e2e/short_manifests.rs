//! Manifests that leave out what has a default, and what the API shows otherwise than they say: what the spec leaves out
//! is not managed, and what the API only says in another way is no drift.

use crate::env::TenantEnv;
use iam_simulator::types::{CallFilter, Flavor, Human, Operation};
use serde_json::{Map, Value, json};

const ROTATE: &str = "oauth-apps.dev/rotate-requested-at";

/// A running operator that looks for drift all the time, and an app whose spec is one line and `more`.
async fn one_line(namespace: &str, flavor: Flavor, more: Value) -> (TenantEnv, String) {
    let env = TenantEnv::running(namespace, flavor).await;
    let mut spec = json!({"displayName": null, "description": null, "grantTypes": null, "allowedScopes": null});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    env.create("billing", spec).await;
    env.until_ready("billing").await;
    let (id, _) = env.credential("billing").await.unwrap();
    (env, id)
}

async fn bodies(env: &TenantEnv, operation: Operation) -> Vec<Map<String, Value>> {
    let calls = env.control.calls(&CallFilter::operation(operation)).await.unwrap();
    calls.into_iter().map(|call| call.body.as_object().unwrap().clone()).collect()
}

/// Changes the app past the operator, and waits until the operator has read it.
async fn edit(env: &TenantEnv, id: &str, fields: Value) {
    let fields = fields.as_object().unwrap().clone();
    env.control.human(Human::Edit { flavor: env.flavor, id: id.to_owned(), fields }).await.unwrap();
    let operation = match env.flavor {
        Flavor::Csp => Operation::ListApps,
        Flavor::Cpn | Flavor::Broker => Operation::GetApp,
    };
    let before = env.calls(operation).await;
    env.until("it was read again", async || env.calls(operation).await >= before + 2).await;
}

#[tokio::test]
async fn a_manifest_of_one_line_is_enough_and_stays_as_it_is() {
    for (namespace, flavor) in [("one-line-csp", Flavor::Csp), ("one-line-cpn", Flavor::Cpn)] {
        let (env, id) = one_line(namespace, flavor, json!({})).await;
        env.assert_credential_works("billing").await;
        let mut sent = json!({
            "id": id, "displayName": "billing", "description": format!("{namespace}/billing"), "allowedScopes": {},
        });
        if flavor == Flavor::Csp {
            sent["grantTypes"] = json!(["client_credentials"]);
        }
        assert_eq!(bodies(&env, Operation::CreateApp).await, [sent.as_object().unwrap().clone()]);
        edit(&env, &id, json!({})).await;
        assert_eq!(env.calls(Operation::UpdateApp).await, 0);
        let spec = env.app("billing").await.spec;
        assert_eq!((spec.display_name, spec.description, spec.grant_types, spec.allowed_scopes), Default::default());
    }
}

#[tokio::test]
async fn omitted_fields_keep_the_value_of_the_api() {
    for (namespace, flavor) in [("unmanaged-csp", Flavor::Csp), ("unmanaged-cpn", Flavor::Cpn)] {
        let (env, id) = one_line(namespace, flavor, json!({})).await;
        let by_hand =
            json!({"displayName": "By hand", "description": "Mine", "allowedScopes": {"generalScopes": ["openid"]}});
        edit(&env, &id, by_hand.clone()).await;
        assert_eq!(env.calls(Operation::UpdateApp).await, 0);
        env.change("billing", json!({"accessTokenTTL": 900})).await;
        let changed = async || env.remote_app(&id).await.unwrap().fields["accessTokenTTL"] == 900;
        env.until("the API has the change", changed).await;
        env.until_ready("billing").await;
        let fields = env.remote_app(&id).await.unwrap().fields;
        for (name, value) in by_hand.as_object().unwrap() {
            assert_eq!(fields[name], *value, "{name}");
        }
        assert_eq!(env.calls(Operation::UpdateApp).await, 1);
    }
}

#[tokio::test]
async fn equivalent_response_is_no_drift_and_a_wider_scope_is() {
    let scopes = json!({"organizationScopes": {"roles": [{"name": "org_member"}]}});
    let spec = json!({"description": "", "allowedOrgs": ["org-a", "org-b"], "allowedScopes": scopes});
    let (env, id) = one_line("own-way", Flavor::Csp, spec).await;
    let role = json!({"name": "org_member", "resource": null, "displayName": "Member"});
    let defaults = json!({"allRoles": false, "allPermissions": false, "keptInToken": ["ROLES"], "permissions": []});
    let mut shown = json!({"organizationScopes": defaults, "generalScopes": [], "servicesScopes": []});
    shown["organizationScopes"]["roles"] = json!([role]);
    edit(&env, &id, json!({"description": null, "allowedOrgs": ["org-b"], "allowedScopes": shown})).await;
    assert_eq!(env.calls(Operation::UpdateApp).await, 0);
    edit(&env, &id, json!({"allowedScopes": {"organizationScopes": {"allRoles": true}}})).await;
    let corrected = async || env.remote_app(&id).await.unwrap().fields["allowedScopes"] == scopes;
    env.until("the scopes are those of the spec", corrected).await;
    assert_eq!(env.calls(Operation::UpdateApp).await, 1);
}

#[tokio::test]
async fn the_later_fields_of_cloud_services_are_created_updated_and_corrected() {
    let in_create = json!({
        "additionalAttributeMasks": ["mask"], "allowedActorsAudienceExchange": ["actor-1"],
        "allowedActorsClientDelegate": ["actor-2"], "crossOrgAccessClaimsSupported": true, "isHidden": true,
    });
    let in_update = json!({"groupDomainAppendedInIDToken": true, "useCspIssuerUrl": false});
    let mut all = in_create.clone();
    all.as_object_mut().unwrap().extend(in_update.as_object().unwrap().clone());
    let (env, id) = one_line("later-fields", Flavor::Csp, all.clone()).await;
    let sent = [bodies(&env, Operation::CreateApp).await, bodies(&env, Operation::UpdateApp).await];
    for (bodies, fields) in sent.iter().zip([&in_create, &in_update]) {
        assert_eq!(bodies.len(), 1);
        let later: Map<_, _> = bodies[0].clone().into_iter().filter(|(name, _)| all.get(name).is_some()).collect();
        assert_eq!(Value::Object(later), *fields);
    }
    for (name, value) in all.as_object().unwrap() {
        edit(&env, &id, json!({name: null})).await;
        let corrected = async || env.remote_app(&id).await.unwrap().fields.get(name) == Some(value);
        env.until(&format!("{name} is corrected"), corrected).await;
    }
}

#[tokio::test]
async fn status_reports_last_use_and_age_of_the_secret_where_the_api_does() {
    let (env, id) = one_line("last-used", Flavor::Csp, json!({})).await;
    assert_eq!(env.app("billing").await.status.unwrap().secret_age, None);
    edit(&env, &id, json!({"lastUsedAt": 1_764_000_000_000_i64, "secretAge": 12})).await;
    env.annotate("billing", "oauth-apps.dev/reconcile-requested-at", "now").await;
    let says = async || {
        let status = env.app("billing").await.status.unwrap();
        status.secret_age == Some(12) && status.last_used_at.is_some_and(|at| at.0.as_second() == 1_764_000_000)
    };
    env.until("status says so", says).await;
}

#[tokio::test]
async fn an_overlap_without_an_interval_shapes_a_requested_rotation() {
    for (namespace, flavor) in [("overlap-csp", Flavor::Csp), ("overlap-cpn", Flavor::Cpn)] {
        let (env, id) = one_line(namespace, flavor, json!({"rotation": {"overlap": "4s"}})).await;
        let (_, first) = env.credential("billing").await.unwrap();
        env.annotate("billing", ROTATE, "now").await;
        let rotated = async || env.credential("billing").await.unwrap().1 != first;
        env.until("the secret is rotated", rotated).await;
        env.assert_credential_works("billing").await;
        let refused = async || env.control.token(flavor, &env.org, &id, &first).await.is_err();
        env.until("the previous secret ends", refused).await;
        assert_eq!(env.app("billing").await.status.unwrap().rotation.unwrap().next_at, None);
        assert_eq!(env.calls(Operation::RotateSecret).await, 1);
    }
}
