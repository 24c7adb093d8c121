//! Whose an app is: what proves it, and what proves nothing. How an app that exists is adopted, or found
//! again after a restore, is in `adoption`.

use super::fixture::*;
use crate::claim::{ApiAddress, ClaimKey};
use crate::crd::{Api, DeletionPolicy, OrgOAuthApp};
use crate::decide::{
    ClaimOrigin, ClaimProgress, IdOwner, Observed, Remote, RotationWrite, Step, WriteReason, client_id, comes_first,
    decide, has_claim, signed_claim,
};
use crate::iam::{ClientId, Verification};
use crate::outcome::Retry;
use crate::reason::Reason;
use crate::secret::{RotationMode, SecretContents, SecretState, SecretWrite, guard};
use serde_json::json;

#[test]
fn a_chosen_id_is_used_only_once_it_is_free_and_claimed() {
    let with = |id_owner, remote, authenticated| {
        observe(chosen(json!({"metadata": {"finalizers": []}})), free, |observed| {
            observed.id_owner = id_owner;
            observed.remote = remote;
            observed.authenticated = authenticated;
        })
    };
    let other = |namespace: &str| {
        let metadata = json!({"name": "other", "namespace": namespace});
        IdOwner::Has(Box::new(chosen(json!({"metadata": metadata}))))
    };
    assert_step(with(IdOwner::NotRead, Remote::NotRead, false), find_id_owner());
    let conflict = |words| blocked(Reason::IdConflict, words);
    assert_step(
        with(other("team"), Remote::NotRead, false),
        conflict(
            "OrgOAuthApp other has the id chosen; delete this resource, which leaves the app as it is, and create it again with another id",
        ),
    );
    // A tenant learns no name of another one.
    assert_step(
        with(other("other"), Remote::NotRead, false),
        conflict(
            "an OrgOAuthApp of another namespace has the id chosen; delete this resource, which leaves the app as it is,",
        ),
    );
    assert_step(with(IdOwner::None, Remote::NotRead, false), read());
    assert_step(with(IdOwner::None, Remote::Listed(None), false), read());
    assert_step(with(IdOwner::None, as_wanted(), false), blocked(Reason::IdTaken, "an app with spec.id chosen exists"));
    assert_step(with(IdOwner::None, Remote::Absent, false), authenticate());
    assert_step(with(IdOwner::None, Remote::Absent, true), add_finalizer());
    assert_step(observe(chosen(json!({})), free, id_is_free), claim(ClaimOrigin::New));
    let now = |observed: &mut Observed| {
        observed.claim = CLAIMED_NOW;
        observed.remote = Remote::Absent;
    };
    assert_step(observe(claimed(chosen(json!({}))), free, now), create(None));
    assert_step(observe(claimed(chosen(json!({}))), free, is_shown), stage(RotationMode::Replace, "generated"));
}

/// A resource that chose an id, with what its status and its Secret say; the API shows the app, and nobody else has it.
fn victim(status: impl FnOnce(&mut OrgOAuthApp), secrets: impl FnOnce(&OrgOAuthApp) -> Secrets) -> Observed {
    let mut app = app(json!({"spec": {"id": "victim"}}));
    status(&mut app);
    observe(app, secrets, |observed| {
        observed.id_owner = IdOwner::None;
        observed.remote = as_wanted();
    })
}

#[test]
fn nothing_that_a_tenant_can_write_makes_an_app_its_own() {
    let taken = || blocked(Reason::IdTaken, "an app with spec.id victim exists that this resource did not create");
    let forged_secret =
        |app: &OrgOAuthApp| holding(app, &SecretContents { claim: None, current: None, ..contents(app) });
    assert_step(victim(|_| {}, forged_secret), taken());
    let client_id = |app: &mut OrgOAuthApp| app.status.get_or_insert_default().client_id = Some("victim".into());
    assert_step(victim(client_id, free), taken());
    let claim_of_another_resource = |app: &mut OrgOAuthApp| {
        let mut other = app.clone();
        other.metadata.name = Some("owner".into());
        app.status = claimed(other).status;
    };
    assert_step(victim(claim_of_another_resource, free), taken());
    let claim_of_another_uid = |app: &mut OrgOAuthApp| {
        let mut restored = app.clone();
        restored.metadata.uid = Some("uid-0".into());
        app.status = claimed(restored).status;
    };
    assert_step(victim(claim_of_another_uid, free), taken());
    let claim_on_another_id = |app: &mut OrgOAuthApp| {
        let mut other = app.clone();
        other.spec.id = Some("own".into());
        app.status = claimed(other).status;
    };
    assert_step(victim(claim_on_another_id, free), taken());
    let signed_with_another_key = |app: &mut OrgOAuthApp| *app = with_claim(app.clone(), &other_key(), true);
    assert_step(victim(signed_with_another_key, free), taken());
}

