//! An app that exists is adopted, or is found again after a restore.

use super::fixture::*;
use crate::crd::OrgOAuthApp;
use crate::decide::{ClaimOrigin, IdOwner, Observed, Remote};
use crate::iam::Verification;
use crate::outcome::Retry;
use crate::reason::Reason;
use crate::secret::SecretContents;
use serde_json::json;

/// The API shows the app, and no other resource has its id.
fn found(
    app: OrgOAuthApp,
    secrets: impl FnOnce(&OrgOAuthApp) -> Secrets,
    also: impl FnOnce(&mut Observed),
) -> Observed {
    observe(app, secrets, |observed| {
        observed.id_owner = IdOwner::None;
        observed.remote = as_wanted();
        also(observed);
    })
}

fn after_token_request(
    app: OrgOAuthApp,
    secrets: impl FnOnce(&OrgOAuthApp) -> Secrets,
    verification: Verification,
) -> Observed {
    found(app, secrets, |observed| answer(observed, "current", verification))
}

fn unsigned(app: &OrgOAuthApp) -> Secrets {
    holding(app, &SecretContents { claim: None, ..contents(app) })
}

#[test]
fn an_app_that_exists_is_adopted_by_its_id_and_only_if_the_spec_says_so() {
    let adopting = |policy: &str| chosen(json!({"spec": {"adoptionPolicy": policy}}));
    let taken = |words| blocked(Reason::IdTaken, words);
    assert_step(found(adopting("Never"), free, nothing), taken("an app with spec.id chosen exists"));
    let derived = app(json!({"spec": {"id": DERIVED}}));
    assert_step(found(derived, free, nothing), taken("nothing proves that it is this resource's"));
    for policy in ["Adopt", "AdoptAndRotate"] {
        assert_step(found(adopting(policy), free, nothing), claim(ClaimOrigin::Adopted));
        // The grant must allow it too.
        let not_allowed = found(adopting(policy), free, |observed| connect(observed, access(address(), false)));
        assert_step(not_allowed, blocked(Reason::NotAllowed, "does not allow adoption"));
        let own = found(adopting(policy), free, |observed| observed.remote = operators_own());
        assert_step(own, taken("the operator's own OAuth client"));
    }
}

#[test]
fn a_resource_restored_without_its_status_finds_its_app_by_the_claim_on_its_secret() {
    // Another resource may have claimed it meanwhile.
    assert_step(found(chosen(json!({})), published, nothing), verify("current"));
    let mut restored = app(json!({}));
    let secrets = published(&restored);
    restored.metadata.uid = Some("uid-2".into());
    let before = |_: &OrgOAuthApp| secrets.clone();
    assert_step(observe(restored.clone(), before, nothing), find_id_owner());
    // With another uid the claim may be a copy.
    assert_step(found(restored.clone(), before, nothing), verify("current"));
    let accepted = after_token_request(restored.clone(), before, Verification::Accepted);
    assert_step(accepted, claim(ClaimOrigin::Restored));
    // Somebody else created it again.
    let taken = || blocked(Reason::IdTaken, "nothing proves that it is this resource's");
    assert_step(after_token_request(restored.clone(), before, refused()), taken());
    let unknown = waits(Reason::SecretNotProven, "whether it is this resource's: unauthorized_client", Retry::Backoff);
    assert_step(after_token_request(restored, before, not_known()), unknown);
}

#[test]
fn a_resource_restored_without_any_claim_finds_its_app_by_a_credential_that_works() {
    assert_step(found(chosen(json!({})), unsigned, nothing), verify("current"));
    let after = |verification| after_token_request(chosen(json!({})), unsigned, verification);
    assert_step(after(Verification::Accepted), claim(ClaimOrigin::Restored));
    let taken = || blocked(Reason::IdTaken, "an app with spec.id chosen exists");
    assert_step(after(refused()), taken());
    assert_step(after(not_known()), taken());
}

#[test]
fn a_credential_for_another_app_proves_nothing() {
    let of_another = |app: &OrgOAuthApp| {
        let client_id = Some(crate::iam::ClientId("another".into()));
        holding(app, &SecretContents { client_id, claim: None, ..contents(app) })
    };
    let observed = after_token_request(chosen(json!({})), of_another, Verification::Accepted);
    assert_step(observed, blocked(Reason::IdTaken, "an app with spec.id chosen exists"));
}

#[test]
fn where_no_token_can_tell_the_claim_on_the_secret_has_to_do() {
    assert_step(found(chosen(code()), published, nothing), claim(ClaimOrigin::Restored));
    let taken = || blocked(Reason::IdTaken, "an app with spec.id chosen exists");
    assert_step(found(chosen(code()), unsigned, nothing), taken());
    // It only records the intent to create an app.
    let intent = |app: &OrgOAuthApp| {
        let claim = Some(key().sign(app, &address(), &crate::decide::client_id(app), false));
        holding(app, &SecretContents { claim, ..contents(app) })
    };
    assert_step(found(chosen(code()), intent, nothing), taken());
}

#[test]
fn the_secret_under_an_earlier_name_says_whose_an_app_is_too() {
    let renamed = chosen(json!({"spec": {"secret": {"name": "new"}}, "status": {"secretName": "billing"}}));
    let former = published(&chosen(json!({}))).consumers;
    let observed = |remote| {
        observe(renamed.clone(), free, |observed| {
            observed.id_owner = IdOwner::None;
            observed.remote = remote;
            observed.old_name_secret = Some(former.clone());
        })
    };
    assert_step(observed(Remote::NotRead), read());
    assert_step(observed(as_wanted()), blocked(Reason::IdTaken, "an app with spec.id chosen exists"));
    let mut code = renamed.clone();
    code.spec.grant_types = chosen(super::fixture::code()).spec.grant_types;
    let observed = observe(code, free, |observed| {
        observed.id_owner = IdOwner::None;
        observed.remote = as_wanted();
        observed.old_name_secret = Some(former.clone());
    });
    assert_step(observed, claim(ClaimOrigin::Restored));
}
