//! Status, case by case, as tools that read conditions see it.

use super::*;
use crate::claim::{ApiAddress, ClaimKey};
use crate::consumers::StaleConsumers;
use crate::crd::Api;
use crate::decide::{Access, Plan};
use crate::iam::{ClientId, ClientSecret, RemoteApp, Verification};
use crate::outcome::Retry;
use crate::reason::Blocked;
use crate::secret::{PreviousSecret, SecretContents, guard};
use serde_json::json;

fn app() -> OrgOAuthApp {
    serde_json::from_value(json!({
        "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
        "metadata": {"name": "billing", "namespace": "team", "uid": "uid-1", "generation": 3},
        "spec": {"orgId": "o", "displayName": "d", "description": "d", "grantTypes": ["client_credentials"], "allowedScopes": {}},
    }))
    .unwrap()
}

fn key() -> ClaimKey {
    ClaimKey::new(&[1; 32], []).unwrap()
}

fn observed(app: OrgOAuthApp, published: bool) -> Observed {
    let id = ClientId("ooa-uid-1".into());
    let content = SecretContents::default().publish(&app, &id, Some(ClientSecret::new("value".into())), at(0));
    let secret = match SecretState::Absent.write(&app, &content) {
        Some(crate::secret::SecretWrite::Create(secret)) if published => Some(secret),
        _ => None,
    };
    let target = guard(&app, &key(), secret);
    let mut observed = Observed::new(app, access(Api::CloudServices), key(), at(0), ClientSecret::new("fresh".into()));
    observed.observe_secret(target);
    observed
}

