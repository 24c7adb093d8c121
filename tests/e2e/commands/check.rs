//! `check`: what a good install, a bad one and each API look like, and what `--write` leaves behind.

use super::{Ran, binary, ran, run, run_as, schema};
use crate::cluster::{OPERATOR_NAMESPACE, plane, repository};
use crate::env::{EACH, TenantEnv};
use control_plane::{ControlPlane, Scratch};
use iam_simulator::Simulator;
use iam_simulator::types::{Action, CallFilter, CpnOffers, Fault, Flavor, Operation};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::Duration;
use test_environment::{Wait, operator_kubeconfig};

/// The rows with a result.
fn rows(ran: &Ran, result: &str) -> Vec<Value> {
    let rows = ran.json()["rows"].as_array().unwrap().clone();
    rows.into_iter().filter(|row| row["result"] == result).collect()
}

/// The row of a check.
fn row(ran: &Ran, check: &str) -> Value {
    let rows = ran.json()["rows"].as_array().unwrap().clone();
    rows.into_iter().find(|row| row["check"] == check).unwrap_or_else(|| panic!("no row {check}: {ran:?}"))
}

fn check(env: &TenantEnv, more: &[&str]) -> Ran {
    let connection = env.connection_name();
    run(&[&["check", "-o", "json", "--connection", &connection, "--org", &env.org], more].concat())
}

