//! An API that asks to wait, answers late, wrongly or not at all, and what a caller then knows.
//! Whatever happens, no error contains a secret.

use crate::env::{ALL, API_TOKEN, BROKER, CLIENT_SECRET, CPN, CSP, TestEnv, api_token, app, client, id, org};
use futures::future::join_all;
use iam_simulator::types::{Action, Fault as Order, Operation, Spelling};
use oauth_app_operator::iam::{self, ClientSecret, ConnectionCredentials, Iam, Settings};
use oauth_app_operator::lease::guard::LeadershipGuard;
use std::time::{Duration, Instant};
use tokio::sync::watch;

#[tokio::test]
async fn rate_limit_pauses_all_calls_as_long_as_requested() {
    let env = TestEnv::new().await;
    for flavor in ALL {
        let iam = env.iam(flavor);
        iam.authenticate(&org()).await.unwrap();
        env.control.clear_calls().await.unwrap();
        env.control.fault(Order::always(Action::Latency { ms: 50 }).times(8)).await.unwrap();
        env.control.fault(Order::always(Action::TooManyRequests { retry_after: Some(2) }).times(8)).await.unwrap();
        let (started, org, id) = (Instant::now(), org(), id("absent-app"));
        let reads = join_all((0..50).map(|_| iam.read(&org, &id))).await;
        let mut opens = started;
        for read in reads {
            let Err(iam::Error::Throttled { until }) = read else { panic!("{read:?}") };
            let wait = until - started;
            assert!(wait > Duration::from_millis(1900) && wait < Duration::from_secs(4), "{wait:?}");
            opens = opens.max(until);
        }
        assert!(started.elapsed() < Duration::from_secs(1), "a waiting call fails at once");
        assert!((1..=8).contains(&env.count(Operation::GetApp).await), "{flavor:?}");
        env.control.clear_calls().await.unwrap();
        let early = iam.read(&org, &id).await;
        assert_eq!(early, Err(iam::Error::Throttled { until: opens }), "{flavor:?}");
        assert_eq!(env.count(Operation::GetApp).await, 0);
        tokio::time::sleep_until((opens + Duration::from_millis(10)).into()).await;
        env.control.clear_faults().await.unwrap();
        assert_eq!(iam.read(&org, &id).await, Ok(None), "{flavor:?}");
    }
}

#[tokio::test]
async fn rate_limit_of_token_requests_pauses_all_calls() {
    let env = TestEnv::new().await;
    let iam = env.iam(CPN);
    let order = Order::once(Action::TooManyRequests { retry_after: None }).on(Operation::Token);
    env.control.fault(order).await.unwrap();
    for _ in 0..3 {
        let fault = iam.authenticate(&org()).await.unwrap_err();
        assert!(matches!(fault, iam::Error::Throttled { .. }), "{fault:?}");
    }
    assert_eq!(env.control.stats().await.unwrap().calls, 1);
}

#[tokio::test]
async fn in_flight_calls_are_limited() {
    let env = TestEnv::new().await;
    env.control.set(|s| s.latency_ms = 20).await.unwrap();
    for (flavor, most) in [(CSP, 3), (CPN, 1)] {
        env.control.clear_calls().await.unwrap();
        let (iam, _) = env.iam_with(Settings { max_in_flight: most, ..env.settings(flavor) });
        let (org, apps) = (org(), (0..30).map(|n| app(flavor, &format!("app-number-{n}"))).collect::<Vec<_>>());
        join_all(apps.iter().map(|app| iam.create(&org, app))).await.into_iter().for_each(|made| drop(made.unwrap()));
        let stats = env.control.stats().await.unwrap();
        assert_eq!((stats.max_in_flight, stats.calls), (u64::try_from(most).unwrap(), 31), "{flavor:?}");
    }
}

#[tokio::test]
async fn after_lost_leadership_no_call_starts_and_no_response_is_used() {
    let env = TestEnv::new().await;
    let (leads, until) = watch::channel(tokio::time::Instant::now() + Duration::from_secs(3600));
    let settings = Settings { max_in_flight: 1, guard: LeadershipGuard::UntilDeadline(until), ..env.settings(CSP) };
    let (iam, _) = env.iam_with(settings);
    iam.authenticate(&org()).await.unwrap();
    env.control.fault(Order::always(Action::Latency { ms: 500 })).await.unwrap();
    let loss = async {
        while env.control.stats().await.unwrap().in_flight == 0 {
            tokio::task::yield_now().await;
        }
        leads.send_replace(tokio::time::Instant::now());
    };
    let (org, apps, old) = (org(), ["under-way", "in-the-queue"].map(|name| app(CSP, name)), id("collected"));
    let (one, two, three, ()) =
        tokio::join!(iam.create(&org, &apps[0]), iam.create(&org, &apps[1]), iam.delete(&org, &old), loss);
    let no_more = iam::Error::Unavailable("this replica lost leadership".into());
    for ended in [one.map(drop), two.map(drop), three.map(drop)] {
        assert_eq!(ended, Err(no_more.clone()));
    }
    assert_eq!((env.count(Operation::CreateApp).await, env.count(Operation::DeleteApps).await), (1, 0));
}

