//! Upgrade and uninstall: what goes and what stays, as `docs/install.md` and `docs/upgrade.md` say.

use crate::env::InstallEnv;
use crate::guide::{
    APPLY, DELETE, DELETE_APPS, DELETE_OPERATOR, INSTALL, LET_GO, RESTRICT, ROLLBACK, UNINSTALL, UNINSTALL_ALL,
    UPGRADE, WAIT_UNTIL_GONE,
};
use crate::helm::{NAME, chart, repository};
use control_plane::binaries::Tool;
use serde_json::Value;

pub(crate) const CRDS: [&str; 2] = ["crd/iamconnections.oauth-apps.dev", "crd/orgoauthapps.oauth-apps.dev"];

/// Everything of the app that must survive: the resource, its Secret, and what is in it.
pub(crate) fn identity(env: &InstallEnv) -> [Value; 4] {
    let app = env.get(&["-n=billing", "ooa", "billing-export"]);
    let secret = env.get(&["-n=billing", "secret", "billing-export"]);
    let pick = |object: &Value, path: &str| object.pointer(path).unwrap().clone();
    [
        pick(&app, "/metadata/uid"),
        pick(&app, "/status/clientId"),
        pick(&secret, "/metadata/uid"),
        pick(&secret, "/data/client-secret"),
    ]
}

pub(crate) async fn served(env: &mut InstallEnv) {
    env.cluster.restart_controllers().unwrap();
    env.roll_out().await;
    env.connect();
    let user = env.team("billing");
    env.apply_app("billing", &user).await;
    env.until_served("billing").await;
}

/// What belongs to the operator in the cluster, the CRDs apart.
fn parts(env: &InstallEnv) -> String {
    let kinds = "clusterrole,clusterrolebinding,role,rolebinding,serviceaccount,deployment,networkpolicy,pdb";
    env.kubectl(&["get", kinds, "-A", "-o=name", "-l=app.kubernetes.io/name=oauth-app-operator"])
}

fn assert_only_the_operator_is_gone(env: &InstallEnv) {
    assert_eq!(parts(env), "");
    assert!(env.exists(&["-n", NAME, "secret", "iam-credentials"]), "the namespace stays");
    for crd in CRDS {
        assert!(env.exists(&[crd]), "{crd} stays");
    }
}

async fn until_collected(env: &InstallEnv) {
    env.until("the Secret is collected", || !env.exists(&["-n=billing", "secret", "billing-export"])).await;
}

