//! `report`: the file has what an issue needs, no secret, and a list of what its user may not read.

use super::{run, run_as, schema};
use crate::cluster::{OPERATOR_NAMESPACE, plane};
use crate::env::TenantEnv;
use axum::Router;
use axum::http::{StatusCode, Uri};
use control_plane::Scratch;
use iam_simulator::types::Flavor;
use serde_json::{Value, json};
use std::future::IntoFuture;

/// A pod as the Deployment would have it; no node runs it, so that it has neither a log nor metrics.
fn create_pod(name: &str) {
    let deployment = plane().get(&["-n", OPERATOR_NAMESPACE, "deployment", OPERATOR_NAMESPACE]).unwrap();
    let template = &deployment["spec"]["template"];
    let metadata = json!({"name": name, "namespace": OPERATOR_NAMESPACE, "labels": template["metadata"]["labels"]});
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]});
    pod["spec"]["containers"][0]["env"] = json!([{"name": "SOME_TOKEN", "value": "hidden-in-the-environment"}]);
    plane().apply(&pod).unwrap();
}

fn lacks(report: &Value, what: &str) -> String {
    let not_read = report["notRead"].as_array().unwrap();
    let found = not_read.iter().find(|one| one["what"].as_str().unwrap().contains(what));
    found.unwrap_or_else(|| panic!("{what} is read: {report}"))["why"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_has_the_state_and_no_secret() {
    let env = TenantEnv::running("report", Flavor::Csp).await;
    let template = json!({"url": "https://user:hidden-in-a-template@example.com"});
    env.create("app", json!({"secret": {"template": template}})).await;
    env.until_ready("app").await;
    let applied = "kubectl.kubernetes.io/last-applied-configuration";
    env.annotate("app", applied, "hidden-in-an-annotation").await;
    create_pod("report");
    env.until("the Event is published", async || env.kubectl(&["get", "events"]).contains("Created app")).await;
    let scratch = Scratch::new().unwrap();
    let file = scratch.path().join("report.txt").display().to_string();
    let written = run(&["report", "-n", "report", "--out", &file, "-o", "json"]);
    assert_eq!((written.status, &written.json()["file"]), (0, &json!(file)), "{written:?}");
    schema::assert_matches("report", &written.json());
    let text = std::fs::read_to_string(&file).unwrap();
    for part in [
        "\n=== Kubernetes\n\nv1.",
        "\n=== Deployments of the operator\n",
        "\n=== CustomResourceDefinition orgoauthapps.oauth-apps.dev\n",
        "\n=== IamConnection report\n",
        "\n=== OrgOAuthApp report/app\n",
        "\n=== Events of OrgOAuthApps\n",
        " Normal Created report/app: ",
        "\n=== Pod report\n",
        "SOME_TOKEN",
        "kubectl.kubernetes.io/last-applied-configuration: (omitted)",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains("hidden"), "{text}");
    let (_, secret) = env.credential("app").await.unwrap();
    assert!(!secret.is_empty() && !text.contains(&secret), "the client secret is in the report");
    env.assert_no_leak_in("the report", &text);
    lacks(&written.json(), "the log of Pod oauth-app-operator/report");
    lacks(&written.json(), "the metrics of Pod oauth-app-operator/report");
    let again = run(&["report", "--out", &file]);
    assert_eq!(again.status, 1);
    assert!(again.err.contains("choose another file with --out"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tenant_may_not_read_is_listed_with_the_missing_right() {
    let env = TenantEnv::running("report-tenant", Flavor::Csp).await;
    env.create("app", json!({})).await;
    env.until_ready("app").await;
    let tenant = plane().namespace_editor(&env.namespace).unwrap();
    let scratch = Scratch::new().unwrap();
    let file = scratch.path().join("report.txt").display().to_string();
    let written = run_as(&tenant, &["report", "-n", &env.namespace, "--out", &file, "-o", "json"]);
    assert_eq!(written.status, 0, "{written:?}");
    let why = lacks(&written.json(), "the IamConnections");
    assert!(why.contains("you lack a right") && why.contains(r#"cannot list resource "iamconnections""#), "{why}");
    lacks(&written.json(), "the Pods of the operator in namespace oauth-app-operator");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("\n=== OrgOAuthApp report-tenant/app\n"), "{text}");
    assert!(text.contains("\n=== Not read\n\n"), "{text}");
    env.assert_no_leak_in("the report", &text);
}

/// What an API server with nodes answers about a pod that has run; everything else is forbidden.
async fn answer(uri: Uri) -> (StatusCode, String) {
    let pods = "/api/v1/namespaces/oauth-app-operator/pods";
    let ok = |body: String| (StatusCode::OK, body);
    match uri.path() {
        path if path == pods => {
            let status = json!({"phase": "Running", "containerStatuses": [{
                "name": "operator", "image": "i", "imageID": "i", "ready": true, "restartCount": 1,
            }]});
            let pod = json!({"metadata": {"name": "p"}, "status": status});
            ok(json!({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": [pod]}).to_string())
        }
        path if path == format!("{pods}/p/log") && uri.query().unwrap().contains("previous=true") => {
            ok("before the restart: authorization: Bearer c2VjcmV0LXZhbHVl\n".into())
        }
        path if path == format!("{pods}/p/log") => {
            assert!(uri.query().unwrap().contains("tailLines=5"), "{uri}");
            ok("a line with eyJhbGciOiJub25lIn0.eyJzZWNyZXQiOiJ2YWx1ZSJ9.x\nthe last line\n".into())
        }
        path if path == format!("{pods}/p:8080/proxy/metrics") => ok("oauth_app_operator_leader 1\n".into()),
        path => {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Forbidden",
                "message": format!("{path} is forbidden"), "code": 403,
            });
            (StatusCode::FORBIDDEN, status.to_string())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_and_metrics_of_the_pods_are_included_without_tokens() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
    let scratch = Scratch::new().unwrap();
    let kubeconfig = scratch.path().join("kubeconfig");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    });
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    let report = run_as(&kubeconfig, &["report", "--out", "-", "--log-lines", "5"]);
    assert_eq!(report.status, 0, "{report:?}");
    for part in [
        "=== Metrics of Pod p\n\noauth_app_operator_leader 1\n",
        "=== Log of Pod p\n\na line with ***\nthe last line\n",
        "=== Log of Pod p before its last restart\n\nbefore the restart: authorization: Bearer (omitted)\n",
        "the IamConnections: cannot list the IamConnections: you lack a right",
    ] {
        assert!(report.out.contains(part), "{part} is not in {}", report.out);
    }
}
