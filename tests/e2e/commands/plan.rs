//! `plan`: what the operator would do with manifests. What it says is compared with what the operator then does in
//! `tests/simulation`; here it reads a real cluster and a strict API.

use super::{Ran, ran_with_input, run, run_as, schema};
use crate::cluster::{OPERATOR_NAMESPACE, plane};
use crate::env::{EACH, TenantEnv};
use control_plane::{ControlPlane, Scratch};
use iam_simulator::types::Flavor;
use serde_json::{Value, json};
use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;
use test_environment::manifests;

const LIMIT: &str = "--operator-namespace";

fn plan(directory: &Path, more: &[&str]) -> Ran {
    let directory = directory.to_str().unwrap();
    run(&[&["plan", "-f", directory, LIMIT, OPERATOR_NAMESPACE], more].concat())
}

fn write(scratch: &Scratch, name: &str, manifest: &Value) {
    fs::write(scratch.path().join(name), manifest.to_string()).unwrap();
}

#[tokio::test]
async fn plan_says_what_is_created_changed_and_left_alone_and_writes_nothing() {
    for (api, flavor) in EACH {
        let env = TenantEnv::running(&format!("plan-{api}"), flavor).await;
        let scratch = Scratch::new().unwrap();
        write(&scratch, "app.json", &env.manifest("billing", json!({})));
        let namespace = &env.namespace;
        let new = plan(scratch.path(), &[]);
        assert_eq!(new.status, 2, "{new:?}");
        assert!(new.out.starts_with(&format!("+ {namespace}/billing: create the app\n")), "{new:?}");
        assert_eq!(env.control.apps().await.unwrap().len(), 0);
        assert!(env.apps().get_opt("billing").await.unwrap().is_none());

        env.create("billing", json!({})).await;
        env.until_ready("billing").await;
        let same = plan(scratch.path(), &[]);
        assert_eq!(same.status, 0, "{same:?}");
        assert!(same.out.starts_with(&format!("= {namespace}/billing: no change\n")), "{same:?}");

        write(&scratch, "app.json", &env.manifest("billing", json!({"description": "hidden-value"})));
        let before = env.app("billing").await;
        let changed = plan(scratch.path(), &["-o", "json"]);
        assert_eq!(changed.status, 2, "{changed:?}");
        assert_eq!(changed.json()["resources"][0]["fields"], json!(["description"]), "{changed:?}");
        schema::assert_matches("plan", &changed.json());
        assert!(!changed.out.contains("hidden-value"), "fields are named, values are not shown");
        assert_eq!(env.app("billing").await.metadata.generation, before.metadata.generation);

        write(&scratch, "app.json", &env.connection(json!({"resyncInterval": "2s"})));
        let connection = plan(scratch.path(), &[]);
        assert!(connection.out.starts_with(&format!("~ IamConnection {namespace}: change resyncInterval\n")));

        let elsewhere = json!({"connectionRef": {"name": "nowhere"}});
        write(&scratch, "app.json", &env.manifest("other", elsewhere));
        let pruned = plan(scratch.path(), &["--prune-from-cluster"]);
        assert!(pruned.out.contains(&format!("- {namespace}/billing: delete the app\n")), "{pruned:?}");
        assert!(pruned.out.ends_with(
            "Plan: 0 to create, 0 to adopt, 0 to change, 1 to delete, 0 to release, 0 without change, 1 refused, 0 unknown.\n"
        ));
        env.assert_credential_works("billing").await;
    }
}

#[tokio::test]
async fn what_would_be_refused_is_said_by_the_rule_that_refuses_it() {
    let env = TenantEnv::running("plan-refused", Flavor::Csp).await;
    let scratch = Scratch::new().unwrap();
    let bad = [
        ("rule", json!({"adoptionPolicy": "Adopt"}), "adoptionPolicy needs id"),
        ("field", json!({"displayNam": "Typo"}), "unknown field \"spec.displayNam\""),
        ("type", json!({"accessTokenTTL": "soon"}), "spec.accessTokenTTL"),
        ("api", json!({"ruleSetNames": ["x"]}), "InvalidSpec"),
        ("connection", json!({"connectionRef": {"name": "nowhere"}}), "there is no IamConnection nowhere"),
    ];
    for (name, spec, _) in &bad {
        write(&scratch, &format!("{name}.json"), &env.manifest(name, spec.clone()));
    }
    let planned = plan(scratch.path(), &[]);
    assert_eq!(planned.status, 1, "{planned:?}");
    for (name, _, message) in bad {
        let line = planned.out.lines().find(|line| line.starts_with(&format!("! plan-refused/{name}: ")));
        assert!(line.is_some_and(|line| line.contains(message)), "{name}: {planned:?}");
    }
    env.connect(json!({"grants": []})).await;
    let input = env.manifest("granted", json!({})).to_string();
    let planned = ran_with_input(&["plan", "-f", "-", LIMIT, OPERATOR_NAMESPACE], &input);
    assert!(planned.out.contains("! plan-refused/granted: NotGranted; no grant"), "{planned:?}");
}

#[tokio::test]
async fn who_may_not_read_the_connection_is_told_which_right_is_missing() {
    let env = TenantEnv::running("plan-tenant", Flavor::Csp).await;
    let scratch = Scratch::new().unwrap();
    write(&scratch, "app.json", &env.manifest("billing", json!({})));
    let tenant = plane().namespace_editor("plan-tenant").unwrap();
    let planned = run_as(&tenant, &["plan", "-f", scratch.path().to_str().unwrap()]);
    assert_eq!(planned.status, 1, "{planned:?}");
    let missing = "cannot read IamConnection plan-tenant: you lack a right";
    assert!(planned.out.starts_with("? plan-tenant/billing: ") && planned.out.contains(missing), "{planned:?}");
}