#[test]
fn an_app_under_an_intended_id_is_this_resources_only_with_the_secret_that_was_staged_before_the_create() {
    let with = |app: OrgOAuthApp, secrets: fn(&OrgOAuthApp) -> Secrets, remote, verification: Option<Verification>| {
        observe(app, secrets, |observed| {
            observed.remote = remote;
            verification.into_iter().for_each(|verification| answer(observed, "next", verification));
        })
    };
    let (accepted, is_refused) = (|| Some(Verification::Accepted), || Some(refused()));
    let resource = || intending(chosen(json!({})));
    assert_step(with(resource(), free, Remote::NotRead, None), read());
    assert_step(with(resource(), free, Remote::Absent, None), stage(RotationMode::Create, "generated"));
    assert_step(with(resource(), staged_before_create, Remote::Absent, None), create(Some("next")));
    assert_step(with(resource(), staged_before_create, as_wanted(), None), verify("next"));
    assert_step(with(resource(), staged_before_create, as_wanted(), accepted()), claim(ClaimOrigin::Created));
    assert_step(with(resource(), staged_before_create, as_wanted(), is_refused()), unclaim());
    let unknown = waits(Reason::SecretNotProven, "whether it is this resource's: unauthorized_client", Retry::Backoff);
    assert_step(with(resource(), staged_before_create, as_wanted(), Some(not_known())), unknown);
    // Somebody else created it meanwhile.
    assert_step(with(resource(), free, as_wanted(), None), unclaim());
    let own = blocked(Reason::IdTaken, "app chosen is the operator's own OAuth client");
    assert_step(with(resource(), staged_before_create, operators_own(), accepted()), own);
    let deleting = || intending(deleting(json!({"spec": {"id": "chosen"}})));
    assert_step(with(deleting(), staged_before_create, as_wanted(), None), verify("next"));
    assert_step(with(deleting(), staged_before_create, as_wanted(), accepted()), delete());
    // It is left alone.
    assert_step(with(deleting(), free, as_wanted(), is_refused()), drop_finalizer());
    assert_step(with(deleting(), staged_before_create, operators_own(), accepted()), drop_finalizer());
}

#[test]
fn an_intended_id_that_another_resource_has_is_not_used() {
    let metadata = json!({"name": "other"});
    let other = IdOwner::Has(Box::new(chosen(json!({"metadata": metadata}))));
    let observed = observe(intending(chosen(json!({}))), free, |observed| observed.id_owner = other);
    assert_step(
        observed,
        blocked(
            Reason::IdConflict,
            "OrgOAuthApp other has the id chosen; delete this resource and create it again with another id",
        ),
    );
}

#[test]
fn where_no_token_can_tell_an_app_under_an_intended_id_is_the_one_that_was_created() {
    let with = |progress| {
        let intending = intending(chosen(code()));
        observe(intending, free, |observed| {
            observed.claim = progress;
            observed.remote = as_wanted();
        })
    };
    assert_step(with(ClaimProgress::Unchanged), claim(ClaimOrigin::Created));
    // It was free when the claim was recorded, and the create was refused.
    assert_step(with(CLAIMED_NOW), unclaim());
}

#[test]
fn a_secret_that_is_staged_before_a_create_carries_the_claim_that_says_whose_it_is() {
    let mut unowned = intending(chosen(json!({})));
    unowned.spec.deletion_policy = DeletionPolicy::Retain;
    let observed = observe(unowned, free, |observed| observed.remote = Remote::Absent);
    let Step::WriteRotation(contents, RotationWrite::Staged) = decide(&observed) else { panic!("nothing is staged") };
    // Without an owner the claim says whose the Secret is.
    assert!(matches!(holding(&observed.app, &contents).rotation, SecretState::Owned(_)));
    assert_eq!(contents.claim, Some(key().sign(&observed.app, &address(), &ClientId("chosen".into()), false)));
}

#[test]
fn a_claim_says_whether_the_app_was_created() {
    let created = |observed: Observed| {
        let claim = signed_claim(&observed)?;
        assert_eq!(claim, key().sign(&observed.app, &address(), &client_id(&observed.app), claim.created));
        Some(claim.created)
    };
    assert_eq!(created(observe(app(json!({})), free, nothing)), Some(true), "a derived id is the resource's");
    assert_eq!(created(observe(claimed(chosen(json!({}))), free, nothing)), Some(true));
    let intending = || intending(chosen(json!({})));
    assert_eq!(created(observe(intending(), free, nothing)), Some(false));
    assert_eq!(created(observe(intending(), free, |observed| observed.remote = Remote::JustCreated)), Some(true));
    assert_eq!(created(observe(intending(), published, nothing)), Some(true), "the claim on the Secret says so");
    let of_another_uid = |app: &OrgOAuthApp| {
        let mut before = app.clone();
        before.metadata.uid = Some("uid-0".into());
        published(&before)
    };
    assert_eq!(created(observe(intending(), of_another_uid, nothing)), Some(false), "it may be a copy");
    assert_eq!(created(observe(chosen(json!({})), free, nothing)), None, "it is not known to be the resource's");
    assert_eq!(created(observe(chosen(json!({})), published, nothing)), None);
    let elsewhere = |observed: &mut Observed| connect(observed, access(new_address(&[]), true));
    assert_eq!(created(observe(claimed(app(json!({}))), free, elsewhere)), None);
}

