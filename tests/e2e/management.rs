//! What happens to an app between its creation and its deletion: change, drift, adoption, roles, and who may do what.

use crate::env::{EACH, TenantEnv};
use iam_simulator::types::{Action, CallFilter, Fault, Flavor, Human, Membership, Operation};
use kube::ResourceExt;
use oauth_app_operator::crd::{ConditionStatus, ConditionType};
use serde_json::{Map, Value, json};

async fn ready(namespace: &str, flavor: Flavor, spec: Value) -> (TenantEnv, String) {
    let env = TenantEnv::running(namespace, flavor).await;
    env.create("billing", spec).await;
    env.until_ready("billing").await;
    let (id, _) = env.credential("billing").await.unwrap();
    (env, id)
}

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn merged(mut one: Value, more: Value) -> Value {
    one.as_object_mut().unwrap().extend(fields(more));
    one
}

/// An app that somebody made in the console, with these fields as this API names them.
fn made_by_hand(flavor: Flavor, more: Value) -> Map<String, Value> {
    let name = "Billing export";
    let least = match flavor {
        Flavor::Csp => json!({"id": "was-there", "displayName": name, "description": "Nightly",
            "grantTypes": ["client_credentials"], "allowedScopes": {}}),
        Flavor::Cpn => json!({"id": "was-there", "displayName": name, "description": "Nightly", "allowedScopes": {}}),
        Flavor::Broker => json!({"client_id": "was-there", "display_name": name, "description": "Nightly",
            "grant_types": ["client_credentials"], "scope": ["user"]}),
    };
    fields(merged(least, more))
}

impl TenantEnv {
    /// Waits until the operator has done all that the present spec says.
    async fn until_synced(&self, name: &str) {
        self.until(&format!("{name} is Synced"), async || {
            let generation = self.app(name).await.metadata.generation;
            let synced = self.condition(name, ConditionType::Synced).await;
            synced.is_some_and(|c| c.status == ConditionStatus::True && c.observed_generation == generation)
        })
        .await;
    }
}

async fn until_field(env: &TenantEnv, id: &str, field: &str, value: Value) {
    let shows = async || env.remote_app(id).await.is_some_and(|app| app.fields.get(field) == Some(&value));
    env.until(&format!("the API has {field} {value}"), shows).await;
}

#[tokio::test]
async fn a_changed_spec_is_one_patch_of_what_differs() {
    for (name, flavor) in EACH {
        let (env, id) = ready(&format!("update-{name}"), flavor, json!({})).await;
        let credential = env.credential("billing").await;
        env.change("billing", json!({"displayName": "Other", "accessTokenTTL": 900})).await;
        let (ttl, value) = if flavor == Flavor::Broker { ("access_token_ttl", 15) } else { ("accessTokenTTL", 900) };
        until_field(&env, &id, ttl, json!(value)).await;
        env.until_ready("billing").await;
        let calls = env.control.calls(&CallFilter::operation(Operation::UpdateApp)).await.unwrap();
        let changed = json!({"displayName": "Other", "accessTokenTTL": 900});
        let sent = match flavor {
            Flavor::Csp => merged(changed, json!({"description": "Nightly", "grantTypes": ["client_credentials"]})),
            Flavor::Cpn => changed,
            Flavor::Broker => json!({"display_name": "Other", "access_token_ttl": 15}),
        };
        assert_eq!(calls.iter().map(|call| call.body.clone()).collect::<Vec<_>>(), [sent]);
        assert_eq!(env.credential("billing").await, credential);
        let named = format!("Changed app {id}: accessTokenTTL, displayName.");
        env.until("an Event names the fields", async || env.kubectl(&["get", "events"]).contains(&named)).await;
    }
}

#[tokio::test]
async fn an_app_changed_by_hand_is_corrected() {
    for (name, flavor) in EACH {
        let (env, id) = ready(&format!("drift-{name}"), flavor, json!({})).await;
        let changed = fields(json!({"description": "by hand"}));
        env.control.human(Human::Edit { flavor, id: id.clone(), fields: changed }).await.unwrap();
        until_field(&env, &id, "description", json!("Nightly")).await;
        assert_eq!(env.calls(Operation::UpdateApp).await, 1);
    }
}