fn access(api: Api) -> Access {
    Access::Granted {
        address: ApiAddress::new(api, "https://iam.example.com", &[]),
        context: None,
        adoption: true,
        credential_check_interval: std::time::Duration::from_secs(86_400),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn waiting() -> Outcome {
    Outcome::Waiting { reason: Reason::ConnectionUnavailable, message: "no answer".into(), retry: Retry::Backoff }
}

fn blocked() -> Outcome {
    Outcome::Blocked(Blocked::new(Reason::Rejected, "create app: 400: no"))
}

/// Ready, Reconciling, Stalled, Synced, SecretPublished, each as the first letter of its status, then Ready's reason.
fn short(status: &OrgOAuthAppStatus) -> String {
    let letters = status.conditions.iter().map(|condition| format!("{:?}", condition.status)[..1].to_owned());
    format!("{} {}", letters.collect::<String>(), status.conditions[0].reason)
}

#[test]
fn each_outcome_reads_as_kstatus_expects() {
    for (outcome, published, expected) in [
        (Outcome::Settled { wake: None }, true, "TFFTT Provisioned"),
        (blocked(), false, "FFTFF Rejected"),
        (blocked(), true, "FFTFT Rejected"),
        (waiting(), false, "FTFUF ConnectionUnavailable"),
    ] {
        assert_eq!(short(&after(&observed(app(), published), &outcome, at(1))), expected);
    }
}

#[test]
fn ready_keeps_its_last_value_while_the_api_is_unavailable() {
    let mut ready = app();
    let mut proven = observed(app(), true);
    proven.record_token_answer(&ClientSecret::new("value".into()), Verification::Accepted, at(1));
    ready.status = Some(after(&proven, &Outcome::Settled { wake: None }, at(1)));
    assert_eq!(short(&after(&observed(ready.clone(), true), &waiting(), at(2))), "TTFUT Provisioned");
    let secret = ClientSecret::new("value".into());
    let mut refused = observed(ready.clone(), true);
    refused.now = at(181);
    refused.remembered.first_token_refusal = Some((secret.clone(), at(121)));
    refused.record_token_answer(&secret, Verification::Refused("no".into()), at(181));
    assert_eq!(short(&after(&refused, &waiting(), at(61))), "FTFUT ConnectionUnavailable", "it is known to be invalid");
    let plan = || Outcome::PlanOnly(Plan::default());
    assert_eq!(short(&after(&refused, &plan(), at(61))), "FFFFT CredentialRefused");
    assert_eq!(short(&after(&observed(ready.clone(), true), &plan(), at(61))), "TFFFT Provisioned");
    ready.status.as_mut().unwrap().rotation.as_mut().unwrap().verified_revision = Some(0);
    assert_eq!(short(&after(&observed(ready.clone(), true), &waiting(), at(2))), "FTFUT ConnectionUnavailable");
    assert_eq!(short(&after(&observed(ready, false), &waiting(), at(2))), "FTFUF ConnectionUnavailable");
}

#[test]
fn a_suspended_resource_reports_it_and_stays_ready() {
    let mut suspended = app();
    assert_eq!(short(&after(&observed(suspended.clone(), false), &Outcome::Suspended, at(1))), "FFFUF Suspended");
    let mut settled = observed(app(), true);
    settled.record_token_answer(&ClientSecret::new("value".into()), Verification::Accepted, at(1));
    suspended.status = Some(after(&settled, &Outcome::Settled { wake: None }, at(1)));
    let status = after(&observed(suspended.clone(), true), &Outcome::Suspended, at(2));
    assert_eq!(short(&status), "TFFUT Suspended");
    let mut unread = observed(suspended, true);
    unread.forget_secrets();
    let published = after(&unread, &Outcome::Suspended, at(2)).conditions.pop().unwrap();
    assert_eq!((published.status, published.reason.as_str()), (ConditionStatus::True, "Provisioned"));
    let expected =
        "App ooa-uid-1 exists and its credentials are in Secret billing. Reconciliation is suspended (spec.suspend).";
    assert_eq!(status.conditions[0].message, expected);
}

/// A rotation is requested, and waits for the end of the previous secret at 90.
fn with_rotation_that_waits(app: OrgOAuthApp) -> Observed {
    let mut observed = observed(app, true);
    let rotation = json!({"revision": 1, "rotatedAt": at(0), "previousExpiresAt": at(90)});
    observed.app.status = Some(serde_json::from_value(json!({"rotation": rotation, "conditions": []})).unwrap());
    let annotation = ("oauth-apps.dev/rotate-requested-at".to_owned(), "noon".to_owned());
    observed.app.metadata.annotations = Some([annotation].into());
    observed.observe_refused_end();
    observed
}

#[test]
fn a_note_about_roles_comes_before_the_sentence_about_a_rotation_that_waits() {
    let mut app = app();
    app.spec.roles = serde_json::from_value(json!({"organizationRoles": [{"name": "org_member"}]})).unwrap();
    let status = after(&with_rotation_that_waits(app.clone()), &Outcome::Settled { wake: None }, at(0));
    let message = status.conditions[0].message.clone();
    app.status = Some(status);
    let (_, waits) = rotation_waits(&app).unwrap();
    let note = message.strip_suffix(waits).unwrap().trim_end();
    assert!(note.ends_with("allowedScopes allows none of those in roles; name each role in both."), "{message}");
}

#[test]
fn a_requested_rotation_that_waits_reports_until_when() {
    let mut observed = with_rotation_that_waits(app());
    let message = |observed: &Observed| {
        after(observed, &Outcome::Settled { wake: None }, observed.now).conditions.swap_remove(0).message
    };
    let first = message(&observed);
    let expected = "The requested rotation waits until the previous client secret expires at 1970-01-01T00:01:30Z;";
    assert!(first.contains(expected), "{first}");
    observed.now = at(60);
    assert_eq!(message(&observed), first, "it does not change with time");
    let advice = "; to invalidate all earlier ones now, delete Secret billing.";
    assert!(first.ends_with(advice), "{first}");
    // What a replacement does to the other secrets is documented for some APIs only.
    let mut broker = app();
    broker.spec.allowed_scopes = serde_json::from_value(json!({"generalScopes": ["user"]})).unwrap();
    let fresh = ClientSecret::new("fresh".into());
    observed.desired = Observed::new(broker, access(Api::IdentityBroker), key(), at(0), fresh).desired;
    assert!(observed.desired.is_ok());
    assert_eq!(message(&observed), first.replace(advice, "."));
}

#[test]
fn a_message_is_one_line_within_its_limit() {
    let message = format!("create app: 400: no\n\u{202e}{}", "x".repeat(1 << 20));
    let status = after(&observed(app(), false), &Outcome::Blocked(Blocked::new(Reason::Rejected, message)), at(1));
    let message = &status.conditions[0].message;
    assert!(message.starts_with("create app: 400: no xxx") && message.len() <= MAX_MESSAGE, "{message}");
}

#[test]
fn the_same_state_gives_the_same_status() {
    let mut app = app();
    let first = after(&observed(app.clone(), true), &Outcome::Settled { wake: None }, at(1));
    app.status = Some(first.clone());
    assert_eq!(after(&observed(app, true), &Outcome::Settled { wake: None }, at(99)), first);
}

#[test]
fn a_transition_time_moves_only_with_its_condition() {
    let mut app = app();
    app.status = Some(after(&observed(app.clone(), false), &waiting(), at(1)));
    let later = after(&observed(app, false), &blocked(), at(5));
    let times: Vec<i64> = later.conditions.iter().map(|c| c.last_transition_time.0.as_second()).collect();
    assert_eq!(times, [1, 5, 5, 5, 1]);
}

#[test]
fn published_credentials_are_named_with_the_observed_generation() {
    let status = after(&observed(app(), true), &Outcome::Settled { wake: None }, at(1));
    assert_eq!(status.client_id.as_deref(), Some("ooa-uid-1"));
    assert_eq!(status.secret_name.as_deref(), Some("billing"));
    assert_eq!(status.observed_generation, Some(3));
    assert_eq!(status.conditions[0].message, "App ooa-uid-1 exists and its credentials are in Secret billing.");
    assert!(status.conditions.iter().all(|condition| condition.observed_generation == Some(3)));
    assert_eq!(after(&observed(app(), false), &waiting(), at(1)).client_id, None);
}

#[test]
fn a_reconcile_request_is_acknowledged_when_it_was_handled_and_not_while_it_waits() {
    let mut asked = app();
    let annotations = [("oauth-apps.dev/reconcile-requested-at".to_owned(), "noon".to_owned())];
    asked.metadata.annotations = Some(annotations.into());
    let echo = |outcome| after(&observed(asked.clone(), true), &outcome, at(1)).last_handled_reconcile_at;
    assert_eq!(echo(Outcome::Settled { wake: None }).as_deref(), Some("noon"));
    assert_eq!(echo(blocked()).as_deref(), Some("noon"));
    assert_eq!(echo(waiting()), None);
    assert_eq!(echo(Outcome::Suspended), None);
}

#[test]
fn a_forged_secret_is_not_reported_as_credentials_of_the_resource() {
    let mut app = app();
    app.spec.id = Some("victim".into());
    let blocked = Outcome::Blocked(Blocked::new(Reason::IdConflict, "another has it"));
    let status = after(&observed(app, true), &blocked, at(1));
    assert_eq!((status.client_id, status.secret_name), (None, None));
    let published = status.conditions.iter().find(|c| c.r#type == ConditionType::SecretPublished).unwrap();
    assert_eq!(published.status, ConditionStatus::False);
}

#[test]
fn an_edited_value_is_not_reported_as_published_until_the_api_accepts_it() {
    let mut ready = app();
    ready.status = Some(after(&observed(app(), true), &Outcome::Settled { wake: None }, at(1)));
    let id = ClientId("ooa-uid-1".into());
    let content = SecretContents::default().publish(&ready, &id, Some(ClientSecret::new("value".into())), at(0));
    let Some(crate::secret::SecretWrite::Create(mut secret)) = SecretState::Absent.write(&ready, &content) else {
        panic!("not a create")
    };
    let edited = || k8s_openapi::ByteString(b"edited".to_vec());
    secret.data.get_or_insert_default().insert("client-secret".into(), edited());
    let mut observed = observed(ready.clone(), false);
    observed.observe_secret(guard(&ready, &key(), Some(secret)));
    let published = |status: &OrgOAuthAppStatus| {
        let published = status.conditions.iter().find(|c| c.r#type == ConditionType::SecretPublished).unwrap();
        (published.status, published.reason.clone())
    };
    let tampered = Outcome::Blocked(Blocked::new(Reason::SecretTampered, "edited"));
    let status = after(&observed, &tampered, at(2));
    assert_eq!(short(&status), "FFTFF SecretTampered");
    assert_eq!(published(&status), (ConditionStatus::False, "SecretTampered".into()));
    assert_eq!(status.client_id.as_deref(), Some("ooa-uid-1"), "whose app it is stays known");
    let status = after(&observed, &waiting(), at(2));
    assert_eq!(short(&status), "FTFUF ConnectionUnavailable", "nor is it Ready while the API is down");
    assert_eq!(published(&status), (ConditionStatus::False, "SecretTampered".into()));
    observed.record_token_answer(&ClientSecret::new("edited".into()), Verification::Accepted, at(2));
    assert_eq!(published(&after(&observed, &waiting(), at(2))).0, ConditionStatus::True);
}

#[test]
fn the_times_of_the_app_are_updated_with_another_change_and_cause_none() {
    let shown = |second: i64| RemoteApp {
        id: ClientId("ooa-uid-1".into()),
        created_at: Some(at(second)),
        last_updated_at: Some(at(second + 1)),
        is_caller: false,
        fields: [("lastUsedAt".to_owned(), (second + 2).into()), ("secretAge".to_owned(), 7.into())]
            .into_iter()
            .collect(),
    };
    let with = |app: OrgOAuthApp, second| {
        let mut observed = observed(app, true);
        observed.remote = Remote::Listed(Some(shown(second)));
        after(&observed, &Outcome::Settled { wake: None }, at(1))
    };
    let first = with(app(), 10);
    assert_eq!((first.created_at.clone(), first.last_updated_at.clone()), (Some(Time(at(10))), Some(Time(at(11)))));
    assert_eq!((first.last_used_at.clone(), first.secret_age), (Some(Time(at(12))), Some(7)));
    let mut settled = app();
    settled.status = Some(OrgOAuthAppStatus { drift: first.drift.clone(), ..first.clone() });
    assert_eq!(with(settled, 20).last_updated_at, first.last_updated_at, "worth no write of its own");
}

#[test]
fn a_public_client_is_published_without_a_secret() {
    let mut public = app();
    public.spec.public_client = Some(true);
    let content = SecretContents { client_id: Some(ClientId("ooa-uid-1".into())), ..SecretContents::default() };
    let Some(crate::secret::SecretWrite::Create(secret)) = SecretState::Absent.write(&public, &content) else {
        panic!("not a create")
    };
    let mut observed = observed(public.clone(), false);
    observed.observe_secret(guard(&public, &key(), Some(secret)));
    let status = after(&observed, &Outcome::Settled { wake: None }, at(1));
    assert_eq!((short(&status).as_str(), status.rotation), ("TFFTT Provisioned", None));
}

/// After a second secret was published at 0, of which the previous one ends at 100; one pod holds it.
fn after_a_rotation(rotation: serde_json::Value, now: i64, found: Option<usize>) -> RotationStatus {
    let mut app = app();
    app.status = Some(serde_json::from_value(json!({"rotation": rotation, "conditions": []})).unwrap());
    let id = ClientId("ooa-uid-1".into());
    let published = SecretContents::default().publish(&app, &id, Some(ClientSecret::new("value".into())), at(0));
    let previous = PreviousSecret { secret: Some(ClientSecret::new("before".into())), expires_at: at(100) };
    let content = SecretContents { previous: Some(previous), revision: 2, ..published };
    let created = |write| match write {
        Some(crate::secret::SecretWrite::Create(secret)) => guard(&app, &key(), Some(secret)),
        _ => panic!("not a create"),
    };
    let mut observed = observed(app.clone(), true);
    observed.observe_secret(created(SecretState::Absent.write(&app, &content)));
    observed.observe_rotation_secret(created(SecretState::Absent.write_rotation(&app, &content)));
    observed.now = at(now);
    observed.stale_consumers = found.map(|count| StaleConsumers { first: vec!["web".into()], count });
    after(&observed, &Outcome::Settled { wake: None }, at(now)).rotation.unwrap()
}

#[test]
fn stale_consumers_are_named_until_none_is_left_and_warned_of_once_a_quarter_of_the_overlap_is_left() {
    let known = json!({"revision": 2, "staleConsumers": ["web"], "staleConsumerCount": 1});
    let warned = json!({"revision": 2, "warnedRevision": 2});
    for (before, now, found, count, warned) in [
        (json!({"revision": 2}), 74, Some(1), Some(1), None),
        (known.clone(), 74, None, Some(1), None),
        (known.clone(), 75, None, Some(1), Some(2)),
        (known.clone(), 75, Some(0), None, None),
        (known.clone(), 100, None, None, None),
        (warned.clone(), 80, Some(0), None, Some(2)),
        (warned, 80, Some(1), Some(1), Some(2)),
        (json!({"revision": 1, "warnedRevision": 1}), 10, None, None, Some(1)),
    ] {
        let status = after_a_rotation(before.clone(), now, found);
        let names = status.stale_consumers.map(|names| names.len() as i64);
        assert_eq!((status.stale_consumer_count, status.warned_revision), (count, warned), "{before} at {now}");
        assert_eq!(names, count);
    }
}

#[test]
fn a_status_survives_serialization_so_that_it_is_written_once() {
    for interval in ["720h", "61s", "90500ms"] {
        for uid in ["uid-1", "uid-2", "uid-3"] {
            let mut rotating = app();
            rotating.metadata.uid = Some(uid.into());
            rotating.spec.rotation = Some(crate::crd::Rotation {
                interval: Some(interval.to_owned().try_into().unwrap()),
                overlap: Some("1500ms".to_owned().try_into().unwrap()),
                restart: Vec::new(),
            });
            let status = after(&observed(rotating.clone(), true), &Outcome::Settled { wake: None }, at(1));
            let read = serde_json::from_value(serde_json::to_value(&status).unwrap()).unwrap();
            rotating.status = Some(read);
            assert_eq!(
                Some(&after(&observed(rotating.clone(), true), &Outcome::Settled { wake: None }, at(9))),
                rotating.status.as_ref()
            );
        }
    }
}

#[test]
fn while_a_resource_is_deleted_status_reports_what_becomes_of_its_secret() {
    let reported = |policy: &str, secret_name: Option<&str>, is_read: bool| {
        let mut app = app();
        app.spec.deletion_policy = serde_json::from_value(json!(policy)).unwrap();
        app.metadata.deletion_timestamp = Some(Time(at(0)));
        let published = json!({"type": "SecretPublished", "status": "True", "reason": "Provisioned", "message": "",
                               "lastTransitionTime": "1970-01-01T00:00:00Z"});
        let status = json!({"secretName": secret_name, "conditions": [published]});
        app.status = Some(serde_json::from_value(status).unwrap());
        let mut observed = observed(app, true);
        if !is_read {
            observed.forget_secrets();
        }
        let waiting = Outcome::Waiting { reason: Reason::Deleting, message: "it goes".into(), retry: Retry::Backoff };
        let condition = after(&observed, &waiting, at(1)).conditions.pop().unwrap();
        (condition.status, condition.message)
    };
    let (unknown, rest) = (ConditionStatus::Unknown, "; it is no longer updated");
    let deleted = format!("Secret before is deleted with this resource{rest}");
    assert_eq!(reported("Delete", Some("before"), false), (unknown, deleted.clone()));
    assert_eq!(reported("DeleteWhenUnused", Some("before"), false), (unknown, deleted));
    let stays = format!("Secret before is kept when this resource is gone{rest}");
    assert_eq!(reported("Retain", Some("before"), false), (unknown, stays));
    let none = (ConditionStatus::False, "Secret billing does not hold the credentials of this resource".to_owned());
    assert_eq!(reported("Delete", None, false), none);
    let read = (ConditionStatus::True, "Secret billing holds the credentials.".to_owned());
    assert_eq!(reported("Delete", Some("billing"), true), read);
}

#[test]
fn one_refusal_is_reported_and_the_resource_stays_ready() {
    let mut app = app();
    let rotation = json!({"revision": 1, "rotatedAt": at(0), "verifiedAt": at(0), "verifiedRevision": 1});
    app.status = Some(serde_json::from_value(json!({"rotation": rotation, "conditions": []})).unwrap());
    let settled = |answer: Option<Verification>, now: i64| {
        let mut observed = observed(app.clone(), true);
        observed.now = at(now);
        let secret = ClientSecret::new("value".into());
        answer.into_iter().for_each(|answer| observed.record_token_answer(&secret, answer, at(now)));
        after(&observed, &Outcome::Settled { wake: None }, at(now))
    };
    let refused = settled(Some(Verification::Refused("no".into())), 600);
    assert_eq!(short(&refused), "TTFTT Provisioned");
    let reconciling = &refused.conditions[1];
    let expected = "the API refused the client secret in Secret billing once; it is asked again within a minute";
    assert_eq!((reconciling.reason.as_str(), reconciling.message.as_str()), ("SecretNotProven", expected));
    for answer in [None, Some(Verification::Accepted), Some(Verification::NotKnown("no".into()))] {
        assert_eq!(short(&settled(answer, 600)), "TFFTT Provisioned");
    }
}
