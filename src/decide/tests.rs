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

fn granted() -> Access {
    Access::Granted { api: Api::CloudServices, context: None, endpoint: "https://iam.example.com".into() }
}

fn credentials(value: &str) -> Credentials {
    Credentials { client_id: ClientId(DERIVED.into()), client_secret: Some(ClientSecret::new(value.into())) }
}

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * 3600).unwrap()
}

fn holding(app: &OrgOAuthApp, content: &Content) -> Target {
    match Target::Free.write(app, content) {
        Some(SecretWrite::Create(secret)) => guard(app, Some(secret)),
        other => panic!("{other:?}"),
    }
}

fn value(value: &str) -> ClientSecret {
    ClientSecret::new(value.into())
}

fn content(app: &OrgOAuthApp) -> Content {
    Content::default().publish(app, &client_id(app), Some(value("value")), at(0))
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
    let mut seen = Observed::new(app, granted(), at(2), value("fresh"));
    (seen.secret, seen.live) = (Some(target), true);
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
        Step::Claim { id, adopt: false } => format!("Claim {id}"),
        Step::Claim { id, adopt: true } => format!("Adopt {id}"),
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
    let mut seen = Observed::new(bare(), granted(), at(2), value("fresh"));
    assert_eq!(say(decide(&seen)), "ReadSecret");
    seen.secret = Some(Target::Free);
    assert_eq!(say(decide(&seen)), "Call(Authenticate)");
    seen.authenticated = true;
    assert_eq!(say(decide(&seen)), "AddFinalizer");
    (seen.app, seen.live) = (app(json!({})), true);
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
    assert_eq!(step(app(synced()), free, nothing), format!("Read {DERIVED}"));
    assert_eq!(step(app(synced()), free, |seen| seen.remote = as_wanted()), "Write Staged");
    assert_eq!(step(app(synced()), free, |seen| seen.remote = Remote::Absent), format!("Create {DERIVED}"));
}

#[test]
fn a_chosen_id_is_used_only_once_it_is_free_and_claimed() {
    let chosen = || app(json!({"spec": {"id": "chosen"}, "metadata": {"finalizers": []}}));
    let with = |rival, remote, authenticated| {
        let also = |seen: &mut Observed| (seen.rival, seen.remote, seen.authenticated) = (rival, remote, authenticated);
        step(chosen(), free, also)
    };
    assert_eq!(with(Rival::Unread, Remote::Unread, false), "FindRival");
    assert_eq!(with(Rival::Has("team/other".into()), Remote::Unread, false), "IdConflict");
    assert_eq!(with(Rival::None, Remote::Unread, false), "Read chosen");
    assert_eq!(with(Rival::None, as_wanted(), false), "IdTaken");
    assert_eq!(with(Rival::None, Remote::Absent, true), "AddFinalizer");
    let attached = app(json!({"spec": {"id": "chosen"}}));
    let ready = |seen: &mut Observed| (seen.rival, seen.remote) = (Rival::None, Remote::Absent);
    assert_eq!(step(attached, free, ready), "Claim chosen");
    let claimed = || app(json!({"spec": {"id": "chosen"}, "status": {"clientId": "chosen"}}));
    let now = |seen: &mut Observed| (seen.claimed_now, seen.remote) = (true, Remote::Absent);
    assert_eq!(step(claimed(), free, now), "Create chosen");
    assert_eq!(step(claimed(), free, |seen| seen.remote = as_wanted()), "Write Staged");
}

#[test]
fn an_id_that_somebody_else_took_just_after_it_was_claimed_is_given_back() {
    let claimed = app(json!({"spec": {"id": "chosen"}, "status": {"clientId": "chosen"}}));
    let taken = |seen: &mut Observed| {
        (seen.claimed_now, seen.remote) = (true, as_wanted());
        seen.create_refused = Some(Fault::Conflict("exists".into()));
    };
    assert_eq!(step(claimed, free, taken), "Unclaim");
}