#[tokio::test]
async fn an_app_deleted_by_hand_is_created_again_with_the_same_id_and_a_new_secret() {
    for (name, flavor) in EACH {
        let (env, id) = ready(&format!("drift-deleted-{name}"), flavor, json!({})).await;
        let before = env.credential("billing").await.unwrap();
        env.control.human(Human::Delete { flavor: env.flavor, id: id.clone() }).await.unwrap();
        let renewed = async || env.credential("billing").await.is_some_and(|now| now.0 == id && now.1 != before.1);
        env.until("the Secret has another secret", renewed).await;
        env.assert_credential_works("billing").await;
        assert_eq!(env.calls(Operation::CreateApp).await, 2);
        env.until("an Event", async || env.kubectl(&["get", "events"]).contains("Recreated")).await;
    }
}

#[tokio::test]
async fn with_observe_drift_is_reported_by_field_and_nothing_is_written() {
    for (name, flavor) in EACH {
        let (env, id) = ready(&format!("observe-{name}"), flavor, json!({})).await;
        env.change("billing", json!({"managementPolicy": "Observe"})).await;
        let changed = fields(json!({"description": "by hand"}));
        env.control.human(Human::Edit { flavor: env.flavor, id: id.clone(), fields: changed }).await.unwrap();
        let reported = async || env.app("billing").await.status.unwrap().drift == Some(vec!["description".to_owned()]);
        env.until("status names the field", reported).await;
        let synced = env.condition("billing", ConditionType::Synced).await.unwrap();
        assert_eq!((synced.status, synced.reason.as_str()), (ConditionStatus::False, "PlanPending"));
        assert_eq!(synced.message, "managementPolicy Full would change description.");
        env.create("planned", json!({"managementPolicy": "Observe"})).await;
        let plans = async || {
            let synced = env.condition("planned", ConditionType::Synced).await;
            synced.is_some_and(|synced| synced.message == "managementPolicy Full would create the app.")
        };
        env.until("status says that the app would be created", plans).await;
        for name in ["billing", "planned"] {
            env.delete(name).await;
            env.until_gone(name).await;
        }
        assert!(env.remote_app(&id).await.is_some(), "deletion is no write either");
        assert_eq!((env.calls(Operation::UpdateApp).await, env.calls(Operation::DeleteApps).await), (0, 0));
        env.assert_credential_works("billing").await;
    }
}

#[tokio::test]
async fn an_app_is_adopted_by_its_id_once_the_policy_says_so() {
    for (name, flavor) in EACH {
        let env = TenantEnv::running(&format!("adopt-{name}"), flavor).await;
        let display_name = if flavor == Flavor::Broker { "display_name" } else { "displayName" };
        let there = made_by_hand(flavor, json!({display_name: "Old", "secret": "Was_there_before1"}));
        let org_id = env.org.clone();
        env.control.human(Human::Create { flavor, org_id, fields: there }).await.unwrap();
        env.create("billing", json!({"id": "was-there"})).await;
        env.until_stalled("billing", "IdTaken").await;
        env.change("billing", json!({"adoptionPolicy": "Adopt"})).await;
        let message = env.until_stalled("billing", "SecretUnknown").await;
        assert!(message.contains("spec.clientSecretRef"), "{message}");
        until_field(&env, "was-there", display_name, json!("Billing export")).await;
        env.provide_secret("mine", "Was_there_before2").await;
        env.change("billing", json!({"clientSecretRef": {"name": "mine", "key": "value"}})).await;
        env.until_stalled("billing", "SecretRefInvalid").await;
        env.provide_secret("mine", "Was_there_before1").await;
        env.until_ready("billing").await;
        env.assert_credential_works("billing").await;
        let app = env.remote_app("was-there").await.unwrap();
        assert_eq!(app.secret_changes, 0, "its secret stays");
    }
}

#[tokio::test]
async fn adopt_and_rotate_replaces_the_secret_once() {
    for (name, flavor) in EACH {
        let env = TenantEnv::running(&format!("adopt-rotate-{name}"), flavor).await;
        let (there, org_id) = (made_by_hand(flavor, json!({})), env.org.clone());
        env.control.human(Human::Create { flavor, org_id, fields: there }).await.unwrap();
        env.create("billing", json!({"id": "was-there", "adoptionPolicy": "AdoptAndRotate"})).await;
        env.until_ready("billing").await;
        env.assert_credential_works("billing").await;
        assert_eq!(env.remote_app("was-there").await.unwrap().secret_changes, 1);
        assert_eq!(env.calls(Operation::CreateApp).await, 0);
    }
}

