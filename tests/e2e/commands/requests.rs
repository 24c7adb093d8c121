//! Requests to the operator, as the tenant of a namespace makes them: done and waited for, refused, or without the right.

use super::schema::assert_matches;
use super::{run, run_as, viewer};
use crate::cluster::plane;
use crate::env::{EACH, TenantEnv};
use control_plane::AuditRecord;
use iam_simulator::types::Flavor;
use serde_json::{Value, json};
use std::path::PathBuf;

async fn ready(namespace: &str, flavor: Flavor, spec: Value) -> (TenantEnv, PathBuf) {
    let env = TenantEnv::running(namespace, flavor).await;
    env.create("billing", spec).await;
    env.until_ready("billing").await;
    let tenant = plane().namespace_editor(namespace).unwrap();
    (env, tenant)
}

#[tokio::test]
async fn a_tenant_rotates_and_retires_with_each_api() {
    for (name, flavor) in EACH {
        let namespace = format!("command-rotate-{name}");
        let (env, tenant) =
            ready(&namespace, flavor, json!({"rotation": {"interval": "720h", "overlap": "48h"}})).await;
        let (id, first) = env.credential("billing").await.unwrap();
        let rotated = run_as(&tenant, &["rotate", "billing", "-n", &namespace, "--wait", "-o", "json"]);
        assert_eq!((rotated.status, &rotated.json()[0]["outcome"]), (0, &"Done".into()), "{rotated:?}");
        assert_matches("requests", &rotated.json());
        let said = rotated.json()[0]["message"].as_str().unwrap().to_owned();
        assert!(said.starts_with("rotated; revision 2; the previous client secret is valid until "), "{said}");
        let (_, second) = env.credential("billing").await.unwrap();
        assert_ne!(second, first, "{name}: it has waited");
        let retired = run_as(&tenant, &["retire", "--all", "-n", &namespace, "--wait"]);
        let is_offered = flavor != Flavor::Cpn;
        assert_eq!(retired.status, if is_offered { 0 } else { 2 }, "{retired:?}");
        if is_offered {
            let line = format!("{namespace}/billing: done: only the current client secret is valid\n");
            assert_eq!(retired.out, line);
            assert!(env.control.token(flavor, &env.org, &id, &first).await.is_err());
            let again = run_as(&tenant, &["retire", "billing", "-n", &namespace]);
            assert!(again.status == 0 && again.out.contains("nothing to do: no previous"), "{again:?}");
        } else {
            assert!(retired.out.contains("blocked (PreviousNotRetired)"), "{retired:?}");
            let waits = run_as(&tenant, &["rotate", "billing", "-n", &namespace, "--wait"]);
            assert!(waits.out.contains("waiting: The requested rotation waits until the previous"), "{waits:?}");
            assert_eq!(waits.status, 2);
        }
        env.assert_credential_works("billing").await;
    }
}

#[tokio::test]
async fn a_tenant_suspends_and_resumes_and_reconciles() {
    let (env, tenant) = ready("command-suspend", Flavor::Csp, json!({})).await;
    env.create("other", json!({})).await;
    env.until_ready("other").await;
    let command = |arguments: &[&str]| run_as(&tenant, &[arguments, &["-n", "command-suspend", "--wait"]].concat());
    let suspended = command(&["suspend", "--all"]);
    assert_eq!(suspended.status, 0, "{suspended:?}");
    assert_eq!(suspended.out.lines().filter(|line| line.ends_with(": done: suspended")).count(), 2);
    let refused = command(&["reconcile", "billing"]);
    assert_eq!(refused.status, 2);
    assert!(refused.out.contains("refused: spec.suspend is set; resume it first: resume billing"), "{refused:?}");
    assert_eq!(command(&["resume", "billing", "other"]).status, 0);
    env.app("billing").await.spec.suspend.then(|| panic!("it is not resumed"));
    let reconciled = command(&["reconcile", "billing"]);
    assert!(reconciled.status == 0 && reconciled.out.contains("done: App "), "{reconciled:?}");
}

#[tokio::test]
async fn what_would_be_in_vain_is_refused_and_a_dry_run_changes_nothing() {
    let (env, tenant) = ready("command-refused", Flavor::Csp, json!({})).await;
    env.provide_secret("mine", "Provided_1value").await;
    env.create("provided", json!({"clientSecretRef": {"name": "mine", "key": "value"}})).await;
    env.until_ready("provided").await;
    let refused = run_as(&tenant, &["rotate", "provided", "-n", "command-refused"]);
    assert_eq!(refused.status, 2);
    assert!(refused.out.contains("change the value of key value in Secret mine"), "{refused:?}");
    let tried = run_as(&tenant, &["rotate", "billing", "-n", "command-refused", "--dry-run"]);
    assert!(tried.status == 0 && tried.out.contains("dry run: a rotation of the client secret"), "{tried:?}");
    assert_eq!(env.app("billing").await.metadata.annotations, None);
    let absent = run_as(&tenant, &["rotate", "billing", "absent", "-n", "command-refused"]);
    assert_eq!(absent.status, 1);
    assert!(absent.err.contains("cannot read OrgOAuthApp command-refused/absent"), "{absent:?}");
    assert_eq!(env.app("billing").await.metadata.annotations, None, "nothing is done about the others");
}