/// The error of a create when the API misbehaves, and whether the app exists then.
async fn created_under(action: Action, settings: fn(Settings) -> Settings) -> Vec<(String, bool)> {
    let env = TestEnv::new().await;
    let mut seen = Vec::new();
    for flavor in ALL {
        let (iam, _) = env.iam_with(settings(env.settings(flavor)));
        iam.authenticate(&org()).await.unwrap();
        let order = Order::once(action.clone()).on(Operation::CreateApp).flavor(flavor);
        env.control.fault(order).await.unwrap();
        let fault = iam.create(&org(), &app(flavor, "billing-export")).await.unwrap_err();
        let iam::Error::Unavailable(said) = fault else { panic!("{fault:?}") };
        assert_eq!(env.count(Operation::CreateApp).await, 1, "a write is not repeated");
        seen.push((said, env.control.app(flavor, "billing-export").await.unwrap().is_some()));
        env.control.clear_calls().await.unwrap();
        assert!(iam.read(&org(), &id("billing-export")).await.is_ok(), "the connection goes on");
    }
    seen
}

fn same(settings: Settings) -> Settings {
    settings
}

fn hasty(settings: Settings) -> Settings {
    Settings { timeout: Duration::from_millis(500), ..settings }
}

#[tokio::test]
async fn lost_or_broken_response_is_reported() {
    let broke = "create app: connection closed before the response was complete";
    for (action, exists) in [(Action::ResponseLost, true), (Action::ConnectionReset, false)] {
        for seen in created_under(action, same).await {
            assert_eq!(seen, (broke.to_owned(), exists));
        }
    }
    for (said, exists) in created_under(Action::MalformedBody, same).await {
        assert!(said.starts_with("create app: 200: the answer cannot be used: ") && exists, "{said}");
    }
}

#[tokio::test]
async fn slow_response_times_out() {
    let late = "create app: no complete response within 500ms";
    let actions = [
        (Action::Hang { performed: false }, false),
        (Action::Hang { performed: true }, true),
        (Action::SlowBody { ms: None }, true),
        (Action::SlowBody { ms: Some(5_000) }, true),
        (Action::Latency { ms: 5_000 }, false),
    ];
    for (action, exists) in actions {
        let started = Instant::now();
        for seen in created_under(action.clone(), hasty).await {
            assert_eq!(seen, (late.to_owned(), exists), "{action:?}");
        }
        assert!(started.elapsed() < Duration::from_secs(4), "{action:?}");
    }
}