#[tokio::test]
async fn roles_are_assigned_kept_and_removed() {
    for (namespace, flavor) in [("roles-csp", Flavor::Csp), ("roles-cpn", Flavor::Cpn)] {
        let named = |name: &str| json!({"roles": {"organizationRoles": [{"name": name}]}});
        let (env, id) = ready(namespace, flavor, named("org_member")).await;
        let held = async |role: &str| {
            let roles =
                env.remote_app(&id).await.and_then(|app| app.roles).map(|roles| roles["organizationRoles"].clone());
            roles == Some(json!([{"name": role}]))
        };
        assert!(held("org_member").await, "{flavor:?}");
        let note = format!("Created app {id}. Added app {id} to its organization.");
        env.until("one Event reports both", async || env.kubectl(&["get", "events"]).contains(&note)).await;
        env.change("billing", named("developer")).await;
        env.until("the role is another", async || held("developer").await).await;
        let more = vec!["org_owner".to_owned()];
        env.control.human(Human::GrantRoles { flavor, id: id.clone(), roles: more }).await.unwrap();
        env.until("what somebody added is taken away", async || held("developer").await).await;
        env.change("billing", named("no-such-role")).await;
        let message = env.until_stalled("billing", "Rejected").await;
        assert!(message.contains("no-such-role"), "{message}");
    }
}

#[tokio::test]
async fn inherited_roles_count_and_stay() {
    let named = |names: &[&str]| -> Value { names.iter().map(|name| json!({"name": name})).collect() };
    let wanting = |names: &[&str]| json!({"roles": {"organizationRoles": named(names)}});
    let (env, id) = ready("inherited", Flavor::Csp, wanting(&["org_member"])).await;
    let inherit = Human::InheritRoles {
        flavor: Flavor::Csp,
        id: id.clone(),
        roles: vec!["developer".into()],
        membership: Membership::Group,
    };
    env.control.human(inherit).await.unwrap();
    env.change("billing", wanting(&["org_member", "developer"])).await;
    env.until_synced("billing").await;
    env.change("billing", wanting(&["support_user"])).await;
    env.until_synced("billing").await;
    let held = env.remote_app(&id).await.and_then(|app| app.roles).map(|roles| roles["organizationRoles"].clone());
    assert_eq!(held, Some(named(&["developer", "support_user"])));
    let changes = env.control.calls(&CallFilter::operation(Operation::PatchClientRoles)).await.unwrap();
    let change = json!({"rolesToAdd": named(&["support_user"]), "rolesToRemove": named(&["org_member"])});
    let sent: Vec<_> = changes.iter().map(|call| call.body["organizationRoles"].clone()).collect();
    assert_eq!(sent, [change], "a role that is inherited is neither given nor taken");
}

/// Somebody adds the app between the operator's look at its roles and its own addition.
#[tokio::test]
async fn an_app_that_is_a_member_already_gets_its_roles() {
    for (namespace, flavor) in [("member-csp", Flavor::Csp), ("member-cpn", Flavor::Cpn)] {
        let env = TenantEnv::running(namespace, flavor).await;
        for status in [400, 403, 404, 409, 200] {
            let name = format!("billing-{status}");
            env.control.set(|s| s.already_member_status = status).await.unwrap();
            let late = Fault::once(Action::Latency { ms: 1500 }).on(Operation::AddClients).flavor(flavor);
            env.control.fault(late).await.unwrap();
            env.control.clear_calls().await.unwrap();
            env.create(&name, json!({"roles": {"organizationRoles": [{"name": "org_member"}]}})).await;
            let arrived = async || env.calls(Operation::AddClients).await == 1;
            env.until("the app is about to be added", arrived).await;
            let calls = env.control.calls(&CallFilter::operation(Operation::AddClients)).await.unwrap();
            let (id, roles) = (calls[0].client_ids[0].clone(), vec!["developer".to_owned()]);
            env.control.human(Human::GrantRoles { flavor, id: id.clone(), roles }).await.unwrap();
            env.until_ready(&name).await;
            let roles = env.remote_app(&id).await.unwrap().roles.unwrap();
            assert_eq!(roles["organizationRoles"], json!([{"name": "org_member"}]), "{flavor:?} {status}");
            assert_eq!(env.calls(Operation::AddClients).await, 1, "{flavor:?} {status}");
        }
        let events = env.kubectl(&["get", "events"]);
        assert!(!events.contains("Warning"), "{events}");
    }
}

