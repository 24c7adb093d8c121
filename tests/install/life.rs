//! Upgrade and uninstall: what goes and what stays, as `docs/install.md` says.

use crate::guide::{
    APPLY, DELETE, DELETE_APPS, DELETE_OPERATOR, INSTALL, LET_GO, RESTRICT, UNINSTALL, UNINSTALL_ALL, UPGRADE,
    WAIT_UNTIL_GONE,
};
use crate::helm::{NAME, chart, repository};
use crate::site::Site;
use serde_json::Value;

const DEFINITIONS: [&str; 2] = ["crd/iamconnections.oauth-apps.dev", "crd/orgoauthapps.oauth-apps.dev"];

/// Everything of the app that must survive: the resource, its Secret, and what is in it.
fn identity(site: &Site) -> [Value; 4] {
    let app = site.get(&["-n=billing", "ooa", "billing-export"]);
    let secret = site.get(&["-n=billing", "secret", "billing-export"]);
    let pick = |object: &Value, path: &str| object.pointer(path).unwrap().clone();
    [
        pick(&app, "/metadata/uid"),
        pick(&app, "/status/clientId"),
        pick(&secret, "/metadata/uid"),
        pick(&secret, "/data/client-secret"),
    ]
}

async fn served(site: &mut Site) {
    site.plane.restart_controllers().unwrap();
    site.roll_out().await;
    site.connect();
    let user = site.team("billing");
    site.apply_app("billing", &user).await;
    site.until_served("billing").await;
}

/// What belongs to the operator in the cluster, the definitions apart.
fn parts(site: &Site) -> String {
    let kinds = "clusterrole,clusterrolebinding,role,rolebinding,serviceaccount,deployment,networkpolicy,pdb";
    site.kubectl(&["get", kinds, "-A", "-o=name", "-l=app.kubernetes.io/name=oauth-app-operator"])
}

fn assert_only_the_operator_is_gone(site: &Site) {
    assert_eq!(parts(site), "");
    assert!(site.exists(&["-n", NAME, "secret", "iam-credentials"]), "the namespace stays");
    for definition in DEFINITIONS {
        assert!(site.exists(&[definition]), "{definition} stays");
    }
}

async fn until_collected(site: &Site) {
    site.until("the Secret is collected", || !site.exists(&["-n=billing", "secret", "billing-export"])).await;
}

