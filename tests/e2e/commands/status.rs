//! The state of an app on one screen, as far as its user may read it.

use super::schema::assert_matches;
use super::{ran_with_input, run, run_as, viewer};
use crate::cluster::plane;
use crate::env::TenantEnv;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use iam_simulator::types::Flavor;
use serde_json::{Value, json};

#[tokio::test]
async fn a_tenant_sees_its_app_and_which_right_is_missing_for_the_rest() {
    let env = TenantEnv::running("command-status", Flavor::Csp).await;
    env.create("billing", json!({"rotation": {"interval": "720h"}})).await;
    env.until_ready("billing").await;
    env.secret("billing").await;
    crate::consumers::run_pod(&env, "web", crate::consumers::from_env(), "2026-01-01T00:00:00Z");
    let tenant = plane().namespace_editor("command-status").unwrap();
    let status = run_as(&tenant, &["status", "billing", "-n", "command-status"]);
    assert_eq!(status.status, 0, "{status:?}");
    let id = env.app("billing").await.status.unwrap().client_id.unwrap();
    for said in [
        "App          command-status/billing",
        "Ready        True (Provisioned), for ",
        &format!("Connection   command-status, CloudServices at {}", env.backend.endpoint(Flavor::Csp)),
        "not shown: you lack the right to get iamconnections.oauth-apps.dev\n",
        "Grant        granted, according to the conditions of the app",
        &format!("Client id    {id} in organization {}", env.org),
        "Synced True (Provisioned)",
        "Secret       billing: exists, owned by this resource",
        "keys client-id, client-secret, token-url",
        "Pods         web",
        "Rotation     next 20",
        "ago, Created: ",
    ] {
        assert!(status.out.contains(said), "{said}\n{}", status.out);
    }
    assert!(!status.out.contains("What to do"), "{}", status.out);
    assert_eq!(status.out.matches("iamconnections").count(), 1, "it is said once: {}", status.out);
    env.assert_no_leak_in("the status", &status.out);
    let all = run(&["status", "billing", "-n", "command-status", "-o", "json"]).json();
    assert_eq!((&all["grant"]["verdict"], &all["grant"]["problem"]), (&"Granted".into(), &json!(null)));
    assert_eq!(all["connection"]["ready"]["status"], "True");
    assert_matches("status", &all);
    let list = run_as(&tenant, &["status", "-n", "command-status", "-o", "json"]).json();
    assert_matches("status-list", &list);
    env.assert_no_leak_in("the report", &all.to_string());
    let viewer = viewer("command-status");
    let viewed = run_as(&viewer, &["status", "billing", "-n", "command-status"]);
    assert!(viewed.out.contains("Secret       billing: not shown"), "{viewed:?}");
    assert!(
        viewed.out.contains("not shown: you lack the right to get secrets in namespace command-status"),
        "{viewed:?}"
    );
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_to_do() {
    let env = TenantEnv::running("command-unready", Flavor::Broker).await;
    env.connect(json!({"grants": [{"namespaces": {"from": "Names", "names": ["others"]}, "orgs": {"from": "All"}}]}))
        .await;
    env.create("billing", json!({})).await;
    env.until_stalled("billing", "NotGranted").await;
    let tenant = plane().namespace_editor("command-unready").unwrap();
    let status = run_as(&tenant, &["status", "billing", "-n", "command-unready"]);
    assert_eq!(status.status, 0, "it is a report");
    for said in [
        "Ready        False (NotGranted)",
        "What to do   Ask the platform team for a grant",
        "Grant        not granted, according to the conditions of the app",
        "Secret       billing: does not exist",
        "NotGranted: no grant of IamConnection command-unready covers namespace command-unready",
    ] {
        assert!(status.out.contains(said), "{said}\n{}", status.out);
    }
    let evaluated = run(&["status", "billing", "-n", "command-unready", "--exit-code"]);
    assert_eq!(evaluated.status, 2);
    assert!(evaluated.out.contains("Grant        not granted\n"), "{}", evaluated.out);
    let list = run_as(&tenant, &["status", "-n", "command-unready"]);
    let line = list.out.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(line[..4], ["command-unready", "billing", "False", "NotGranted"], "{list:?}");
    assert_eq!(run_as(&tenant, &["status", "-n", "command-unready", "--exit-code"]).status, 2);
    let elsewhere = run_as(&tenant, &["status", "-A"]);
    assert_eq!(elsewhere.status, 1);
    assert!(
        elsewhere.err.contains("cannot list the OrgOAuthApps of all namespaces: you lack a right"),
        "{elsewhere:?}"
    );
}

/// The roles in a token for the credentials of the app `billing`.
async fn roles_of_token(env: &TenantEnv) -> Value {
    let (id, secret) = env.credential("billing").await.unwrap();
    let token = env.control.token(env.flavor, &env.org, &id, &secret).await.unwrap();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["perms"].clone()
}

#[tokio::test]
async fn an_app_whose_tokens_have_no_role_is_ready_with_a_note_until_its_spec_names_one_in_both() {
    let note = "According to the spec, its tokens have no role: allowedScopes allows roles, but roles names none; name each role in both.";
    let member = || json!([{"name": "org_member"}]);
    for (namespace, flavor) in [("note-csp", Flavor::Csp), ("note-cpn", Flavor::Cpn)] {
        let env = TenantEnv::running(namespace, flavor).await;
        let status = || run(&["status", "billing", "-n", namespace]).out;
        let plan = |spec: Value| ran_with_input(&["plan", "-f", "-"], &env.manifest("billing", spec).to_string()).out;
        let scopes = json!({"allowedScopes": {"organizationScopes": {"roles": member()}}});
        let planned = plan(scopes.clone());
        assert!(planned.starts_with(&format!("+ {namespace}/billing: create the app\n  {note}\n")), "{planned}");
        env.create("billing", scopes.clone()).await;
        env.until_ready("billing").await;
        assert!(status().contains(note), "{}", status());
        assert_eq!(roles_of_token(&env).await, json!([]), "the note is true");
        let mut both = scopes;
        both["roles"] = json!({"organizationRoles": member()});
        let planned = plan(both.clone());
        assert!(
            planned.starts_with(&format!("~ {namespace}/billing: add the app")) && !planned.contains(note),
            "{planned}"
        );
        env.change("billing", both).await;
        env.until("the note is gone", async || !status().contains(note)).await;
        env.until("tokens have the role", async || roles_of_token(&env).await == json!(["csp:org_member"])).await;
    }
}