#[tokio::test]
async fn a_viewer_is_told_the_right_that_is_missing() {
    let (env, _) = ready("command-viewer", Flavor::Csp, json!({})).await;
    let viewer = viewer("command-viewer");
    let refused = run_as(&viewer, &["rotate", "billing", "-n", "command-viewer", "--wait"]);
    assert_eq!(refused.status, 1);
    assert!(refused.err.contains("cannot rotate OrgOAuthApp command-viewer/billing: you lack a right"), "{refused:?}");
    assert!(refused.err.contains("cannot patch resource \"orgoauthapps\""), "{refused:?}");
    assert_eq!(env.app("billing").await.metadata.annotations, None);
}

#[tokio::test]
async fn what_blocks_the_operator_and_what_it_waits_for_is_said() {
    let (env, tenant) = ready("command-blocked", Flavor::Csp, json!({})).await;
    env.connect(json!({"grants": []})).await;
    env.until_stalled("billing", "NotGranted").await;
    let blocked = run_as(&tenant, &["rotate", "billing", "-n", "command-blocked", "--wait"]);
    assert_eq!(blocked.status, 2);
    assert!(blocked.out.contains("blocked (NotGranted): no grant of IamConnection"), "{blocked:?}");
    assert!(blocked.out.contains("what to do: Ask the platform team for a grant"), "{blocked:?}");
}

#[tokio::test]
async fn one_watch_serves_all_that_is_waited_for() {
    let (env, tenant) = ready("command-lost", Flavor::Csp, json!({})).await;
    env.create("other", json!({})).await;
    env.until_ready("other").await;
    env.operator().kill().unwrap();
    let arguments = ["reconcile", "-l", "!none", "-n", "command-lost", "--wait", "--timeout", "3s"];
    let lost = run_as(&tenant, &arguments);
    assert_eq!(lost.status, 2);
    assert_eq!(lost.out.matches("did not do it within 3s; check that it runs").count(), 2, "{lost:?}");
    let reads = |record: &AuditRecord| record.user == "user-of-command-lost" && record.verb != "patch";
    let verbs = || plane().audit("command-lost", reads).unwrap().into_iter().map(|record| record.verb);
    env.until("the watch is recorded", async || verbs().any(|verb| verb == "watch")).await;
    assert_eq!(verbs().collect::<Vec<_>>(), ["list", "list", "watch"]);
}

#[tokio::test]
async fn an_app_that_loses_its_label_is_not_gone() {
    let (env, tenant) = ready("command-label", Flavor::Csp, json!({})).await;
    env.operator().kill().unwrap();
    env.kubectl(&["label", "ooa", "billing", "team=billing"]);
    let waits = std::thread::spawn(move || {
        run_as(&tenant, &["reconcile", "-l", "team=billing", "-n", "command-label", "--wait", "--timeout", "8s"])
    });
    let is_requested = async || env.app("billing").await.metadata.annotations.is_some();
    env.until("the reconciliation is requested", is_requested).await;
    env.kubectl(&["label", "ooa", "billing", "team-"]);
    let waited = waits.join().unwrap();
    assert!(waited.out.contains("waiting: the operator did not do it within 8s"), "{waited:?}");
}

#[tokio::test]
async fn what_is_deleted_meanwhile_is_not_waited_for() {
    let (env, tenant) = ready("command-deleted", Flavor::Csp, json!({})).await;
    env.operator().kill().unwrap();
    let waits = std::thread::spawn(move || {
        run_as(&tenant, &["reconcile", "billing", "-n", "command-deleted", "--wait", "--timeout", "2m"])
    });
    let is_requested = async || env.app("billing").await.metadata.annotations.is_some();
    env.until("the reconciliation is requested", is_requested).await;
    env.kubectl(&["delete", "ooa", "billing", "--wait=false"]);
    let deleted = waits.join().unwrap();
    assert_eq!(deleted.status, 2);
    assert!(deleted.out.contains("gone: the resource was deleted meanwhile"), "{deleted:?}");
}

#[tokio::test]
async fn an_overlap_that_pods_need_is_ended_only_on_demand() {
    let (env, tenant) = ready("command-stale", Flavor::Csp, json!({"rotation": {"interval": "720h"}})).await;
    crate::consumers::run_pod(&env, "web", crate::consumers::from_env(), "2026-01-01T00:00:00Z");
    crate::consumers::rotated_hours_ago(&env, 47).await;
    env.until("the pod is known to be stale", async || {
        let rotation = env.app("billing").await.status.unwrap().rotation.unwrap();
        rotation.stale_consumer_count == Some(1)
    })
    .await;
    let refused = run_as(&tenant, &["retire", "billing", "-n", "command-stale", "--wait"]);
    assert_eq!(refused.status, 2);
    assert!(
        refused.out.contains("refused: pods still use the previous client secret: web; restart them"),
        "{refused:?}"
    );
    let retired = run_as(&tenant, &["retire", "billing", "-n", "command-stale", "--wait", "--despite-stale-consumers"]);
    assert_eq!(retired.status, 0, "{retired:?}");
}

#[tokio::test]
async fn a_change_that_a_tool_may_revert_is_warned_of() {
    let (env, _) = ready("command-gitops", Flavor::Csp, json!({})).await;
    env.kubectl(&["label", "ooa", "billing", "kustomize.toolkit.fluxcd.io/name=apps"]);
    let suspended = run(&["suspend", "billing", "-n", "command-gitops"]);
    assert!(
        suspended.err.contains("is managed by the Kustomization apps, which may revert the change"),
        "{suspended:?}"
    );
    assert_eq!(suspended.status, 0);
}
