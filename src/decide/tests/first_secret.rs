//! The first secret of an app: it is created with it, or the app is there and has one.

use super::fixture::*;
use crate::crd::OrgOAuthApp;
use crate::decide::{ClaimOrigin, ClaimProgress, Observed, Remote, WriteReason};
use crate::iam::Verification;
use crate::reason::Reason;
use crate::secret::{ProvidedSecret, RotationMode, SecretContents};
use serde_json::json;

#[test]
fn an_app_that_was_published_before_is_read_before_its_secret_is_replaced() {
    let before = |remote| observe(claimed(app(synced())), free, |observed| observed.remote = remote);
    assert_step(before(Remote::NotRead), read());
    assert_step(before(as_wanted()), stage(RotationMode::Replace, "generated"));
    assert_step(before(Remote::Absent), create(None));
}

#[test]
fn an_app_is_looked_for_before_it_is_created_unless_its_id_was_claimed_just_now() {
    let with = |progress| observe(claimed(chosen(json!({}))), free, |observed| observed.claim = progress);
    assert_step(with(CLAIMED_NOW), create(None));
    for progress in [
        ClaimProgress::Unchanged,
        ClaimProgress::TakenBack,
        ClaimProgress::Recorded(ClaimOrigin::Created),
        ClaimProgress::Recorded(ClaimOrigin::Restored),
    ] {
        assert_step(with(progress), read());
    }
}

#[test]
fn a_public_client_has_no_secret_to_replace() {
    let public = claimed(app(json!({"spec": {"publicClient": true, "grantTypes": ["authorization_code"]}})));
    assert_step(observe(public, free, is_shown), write_secret(WriteReason::IdOnly, |_| {}));
}

fn adopted(policy: &str) -> OrgOAuthApp {
    claimed(chosen(json!({"spec": {"adoptionPolicy": policy}, "status": {"adopted": true}})))
}

#[test]
fn the_secret_of_an_adopted_app_is_replaced_only_if_the_spec_says_so() {
    assert_step(observe(adopted("Adopt"), free, is_shown), write_secret(WriteReason::IdOnly, |_| {}));
    assert_step(observe(adopted("AdoptAndRotate"), free, is_shown), stage(RotationMode::Replace, "generated"));
    let id_only = |app: &OrgOAuthApp| {
        let SecretContents { client_id, claim, .. } = contents(app);
        holding(app, &SecretContents { client_id, claim, ..SecretContents::default() })
    };
    assert_step(observe(adopted("Adopt"), id_only, is_shown), blocked(Reason::SecretUnknown, "holds its id only"));
    // It is provided now.
    let provided = |observed: &mut Observed| {
        observed.remote = as_wanted();
        observed.provided = Some(ProvidedSecret::Value(secret("provided")));
    };
    assert_step(observe(adopted("Adopt"), id_only, provided), verify("provided"));
}

#[test]
fn a_provided_secret_of_an_adopted_app_is_verified_before_it_is_published() {
    let providing = |policy: &str, grant: &str, verification: Option<Verification>| {
        let spec = json!({"id": "chosen", "adoptionPolicy": policy, "grantTypes": [grant],
                          "clientSecretRef": {"name": "mine", "key": "value"}});
        let app = claimed(app(json!({"spec": spec, "status": {"adopted": true}})));
        observe(app, free, |observed| {
            observed.remote = as_wanted();
            observed.provided = Some(ProvidedSecret::Value(secret("provided")));
            verification.into_iter().for_each(|verification| answer(observed, "provided", verification));
        })
    };
    let adopted = |verification| providing("Adopt", "client_credentials", verification);
    assert_step(adopted(None), verify("provided"));
    assert_step(adopted(Some(Verification::Accepted)), publish(WriteReason::Verified, "provided"));
    let invalid = |said: &str| blocked(Reason::SecretRefInvalid, &format!("spec.clientSecretRef: {said}"));
    assert_step(adopted(Some(refused())), invalid("invalid_client"));
    assert_step(adopted(Some(not_known())), invalid("unauthorized_client"));
    // No token can be asked for.
    assert_step(providing("Adopt", "authorization_code", None), publish(WriteReason::Verified, "provided"));
    // One that the spec may replace is replaced.
    let rotating = providing("AdoptAndRotate", "client_credentials", None);
    assert_step(rotating, stage(RotationMode::Replace, "provided"));
}

#[test]
fn an_app_of_this_resource_that_has_another_secret_gets_the_provided_one() {
    let provided = |observed: &mut Observed| {
        observed.remote = as_wanted();
        observed.provided = Some(ProvidedSecret::Value(secret("provided")));
    };
    let providing = claimed(app(json!({"spec": {"clientSecretRef": {"name": "mine", "key": "value"}}})));
    assert_step(observe(providing, free, provided), stage(RotationMode::Replace, "provided"));
}