#[tokio::test]
async fn before_the_operator_is_installed_a_plan_needs_only_the_manifests() {
    let env = TenantEnv::new("plan-before", Flavor::Csp).await;
    let (id, secret) = ("planner", "Of_planner-1");
    env.control.seed_client(Flavor::Csp, &env.org, id, secret).await.unwrap();
    let empty = ControlPlane::start().unwrap();
    let scratch = Scratch::new().unwrap();
    let name = env.connection_name();
    let manifests = [
        env.connection(json!({})),
        manifests::credentials(&name, id, secret),
        manifests::authority(&name, &env.backend),
        env.manifest("billing", json!({})),
    ];
    write(&scratch, "all.json", &manifests::list(&manifests));
    let arguments = ["plan", "-f", scratch.path().to_str().unwrap(), LIMIT, OPERATOR_NAMESPACE];
    let planned = run_as(empty.admin_kubeconfig(), &arguments);
    assert_eq!(planned.status, 2, "{planned:?}");
    assert!(planned.out.contains("+ plan-before/billing: create the app\n"), "{planned:?}");
    assert!(planned.out.contains("schema and rules were not checked: the CRDs are not installed"), "{planned:?}");
    assert!(!planned.out.contains(secret));
}

#[tokio::test]
async fn a_name_that_is_no_name_reaches_no_request() {
    let env = TenantEnv::running("plan-names", Flavor::Csp).await;
    env.create("billing", json!({})).await;
    env.until_ready("billing").await;
    let before = env.app("billing").await;
    let scratch = Scratch::new().unwrap();
    for name in ["billing#", "billing?x=#", "../orgoauthapps/billing#"] {
        write(&scratch, "app.json", &env.manifest(name, json!({"description": "written"})));
        let planned = plan(scratch.path(), &[]);
        assert_eq!(planned.status, 1, "{planned:?}");
        assert!(planned.err.contains("app.json: document 1: OrgOAuthApp: metadata.name is no name"), "{planned:?}");
    }
    assert_eq!(env.app("billing").await.metadata.generation, before.metadata.generation);
}

#[tokio::test]
async fn credentials_of_the_cluster_go_to_no_address_that_only_a_manifest_names() {
    let env = TenantEnv::running("plan-foreign", Flavor::Csp).await;
    env.create("existing", json!({})).await;
    env.until_ready("existing").await;
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    stranger.set_nonblocking(true).unwrap();
    let endpoint = format!("https://{}", stranger.local_addr().unwrap());
    let scratch = Scratch::new().unwrap();
    write(&scratch, "app.json", &env.manifest("billing", json!({"id": "planned-id"})));
    write(&scratch, "existing.json", &env.manifest("existing", json!({})));

    write(&scratch, "connection.json", &env.connection(json!({"limits": {"maxInFlight": 3}})));
    write(&scratch, "authority.json", &manifests::authority(&env.connection_name(), &env.backend));
    let limits = plan(scratch.path(), &[]);
    assert!(limits.out.contains("+ plan-foreign/billing: create the app\n"), "{limits:?}");
    assert!(limits.out.contains("= plan-foreign/existing: no change\n"), "{limits:?}");

    let moved = json!({"endpoint": endpoint, "limits": {"timeout": "1s"}});
    write(&scratch, "connection.json", &env.connection(moved));
    let refused = plan(scratch.path(), &[]);
    let why = "? plan-foreign/billing: IamConnection plan-foreign of the manifests is not that of the cluster; plan does not send";
    assert!(refused.status == 1 && refused.out.contains(why), "{refused:?}");
    let nobody = stranger.accept().unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::WouldBlock, "no request was sent");

    let credentials = manifests::credentials(&env.connection_name(), "given", "Of_the-manifests-1");
    write(&scratch, "credentials.json", &credentials);
    let given = plan(scratch.path(), &[]);
    let own = "? plan-foreign/existing: Secret plan-foreign/existing of the cluster is not used";
    assert!(given.out.contains(own), "{given:?}");
    assert!(stranger.accept().is_ok(), "credentials of the manifests may be sent: {given:?}");
    while stranger.accept().is_ok() {}

    fs::remove_file(scratch.path().join("credentials.json")).unwrap();
    let trusted = plan(scratch.path(), &["--trust-connections"]);
    assert!(!trusted.out.contains("plan does not send"), "{trusted:?}");
    assert!(stranger.accept().is_ok(), "a person has vouched for the address: {trusted:?}");
}

#[tokio::test]
async fn credentials_of_the_cluster_are_not_sent_under_a_certificate_authority_of_the_manifests() {
    let env = TenantEnv::running("plan-authority", Flavor::Csp).await;
    let scratch = Scratch::new().unwrap();
    write(&scratch, "app.json", &env.manifest("billing", json!({})));
    let mut authority = manifests::authority(&env.connection_name(), &env.backend);
    authority["data"]["ca.crt"] = "another".into();
    write(&scratch, "authority.json", &authority);
    let planned = plan(scratch.path(), &[]);
    let why = "of the manifests is not the certificate authority that IamConnection plan-authority has in the cluster";
    assert!(planned.status == 1 && planned.out.contains(why), "{planned:?}");
}