async fn assert_nothing_is_left(env: &InstallEnv) {
    assert_eq!(parts(env), "");
    for rest in [&CRDS[..], &["namespace/oauth-app-operator"]].concat() {
        assert!(!env.exists(&[rest]), "{rest} is gone");
    }
    until_collected(env).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_survive_an_upgrade_an_uninstall_and_a_new_install_with_helm_3() {
    assert_apps_survive(Tool::Helm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_survive_an_upgrade_an_uninstall_and_a_new_install_with_helm_4() {
    assert_apps_survive(Tool::Helm4).await;
}

async fn assert_apps_survive(helm: Tool) {
    let mut env = InstallEnv::with(helm).await;
    env.follow(INSTALL);
    env.follow(RESTRICT);
    served(&mut env).await;
    let before = identity(&env);

    let chart = chart().display().to_string();
    let values = ["--reset-then-reuse-values", "--set=replicas=1", "--set=crds.install=false"];
    env.helm(NAME, &[&["upgrade", NAME, &chart], &values[..]].concat()).unwrap();
    env.roll_out().await;
    assert_eq!(env.replicas(), 1);
    env.until_reconciled("billing").await;
    assert_eq!(identity(&env), before);

    env.stop();
    env.follow(UNINSTALL);
    assert_only_the_operator_is_gone(&env);
    assert_eq!(identity(&env), before);

    env.follow(INSTALL);
    env.roll_out().await;
    env.until_reconciled("billing").await;
    env.until_served("billing").await;
    assert_eq!(identity(&env), before);
    assert_eq!(env.created_and_there().await, (1, 1));

    env.follow(DELETE_APPS);
    assert_eq!(env.created_and_there().await, (1, 0), "the app is gone");
    env.stop();
    env.follow(UNINSTALL_ALL);
    assert_nothing_is_left(&env).await;
}

/// The chart as it would have been before `secret.labels` was added.
pub(crate) fn older_chart(env: &InstallEnv) -> String {
    let older = env.cluster.directory().join("older-chart");
    let copied = std::process::Command::new("cp").arg("-r").arg(chart()).arg(&older).status().unwrap();
    assert!(copied.success());
    let file = older.join("files/orgoauthapps.yaml");
    let mut definition: Value = serde_saphyr::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let secret = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/secret";
    let secret = definition.pointer_mut(secret).unwrap().as_object_mut().unwrap();
    secret["properties"].as_object_mut().unwrap().remove("labels").unwrap();
    // Among its rules is one about labels.
    secret.remove("x-kubernetes-validations").unwrap();
    // The template of the chart looks for this line.
    let metadata = "\nmetadata:\n  name: orgoauthapps.oauth-apps.dev\n";
    definition.as_object_mut().unwrap().remove("metadata").unwrap();
    std::fs::write(&file, format!("# older{metadata}{}", serde_saphyr::to_string(&definition).unwrap())).unwrap();
    older.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_installs_new_crds_and_keeps_the_apps() {
    let mut env = InstallEnv::new().await;
    let older = older_chart(&env);
    env.helm(NAME, &["install", NAME, &older, "--create-namespace"]).unwrap();
    served(&mut env).await;
    let before = identity(&env);
    let patch = r#"{"spec": {"secret": {"labels": {"team": "billing"}}}}"#;
    let change = ["-n=billing", "patch", "ooa", "billing-export", "--type=merge", "-p", patch];
    env.kubectl(&change);
    let labels = ["-n=billing", "get", "ooa", "billing-export", "-o=jsonpath={.spec.secret.labels}"];
    assert_eq!(env.kubectl(&labels), "", "the older definition does not know the field");

    env.follow(UPGRADE);
    env.roll_out().await;
    env.until("the new definition knows the field", || {
        env.kubectl(&change);
        env.kubectl(&labels).contains("billing")
    })
    .await;
    let label = ["-n=billing", "get", "secret", "billing-export", "-o=jsonpath={.metadata.labels.team}"];
    env.until("the Secret has the new label", || env.kubectl(&label) == "billing").await;
    assert_eq!(identity(&env), before);

    env.stop();
    env.follow(ROLLBACK);
    env.roll_out().await;
    env.until("the older CRD drops the field", || env.kubectl(&labels).is_empty()).await;
    env.until_reconciled("billing").await;
    assert_eq!(identity(&env), before);
    assert_eq!(env.created_and_there().await, (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_removes_the_operator_alone_or_in_the_documented_order_everything() {
    let mut env = InstallEnv::new().await;
    env.follow(APPLY);
    served(&mut env).await;
    let before = identity(&env);

    env.stop();
    env.follow(DELETE_OPERATOR);
    assert_only_the_operator_is_gone(&env);
    assert_eq!(identity(&env), before);

    env.follow(APPLY);
    env.roll_out().await;
    env.until_reconciled("billing").await;
    assert_eq!(identity(&env), before);
    assert_eq!(env.created_and_there().await, (1, 1));

    env.follow(DELETE_APPS);
    assert_eq!(env.created_and_there().await, (1, 0), "the app is gone");
    env.stop();
    env.follow(DELETE);
    assert_nothing_is_left(&env).await;
}

/// The operator is gone, and the CRDs were deleted with apps in them, whose finalizers keep them.
async fn stuck() -> InstallEnv {
    let mut env = InstallEnv::new().await;
    env.follow(APPLY);
    served(&mut env).await;
    env.stop();
    let deploy = repository().join("deploy").display().to_string();
    env.kubectl(&["delete", "--wait=false", "-k", &deploy]);
    let terminating = ["get", CRDS[1], "-o=jsonpath={.status.conditions[?(@.type=='Terminating')].status}"];
    env.until("the CRD waits for the app", || env.kubectl(&terminating) == "True").await;
    env.until("namespace and connections are gone", || !env.exists(&["namespace", NAME]) && !env.exists(&[CRDS[0]]))
        .await;
    let app = env.get(&["-n=billing", "ooa", "billing-export"]);
    assert_eq!(app["metadata"]["finalizers"][0], "oauth-apps.dev/remote-app");
    assert!(!app["metadata"]["deletionTimestamp"].is_null());
    env
}

#[tokio::test(flavor = "multi_thread")]
async fn crds_deleted_first_are_deleted_after_a_new_install() {
    let mut env = stuck().await;
    env.follow(APPLY);
    env.roll_out().await;
    env.connect();
    env.follow(WAIT_UNTIL_GONE);
    assert_eq!(env.created_and_there().await, (1, 0), "the app is gone");
    env.follow(APPLY);
    env.until("the CRD is there again", || env.exists(&[CRDS[1]])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crds_deleted_first_are_deleted_after_finalizers_are_removed_and_the_app_stays() {
    let env = stuck().await;
    env.follow(LET_GO);
    env.follow(WAIT_UNTIL_GONE);
    assert_eq!(env.created_and_there().await, (1, 1));
    until_collected(&env).await;
}
