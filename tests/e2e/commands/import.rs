//! What is imported observes its app without drift and can be adopted, and what cannot be imported is reported.

use super::schema::assert_matches;
use super::{Ran, binary, ran, ran_with_input, run, run_as};
use crate::cluster::plane;
use crate::env::{EACH, TenantEnv};
use control_plane::Scratch;
use iam_simulator::types::{Action, AppView, CallFilter, Fault, Flavor, Human, Operation};
use oauth_app_operator::crd::ConditionType;
use serde_json::{Map, Value, json};
use std::process::Command;

/// The fields of an app that someone made in the console, as this API names them.
fn made_by_hand(flavor: Flavor, id: &str, name: &str) -> Map<String, Value> {
    let fields = match flavor {
        Flavor::Csp => json!({
            "id": id, "displayName": name, "description": "Nightly\nexport", "forcePkce": true,
            "grantTypes": ["authorization_code", "client_credentials"], "accessTokenTTL": 1800,
            "redirectUris": ["https://b.example.com", "https://a.example.com"], "allowedScopes": {
                "generalScopes": ["openid"], "organizationScopes": {"roles": [{"name": "org_member"}]},
                "servicesScopes": [{"serviceDefinitionId": "service-1", "roles": [{"name": "user"}]}],
            },
        }),
        Flavor::Cpn => json!({
            "id": id, "displayName": name, "description": "Nightly\nexport", "accessTokenTTL": 900,
            "allowedScopes": {"generalScopes": ["openid"], "organizationScopes": {"roles": [{"name": "org_member"}]}},
        }),
        Flavor::Broker => json!({
            "client_id": id, "display_name": name, "description": "Nightly\nexport", "access_token_ttl": 15,
            "grant_types": ["client_credentials", "authorization_code"], "scope": ["user", "openid"],
            "redirect_uris": ["https://a.example.com"], "rule_set_names": ["READ_ONLY_TENANT_ADMIN"],
        }),
    };
    fields.as_object().unwrap().clone()
}

impl TenantEnv {
    async fn make_by_hand(&self, fields: Map<String, Value>) {
        let (flavor, org_id) = (self.flavor, self.org.clone());
        self.control.human(Human::Create { flavor, org_id, fields }).await.unwrap();
    }

    fn import(&self, more: &[&str]) -> Ran {
        let connection = self.connection_name();
        let arguments = ["import", "--org", &self.org, "--connection", &connection, "-n", &self.namespace];
        run(&[&arguments[..], more].concat())
    }

    async fn remote(&self, id: &str) -> AppView {
        self.remote_app(id).await.unwrap()
    }

    async fn until_plan(&self, name: &str, plan: &str) {
        let is_planned = async || self.condition(name, ConditionType::Synced).await.is_some_and(|c| c.message == plan);
        self.until(&format!("{name}: {plan}"), is_planned).await;
    }
}

