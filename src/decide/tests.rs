//! The policy, case by case: what was seen, and the one step that follows.

use super::*;
use crate::credentials::{SecretWrite, guard};
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
    Access::Granted { api: Api::CloudServices, context: None }
}

fn credentials(value: &str) -> Credentials {
    Credentials { client_id: ClientId(DERIVED.into()), client_secret: Some(ClientSecret::new(value.into())) }
}

fn published(app: &OrgOAuthApp) -> Target {
    match Target::Free.publish(app, &credentials("value")) {
        Some(SecretWrite::Create(secret)) => guard(app, Some(secret)),
        other => panic!("{other:?}"),
    }
}

fn shown(fields: Value) -> Remote {
    let fields = fields.as_object().unwrap().clone();
    Remote::Shown(RemoteApp { id: ClientId(DERIVED.into()), fields, created_at: None, last_updated_at: None })
}

fn as_wanted() -> Remote {
    shown(json!({"displayName": "Billing", "description": "Nightly", "grantTypes": ["client_credentials"]}))
}

/// The step that follows from a resource, its Secret and what else a pass has seen.
fn step(app: OrgOAuthApp, secret: impl FnOnce(&OrgOAuthApp) -> Target, also: impl FnOnce(&mut Observed)) -> String {
    let target = secret(&app);
    let mut seen = Observed::new(app, granted());
    (seen.secret, seen.live) = (Some(target), true);
    also(&mut seen);
    say(decide(&seen))
}

fn say(step: Step) -> String {
    match step {
        Step::Finish(Outcome::Blocked(blocked)) => blocked.reason.as_str().into(),
        Step::Finish(Outcome::Waiting { reason, .. }) => format!("wait: {}", reason.as_str()),
        Step::Finish(outcome) => format!("{outcome:?}"),
        Step::Call(Call::Create(app)) => format!("Create {}", app.id),
        Step::Call(Call::Read(id)) => format!("Read {id}"),
        Step::Call(Call::Regenerate(id)) => format!("Regenerate {id}"),
        Step::Call(Call::Delete(id)) => format!("Delete {id}"),
        Step::Claim(id) => format!("Claim {id}"),
        Step::ReleaseSecret(_) => "ReleaseSecret".into(),
        Step::Publish(_) => "Publish".into(),
        Step::TryPublish(_) => "TryPublish".into(),
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
    let mut seen = Observed::new(bare(), granted());
    assert_eq!(say(decide(&seen)), "ReadSecret");
    seen.secret = Some(Target::Free);
    assert_eq!(say(decide(&seen)), "Call(Authenticate)");
    seen.authenticated = true;
    assert_eq!(say(decide(&seen)), "AddFinalizer");
    (seen.app, seen.live) = (app(json!({})), true);
    assert_eq!(say(decide(&seen)), format!("Create {DERIVED}"));
    (seen.remote, seen.in_hand) = (Remote::AsDefined, Some(credentials("value")));
    assert_eq!(say(decide(&seen)), "Publish");
    (seen.secret, seen.in_hand) = (Some(published(&seen.app)), None);
    assert_eq!(say(decide(&seen)), "Settled");
}

#[test]
fn nothing_is_asked_of_the_api_before_the_spec_and_the_secret_are_found_good() {
    assert_eq!(step(app(json!({"spec": {"suspend": true}})), free, nothing), "NotSupported");
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
    assert_eq!(step(app(json!({})), free, refused(as_wanted())), format!("Regenerate {DERIVED}"));
    assert_eq!(step(app(json!({})), free, refused(Remote::Absent)), "wait: ApiConflict");
}

#[test]
fn an_app_that_was_published_before_is_read_before_its_secret_is_replaced() {
    assert_eq!(step(app(synced()), free, nothing), format!("Read {DERIVED}"));
    assert_eq!(step(app(synced()), free, |seen| seen.remote = as_wanted()), format!("Regenerate {DERIVED}"));
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
    assert_eq!(step(claimed(), free, |seen| seen.remote = as_wanted()), "Regenerate chosen");
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
}

#[test]
fn what_is_settled_is_left_alone_and_what_was_edited_is_put_back() {
    assert_eq!(step(app(synced()), published, nothing), "Settled");
    let other_label = app(json!({"spec": {"secret": {"labels": {"team": "a"}}}}));
    let edited = move |_: &OrgOAuthApp| published(&other_label);
    assert_eq!(step(app(json!({"spec": {"secret": {"labels": {"team": "b"}}}})), edited, nothing), "Publish");
}

#[test]
fn what_kubernetes_makes_of_the_secret_is_not_fought_over() {
    let other_label = app(json!({"spec": {"secret": {"labels": {"team": "a"}}}}));
    let changed = move |_: &OrgOAuthApp| published(&other_label);
    let mut more = synced();
    merge(&mut more, json!({"spec": {"secret": {"labels": {"team": "b"}}}}));
    assert_eq!(step(app(more), changed, |seen| seen.published_now = true), "Settled");
}

#[test]
fn a_changed_spec_is_compared_with_what_the_api_shows() {
    assert_eq!(step(app(json!({})), published, nothing), format!("Read {DERIVED}"));
    assert_eq!(step(app(json!({})), published, |seen| seen.remote = as_wanted()), "Settled");
    let other = shown(json!({"displayName": "Other", "description": "Nightly", "grantTypes": ["client_credentials"]}));
    assert_eq!(step(app(json!({})), published, |seen| seen.remote = other), "NotSupported");
    assert_eq!(step(app(json!({})), published, |seen| seen.remote = Remote::Absent), format!("Create {DERIVED}"));
}

#[test]
fn while_kubernetes_refuses_the_secret_the_api_is_asked_for_no_other() {
    let refused = || {
        app(
            json!({"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "SecretNotWritten", "message": "",
                                              "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}),
        )
    };
    assert_eq!(step(refused(), free, nothing), "TryPublish");
    assert_eq!(step(refused(), free, |seen| seen.secret_storable = true), format!("Create {DERIVED}"));
}

#[test]
fn a_secret_that_another_writer_raced_for_is_replaced() {
    let raced = |seen: &mut Observed| (seen.secret_suspect, seen.remote) = (true, Remote::AsDefined);
    assert_eq!(step(app(json!({})), published, raced), format!("Regenerate {DERIVED}"));
}

#[test]
fn a_credential_under_an_earlier_name_or_key_is_not_thrown_away() {
    let renamed = app(json!({"metadata": {"generation": 2}, "spec": {"secret": {"name": "new"}},
                             "status": {"secretName": "billing", "clientId": DERIVED, "observedGeneration": 1}}));
    assert_eq!(step(renamed, free, nothing), "NotSupported");
    let rekeyed = app(
        json!({"metadata": {"generation": 2}, "spec": {"secret": {"keys": {"clientId": "ID", "clientSecret": "SECRET"}}},
                             "status": {"secretName": "billing", "clientId": DERIVED, "observedGeneration": 1}}),
    );
    assert_eq!(step(rekeyed, |_| published(&app(json!({}))), nothing), "NotSupported");
}

#[test]
fn a_public_client_has_no_secret_to_regenerate() {
    let public = || {
        app(
            json!({"spec": {"publicClient": true, "grantTypes": ["authorization_code"]}, "status": {"clientId": DERIVED}}),
        )
    };
    assert_eq!(step(public(), free, |seen| seen.remote = as_wanted()), "Publish");
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
    let mut seen = Observed::new(deleting(json!({})), refused());
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
