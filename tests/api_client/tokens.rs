//! Access tokens: both kinds of credentials, renewal once for all, and credentials that the API refuses.
//! The simulator counts the exchanges.

use crate::env::{ALL, API_TOKEN, BOTH, CSP, TestEnv, api_token, app, client, id, org};
use futures::future::join_all;
use iam_simulator::types::{Action, Fault as Order, Operation};
use oauth_app_operator::iam::{self, ConnectionCredentials, Iam};

#[tokio::test]
async fn both_kinds_of_credentials_get_a_token() {
    let env = TestEnv::new().await;
    for flavor in BOTH {
        for (credentials, name) in [(client(), "by-client"), (api_token(API_TOKEN), "by-token")] {
            let (iam, _) = env.iam_as(env.settings(flavor), credentials);
            iam.create(&org(), &app(flavor, name)).await.unwrap();
        }
    }
    let paths: Vec<String> = env.calls(Operation::Token).await.into_iter().map(|call| call.path).collect();
    let csp = ["/csp/gateway/am/api/auth/authorize", "/csp/gateway/am/api/auth/api-tokens/authorize"];
    let cpn = ["/cphub/api/auth/v1/authn/accounts/org-1/accesstoken", "/cphub/api/auth/v1/authn/accesstoken"];
    assert_eq!(paths, [csp, cpn].concat());
}

#[tokio::test]
async fn a_token_is_requested_once_and_used_until_it_expires() {
    let env = TestEnv::new().await;
    for flavor in ALL {
        env.control.clear_calls().await.unwrap();
        let iam = env.iam(flavor);
        let (org, id) = (org(), id("absent-app"));
        join_all((0..20).map(|_| iam.authenticate(&org))).await.into_iter().for_each(|done| done.unwrap());
        join_all((0..20).map(|_| iam.read(&org, &id))).await.into_iter().for_each(|read| drop(read.unwrap()));
        assert_eq!(env.count(Operation::Token).await, 1, "{flavor:?}");
        iam.authenticate(&org).await.unwrap();
        assert_eq!(env.control.stats().await.unwrap().calls, 21);
    }
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_for_all() {
    let env = TestEnv::new().await;
    for flavor in ALL {
        let iam = env.iam(flavor);
        iam.authenticate(&org()).await.unwrap();
        env.control.revoke_tokens().await.unwrap();
        env.control.clear_calls().await.unwrap();
        let (org, id) = (org(), id("absent-app"));
        let reads = join_all((0..20).map(|_| iam.read(&org, &id))).await;
        assert!(reads.iter().all(|read| *read == Ok(None)), "{flavor:?} {reads:?}");
        assert_eq!(env.count(Operation::Token).await, 1, "{flavor:?}");
        let refused = env.calls(Operation::GetApp).await.iter().filter(|call| call.status == Some(401)).count();
        assert!((1..=8).contains(&refused), "{flavor:?}: the in-flight ones and no more, but {refused}");
    }
}

#[tokio::test]
async fn a_short_token_is_renewed_before_it_expires() {
    let env = TestEnv::new().await;
    env.control.set(|s| s.token_lifetime_seconds = 2).await.unwrap();
    for flavor in ALL {
        env.control.clear_calls().await.unwrap();
        let iam = env.iam(flavor);
        iam.authenticate(&org()).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
        assert_eq!(iam.read(&org(), &id("absent-app")).await, Ok(None));
        assert_eq!(env.count(Operation::Token).await, 2, "{flavor:?}");
        assert!(env.calls(Operation::GetApp).await.iter().all(|call| call.status == Some(404)), "{flavor:?}");
    }
}

#[tokio::test]
async fn wrong_credentials_are_tried_once_and_right_ones_at_once() {
    let env = TestEnv::new().await;
    for flavor in BOTH {
        let wrong =
            ConnectionCredentials::Client { id: "operator".into(), secret: "Hidden-Wr0ng-4711".to_owned().into() };
        for (wrong, right) in [(wrong, client()), (api_token("Hidden-Wr0ng-4711"), api_token(API_TOKEN))] {
            for status in [400, 404] {
                env.control.set(|s| s.bad_api_token_status = status).await.unwrap();
                env.control.clear_calls().await.unwrap();
                let (iam, stored) = env.iam_as(env.settings(flavor), wrong.clone());
                for _ in 0..5 {
                    let fault = iam.read(&org(), &id("absent-app")).await.unwrap_err();
                    let iam::Error::Credentials(said) = &fault else { panic!("{fault:?}") };
                    assert!(said.starts_with("the API refuses the credentials: "), "{said}");
                    let may_be_path = said.ends_with("a wrong path in spec.endpoint of the IamConnection can also be the cause: correct spec.endpoint");
                    assert_eq!(may_be_path, said.contains("credentials: 404"), "{said}");
                    assert!(!said.contains("Hidden"), "{said}");
                }
                // An API token that Cloud Services answers with 400 is sent once more, in the older form.
                let is_repeated = (flavor, status) == (CSP, 400) && matches!(wrong, ConnectionCredentials::ApiToken(_));
                let calls = env.control.stats().await.unwrap().calls;
                assert_eq!(calls, 1 + u64::from(is_repeated), "{flavor:?}");
                *stored.lock().unwrap() = Ok(right.clone());
                assert_eq!(iam.read(&org(), &id("absent-app")).await, Ok(None), "{flavor:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_older_form_of_a_token_request_is_found_out_once() {
    let env = TestEnv::new().await;
    let (iam, _) = env.iam_as(env.settings(CSP), api_token(API_TOKEN));
    let answers_of_renewed_tokens = async |renewals: u32| {
        env.control.clear_calls().await.unwrap();
        for _ in 0..renewals {
            env.control.fault(Order::once(Action::ExpiredToken).on(Operation::GetApp)).await.unwrap();
            assert_eq!(iam.read(&org(), &id("absent-app")).await, Ok(None));
        }
        env.calls(Operation::Token).await.iter().map(|call| call.status.unwrap()).collect::<Vec<_>>()
    };
    env.control.set(|s| s.older_api_token_form = true).await.unwrap();
    assert_eq!(answers_of_renewed_tokens(2).await, [400, 200, 200, 200], "the first token, and two renewals");
    env.control.set(|s| s.older_api_token_form = false).await.unwrap();
    assert_eq!(answers_of_renewed_tokens(2).await, [400, 200, 200], "the present form is found again");
}

#[tokio::test]
async fn unreadable_credentials_send_no_request() {
    let env = TestEnv::new().await;
    let (iam, stored) = env.iam_with(env.settings(CSP));
    *stored.lock().unwrap() = Err("Secret a/b does not exist".into());
    let fault = iam.authenticate(&org()).await.unwrap_err();
    assert_eq!(fault, iam::Error::Credentials("no credentials for the API: Secret a/b does not exist".into()));
    assert_eq!(env.control.stats().await.unwrap().calls, 0);
}

#[tokio::test]
async fn a_second_401_means_the_credentials() {
    let env = TestEnv::new().await;
    for flavor in ALL {
        env.control.clear_calls().await.unwrap();
        env.control.fault(Order::always(Action::ExpiredToken).on(Operation::GetApp).flavor(flavor)).await.unwrap();
        let iam = env.iam(flavor);
        for _ in 0..5 {
            let fault = iam.read(&org(), &id("absent-app")).await.unwrap_err();
            assert!(matches!(fault, iam::Error::Credentials(_)), "{fault:?}");
        }
        let counts = (env.count(Operation::GetApp).await, env.count(Operation::Token).await);
        assert_eq!(counts, (2, 2), "{flavor:?}: no further call");
    }
}