#[test]
fn of_two_resources_with_one_id_the_claim_decides_and_then_the_age() {
    let of = |uid: &str, created: &str, claim: Value| {
        app(json!({"spec": {"id": "chosen"}, "status": {"clientId": claim},
                   "metadata": {"uid": uid, "creationTimestamp": created}}))
    };
    let older = of("a", "2026-01-01T00:00:00Z", Value::Null);
    let younger = of("b", "2026-01-02T00:00:00Z", Value::Null);
    let claimed = of("c", "2026-01-03T00:00:00Z", json!("chosen"));
    assert!(rival(&younger, &older) && !rival(&older, &younger));
    assert!(rival(&older, &claimed) && !rival(&claimed, &older));
    assert!(!rival(&older, &older), "a resource is not its own rival");
    let derived = app(json!({}));
    let spec = json!({"id": DERIVED, "adoptionPolicy": "AdoptAndRotate"});
    let adopting = app(json!({"spec": spec, "metadata": {"uid": "z", "creationTimestamp": "2026-01-04T00:00:00Z"}}));
    assert!(rival(&adopting, &derived) && !rival(&adopting, &older), "no other resource's app is adopted");
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
    let mut seen = Observed::new(app, granted(), second(1000), value("fresh"));
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
    let operator = |seen: &mut Observed| {
        found(seen);
        let Remote::Shown(app) = &mut seen.remote else { panic!("it is shown") };
        app.is_caller = true;
    };
    assert_eq!(step(adopting("AdoptAndRotate"), free, operator), "IdTaken", "the operator's own identity");
    let adopted = |policy: &str| {
        app(
            json!({"spec": {"id": "chosen", "adoptionPolicy": policy}, "status": {"clientId": "chosen", "adopted": true}}),
        )
    };
    assert_eq!(step(adopted("Adopt"), free, |seen| seen.remote = as_wanted()), "Write IdOnly");
    assert_eq!(step(adopted("AdoptAndRotate"), free, |seen| seen.remote = as_wanted()), "Write Staged");
    let id_only = |app: &OrgOAuthApp| holding(app, &Content { client_id: Some(client_id(app)), ..Content::default() });
    assert_eq!(step(adopted("Adopt"), id_only, |seen| seen.remote = as_wanted()), "SecretUnknown");
}

#[test]
fn a_secret_that_is_brought_for_an_adopted_app_is_proven_before_it_is_published() {
    let bringing = |grants: &str| {
        let reference = json!({"name": "mine", "key": "value"});
        let mut spec = json!({"id": "chosen", "adoptionPolicy": "Adopt", "clientSecretRef": reference});
        spec["grantTypes"] = json!([grants]);
        app(json!({"spec": spec, "status": {"clientId": "chosen", "adopted": true}}))
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
fn a_secret_that_cannot_be_used_or_changed_is_said_before_any_call() {
    let bringing = || app(json!({"spec": {"clientSecretRef": {"name": "mine", "key": "value"}}}));
    assert_eq!(step(bringing(), free, nothing), "ReadBroughtSecret");
    let missing = Some(Brought::Missing("no".into()));
    assert_eq!(step(bringing(), free, |seen| seen.brought = missing), "SecretRefInvalid");
    let immutable = |app: &OrgOAuthApp| match Target::Free.write(app, &content(app)) {
        Some(SecretWrite::Create(secret)) => guard(app, Some(Secret { immutable: Some(true), ..secret })),
        other => panic!("{other:?}"),
    };
    assert_eq!(step(app(json!({})), immutable, nothing), "SecretImmutable");
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
    let mut seen = Observed::new(wanting(), granted(), at(2), value("fresh"));
    (seen.secret, seen.remote, seen.membership) =
        (Some(published(&wanting())), as_wanted(), Membership::Has(held(&["b", "c"])));
    let Step::Call(Call::ChangeRoles { add, remove, .. }) = decide(&seen) else { panic!("no change of roles") };
    assert_eq!((add, remove), (held(&["a"]), held(&["c"])));
}

#[test]
fn a_public_client_has_no_secret_to_regenerate() {
    let public = || {
        app(
            json!({"spec": {"publicClient": true, "grantTypes": ["authorization_code"]}, "status": {"clientId": DERIVED}}),
        )
    };
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
    assert_eq!(step(chosen(json!({"status": {"clientId": "chosen"}})), free, nothing), "Delete chosen");
}

#[test]
fn deletion_without_a_connection_says_how_to_let_go_and_retain_does() {
    let refused = || Access::Refused(Blocked::new(Reason::ConnectionNotFound, "there is no IamConnection x"));
    let mut seen = Observed::new(deleting(json!({})), refused(), at(2), value("fresh"));
    let Step::Finish(Outcome::Blocked(blocked)) = decide(&seen) else { panic!("not blocked") };
    assert_eq!(blocked.reason, Reason::ConnectionNotFound);
    assert!(blocked.message.ends_with("to delete this resource without it, set spec.deletionPolicy to Retain"));
    seen.app.spec.deletion_policy = DeletionPolicy::Retain;
    assert_eq!(say(decide(&seen)), "ReadSecret");
    seen.secret = Some(published(&seen.app));
    assert_eq!(say(decide(&seen)), "ReleaseSecret");
    seen.secret = Some(guard(&seen.app, Some(Secret::default())));
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
        (Fault::Rejected(text()), "Rejected"),
        (Fault::NotFound(text()), "OrgNotFound"),
    ] {
        assert_eq!(say(Step::Finish(after_fault(&app(json!({})), fault))), expected);
    }
}
