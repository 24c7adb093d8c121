//! The policy, case by case: what was observed, and the one step that follows.

use super::*;
use crate::claim::{ApiAddress, ClaimKey};
use crate::consumers::{RestartResult, StaleConsumers};
use crate::crd::{Api, DeletionPolicy, FINALIZER, OrgOAuthApp, Role, Roles};
use crate::reason::Reason;
use crate::remote::{ClientId, ClientSecret, Credentials, Deletion, Fault, HeldRoles, RemoteApp, Verification};
use crate::secret::{
    PendingSecret, PreviousSecret, ProvidedSecret, RotationMode, SecretContents, SecretState, SecretWrite, guard,
};
use crate::template;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const DERIVED: &str = "ooa-uid-1";

/// A resource as the API server shows it; `more` is merged into it.
fn app(more: Value) -> OrgOAuthApp {
    let mut app = json!({
        "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
        "metadata": {"name": "billing", "namespace": "team", "uid": "uid-1", "generation": 1,
                     "creationTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FINALIZER]},
        "spec": {"orgId": "org-1", "displayName": "Billing", "description": "Nightly",
                 "grantTypes": ["client_credentials"], "allowedScopes": {}},
    });
    merge(&mut app, more);
    serde_json::from_value(app).unwrap()
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

fn synced() -> Value {
    let condition = |kind| {
        json!({"type": kind, "status": "True", "reason": "Provisioned", "message": "",
                                  "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    json!({"status": {"observedGeneration": 1, "clientId": DERIVED, "secretName": "billing",
                      "conditions": [condition("Ready"), condition("Synced")]}})
}

fn deleting(more: Value) -> OrgOAuthApp {
    let mut all = json!({"metadata": {"deletionTimestamp": "2026-01-02T00:00:00Z"}});
    merge(&mut all, more);
    app(all)
}

fn key() -> ClaimKey {
    ClaimKey::new(&[1; 32], []).unwrap()
}

fn address() -> ApiAddress {
    ApiAddress::new(Api::CloudServices, "https://iam.example.com", &[])
}

/// With the operator's claim on its client id in status.
fn claimed(app: OrgOAuthApp) -> OrgOAuthApp {
    with_claim(app, true)
}

/// With a claim that only says that an app is about to be created.
fn intending(app: OrgOAuthApp) -> OrgOAuthApp {
    with_claim(app, false)
}

fn with_claim(mut app: OrgOAuthApp, created: bool) -> OrgOAuthApp {
    let claim = key().sign(&app, &address(), &client_id(&app), created);
    let status = app.status.get_or_insert_default();
    (status.client_id, status.claim) = (Some(claim.client_id.clone()), Some(claim));
    app
}

fn granted() -> Access {
    access(address(), true)
}

fn access(address: ApiAddress, adoption: bool) -> Access {
    let credential_check_interval = Duration::from_secs(1000 * 3600);
    Access::Granted { address, context: None, adoption, credential_check_interval }
}

fn credentials(value: &str) -> Credentials {
    Credentials { client_id: ClientId(DERIVED.into()), client_secret: Some(ClientSecret::new(value.into())) }
}

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * 3600).unwrap()
}

/// The two Secrets of a resource.
#[derive(Clone)]
struct Held {
    credential: SecretState,
    rotation: SecretState,
}

impl Held {
    fn only(credential: SecretState) -> Self {
        Self { credential, rotation: SecretState::Absent }
    }
}

impl Observed {
    fn hold(&mut self, held: Held) {
        (self.secret, self.rotation_secret) = (Some(held.credential), Some(held.rotation));
    }
}

fn holding(app: &OrgOAuthApp, content: &SecretContents) -> Held {
    let created = |write| match write {
        Some(SecretWrite::Create(secret)) => guard(app, &key(), Some(secret)),
        other => panic!("{other:?}"),
    };
    let credential = created(SecretState::Absent.write(app, content));
    match content.rotation_is_empty() {
        true => Held::only(credential),
        false => Held { credential, rotation: created(SecretState::Absent.write_rotation(app, content)) },
    }
}

fn value(value: &str) -> ClientSecret {
    ClientSecret::new(value.into())
}

fn content(app: &OrgOAuthApp) -> SecretContents {
    let claim = Some(key().sign(app, &address(), &client_id(app), true));
    let token_url = template::token_url(Api::CloudServices, "https://iam.example.com", &org_id(app));
    let extra = [("token-url".to_owned(), ClientSecret::new(token_url))].into();
    let published = SecretContents::default().publish(app, &client_id(app), Some(value("value")), at(0));
    SecretContents { claim, extra, ..published }
}

fn published(app: &OrgOAuthApp) -> Held {
    holding(app, &content(app))
}

/// A Secret with a next value that waits to become valid.
fn staged(mode: RotationMode) -> impl FnOnce(&OrgOAuthApp) -> Held {
    move |app| {
        let pending = Some(PendingSecret { secret: value("next"), mode, follows: 1, since: at(1), accepted_at: None });
        holding(app, &SecretContents { pending, ..content(app) })
    }
}

fn shown(fields: Value) -> Remote {
    let fields = fields.as_object().unwrap().clone();
    Remote::Shown(RemoteApp {
        id: ClientId(DERIVED.into()),
        fields,
        created_at: None,
        last_updated_at: None,
        is_caller: false,
    })
}

fn as_wanted() -> Remote {
    shown(json!({"displayName": "Billing", "description": "Nightly", "grantTypes": ["client_credentials"]}))
}

fn listed(remote: Remote) -> Remote {
    match remote {
        Remote::Shown(app) => Remote::Listed(Some(app)),
        other => other,
    }
}

/// With a token that was issued for what the Secret holds.
fn proven(mut app: OrgOAuthApp, held: &Held) -> OrgOAuthApp {
    let SecretContents { revision, rotated_at, .. } = held.credential.contents(&app);
    if revision > 0 {
        let rotation = app.status.get_or_insert_default().rotation.get_or_insert_default();
        (rotation.verified_revision, rotation.verified_at) = (Some(revision), rotated_at.map(Time));
    }
    app
}

/// The step that follows from a resource, its Secret and what else a pass has observed.
fn step(app: OrgOAuthApp, secret: impl FnOnce(&OrgOAuthApp) -> Held, also: impl FnOnce(&mut Observed)) -> String {
    say(decided(app, secret, also))
}

fn decided(app: OrgOAuthApp, secret: impl FnOnce(&OrgOAuthApp) -> Held, also: impl FnOnce(&mut Observed)) -> Step {
    let target = secret(&app);
    let app = proven(app, &target);
    let mut observed = Observed::new(app, granted(), key(), at(2), value("fresh"));
    observed.hold(target);
    observed.is_uncached = true;
    observed.secret_write = SecretWriteProgress::Accepted;
    also(&mut observed);
    decide(&observed)
}

const CLAIMED_NOW: ClaimProgress = ClaimProgress::Recorded(ClaimOrigin::New);

fn connect(observed: &mut Observed, access: Access) {
    (observed.desired, observed.access) = (validate::validate(&observed.app, &access), access);
}

/// The secret that is pending has come so far.
fn pending(observed: &mut Observed, progress: PendingProgress) {
    let secret = observed.contents().pending.unwrap().secret;
    observed.came_to(&secret, progress);
}

/// Whichever secret the API is asked about, it answers so.
fn verified(observed: &mut Observed, answer: impl Into<Option<Verification>>) {
    let (contents, provided) = (observed.contents(), observed.provided_secret().cloned());
    let secrets = [contents.current, contents.pending.map(|pending| pending.secret), provided];
    let answer = answer.into();
    for secret in secrets.into_iter().flatten() {
        answer.iter().for_each(|answer| observed.verified(&secret, answer.clone(), observed.now));
    }
}

fn say(step: Step) -> String {
    match step {
        Step::Finish(Outcome::Blocked(blocked)) => blocked.reason.as_str().into(),
        Step::Finish(Outcome::Waiting { reason, .. }) => format!("wait: {}", reason.as_str()),
        // The next check of the credential is later than anything that is looked at here.
        Step::Finish(Outcome::Settled { wake }) if wake.is_none_or(|at| at > self::at(500)) => "Settled".into(),
        Step::Finish(Outcome::Observed(plan)) => format!("plan: {plan}"),
        Step::Finish(outcome) => format!("{outcome:?}"),
        Step::Call(Call::Create(app)) => format!("Create {}", app.id),
        Step::Call(Call::Read(id)) => format!("Read {id}"),
        Step::Call(Call::FindInList(id)) => format!("Look {id}"),
        Step::Call(Call::Update(_, update, _)) => {
            let fields: Vec<_> = update.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("Update {}", fields.join(" "))
        }
        Step::Call(Call::Replace(..)) => "Replace".into(),
        Step::Call(Call::Rotate(_, _, overlap)) => format!("Rotate {}", overlap.as_secs()),
        Step::Call(Call::VerifySecret(_, secret)) => format!("Prove {}", secret.expose()),
        Step::Call(Call::Delete(id)) => format!("Delete {id}"),
        Step::Claim { id, origin: ClaimOrigin::New } => format!("Claim {id}"),
        Step::Claim { id, origin: ClaimOrigin::Adopted } => format!("Adopt {id}"),
        Step::Claim { id, origin: ClaimOrigin::Created } => format!("Created {id}"),
        Step::Claim { id, origin: ClaimOrigin::Restored } => format!("Restore {id}"),
        Step::TrySecret(_) => "TrySecret".into(),
        Step::RemoveSecret(secret) => format!("RemoveSecret {}", secret.name()),
        Step::ReleaseSecret(_) => "ReleaseSecret".into(),
        Step::WriteSecret(_, because) => format!("Write {because:?}"),
        Step::WriteRotation(SecretContents { pending: Some(pending), .. }, RotationWrite::Staged) => {
            format!("Stage {:?} {}", pending.mode, pending.secret.expose())
        }
        Step::WriteRotation(_, because) => format!("Rotation {because:?}"),
        Step::RestartConsumer(workload, at) if at == self::at(0) => format!("RestartConsumer {workload}"),
        step => format!("{step:?}"),
    }
}

fn free(_: &OrgOAuthApp) -> Held {
    Held::only(SecretState::Absent)
}

fn foreign(_: &OrgOAuthApp) -> Held {
    Held::only(SecretState::Foreign)
}

fn nothing(_: &mut Observed) {}

#[test]
fn a_new_app_takes_these_steps() {
    let bare = || app(json!({"metadata": {"finalizers": []}}));
    let mut observed = Observed::new(bare(), granted(), key(), at(2), value("fresh"));
    assert_eq!(say(decide(&observed)), "ReadSecrets");
    observed.hold(Held::only(SecretState::Absent));
    assert_eq!(say(decide(&observed)), "Call(Authenticate)");
    observed.authenticated = true;
    assert_eq!(say(decide(&observed)), "AddFinalizer");
    assert_eq!(
        say(decide(&{
            let mut observed = observed.clone();
            observed.saw(app(json!({})));
            observed
        })),
        "TrySecret"
    );
    observed.saw(app(json!({})));
    observed.secret_write = SecretWriteProgress::Accepted;
    assert_eq!(say(decide(&observed)), format!("Create {DERIVED}"));
    (observed.remote, observed.creation) = (Remote::AsDefined, Creation::Issued(credentials("value")));
    assert_eq!(say(decide(&observed)), "Write HandedOut");
    observed.hold(published(&observed.app));
    observed.creation = Creation::Stored;
    assert_eq!(say(decide(&observed)), "Prove value", "Ready means proven");
    verified(&mut observed, Verification::Accepted);
    assert_eq!(say(decide(&observed)), "Settled");
}

#[test]
fn nothing_is_asked_of_the_api_before_the_spec_and_the_secret_are_found_good() {
    assert_eq!(step(app(json!({"spec": {"suspend": true}})), free, nothing), "Suspended");
    assert_eq!(step(app(json!({"spec": {"secret": {"template": {"a": "{{"}}}})), free, nothing), "TemplateInvalid");
    // Twenty of the longest secrets in each key, in a form that triples them; what fits is not refused.
    let filled = |keys: usize| {
        let key = |n| (format!("key-{n}"), json!("{{ clientSecret | urlencode }}".repeat(20)));
        let template: serde_json::Map<String, Value> = (0..keys).map(key).collect();
        step(app(json!({"spec": {"secret": {"template": template}}})), free, nothing)
    };
    assert_eq!(filled(18), "SecretTooLarge");
    assert_eq!(filled(16), step(app(json!({})), free, nothing));
    let note = json!({"spec": {"secret": {"annotations": {"note": "x".repeat(256 << 10)}}}});
    assert_eq!(step(app(note), free, nothing), "SecretTooLarge");
    assert_eq!(step(app(json!({"spec": {"context": "TENANT"}})), free, nothing), "InvalidSpec");
    let refused = Access::Refused(Blocked::new(Reason::NotGranted, "no"));
    assert_eq!(step(app(json!({})), free, |observed| connect(observed, refused)), "NotGranted");
    assert_eq!(step(app(json!({})), foreign, nothing), "SecretConflict");
    assert_eq!(
        step(app(json!({})), foreign, |observed| observed.creation = Creation::Issued(credentials("v"))),
        "SecretConflict"
    );
}

