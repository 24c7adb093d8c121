//! What happens to an app between its creation and its deletion: change, drift, adoption, roles, and who may do what.

use crate::world::World;
use iam_simulator::types::{Action, CallFilter, Fault, Flavor, Human, Membership, Operation};
use kube::ResourceExt;
use oauth_app_operator::crd::{ConditionStatus, ConditionType};
use serde_json::{Map, Value, json};

async fn ready(namespace: &str, flavor: Flavor, spec: Value) -> (World, String) {
    let world = World::running(namespace, flavor).await;
    world.create("billing", spec).await;
    world.until_ready("billing").await;
    let (id, _) = world.credential("billing").await.unwrap();
    (world, id)
}

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

impl World {
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

async fn until_field(world: &World, id: &str, field: &str, value: Value) {
    let shows = async || world.remote_app(id).await.is_some_and(|app| app.fields.get(field) == Some(&value));
    world.until(&format!("the API has {field} {value}"), shows).await;
}

#[tokio::test]
async fn a_changed_spec_is_one_patch_of_what_differs() {
    for (namespace, flavor) in [("update-csp", Flavor::Csp), ("update-cpn", Flavor::Cpn)] {
        let (world, id) = ready(namespace, flavor, json!({})).await;
        let credential = world.credential("billing").await;
        world.change("billing", json!({"displayName": "Other", "accessTokenTTL": 900})).await;
        until_field(&world, &id, "accessTokenTTL", json!(900)).await;
        world.until_ready("billing").await;
        let calls = world.control.calls(&CallFilter::operation(Operation::UpdateApp)).await.unwrap();
        let always = match flavor {
            Flavor::Csp => json!({"description": "Nightly", "grantTypes": ["client_credentials"]}),
            Flavor::Cpn => json!({}),
        };
        let mut sent = fields(json!({"displayName": "Other", "accessTokenTTL": 900}));
        sent.extend(fields(always));
        assert_eq!(calls.iter().map(|call| call.body.clone()).collect::<Vec<_>>(), [Value::Object(sent)]);
        assert_eq!(world.credential("billing").await, credential);
        let named = format!("App {id} was changed: accessTokenTTL, displayName.");
        world.until("an Event names the fields", async || world.kubectl(&["get", "events"]).contains(&named)).await;
    }
}

#[tokio::test]
async fn an_app_changed_by_hand_is_corrected() {
    for (namespace, flavor) in [("drift-csp", Flavor::Csp), ("drift-cpn", Flavor::Cpn)] {
        let (world, id) = ready(namespace, flavor, json!({})).await;
        let changed = fields(json!({"description": "by hand"}));
        world.control.human(Human::Edit { flavor, id: id.clone(), fields: changed }).await.unwrap();
        until_field(&world, &id, "description", json!("Nightly")).await;
        assert_eq!(world.calls(Operation::UpdateApp).await, 1);
    }
}

#[tokio::test]
async fn an_app_deleted_by_hand_is_created_again_with_the_same_id_and_a_new_secret() {
    let (world, id) = ready("drift-deleted", Flavor::Csp, json!({})).await;
    let before = world.credential("billing").await.unwrap();
    world.control.human(Human::Delete { flavor: world.flavor, id: id.clone() }).await.unwrap();
    let renewed = async || world.credential("billing").await.is_some_and(|now| now.0 == id && now.1 != before.1);
    world.until("the Secret has another secret", renewed).await;
    world.assert_credential_works("billing").await;
    assert_eq!(world.calls(Operation::CreateApp).await, 2);
    world.until("an Event", async || world.kubectl(&["get", "events"]).contains("Recreated")).await;
}

#[tokio::test]
async fn with_observe_drift_is_reported_by_field_and_nothing_is_written() {
    let (world, id) = ready("observe", Flavor::Csp, json!({})).await;
    world.change("billing", json!({"managementPolicy": "Observe"})).await;
    let changed = fields(json!({"description": "by hand"}));
    world.control.human(Human::Edit { flavor: world.flavor, id: id.clone(), fields: changed }).await.unwrap();
    let reported = async || world.app("billing").await.status.unwrap().drift == Some(vec!["description".to_owned()]);
    world.until("status names the field", reported).await;
    let synced = world.condition("billing", ConditionType::Synced).await.unwrap();
    assert_eq!((synced.status, synced.reason.as_str()), (ConditionStatus::False, "PlanPending"));
    assert_eq!(synced.message, "managementPolicy Full would change description.");
    world.create("planned", json!({"managementPolicy": "Observe"})).await;
    let plans = async || {
        let synced = world.condition("planned", ConditionType::Synced).await;
        synced.is_some_and(|synced| synced.message == "managementPolicy Full would create the app.")
    };
    world.until("status says that the app would be created", plans).await;
    for name in ["billing", "planned"] {
        world.delete(name).await;
        world.until_gone(name).await;
    }
    assert!(world.remote_app(&id).await.is_some(), "deletion is no write either");
    assert_eq!((world.calls(Operation::UpdateApp).await, world.calls(Operation::DeleteApps).await), (0, 0));
    world.assert_credential_works("billing").await;
}

#[tokio::test]
async fn an_app_is_adopted_by_its_id_once_the_policy_says_so() {
    let world = World::running("adopt", Flavor::Csp).await;
    let there = fields(json!({
        "id": "was-there", "displayName": "Old", "description": "Nightly", "grantTypes": ["client_credentials"],
        "allowedScopes": {}, "secret": "Was_there_before1",
    }));
    let (flavor, org_id) = (world.flavor, world.org.clone());
    world.control.human(Human::Create { flavor, org_id, fields: there }).await.unwrap();
    world.create("billing", json!({"id": "was-there"})).await;
    world.until_stalled("billing", "IdTaken").await;
    world.change("billing", json!({"adoptionPolicy": "Adopt"})).await;
    let message = world.until_stalled("billing", "SecretUnknown").await;
    assert!(message.contains("spec.clientSecretRef"), "{message}");
    until_field(&world, "was-there", "displayName", json!("Billing export")).await;
    world.bring("mine", "Was_there_before2").await;
    world.change("billing", json!({"clientSecretRef": {"name": "mine", "key": "value"}})).await;
    world.until_stalled("billing", "SecretRefInvalid").await;
    world.bring("mine", "Was_there_before1").await;
    world.until_ready("billing").await;
    world.assert_credential_works("billing").await;
    let app = world.remote_app("was-there").await.unwrap();
    assert_eq!(app.secret_changes, 0, "its secret stays");
}

#[tokio::test]
async fn adopt_and_rotate_replaces_the_secret_once() {
    let world = World::running("adopt-rotate", Flavor::Csp).await;
    let there = fields(json!({
        "id": "was-there", "displayName": "Billing export", "description": "Nightly",
        "grantTypes": ["client_credentials"], "allowedScopes": {},
    }));
    let (flavor, org_id) = (world.flavor, world.org.clone());
    world.control.human(Human::Create { flavor, org_id, fields: there }).await.unwrap();
    world.create("billing", json!({"id": "was-there", "adoptionPolicy": "AdoptAndRotate"})).await;
    world.until_ready("billing").await;
    world.assert_credential_works("billing").await;
    assert_eq!(world.remote_app("was-there").await.unwrap().secret_changes, 1);
    assert_eq!(world.calls(Operation::CreateApp).await, 0);
}

#[tokio::test]
async fn roles_are_given_kept_and_taken() {
    for (namespace, flavor) in [("roles-csp", Flavor::Csp), ("roles-cpn", Flavor::Cpn)] {
        let named = |name: &str| json!({"roles": {"organizationRoles": [{"name": name}]}});
        let (world, id) = ready(namespace, flavor, named("org_member")).await;
        let held = async |role: &str| {
            let roles =
                world.remote_app(&id).await.and_then(|app| app.roles).map(|roles| roles["organizationRoles"].clone());
            roles == Some(json!([{"name": role}]))
        };
        assert!(held("org_member").await, "{flavor:?}");
        let told = format!("App {id} created. App {id} was added to its organization.");
        world.until("one Event says both", async || world.kubectl(&["get", "events"]).contains(&told)).await;
        world.change("billing", named("developer")).await;
        world.until("the role is another", async || held("developer").await).await;
        let more = vec!["org_owner".to_owned()];
        world.control.human(Human::GrantRoles { flavor, id: id.clone(), roles: more }).await.unwrap();
        world.until("what somebody added is taken away", async || held("developer").await).await;
        world.change("billing", named("no-such-role")).await;
        let message = world.until_stalled("billing", "Rejected").await;
        assert!(message.contains("no-such-role"), "{message}");
    }
}

#[tokio::test]
async fn inherited_roles_count_and_stay() {
    let named = |names: &[&str]| -> Value { names.iter().map(|name| json!({"name": name})).collect() };
    let wanting = |names: &[&str]| json!({"roles": {"organizationRoles": named(names)}});
    let (world, id) = ready("inherited", Flavor::Csp, wanting(&["org_member"])).await;
    let inherit = Human::InheritRoles {
        flavor: Flavor::Csp,
        id: id.clone(),
        roles: vec!["developer".into()],
        membership: Membership::Group,
    };
    world.control.human(inherit).await.unwrap();
    world.change("billing", wanting(&["org_member", "developer"])).await;
    world.until_synced("billing").await;
    world.change("billing", wanting(&["support_user"])).await;
    world.until_synced("billing").await;
    let held = world.remote_app(&id).await.and_then(|app| app.roles).map(|roles| roles["organizationRoles"].clone());
    assert_eq!(held, Some(named(&["developer", "support_user"])));
    let changes = world.control.calls(&CallFilter::operation(Operation::PatchClientRoles)).await.unwrap();
    let change = json!({"rolesToAdd": named(&["support_user"]), "rolesToRemove": named(&["org_member"])});
    let sent: Vec<_> = changes.iter().map(|call| call.body["organizationRoles"].clone()).collect();
    assert_eq!(sent, [change], "a role that is inherited is neither given nor taken");
}

/// Somebody adds the app between the operator's look at its roles and its own addition.
#[tokio::test]
async fn an_app_that_is_a_member_already_gets_its_roles() {
    for (namespace, flavor) in [("member-csp", Flavor::Csp), ("member-cpn", Flavor::Cpn)] {
        let world = World::running(namespace, flavor).await;
        for status in [400, 403, 404, 409, 200] {
            let name = format!("billing-{status}");
            world.control.set(|s| s.already_member_status = status).await.unwrap();
            let late = Fault::once(Action::Latency { ms: 1500 }).on(Operation::AddClients).flavor(flavor);
            world.control.fault(late).await.unwrap();
            world.control.clear_calls().await.unwrap();
            world.create(&name, json!({"roles": {"organizationRoles": [{"name": "org_member"}]}})).await;
            let arrived = async || world.calls(Operation::AddClients).await == 1;
            world.until("the app is about to be added", arrived).await;
            let calls = world.control.calls(&CallFilter::operation(Operation::AddClients)).await.unwrap();
            let (id, roles) = (calls[0].client_ids[0].clone(), vec!["developer".to_owned()]);
            world.control.human(Human::GrantRoles { flavor, id: id.clone(), roles }).await.unwrap();
            world.until_ready(&name).await;
            let roles = world.remote_app(&id).await.unwrap().roles.unwrap();
            assert_eq!(roles["organizationRoles"], json!([{"name": "org_member"}]), "{flavor:?} {status}");
            assert_eq!(world.calls(Operation::AddClients).await, 1, "{flavor:?} {status}");
        }
        let events = world.kubectl(&["get", "events"]);
        assert!(!events.contains("Warning"), "{events}");
    }
}

#[tokio::test]
async fn suspend_stops_everything_but_deletion() {
    let (world, id) = ready("suspend", Flavor::Csp, json!({})).await;
    world.change("billing", json!({"suspend": true, "displayName": "Other"})).await;
    let suspended = async || world.condition("billing", ConditionType::Synced).await.unwrap().reason == "Suspended";
    world.until("status says that it is suspended", suspended).await;
    assert_eq!(world.condition("billing", ConditionType::Ready).await.unwrap().status, ConditionStatus::True);
    assert_eq!(world.calls(Operation::UpdateApp).await, 0);
    world.delete("billing").await;
    world.until_gone("billing").await;
    assert!(world.remote_app(&id).await.is_none());
}

#[tokio::test]
async fn a_requested_reconcile_is_done_once_and_echoed() {
    let (world, _) = ready("requested", Flavor::Csp, json!({})).await;
    world.annotate("billing", "oauth-apps.dev/reconcile-requested-at", "now").await;
    let echoed =
        async || world.app("billing").await.status.unwrap().last_handled_reconcile_at.as_deref() == Some("now");
    world.until("the request is echoed", echoed).await;
    assert_eq!(world.calls(Operation::GetApp).await, 1, "who asks gets no old list");
}

#[tokio::test]
async fn a_resource_restored_without_its_status_finds_its_app_again() {
    let (world, id) = ready("restored", Flavor::Csp, json!({"id": "billing-export"})).await;
    let credential = world.credential("billing").await;
    world.operator().kill();
    world.kubectl(&["patch", "ooa", "billing", "--subresource=status", "--type=merge", "-p", r#"{"status":null}"#]);
    world.operator().start();
    world
        .until("status says the id", async || {
            world.app("billing").await.status.and_then(|status| status.client_id).as_deref() == Some(id.as_str())
        })
        .await;
    world.until_ready("billing").await;
    assert_eq!(world.credential("billing").await, credential);
    assert_eq!((world.calls(Operation::CreateApp).await, world.calls(Operation::UpdateApp).await), (1, 0));
}

#[tokio::test]
async fn deletion_waits_for_the_last_pod_that_uses_the_secret() {
    let (world, id) = ready("in-use", Flavor::Csp, json!({"deletionPolicy": "DeleteWhenUnused"})).await;
    for (pod, secret) in [("web", "billing"), ("batch", "billing-rotation")] {
        let container = json!({"name": pod, "image": "none", "envFrom": [{"secretRef": {"name": secret}}]});
        let spec = json!({"spec": {"serviceAccountName": "default", "containers": [container]}}).to_string();
        world.kubectl(&["run", pod, "--image=none", "--overrides", &spec]);
    }
    world.delete("billing").await;
    for (pods, gone) in [("batch, web", "web"), ("batch", "batch")] {
        let says = format!("Secret billing or billing-rotation is used by pods {pods};");
        let waits = async || {
            let reconciling = world.condition("billing", ConditionType::Reconciling).await;
            reconciling.is_some_and(|c| c.reason == "InUse" && c.message.starts_with(&says))
        };
        world.until(&says, waits).await;
        let published = world.condition("billing", ConditionType::SecretPublished).await.unwrap().message;
        assert_eq!(published, "Secret billing holds a credential.");
        assert!(world.remote_app(&id).await.is_some());
        world.kubectl(&["delete", "pod", gone, "--force", "--grace-period=0"]);
    }
    world.until_gone("billing").await;
    assert!(world.remote_app(&id).await.is_none());
}

#[tokio::test]
async fn a_hundred_deletions_in_two_organizations_share_calls() {
    let world = World::new("delete-many", Flavor::Csp).await;
    world.give_credentials().await;
    world.connect(json!({"resyncInterval": "10m"})).await;
    world.control.seed_org(world.flavor, "org-second", true).await.unwrap();
    world.operator().start();
    let names: Vec<String> = (0..100).map(|n| format!("app-{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        let spec = if n % 2 == 0 { json!({}) } else { json!({"orgId": "org-second"}) };
        world.create(name, spec).await;
    }
    for name in &names {
        world.until_ready(name).await;
    }
    world.operator().kill();
    for name in &names {
        world.delete(name).await;
    }
    world.operator().start();
    for name in &names {
        world.until_gone(name).await;
    }
    // Fifteen at most in each; a slow machine fills fewer. How many fit is counted beside the batches.
    let calls = world.calls(Operation::DeleteApps).await;
    assert!((8..=25).contains(&calls), "{calls}");
    assert!(world.control.apps().await.unwrap().is_empty());
    assert!(world.app_names().await.is_empty());
}

impl World {
    async fn app_names(&self) -> Vec<String> {
        let apps = self.apps().list(&Default::default()).await.unwrap();
        apps.iter().map(ResourceExt::name_any).collect()
    }
}