#[test]
fn a_lost_key_leaves_no_app_behind_and_says_so() {
    let lost = |app| observe(with_claim(app, &other_key(), true), free, nothing);
    let restore = "restore that key; to delete this resource without its app, set spec.deletionPolicy to Retain";
    assert_step(lost(deleting(json!({"spec": {"id": "chosen"}}))), blocked(Reason::IdTaken, restore));
    // Its uid proves it.
    assert_step(lost(deleting(json!({}))), delete());
}

fn new_address(former: &[String]) -> ApiAddress {
    ApiAddress::new(Api::CloudServices, "https://new.example.com", former)
}

#[test]
fn an_app_that_was_made_at_another_address_is_left_alone_until_an_administrator_says_it_is_the_same() {
    let moved = |app: &OrgOAuthApp, secrets: fn(&OrgOAuthApp) -> Secrets, former: &[String]| {
        observe(app.clone(), secrets, |observed| connect(observed, access(new_address(former), true)))
    };
    let former = ["https://IAM.example.com/".to_owned()];
    let changed = || blocked(Reason::EndpointChanged, "was made at https://iam.example.com");
    for app in [app(json!({})), chosen(json!({}))] {
        assert_step(moved(&claimed(app.clone()), free, &[]), changed());
        // By the claim on the Secret.
        assert_step(moved(&app, published, &[]), changed());
        assert_step(moved(&claimed(app), free, &former), read());
    }
    // Nothing is deleted there.
    assert_step(moved(&claimed(deleting(json!({}))), free, &[]), changed());
    assert_step(moved(&deleting(json!({})), published, &[]), changed());
    assert_step(moved(&claimed(deleting(json!({}))), free, &former), delete());
}

#[test]
fn of_two_resources_with_one_id_the_claim_decides_and_then_the_age() {
    let of = |uid: &str, created: &str| chosen(json!({"metadata": {"uid": uid, "creationTimestamp": created}}));
    let older = of("a", "2026-01-01T00:00:00Z");
    let younger = of("b", "2026-01-02T00:00:00Z");
    let first = |app: &OrgOAuthApp, other: &OrgOAuthApp| comes_first(app, &client_id(app), other);
    assert!(first(&younger, &older) && !first(&older, &younger));
    let same_age = of("b", "2026-01-01T00:00:00Z");
    assert!(first(&same_age, &older) && !first(&older, &same_age), "of one age the uid decides");
    let derived = app(json!({}));
    let spec = json!({"id": DERIVED, "adoptionPolicy": "AdoptAndRotate"});
    let adopting = app(json!({"spec": spec, "metadata": {"uid": "z", "creationTimestamp": "2025-01-04T00:00:00Z"}}));
    assert!(first(&adopting, &derived) && !first(&adopting, &older), "no other resource's app is adopted");
}

#[test]
fn a_claim_counts_for_its_resource_its_id_and_its_api_only() {
    let holder = claimed(chosen(json!({"metadata": {"uid": "c"}})));
    let id = ClientId("chosen".into());
    let counts = |ours: &ApiAddress, theirs: Option<&ApiAddress>| has_claim(&holder, &id, (ours, theirs), &key());
    assert!(counts(&address(), None));
    assert!(!counts(&new_address(&[]), None) && !counts(&new_address(&[]), Some(&address())));
    // Either administrator may say that two addresses are one API.
    let same = new_address(&["https://iam.example.com".to_owned()]);
    let theirs =
        ApiAddress::new(Api::CloudServices, "https://iam.example.com", &["https://new.example.com".to_owned()]);
    assert!(counts(&same, None) && counts(&new_address(&[]), Some(&theirs)));
    assert!(!has_claim(&holder, &ClientId("other".into()), (&address(), None), &key()));
    assert!(!has_claim(&holder, &id, (&address(), None), &other_key()));
    let mut forged = chosen(json!({"metadata": {"uid": "d"}}));
    forged.status = holder.status.clone();
    assert!(!has_claim(&forged, &id, (&address(), None), &key()), "a copied claim does not count");
}

#[test]
fn a_claim_that_was_signed_with_a_former_key_is_signed_again() {
    let rotated = ClaimKey::new(&[1; 32], [&[9; 32][..]]).unwrap();
    let signed_before = |app: &OrgOAuthApp| {
        let claim = Some(other_key().sign(app, &address(), &client_id(app), true));
        match SecretState::Absent.write(app, &SecretContents { claim, ..contents(app) }) {
            Some(SecretWrite::Create(secret)) => Secrets::only(guard(app, &rotated, Some(secret))),
            other => panic!("{other:?}"),
        }
    };
    let now = |observed: &mut Observed| {
        observed.key = rotated.clone();
        observed.remote = as_wanted();
    };
    assert_step(observe(app(json!({})), signed_before, now), write_secret(WriteReason::Signed, |_| {}));
}