#[test]
fn nothing_is_created_or_regenerated_from_a_cache_that_may_lag() {
    assert_eq!(step(app(json!({})), free, |observed| observed.is_uncached = false), "ReadResource");
    let lagging = |observed: &mut Observed| (observed.is_uncached, observed.remote) = (false, as_wanted());
    assert_eq!(step(app(json!({})), free, lagging), "ReadResource");
    let claiming = app(json!({"spec": {"id": "chosen"}}));
    let about_to_claim =
        |s: &mut Observed| (s.is_uncached, s.id_owner, s.remote) = (false, IdOwner::None, Remote::Absent);
    assert_eq!(step(claiming, free, about_to_claim), "ReadResource");
}

#[test]
fn a_create_that_is_refused_asks_whether_an_earlier_one_took_hold() {
    let refused = |remote| {
        move |observed: &mut Observed| {
            (observed.creation, observed.remote) = (Creation::Refused(Fault::Conflict("exists".into())), remote)
        }
    };
    assert_eq!(step(app(json!({})), free, refused(Remote::Unread)), format!("Read {DERIVED}"));
    assert_eq!(step(app(json!({})), free, refused(as_wanted())), "Stage Replace fresh");
    assert_eq!(step(app(json!({})), free, refused(Remote::Absent)), "wait: ApiConflict");
}

#[test]
fn an_app_that_was_published_before_is_read_before_its_secret_is_replaced() {
    let before = || claimed(app(synced()));
    assert_eq!(step(before(), free, nothing), format!("Read {DERIVED}"));
    assert_eq!(step(before(), free, |observed| observed.remote = as_wanted()), "Stage Replace fresh");
    assert_eq!(step(before(), free, |observed| observed.remote = Remote::Absent), format!("Create {DERIVED}"));
}

#[test]
fn a_chosen_id_is_used_only_once_it_is_free_and_claimed() {
    let chosen = || app(json!({"spec": {"id": "chosen"}, "metadata": {"finalizers": []}}));
    let with = |id_owner, remote, authenticated| {
        let also = |observed: &mut Observed| {
            (observed.id_owner, observed.remote, observed.authenticated) = (id_owner, remote, authenticated)
        };
        step(chosen(), free, also)
    };
    assert_eq!(with(IdOwner::Unread, Remote::Unread, false), "FindIdOwner");
    assert_eq!(with(IdOwner::Has(Box::new(chosen())), Remote::Unread, false), "IdConflict");
    assert_eq!(with(IdOwner::None, Remote::Unread, false), "Read chosen");
    assert_eq!(with(IdOwner::None, as_wanted(), false), "IdTaken");
    assert_eq!(with(IdOwner::None, Remote::Absent, true), "AddFinalizer");
    let attached = app(json!({"spec": {"id": "chosen"}}));
    let ready = |observed: &mut Observed| (observed.id_owner, observed.remote) = (IdOwner::None, Remote::Absent);
    assert_eq!(step(attached, free, ready), "Claim chosen");
    let claimed = || claimed(app(json!({"spec": {"id": "chosen"}})));
    let now = |observed: &mut Observed| (observed.claim, observed.remote) = (CLAIMED_NOW, Remote::Absent);
    assert_eq!(step(claimed(), free, now), "Create chosen");
    assert_eq!(step(claimed(), free, |observed| observed.remote = as_wanted()), "Stage Replace fresh");
}

#[test]
fn an_id_that_somebody_else_took_just_after_it_was_claimed_is_given_back() {
    let claimed = intending(app(json!({"spec": {"id": "chosen"}})));
    let taken = |observed: &mut Observed| {
        (observed.claim, observed.remote) = (CLAIMED_NOW, as_wanted());
        observed.creation = Creation::Refused(Fault::Conflict("exists".into()));
    };
    assert_eq!(step(claimed, free, taken), "Unclaim");
}

#[test]
fn a_claim_is_taken_back_when_the_create_is_refused_and_nothing_is_there() {
    let refused = |observed: &mut Observed| {
        (observed.claim, observed.id_owner, observed.remote) = (CLAIMED_NOW, IdOwner::None, Remote::Absent);
        observed.creation = Creation::Refused(Fault::Rejected("no".into()));
    };
    assert_eq!(step(intending(app(json!({"spec": {"id": "chosen"}}))), free, refused), "Unclaim");
    let junk = |app: &OrgOAuthApp| {
        let claim = Some(key().sign(app, &address(), &client_id(app), false));
        holding(app, &SecretContents { claim, ..content(app) })
    };
    assert_eq!(
        step(intending(app(json!({"spec": {"id": "chosen"}}))), junk, refused),
        "Unclaim",
        "whatever the Secret holds"
    );
    assert_eq!(step(app(json!({"spec": {"id": "chosen"}})), free, refused), "Rejected", "and then it is said");
    assert_eq!(step(app(json!({})), free, refused), "Rejected", "a derived id needs no claim");
}

/// A resource that chose an id, with what its status and its Secret say; the API shows the app, and nobody else has it.
fn chosen_with(status: impl FnOnce(&mut OrgOAuthApp), secret: impl FnOnce(&OrgOAuthApp) -> Held) -> String {
    let mut app = app(json!({"spec": {"id": "victim"}}));
    status(&mut app);
    step(app, secret, |observed| (observed.id_owner, observed.remote) = (IdOwner::None, as_wanted()))
}

#[test]
fn nothing_that_a_tenant_can_write_makes_an_app_its_own() {
    let forged_secret =
        |app: &OrgOAuthApp| holding(app, &SecretContents { claim: None, current: None, ..content(app) });
    assert_eq!(chosen_with(|_| {}, forged_secret), "IdTaken", "a Secret with the client id");
    let client_id = |app: &mut OrgOAuthApp| app.status.get_or_insert_default().client_id = Some("victim".into());
    assert_eq!(chosen_with(client_id, free), "IdTaken", "a client id in status");
    let of_another = |app: &mut OrgOAuthApp| {
        let mut other = app.clone();
        other.metadata.name = Some("owner".into());
        app.status = claimed(other).status;
    };
    assert_eq!(chosen_with(of_another, free), "IdTaken", "the claim of another resource");
    let of_another_uid = |app: &mut OrgOAuthApp| {
        let mut before = app.clone();
        before.metadata.uid = Some("uid-0".into());
        app.status = claimed(before).status;
    };
    assert_eq!(chosen_with(of_another_uid, free), "IdTaken", "a status restored with another uid");
    let other_key = |app: &mut OrgOAuthApp| {
        let key = ClaimKey::new(&[9; 32], []).unwrap();
        app.status.get_or_insert_default().claim = Some(key.sign(app, &address(), &super::client_id(app), true));
    };
    assert_eq!(chosen_with(other_key, free), "IdTaken", "a claim signed with another key");
}

#[test]
fn a_resource_restored_without_its_status_finds_its_app_by_the_claim_on_its_secret() {
    assert_eq!(chosen_with(|_| {}, published), "Prove value", "another resource may have claimed it meanwhile");
    let mut before = app(json!({}));
    let secret = published(&before);
    before.metadata.uid = Some("uid-2".into());
    let restored = |_: &OrgOAuthApp| secret.clone();
    let observed = |observed: &mut Observed| (observed.id_owner, observed.remote) = (IdOwner::None, as_wanted());
    assert_eq!(step(before.clone(), restored, nothing), "FindIdOwner");
    assert_eq!(step(before.clone(), restored, observed), "Prove value", "with another uid a claim may be a copy");
    let proven = |proof| {
        move |observed: &mut Observed| {
            (observed.id_owner, observed.remote) = (IdOwner::None, as_wanted());
            verified(observed, proof)
        }
    };
    assert_eq!(step(before.clone(), restored, proven(Verification::Accepted)), format!("Restore {DERIVED}"));
    assert_eq!(
        step(before, restored, proven(Verification::Refused("no".into()))),
        "IdTaken",
        "made again by somebody else"
    );
}

#[test]
fn an_app_under_an_intended_id_is_this_resources_only_with_the_secret_that_was_staged_before_the_create() {
    let intending = || intending(app(json!({"spec": {"id": "chosen"}})));
    let with = |remote, proof: Option<Verification>| {
        move |observed: &mut Observed| {
            observed.remote = remote;
            verified(observed, proof)
        }
    };
    let unsigned = |app: &OrgOAuthApp, pending| holding(app, &SecretContents { pending, ..SecretContents::default() });
    let staged = |app: &OrgOAuthApp| {
        unsigned(
            app,
            Some(PendingSecret {
                secret: value("next"),
                mode: RotationMode::Replace,
                follows: 0,
                since: at(1),
                accepted_at: None,
            }),
        )
    };
    assert_eq!(step(intending(), free, with(Remote::Unread, None)), "Read chosen");
    assert_eq!(step(intending(), free, with(Remote::Absent, None)), "Stage Create fresh");
    let mut unowned = intending();
    unowned.spec.deletion_policy = DeletionPolicy::Retain;
    let mut observed = Observed::new(unowned, granted(), key(), at(2), value("fresh"));
    observed.hold(Held::only(SecretState::Absent));
    (observed.remote, observed.is_uncached) = (Remote::Absent, true);
    observed.secret_write = SecretWriteProgress::Accepted;
    let Step::WriteRotation(held, RotationWrite::Staged) = decide(&observed) else { panic!("nothing is staged") };
    let SecretState::Owned(_) = holding(&observed.app, &held).rotation else {
        panic!("without an owner the claim says whose it is")
    };
    assert!(!held.claim.unwrap().created);
    assert_eq!(step(intending(), staged, with(Remote::Absent, None)), "Create chosen");
    assert_eq!(step(intending(), staged, with(as_wanted(), None)), "Prove next");
    assert_eq!(step(intending(), staged, with(as_wanted(), Some(Verification::Accepted))), "Created chosen");
    assert_eq!(step(intending(), staged, with(as_wanted(), Some(Verification::Refused("no".into())))), "Unclaim");
    assert_eq!(step(intending(), free, with(as_wanted(), None)), "Unclaim", "made by somebody else meanwhile");
    let deleting = || with_claim(deleting(json!({"spec": {"id": "chosen"}})), false);
    assert_eq!(step(deleting(), staged, with(as_wanted(), None)), "Prove next");
    assert_eq!(step(deleting(), staged, with(as_wanted(), Some(Verification::Accepted))), "Delete chosen");
    let refused = with(as_wanted(), Some(Verification::Refused("no".into())));
    assert_eq!(step(deleting(), free, refused), "DropFinalizer", "it is left alone");
}

#[test]
fn a_lost_key_leaves_no_app_behind_and_says_so() {
    let other_key = |mut app: OrgOAuthApp| {
        let claim = ClaimKey::new(&[9; 32], []).unwrap().sign(&app, &address(), &client_id(&app), true);
        app.status.get_or_insert_default().claim = Some(claim);
        app
    };
    assert_eq!(step(other_key(deleting(json!({"spec": {"id": "chosen"}}))), free, nothing), "IdTaken");
    assert_eq!(step(other_key(deleting(json!({}))), free, nothing), format!("Delete {DERIVED}"), "its uid proves it");
}

#[test]
fn a_resource_restored_without_any_claim_finds_its_app_by_a_credential_that_works() {
    let unsigned = |app: &OrgOAuthApp| holding(app, &SecretContents { claim: None, ..content(app) });
    assert_eq!(chosen_with(|_| {}, unsigned), "Prove value");
    let proven = |proof: Verification| {
        let also = |observed: &mut Observed| {
            {
                (observed.id_owner, observed.remote) = (IdOwner::None, as_wanted());
                verified(observed, proof)
            };
        };
        step(app(json!({"spec": {"id": "victim"}})), unsigned, also)
    };
    assert_eq!(proven(Verification::Accepted), "Restore victim");
    assert_eq!(proven(Verification::Refused("no".into())), "IdTaken");
}

#[test]
fn an_app_that_was_made_at_another_address_is_left_alone_until_an_administrator_says_it_is_the_same() {
    let moved = |previous_target: &[String]| {
        let address = ApiAddress::new(Api::CloudServices, "https://new.example.com", previous_target);
        move |observed: &mut Observed| connect(observed, access(address, true))
    };
    let before = "https://IAM.example.com/".to_owned();
    for app in [app(json!({})), app(json!({"spec": {"id": "chosen"}}))] {
        assert_eq!(step(claimed(app.clone()), free, moved(&[])), "EndpointChanged");
        assert_eq!(step(app.clone(), published, moved(&[])), "EndpointChanged", "by the claim on the Secret");
        assert!(step(claimed(app), free, moved(std::slice::from_ref(&before))).starts_with("Read "));
    }
    let gone = || claimed(deleting(json!({})));
    assert_eq!(step(gone(), free, moved(&[])), "EndpointChanged", "nothing is deleted there");
    assert_eq!(step(gone(), free, moved(&[before])), format!("Delete {DERIVED}"));
    assert_eq!(step(deleting(json!({})), published, moved(&[])), "EndpointChanged", "by the claim on the Secret");
}

