use super::*;
use crate::metrics::Metrics;
use futures::FutureExt;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn org(id: &str) -> OrgId {
    OrgId(id.into())
}

#[test]
fn retry_after_is_read_in_both_forms_and_bounded() {
    let now = at("1994-11-06T08:49:07Z");
    let cases = [
        (Some("2"), 2),
        (Some(" 30 "), 30),
        (Some("0"), 1),
        (Some("86400"), 600),
        (Some("Sun, 06 Nov 1994 08:49:37 GMT"), 30),
        (Some("Sun, 06 Nov 1994 08:00:00 GMT"), 1),
        (Some("Mon, 07 Nov 1994 08:49:37 GMT"), 600),
        (Some("soon"), 5),
        (Some("-1"), 5),
        (Some(""), 5),
        (None, 5),
    ];
    for (text, seconds) in cases {
        assert_eq!(wait(text, now), Duration::from_secs(seconds), "{text:?}");
    }
}

fn namespace(name: &str) -> Flow {
    Flow::Namespace(name.into())
}

fn gate(max_in_flight: usize) -> Gate {
    Gate::new(max_in_flight, None, Meter::default())
}

/// The lane of an organization for which a call has succeeded, in a namespace of its own.
fn known<'a>(gate: &'a Gate, name: &str) -> Lane<'a> {
    gate.lane(&org(name), &namespace(name)).succeeded(true);
    gate.lane(&org(name), &namespace(name))
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_for_an_organization_are_told_when_it_is_asked_to_wait() {
    let gate = Arc::new(gate(1));
    let lane = known(&gate, "a");
    let held = lane.enter().await.ok().unwrap();
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let gate = gate.clone();
            tokio::spawn(async move { gate.lane(&org("a"), &namespace("a")).enter().await.map(drop) })
        })
        .collect();
    tokio::task::yield_now().await;
    let fault = lane.pause(Duration::from_secs(3));
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), Err(fault.clone()));
    }
    drop(held);
    assert_eq!(lane.enter().await.map(drop), Err(fault.clone()));
    assert_eq!(lane.wait_for_turn().await, Err(fault));
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(lane.wait_for_turn().await, Ok(()));
    assert_eq!(lane.enter().await.map(drop), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_organization_that_is_always_asked_to_wait_takes_nothing_from_another() {
    let gate = gate(8);
    let (throttled, good) = (known(&gate, "throttled"), known(&gate, "good"));
    for _ in 0..100 {
        throttled.pause(Duration::from_secs(1));
        assert_eq!((throttled.places.free(), good.places.free(), gate.all.free()), (1, 6, 8));
        assert_eq!(good.wait_for_turn().await, Ok(()));
        assert!(good.enter().await.is_ok());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(throttled.enter().await.is_ok(), "one call asks again");
    }
}

#[tokio::test(start_paused = true)]
async fn when_several_organizations_are_asked_to_wait_all_do_and_begin_again_with_one_call_each() {
    let gate = gate(8);
    let lanes = ["a", "b", "c", "d"].map(|name| known(&gate, name));
    lanes[..3].iter().for_each(|lane| drop(lane.pause(Duration::from_secs(5))));
    assert!(lanes[3].enter().await.is_err());
    assert_eq!(gate.all.free(), 4);
    tokio::time::advance(Duration::from_secs(5)).await;
    for lane in &lanes {
        assert_eq!(lane.places.free(), 1);
        assert!(lane.enter().await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn organizations_that_anybody_can_make_up_never_stop_the_connection() {
    let gate = gate(8);
    let good = known(&gate, "good");
    for n in 0..100 {
        gate.lane(&org(&format!("made-up-{n}")), &namespace(&format!("n-{n}"))).pause(Duration::from_secs(5));
    }
    assert!(good.enter().await.is_ok());
    assert_eq!(gate.all.free(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_wait_does_not_open_the_gate_and_several_429_at_once_count_once() {
    let metrics = Arc::<Metrics>::default();
    let gate = Gate::new(8, None, Meter::new(metrics.clone(), "a".into()));
    let lane = known(&gate, "a");
    let long = lane.pause(Duration::from_secs(30));
    assert_eq!(lane.pause(Duration::from_secs(1)), long);
    let seconds = metrics.text(Timestamp::UNIX_EPOCH).unwrap();
    assert!(seconds.contains("throttled_seconds_total{connection=\"a\"} 30.0\n"), "{seconds}");
    tokio::time::advance(Duration::from_secs(29)).await;
    assert_eq!(lane.check(), Err(long));
    (0..5).for_each(|_| lane.succeeded(true));
    assert_eq!(lane.places.free(), 4, "half of what there was, had it not been halved twice");
}

#[tokio::test(start_paused = true)]
async fn an_organization_that_does_not_answer_leaves_places_to_the_others() {
    let gate = gate(8);
    let alone = known(&gate, "hangs");
    assert_eq!(alone.places.free(), 8, "the only one may take all");
    let other = known(&gate, "good");
    assert_eq!((alone.places.free(), other.places.free()), (6, 6));
    let hanging = futures::future::join_all((0..6).map(|_| alone.enter())).await;
    assert_eq!(other.enter().await.map(drop), Ok(()), "two are kept for others");
    (0..6).for_each(|request| alone.failed(request, "no answer"));
    drop(hanging);
    assert_eq!((alone.places.free(), other.places.free(), gate.all.free()), (1, 6, 8));
}

#[tokio::test(start_paused = true)]
async fn made_up_organizations_that_hang_take_no_more_places_together_than_one() {
    let gate = gate(8);
    let good = known(&gate, "good");
    let lanes: Vec<_> = (0..400).map(|n| gate.lane(&org(&format!("made-up-{n}")), &namespace("attacker"))).collect();
    let mut hanging: Vec<_> = lanes.iter().map(|lane| Box::pin(lane.enter())).collect();
    let entered = hanging.iter_mut().filter_map(|enter| tokio::task::unconstrained(enter).now_or_never());
    let entered: Vec<_> = entered.collect();
    assert_eq!(entered.len(), 6);
    assert!(good.enter().now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_made_up_organizations_and_the_real_one_is_remembered() {
    let gate = gate(8);
    known(&gate, "good");
    for n in 0..10_000 {
        gate.lane(&org(&format!("made-up-{n}")), &namespace("attacker")).pause(Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        gate.lane(&org("good"), &namespace("good"));
    }
    assert!(gate.orgs().len() < 200, "{}", gate.orgs().len());
    assert!(gate.lane(&org("good"), &namespace("good")).is_known);
}

#[tokio::test(start_paused = true)]
async fn when_no_namespace_is_answered_it_is_an_outage_of_the_api() {
    let gate = gate(8);
    let lanes = [known(&gate, "a"), known(&gate, "b")];
    (0..2).for_each(|request| lanes.iter().for_each(|lane| lane.failed(request, "no answer")));
    assert_eq!(gate.all.free(), 1);
    lanes[0].succeeded(true);
    assert_eq!(gate.all.free(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_silence_has_the_cause_of_its_last_call_on_one_line_until_the_api_answers() {
    let gate = gate(8);
    let lane = known(&gate, "a");
    (0..2).for_each(|request| lane.failed(request, "no answer"));
    assert_eq!(gate.silence(), None);
    lane.failed(2, &format!("cannot\nconnect {}", "x".repeat(10_000)));
    let cause = gate.silence().unwrap();
    assert!(cause.starts_with("cannot connect x") && cause.len() <= LONGEST_CAUSE, "{cause}");
    lane.succeeded(true);
    assert_eq!(gate.silence(), None);
}

#[tokio::test(start_paused = true)]
async fn when_a_silence_ends_nobody_is_turned_away_any_more() {
    let gate = gate(8);
    let (good, other) = (known(&gate, "good"), known(&gate, "other"));
    (0..3).for_each(|request| other.failed(request, "no answer"));
    let trial = other.enter().await.unwrap();
    assert!(other.enter().await.is_err(), "another one is under way");
    good.succeeded(true);
    let (waits, ()) = futures::join!(other.enter(), async { drop(trial) });
    assert!(waits.is_ok());
}

#[tokio::test(start_paused = true)]
async fn organizations_of_one_namespace_that_fail_are_no_outage_of_the_api() {
    let gate = gate(8);
    for n in 0..100 {
        gate.lane(&org(&n.to_string()), &namespace("attacker")).failed(n, "no answer");
    }
    assert_eq!(gate.all.free(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_quota_spaces_the_calls_evenly() {
    let gate = Gate::new(8, NonZeroU32::new(5), Meter::default());
    let (a, b) = (known(&gate, "a"), known(&gate, "b"));
    let begin = Instant::now();
    for lane in [&a, &b, &a, &b, &a, &b, &a, &b, &a, &b, &a] {
        lane.wait_for_turn().await.unwrap();
    }
    assert_eq!(begin.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_neighbor_waits_for_one_turn_of_a_quota_and_not_for_all_that_a_crowd_wants() {
    let gate = Arc::new(Gate::new(64, NonZeroU32::new(1), Meter::default()));
    for _ in 0..48 {
        let gate = gate.clone();
        tokio::spawn(async move { gate.lane(&org("a"), &namespace("crowd")).wait_for_turn().await });
    }
    tokio::task::yield_now().await;
    let begin = Instant::now();
    gate.lane(&org("b"), &namespace("neighbor")).wait_for_turn().await.unwrap();
    // After the one whose turn it is, and one more of the crowd.
    assert_eq!(begin.elapsed(), Duration::from_secs(3));
}