async fn connected(namespace: &str, flavor: Flavor) -> TenantEnv {
    let env = TenantEnv::new(namespace, flavor).await;
    env.give_credentials().await;
    env.connect(json!({})).await;
    env
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_install_has_no_failed_check_for_any_api() {
    for (name, flavor) in EACH {
        let env = connected(&format!("check-good-{name}"), flavor).await;
        let good = check(&env, &[]);
        assert_eq!(rows(&good, "failed"), Vec::<Value>::new(), "{name}");
        // No node runs the pods of its Deployment here.
        let warnings: Vec<Value> = rows(&good, "warning").iter().map(|row| row["check"].clone()).collect();
        assert_eq!(warnings, ["Deployment"], "{name}");
        assert!(row(&good, "Deployment")["found"].to_string().contains("0 of 2 replicas ready"), "{good:?}");
        assert_eq!(good.status, 0, "{name}: {good:?}");
        schema::assert_matches("check", &good.json());
        for (check, result) in [("orgoauthapps.oauth-apps.dev", "ok"), ("get, create, update, delete secrets", "ok")] {
            assert_eq!(row(&good, check)["result"], result, "{good:?}");
        }
        for check in ["DNS", "TCP", "TLS", "token", "list", "read of an absent app"] {
            assert_eq!(row(&good, check)["result"], "ok", "{name}: {check}: {good:?}");
        }
        env.assert_no_leak_in("the check", &good.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_checks_its_own_rights_and_the_fields_of_the_crds() {
    let env = connected("check-own", Flavor::Csp).await;
    let kubeconfig = operator_kubeconfig(plane(), "check-own").await.unwrap();
    let good = run_as(&kubeconfig, &["check", "-o", "json", "--connection", &env.connection_name()]);
    assert_eq!(rows(&good, "failed"), Vec::<Value>::new());
    assert_eq!(good.status, 0);
    let found = row(&good, "orgoauthapps.oauth-apps.dev")["found"].to_string();
    assert!(found.contains("with the fields of this binary"), "{found}");
    assert_eq!(row(&good, "list, watch secrets")["result"], "skipped");
    // No grant and no app names an organization here.
    assert!(row(&good, "API")["found"].to_string().contains("--org"), "{good:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_shown_which_right_is_missing() {
    let env = connected("check-tenant", Flavor::Csp).await;
    let tenant = plane().namespace_editor(&env.namespace).unwrap();
    let refused = run_as(&tenant, &["check", "--connection", &env.connection_name()]);
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.err.contains("cannot read IamConnection check-tenant: you lack a right"), "{refused:?}");
    let without = run_as(&tenant, &["check", "-o", "json"]);
    let rights = row(&without, "all");
    assert_eq!(rights["result"], "warning");
    assert!(rights["whatToDo"].to_string().contains("helm test"), "{rights}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_connection_fails_with_what_to_do() {
    let env = connected("check-bad", Flavor::Csp).await;
    env.store_credentials("Wrong_secret1").await;
    let wrong = check(&env, &[]);
    assert_eq!((wrong.status, &row(&wrong, "token")["result"]), (2, &json!("failed")));
    let nothing = check(&env, &["--write"]);
    assert_eq!((nothing.status, &row(&nothing, "write")["result"]), (2, &json!("failed")), "{nothing:?}");
    let said = row(&wrong, "token")["found"].to_string();
    assert!(said.contains("put the right credentials into Secret oauth-app-operator/check-bad"), "{said}");
    env.assert_no_leak_in("the check", &wrong.out);

    env.connect(json!({"endpoint": "https://no-such-host.invalid"})).await;
    let unknown = check(&env, &[]);
    assert_eq!(row(&unknown, "DNS")["result"], "failed");
    assert!(row(&unknown, "DNS")["whatToDo"].to_string().contains("no-such-host.invalid"), "{unknown:?}");
    assert_eq!(unknown.status, 2);

    env.connect(json!({})).await;
    let other = Simulator::spawn().ca_pem().to_owned();
    let patch = json!({"data": {"ca.crt": other}}).to_string();
    let name = env.connection_name();
    plane().kubectl(&["-n", OPERATOR_NAMESPACE, "patch", "configmap", &name, "--type=merge", "-p", &patch]).unwrap();
    let untrusted = check(&env, &[]);
    assert_eq!(row(&untrusted, "TLS")["result"], "failed");
    assert!(row(&untrusted, "TLS")["whatToDo"].to_string().contains("spec.caBundle"), "{untrusted:?}");
    assert_eq!(row(&untrusted, "TCP")["result"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_differs_from_what_is_assumed_is_named() {
    let env = connected("check-differs", Flavor::Csp).await;
    let gone = Action::Status { status: 410, message: "said so".into(), performed: false };
    env.control.fault(Fault::always(gone).on(Operation::GetApp)).await.unwrap();
    let differs = check(&env, &[]);
    let absent = row(&differs, "read of an absent app");
    assert_eq!(absent["result"], "warning", "{differs:?}");
    assert!(absent["found"].to_string().contains("410 (said so), where 404 is assumed"), "{absent}");
    assert_eq!(differs.status, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_an_install_and_after_an_incomplete_one_it_says_what_is_missing() {
    let cluster = ControlPlane::start().unwrap();
    let run = |arguments: &[&str]| run_as(cluster.admin_kubeconfig(), arguments);
    let before = run(&["check", "--pre", "-o", "json"]);
    assert_eq!((before.status, rows(&before, "failed")), (0, vec![]), "{before:?}");
    let nothing = run(&["check", "-o", "json"]);
    assert_eq!(nothing.status, 2);
    assert_eq!(row(&nothing, "iamconnections.oauth-apps.dev")["found"], "absent");
    assert_eq!(row(&nothing, "namespace")["found"], "oauth-app-operator does not exist");

    cluster.kubectl(&["apply", "-k", &repository().join("deploy").to_string_lossy()]).unwrap();
    let crd = "crd/orgoauthapps.oauth-apps.dev";
    cluster.kubectl(&["wait", "--for=condition=Established", crd, "crd/iamconnections.oauth-apps.dev"]).unwrap();
    let good = run(&["check", "-o", "json"]);
    assert_eq!((good.status, rows(&good, "failed")), (0, vec![]), "{good:?}");

    let field = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/lastUsedAt";
    let remove = json!([{"op": "remove", "path": field}]).to_string();
    cluster.kubectl(&["patch", crd, "--type=json", "-p", &remove]).unwrap();
    let remove = json!([{"op": "remove", "path": "/rules/0"}]).to_string();
    cluster.kubectl(&["patch", "clusterrole", OPERATOR_NAMESPACE, "--type=json", "-p", &remove]).unwrap();
    let old = run(&["check", "-o", "json"]);
    let crd = row(&old, "orgoauthapps.oauth-apps.dev");
    assert_eq!(crd["result"], "failed");
    assert!(crd["found"].to_string().contains("field v1alpha1 status.lastUsedAt is absent"), "{crd}");
    assert!(crd["whatToDo"].to_string().contains("oauth-app-operator crds | kubectl apply"), "{crd}");
    let right = row(&old, "get, list, watch, patch orgoauthapps");
    assert_eq!(right["found"], "missing: get orgoauthapps, list orgoauthapps, watch orgoauthapps, patch orgoauthapps");
}

/// An API without a cluster, with an OAuth app whose credentials are in files.
struct Direct {
    simulator: Simulator,
    flavor: Flavor,
    files: Scratch,
}

const DIRECT_SECRET: &str = "Of_the_command1";

impl Direct {
    async fn new(flavor: Flavor) -> Self {
        let simulator = Simulator::spawn();
        let control = simulator.control();
        control.seed_org(flavor, "org-1", true).await.unwrap();
        control.seed_client(flavor, "org-1", "operator", DIRECT_SECRET).await.unwrap();
        let files = Scratch::new().unwrap();
        for (file, content) in [("id", "operator"), ("secret", DIRECT_SECRET), ("ca", simulator.ca_pem())] {
            std::fs::write(files.path().join(file), content).unwrap();
        }
        Self { simulator, flavor, files }
    }

    fn command(&self, more: &[&str]) -> Command {
        let api = match self.flavor {
            Flavor::Csp => "CloudServices",
            Flavor::Cpn => "CloudPartnerNavigator",
            Flavor::Broker => "IdentityBroker",
        };
        let mut command = Command::new(binary());
        command.env_remove("KUBECONFIG").current_dir(self.files.path());
        command.args(["check", "--endpoint", &self.simulator.endpoint(self.flavor), "--api", api, "--org", "org-1"]);
        command.args(["--ca-file", "ca", "--client-id-file", "id"]).args(more);
        command
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_is_checked_without_a_cluster() {
    let direct = Direct::new(Flavor::Csp).await;
    let good = ran(&mut direct.command(&["--client-secret-file", "secret", "-o", "json"]));
    assert_eq!((good.status, rows(&good, "failed")), (0, vec![]), "{good:?}");
    assert_eq!(row(&good, "list")["result"], "ok");

    let secret = std::fs::File::open(direct.files.path().join("secret")).unwrap();
    let piped = ran(direct.command(&["--client-secret-file", "-", "-o", "json"]).stdin(secret));
    assert_eq!(row(&piped, "token")["result"], "ok", "{piped:?}");

    let mut proxied = direct.command(&["--client-secret-file", "secret", "-o", "json"]);
    let proxied = ran(proxied.env("HTTPS_PROXY", "http://user:hidden@127.0.0.1:1").env_remove("NO_PROXY"));
    assert!(
        row(&proxied, "proxy")["found"].to_string().contains("through proxy 127.0.0.1:1 (HTTPS_PROXY)"),
        "{proxied:?}"
    );
    assert_eq!(
        (&row(&proxied, "TCP")["result"], &row(&proxied, "TLS")["result"]),
        (&json!("failed"), &json!("failed"))
    );
    assert!(!proxied.out.contains("hidden"), "{proxied:?}");

    let without = ran(&mut direct.command(&[]));
    assert_eq!(without.status, 1);
    assert!(without.err.contains("the client secret is missing; set --client-secret-file"), "{without:?}");
}

fn fact(ran: &Ran, fact: &str) -> Value {
    let facts = ran.json()["facts"]["facts"].as_array().unwrap().clone();
    facts.into_iter().find(|one| one["fact"] == fact).unwrap_or_else(|| panic!("no fact {fact}: {ran:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throw_away_app_shows_what_each_api_does_and_is_gone_afterwards() {
    for (name, flavor) in EACH {
        let env = connected(&format!("check-write-{name}"), flavor).await;
        let offers = CpnOffers { list: true, delete: true, end_overlap: false };
        env.control.set(|settings| settings.cpn_offers = offers).await.unwrap();
        let measured = check(&env, &["--write"]);
        assert_eq!(measured.status, 0, "{name}: {measured:?}");
        schema::assert_matches("check", &measured.json());
        let differing: Vec<Value> = measured.json()["facts"]["facts"].as_array().unwrap().clone();
        let differing: Vec<&Value> = differing.iter().filter(|fact| fact["verdict"] == "differs").collect();
        assert!(differing.is_empty(), "{name}: {differing:?}");
        let rotations = env.control.count(&CallFilter::operation(Operation::RotateSecret)).await.unwrap();
        assert!(rotations >= 2, "{name}: {rotations}");
        let second = fact(&measured, "second rotation in the overlap")["found"].to_string();
        let rejected = ["409", "200", "400"][EACH.iter().position(|(one, _)| *one == name).unwrap()];
        assert!(second.contains(rejected), "{name}: {second}");
        assert!(fact(&measured, "create of an id that exists")["found"].to_string().contains("409"), "{measured:?}");
        let id = measured.json()["facts"]["clientId"].as_str().unwrap().to_owned();
        assert!(id.starts_with("ooa-check-") && measured.err.contains(&id), "{measured:?}");
        let left = env.control.app(flavor, &id).await.unwrap();
        assert!(left.is_none(), "{name}: the app is gone");
        env.assert_no_leak_in("the check", &measured.out);
        env.assert_no_leak_in("the check", &measured.err);
        // Each generated secret ends so.
        assert!(!measured.out.contains("_aA1") && !measured.err.contains("_aA1"), "{name}: {measured:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lag_of_an_api_is_measured() {
    let direct = Direct::new(Flavor::Csp).await;
    direct.simulator.control().set(|settings| settings.replication.reads_ms = 1500).await.unwrap();
    let measured = ran(&mut direct.command(&["--client-secret-file", "secret", "-o", "json", "--write"]));
    let found = fact(&measured, "read shows the new app")["found"].as_str().unwrap().to_owned();
    let seconds: f64 = found.strip_prefix("after ").unwrap().strip_suffix(" s").unwrap().parse().unwrap();
    assert!((1.0..10.0).contains(&seconds), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_cannot_be_deleted_is_named() {
    let direct = Direct::new(Flavor::Cpn).await;
    let left = ran(&mut direct.command(&["--client-secret-file", "secret", "--write"]));
    assert_eq!(left.status, 2);
    assert!(left.out.contains("may still exist in organization org-1: the API has no operation that deletes apps"));
    assert!(left.out.contains("| create of an id that exists"), "a table to paste: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_of_a_create_that_was_not_answered_is_deleted_too() {
    let direct = Direct::new(Flavor::Csp).await;
    let control = direct.simulator.control();
    let late = Action::Status { status: 408, message: "too slow".into(), performed: true };
    control.fault(Fault::once(late).on(Operation::CreateApp)).await.unwrap();
    let unanswered = ran(&mut direct.command(&["--client-secret-file", "secret", "--write"]));
    assert_eq!(unanswered.status, 2);
    assert!(unanswered.out.contains("too slow") && unanswered.out.contains("is deleted"), "{unanswered:?}");
    assert!(control.apps().await.unwrap().iter().all(|app| !app.id.starts_with("ooa-check-")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_check_deletes_its_app() {
    for signal in ["-INT", "-HUP"] {
        interrupted_check_deletes_its_app(signal).await;
    }
}

async fn interrupted_check_deletes_its_app(signal: &str) {
    let direct = Direct::new(Flavor::Csp).await;
    let control = direct.simulator.control();
    // It waits for this list when the signal comes.
    control.set(|settings| settings.replication.lists_ms = 100_000).await.unwrap();
    let mut command = direct.command(&["--client-secret-file", "secret", "--write"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let is_there = async || control.apps().await.unwrap().iter().any(|app| app.id.starts_with("ooa-check-"));
    assert!(Wait::up_to(Duration::from_secs(30)).until(is_there).await, "the app is created");
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.contains("not complete: interrupted") && out.contains("is deleted"), "{out}");
    let left = control.apps().await.unwrap();
    assert!(left.iter().all(|app| !app.id.starts_with("ooa-check-")), "{left:?}");
}

#[test]
fn a_missing_operand_is_said() {
    let missing = run(&["check", "--write", "--org", "o"]);
    assert_eq!(missing.status, 1);
    assert!(missing.err.contains("--write needs --connection or --endpoint"), "{missing:?}");
}