#[test]
fn of_two_resources_with_one_id_the_claim_decides_and_then_the_age() {
    let of = |uid: &str, created: &str| {
        app(json!({"spec": {"id": "chosen"}, "metadata": {"uid": uid, "creationTimestamp": created}}))
    };
    let older = of("a", "2026-01-01T00:00:00Z");
    let younger = of("b", "2026-01-02T00:00:00Z");
    let first = |app: &OrgOAuthApp, other: &OrgOAuthApp| comes_first(app, &client_id(app), other);
    assert!(first(&younger, &older) && !first(&older, &younger));
    let derived = app(json!({}));
    let spec = json!({"id": DERIVED, "adoptionPolicy": "AdoptAndRotate"});
    let adopting = app(json!({"spec": spec, "metadata": {"uid": "z", "creationTimestamp": "2025-01-04T00:00:00Z"}}));
    assert!(first(&adopting, &derived) && !first(&adopting, &older), "no other resource's app is adopted");

    let holder = claimed(of("c", "2026-01-03T00:00:00Z"));
    let id = ClientId("chosen".into());
    let elsewhere = ApiAddress::new(Api::CloudServices, "https://new.example.com", &[]);
    assert!(
        has_claim(&holder, &id, (&address(), None), &key()) && !has_claim(&holder, &id, (&elsewhere, None), &key())
    );
    let mut forged = of("d", "2026-01-04T00:00:00Z");
    forged.status = holder.status.clone();
    assert!(!has_claim(&forged, &id, (&address(), None), &key()), "a copied claim has no say");
}

#[test]
fn what_is_settled_is_left_alone_and_what_was_edited_is_put_back() {
    assert_eq!(step(app(synced()), published, nothing), format!("Look {DERIVED}"));
    assert_eq!(step(app(synced()), published, |observed| observed.remote = listed(as_wanted())), "Settled");
    let other_label = app(json!({"spec": {"secret": {"labels": {"team": "a"}}}}));
    let edited = move |_: &OrgOAuthApp| published(&other_label);
    assert_eq!(step(app(json!({"spec": {"secret": {"labels": {"team": "b"}}}})), edited, nothing), "Write PutBack");
}

#[test]
fn what_kubernetes_makes_of_the_secret_is_not_fought_over() {
    let other_label = app(json!({"spec": {"secret": {"labels": {"team": "a"}}}}));
    let changed = move |_: &OrgOAuthApp| published(&other_label);
    let mut more = synced();
    merge(&mut more, json!({"spec": {"secret": {"labels": {"team": "b"}}}}));
    assert_eq!(
        step(app(more), changed, |observed| (observed.secret_write, observed.remote) =
            (SecretWriteProgress::Written, as_wanted())),
        "Settled"
    );
}

#[test]
fn a_changed_spec_is_compared_with_what_the_api_shows() {
    assert_eq!(step(app(json!({})), published, nothing), format!("Read {DERIVED}"));
    assert_eq!(step(app(json!({})), published, |observed| observed.remote = as_wanted()), "Settled");
    let other = shown(json!({"displayName": "Other", "description": "Nightly", "grantTypes": ["client_credentials"]}));
    let update = r#"Update description="Nightly" displayName="Billing" grantTypes=["client_credentials"]"#;
    assert_eq!(step(app(json!({})), published, |observed| observed.remote = other.clone()), update);
    let sent = |seconds: i64| {
        let other = other.clone();
        move |observed: &mut Observed| {
            let desired = observed.desired.clone().unwrap();
            observed.remembered.sent =
                Some(SentChange { desired, at: observed.now - SignedDuration::from_secs(seconds), is_shown: false });
            observed.remote = other;
        }
    };
    assert_eq!(step(app(json!({})), published, sent(119)), "wait: Updating", "the API may show it later");
    assert_eq!(step(app(json!({})), published, sent(120)), "ChangeNotTaken");
    assert_eq!(step(app(json!({})), published, sent(600)), update, "after a while it is tried again");
    let respecified = app(json!({"spec": {"description": "Daily"}}));
    let earlier = |observed: &mut Observed| {
        sent(1)(observed);
        observed.remembered.sent.as_mut().unwrap().desired.insert("description".into(), json!("Nightly"));
    };
    let next = r#"Update description="Daily" displayName="Billing" grantTypes=["client_credentials"]"#;
    assert_eq!(step(respecified, published, earlier), next, "a further change does not wait");
    let taken_back = |seconds| {
        step(app(json!({})), published, move |observed| {
            let mut desired = observed.desired.clone().unwrap();
            desired.insert("description".into(), json!("Daily"));
            let at = observed.now - SignedDuration::from_secs(seconds);
            observed.remembered.sent = Some(SentChange { desired, at, is_shown: false });
            observed.saw_remote(as_wanted());
        })
    };
    let drifted_after = |observed: &mut Observed| {
        sent(1)(observed);
        observed.saw_remote(as_wanted());
        observed.saw_remote(shown(
            json!({"displayName": "Other", "description": "Nightly", "grantTypes": ["client_credentials"]}),
        ));
    };
    assert_eq!(step(app(json!({})), published, drifted_after), update, "what was shown and differs again is drift");
    let back = r#"Update description="Nightly" displayName="Billing" grantTypes=["client_credentials"]"#;
    assert_eq!(taken_back(119), back, "the API may show what was before both changes");
    assert_eq!(taken_back(120), "Settled");
}

/// The API does not show the app, for so many seconds.
fn absent(seconds: i64, list: ListWitness) -> impl Fn(&mut Observed) {
    move |observed: &mut Observed| {
        observed.saw_remote(Remote::Absent);
        observed.remembered.absent_since = Some(observed.now - SignedDuration::from_secs(seconds));
        observed.list = list;
    }
}

#[test]
fn one_404_changes_nothing_and_an_app_is_gone_once_a_pause_the_list_and_a_token_request_say_so() {
    let with = |witnesses: &dyn Fn(&mut Observed)| step(app(json!({})), published, |observed| witnesses(observed));
    assert_eq!(with(&|observed| observed.saw_remote(Remote::Absent)), "wait: AppNotShown");
    assert_eq!(with(&absent(9, ListWitness::ShowsNot)), "wait: AppNotShown");
    assert!(with(&absent(10, ListWitness::Unasked)).starts_with("Call(ConfirmAbsence("));
    assert_eq!(with(&absent(10, ListWitness::Shows)), "wait: AppNotShown");
    for list in [ListWitness::NoList, ListWitness::ShowsNot] {
        let answered = |answer: Verification| {
            with(&move |observed: &mut Observed| {
                absent(10, list)(observed);
                verified(observed, answer.clone());
            })
        };
        assert_eq!(with(&absent(10, list)), "Prove value");
        assert_eq!(answered(Verification::Accepted), "wait: AppNotShown", "it works, so it is there");
        // The new secret is durable before the app is created again.
        assert_eq!(answered(Verification::Refused("no".into())), "Stage Create fresh");
    }
    let code = app(json!({"spec": {"grantTypes": ["authorization_code"]}}));
    assert_eq!(step(code, published, absent(10, ListWitness::ShowsNot)), "Stage Create fresh", "no token can tell");
    let nothing_to_lose = app(json!({}));
    assert_eq!(step(nothing_to_lose, free, absent(0, ListWitness::Unasked)), format!("Create {DERIVED}"));
}

#[test]
fn a_secret_that_is_staged_for_a_create_never_replaces_one_that_works() {
    let with = |remote: Remote, pending: Option<Verification>, current: Option<Verification>| {
        step(app(json!({})), staged(RotationMode::Create), move |observed| {
            observed.saw_remote(remote);
            pending.into_iter().for_each(|answer| observed.verified(&value("next"), answer, observed.now));
            current.into_iter().for_each(|answer| verified_for_good(observed, answer));
        })
    };
    let (yes, no) = (|| Some(Verification::Accepted), || Some(Verification::Refused("no".into())));
    assert_eq!(with(Remote::Unread, None, None), format!("Read {DERIVED}"));
    assert_eq!(with(as_wanted(), None, None), "Prove next");
    assert_eq!(with(as_wanted(), yes(), None), "Write Replaced", "the create took hold");
    assert_eq!(with(as_wanted(), no(), None), "Prove value");
    assert_eq!(with(as_wanted(), no(), yes()), "Rotation Over", "the app was never gone");
    assert_eq!(with(as_wanted(), no(), no()), "Replace");
    let soon = |observed: &mut Observed| {
        observed.saw_remote(as_wanted());
        observed.now = at(1);
        for secret in ["next", "value"] {
            observed.verified(&value(secret), Verification::Refused("no".into()), observed.now);
        }
    };
    assert_eq!(step(app(json!({})), staged(RotationMode::Create), soon), "wait: SecretNotProven");
}

