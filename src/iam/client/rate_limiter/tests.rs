use super::*;
use crate::metrics::Metrics;
use futures::FutureExt;

fn org(id: &str) -> OrgId {
    OrgId(id.into())
}

fn namespace(name: &str) -> Flow {
    Flow::Namespace(name.into())
}

fn rate_limiter(max_in_flight: usize) -> RateLimiter {
    RateLimiter::new(max_in_flight, None, ConnectionMetrics::default())
}

/// The limiter of an organization for which a call has succeeded, in a namespace of its own.
fn known<'a>(rate_limiter: &'a RateLimiter, name: &str) -> OrgLimiter<'a> {
    rate_limiter.limiter(&org(name), &namespace(name)).succeeded(true);
    rate_limiter.limiter(&org(name), &namespace(name))
}

#[tokio::test(start_paused = true)]
async fn a_429_fails_all_calls_that_wait_for_its_organization() {
    let rate_limiter = Arc::new(rate_limiter(1));
    let limiter = known(&rate_limiter, "a");
    let held = limiter.acquire().await.ok().unwrap();
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let rate_limiter = rate_limiter.clone();
            tokio::spawn(async move { rate_limiter.limiter(&org("a"), &namespace("a")).acquire().await.map(drop) })
        })
        .collect();
    tokio::task::yield_now().await;
    let error = limiter.pause(Duration::from_secs(3));
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), Err(error.clone()));
    }
    drop(held);
    assert_eq!(limiter.acquire().await.map(drop), Err(error.clone()));
    assert_eq!(limiter.wait_for_turn().await, Err(error));
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(limiter.wait_for_turn().await, Ok(()));
    assert_eq!(limiter.acquire().await.map(drop), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_organization_that_is_always_throttled_slows_no_other() {
    let rate_limiter = rate_limiter(8);
    let (throttled, good) = (known(&rate_limiter, "throttled"), known(&rate_limiter, "good"));
    for _ in 0..100 {
        throttled.pause(Duration::from_secs(1));
        assert_eq!((throttled.limit.free(), good.limit.free(), rate_limiter.all.free()), (1, 6, 8));
        assert_eq!(good.wait_for_turn().await, Ok(()));
        assert!(good.acquire().await.is_ok());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(throttled.acquire().await.is_ok(), "one call asks again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_429_of_several_organizations_pauses_all_and_each_starts_again_with_one_request() {
    let rate_limiter = rate_limiter(8);
    let limiters = ["a", "b", "c", "d"].map(|name| known(&rate_limiter, name));
    limiters[..3].iter().for_each(|limiter| drop(limiter.pause(Duration::from_secs(5))));
    assert!(limiters[3].acquire().await.is_err());
    assert_eq!(rate_limiter.all.free(), 4);
    tokio::time::advance(Duration::from_secs(5)).await;
    for limiter in &limiters {
        assert_eq!(limiter.limit.free(), 1);
        assert!(limiter.acquire().await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn throttled_invented_organizations_do_not_pause_the_connection() {
    let rate_limiter = rate_limiter(8);
    let good = known(&rate_limiter, "good");
    for n in 0..100 {
        rate_limiter
            .limiter(&org(&format!("made-up-{n}")), &namespace(&format!("n-{n}")))
            .pause(Duration::from_secs(5));
    }
    assert!(good.acquire().await.is_ok());
    assert_eq!(rate_limiter.all.free(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_wait_does_not_end_a_pause_and_several_429_at_once_count_once() {
    let metrics = Arc::<Metrics>::default();
    let rate_limiter = RateLimiter::new(8, None, ConnectionMetrics::new(metrics.clone(), "a".into()));
    let limiter = known(&rate_limiter, "a");
    let long = limiter.pause(Duration::from_secs(30));
    assert_eq!(limiter.pause(Duration::from_secs(1)), long);
    let seconds = metrics.text().unwrap();
    assert!(seconds.contains("throttled_seconds_total{connection=\"a\"} 30.0\n"), "{seconds}");
    tokio::time::advance(Duration::from_secs(29)).await;
    assert_eq!(limiter.check(), Err(long));
    (0..5).for_each(|_| limiter.succeeded(true));
    assert_eq!(limiter.limit.free(), 4, "half of what there was, had it not been halved twice");
}

#[tokio::test(start_paused = true)]
async fn an_organization_that_does_not_answer_leaves_permits_to_the_others() {
    let rate_limiter = rate_limiter(8);
    let alone = known(&rate_limiter, "hangs");
    assert_eq!(alone.limit.free(), 8, "the only one may take all");
    let other = known(&rate_limiter, "good");
    assert_eq!((alone.limit.free(), other.limit.free()), (6, 6));
    let hanging = futures::future::join_all((0..6).map(|_| alone.acquire())).await;
    assert_eq!(other.acquire().await.map(drop), Ok(()), "two are kept for others");
    (0..6).for_each(|request| alone.failed(request, "no answer"));
    drop(hanging);
    assert_eq!((alone.limit.free(), other.limit.free(), rate_limiter.all.free()), (1, 6, 8));
}

#[tokio::test(start_paused = true)]
async fn invented_organizations_that_hang_share_the_permits_of_one() {
    let rate_limiter = rate_limiter(8);
    let good = known(&rate_limiter, "good");
    let limiters: Vec<_> =
        (0..400).map(|n| rate_limiter.limiter(&org(&format!("made-up-{n}")), &namespace("attacker"))).collect();
    let mut hanging: Vec<_> = limiters.iter().map(|limiter| Box::pin(limiter.acquire())).collect();
    let acquired = hanging.iter_mut().filter_map(|acquire| tokio::task::unconstrained(acquire).now_or_never());
    let acquired: Vec<_> = acquired.collect();
    assert_eq!(acquired.len(), 6);
    assert!(good.acquire().now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn invented_organizations_are_forgotten_and_known_ones_are_not() {
    let rate_limiter = rate_limiter(8);
    known(&rate_limiter, "good");
    for n in 0..10_000 {
        rate_limiter.limiter(&org(&format!("made-up-{n}")), &namespace("attacker")).pause(Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        rate_limiter.limiter(&org("good"), &namespace("good"));
    }
    assert!(rate_limiter.orgs().len() < 200, "{}", rate_limiter.orgs().len());
    assert!(rate_limiter.limiter(&org("good"), &namespace("good")).is_known);
}

#[tokio::test(start_paused = true)]
async fn failures_of_several_namespaces_open_the_circuit_of_the_api() {
    let rate_limiter = rate_limiter(8);
    let limiters = [known(&rate_limiter, "a"), known(&rate_limiter, "b")];
    (0..2).for_each(|request| limiters.iter().for_each(|limiter| limiter.failed(request, "no answer")));
    assert_eq!(rate_limiter.all.free(), 1);
    limiters[0].succeeded(true);
    assert_eq!(rate_limiter.all.free(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_api_has_the_cause_of_the_last_failure_on_one_line() {
    let rate_limiter = rate_limiter(8);
    let limiter = known(&rate_limiter, "a");
    (0..2).for_each(|request| limiter.failed(request, "no answer"));
    assert_eq!(rate_limiter.unreachable_cause(), None);
    limiter.failed(2, &format!("cannot\nconnect {}", "x".repeat(10_000)));
    let cause = rate_limiter.unreachable_cause().unwrap();
    assert!(cause.starts_with("cannot connect x") && cause.len() <= LONGEST_CAUSE, "{cause}");
    limiter.succeeded(true);
    assert_eq!(rate_limiter.unreachable_cause(), None);
}

#[tokio::test(start_paused = true)]
async fn when_the_api_answers_again_the_circuits_of_all_organizations_close() {
    let rate_limiter = rate_limiter(8);
    let (good, other) = (known(&rate_limiter, "good"), known(&rate_limiter, "other"));
    (0..3).for_each(|request| other.failed(request, "no answer"));
    let trial = other.acquire().await.unwrap();
    assert!(other.acquire().await.is_err(), "another one probes");
    good.succeeded(true);
    let (waits, ()) = futures::join!(other.acquire(), async { drop(trial) });
    assert!(waits.is_ok());
}

#[tokio::test(start_paused = true)]
async fn failures_of_one_namespace_do_not_open_the_circuit_of_the_api() {
    let rate_limiter = rate_limiter(8);
    for n in 0..100 {
        rate_limiter.limiter(&org(&n.to_string()), &namespace("attacker")).failed(n, "no answer");
    }
    assert_eq!(rate_limiter.all.free(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_quota_spaces_the_calls_evenly() {
    let rate_limiter = RateLimiter::new(8, NonZeroU32::new(5), ConnectionMetrics::default());
    let (a, b) = (known(&rate_limiter, "a"), known(&rate_limiter, "b"));
    let begin = Instant::now();
    for limiter in [&a, &b, &a, &b, &a, &b, &a, &b, &a, &b, &a] {
        limiter.wait_for_turn().await.unwrap();
    }
    assert_eq!(begin.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_shared_fairly_between_namespaces() {
    let rate_limiter = Arc::new(RateLimiter::new(64, NonZeroU32::new(1), ConnectionMetrics::default()));
    for _ in 0..48 {
        let rate_limiter = rate_limiter.clone();
        tokio::spawn(async move { rate_limiter.limiter(&org("a"), &namespace("busy")).wait_for_turn().await });
    }
    tokio::task::yield_now().await;
    let begin = Instant::now();
    rate_limiter.limiter(&org("b"), &namespace("other")).wait_for_turn().await.unwrap();
    // After the request whose turn it is, and one more of the busy namespace.
    assert_eq!(begin.elapsed(), Duration::from_secs(3));
}
