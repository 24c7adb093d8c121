//! What only the VCF Identity Broker has: secrets of our own before the create, minutes, rule sets, and no roles.

use crate::env::TenantEnv;
use iam_simulator::types::{Action, CallFilter, Fault, Flavor, Operation};
use serde_json::json;

#[tokio::test]
async fn a_manifest_becomes_a_client_of_the_identity_broker_and_a_credential() {
    let env = TenantEnv::running("main-broker", Flavor::Broker).await;
    let spec = json!({
        "grantTypes": ["client_credentials", "authorization_code", "refresh_token"], "accessTokenTTL": 1800,
        "redirectUris": ["https://a.example.com"], "refreshTokenTTL": 86400, "refreshTokenIdleTTL": 3600,
        "forcePkce": true, "ruleSetNames": ["READ_ONLY_TENANT_ADMIN"],
    });
    env.create("billing", spec).await;
    env.until_ready("billing").await;
    let (id, secret) = env.credential("billing").await.unwrap();
    let calls = env.control.calls(&CallFilter::operation(Operation::CreateApp)).await.unwrap();
    let mut sent = calls[0].body.clone();
    assert!(sent.as_object_mut().unwrap().remove("secret").is_some(), "a secret of our own");
    let expected = json!({
        "client_id": id, "display_name": "Billing export", "description": "Nightly", "scope": ["user"],
        "grant_types": ["client_credentials", "authorization_code", "refresh_token"], "access_token_ttl": 30,
        "redirect_uris": ["https://a.example.com"], "refresh_token_ttl": 1440, "refresh_token_idle_ttl": 60,
        "pkce_enforced": true, "rule_set_names": ["READ_ONLY_TENANT_ADMIN"],
    });
    assert_eq!((calls.len(), sent), (1, expected), "exactly the fields that the spec sets");
    env.assert_credential_works("billing").await;
    let token_url = env.value("billing", "token-url").await.unwrap();
    assert!(token_url.ends_with(&format!("/acs/t/{}/token", env.org)), "{token_url}");
    assert_eq!(env.secret("billing-rotation").await, None, "what was pending is not kept");
    assert!(!secret.is_empty());
}

#[tokio::test]
async fn a_create_without_an_answer_makes_one_client_whose_secret_is_known() {
    let env = TenantEnv::running("lost-broker", Flavor::Broker).await;
    env.control.fault(Fault::once(Action::ResponseLost).on(Operation::CreateApp)).await.unwrap();
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    env.assert_credential_works("billing").await;
    assert_eq!(env.calls(Operation::CreateApp).await, 1);
    assert_eq!(env.control.apps().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_the_identity_broker_lacks_is_refused_by_name_before_any_call() {
    let env = TenantEnv::running("refused-broker", Flavor::Broker).await;
    for (name, spec, words) in [
        (
            "roles",
            json!({"roles": {"organizationRoles": [{"name": "org_member"}]}}),
            "IdentityBroker does not have roles",
        ),
        ("orgs", json!({"allowedOrgs": ["other"]}), "IdentityBroker does not have allowedOrgs"),
        (
            "ttl",
            json!({"accessTokenTTL": 90}),
            "accessTokenTTL is whole minutes with IdentityBroker; set it to 60 or 120",
        ),
        ("overlap", json!({"rotation": {"overlap": "200h"}}), "rotation.overlap is at most 168h"),
        (
            "scopes",
            json!({"allowedScopes": {"generalScopes": null}}),
            "allowedScopes.generalScopes needs at least one scope",
        ),
    ] {
        env.create(name, spec).await;
        let message = env.until_stalled(name, "InvalidSpec").await;
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(env.app_calls().await, 0);
}

#[tokio::test]
async fn a_rule_set_that_the_grant_does_not_list_is_not_allowed() {
    let env = TenantEnv::new("rules-broker", Flavor::Broker).await;
    env.give_credentials().await;
    let grants = json!([{"namespaces": {"from": "All"}, "orgs": {"from": "All"},
        "allow": {"ruleSetNames": ["READ_ONLY_TENANT_ADMIN"]}}]);
    env.connect(json!({ "grants": grants })).await;
    env.operator().start().unwrap();
    env.create("admin", json!({"ruleSetNames": ["TENANT_ADMIN"]})).await;
    let message = env.until_stalled("admin", "NotAllowed").await;
    assert!(message.contains("ruleSetNames TENANT_ADMIN (allowed: READ_ONLY_TENANT_ADMIN)"), "{message}");
    assert_eq!(env.app_calls().await, 0);
    env.create("reader", json!({"ruleSetNames": ["READ_ONLY_TENANT_ADMIN"]})).await;
    env.until_ready("reader").await;
}

#[tokio::test]
async fn a_rotation_ends_by_itself_after_its_minutes() {
    let env = TenantEnv::running("minutes-broker", Flavor::Broker).await;
    env.create("billing", json!({"rotation": {"overlap": "1m"}})).await;
    env.until_ready("billing").await;
    let (id, first) = env.credential("billing").await.unwrap();
    env.annotate("billing", "oauth-apps.dev/rotate-requested-at", "now").await;
    env.until_rotated("billing", "now").await;
    env.assert_credential_works("billing").await;
    assert!(env.control.token(env.flavor, &env.org, &id, &first).await.is_ok(), "in the overlap");
    let refused = async || env.control.token(env.flavor, &env.org, &id, &first).await.is_err();
    env.until("the previous secret ends", refused).await;
    env.assert_credential_works("billing").await;
    assert_eq!(env.calls(Operation::RotateSecret).await, 1);
}