/// How an app has the roles that it is imported with.
async fn give_roles(env: &TenantEnv, id: &str) {
    if env.flavor != Flavor::Broker {
        let (flavor, id) = (env.flavor, id.to_owned());
        let roles = vec!["org_member".to_owned(), "support_user".to_owned()];
        env.control.human(Human::GrantRoles { flavor, id, roles }).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_imported_is_observed_without_drift_and_can_be_adopted() {
    for (name, flavor) in EACH {
        let env = TenantEnv::running(&format!("import-{name}"), flavor).await;
        env.control.set(|settings| settings.cpn_offers.list = true).await.unwrap();
        env.make_by_hand(made_by_hand(flavor, "rich-2024", "Büro 7 & Co")).await;
        env.make_by_hand(made_by_hand(flavor, "0x1F0", "yes")).await;
        give_roles(&env, "rich-2024").await;
        let before = [env.remote("rich-2024").await, env.remote("0x1F0").await];
        env.control.clear_calls().await.unwrap();
        let imported = env.import(&[]);
        assert_eq!(imported.status, 0, "{imported:?}");
        assert!(imported.out.contains("displayName: Büro 7 & Co"), "{imported:?}");
        assert_eq!(imported.out.contains("support_user"), flavor != Flavor::Broker, "{imported:?}");
        let calls = env.control.calls(&CallFilter::default()).await.unwrap();
        assert!(calls.iter().all(|call| call.method == "GET" || call.operation == Operation::Token), "it only reads");
        let planned = ran_with_input(&["plan", "-f", "-"], &imported.out);
        let plan = format!("{}/yes: managementPolicy is Observe; Full would adopt the app\n", env.namespace);
        assert!(planned.status == 0 && planned.out.contains(&plan), "{planned:?}");
        let planned = ran_with_input(&["plan", "-f", "-"], &imported.out.replace("Observe", "Full"));
        let plan = ": adopt the app; create Secret yes with client-id\n";
        assert!(planned.status == 2 && planned.out.contains(plan), "{planned:?}");
        plane().kubectl_with_input(&["apply", "-f", "-"], &imported.out).unwrap();
        for resource in ["b-ro-7-co", "yes"] {
            env.until_plan(resource, "managementPolicy Full would adopt the app.").await;
            env.change(resource, json!({"managementPolicy": "Full"})).await;
            env.until_stalled(resource, "SecretUnknown").await;
        }
        for operation in [Operation::UpdateApp, Operation::AddClients, Operation::PatchClientRoles] {
            assert_eq!(env.calls(operation).await, 0, "{operation:?} for {name}");
        }
        let after = [env.remote("rich-2024").await, env.remote("0x1F0").await];
        assert_eq!(after.map(|app| app.fields), before.map(|app| app.fields));
        env.annotate("yes", "oauth-apps.dev/rotate-requested-at", "now").await;
        env.until_ready("yes").await;
        let again = env.import(&[]);
        assert!(again.err.contains(&format!("OrgOAuthApp {}/yes has it", env.namespace)), "{again:?}");
        assert_eq!((again.status, again.out.as_str()), (0, ""), "{again:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_imported_is_reported_and_never_left_out_silently() {
    for (name, flavor) in EACH {
        let env = TenantEnv::new(&format!("import-not-{name}"), flavor).await;
        env.control.set(|settings| settings.cpn_offers.list = true).await.unwrap();
        env.give_credentials().await;
        env.connect(json!({})).await;
        let bad_id = if flavor == Flavor::Broker { "user@tenant.b" } else { "four" };
        env.make_by_hand(made_by_hand(flavor, bad_id, "Bad id")).await;
        env.make_by_hand(made_by_hand(flavor, "new-grant-type", "New")).await;
        let grant_types = if flavor == Flavor::Broker { "grant_types" } else { "grantTypes" };
        let fields = Map::from_iter([(grant_types.to_owned(), json!(["urn:new"]))]);
        env.control.human(Human::Edit { flavor, id: "new-grant-type".into(), fields }).await.unwrap();
        env.make_by_hand(made_by_hand(flavor, "en-dash", "Billing – prod")).await;
        env.make_by_hand(made_by_hand(flavor, "ooa-0b0e7c4e-0000-4000-8000-000000000000", "Derived")).await;
        let scratch = Scratch::new().unwrap();
        let directory = scratch.path().join("apps");
        let imported = env.import(&["--out", directory.to_str().unwrap()]);
        assert_eq!(imported.status, 2, "{imported:?}");
        for said in [
            &format!("app {bad_id} (Bad id) was not imported: OrgOAuthApp has ids of 5 to 256"),
            "app new-grant-type (New) was not imported: its grant types are [\"urn:new\"]",
            "app en-dash (Billing – prod): displayName is not managed: displayName consists of",
            "skipped app ooa-0b0e7c4e-0000-4000-8000-000000000000",
            "an operator derived its id from the uid of a resource; --include-managed imports it",
        ] {
            assert!(imported.err.contains(said), "{said}: {imported:?}");
        }
        let read = |file: &str| std::fs::read_to_string(directory.join(file)).unwrap();
        assert!(read("kustomization.yaml").contains(&format!("# app {bad_id} (Bad id) was not imported")));
        assert!(read("billing-prod.yaml").starts_with("# displayName is not managed: displayName consists of"));
        let applied = plane().kubectl(&["apply", "--dry-run=server", "-k", directory.to_str().unwrap()]).unwrap();
        assert_eq!(applied.lines().count(), 1, "{applied}");
        let again = env.import(&["--out", directory.to_str().unwrap()]);
        assert!(again.status == 1 && again.err.contains("kustomization.yaml exists; choose"), "{again:?}");
        assert_matches("import", &env.import(&["-o", "json"]).json());
        let report = env.import(&["-o", "json", "--include-managed", "--name", "Der*"]);
        assert_eq!(report.json()["imported"][0]["manifest"]["metadata"]["name"], "derived", "{report:?}");
        assert_eq!(report.status, 0, "others are not asked for: {report:?}");
    }
}

#[tokio::test]
async fn many_apps_take_as_many_calls_as_the_lists_have_pages() {
    for (name, flavor) in [("csp", Flavor::Csp), ("broker", Flavor::Broker)] {
        let env = TenantEnv::new(&format!("import-many-{name}"), flavor).await;
        env.give_credentials().await;
        env.connect(json!({"limits": {"timeout": "5s", "maxInFlight": 4}})).await;
        for n in 0..500 {
            env.make_by_hand(made_by_hand(flavor, &format!("by-hand-{n}"), "Same name")).await;
        }
        give_roles(&env, "by-hand-7").await;
        env.control.clear_calls().await.unwrap();
        let imported = env.import(&["-o", "json"]);
        let report = imported.json();
        let apps = report["imported"].as_array().unwrap();
        assert_eq!((imported.status, apps.len()), (0, 500), "{}", imported.err);
        let names: std::collections::HashSet<_> = apps.iter().map(|app| app["name"].as_str().unwrap()).collect();
        assert_eq!(names.len(), 500);
        let (reads, members) = if flavor == Flavor::Broker { (500, 0) } else { (0, 1) };
        let count = async |operation| env.calls(operation).await;
        assert_eq!(count(Operation::ListApps).await, 3, "{name}");
        assert_eq!((count(Operation::GetApp).await, count(Operation::ListClients).await), (reads, members), "{name}");
        assert_eq!(env.app_calls().await, 3 + reads + members, "{name}");
        let stats = env.control.stats().await.unwrap();
        assert!(stats.max_in_flight <= 4, "{stats:?}");
    }
}

#[tokio::test]
async fn an_api_without_a_list_imports_the_apps_that_are_named() {
    let env = TenantEnv::new("import-named", Flavor::Cpn).await;
    env.give_credentials().await;
    env.connect(json!({})).await;
    env.make_by_hand(made_by_hand(Flavor::Cpn, "billing-2024", "Billing")).await;
    let imported = env.import(&[]);
    assert!(imported.status == 1 && imported.err.contains("no list of apps; name each app with --id"), "{imported:?}");
    let imported = env.import(&["--id", "billing-2024", "--id", "absent-2024"]);
    assert!(imported.out.contains("id: billing-2024"), "{imported:?}");
    assert!(imported.err.contains("app absent-2024 was not imported: the API does not show it"), "{imported:?}");
    assert_eq!(imported.status, 2);
}

#[tokio::test]
async fn no_cluster_is_needed() {
    let env = TenantEnv::new("import-alone", Flavor::Csp).await;
    env.control.seed_client(env.flavor, &env.org, "person", "Of_person1").await.unwrap();
    env.make_by_hand(made_by_hand(Flavor::Csp, "billing-2024", "Billing")).await;
    env.make_by_hand(made_by_hand(Flavor::Csp, "person", "My own")).await;
    let scratch = Scratch::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = scratch.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (ca, id, secret) = (file("ca", env.backend.ca_pem()), file("id", "person"), file("secret", "Of_person1"));
    let endpoint = env.backend.endpoint(env.flavor);
    let mut command = Command::new(binary());
    command.args(["import", "--org", &env.org, "--endpoint", &endpoint, "--api", "CloudServices", "--ca-file", &ca]);
    command.args(["--client-id-file", &id, "--client-secret-file", &secret, "--kubeconfig", "/nowhere"]);
    let throttled = Fault::once(Action::TooManyRequests { retry_after: Some(1) });
    env.control.fault(throttled.on(Operation::ListApps)).await.unwrap();
    let imported = ran(&mut command);
    assert!(imported.status == 0 && imported.out.contains("id: billing-2024"), "it waits: {imported:?}");
    assert!(!imported.out.contains("namespace:") && !imported.out.contains("My own"), "{imported:?}");
    assert!(imported.err.contains("skipped app person (My own): these are the credentials"), "{imported:?}");
    assert!(!format!("{imported:?}").contains("Of_person1"));
}

#[tokio::test]
async fn a_missing_right_is_named() {
    let env = TenantEnv::new("import-rights", Flavor::Csp).await;
    env.give_credentials().await;
    env.connect(json!({})).await;
    let tenant = plane().namespace_editor(&env.namespace).unwrap();
    let connection = env.connection_name();
    let imported = run_as(&tenant, &["import", "--org", &env.org, "--connection", &connection]);
    assert_eq!(imported.status, 1, "{imported:?}");
    assert!(imported.err.contains("you lack a right"), "{imported:?}");
}