#[tokio::test]
async fn server_error_is_quoted() {
    for (status, performed) in [(500, false), (502, true), (503, false)] {
        let message = "sorry\nfor that".to_owned();
        for (said, exists) in created_under(Action::Status { status, message, performed }, same).await {
            assert_eq!((said, exists), (format!("create app: {status}: sorry for that"), performed));
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_its_host_is_named() {
    let found = |target| format!("create app: 302 (Found); a redirect{target} is not followed");
    let long = format!("https://{}.example.com/", "x".repeat(400));
    for (location, target) in [
        ("https://console.example.com/csp?token=Hidden-Value-4711#Hidden", " to console.example.com"),
        ("https://Hidden-User:Hidden-Value-4711@console.example.com:8443/", " to console.example.com"),
        ("//console.example.com", " to console.example.com"),
        ("/elsewhere", " to 127.0.0.1"),
        ("https://", ""),
        ("mailto:somebody", ""),
        (&long, ""),
    ] {
        for seen in created_under(Action::Redirect { location: location.into() }, same).await {
            match location == long {
                true => assert!(seen.0.len() < 400 && !seen.1, "{seen:?}"),
                false => assert_eq!(seen, (found(target), false), "{location}"),
            }
        }
    }
}

#[tokio::test]
async fn a_slow_body_within_the_time_is_read() {
    let env = TestEnv::new().await;
    for flavor in ALL {
        let iam = env.iam(flavor);
        let order = Order::once(Action::SlowBody { ms: Some(300) }).on(Operation::CreateApp).flavor(flavor);
        env.control.fault(order).await.unwrap();
        assert!(iam.create(&org(), &app(flavor, "billing-export")).await.is_ok());
    }
}

#[tokio::test]
async fn the_api_down_and_up_again() {
    let env = TestEnv::new().await;
    let iam = env.iam(CSP);
    env.control.set(|s| s.down = true).await.unwrap();
    let fault = iam.authenticate(&org()).await.unwrap_err();
    assert!(matches!(&fault, iam::Error::Unavailable(said) if said.starts_with("get access token: ")), "{fault:?}");
    env.control.set(|s| s.down = false).await.unwrap();
    assert_eq!(iam.read(&org(), &id("absent-app")).await, Ok(None));
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_not_trusted() {
    let (env, other) = (TestEnv::new().await, TestEnv::new().await);
    let namesake = Some(other.simulator.ca_pem().into());
    for (ca_pem, error) in [(None, "UnknownIssuer"), (namesake, "BadSignature")] {
        let (iam, _) = env.iam_with(Settings { ca_pem, ..env.settings(CSP) });
        let fault = iam.authenticate(&org()).await.unwrap_err();
        let expected = format!(
            "get access token: cannot connect: invalid peer certificate: {error}; put the certificate authority of the API into spec.caBundle of the IamConnection"
        );
        assert_eq!(fault, iam::Error::Unavailable(expected));
    }
}

/// What stands for an error that repeats what it was sent.
const NOT_SHOWN: &str = "the answer repeats what was sent and is not shown";

/// A server that repeats in its errors whatever it was sent.
#[tokio::test]
async fn no_error_contains_a_secret() {
    let env = TestEnv::new().await;
    let provided = "Hidden-Pr0vided!-4711";
    for (flavor, credentials, secret) in [
        (CSP, client(), CLIENT_SECRET),
        (CSP, api_token(API_TOKEN), API_TOKEN),
        (CPN, client(), CLIENT_SECRET),
        (CPN, api_token(API_TOKEN), API_TOKEN),
    ] {
        let (iam, stored) = env.iam_as(env.settings(flavor), credentials);
        let token = env.control.token(flavor, "org-1", "operator", CLIENT_SECRET).await.unwrap();
        let mut new = app(flavor, "billing-export");
        new.secret = Some(ClientSecret::new(provided.into()));
        for status in [400, 403, 409, 422, 500] {
            let action = |message: &str| Action::Status { status, message: message.into(), performed: false };
            env.control.fault(Order::once(action(&format!("{secret} is wrong"))).on(Operation::Token)).await.unwrap();
            if status == 400 {
                let fault = iam.authenticate(&org()).await.unwrap_err();
                assert!(
                    matches!(&fault, iam::Error::Credentials(said) | iam::Error::Forbidden(said) if said.contains(NOT_SHOWN)),
                    "{fault:?}"
                );
                *stored.lock().unwrap() = Ok(ConnectionCredentials::ApiToken(format!("{secret}-2").into()));
                env.control.seed_api_token(flavor, "org-1", &format!("{secret}-2")).await.unwrap();
            }
            for hidden in [secret, provided, &token] {
                env.control.fault(Order::once(action(&format!("no {hidden}"))).on(Operation::CreateApp)).await.unwrap();
                let fault = iam.create(&org(), &new).await.unwrap_err();
                let printed = format!("{fault:?} {fault} {iam:?} {:?}", stored.lock().unwrap());
                assert!(printed.contains(NOT_SHOWN) && !printed.contains(hidden), "{printed}");
            }
            env.control.clear_faults().await.unwrap();
        }
    }
}

/// A server whose errors quote the call, as frameworks and proxies do.
#[tokio::test]
async fn no_error_contains_a_secret_that_the_api_quotes() {
    let env = TestEnv::new().await;
    let hidden = "Hidden\"Br0ught\\+/=&%-4711";
    for flavor in ALL {
        let kinds = if flavor == BROKER { vec![client()] } else { vec![client(), api_token(API_TOKEN)] };
        for credentials in kinds {
            let (iam, _) = env.iam_as(env.settings(flavor), credentials);
            for spelling in [Spelling::Plain, Spelling::Json, Spelling::Percent, Spelling::Base64, Spelling::Headers] {
                let order = Order::once(Action::Echo { status: 400, spelling });
                env.control.fault(order.clone().on(Operation::CreateApp)).await.unwrap();
                let mut new = app(flavor, "billing-export");
                new.secret = Some(ClientSecret::new(hidden.into()));
                let fault = iam.create(&org(), &new).await.unwrap_err();
                assert_eq!(
                    fault,
                    iam::Error::Rejected(format!("create app: 400 (Bad Request): {NOT_SHOWN}")),
                    "{flavor:?} {spelling:?}"
                );
                env.control.fault(order.on(Operation::RotateSecret)).await.unwrap();
                let secret = ClientSecret::new(hidden.into());
                let rotated = iam.rotate_secret(&org(), &id("billing-export"), &secret, Duration::from_secs(60)).await;
                let said = iam::Error::Rejected(format!("rotate secret: 400 (Bad Request): {NOT_SHOWN}"));
                assert_eq!(rotated, Err(said), "{flavor:?} {spelling:?}");
            }
        }
    }
}