#[tokio::test]
async fn suspend_stops_everything_but_deletion() {
    let (env, id) = ready("suspend", Flavor::Csp, json!({})).await;
    env.change("billing", json!({"suspend": true, "displayName": "Other"})).await;
    let suspended = async || env.condition("billing", ConditionType::Synced).await.unwrap().reason == "Suspended";
    env.until("status says that it is suspended", suspended).await;
    let ready = env.condition("billing", ConditionType::Ready).await.unwrap();
    assert_eq!((ready.status, ready.reason.as_str()), (ConditionStatus::True, "Suspended"), "as kubectl get shows");
    assert_eq!(env.calls(Operation::UpdateApp).await, 0);
    env.delete("billing").await;
    env.until_gone("billing").await;
    assert!(env.remote_app(&id).await.is_none());
}

#[tokio::test]
async fn a_requested_reconcile_is_done_once_and_echoed() {
    let (env, _) = ready("requested", Flavor::Csp, json!({})).await;
    env.annotate("billing", "oauth-apps.dev/reconcile-requested-at", "now").await;
    let echoed = async || env.app("billing").await.status.unwrap().last_handled_reconcile_at.as_deref() == Some("now");
    env.until("the request is echoed", echoed).await;
    assert_eq!(env.calls(Operation::GetApp).await, 1, "who asks gets no old list");
}

#[tokio::test]
async fn a_resource_restored_without_its_status_finds_its_app_again() {
    let (env, id) = ready("restored", Flavor::Csp, json!({"id": "billing-export"})).await;
    let credential = env.credential("billing").await;
    env.operator().kill().unwrap();
    env.kubectl(&["patch", "ooa", "billing", "--subresource=status", "--type=merge", "-p", r#"{"status":null}"#]);
    env.operator().start().unwrap();
    env.until("status says the id", async || {
        env.app("billing").await.status.and_then(|status| status.client_id).as_deref() == Some(id.as_str())
    })
    .await;
    env.until_ready("billing").await;
    assert_eq!(env.credential("billing").await, credential);
    assert_eq!((env.calls(Operation::CreateApp).await, env.calls(Operation::UpdateApp).await), (1, 0));
}

#[tokio::test]
async fn deletion_waits_for_the_last_pod_that_uses_the_secret() {
    let (env, id) = ready("in-use", Flavor::Csp, json!({"deletionPolicy": "DeleteWhenUnused"})).await;
    for (pod, secret) in [("web", "billing"), ("batch", "billing-rotation")] {
        let container = json!({"name": pod, "image": "none", "envFrom": [{"secretRef": {"name": secret}}]});
        let spec = json!({"spec": {"serviceAccountName": "default", "containers": [container]}}).to_string();
        env.kubectl(&["run", pod, "--image=none", "--overrides", &spec]);
    }
    env.delete("billing").await;
    for (pods, gone) in [("batch, web", "web"), ("batch", "batch")] {
        let says = format!("Secret billing or billing-rotation is used by pods {pods};");
        let waits = async || {
            let reconciling = env.condition("billing", ConditionType::Reconciling).await;
            reconciling.is_some_and(|c| c.reason == "InUse" && c.message.starts_with(&says))
        };
        env.until(&says, waits).await;
        let published = env.condition("billing", ConditionType::SecretPublished).await.unwrap().message;
        assert_eq!(published, "Secret billing holds the credentials.");
        assert!(env.remote_app(&id).await.is_some());
        env.kubectl(&["delete", "pod", gone, "--force", "--grace-period=0"]);
    }
    env.until_gone("billing").await;
    assert!(env.remote_app(&id).await.is_none());
}

#[tokio::test]
async fn a_hundred_deletions_in_two_organizations_share_calls() {
    let env = TenantEnv::new("delete-many", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({"resyncInterval": "10m"})).await;
    env.control.seed_org(env.flavor, "org-second", true).await.unwrap();
    env.operator().start().unwrap();
    let names: Vec<String> = (0..100).map(|n| format!("app-{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        let spec = if n % 2 == 0 { json!({}) } else { json!({"orgId": "org-second"}) };
        env.create(name, spec).await;
    }
    for name in &names {
        env.until_ready(name).await;
    }
    env.operator().kill().unwrap();
    for name in &names {
        env.delete(name).await;
    }
    env.operator().start().unwrap();
    for name in &names {
        env.until_gone(name).await;
    }
    // Fifteen at most in each; a slow machine fills fewer. How many fit is counted beside the batches.
    let calls = env.calls(Operation::DeleteApps).await;
    assert!((8..=25).contains(&calls), "{calls}");
    assert!(env.control.apps().await.unwrap().is_empty());
    assert!(env.app_names().await.is_empty());
}

impl TenantEnv {
    async fn app_names(&self) -> Vec<String> {
        let apps = self.apps().list(&Default::default()).await.unwrap();
        apps.iter().map(ResourceExt::name_any).collect()
    }
}
