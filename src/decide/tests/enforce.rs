//! The order of the steps, and what comes before a step: the finalizer, and a resource that was read past the cache.

use super::fixture::*;
use crate::crd::OrgOAuthApp;
use crate::decide::{Creation, IdOwner, Observed, Remote, SecretWriteProgress, WriteReason};
use crate::iam::Verification;
use crate::secret::{SecretContents, SecretState};
use serde_json::{Value, json};

fn without_finalizer() -> Value {
    json!({"metadata": {"finalizers": []}})
}

#[test]
fn a_new_app_takes_these_steps() {
    let observed = Observed::new(app(without_finalizer()), granted(), key(), at(2), secret("generated"));
    assert_steps(
        observed,
        [
            (read_secrets(), |observed| observed.hold(Secrets::only(SecretState::Absent))),
            (authenticate(), |observed| observed.authenticated = true),
            (add_finalizer(), |observed| observed.observe_app(app(json!({})))),
            (dry_run_secret(Some("generated")), |observed| observed.secret_write = SecretWriteProgress::Accepted),
            (create(None), |observed| {
                observed.remote = Remote::JustCreated;
                observed.creation = Creation::Issued(credentials("current"));
            }),
            (publish(WriteReason::Issued, "current"), |observed| {
                observed.hold(published(&observed.app));
                observed.creation = Creation::Stored;
            }),
            // Ready requires a verified secret.
            (verify("current"), |observed| answer(observed, "current", Verification::Accepted)),
            (settled(), nothing),
        ],
    );
}

#[test]
fn nothing_is_created_or_replaced_from_a_cache_that_may_lag() {
    assert_step(observe(app(json!({})), free, |observed| observed.is_uncached = false), read_resource());
    let shown = |observed: &mut Observed| {
        observed.is_uncached = false;
        observed.remote = as_wanted();
    };
    assert_step(observe(app(json!({})), free, shown), read_resource());
    let about_to_claim = |observed: &mut Observed| {
        observed.is_uncached = false;
        observed.id_owner = IdOwner::None;
        observed.remote = Remote::Absent;
    };
    assert_step(observe(chosen(json!({})), free, about_to_claim), read_resource());
    // A deletion is never taken back.
    assert_step(observe(deleting(json!({})), free, |observed| observed.is_uncached = false), delete());
}

#[test]
fn an_app_that_exists_has_its_finalizer_back_before_anything_else() {
    let unauthenticated = |observed: &mut Observed| observed.authenticated = false;
    assert_step(observe(app(without_finalizer()), published, unauthenticated), add_finalizer());
    // A resource whose connection never worked can be deleted without it.
    assert_step(observe(app(without_finalizer()), free, unauthenticated), authenticate());
    assert_step(observe(app(without_finalizer()), free, |observed| observed.authenticated = true), add_finalizer());
    // An app that is not known to be the resource's needs none.
    assert_step(observe(chosen(without_finalizer()), free, unauthenticated), find_id_owner());
    let unsigned = |app: &OrgOAuthApp| holding(app, &SecretContents { claim: None, ..contents(app) });
    assert_step(observe(chosen(without_finalizer()), unsigned, unauthenticated), find_id_owner());
    let issued = |observed: &mut Observed| observed.creation = Creation::Issued(credentials("current"));
    assert_step(observe(app(without_finalizer()), free, issued), authenticate());
    let observing = merged(without_finalizer(), json!({"spec": {"managementPolicy": "Observe"}}));
    assert_step(observe(app(observing), published, is_shown), settled());
}

#[test]
fn deletion_comes_before_everything_else() {
    let broken = json!({"spec": {"suspend": true, "context": "TENANT"}});
    assert_step(observe(deleting(broken), foreign, nothing), delete());
    assert_step(observe(deleting(without_finalizer()), free, nothing), gone());
}
