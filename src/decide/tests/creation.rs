//! The creation of an app: what it is created with, and what follows when the API refuses.

use super::fixture::*;
use crate::claim::ApiAddress;
use crate::crd::{Api, OrgOAuthApp};
use crate::decide::{
    Call, Creation, IdOwner, ListCheck, Observed, PendingProgress, Remote, SecretWriteProgress, Step, decide,
};
use crate::iam::{self, ClientId, NewApp};
use crate::outcome::{Outcome, Retry};
use crate::reason::Reason;
use crate::secret::{ProvidedSecret, RotationMode, SecretContents};
use serde_json::json;

fn conflict() -> Creation {
    Creation::Refused(iam::Error::Conflict("exists".into()))
}

fn rejected() -> Creation {
    Creation::Refused(iam::Error::Rejected("no".into()))
}

#[test]
fn an_app_is_created_with_what_the_spec_says_and_a_secret_that_is_durable() {
    let created = |app: OrgOAuthApp, secrets: &dyn Fn(&OrgOAuthApp) -> Secrets, provided: Option<&str>| {
        let observed = observe(app, secrets, |observed| {
            observed.remote = Remote::Absent;
            observed.provided = provided.map(|name| ProvidedSecret::Value(secret(name)));
        });
        match decide(&observed) {
            Step::Call(Call::Create(app)) => app,
            other => panic!("{other:?}"),
        }
    };
    let fields = json!({"displayName": "Billing", "description": "Nightly", "grantTypes": ["client_credentials"],
                        "allowedScopes": {}});
    let fields = fields.as_object().unwrap();
    let new = |id: &str, named: Option<&str>| NewApp {
        id: ClientId(id.into()),
        context: None,
        fields: fields.clone(),
        secret: named.map(secret),
    };
    assert_eq!(created(app(json!({})), &free, None), new(DERIVED, None));
    assert_eq!(created(app(json!({})), &free, Some("provided")), new(DERIVED, Some("provided")));
    let intending = || intending(chosen(json!({})));
    assert_eq!(created(intending(), &staged_before_create, None), new("chosen", Some("next")));
    assert_eq!(created(intending(), &staged_before_create, Some("provided")), new("chosen", Some("provided")));
    assert_eq!(created(intending(), &free, Some("provided")), new("chosen", Some("provided")));
}

#[test]
fn kubernetes_is_asked_whether_it_takes_the_secret_before_the_api_hears_of_the_app() {
    let unknown = |observed: &mut Observed| observed.secret_write = SecretWriteProgress::Unknown;
    assert_step(observe(app(json!({})), free, unknown), dry_run_secret(Some("generated")));
    let public = app(json!({"spec": {"publicClient": true, "grantTypes": ["authorization_code"]}}));
    assert_step(observe(public, free, unknown), dry_run_secret(None));
    let unknown_and_free = |observed: &mut Observed| {
        unknown(observed);
        id_is_free(observed);
    };
    assert_step(observe(chosen(json!({})), free, unknown_and_free), dry_run_secret(Some("generated")));
    for known in [SecretWriteProgress::Accepted, SecretWriteProgress::Written, SecretWriteProgress::Overridden] {
        assert_step(observe(app(json!({})), free, |observed| observed.secret_write = known), create(None));
    }
}

#[test]
fn an_api_that_issues_no_secrets_gets_one_that_is_durable_before_and_is_not_asked_whether_the_app_exists() {
    let observing = |remembered: PendingProgress, secrets: &dyn Fn(&OrgOAuthApp) -> Secrets| {
        let app = app(json!({"spec": {"allowedScopes": {"generalScopes": ["user"]}}}));
        observe(app, secrets, |observed| {
            connect(observed, access(ApiAddress::new(Api::IdentityBroker, "https://iam.example.com", &[]), true));
            observed.record_progress(&secret("next"), remembered);
        })
    };
    assert_step(observing(PendingProgress::NotSent, &free), stage(RotationMode::Create, "generated"));
    assert_step(observing(PendingProgress::NotSent, &staged_before_create), create(Some("next")));
    assert_step(observing(PendingProgress::MaybeSent, &staged_before_create), read());
}

#[test]
fn a_create_that_is_refused_asks_whether_an_earlier_one_took_hold() {
    let refused = |remote| {
        let also = |observed: &mut Observed| {
            observed.creation = conflict();
            observed.remote = remote;
        };
        observe(app(json!({})), free, also)
    };
    assert_step(refused(Remote::NotRead), read());
    assert_step(refused(as_wanted()), stage(RotationMode::Replace, "generated"));
    assert_step(refused(Remote::Absent), waits(Reason::ApiConflict, "exists", Retry::Backoff));
}