#[test]
fn an_organization_that_ceased_to_exist_is_sent_to_the_api_once() {
    let restricted = |more: Value| {
        let mut all = more;
        merge(&mut all, json!({"spec": {"allowedOrgs": ["org-2", "gone"]}}));
        app(all)
    };
    let mut fields = json!({"displayName": "Billing", "description": "Nightly", "grantTypes": ["client_credentials"]});
    fields["allowedOrgs"] = json!([{"id": "org-2", "name": "two", "displayName": "Two"}]);
    let vanished = shown(fields);
    let sent = step(restricted(json!({})), published, |observed| observed.remote = vanished.clone());
    assert!(sent.contains(r#"allowedOrgs=["org-2","gone"]"#), "{sent}");
    let updated = |observed: &mut Observed| {
        (observed.remote, observed.updated) = (vanished.clone(), vec!["allowedOrgs".into()]);
        verified(observed, Verification::Accepted);
    };
    assert_eq!(step(restricted(json!({})), published, updated), "Settled");
    assert_eq!(step(restricted(synced()), published, |observed| observed.remote = listed(vanished.clone())), "Settled");
}

/// A resource whose spec is one line, and these.
fn one_line(more: Value) -> OrgOAuthApp {
    let mut app = app(json!({}));
    let mut spec = json!({"orgId": "org-1"});
    merge(&mut spec, more);
    app.spec = serde_json::from_value(spec).unwrap();
    app
}

#[test]
fn a_name_that_somebody_gave_an_app_survives_changes_of_what_the_spec_says() {
    let renamed =
        shown(json!({"displayName": "Renamed", "description": "By hand", "grantTypes": ["client_credentials"]}));
    let at_api = |remote: &Remote| {
        let remote = remote.clone();
        move |observed: &mut Observed| observed.remote = remote
    };
    let update =
        r#"Update accessTokenTTL=60 description="By hand" displayName="Renamed" grantTypes=["client_credentials"]"#;
    assert_eq!(step(one_line(json!({})), published, at_api(&renamed)), "Settled");
    assert_eq!(step(one_line(json!({"accessTokenTTL": 60})), published, at_api(&renamed)), update);
    // A secret is replaced by an update too.
    assert_eq!(step(one_line(json!({})), staged(RotationMode::Replace), nothing), format!("Read {DERIVED}"));
    assert_eq!(step(one_line(json!({})), staged(RotationMode::Replace), at_api(&renamed)), "Replace");
}

#[test]
fn what_a_create_cannot_carry_follows_in_one_update() {
    let app = || one_line(json!({"useCspIssuerUrl": false, "accessTokenTTL": 60}));
    let created = |observed: &mut Observed| observed.remote = Remote::AsDefined;
    let update = r#"Update description="team/billing" displayName="billing" grantTypes=["client_credentials"] useCspIssuerUrl=false"#;
    assert_eq!(step(app(), published, created), update);
    let updated = |observed: &mut Observed| {
        (observed.remote, observed.updated) = (Remote::AsDefined, vec!["useCspIssuerUrl".into()]);
        verified(observed, Verification::Accepted);
    };
    assert_eq!(step(app(), published, updated), "Settled");
    assert_eq!(step(one_line(json!({})), published, created), "Settled");
}

#[test]
fn a_secret_of_an_app_without_grant_types_is_proven_by_a_token() {
    assert_eq!(step(one_line(json!({})), staged(RotationMode::Overlap), nothing), "Prove next");
}

#[test]
fn an_overlap_without_an_interval_shapes_requested_rotations_only() {
    let spec = || json!({"rotation": {"overlap": "2h"}});
    let years_later = |observed: &mut Observed| {
        (observed.now, observed.remote) = (at(100_000), as_wanted());
        verified(observed, Verification::Accepted);
    };
    assert_eq!(step(one_line(spec()), published, years_later), "Settled");
    let mut asked = one_line(spec());
    asked.metadata.annotations = Some([(crate::crd::ROTATE_REQUESTED.to_owned(), "now".to_owned())].into());
    assert_eq!(step(asked, |_| published(&one_line(spec())), nothing), "Stage Overlap fresh");
    let sent = |observed: &mut Observed| pending(observed, PendingProgress::Staged);
    assert_eq!(step(one_line(spec()), staged(RotationMode::Overlap), sent), "Rotate 7200");
    assert_eq!(
        step(one_line(json!({"rotation": {"interval": "720h"}})), staged(RotationMode::Overlap), sent),
        "Rotate 172800"
    );
}

#[test]
fn what_a_list_shows_otherwise_is_read_before_anything_is_done() {
    let other = shown(json!({"displayName": "Other"}));
    for doubtful in [listed(other), Remote::Listed(None)] {
        assert_eq!(step(app(synced()), published, |observed| observed.remote = doubtful), format!("Read {DERIVED}"));
    }
    let mut asked = synced();
    merge(&mut asked, json!({"metadata": {"annotations": {"oauth-apps.dev/reconcile-requested-at": "1"}}}));
    assert_eq!(step(app(asked), published, nothing), format!("Read {DERIVED}"), "who asks gets no old list");
}

#[test]
fn a_field_that_no_update_can_carry_is_said() {
    let open = shown(json!({"displayName": "Billing", "description": "Nightly", "grantTypes": ["client_credentials"],
                            "publicClient": true}));
    let closed = app(json!({"spec": {"publicClient": false}}));
    assert_eq!(step(closed, published, |observed| observed.remote = open), "ImmutableField");
}

#[test]
fn a_staged_secret_goes_to_the_api_and_then_to_the_consumers() {
    let taken = |observed: &mut Observed| pending(observed, PendingProgress::Accepted);
    assert_eq!(step(app(synced()), staged(RotationMode::Replace), nothing), "Replace");
    assert_eq!(step(app(synced()), staged(RotationMode::Replace), taken), "Write Replaced");
    assert_eq!(
        step(app(synced()), staged(RotationMode::Overlap), |observed| pending(observed, PendingProgress::Staged)),
        "Rotate 172800"
    );
    assert_eq!(step(app(synced()), staged(RotationMode::Overlap), taken), "Rotation Accepted", "it is durable at once");
    let proven = |proof| move |observed: &mut Observed| verified(observed, proof);
    assert_eq!(step(app(synced()), accepted, nothing), "Prove next");
    assert_eq!(step(app(synced()), accepted, proven(Verification::Accepted)), "Write Rotated");
    let refused = |hours, current: Option<Verification>| {
        move |observed: &mut Observed| {
            (observed.now, observed.remote) = (at(hours), as_wanted());
            observed.verified(&value("next"), Verification::Refused("no".into()), observed.now);
            current.into_iter().for_each(|answer| verified_for_good(observed, answer));
        }
    };
    let then = |hours, current| step(app(synced()), accepted, refused(hours, current));
    assert_eq!(then(1, None), "wait: SecretNotProven", "the API may not know it yet");
    assert_eq!(then(2, None), "Prove value");
    assert_eq!(then(2, Some(Verification::Accepted)), "wait: SecretNotProven", "it is never sent again");
    assert_eq!(
        then(49, Some(Verification::Accepted)),
        "Rotation Over",
        "the overlap is over, and the current one works"
    );
    assert_eq!(
        then(2, Some(Verification::Refused("no".into()))),
        "Stage Replace next",
        "neither works, so it is replaced"
    );
    let code = app(json!({"spec": {"grantTypes": ["authorization_code"]}}));
    assert_eq!(step(code, accepted, nothing), "Write Rotated", "no token can tell");
}

/// A Secret with a next value that the API is known to have accepted.
fn accepted(app: &OrgOAuthApp) -> Held {
    let (since, accepted_at) = (at(1), Some(at(1)));
    let pending =
        Some(PendingSecret { secret: value("next"), mode: RotationMode::Overlap, follows: 1, since, accepted_at });
    holding(app, &SecretContents { pending, previous: Some(previous_value()), ..content(app) })
}

/// The present secret, as it is kept beside the one that was accepted at hour 1.
fn previous_value() -> PreviousSecret {
    PreviousSecret { secret: value("value"), expires_at: at(49) }
}

#[test]
fn the_present_secret_is_durable_as_the_previous_one_before_consumers_find_another() {
    let without_previous = |observed: &mut Observed| {
        verified(observed, Verification::Accepted);
        let contents = SecretContents { previous: None, ..observed.contents() };
        observed.hold(holding(&observed.app, &contents));
    };
    assert_eq!(step(app(synced()), accepted, without_previous), "Rotation Accepted");
    assert_eq!(step(app(synced()), accepted, |observed| verified(observed, Verification::Accepted)), "Write Rotated");
}

#[test]
fn a_pending_secret_that_consumers_find_is_pending_no_more() {
    let published = |mode: RotationMode| {
        let app = app(synced());
        let contents = content(&app).publish(&app, &client_id(&app), Some(value("next")), at(1));
        let pending = Some(PendingSecret { secret: value("next"), mode, follows: 1, since: at(1), accepted_at: None });
        let contents = SecretContents { pending, previous: Some(previous_value()), ..contents };
        let mut observed = Observed::new(app.clone(), granted(), key(), at(2), value("fresh"));
        observed.hold(holding(&app, &contents));
        match decide(&observed) {
            Step::WriteRotation(contents, RotationWrite::Over) => (contents.pending, contents.previous),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(published(RotationMode::Overlap), (None, Some(previous_value())));
    for mode in [RotationMode::Replace, RotationMode::Create, RotationMode::Unknown] {
        assert_eq!(published(mode), (None, None), "the former ones are not valid any more");
    }
    let again = |app: &OrgOAuthApp| {
        let (since, accepted_at) = (at(1), None);
        let (secret, mode) = (value("value"), RotationMode::Replace);
        let pending = Some(PendingSecret { secret, mode, follows: 1, since, accepted_at });
        holding(app, &SecretContents { pending, ..content(app) })
    };
    assert_eq!(step(app(synced()), again, nothing), "Replace", "the published one is sent again");
}

#[test]
fn a_pending_secret_is_given_up_once_another_one_was_published_or_the_secret_is_deleted() {
    for mode in [RotationMode::Overlap, RotationMode::Replace, RotationMode::Create] {
        let overtaken = |app: &OrgOAuthApp| {
            let held = staged(mode)(app);
            let newer = content(app).publish(app, &client_id(app), Some(value("of another process")), at(1));
            Held { credential: holding(app, &newer).credential, ..held }
        };
        assert_eq!(step(app(synced()), overtaken, nothing), "Rotation Over");
        let deleted = |app: &OrgOAuthApp| Held { credential: SecretState::Absent, ..staged(mode)(app) };
        assert_eq!(step(app(synced()), deleted, nothing), "Rotation Over");
    }
}

#[test]
fn a_pending_secret_of_which_nobody_knows_what_became_is_verified_and_replaces_nothing() {
    assert_eq!(step(app(synced()), staged(RotationMode::Unknown), nothing), "Rotation PutBack");
}

#[test]
fn the_secret_of_the_rotation_is_guarded_like_the_other_one() {
    let foreign = |app: &OrgOAuthApp| Held { rotation: SecretState::Foreign, ..published(app) };
    let shown = |observed: &mut Observed| observed.remote = as_wanted();
    assert_eq!(step(app(json!({})), foreign, shown), "Settled", "nothing has to be written there");
    let asked = json!({"metadata": {"annotations": {"oauth-apps.dev/rotate-requested-at": "now"}}});
    let before = move |_: &OrgOAuthApp| foreign(&app(json!({})));
    assert_eq!(step(app(asked), before, shown), "SecretConflict");
    let unsigned = |app: &OrgOAuthApp| {
        let previous = Some(PreviousSecret { secret: value("before"), expires_at: at(3) });
        let rotation = holding(app, &SecretContents { claim: None, previous, ..content(app) }).rotation;
        Held { rotation, ..published(app) }
    };
    assert_eq!(step(app(json!({})), unsigned, nothing), "Rotation PutBack", "its claim is renewed");
}

#[test]
fn a_rotation_that_an_earlier_pass_began_is_not_sent_twice_unasked() {
    let known = |proof| move |observed: &mut Observed| verified(observed, proof);
    let conflict = |was_found| {
        move |observed: &mut Observed| {
            observed.remote = shown(Value::Object(observed.desired.clone().unwrap()));
            pending(observed, PendingProgress::Conflict { was_found });
        }
    };
    assert_eq!(step(app(synced()), staged(RotationMode::Overlap), nothing), "Prove next");
    assert_eq!(step(app(synced()), staged(RotationMode::Overlap), known(Verification::Accepted)), "Rotation Accepted");
    let refused = |minutes: i64, current: Option<Verification>| {
        move |observed: &mut Observed| {
            (observed.now, observed.remote) = (at(1) + SignedDuration::from_mins(minutes), as_wanted());
            observed.verified(&value("next"), Verification::Refused("no".into()), observed.now);
            current.into_iter().for_each(|answer| verified_for_good(observed, answer));
        }
    };
    let again = |minutes, current| step(app(synced()), staged(RotationMode::Overlap), refused(minutes, current));
    assert_eq!(again(1, None), "wait: SecretNotProven", "the API may not know it yet");
    assert_eq!(again(2, None), "Prove value");
    // Staged again, so that the time of a second send is durable too.
    assert_eq!(again(2, Some(Verification::Accepted)), "Stage Overlap next");
    assert_eq!(
        again(2, Some(Verification::Refused("no".into()))),
        "Stage Replace next",
        "neither works, so it is replaced"
    );
    assert_eq!(step(app(synced()), staged(RotationMode::Overlap), conflict(true)), "wait: RotationRunning");
    let code = || app(json!({"spec": {"grantTypes": ["authorization_code"]}}));
    assert_eq!(step(code(), staged(RotationMode::Overlap), nothing), "Rotate 172800");
    assert_eq!(step(code(), staged(RotationMode::Overlap), conflict(true)), "Rotation Accepted");
    assert_eq!(step(code(), staged(RotationMode::Overlap), conflict(false)), "wait: RotationRunning");
}

#[test]
fn a_rotation_that_the_api_refused_is_sent_again_without_waiting() {
    let refused = |observed: &mut Observed| observed.remembered.refused_pending = Some(value("next"));
    let again = |app, mode| step(app, staged(mode), refused);
    assert_eq!(again(app(synced()), RotationMode::Overlap), "Prove next", "something on the way may have repeated it");
    let known = |answer: Verification| {
        step(app(synced()), staged(RotationMode::Overlap), |observed| {
            refused(observed);
            verified(observed, answer);
        })
    };
    assert_eq!(known(Verification::Refused("no".into())), "Stage Overlap next", "the time of the request is durable");
    assert_eq!(known(Verification::Accepted), "Rotation Accepted");
    let code = app(json!({"spec": {"grantTypes": ["authorization_code"]}}));
    assert_eq!(again(code, RotationMode::Overlap), "Stage Overlap next");
    assert_eq!(again(app(synced()), RotationMode::Replace), "Replace");
    let another = |observed: &mut Observed| observed.remembered.refused_pending = Some(value("another"));
    assert_eq!(step(app(synced()), staged(RotationMode::Overlap), another), "Prove next");
}

/// The API answers so about the present secret, and did a minute ago.
fn verified_for_good(observed: &mut Observed, answer: Verification) {
    if let Verification::Refused(_) = &answer {
        observed.remembered.refused = Some((value("value"), observed.now - SignedDuration::from_mins(1)));
    }
    observed.verified(&value("value"), answer, observed.now);
}

#[test]
fn one_moment_of_refusals_replaces_no_secret_that_consumers_use() {
    for held in [
        staged(RotationMode::Overlap)(&app(synced())),
        staged(RotationMode::Create)(&app(synced())),
        accepted(&app(synced())),
    ] {
        let refused = |seconds: i64| {
            let held = held.clone();
            step(
                app(synced()),
                move |_| held,
                move |observed| {
                    observed.remote = as_wanted();
                    observed.remembered.refused =
                        Some((value("value"), observed.now - SignedDuration::from_secs(seconds)));
                    verified(observed, Verification::Refused("no".into()));
                },
            )
        };
        assert_eq!(refused(59), "wait: SecretNotProven");
        assert_ne!(refused(60), "wait: SecretNotProven", "neither is valid");
    }
}

#[test]
fn a_secret_that_the_api_accepted_is_published_though_tokens_are_refused_for_another_cause() {
    let after = |seconds: i64| {
        step(app(synced()), accepted, move |observed| {
            (observed.now, observed.remote) = (at(1) + SignedDuration::from_secs(seconds), as_wanted());
            verified(observed, Verification::NotKnown("403".into()));
        })
    };
    assert_eq!((after(119), after(120)), ("wait: SecretNotProven".into(), "Write Rotated".into()));
}

/// A resource whose Secret was published at hour 0 and for which a token was issued at the hour that is given; it is looked at in
/// hour 2, after `also`.
fn proven_in_hour(hour: Option<i64>, more: Value, also: impl FnOnce(&mut Observed)) -> String {
    let mut app = app(more);
    let rotation = app.status.get_or_insert_default().rotation.get_or_insert_default();
    (rotation.verified_at, rotation.verified_revision) = (hour.map(|hour| Time(at(hour))), Some(1));
    let secret = published(&app);
    let mut observed = Observed::new(app, granted(), key(), at(2), value("fresh"));
    observed.hold(secret);
    (observed.remote, observed.is_uncached) = (as_wanted(), true);
    observed.secret_write = SecretWriteProgress::Accepted;
    also(&mut observed);
    say(decide(&observed))
}

#[test]
fn an_app_is_ready_once_the_api_issued_a_token_for_what_its_secret_holds() {
    let after = |seconds: i64, answer: Verification| {
        proven_in_hour(None, json!({}), |observed| {
            observed.now = at(0) + SignedDuration::from_secs(seconds);
            verified(observed, answer);
        })
    };
    assert_eq!(proven_in_hour(None, json!({}), nothing), "Prove value");
    assert_eq!(after(1, Verification::Accepted), "Settled");
    for refusal in [Verification::Refused("no".into()), Verification::NotKnown("no".into())] {
        assert_eq!(after(119, refusal.clone()), "wait: SecretNotProven");
        assert_eq!(after(120, refusal), "wait: CredentialRefused", "it goes on by itself and is not replaced");
    }
    let code = json!({"spec": {"grantTypes": ["authorization_code"]}});
    assert_ne!(proven_in_hour(None, code, nothing), "Prove value", "no token can tell");
    assert_eq!(proven_in_hour(Some(3), json!({}), nothing), "Prove value", "a time that is yet to come is wrong");
    assert_eq!(proven_in_hour(Some(-1), json!({}), nothing), "Prove value", "it was about a Secret that was deleted");
}

#[test]
fn what_the_secret_holds_is_proven_again_from_time_to_time_and_when_the_app_was_changed() {
    let last_updated = |seconds: i64| {
        move |observed: &mut Observed| {
            let Remote::Shown(shown) = &mut observed.remote else { panic!("it is shown") };
            shown.last_updated_at = Some(at(1) + SignedDuration::from_secs(seconds));
        }
    };
    assert_eq!(proven_in_hour(Some(1), json!({}), nothing), "Settled");
    assert_eq!(proven_in_hour(Some(1), json!({}), last_updated(0)), "Settled");
    assert_eq!(proven_in_hour(Some(1), json!({}), last_updated(1)), "Prove value");
    assert_eq!(proven_in_hour(Some(1), json!({}), last_updated(7200)), "Settled", "yet to come");
    let changed = |observed: &mut Observed| observed.updated = vec!["description".into()];
    assert_eq!(proven_in_hour(Some(1), json!({}), changed), "Prove value", "by the operator");
    let asked = json!({"metadata": {"annotations": {"oauth-apps.dev/reconcile-requested-at": "now"}}});
    assert_eq!(proven_in_hour(Some(1), asked, nothing), "Prove value");
    let after = |hours: i64| proven_in_hour(Some(1), json!({}), move |observed| observed.now = at(1 + hours));
    assert_eq!((after(799), after(1000)), ("Settled".into(), "Prove value".into()));
    let no_answer = |observed: &mut Observed| {
        observed.now = at(1001);
        verified(observed, Verification::NotKnown("no".into()));
    };
    assert_eq!(proven_in_hour(Some(1), json!({}), no_answer), "Settled", "it is not asked again at once");
}

#[test]
fn a_secret_that_the_api_ceases_to_accept_is_rotated_once_it_was_refused_twice_a_minute_apart() {
    let refused = |since: i64| {
        move |observed: &mut Observed| {
            let since = observed.now - SignedDuration::from_secs(since);
            observed.remembered.refused = Some((value("value"), since));
            verified(observed, Verification::Refused("no".into()));
        }
    };
    let soon = Timestamp::from_second(7200 + 1).unwrap();
    assert_eq!(proven_in_hour(Some(1), json!({}), refused(59)), format!("Settled {{ wake: Some({soon}) }}"));
    assert_eq!(proven_in_hour(Some(1), json!({}), refused(60)), "Stage Overlap fresh");
    let observing = json!({"spec": {"managementPolicy": "Observe"}});
    assert_eq!(proven_in_hour(Some(1), observing, refused(60)), "plan: rotate the client secret");
    let no_reason = |observed: &mut Observed| {
        refused(60)(observed);
        verified(observed, Verification::NotKnown("no".into()));
    };
    assert_eq!(proven_in_hour(Some(1), json!({}), no_reason), "Settled", "it may be valid");
    let just_rotated = |observed: &mut Observed| {
        refused(60)(observed);
        let rotation = observed.app.status.as_mut().unwrap().rotation.as_mut().unwrap();
        (rotation.revision, rotation.rotated_at) = (Some(2), Some(Time(observed.now)));
    };
    assert_eq!(proven_in_hour(Some(1), json!({}), just_rotated), "wait: CredentialRefused", "rotations have a pace");
}

#[test]
fn a_secret_that_the_api_refuses_is_not_kept_as_the_previous_one() {
    let promoted = |current: Verification| {
        let app = app(synced());
        let mut observed = Observed::new(app.clone(), granted(), key(), at(2), value("fresh"));
        observed.hold(accepted(&app));
        observed.is_uncached = true;
        observed.verified(&value("value"), current, observed.now);
        observed.verified(&value("next"), Verification::Accepted, observed.now);
        match decide(&observed) {
            Step::WriteSecret(_, WriteReason::Rotated) => observed.contents().previous,
            Step::WriteRotation(contents, RotationWrite::Accepted) => contents.previous,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(promoted(Verification::Accepted), Some(previous_value()));
    assert_eq!(promoted(Verification::Refused("no".into())), None);
}

#[test]
fn a_rotation_that_replaces_an_invalid_value_does_not_wait_for_another_one() {
    let conflict = |observed: &mut Observed| {
        observed.remote = as_wanted();
        pending(observed, PendingProgress::Conflict { was_found: false });
    };
    let edited = |app: &OrgOAuthApp| {
        let held = staged(RotationMode::Overlap)(app);
        let contents = SecretContents { current: Some(value("edited")), ..content(app) };
        Held { credential: holding(app, &contents).credential, ..held }
    };
    assert_eq!(step(app(synced()), edited, conflict), "Stage Replace next");
    assert_eq!(step(app(synced()), staged(RotationMode::Overlap), conflict), "wait: RotationRunning");
}

#[test]
fn the_previous_secret_is_waited_for_also_when_its_secret_was_deleted() {
    let mut asked = json!({"metadata": {"annotations": {"oauth-apps.dev/rotate-requested-at": "2"}}});
    let before = || published(&app(json!({})));
    let said = |revision: i64, hour: i64| json!({"status": {"rotation": {"revision": revision, "previousExpiresAt": at(hour)}}});
    let shown = |observed: &mut Observed| observed.remote = as_wanted();
    merge(&mut asked, said(1, 3));
    assert_eq!(step(app(asked.clone()), |_| before(), shown), format!("Settled {{ wake: Some({}) }}", at(3)));
    merge(&mut asked, said(1, 1));
    assert_eq!(step(app(asked.clone()), |_| before(), shown), "Stage Overlap fresh", "it has ended");
    merge(&mut asked, said(2, 3));
    assert_eq!(step(app(asked), |_| before(), shown), "Stage Overlap fresh", "it was beside another one");
}

#[test]
fn while_a_secret_waits_for_the_api_the_rest_of_the_spec_is_kept_true() {
    let waiting = |answer: Verification, remote: Remote| {
        step(app(synced()), staged(RotationMode::Overlap), |observed| {
            (observed.now, observed.remote) = (at(2), remote);
            observed.verified(&value("next"), answer, observed.now);
            observed.verified(&value("value"), Verification::Accepted, observed.now);
        })
    };
    let no_grant = || Verification::NotKnown("unauthorized_client".into());
    let drifted = || shown(json!({"displayName": "Other", "description": "Nightly", "grantTypes": []}));
    assert!(waiting(no_grant(), drifted()).starts_with("Update "), "such as the grant type that it waits for");
    assert_eq!(waiting(no_grant(), as_wanted()), "wait: SecretNotProven", "however long, it is not sent again");
}

#[test]
fn a_secret_is_rotated_when_it_is_due_and_not_while_the_one_before_is_valid() {
    let rotating = || app(json!({"spec": {"rotation": {"interval": "10h", "overlap": "12h"}}}));
    let after =
        |hours| step(rotating(), published, |observed| (observed.now, observed.remote) = (at(hours), as_wanted()));
    assert!(after(8).starts_with("Settled { wake: Some("), "{}", after(8));
    assert_eq!(after(10), "Stage Overlap fresh");
    let overlapping = |app: &OrgOAuthApp| {
        let previous = Some(PreviousSecret { secret: value("before"), expires_at: at(12) });
        holding(app, &SecretContents { previous, ..content(app) })
    };
    let at_hour = |hour| move |observed: &mut Observed| (observed.now, observed.remote) = (at(hour), as_wanted());
    let looked = |observed: &mut Observed| {
        at_hour(11)(observed);
        observed.remembered.consumers_looked_for = Some((1, at(11)));
    };
    assert!(step(rotating(), overlapping, looked).starts_with("Settled"));
    assert_eq!(step(app(json!({})), overlapping, at_hour(12)), "Rotation Over");
}

/// A secret that was published at hour 0 as the second one; the first one ends at hour 16.
fn rotated(app: &OrgOAuthApp) -> Held {
    let previous = Some(PreviousSecret { secret: value("before"), expires_at: at(16) });
    holding(app, &SecretContents { previous, revision: 2, ..content(app) })
}

fn stale(count: usize) -> Option<StaleConsumers> {
    Some(StaleConsumers { first: vec!["web".into()], count })
}

#[test]
fn stale_consumers_are_looked_for_from_time_to_time_while_the_previous_secret_is_valid() {
    let look = |seconds: i64, also: &dyn Fn(&mut Observed)| {
        let known = json!({"status": {"rotation": {"revision": 2}}});
        let step = step(app(known), rotated, |observed| {
            (observed.now, observed.remote) = (at(0) + SignedDuration::from_secs(seconds), as_wanted());
            also(observed);
        });
        step.starts_with("FindStaleConsumers")
    };
    let looked_for = |revision, hour| {
        move |observed: &mut Observed| observed.remembered.consumers_looked_for = Some((revision, at(hour)))
    };
    assert!(!look(3599, &nothing) && look(3600, &nothing), "after a sixteenth of the overlap");
    assert!(!look(5 * 3600 - 1, &looked_for(2, 4)) && look(5 * 3600, &looked_for(2, 4)));
    assert!(look(4 * 3600, &looked_for(1, 4)), "that was about another secret");
    let just_before = |observed: &mut Observed| {
        observed.remembered.consumers_looked_for = Some((2, at(12) - SignedDuration::from_secs(1)));
    };
    assert!(look(12 * 3600, &just_before), "a quarter is left");
    let known = |observed: &mut Observed| {
        looked_for(2, 4)(observed);
        observed.stale_consumers = stale(1);
    };
    assert!(!look(4 * 3600 + 299, &known) && look(4 * 3600 + 300, &known), "while there are some");
    assert!(look(16 * 3600 - 1, &nothing) && !look(16 * 3600, &nothing), "until it ends");
    let unpublished = |app: &OrgOAuthApp| {
        let previous = Some(PreviousSecret { secret: value("value"), expires_at: at(16) });
        holding(app, &SecretContents { previous, revision: 2, ..content(app) })
    };
    let early = step(app(json!({})), unpublished, |observed| (observed.now, observed.remote) = (at(5), as_wanted()));
    assert!(!early.starts_with("FindStale"), "the next secret is not published yet: {early}");
    assert!(
        !step(app(json!({})), published, |observed| observed.now = at(5)).starts_with("FindStale"),
        "never rotated"
    );
}

#[test]
fn a_resource_in_its_overlap_is_looked_at_again_for_its_consumers() {
    let at_hour = |hour: i64, looked_at: i64| {
        step(app(json!({"status": {"rotation": {"revision": 2}}})), rotated, |observed| {
            (observed.now, observed.remote) = (at(hour), as_wanted());
            observed.remembered.consumers_looked_for = Some((2, at(looked_at)));
        })
    };
    assert_eq!(at_hour(2, 2), "Settled { wake: Some(1970-01-01T03:00:00Z) }");
    assert_eq!(at_hour(15, 15), "Settled { wake: Some(1970-01-01T16:00:00Z) }", "the end of the previous secret");
}

#[test]
fn what_is_known_of_stale_consumers_is_of_the_present_secret_and_while_the_previous_one_is_valid() {
    let known = |revision: i64, hour: i64, found: Option<StaleConsumers>| {
        let said = json!({"revision": revision, "staleConsumers": ["web"], "staleConsumerCount": 3});
        let app = app(json!({"status": {"rotation": said}}));
        let secret = rotated(&app);
        let mut observed = Observed::new(app, granted(), key(), at(hour), value("fresh"));
        observed.hold(secret);
        observed.stale_consumers = found;
        stale_consumers(&observed).map(|stale| stale.count)
    };
    assert_eq!(known(2, 1, None), Some(3), "as status says");
    assert_eq!(known(2, 1, stale(1)), Some(1), "as is found");
    assert_eq!(known(2, 1, Some(StaleConsumers::default())), None);
    assert_eq!(known(1, 1, None), None, "of the secret before");
    assert_eq!(known(2, 16, None), None, "it has ended");
}

/// The step after a secret was published as revision 2, while status says the revision that is given.
fn restarting(said: Value, more: Value, restarts: &[(&str, RestartResult)]) -> String {
    let workloads = json!([{"kind": "Deployment", "name": "web"}, {"kind": "StatefulSet", "name": "queue"}]);
    let mut all = json!({"spec": {"rotation": {"restart": workloads}}, "status": {"rotation": {"revision": said}}});
    merge(&mut all, more);
    step(app(all), rotated, |observed| {
        (observed.now, observed.remote) = (at(0), as_wanted());
        let workloads = observed.app.spec.rotation.clone().unwrap().restart;
        let done = restarts.iter().map(|(name, result)| {
            (workloads.iter().find(|workload| workload.name == *name).unwrap().clone(), result.clone())
        });
        observed.restarts = done.collect();
    })
}

#[test]
fn workloads_are_restarted_once_a_secret_is_published_after_the_first() {
    let (web, queue) = ("RestartConsumer Deployment web", "RestartConsumer StatefulSet queue");
    let settled = |step: String| step.starts_with("Settled");
    assert_eq!(restarting(json!(1), json!({}), &[]), web);
    assert_eq!(restarting(json!(1), json!({}), &[("web", RestartResult::Restarted)]), queue);
    assert_eq!(restarting(json!(1), json!({}), &[("web", RestartResult::Missing)]), queue, "each has its turn");
    let both = [("web", RestartResult::Restarted), ("queue", RestartResult::Paused)];
    assert!(settled(restarting(json!(1), json!({}), &both)));
    assert!(settled(restarting(json!(1), json!({}), &[("web", RestartResult::Forbidden("no".into()))])), "no right");
    assert!(settled(restarting(json!(2), json!({}), &[])), "status says it already");
    assert!(settled(restarting(Value::Null, json!({}), &[])), "the first secret, or a restored resource");
    assert!(settled(restarting(json!(1), json!({"spec": {"rotation": {"restart": []}}}), &[])));
    assert_eq!(restarting(json!(1), json!({"spec": {"suspend": true}}), &[]), "Suspended");
}

#[test]
fn rotations_of_apps_of_one_age_are_spread() {
    let due = |uid: &str| {
        let rotation = json!({"interval": "1000h", "overlap": "2h"});
        let app = app(json!({"metadata": {"uid": uid}, "spec": {"rotation": rotation}}));
        next_rotation(&app, &content(&app)).unwrap().as_second() / 3600
    };
    let hours: std::collections::BTreeSet<_> = (0..1000).map(|n| due(&format!("uid-{n}"))).collect();
    assert!(hours.len() > 50 && hours.iter().all(|hour| (900..=1000).contains(hour)), "{hours:?}");
}

#[test]
fn a_request_to_rotate_is_fulfilled_once_per_value() {
    let asked = || {
        let mut asked = synced();
        merge(&mut asked, json!({"metadata": {"annotations": {"oauth-apps.dev/rotate-requested-at": "1"}}}));
        app(asked)
    };
    let before = |_: &OrgOAuthApp| published(&app(synced()));
    assert_eq!(step(asked(), before, nothing), "Stage Overlap fresh");
    assert_eq!(step(asked(), published, |observed| observed.remote = as_wanted()), "Settled");
}

/// A Secret of revision `revision` that says that it was rotated at this second, observed at second 1000 by an app that asks.
fn asked_again(revision: i64, rotated_at: i64, status: Value) -> Observed {
    let mut asked = synced();
    merge(&mut asked, json!({"metadata": {"annotations": {"oauth-apps.dev/rotate-requested-at": "2"}}}));
    merge(&mut asked, json!({"status": {"rotation": status}}));
    let second = |second| Timestamp::from_second(second).unwrap();
    let (app, before) = (app(asked), app(synced()));
    let held = SecretContents { revision, rotated_at: Some(second(rotated_at)), ..content(&before) };
    let secret = holding(&before, &held);
    let mut observed = Observed::new(proven(app, &secret), granted(), key(), second(1000), value("fresh"));
    observed.hold(secret);
    (observed.remote, observed.is_uncached) = (as_wanted(), true);
    observed
}

#[test]
fn a_requested_rotation_waits_until_a_minute_has_passed_since_the_last_one() {
    let after = |revision, rotated_at| say(decide(&asked_again(revision, rotated_at, json!({}))));
    assert_eq!(after(2, 940), "Stage Overlap fresh");
    assert_eq!(after(2, 941), format!("Settled {{ wake: Some({}) }}", Timestamp::from_second(1001).unwrap()));
    assert_eq!(after(1, 999), "Stage Overlap fresh", "the first secret is no rotation");
    assert_eq!(after(2, 2000), "Stage Overlap fresh", "a time that is yet to come is wrong");
    assert_eq!(requested_rotation_waits(&asked_again(2, 941, json!({}))), Some(RotationWaits::ForPace));
    assert_eq!(requested_rotation_waits(&asked_again(2, 940, json!({}))), None);
}

#[test]
fn an_edited_value_is_replaced_on_request_and_no_more_often_than_once_a_minute() {
    let after = |rotated_at| {
        let mut observed = asked_again(2, rotated_at, json!({}));
        let extra = content(&observed.app).extra;
        let edited = SecretContents { current: Some(value("other")), extra, ..observed.contents() };
        observed.hold(holding(&observed.app, &edited));
        verified(&mut observed, Verification::Refused("no".into()));
        say(decide(&observed))
    };
    assert_eq!([after(940), after(941)], ["Stage Overlap fresh", "wait: RotationRunning"]);
}

#[test]
fn what_is_edited_in_the_secret_brings_no_rotation_forward() {
    let last = json!({"revision": 7, "rotatedAt": "1970-01-01T00:16:00Z"});
    for (revision, rotated_at) in [(1, 0), (7, 0), (1, 960), (0, 2000)] {
        let waits = requested_rotation_waits(&asked_again(revision, rotated_at, last.clone()));
        assert_eq!(waits, Some(RotationWaits::ForPace), "{revision} {rotated_at}");
    }
}

#[test]
fn an_edited_value_is_proven_or_reported() {
    let edited = |app: &OrgOAuthApp| holding(app, &SecretContents { current: Some(value("other")), ..content(app) });
    let known = |proof| {
        move |observed: &mut Observed| {
            verified(observed, proof);
            observed.remote = as_wanted();
        }
    };
    assert_eq!(step(app(json!({})), edited, nothing), "Prove other");
    assert_eq!(step(app(json!({})), edited, known(Verification::Accepted)), "Write Proven");
    assert_eq!(step(app(json!({})), edited, known(Verification::Refused("no".into()))), "SecretTampered");
}

#[test]
fn a_credential_under_an_earlier_name_is_moved_and_then_removed_there() {
    let renamed = || {
        let mut renamed = synced();
        merge(&mut renamed, json!({"spec": {"secret": {"name": "new"}}}));
        app(renamed)
    };
    assert_eq!(step(renamed(), free, nothing), r#"ReadPreviousTarget("billing")"#);
    let former = || Some(published(&app(json!({}))).credential);
    assert_eq!(step(renamed(), free, |observed| observed.previous_target = former()), "Write Moved");
    assert!(
        step(renamed(), published, |observed| observed.previous_target = former()).starts_with("RemovePreviousTarget")
    );
    assert_eq!(
        step(renamed(), published, |observed| observed.previous_target = Some(SecretState::Foreign)),
        format!("Look {DERIVED}")
    );
}

#[test]
fn an_app_that_exists_is_adopted_by_its_id_and_only_if_the_spec_says_so() {
    let adopting = |policy: &str| app(json!({"spec": {"id": "chosen", "adoptionPolicy": policy}}));
    let found = |observed: &mut Observed| (observed.id_owner, observed.remote) = (IdOwner::None, as_wanted());
    assert_eq!(step(adopting("Never"), free, found), "IdTaken");
    assert_eq!(step(adopting("Adopt"), free, found), "Adopt chosen");
    let not_allowed = |observed: &mut Observed| {
        found(observed);
        connect(observed, access(address(), false));
    };
    assert_eq!(step(adopting("Adopt"), free, not_allowed), "NotAllowed", "the grant must allow it too");
    let operator = |observed: &mut Observed| {
        found(observed);
        let Remote::Shown(app) = &mut observed.remote else { panic!("it is shown") };
        app.is_caller = true;
    };
    assert_eq!(step(adopting("AdoptAndRotate"), free, operator), "IdTaken", "the operator's own identity");
    let adopted = |policy: &str| {
        claimed(app(json!({"spec": {"id": "chosen", "adoptionPolicy": policy}, "status": {"adopted": true}})))
    };
    assert_eq!(step(adopted("Adopt"), free, |observed| observed.remote = as_wanted()), "Write IdOnly");
    assert_eq!(step(adopted("AdoptAndRotate"), free, |observed| observed.remote = as_wanted()), "Stage Replace fresh");
    let id_only = |app: &OrgOAuthApp| {
        let SecretContents { client_id, claim, .. } = content(app);
        holding(app, &SecretContents { client_id, claim, ..SecretContents::default() })
    };
    assert_eq!(step(adopted("Adopt"), id_only, |observed| observed.remote = as_wanted()), "SecretUnknown");
}

#[test]
fn a_secret_that_is_brought_for_an_adopted_app_is_proven_before_it_is_published() {
    let bringing = |grants: &str| {
        let reference = json!({"name": "mine", "key": "value"});
        let mut spec = json!({"id": "chosen", "adoptionPolicy": "Adopt", "clientSecretRef": reference});
        spec["grantTypes"] = json!([grants]);
        claimed(app(json!({"spec": spec, "status": {"adopted": true}})))
    };
    let with = |proof: Option<Verification>| {
        move |observed: &mut Observed| {
            observed.remote = as_wanted();
            observed.provided = Some(ProvidedSecret::Value(value("mine")));
            verified(observed, proof);
        }
    };
    assert_eq!(step(bringing("client_credentials"), free, with(None)), "Prove mine");
    assert_eq!(step(bringing("client_credentials"), free, with(Some(Verification::Accepted))), "Write Proven");
    let refused = Verification::Refused("401".into());
    assert_eq!(step(bringing("client_credentials"), free, with(Some(refused))), "SecretRefInvalid");
    assert_eq!(step(bringing("authorization_code"), free, with(None)), "Write Proven", "no token can be asked for");
}

#[test]
fn a_secret_that_cannot_be_used_is_said_before_any_call() {
    let bringing = || app(json!({"spec": {"clientSecretRef": {"name": "mine", "key": "value"}}}));
    assert_eq!(step(bringing(), free, nothing), "ReadProvidedSecret");
    let missing = Some(ProvidedSecret::Missing("no".into()));
    assert_eq!(step(bringing(), free, |observed| observed.provided = missing), "SecretRefInvalid");
}

#[test]
fn an_immutable_secret_with_a_credential_is_fine_and_is_replaced_whole_when_it_must_change() {
    let immutable_secret = |app: &OrgOAuthApp| match SecretState::Absent.write(app, &content(app)) {
        Some(SecretWrite::Create(secret)) => guard(app, &key(), Some(Secret { immutable: Some(true), ..secret })),
        other => panic!("{other:?}"),
    };
    let immutable = |app: &OrgOAuthApp| Held::only(immutable_secret(app));
    assert_eq!(step(app(json!({})), immutable, |observed| observed.remote = as_wanted()), "Settled");
    let due = app(json!({"spec": {"rotation": {"interval": "10h", "overlap": "2h"}}}));
    let now = |observed: &mut Observed| (observed.now, observed.remote) = (at(11), as_wanted());
    assert_eq!(step(due.clone(), immutable, now), "Stage Overlap fresh");
    let next = content(&due).publish(&due, &client_id(&due), Some(value("next")), at(11));
    let rotated = immutable_secret(&due).write(&due, &next);
    let Some(SecretWrite::Recreate { new, .. }) = rotated else { panic!("{rotated:?}") };
    assert_eq!(new.data.unwrap()["client-secret"].0, b"next", "in one step");
    assert_eq!((new.immutable, new.metadata.resource_version), (None, None));
    let labeled = app(json!({"spec": {"secret": {"labels": {"team": "b"}}}}));
    let relabeled = immutable_secret(&labeled).write(&labeled, &content(&labeled));
    assert!(matches!(relabeled, Some(SecretWrite::Replace(_))), "its labels can be changed");
}

#[test]
fn a_secret_that_a_policy_sets_otherwise_is_written_once() {
    let other_label = app(json!({"spec": {"secret": {"labels": {"team": "a"}}}}));
    let overridden = move |_: &OrgOAuthApp| published(&other_label);
    let app = || app(json!({"spec": {"secret": {"labels": {"team": "b"}}}}));
    assert_eq!(step(app(), overridden.clone(), nothing), "Write PutBack");
    let known = |observed: &mut Observed| {
        (observed.secret_write, observed.remote) = (SecretWriteProgress::Overridden, as_wanted())
    };
    assert_eq!(step(app(), overridden, known), "Settled");
}

#[test]
fn a_claim_signed_with_a_former_key_or_address_is_signed_again_without_a_word() {
    let (previous_target, rotated) = ([9; 32], ClaimKey::new(&[1; 32], [&[9; 32][..]]).unwrap());
    let signed_before = |app: &OrgOAuthApp| {
        let claim = Some(ClaimKey::new(&previous_target, []).unwrap().sign(app, &address(), &client_id(app), true));
        match SecretState::Absent.write(app, &SecretContents { claim, ..content(app) }) {
            Some(SecretWrite::Create(secret)) => Held::only(guard(app, &rotated, Some(secret))),
            other => panic!("{other:?}"),
        }
    };
    let now = |observed: &mut Observed| (observed.key, observed.remote) = (rotated.clone(), as_wanted());
    assert_eq!(step(app(json!({})), signed_before, now), "Write Signed");
}

#[test]
fn who_observes_plans_and_writes_nothing_to_the_api() {
    let observing = |more: Value| {
        let mut all = json!({"spec": {"managementPolicy": "Observe"}, "metadata": {"finalizers": []}});
        merge(&mut all, more);
        app(all)
    };
    assert_eq!(step(observing(json!({})), free, nothing), "plan: create the app");
    let chosen = observing(json!({"spec": {"id": "chosen"}}));
    let is_free = |observed: &mut Observed| (observed.id_owner, observed.remote) = (IdOwner::None, Remote::Absent);
    assert_eq!(step(chosen, free, is_free), "plan: create the app");
    let adopting = |policy| observing(json!({"spec": {"id": "chosen", "adoptionPolicy": policy}}));
    let other = shown(json!({"displayName": "Other", "description": "Nightly", "grantTypes": ["client_credentials"]}));
    let found = |observed: &mut Observed| (observed.id_owner, observed.remote) = (IdOwner::None, other.clone());
    assert_eq!(step(adopting("Adopt"), free, found), "plan: adopt the app, change displayName");
    let replaced = "plan: adopt the app, replace the client secret, change displayName";
    assert_eq!(step(adopting("AdoptAndRotate"), free, found), replaced);
    let drifted = |observed: &mut Observed| observed.remote = other.clone();
    assert_eq!(step(observing(json!({})), published, drifted), "plan: change displayName");
    assert_eq!(step(observing(json!({})), published, |observed| observed.remote = as_wanted()), "Settled");
    let leaving = deleting(json!({"spec": {"managementPolicy": "Observe"}}));
    assert_eq!(step(leaving, free, nothing), "DropFinalizer");
}

#[test]
fn an_app_has_the_roles_that_the_spec_names_and_no_others() {
    let roles = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"organizationRoles": names, "serviceRoles": [{"serviceDefinitionId": "s", "serviceRoles": names}]})
    };
    let named = |names: &[&str]| serde_json::from_value::<Roles>(roles(names)).unwrap();
    let held = |direct: &[&str], inherited: &[&str]| {
        RoleAssignment::Has(HeldRoles { direct: named(direct), inherited: named(inherited) })
    };
    let refused = || RoleAssignment::AdditionRefused(Fault::Rejected("already a member".into()));
    let wanting = || app(json!({"spec": {"roles": roles(&["a", "b"])}}));
    let with = |roles| move |observed: &mut Observed| (observed.remote, observed.roles) = (as_wanted(), roles);
    assert_eq!(
        step(wanting(), published, with(RoleAssignment::Unread)),
        format!(r#"Call(ReadRoles(ClientId("{DERIVED}")))"#)
    );
    assert!(step(wanting(), published, with(RoleAssignment::Absent)).starts_with("Call(AddToOrganization("));
    assert!(step(wanting(), published, with(refused())).starts_with("Call(ReadRoles("));
    assert_eq!(step(wanting(), published, with(held(&["b", "a"], &[]))), "Settled");
    assert_eq!(step(wanting(), published, with(held(&["a"], &["b", "c"]))), "Settled", "inherited ones count and stay");
    let mut observed = Observed::new(wanting(), granted(), key(), at(2), value("fresh"));
    observed.hold(published(&wanting()));
    (observed.remote, observed.roles) = (as_wanted(), held(&["b", "c"], &[]));
    assert_eq!(say(decide(&observed)), "ReadResource", "no role is changed from a cache that may lag");
    observed.is_uncached = true;
    assert_eq!(role_changes(&observed), (named(&["a"]), named(&["c"])));
    observed.roles = held(&["c", "d"], &["b", "d"]);
    assert_eq!(role_changes(&observed), (named(&["a"]), named(&["c", "d"])));
}

/// The roles that are given and the roles that are taken.
fn role_changes(observed: &Observed) -> (Roles, Roles) {
    let Step::Call(Call::ChangeRoles { add, remove, .. }) = decide(observed) else { panic!("no change of roles") };
    (add, remove)
}

#[test]
fn a_role_on_a_resource_is_another_role() {
    let on = |resource: &str| Roles {
        organization_roles: vec![Role { name: "a".into(), resource: Some(resource.into()) }],
        service_roles: Vec::new(),
    };
    let wanting = app(json!({"spec": {"roles": on("1")}}));
    let mut observed = Observed::new(wanting.clone(), granted(), key(), at(2), value("fresh"));
    let held = HeldRoles { direct: on("2"), inherited: Roles::default() };
    observed.hold(published(&wanting));
    (observed.remote, observed.roles) = (as_wanted(), RoleAssignment::Has(held));
    observed.is_uncached = true;
    assert_eq!(role_changes(&observed), (on("1"), on("2")));
}

#[test]
fn after_a_refused_addition_the_roles_of_now_are_read() {
    let synced = app(json!({
        "metadata": {"generation": 1},
        "status": {"observedGeneration": 1, "conditions": [{
            "type": "Synced", "status": "True", "reason": "Synced", "message": "", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]},
    }));
    let mut observed = Observed::new(synced, granted(), key(), at(2), value("fresh"));
    assert!(may_be_old(&observed));
    observed.roles = RoleAssignment::AdditionRefused(Fault::Rejected("already a member".into()));
    assert!(!may_be_old(&observed));
}

#[test]
fn a_public_client_has_no_secret_to_regenerate() {
    let public = || claimed(app(json!({"spec": {"publicClient": true, "grantTypes": ["authorization_code"]}})));
    assert_eq!(step(public(), free, |observed| observed.remote = as_wanted()), "Write IdOnly");
}

#[test]
fn a_deleted_resource_goes_once_the_api_no_longer_shows_its_app() {
    let after = |deletion, remote| {
        move |observed: &mut Observed| (observed.deletion, observed.remote) = (Some(deletion), remote)
    };
    assert_eq!(step(deleting(json!({})), free, nothing), format!("Delete {DERIVED}"));
    for deletion in [Deletion::Accepted, Deletion::NotFound, Deletion::Failed, Deletion::NotOffered] {
        let steps = [Remote::Unread, Remote::Absent, as_wanted()]
            .map(|remote| step(deleting(json!({})), free, after(deletion.clone(), remote)));
        let still_there = if deletion == Deletion::NotOffered { "DeletionNotOffered" } else { "wait: Deleting" };
        let gone = if deletion == Deletion::Accepted { "DropFinalizer" } else { "wait: Deleting" };
        assert_eq!(steps, [format!("Read {DERIVED}"), gone.into(), still_there.into()]);
        let twice = |observed: &mut Observed| {
            absent(10, ListWitness::Unasked)(observed);
            observed.deletion = Some(deletion.clone());
        };
        assert_eq!(step(deleting(json!({})), free, twice), "DropFinalizer");
        let created_just_now = |observed: &mut Observed| {
            twice(observed);
            observed.remembered.unanswered_create = Some(observed.now - SignedDuration::from_secs(119));
        };
        let may_appear = if deletion == Deletion::Accepted { "DropFinalizer" } else { "wait: Deleting" };
        assert_eq!(step(deleting(json!({})), free, created_just_now), may_appear, "its answer was lost");
    }
    let accepted_before = |observed: &mut Observed| {
        after(Deletion::NotOffered, as_wanted())(observed);
        observed.remembered.deletion_accepted = Some(observed.now - SignedDuration::from_secs(119));
    };
    assert_eq!(step(deleting(json!({})), free, accepted_before), "wait: Deleting", "the API may show it later");
}

#[test]
fn an_app_that_is_not_proven_to_be_this_resources_is_never_deleted_unseen() {
    let intending = || intending(deleting(json!({"spec": {"id": "chosen"}})));
    let seen = |seconds| step(intending(), free, absent(seconds, ListWitness::Unasked));
    assert_eq!(seen(0), "wait: Deleting");
    assert_eq!(seen(10), "DropFinalizer");
    let just_staged = |app: &OrgOAuthApp| {
        let (since, accepted_at) = (at(1), None);
        let pending =
            Some(PendingSecret { secret: value("next"), mode: RotationMode::Create, follows: 0, since, accepted_at });
        holding(app, &SecretContents { pending, ..SecretContents::default() })
    };
    let soon = |observed: &mut Observed| {
        absent(10, ListWitness::Unasked)(observed);
        observed.now = at(1) + SignedDuration::from_secs(119);
    };
    assert_eq!(step(intending(), just_staged, soon), "wait: Deleting", "a create may still come to light");
}

#[test]
fn a_chosen_id_of_an_app_without_tokens_of_its_own_needs_two_witnesses_that_it_is_free() {
    let chosen = || app(json!({"spec": {"id": "chosen", "grantTypes": ["authorization_code"]}}));
    let with = |seconds, list| {
        step(chosen(), free, |observed| {
            absent(seconds, list)(observed);
            observed.id_owner = IdOwner::None;
        })
    };
    assert!(with(0, ListWitness::Unasked).starts_with("Call(ConfirmAbsence("));
    assert_eq!(with(0, ListWitness::Shows), "wait: AppNotShown");
    assert_eq!(with(0, ListWitness::ShowsNot), "Claim chosen");
    assert_eq!([with(0, ListWitness::NoList), with(10, ListWitness::NoList)], ["wait: AppNotShown", "Claim chosen"]);
}

#[test]
fn deletion_comes_before_everything_else() {
    let broken = json!({"spec": {"suspend": true, "context": "TENANT"}});
    assert_eq!(step(deleting(broken), foreign, nothing), format!("Delete {DERIVED}"));
    assert_eq!(step(deleting(json!({"metadata": {"finalizers": []}})), free, nothing), "Gone");
}

#[test]
fn an_id_that_was_never_claimed_is_never_deleted() {
    let chosen = |more: Value| {
        let mut all = json!({"spec": {"id": "chosen"}});
        merge(&mut all, more);
        deleting(all)
    };
    assert_eq!(step(chosen(json!({})), free, nothing), "DropFinalizer");
    assert_eq!(step(chosen(json!({})), foreign, nothing), "DropFinalizer");
    assert_eq!(step(chosen(json!({"status": {"clientId": "chosen"}})), free, nothing), "DropFinalizer", "forged");
    assert_eq!(step(claimed(chosen(json!({}))), free, nothing), "Delete chosen");
}

#[test]
fn a_restored_resource_deletes_its_app_only_by_the_claim_on_its_secret() {
    let chosen = || deleting(json!({"spec": {"id": "chosen"}}));
    let forged = |app: &OrgOAuthApp| holding(app, &SecretContents { claim: None, ..content(app) });
    assert_eq!(step(chosen(), forged, nothing), "DropFinalizer", "a Secret with the client id proves nothing");
    let mut before = chosen();
    before.metadata.uid = Some("uid-0".into());
    let restored = |_: &OrgOAuthApp| published(&before);
    let with = |id_owner, remote, proof| {
        step(chosen(), restored, |observed| {
            (observed.id_owner, observed.remote) = (id_owner, remote);
            verified(observed, proof)
        })
    };
    assert_eq!(with(IdOwner::Unread, Remote::Unread, None), "FindIdOwner");
    assert_eq!(
        with(IdOwner::Has(Box::new(chosen())), Remote::Unread, None),
        "DropFinalizer",
        "another resource has it"
    );
    assert_eq!(with(IdOwner::None, Remote::Unread, None), "Read chosen");
    assert_eq!(with(IdOwner::None, as_wanted(), None), "Prove value");
    assert_eq!(with(IdOwner::None, as_wanted(), Some(Verification::Accepted)), "Delete chosen");
    let refused = Some(Verification::Refused("no".into()));
    assert_ne!(with(IdOwner::None, as_wanted(), refused), "Delete chosen", "made again by somebody else");
    let Remote::Shown(app) = as_wanted() else { panic!("it is shown") };
    let operator = Remote::Shown(RemoteApp { is_caller: true, ..app });
    assert_eq!(with(IdOwner::None, operator, None), "DropFinalizer", "the operator's own client");
}

#[test]
fn a_secret_that_kubernetes_does_not_collect_is_removed_with_its_app() {
    let gone = |observed: &mut Observed| {
        (observed.deletion, observed.remote, observed.users) =
            (Some(Deletion::Accepted), Remote::Absent, Some(Vec::new()));
    };
    let unused = deleting(json!({"spec": {"deletionPolicy": "DeleteWhenUnused"}}));
    assert_eq!(step(unused, published, gone), "RemoveSecret billing");
    assert_eq!(step(deleting(json!({})), published, gone), "DropFinalizer", "Kubernetes collects it");
}

#[test]
fn deletion_without_a_connection_says_how_to_let_go_and_retain_does() {
    let refused = || Access::Refused(Blocked::new(Reason::ConnectionNotFound, "there is no IamConnection x"));
    let mut observed = Observed::new(claimed(deleting(json!({}))), refused(), key(), at(2), value("fresh"));
    let Step::Finish(Outcome::Blocked(blocked)) = decide(&observed) else { panic!("not blocked") };
    assert_eq!(blocked.reason, Reason::ConnectionNotFound);
    assert!(blocked.message.ends_with("to delete this resource without its app, set spec.deletionPolicy to Retain"));
    observed.app.spec.deletion_policy = DeletionPolicy::Retain;
    assert_eq!(say(decide(&observed)), "ReadSecrets");
    observed.hold(published(&observed.app));
    assert_eq!(say(decide(&observed)), "ReleaseSecret");
    observed.hold(Held::only(guard(&observed.app, &key(), Some(Secret::default()))));
    assert_eq!(say(decide(&observed)), "DropFinalizer");
}

#[test]
fn every_fault_says_whether_a_person_is_needed() {
    let text = || "said".to_string();
    for (fault, expected) in [
        (Fault::Unavailable(text()), "wait: ConnectionUnavailable"),
        (Fault::Throttled { until: Instant::now() }, "wait: Throttled"),
        (Fault::Credentials(text()), "wait: CredentialsUnavailable"),
        (Fault::Conflict(text()), "wait: ApiConflict"),
        (Fault::Forbidden(text()), "Forbidden"),
        (Fault::WrongOrganization(text()), "WrongOrganization"),
        (Fault::Rejected(text()), "Rejected"),
        (Fault::NotFound(text()), "OrgNotFound"),
    ] {
        assert_eq!(say(Step::Finish(after_fault(&app(json!({})), fault.clone()))), expected);
        let (Outcome::Blocked(Blocked { message, .. }) | Outcome::Waiting { message, .. }) =
            after_fault(&deleting(json!({})), fault)
        else {
            panic!("a fault settles nothing");
        };
        assert!(message.contains("set spec.deletionPolicy to Retain"), "a deletion says how to end it: {message}");
    }
}

#[test]
fn of_a_resource_that_is_let_go_the_secret_stays_and_the_one_of_a_rotation_only_while_something_is_pending() {
    let retained = || deleting(json!({"spec": {"deletionPolicy": "Retain"}}));
    let with_previous =
        |app: &OrgOAuthApp| holding(app, &SecretContents { previous: Some(previous_value()), ..content(app) });
    assert_eq!(step(retained(), published, nothing), "ReleaseSecret");
    assert_eq!(step(retained(), with_previous, nothing), "RemoveSecret billing-rotation");
    assert_eq!(step(retained(), staged(RotationMode::Overlap), nothing), "ReleaseSecret");
}

#[test]
fn what_is_due_and_waits_for_the_previous_secret_to_end_is_looked_at_when_that_ends() {
    let rotating = || app(json!({"spec": {"rotation": {"interval": "10h", "overlap": "49h"}}}));
    let overlapping =
        |app: &OrgOAuthApp| holding(app, &SecretContents { previous: Some(previous_value()), ..content(app) });
    let overdue = |observed: &mut Observed| (observed.now, observed.remote) = (at(20), as_wanted());
    assert_eq!(step(rotating(), overlapping, overdue), format!("Settled {{ wake: Some({}) }}", at(49)));
}

/// A resource with a secret that the API refused twice, though it was valid before.
fn refused_twice(more: Value, also: impl FnOnce(&mut Observed)) -> String {
    proven_in_hour(Some(1), more, |observed| {
        observed.remembered.refused = Some((value("value"), observed.now - SignedDuration::from_mins(1)));
        also(observed);
        verified(observed, Verification::Refused("no".into()));
    })
}

#[test]
fn a_provided_secret_that_is_refused_is_sent_again_also_while_the_previous_one_is_valid() {
    let provided = json!({"spec": {"clientSecretRef": {"name": "mine", "key": "value"}}});
    let with_previous = |observed: &mut Observed| {
        observed.provided = Some(ProvidedSecret::Value(value("value")));
        let contents = SecretContents { previous: Some(previous_value()), ..content(&observed.app) };
        observed.hold(holding(&observed.app, &contents));
    };
    assert_eq!(refused_twice(provided, with_previous), "Stage Replace value");
}

#[test]
fn the_secret_of_an_adopted_app_is_not_replaced_unasked_when_it_is_refused() {
    let adopted = |policy: &str| {
        let spec = json!({"id": "chosen", "adoptionPolicy": policy});
        refused_twice(json!({"spec": spec, "status": {"adopted": true}}), |observed| {
            observed.saw(claimed(observed.app.clone()));
            observed.hold(published(&observed.app));
        })
    };
    assert_eq!(adopted("Adopt"), "wait: CredentialRefused");
    assert_eq!(adopted("AdoptAndRotate"), "Stage Overlap fresh");
}

#[test]
fn what_was_said_to_be_refused_is_ready_again_only_with_a_token() {
    let said = json!({"type": "Ready", "status": "False", "reason": "CredentialRefused", "message": "",
                      "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let refused = || json!({"status": {"conditions": [said]}});
    let after = |answer: Verification| proven_in_hour(Some(1), refused(), |observed| verified(observed, answer));
    assert_eq!(proven_in_hour(Some(1), refused(), nothing), "Prove value");
    assert_eq!(after(Verification::NotKnown("no".into())), "wait: CredentialRefused");
    assert_eq!(after(Verification::Refused("no".into())), "wait: CredentialRefused", "also after a restart");
    assert_eq!(after(Verification::Accepted), "Settled");
}

/// When a reconcile that waits is repeated at the latest, in seconds after `since`.
fn retried_after(since: Timestamp, step: Step) -> Option<i64> {
    match step {
        Step::Finish(Outcome::Waiting { retry: Retry::NoLaterThan(at), .. }) => {
            Some(at.duration_since(since).as_secs())
        }
        Step::Finish(Outcome::Waiting { retry: Retry::Backoff, .. }) => None,
        step => panic!("{step:?}"),
    }
}

#[test]
fn what_the_time_decides_is_looked_at_as_soon_as_it_does() {
    let refuse = |observed: &mut Observed, secret: &str| {
        observed.verified(&value(secret), Verification::Refused("no".into()), observed.now);
    };
    let pending = |seconds: i64| {
        retried_after(
            at(1),
            decided(app(synced()), staged(RotationMode::Overlap), |observed| {
                (observed.now, observed.remote) = (at(1) + SignedDuration::from_secs(seconds), as_wanted());
                refuse(observed, "next");
                refuse(observed, "value");
            }),
        )
    };
    assert_eq!(pending(119), Some(120), "the API should know it by then");
    assert_eq!(pending(130), Some(190), "and refuses the present one for good after a minute");
    let gone = |seconds: i64| decided(app(synced()), published, absent(seconds, ListWitness::Unasked));
    assert_eq!(retried_after(at(2), gone(4)), Some(6), "a second read");
    let deleted = decided(deleting(synced()), published, |observed| {
        observed.deletion = Some(Deletion::NotFound);
        observed.remembered.unanswered_create = Some(at(2) - SignedDuration::from_secs(100));
        absent(30, ListWitness::Unasked)(observed);
    });
    assert_eq!(retried_after(at(2), deleted), Some(20), "a create without an answer may have made it");
}

#[test]
fn what_is_refused_before_any_call_still_says_whether_its_secret_is_there() {
    let refused = |app: OrgOAuthApp| {
        let access = Access::Refused(Blocked::new(Reason::NotGranted, "no"));
        say(decide(&Observed::new(app, access, key(), at(2), value("fresh"))))
    };
    assert_eq!(refused(app(synced())), "ReadSecrets");
    assert_eq!(refused(app(json!({}))), "NotGranted", "nothing was published");
    let refusal = Access::Refused(Blocked::new(Reason::NotGranted, "no"));
    assert_eq!(step(app(synced()), free, |observed| connect(observed, refusal)), "NotGranted");
}

#[test]
fn a_conflict_over_an_id_that_the_api_does_not_show_says_what_may_have_it() {
    let said = |more: Value| {
        let mut observed = Observed::new(app(more), granted(), key(), at(2), value("fresh"));
        observed.hold(free(&observed.app));
        observed.saw(claimed(observed.app.clone()));
        (observed.remote, observed.secret_write) = (Remote::Absent, SecretWriteProgress::Accepted);
        observed.creation = Creation::Refused(Fault::Conflict("create app: 409: exists".into()));
        match decide(&observed) {
            Step::Finish(Outcome::Waiting { message, .. }) => message,
            other => panic!("{other:?}"),
        }
    };
    let shown = |id: &str| {
        format!(
            "create app: 409: exists; the API does not show app {id}: its deletion may still run, or another organization has it"
        )
    };
    assert_eq!(said(json!({})), shown(DERIVED));
    let advice = "; if it stays so, delete this resource and create it again with another id";
    assert_eq!(said(json!({"spec": {"id": "chosen"}})), shown("chosen") + advice);
}

#[test]
fn a_previous_secret_ends_no_later_than_a_rotation_gave_it_whatever_is_written_into_its_secret() {
    let far = at(1_000_000);
    let ends = |rotation: Value, contents: &dyn Fn(SecretContents) -> SecretContents| {
        let app = app(json!({"spec": {"rotation": {"overlap": "9h"}}, "status": {"rotation": rotation}}));
        let previous = Some(PreviousSecret { secret: value("before"), expires_at: far });
        let contents = contents(SecretContents { previous, ..content(&app) });
        let mut observed = Observed::new(app, granted(), key(), at(2), value("fresh"));
        observed.hold(holding(&observed.app, &contents));
        let end = upkeep::previous_end(&observed, &observed.contents()).unwrap();
        end.as_second() / 3600
    };
    assert_eq!(ends(json!({}), &|contents| contents), 9, "the overlap after it was published");
    let recorded = json!({"revision": 1, "previousExpiresAt": at(48)});
    assert_eq!(ends(recorded, &|contents| contents), 48, "the overlap that the spec had then");
    let of_another = json!({"revision": 0, "previousExpiresAt": at(48)});
    assert_eq!(ends(of_another, &|contents| contents), 9);
    let published_in_future = |contents| SecretContents { rotated_at: Some(far), ..contents };
    assert_eq!(ends(json!({"revision": 1, "rotatedAt": at(1)}), &published_in_future), 10, "status says when");
    assert_eq!(ends(json!({}), &published_in_future), 11, "the overlap from now on");
    let accepted = |contents: SecretContents| {
        let (mode, since) = (RotationMode::Overlap, at(1));
        let pending = PendingSecret { secret: value("next"), mode, follows: 1, since, accepted_at: Some(since) };
        SecretContents { rotated_at: Some(at(-900)), pending: Some(pending), ..contents }
    };
    assert_eq!(ends(json!({}), &accepted), 10, "it is about to be published");
    assert_eq!(ends(json!({}), &|contents| SecretContents { rotated_at: Some(at(-900)), ..contents }), -891);
}

#[test]
fn a_process_that_starts_after_one_refusal_asks_again() {
    let said = json!({"type": "Reconciling", "status": "True", "reason": "CredentialRefused", "message": "",
                      "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let refused_once = json!({"status": {"conditions": [said]}});
    assert_eq!(proven_in_hour(Some(1), json!({}), nothing), "Settled");
    assert_eq!(proven_in_hour(Some(1), refused_once, nothing), "Prove value");
}
