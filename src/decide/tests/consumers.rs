//! Consumers that read the Secret only at their start: which workloads are restarted, and when stale consumers are looked for.

use super::fixture::*;
use crate::consumers::{Overlap, RestartResult, StaleConsumers};
use crate::crd::OrgOAuthApp;
use crate::decide::{Observed, overlap_ending, stale_consumers};
use crate::secret::SecretContents;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

/// A secret that was published at hour 0 as the second one; the first one ends at hour 16.
fn rotated(app: &OrgOAuthApp) -> Secrets {
    holding(app, &SecretContents { previous: previous("before", at(16)), revision: 2, ..contents(app) })
}

fn stale(count: usize) -> Option<StaleConsumers> {
    Some(StaleConsumers { first: vec!["web".into()], count })
}

fn looking_at(now: Timestamp, also: impl FnOnce(&mut Observed)) -> Observed {
    observe(app(json!({"status": {"rotation": {"revision": 2}}})), rotated, |observed| {
        is_shown_at(now)(observed);
        also(observed);
    })
}

fn looked_for(revision: i64, at: Timestamp) -> impl Fn(&mut Observed) {
    move |observed| observed.remembered.consumers_searched = Some((revision, at))
}

#[test]
fn stale_consumers_are_looked_for_from_time_to_time_while_the_previous_secret_is_valid() {
    let look = || find_stale_consumers(at(0));
    // After a sixteenth of the overlap.
    assert_step(looking_at(before(at(1), 1), nothing), settled_until(at(1)));
    assert_step(looking_at(at(1), nothing), look());
    assert_step(looking_at(before(at(5), 1), looked_for(2, at(4))), settled_until(at(5)));
    assert_step(looking_at(at(5), looked_for(2, at(4))), look());
    // That was about another secret.
    assert_step(looking_at(at(4), looked_for(1, at(4))), look());
    // A quarter is left.
    assert_step(looking_at(at(12), looked_for(2, before(at(12), 1))), look());
    // While there are some.
    let known = |observed: &mut Observed| {
        looked_for(2, at(4))(observed);
        observed.stale_consumers = stale(1);
    };
    assert_step(looking_at(after(at(4), 299), known), settled_until(after(at(4), 300)));
    assert_step(looking_at(after(at(4), 300), known), look());
    // Until it ends.
    assert_step(looking_at(before(at(16), 1), nothing), look());
    assert_step(looking_at(at(15), looked_for(2, at(15))), settled_until(at(16)));
    let over = write_rotation(crate::decide::RotationWrite::Cleared, |contents| contents.previous = None);
    assert_step(looking_at(at(16), nothing), over);
}

#[test]
fn without_an_overlap_no_stale_consumers_are_looked_for() {
    let unpublished = |app: &OrgOAuthApp| {
        holding(app, &SecretContents { previous: previous("current", at(16)), revision: 2, ..contents(app) })
    };
    assert_step(observe(app(json!({})), unpublished, is_shown_at(at(5))), settled_until(at(16)));
    assert_step(observe(app(json!({})), published, is_shown_at(at(5))), settled());
}

#[test]
fn what_is_known_of_stale_consumers_is_of_the_current_secret_and_while_the_previous_one_is_valid() {
    let known = |revision: i64, now: Timestamp, found: Option<StaleConsumers>| {
        let reported = json!({"revision": revision, "staleConsumers": ["web"], "staleConsumerCount": 3});
        let app = app(json!({"status": {"rotation": reported}}));
        let observed = observe(app, rotated, |observed| {
            observed.now = now;
            observed.stale_consumers = found;
        });
        stale_consumers(&observed)
    };
    assert_eq!(known(2, at(1), None), stale(3), "as status says");
    assert_eq!(known(2, at(1), stale(1)), stale(1), "as is found");
    assert_eq!(known(2, at(1), Some(StaleConsumers::default())), None);
    assert_eq!(known(1, at(1), None), None, "of the secret before");
    assert_eq!(known(2, before(at(16), 1), None), stale(3));
    assert_eq!(known(2, at(16), None), None, "it has ended");
}

#[test]
fn an_overlap_ends_when_a_quarter_of_it_is_left() {
    let ending = |now| overlap_ending(&looking_at(now, nothing));
    let overlap = Some(Overlap { began: at(0), ends: at(16) });
    assert_eq!([ending(before(at(12), 1)), ending(at(12)), ending(before(at(16), 1))], [None, overlap, overlap]);
    assert_eq!(ending(at(16)), None);
}

/// The step after a secret was published as revision 2 at hour 0, while status says the revision that is given.
fn restarting(revision: Value, more: Value, restarts: &[(&str, RestartResult)]) -> Observed {
    let workloads = json!([{"kind": "Deployment", "name": "web"}, {"kind": "StatefulSet", "name": "queue"}]);
    let rotation = json!({"revision": revision});
    let all = json!({"spec": {"rotation": {"restart": workloads}}, "status": {"rotation": rotation}});
    observe(app(merged(all, more)), rotated, |observed| {
        is_shown_at(at(0))(observed);
        let workloads = observed.app.spec.rotation.clone().unwrap().restart;
        let done = restarts.iter().map(|(name, result)| {
            (workloads.iter().find(|workload| workload.name == *name).unwrap().clone(), result.clone())
        });
        observed.restarts = done.collect();
    })
}

#[test]
fn workloads_are_restarted_once_a_secret_is_published_after_the_first() {
    let with = |restarts: &[(&str, RestartResult)]| restarting(json!(1), json!({}), restarts);
    let (web, queue) = (|| restart("Deployment", "web", at(0)), || restart("StatefulSet", "queue", at(0)));
    // The first look for stale consumers.
    let done = || settled_until(at(1));
    assert_step(with(&[]), web());
    for result in [RestartResult::Restarted, RestartResult::Missing, RestartResult::Paused, RestartResult::NotNeeded] {
        assert_step(with(&[("web", result)]), queue());
    }
    assert_step(with(&[("web", RestartResult::Restarted), ("queue", RestartResult::Paused)]), done());
    // Without the right to it no further one is tried.
    assert_step(with(&[("web", RestartResult::Forbidden("no".into()))]), done());
    // Status says it already, or the secret is the first one, or the resource was restored.
    assert_step(restarting(json!(2), json!({}), &[]), done());
    assert_step(restarting(Value::Null, json!({}), &[]), done());
    assert_step(restarting(json!(1), json!({"spec": {"rotation": {"restart": []}}}), &[]), done());
    assert_step(restarting(json!(1), json!({"spec": {"suspend": true}}), &[]), suspended());
}

#[test]
fn a_secret_that_was_published_again_under_an_earlier_revision_restarts_workloads_too() {
    let published_before = |at: Timestamp| {
        let rotation = json!({"revision": 7, "rotatedAt": at});
        restarting(json!(7), json!({"status": {"rotation": rotation}}), &[])
    };
    assert_step(published_before(before(at(0), 1)), restart("Deployment", "web", at(0)));
    assert_step(published_before(at(0)), settled_until(at(1)));
    // A time that is yet to come is wrong.
    let mut early = restarting(json!(1), json!({}), &[]);
    early.now = before(at(0), 1);
    assert!(!matches!(crate::decide::decide(&early), crate::decide::Step::RestartConsumer(..)));
}