#[test]
fn an_id_that_somebody_else_took_just_after_it_was_claimed_is_given_back() {
    let taken = |observed: &mut Observed| {
        observed.claim = CLAIMED_NOW;
        observed.remote = as_wanted();
        observed.creation = conflict();
    };
    assert_step(observe(intending(chosen(json!({}))), free, taken), unclaim());
}

#[test]
fn a_claim_is_taken_back_when_the_create_is_refused_and_nothing_is_there() {
    let after = |app: OrgOAuthApp, secrets: &dyn Fn(&OrgOAuthApp) -> Secrets, creation: Creation| {
        observe(app, secrets, |observed| {
            observed.claim = CLAIMED_NOW;
            observed.id_owner = IdOwner::None;
            observed.remote = Remote::Absent;
            observed.creation = creation;
        })
    };
    let intending = || intending(chosen(json!({})));
    assert_step(after(intending(), &free, rejected()), unclaim());
    // Whatever the Secret holds.
    let junk = |app: &OrgOAuthApp| {
        let claim = Some(key().sign(app, &address(), &ClientId("chosen".into()), false));
        holding(app, &SecretContents { claim, ..contents(app) })
    };
    assert_step(after(intending(), &junk, rejected()), unclaim());
    // An id that is taken may be so by an earlier create, which is shown later.
    assert_step(after(intending(), &free, conflict()), waits(Reason::ApiConflict, "exists", Retry::Backoff));
    // Afterwards it is reported, as it is at once for a derived id, which needs no claim.
    assert_step(after(chosen(json!({})), &free, rejected()), blocked(Reason::Rejected, "no"));
    assert_step(after(app(json!({})), &free, rejected()), blocked(Reason::Rejected, "no"));
    assert_step(after(claimed(chosen(json!({}))), &free, rejected()), blocked(Reason::Rejected, "no"));
}

#[test]
fn a_conflict_over_an_id_that_the_api_does_not_show_says_what_may_have_it() {
    let said = |app: OrgOAuthApp| {
        let observed = observe(claimed(app), free, |observed| {
            observed.remote = Remote::Absent;
            observed.creation = conflict();
        });
        match decide(&observed) {
            Step::Finish(Outcome::Waiting { reason: Reason::ApiConflict, message, retry: Retry::Backoff }) => message,
            other => panic!("{other:?}"),
        }
    };
    let words = |id: &str| {
        format!("exists; the API does not show app {id}: its deletion may still run, or another organization has it")
    };
    assert_eq!(said(app(json!({}))), words(DERIVED));
    let advice = "; if it stays so, delete this resource and create it again with another id";
    assert_eq!(said(chosen(json!({}))), words("chosen") + advice);
}

#[test]
fn a_claim_stays_while_an_earlier_create_may_come_to_light() {
    let refused = |seconds: i64, was_staged_now: bool| {
        observe(intending(chosen(json!({}))), staged_before_create, |observed| {
            observed.now = after(at(1), seconds);
            observed.remote = Remote::Absent;
            observed.creation = rejected();
            if was_staged_now {
                progressed(crate::decide::PendingProgress::NotSent)(observed);
            }
        })
    };
    assert_step(refused(119, false), blocked(Reason::Rejected, "no"));
    assert_step(refused(120, false), unclaim());
    assert_step(refused(119, true), unclaim());
}

#[test]
fn an_app_that_is_gone_is_created_again_with_a_secret_that_is_durable() {
    let gone = |secrets: &dyn Fn(&OrgOAuthApp) -> Secrets, also: &dyn Fn(&mut Observed)| {
        observe(app(json!({})), secrets, |observed| {
            absent(10, ListCheck::NotListed)(observed);
            answer(observed, "current", refused());
            also(observed);
        })
    };
    assert_step(gone(&published, &nothing), stage(RotationMode::Create, "generated"));
    assert_step(gone(&staged(RotationMode::Create), &nothing), create(Some("next")));
    let provided = |observed: &mut Observed| observed.provided = Some(ProvidedSecret::Value(secret("current")));
    assert_step(gone(&published, &provided), create(Some("current")));
    let rejected = |observed: &mut Observed| observed.creation = rejected();
    assert_step(gone(&staged(RotationMode::Create), &rejected), blocked(Reason::Rejected, "no"));
}
