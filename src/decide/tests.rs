//! The policy, case by case: what was seen, and the one step that follows.

use super::*;
use crate::crd::DeletionPolicy;
use crate::credentials::{Apply, Previous, SecretWrite, Staged, guard};
use crate::remote::ClientSecret;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

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
    Access::Granted { address: address(), context: None, adoption: true }
}

fn credentials(value: &str) -> Credentials {
    Credentials { client_id: ClientId(DERIVED.into()), client_secret: Some(ClientSecret::new(value.into())) }
}

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * 3600).unwrap()
}

fn holding(app: &OrgOAuthApp, content: &Content) -> Target {
    match Target::Free.write(app, content) {
        Some(SecretWrite::Create(secret)) => guard(app, &key(), Some(secret)),
        other => panic!("{other:?}"),
    }
}

fn value(value: &str) -> ClientSecret {
    ClientSecret::new(value.into())
}

fn content(app: &OrgOAuthApp) -> Content {
    let claim = Some(key().sign(app, &address(), &client_id(app), true));
    Content { claim, ..Content::default().publish(app, &client_id(app), Some(value("value")), at(0)) }
}

fn published(app: &OrgOAuthApp) -> Target {
    holding(app, &content(app))
}

/// A Secret with a next value that waits to become valid.
fn staged(apply: Apply) -> impl FnOnce(&OrgOAuthApp) -> Target {
    move |app| {
        let next = Some(Staged { secret: value("next"), apply, since: at(1) });
        holding(app, &Content { next, ..content(app) })
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

/// The step that follows from a resource, its Secret and what else a pass has seen.
fn step(app: OrgOAuthApp, secret: impl FnOnce(&OrgOAuthApp) -> Target, also: impl FnOnce(&mut Observed)) -> String {
    let target = secret(&app);
    let mut seen = Observed::new(app, granted(), key(), at(2), value("fresh"));
    (seen.secret, seen.live, seen.secret_accepted) = (Some(target), true, true);
    also(&mut seen);
    say(decide(&seen))
}

fn say(step: Step) -> String {
    match step {
        Step::Finish(Outcome::Blocked(blocked)) => blocked.reason.as_str().into(),
        Step::Finish(Outcome::Waiting { reason, .. }) => format!("wait: {}", reason.as_str()),
        Step::Finish(Outcome::Settled { wake: None }) => "Settled".into(),
        Step::Finish(Outcome::Observed(plan)) => format!("plan: {plan}"),
        Step::Finish(outcome) => format!("{outcome:?}"),
        Step::Call(Call::Create(app)) => format!("Create {}", app.id),
        Step::Call(Call::Read(id)) => format!("Read {id}"),
        Step::Call(Call::Look(id)) => format!("Look {id}"),
        Step::Call(Call::Update(_, update)) => {
            let fields: Vec<_> = update.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("Update {}", fields.join(" "))
        }
        Step::Call(Call::Replace(..)) => "Replace".into(),
        Step::Call(Call::Rotate(_, _, overlap)) => format!("Rotate {}", overlap.as_secs()),
        Step::Call(Call::Prove(_, secret)) => format!("Prove {}", secret.expose()),
        Step::Call(Call::Delete(id)) => format!("Delete {id}"),
        Step::Claim { id, origin: ClaimOrigin::New } => format!("Claim {id}"),
        Step::Claim { id, origin: ClaimOrigin::Adopted } => format!("Adopt {id}"),
        Step::Claim { id, origin: ClaimOrigin::Created } => format!("Created {id}"),
        Step::Claim { id, origin: ClaimOrigin::Restored } => format!("Restore {id}"),
        Step::TrySecret(_) => "TrySecret".into(),
        Step::RemoveSecret(secret) => format!("RemoveSecret {}", secret.name()),
        Step::ReleaseSecret(_) => "ReleaseSecret".into(),
        Step::Write(_, because) => format!("Write {because:?}"),
        step => format!("{step:?}"),
    }
}

fn free(_: &OrgOAuthApp) -> Target {
    Target::Free
}

fn foreign(_: &OrgOAuthApp) -> Target {
    Target::Foreign
}

fn nothing(_: &mut Observed) {}

#[test]
fn a_new_app_takes_these_steps() {
    let bare = || app(json!({"metadata": {"finalizers": []}}));
    let mut seen = Observed::new(bare(), granted(), key(), at(2), value("fresh"));
    assert_eq!(say(decide(&seen)), "ReadSecret");
    seen.secret = Some(Target::Free);
    assert_eq!(say(decide(&seen)), "Call(Authenticate)");
    seen.authenticated = true;
    assert_eq!(say(decide(&seen)), "AddFinalizer");
    assert_eq!(
        say(decide(&{
            let mut seen = seen.clone();
            seen.app = app(json!({}));
            seen
        })),
        "TrySecret"
    );
    (seen.app, seen.live, seen.secret_accepted) = (app(json!({})), true, true);
    assert_eq!(say(decide(&seen)), format!("Create {DERIVED}"));
    (seen.remote, seen.in_hand) = (Remote::AsDefined, Some(credentials("value")));
    assert_eq!(say(decide(&seen)), "Write HandedOut");
    (seen.secret, seen.in_hand) = (Some(published(&seen.app)), None);
    assert_eq!(say(decide(&seen)), "Settled");
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
    assert_eq!(step(app(json!({})), free, |seen| seen.access = refused), "NotGranted");
    assert_eq!(step(app(json!({})), foreign, nothing), "SecretConflict");
    assert_eq!(step(app(json!({})), foreign, |seen| seen.in_hand = Some(credentials("v"))), "SecretConflict");
}

#[test]
fn nothing_is_created_or_regenerated_from_a_cache_that_may_lag() {
    assert_eq!(step(app(json!({})), free, |seen| seen.live = false), "ReadResource");
    let lagging = |seen: &mut Observed| (seen.live, seen.remote) = (false, as_wanted());
    assert_eq!(step(app(json!({})), free, lagging), "ReadResource");
    let claiming = app(json!({"spec": {"id": "chosen"}}));
    let about_to_claim = |s: &mut Observed| (s.live, s.rival, s.remote) = (false, Rival::None, Remote::Absent);
    assert_eq!(step(claiming, free, about_to_claim), "ReadResource");
}

#[test]
fn a_create_that_is_refused_asks_whether_an_earlier_one_took_hold() {
    let refused = |remote| {
        move |seen: &mut Observed| (seen.create_refused, seen.remote) = (Some(Fault::Conflict("exists".into())), remote)
    };
    assert_eq!(step(app(json!({})), free, refused(Remote::Unread)), format!("Read {DERIVED}"));
    assert_eq!(step(app(json!({})), free, refused(as_wanted())), "Write Staged");
    assert_eq!(step(app(json!({})), free, refused(Remote::Absent)), "wait: ApiConflict");
}

#[test]
fn an_app_that_was_published_before_is_read_before_its_secret_is_replaced() {
    let before = || claimed(app(synced()));
    assert_eq!(step(before(), free, nothing), format!("Read {DERIVED}"));
    assert_eq!(step(before(), free, |seen| seen.remote = as_wanted()), "Write Staged");
    assert_eq!(step(before(), free, |seen| seen.remote = Remote::Absent), format!("Create {DERIVED}"));
}

#[test]
fn a_chosen_id_is_used_only_once_it_is_free_and_claimed() {
    let chosen = || app(json!({"spec": {"id": "chosen"}, "metadata": {"finalizers": []}}));
    let with = |rival, remote, authenticated| {
        let also = |seen: &mut Observed| (seen.rival, seen.remote, seen.authenticated) = (rival, remote, authenticated);
        step(chosen(), free, also)
    };
    assert_eq!(with(Rival::Unread, Remote::Unread, false), "FindRival");
    assert_eq!(with(Rival::Has(Box::new(chosen())), Remote::Unread, false), "IdConflict");
    assert_eq!(with(Rival::None, Remote::Unread, false), "Read chosen");
    assert_eq!(with(Rival::None, as_wanted(), false), "IdTaken");
    assert_eq!(with(Rival::None, Remote::Absent, true), "AddFinalizer");
    let attached = app(json!({"spec": {"id": "chosen"}}));
    let ready = |seen: &mut Observed| (seen.rival, seen.remote) = (Rival::None, Remote::Absent);
    assert_eq!(step(attached, free, ready), "Claim chosen");
    let claimed = || claimed(app(json!({"spec": {"id": "chosen"}})));
    let now = |seen: &mut Observed| (seen.claimed_now, seen.remote) = (true, Remote::Absent);
    assert_eq!(step(claimed(), free, now), "Create chosen");
    assert_eq!(step(claimed(), free, |seen| seen.remote = as_wanted()), "Write Staged");
}

#[test]
fn an_id_that_somebody_else_took_just_after_it_was_claimed_is_given_back() {
    let claimed = intending(app(json!({"spec": {"id": "chosen"}})));
    let taken = |seen: &mut Observed| {
        (seen.claimed_now, seen.remote) = (true, as_wanted());
        seen.create_refused = Some(Fault::Conflict("exists".into()));
    };
    assert_eq!(step(claimed, free, taken), "Unclaim");
}

#[test]
fn a_claim_is_taken_back_when_the_create_is_refused_and_nothing_is_there() {
    let refused = |seen: &mut Observed| {
        (seen.claimed_now, seen.rival, seen.remote) = (true, Rival::None, Remote::Absent);
        seen.create_refused = Some(Fault::Rejected("no".into()));
    };
    assert_eq!(step(intending(app(json!({"spec": {"id": "chosen"}}))), free, refused), "Unclaim");
    let junk = |app: &OrgOAuthApp| {
        let claim = Some(key().sign(app, &address(), &client_id(app), false));
        holding(app, &Content { claim, ..content(app) })
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
fn chosen_with(status: impl FnOnce(&mut OrgOAuthApp), secret: impl FnOnce(&OrgOAuthApp) -> Target) -> String {
    let mut app = app(json!({"spec": {"id": "victim"}}));
    status(&mut app);
    step(app, secret, |seen| (seen.rival, seen.remote) = (Rival::None, as_wanted()))
}

#[test]
fn nothing_that_a_tenant_can_write_makes_an_app_its_own() {
    let forged_secret = |app: &OrgOAuthApp| holding(app, &Content { claim: None, current: None, ..content(app) });
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
    assert_eq!(chosen_with(|_| {}, published), "Settled");
    let mut before = app(json!({}));
    let secret = published(&before);
    before.metadata.uid = Some("uid-2".into());
    let restored = |_: &OrgOAuthApp| secret.clone();
    let seen = |seen: &mut Observed| (seen.rival, seen.remote) = (Rival::None, as_wanted());
    assert_eq!(step(before.clone(), restored, nothing), "FindRival");
    assert_eq!(step(before.clone(), restored, seen), "Prove value", "with another uid a claim may be a copy");
    let proven = |proof| {
        move |seen: &mut Observed| (seen.rival, seen.remote, seen.proof) = (Rival::None, as_wanted(), Some(proof))
    };
    assert_eq!(step(before.clone(), restored, proven(Proof::Accepted)), format!("Restore {DERIVED}"));
    assert_eq!(step(before, restored, proven(Proof::Refused("no".into()))), "IdTaken", "made again by somebody else");
}

#[test]
fn an_app_under_an_intended_id_is_this_resources_only_with_the_secret_that_was_staged_before_the_create() {
    let intending = || intending(app(json!({"spec": {"id": "chosen"}})));
    let with = |remote, proof: Option<Proof>| move |seen: &mut Observed| (seen.remote, seen.proof) = (remote, proof);
    let unsigned = |app: &OrgOAuthApp, next| holding(app, &Content { next, ..Content::default() });
    let staged =
        |app: &OrgOAuthApp| unsigned(app, Some(Staged { secret: value("next"), apply: Apply::Replace, since: at(1) }));
    assert_eq!(step(intending(), free, with(Remote::Unread, None)), "Read chosen");
    assert_eq!(step(intending(), free, with(Remote::Absent, None)), "Write Staged");
    let mut unowned = intending();
    unowned.spec.deletion_policy = DeletionPolicy::Retain;
    let mut seen = Observed::new(unowned, granted(), key(), at(2), value("fresh"));
    (seen.secret, seen.remote, seen.live, seen.secret_accepted) = (Some(Target::Free), Remote::Absent, true, true);
    let Step::Write(held, Because::Staged) = decide(&seen) else { panic!("nothing is staged") };
    let Target::Ours(_) = holding(&seen.app, &held) else { panic!("without an owner the claim says whose it is") };
    assert!(!held.claim.unwrap().created);
    assert_eq!(step(intending(), staged, with(Remote::Absent, None)), "Create chosen");
    assert_eq!(step(intending(), staged, with(as_wanted(), None)), "Prove next");
    assert_eq!(step(intending(), staged, with(as_wanted(), Some(Proof::Accepted))), "Created chosen");
    assert_eq!(step(intending(), staged, with(as_wanted(), Some(Proof::Refused("no".into())))), "Unclaim");
    assert_eq!(step(intending(), free, with(as_wanted(), None)), "Unclaim", "made by somebody else meanwhile");
    let deleting = || with_claim(deleting(json!({"spec": {"id": "chosen"}})), false);
    assert_eq!(step(deleting(), staged, with(as_wanted(), None)), "Prove next");
    assert_eq!(step(deleting(), staged, with(as_wanted(), Some(Proof::Accepted))), "Delete chosen");
    let refused = with(as_wanted(), Some(Proof::Refused("no".into())));
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
    let unsigned = |app: &OrgOAuthApp| holding(app, &Content { claim: None, ..content(app) });
    assert_eq!(chosen_with(|_| {}, unsigned), "Prove value");
    let proven = |proof: Proof| {
        let also = |seen: &mut Observed| {
            (seen.rival, seen.remote, seen.proof) = (Rival::None, as_wanted(), Some(proof));
        };
        step(app(json!({"spec": {"id": "victim"}})), unsigned, also)
    };
    assert_eq!(proven(Proof::Accepted), "Restore victim");
    assert_eq!(proven(Proof::Refused("no".into())), "IdTaken");
}

#[test]
fn an_app_that_was_made_at_another_address_is_left_alone_until_an_administrator_says_it_is_the_same() {
    let moved = |former: &[String]| {
        let address = ApiAddress::new(Api::CloudServices, "https://new.example.com", former);
        move |seen: &mut Observed| seen.access = Access::Granted { address, context: None, adoption: true }
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
    assert_eq!(step(app(synced()), published, |seen| seen.remote = listed(as_wanted())), "Settled");
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
    assert_eq!(step(app(more), changed, |seen| (seen.published_now, seen.remote) = (true, as_wanted())), "Settled");
}

#[test]
fn a_changed_spec_is_compared_with_what_the_api_shows() {
    assert_eq!(step(app(json!({})), published, nothing), format!("Read {DERIVED}"));
    assert_eq!(step(app(json!({})), published, |seen| seen.remote = as_wanted()), "Settled");
    let other = shown(json!({"displayName": "Other", "description": "Nightly", "grantTypes": ["client_credentials"]}));
    let update = r#"Update description="Nightly" displayName="Billing" grantTypes=["client_credentials"]"#;
    assert_eq!(step(app(json!({})), published, |seen| seen.remote = other.clone()), update);
    let updated = |seen: &mut Observed| (seen.remote, seen.updated) = (other.clone(), vec!["displayName".into()]);
    assert_eq!(step(app(json!({})), published, updated), "ChangeNotTaken");
    // The new secret is durable before the app is created again.
    assert_eq!(step(app(json!({})), published, |seen| seen.remote = Remote::Absent), "Write Staged");
    let again = step(app(json!({})), staged(Apply::Replace), |seen| seen.remote = Remote::Absent);
    assert_eq!(again, format!("Create {DERIVED}"));
}

#[test]
fn what_a_list_shows_otherwise_is_read_before_anything_is_done() {
    let other = shown(json!({"displayName": "Other"}));
    for doubtful in [listed(other), Remote::Listed(None)] {
        assert_eq!(step(app(synced()), published, |seen| seen.remote = doubtful), format!("Read {DERIVED}"));
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
    assert_eq!(step(closed, published, |seen| seen.remote = open), "ImmutableField");
}

#[test]
fn a_staged_secret_goes_to_the_api_and_then_to_the_consumers() {
    let taken = |seen: &mut Observed| seen.applied = Some(Applied::Taken);
    assert_eq!(step(app(synced()), staged(Apply::Replace), nothing), "Replace");
    assert_eq!(step(app(synced()), staged(Apply::Replace), taken), "Write Replaced");
    assert_eq!(step(app(synced()), staged(Apply::Rotate), |seen| seen.staged_now = true), "Rotate 172800");
    assert_eq!(step(app(synced()), staged(Apply::Rotate), taken), "Prove next");
    let proven = |proof| move |seen: &mut Observed| (seen.applied, seen.proof) = (Some(Applied::Taken), Some(proof));
    assert_eq!(step(app(synced()), staged(Apply::Rotate), proven(Proof::Accepted)), "Write Rotated");
    assert_eq!(
        step(app(synced()), staged(Apply::Rotate), proven(Proof::Refused("no".into()))),
        "wait: SecretNotProven"
    );
}

#[test]
fn a_rotation_that_an_earlier_pass_began_is_not_sent_twice_unasked() {
    let known = |proof| move |seen: &mut Observed| seen.proof = Some(proof);
    let conflict = |seen: &mut Observed| seen.applied = Some(Applied::Conflict);
    assert_eq!(step(app(synced()), staged(Apply::Rotate), nothing), "Prove next");
    assert_eq!(step(app(synced()), staged(Apply::Rotate), known(Proof::Accepted)), "Write Rotated");
    assert_eq!(step(app(synced()), staged(Apply::Rotate), known(Proof::Refused("no".into()))), "Rotate 172800");
    assert_eq!(step(app(synced()), staged(Apply::Rotate), conflict), "wait: RotationRunning");
    let code = || app(json!({"spec": {"grantTypes": ["authorization_code"]}}));
    assert_eq!(step(code(), staged(Apply::Rotate), nothing), "Rotate 172800");
    assert_eq!(step(code(), staged(Apply::Rotate), conflict), "Write Rotated");
    let now = |seen: &mut Observed| (seen.applied, seen.staged_now) = (Some(Applied::Conflict), true);
    assert_eq!(step(code(), staged(Apply::Rotate), now), "wait: RotationRunning");
}

#[test]
fn a_secret_is_rotated_when_it_is_due_and_not_while_the_one_before_is_valid() {
    let rotating = || app(json!({"spec": {"rotation": {"interval": "10h", "overlap": "2h"}}}));
    let after = |hours| step(rotating(), published, |seen| (seen.now, seen.remote) = (at(hours), as_wanted()));
    assert!(after(8).starts_with("Settled { wake: Some("), "{}", after(8));
    assert_eq!(after(10), "Write Staged");
    let overlapping = |app: &OrgOAuthApp| {
        let previous = Some(Previous { secret: value("before"), expires_at: at(12) });
        holding(app, &Content { previous, ..content(app) })
    };
    let at_hour = |hour| move |seen: &mut Observed| (seen.now, seen.remote) = (at(hour), as_wanted());
    assert!(step(rotating(), overlapping, at_hour(11)).starts_with("Settled"));
    assert_eq!(step(app(json!({})), overlapping, at_hour(12)), "Write Expired");
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
    assert_eq!(step(asked(), before, nothing), "Write Staged");
    assert_eq!(step(asked(), published, |seen| seen.remote = as_wanted()), "Settled");
}

/// A Secret of revision `revision` that says that it was rotated at this second, seen at second 1000 by an app that asks.
fn asked_again(revision: i64, rotated_at: i64, status: Value) -> Observed {
    let mut asked = synced();
    merge(&mut asked, json!({"metadata": {"annotations": {"oauth-apps.dev/rotate-requested-at": "2"}}}));
    merge(&mut asked, json!({"status": {"rotation": status}}));
    let second = |second| Timestamp::from_second(second).unwrap();
    let (app, before) = (app(asked), app(synced()));
    let held = Content { revision, rotated_at: Some(second(rotated_at)), ..content(&before) };
    let mut seen = Observed::new(app, granted(), key(), second(1000), value("fresh"));
    (seen.secret, seen.remote, seen.live) = (Some(holding(&before, &held)), as_wanted(), true);
    seen
}

#[test]
fn a_requested_rotation_waits_until_a_minute_has_passed_since_the_last_one() {
    let after = |revision, rotated_at| say(decide(&asked_again(revision, rotated_at, json!({}))));
    assert_eq!(after(2, 940), "Write Staged");
    assert_eq!(after(2, 941), format!("Settled {{ wake: Some({}) }}", Timestamp::from_second(1001).unwrap()));
    assert_eq!(after(1, 999), "Write Staged", "the first secret is no rotation");
    assert_eq!(after(2, 2000), "Write Staged", "a time that is yet to come is wrong");
    assert_eq!(requested_rotation_waits(&asked_again(2, 941, json!({}))), Some(RotationWaits::ForPace));
    assert_eq!(requested_rotation_waits(&asked_again(2, 940, json!({}))), None);
}

#[test]
fn an_edited_value_is_replaced_on_request_and_no_more_often_than_once_a_minute() {
    let after = |rotated_at| {
        let mut seen = asked_again(2, rotated_at, json!({}));
        let edited = Content { current: Some(value("other")), ..seen.content() };
        seen.secret = Some(holding(&seen.app, &edited));
        seen.proof = Some(Proof::Refused("no".into()));
        say(decide(&seen))
    };
    assert_eq!([after(940), after(941)], ["Write Staged", "wait: RotationRunning"]);
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
    let edited = |app: &OrgOAuthApp| holding(app, &Content { current: Some(value("other")), ..content(app) });
    let known = |proof| move |seen: &mut Observed| (seen.proof, seen.remote) = (Some(proof), as_wanted());
    assert_eq!(step(app(json!({})), edited, nothing), "Prove other");
    assert_eq!(step(app(json!({})), edited, known(Proof::Accepted)), "Write Proven");
    assert_eq!(step(app(json!({})), edited, known(Proof::Refused("no".into()))), "SecretTampered");
}

#[test]
fn a_credential_under_an_earlier_name_is_moved_and_then_removed_there() {
    let renamed = || {
        let mut renamed = synced();
        merge(&mut renamed, json!({"spec": {"secret": {"name": "new"}}}));
        app(renamed)
    };
    assert_eq!(step(renamed(), free, nothing), r#"ReadFormerSecret("billing")"#);
    let former = || Some(published(&app(json!({}))));
    assert_eq!(step(renamed(), free, |seen| seen.former = former()), "Write Moved");
    assert!(step(renamed(), published, |seen| seen.former = former()).starts_with("RemoveFormer"));
    assert_eq!(step(renamed(), published, |seen| seen.former = Some(Target::Foreign)), format!("Look {DERIVED}"));
}

#[test]
fn an_app_that_exists_is_adopted_by_its_id_and_only_if_the_spec_says_so() {
    let adopting = |policy: &str| app(json!({"spec": {"id": "chosen", "adoptionPolicy": policy}}));
    let found = |seen: &mut Observed| (seen.rival, seen.remote) = (Rival::None, as_wanted());
    assert_eq!(step(adopting("Never"), free, found), "IdTaken");
    assert_eq!(step(adopting("Adopt"), free, found), "Adopt chosen");
    let not_allowed = |seen: &mut Observed| {
        found(seen);
        seen.access = Access::Granted { address: address(), context: None, adoption: false };
    };
    assert_eq!(step(adopting("Adopt"), free, not_allowed), "NotAllowed", "the grant must allow it too");
    let operator = |seen: &mut Observed| {
        found(seen);
        let Remote::Shown(app) = &mut seen.remote else { panic!("it is shown") };
        app.is_caller = true;
    };
    assert_eq!(step(adopting("AdoptAndRotate"), free, operator), "IdTaken", "the operator's own identity");
    let adopted = |policy: &str| {
        claimed(app(json!({"spec": {"id": "chosen", "adoptionPolicy": policy}, "status": {"adopted": true}})))
    };
    assert_eq!(step(adopted("Adopt"), free, |seen| seen.remote = as_wanted()), "Write IdOnly");
    assert_eq!(step(adopted("AdoptAndRotate"), free, |seen| seen.remote = as_wanted()), "Write Staged");
    let id_only = |app: &OrgOAuthApp| {
        let Content { client_id, claim, .. } = content(app);
        holding(app, &Content { client_id, claim, ..Content::default() })
    };
    assert_eq!(step(adopted("Adopt"), id_only, |seen| seen.remote = as_wanted()), "SecretUnknown");
}

#[test]
fn a_secret_that_is_brought_for_an_adopted_app_is_proven_before_it_is_published() {
    let bringing = |grants: &str| {
        let reference = json!({"name": "mine", "key": "value"});
        let mut spec = json!({"id": "chosen", "adoptionPolicy": "Adopt", "clientSecretRef": reference});
        spec["grantTypes"] = json!([grants]);
        claimed(app(json!({"spec": spec, "status": {"adopted": true}})))
    };
    let with = |proof: Option<Proof>| {
        move |seen: &mut Observed| {
            (seen.remote, seen.proof) = (as_wanted(), proof);
            seen.brought = Some(Brought::Value(value("mine")));
        }
    };
    assert_eq!(step(bringing("client_credentials"), free, with(None)), "Prove mine");
    assert_eq!(step(bringing("client_credentials"), free, with(Some(Proof::Accepted))), "Write Proven");
    let refused = Proof::Refused("401".into());
    assert_eq!(step(bringing("client_credentials"), free, with(Some(refused))), "SecretRefInvalid");
    assert_eq!(step(bringing("authorization_code"), free, with(None)), "Write Proven", "no token can be asked for");
}

#[test]
fn a_secret_that_cannot_be_used_is_said_before_any_call() {
    let bringing = || app(json!({"spec": {"clientSecretRef": {"name": "mine", "key": "value"}}}));
    assert_eq!(step(bringing(), free, nothing), "ReadBroughtSecret");
    let missing = Some(Brought::Missing("no".into()));
    assert_eq!(step(bringing(), free, |seen| seen.brought = missing), "SecretRefInvalid");
}

#[test]
fn an_immutable_secret_with_a_credential_is_fine_and_is_replaced_whole_when_it_must_change() {
    let immutable = |app: &OrgOAuthApp| match Target::Free.write(app, &content(app)) {
        Some(SecretWrite::Create(secret)) => guard(app, &key(), Some(Secret { immutable: Some(true), ..secret })),
        other => panic!("{other:?}"),
    };
    assert_eq!(step(app(json!({})), immutable, |seen| seen.remote = as_wanted()), "Settled");
    let due = app(json!({"spec": {"rotation": {"interval": "10h", "overlap": "2h"}}}));
    let now = |seen: &mut Observed| (seen.now, seen.remote) = (at(11), as_wanted());
    assert_eq!(step(due.clone(), immutable, now), "Write Staged");
    let next = Some(Staged { secret: value("next"), apply: Apply::Rotate, since: at(1) });
    let staged = immutable(&due).write(&due, &Content { next, ..content(&due) });
    let Some(SecretWrite::Recreate { old, new }) = staged else { panic!("{staged:?}") };
    assert_eq!(new.data.unwrap()["client-secret"], old.data.unwrap()["client-secret"], "it holds the current one");
    assert_eq!((new.immutable, new.metadata.resource_version), (None, None));
    let labeled = app(json!({"spec": {"secret": {"labels": {"team": "b"}}}}));
    let relabeled = immutable(&labeled).write(&labeled, &content(&labeled));
    assert!(matches!(relabeled, Some(SecretWrite::Replace(_))), "its labels can be changed");
}

#[test]
fn a_secret_that_a_policy_sets_otherwise_is_written_once() {
    let other_label = app(json!({"spec": {"secret": {"labels": {"team": "a"}}}}));
    let overridden = move |_: &OrgOAuthApp| published(&other_label);
    let app = || app(json!({"spec": {"secret": {"labels": {"team": "b"}}}}));
    assert_eq!(step(app(), overridden.clone(), nothing), "Write PutBack");
    let known = |seen: &mut Observed| (seen.secret_overridden, seen.remote) = (true, as_wanted());
    assert_eq!(step(app(), overridden, known), "Settled");
}

#[test]
fn a_claim_signed_with_a_former_key_or_address_is_signed_again_without_a_word() {
    let (former, rotated) = ([9; 32], ClaimKey::new(&[1; 32], [&[9; 32][..]]).unwrap());
    let signed_before = |app: &OrgOAuthApp| {
        let claim = Some(ClaimKey::new(&former, []).unwrap().sign(app, &address(), &client_id(app), true));
        match Target::Free.write(app, &Content { claim, ..content(app) }) {
            Some(SecretWrite::Create(secret)) => guard(app, &rotated, Some(secret)),
            other => panic!("{other:?}"),
        }
    };
    let now = |seen: &mut Observed| (seen.key, seen.remote) = (rotated.clone(), as_wanted());
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
    let is_free = |seen: &mut Observed| (seen.rival, seen.remote) = (Rival::None, Remote::Absent);
    assert_eq!(step(chosen, free, is_free), "plan: create the app");
    let adopting = |policy| observing(json!({"spec": {"id": "chosen", "adoptionPolicy": policy}}));
    let other = shown(json!({"displayName": "Other", "description": "Nightly", "grantTypes": ["client_credentials"]}));
    let found = |seen: &mut Observed| (seen.rival, seen.remote) = (Rival::None, other.clone());
    assert_eq!(step(adopting("Adopt"), free, found), "plan: adopt the app, change displayName");
    let replaced = "plan: adopt the app, replace the client secret, change displayName";
    assert_eq!(step(adopting("AdoptAndRotate"), free, found), replaced);
    let drifted = |seen: &mut Observed| seen.remote = other.clone();
    assert_eq!(step(observing(json!({})), published, drifted), "plan: change displayName");
    assert_eq!(step(observing(json!({})), published, |seen| seen.remote = as_wanted()), "Settled");
    let leaving = deleting(json!({"spec": {"managementPolicy": "Observe"}}));
    assert_eq!(step(leaving, free, nothing), "DropFinalizer");
}

#[test]
fn an_app_has_the_roles_that_the_spec_names_and_no_others() {
    let roles = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"organizationRoles": names, "serviceRoles": [{"serviceDefinitionId": "s", "serviceRoles": names}]})
    };
    let held = |names: &[&str]| serde_json::from_value::<Roles>(roles(names)).unwrap();
    let wanting = || app(json!({"spec": {"roles": roles(&["a", "b"])}}));
    let with = |membership| move |seen: &mut Observed| (seen.remote, seen.membership) = (as_wanted(), membership);
    assert_eq!(
        step(wanting(), published, with(Membership::Unread)),
        format!(r#"Call(ReadRoles(ClientId("{DERIVED}")))"#)
    );
    assert!(step(wanting(), published, with(Membership::Absent)).starts_with("Call(AddToOrganization("));
    assert_eq!(step(wanting(), published, with(Membership::Has(held(&["b", "a"])))), "Settled");
    let mut seen = Observed::new(wanting(), granted(), key(), at(2), value("fresh"));
    (seen.secret, seen.remote, seen.membership) =
        (Some(published(&wanting())), as_wanted(), Membership::Has(held(&["b", "c"])));
    let Step::Call(Call::ChangeRoles { add, remove, .. }) = decide(&seen) else { panic!("no change of roles") };
    assert_eq!((add, remove), (held(&["a"]), held(&["c"])));
}

#[test]
fn a_public_client_has_no_secret_to_regenerate() {
    let public = || claimed(app(json!({"spec": {"publicClient": true, "grantTypes": ["authorization_code"]}})));
    assert_eq!(step(public(), free, |seen| seen.remote = as_wanted()), "Write IdOnly");
}

#[test]
fn a_deleted_resource_goes_once_the_api_no_longer_shows_its_app() {
    let after = |deletion, remote| move |seen: &mut Observed| (seen.deletion, seen.remote) = (Some(deletion), remote);
    assert_eq!(step(deleting(json!({})), free, nothing), format!("Delete {DERIVED}"));
    for deletion in [Deletion::Accepted, Deletion::NotFound, Deletion::Failed, Deletion::NotOffered] {
        let steps = [Remote::Unread, Remote::Absent, as_wanted()]
            .map(|remote| step(deleting(json!({})), free, after(deletion.clone(), remote)));
        let still_there = if deletion == Deletion::NotOffered { "DeletionNotOffered" } else { "wait: Deleting" };
        assert_eq!(steps, [format!("Read {DERIVED}"), "DropFinalizer".into(), still_there.into()]);
    }
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
    let forged = |app: &OrgOAuthApp| holding(app, &Content { claim: None, ..content(app) });
    assert_eq!(step(chosen(), forged, nothing), "DropFinalizer", "a Secret with the client id proves nothing");
    let mut before = chosen();
    before.metadata.uid = Some("uid-0".into());
    let restored = |_: &OrgOAuthApp| published(&before);
    let with = |rival, remote, proof| {
        step(chosen(), restored, |seen| (seen.rival, seen.remote, seen.proof) = (rival, remote, proof))
    };
    assert_eq!(with(Rival::Unread, Remote::Unread, None), "FindRival");
    assert_eq!(with(Rival::Has(Box::new(chosen())), Remote::Unread, None), "DropFinalizer", "another resource has it");
    assert_eq!(with(Rival::None, Remote::Unread, None), "Read chosen");
    assert_eq!(with(Rival::None, as_wanted(), None), "Prove value");
    assert_eq!(with(Rival::None, as_wanted(), Some(Proof::Accepted)), "Delete chosen");
    let refused = Some(Proof::Refused("no".into()));
    assert_ne!(with(Rival::None, as_wanted(), refused), "Delete chosen", "made again by somebody else");
    let Remote::Shown(app) = as_wanted() else { panic!("it is shown") };
    let operator = Remote::Shown(RemoteApp { is_caller: true, ..app });
    assert_eq!(with(Rival::None, operator, None), "DropFinalizer", "the operator's own client");
}

#[test]
fn a_secret_that_kubernetes_does_not_collect_is_removed_with_its_app() {
    let gone = |seen: &mut Observed| {
        (seen.deletion, seen.remote, seen.users) = (Some(Deletion::Accepted), Remote::Absent, Some(Vec::new()));
    };
    let unused = deleting(json!({"spec": {"deletionPolicy": "DeleteWhenUnused"}}));
    assert_eq!(step(unused, published, gone), "RemoveSecret billing");
    assert_eq!(step(deleting(json!({})), published, gone), "DropFinalizer", "Kubernetes collects it");
}

#[test]
fn deletion_without_a_connection_says_how_to_let_go_and_retain_does() {
    let refused = || Access::Refused(Blocked::new(Reason::ConnectionNotFound, "there is no IamConnection x"));
    let mut seen = Observed::new(claimed(deleting(json!({}))), refused(), key(), at(2), value("fresh"));
    let Step::Finish(Outcome::Blocked(blocked)) = decide(&seen) else { panic!("not blocked") };
    assert_eq!(blocked.reason, Reason::ConnectionNotFound);
    assert!(blocked.message.ends_with("to delete this resource without its app, set spec.deletionPolicy to Retain"));
    seen.app.spec.deletion_policy = DeletionPolicy::Retain;
    assert_eq!(say(decide(&seen)), "ReadSecret");
    seen.secret = Some(published(&seen.app));
    assert_eq!(say(decide(&seen)), "ReleaseSecret");
    seen.secret = Some(guard(&seen.app, &key(), Some(Secret::default())));
    assert_eq!(say(decide(&seen)), "DropFinalizer");
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