async fn assert_nothing_is_left(site: &Site) {
    assert_eq!(parts(site), "");
    for rest in [&DEFINITIONS[..], &["namespace/oauth-app-operator"]].concat() {
        assert!(!site.exists(&[rest]), "{rest} is gone");
    }
    until_collected(site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_survive_an_upgrade_an_uninstall_and_a_new_install_with_helm() {
    let mut site = Site::fresh().await;
    site.follow(INSTALL);
    site.follow(RESTRICT);
    served(&mut site).await;
    let before = identity(&site);

    let chart = chart().display().to_string();
    let values = ["--reset-then-reuse-values", "--set=replicas=1", "--set=crds.install=false"];
    site.helm(NAME, &[&["upgrade", NAME, &chart], &values[..]].concat()).unwrap();
    site.roll_out().await;
    assert_eq!(site.replicas(), 1);
    site.until_looked_at("billing").await;
    assert_eq!(identity(&site), before);

    site.stop();
    site.follow(UNINSTALL);
    assert_only_the_operator_is_gone(&site);
    assert_eq!(identity(&site), before);

    site.follow(INSTALL);
    site.roll_out().await;
    site.until_looked_at("billing").await;
    site.until_served("billing").await;
    assert_eq!(identity(&site), before);
    assert_eq!(site.created_and_there().await, (1, 1));

    site.follow(DELETE_APPS);
    assert_eq!(site.created_and_there().await, (1, 0), "the app is gone at the API");
    site.stop();
    site.follow(UNINSTALL_ALL);
    assert_nothing_is_left(&site).await;
}

/// The chart as it would have been before `secret.labels` was added.
fn older_chart(site: &Site) -> String {
    let older = site.plane.directory().join("older-chart");
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
async fn an_upgrade_brings_new_definitions_and_keeps_the_apps() {
    let mut site = Site::fresh().await;
    let older = older_chart(&site);
    site.helm(NAME, &["install", NAME, &older, "--create-namespace"]).unwrap();
    served(&mut site).await;
    let before = identity(&site);
    let patch = r#"{"spec": {"secret": {"labels": {"team": "billing"}}}}"#;
    let change = ["-n=billing", "patch", "ooa", "billing-export", "--type=merge", "-p", patch];
    site.kubectl(&change);
    let labels = ["-n=billing", "get", "ooa", "billing-export", "-o=jsonpath={.spec.secret.labels}"];
    assert_eq!(site.kubectl(&labels), "", "the older definition does not know the field");

    site.follow(UPGRADE);
    site.roll_out().await;
    site.until("the new definition knows the field", || {
        site.kubectl(&change);
        site.kubectl(&labels).contains("billing")
    })
    .await;
    let label = ["-n=billing", "get", "secret", "billing-export", "-o=jsonpath={.metadata.labels.team}"];
    site.until("the Secret has the new label", || site.kubectl(&label) == "billing").await;
    assert_eq!(identity(&site), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_removes_the_operator_alone_or_in_the_documented_order_everything() {
    let mut site = Site::fresh().await;
    site.follow(APPLY);
    served(&mut site).await;
    let before = identity(&site);

    site.stop();
    site.follow(DELETE_OPERATOR);
    assert_only_the_operator_is_gone(&site);
    assert_eq!(identity(&site), before);

    site.follow(APPLY);
    site.roll_out().await;
    site.until_looked_at("billing").await;
    assert_eq!(identity(&site), before);
    assert_eq!(site.created_and_there().await, (1, 1));

    site.follow(DELETE_APPS);
    assert_eq!(site.created_and_there().await, (1, 0), "the app is gone at the API");
    site.stop();
    site.follow(DELETE);
    assert_nothing_is_left(&site).await;
}

/// The operator is gone, and the definitions were deleted with apps in them, which hold on to them.
async fn stuck() -> Site {
    let mut site = Site::fresh().await;
    site.follow(APPLY);
    served(&mut site).await;
    site.stop();
    let deploy = repository().join("deploy").display().to_string();
    site.kubectl(&["delete", "--wait=false", "-k", &deploy]);
    let terminating = ["get", DEFINITIONS[1], "-o=jsonpath={.status.conditions[?(@.type=='Terminating')].status}"];
    site.until("the definition waits for the app", || site.kubectl(&terminating) == "True").await;
    site.until("namespace and connections are gone", || {
        !site.exists(&["namespace", NAME]) && !site.exists(&[DEFINITIONS[0]])
    })
    .await;
    let app = site.get(&["-n=billing", "ooa", "billing-export"]);
    assert_eq!(app["metadata"]["finalizers"][0], "oauth-apps.dev/remote-app");
    assert!(!app["metadata"]["deletionTimestamp"].is_null());
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn who_deleted_the_definitions_first_installs_again_and_the_deletions_end() {
    let mut site = stuck().await;
    site.follow(APPLY);
    site.roll_out().await;
    site.connect();
    site.follow(WAIT_UNTIL_GONE);
    assert_eq!(site.created_and_there().await, (1, 0), "the app is gone at the API");
    site.follow(APPLY);
    site.until("the definition is there again", || site.exists(&[DEFINITIONS[1]])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_deleted_the_definitions_first_may_let_go_by_hand_and_the_app_stays_at_the_api() {
    let site = stuck().await;
    site.follow(LET_GO);
    site.follow(WAIT_UNTIL_GONE);
    assert_eq!(site.created_and_there().await, (1, 1));
    until_collected(&site).await;
}
