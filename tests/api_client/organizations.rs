//! Tokens and organizations: which token request is made for which organization, and the error where one gets no token.
//! The simulator gives tokens that are good for one organization, unless a test says otherwise.

use crate::env::{ALL, API_TOKEN, BOTH, CLIENT_SECRET, CPN, CSP, TestEnv, api_token, app, client, id, org};
use futures::future::join_all;
use iam_simulator::types::{CallView, ClientSeed, Flavor, Operation, Seed};
use oauth_app_operator::fair_queue::Flow;
use oauth_app_operator::iam::{self, ConnectionCredentials, Iam, OrgId, TokenClaims};
use serde_json::Value;
use std::num::NonZeroU32;
use std::time::Duration;

const OTHER: &str = "org-2";

fn other() -> OrgId {
    OrgId(OTHER.into())
}

async fn two_organizations() -> TestEnv {
    let env = TestEnv::new().await;
    for flavor in ALL {
        env.control.seed_org(flavor, OTHER, false).await.unwrap();
    }
    env
}

/// The organization that an exchange names.
fn named(call: &CallView) -> Option<String> {
    match call.flavor {
        Some(CSP) => call.body["orgId"].as_str().map(str::to_owned),
        Some(CPN | Flavor::Broker) | None => call.path.split('/').rev().nth(1).map(str::to_owned),
    }
}

#[tokio::test]
async fn client_credentials_get_one_token_for_each_organization() {
    let env = two_organizations().await;
    for (flavor, exchanges) in [(CSP, [None, Some("org-2")]), (CPN, [Some("org-1"), Some("org-2")])] {
        env.control.clear_calls().await.unwrap();
        let iam = env.iam(flavor);
        for round in 0..3 {
            for (org, name) in [(org(), "own"), (other(), "other")] {
                iam.create(&org, &app(flavor, &format!("{name}-{round}"))).await.unwrap();
            }
        }
        let asked: Vec<_> = env.calls(Operation::Token).await.iter().map(named).collect();
        assert_eq!(asked, exchanges.map(|org| org.map(str::to_owned)), "{flavor:?}");
    }
}

#[tokio::test]
async fn an_expired_token_of_one_organization_is_renewed_alone() {
    let env = two_organizations().await;
    for flavor in BOTH {
        let iam = env.iam(flavor);
        for org in [org(), other()] {
            iam.authenticate(&org).await.unwrap();
        }
        env.control.revoke_tokens().await.unwrap();
        env.control.clear_calls().await.unwrap();
        assert_eq!(iam.read(&other(), &id("absent-app")).await, Ok(None));
        let asked: Vec<_> = env.calls(Operation::Token).await.iter().map(named).collect();
        assert_eq!(asked, [Some(OTHER.to_owned())], "{flavor:?}");
    }
}

#[tokio::test]
async fn an_api_token_is_compared_with_the_organization_before_any_call() {
    let env = two_organizations().await;
    for flavor in BOTH {
        env.control.clear_calls().await.unwrap();
        let (iam, _) = env.iam_as(env.settings(flavor), api_token(API_TOKEN));
        for n in 0..20 {
            let made_up = OrgId(format!("made-up-{n}"));
            for fault in [iam.authenticate(&made_up).await, iam.read(&made_up, &id("absent-app")).await.map(drop)] {
                let Err(iam::Error::WrongOrganization(said)) = fault else { panic!("{fault:?}") };
                assert!(said.contains("organization org-1,") && said.contains(&format!("is made-up-{n};")), "{said}");
            }
        }
        assert_eq!(iam.read(&org(), &id("absent-app")).await, Ok(None));
        assert_eq!(env.count(Operation::Token).await, 1, "{flavor:?}: one token, whatever is asked about");
        assert_eq!(env.control.stats().await.unwrap().calls, 2, "{flavor:?}");
    }
}

#[tokio::test]
async fn a_token_for_another_organization_than_was_asked_for_is_not_used() {
    let env = two_organizations().await;
    env.control.set(|s| s.ignore_org_id = true).await.unwrap();
    let iam = env.iam(CSP);
    for _ in 0..3 {
        let fault = iam.read(&other(), &id("absent-app")).await.unwrap_err();
        assert!(matches!(fault, iam::Error::WrongOrganization(_)), "{fault:?}");
    }
    assert_eq!(env.control.stats().await.unwrap().calls, 2, "two exchanges and no call");
    assert_eq!(iam.read(&org(), &id("absent-app")).await, Ok(None));
}

#[tokio::test]
async fn a_token_without_an_organization_claim_is_tried() {
    let env = two_organizations().await;
    env.control.set(|s| s.opaque_tokens = true).await.unwrap();
    for flavor in BOTH {
        let (iam, _) = env.iam_as(env.settings(flavor), api_token(API_TOKEN));
        assert_eq!(iam.read(&org(), &id("absent-app")).await, Ok(None), "{flavor:?}");
        let fault = iam.read(&other(), &id("absent-app")).await.unwrap_err();
        let unknown = "the token does not say which roles it has in the organization and needs developer";
        assert!(matches!(&fault, iam::Error::Forbidden(said) if said.contains(unknown)), "{fault:?}");
        let iam = env.iam(flavor);
        for org in [org(), other()] {
            assert_eq!(iam.read(&org, &id("absent-app")).await, Ok(None), "{flavor:?}: asked for by name");
        }
    }
}

#[tokio::test]
async fn an_organization_without_a_token_leaves_the_others_and_the_credentials_alone() {
    let env = TestEnv::new().await;
    for (flavor, advice) in
        [(CSP, "add the OAuth app of clientCredentials"), (CPN, "use an IamConnection with an OAuth app")]
    {
        let iam = env.iam(flavor);
        iam.authenticate(&org()).await.unwrap();
        env.control.clear_calls().await.unwrap();
        let made_up = OrgId("made-up".into());
        for _ in 0..5 {
            let fault = iam.authenticate(&made_up).await.unwrap_err();
            let iam::Error::Forbidden(said) = fault else { panic!("{fault:?}") };
            assert!(said.starts_with("the API gives no access token for organization made-up: 403: "), "{said}");
            assert!(
                said.contains(&format!("; delete this resource and create it again with the right orgId, or {advice}"))
                    && said.contains("an IP policy")
                    && !said.contains("Hidden"),
                "{said}"
            );
        }
        assert_eq!(env.count(Operation::Token).await, 1, "{flavor:?}: not asked again for a minute");
        assert_eq!(iam.read(&org(), &id("absent-app")).await, Ok(None));
        assert!(iam.check(Some(&made_up), &client()).await.unwrap().is_ok(), "{flavor:?}");
    }
}

#[tokio::test]
async fn made_up_organizations_do_not_take_the_token_of_another() {
    let env = TestEnv::new().await;
    for flavor in ALL {
        let iam = env.iam(flavor);
        iam.authenticate(&org()).await.unwrap();
        let made_up: Vec<OrgId> = (0..200).map(|n| OrgId(format!("made-up-{n}"))).collect();
        let refused = join_all(made_up.iter().map(|org| iam.authenticate(org))).await;
        assert!(refused.iter().all(Result::is_err));
        env.control.clear_calls().await.unwrap();
        iam.authenticate(&org()).await.unwrap();
        assert_eq!(env.count(Operation::Token).await, 0, "{flavor:?}");
    }
}

#[tokio::test]
async fn forbidden_error_names_held_and_required_roles() {
    let env = TestEnv::new().await;
    for flavor in BOTH {
        env.control.seed_perms(flavor, "operator", &["csp:org_member", "external/svc/user"]).await.unwrap();
        let fault = env.iam(flavor).read(&org(), &id("absent-app")).await.unwrap_err();
        let said = "read app: 403: operator has no permission for organization org-1; the token has csp:org_member, \
                    external/svc/user in organization org-1 and needs developer, org_admin or org_owner; an IP policy of the \
                    organization can also be the cause";
        assert_eq!(fault, iam::Error::Forbidden(said.into()), "{flavor:?}");
        env.control.seed_perms(flavor, "operator", &["csp:developer"]).await.unwrap();
        assert_eq!(env.iam(flavor).read(&org(), &id("absent-app")).await, Ok(None), "developer suffices");
    }
}

#[tokio::test]
async fn refused_token_request_names_the_kind_of_credentials() {
    let env = TestEnv::new().await;
    let wrong = ConnectionCredentials::Client { id: "operator".into(), secret: "Hidden-Wr0ng-4711".to_owned().into() };
    for (flavor, credentials, takes) in [
        (CSP, api_token("Hidden-Wr0ng-4711"), "/csp/gateway/am/api/auth/api-tokens/authorize takes an API token"),
        (CSP, wrong.clone(), "/csp/gateway/am/api/auth/authorize takes client id and secret of an OAuth app"),
        (CPN, api_token("Hidden-Wr0ng-4711"), "/v1/authn/accesstoken takes an API token"),
        (CPN, wrong, "/v1/authn/accounts/org-1/accesstoken takes client id and secret of an OAuth app"),
    ] {
        let (iam, _) = env.iam_as(env.settings(flavor), credentials);
        let fault = iam.authenticate(&org()).await.unwrap_err();
        assert!(matches!(&fault, iam::Error::Credentials(said) if said.contains(takes)), "{fault:?}");
        assert!(!fault.to_string().contains("Hidden"), "{fault:?}");
    }
}

#[tokio::test]
async fn connection_check_reports_organization_and_roles() {
    let env = two_organizations().await;
    for flavor in BOTH {
        env.control.seed_perms(flavor, "operator", &["csp:org_member", "csp:developer"]).await.unwrap();
        env.control.seed_perms(flavor, API_TOKEN, &[]).await.unwrap();
        let says = |roles: &[&str]| {
            let roles = roles.iter().map(ToString::to_string).collect();
            Ok(TokenClaims { organization: Some(org()), roles: Some(roles) })
        };
        let checked = env.iam(flavor).check(Some(&org()), &client()).await;
        assert_eq!(checked, Some(says(&["csp:developer", "csp:org_member"])), "{flavor:?}");
        let (iam, _) = env.iam_as(env.settings(flavor), api_token(API_TOKEN));
        assert_eq!(iam.check(Some(&other()), &api_token(API_TOKEN)).await, Some(says(&[])), "{flavor:?}");
    }
}

/// A client that the simulator lets into its own organization alone.
async fn seed_limited(env: &TestEnv, flavor: Flavor) {
    let (id, org_id) = ("limited".to_owned(), "org-1".to_owned());
    let limited = ClientSeed { flavor, id, secret: CLIENT_SECRET.into(), org_id, orgs: Some(vec!["org-1".into()]) };
    env.control.seed(&Seed { clients: vec![limited], ..Seed::default() }).await.unwrap();
}

#[tokio::test]
async fn credentials_are_verified_in_the_organization_that_issues_a_token() {
    let env = two_organizations().await;
    seed_limited(&env, CPN).await;
    let limited = ConnectionCredentials::Client { id: "limited".into(), secret: CLIENT_SECRET.to_owned().into() };
    let (iam, _) = env.iam_as(env.settings(CPN), limited.clone());
    assert_eq!(iam.check(None, &limited).await, None);
    let undecided = iam.check(Some(&other()), &limited).await;
    assert!(matches!(undecided, Some(Err(iam::Error::Forbidden(_)))), "{undecided:?}");
    iam.authenticate(&org()).await.unwrap();
    assert!(matches!(iam.check(Some(&other()), &limited).await, Some(Ok(_))));
}

#[tokio::test]
async fn secret_is_verified_in_the_organization_of_its_app() {
    let env = two_organizations().await;
    for flavor in BOTH {
        let iam = env.iam(flavor);
        let made = iam.create(&other(), &app(flavor, "billing-export")).await.unwrap();
        env.control.clear_calls().await.unwrap();
        iam.verify_secret(&other(), &made.client_id, &made.client_secret.unwrap()).await.unwrap();
        let body: Vec<Value> = env.calls(Operation::Token).await.into_iter().map(|call| call.body).collect();
        assert!(body.iter().all(|body| body.get("orgId").is_none()), "{body:?}");
    }
}

/// The namespaces of an organization share its token, so none waits for the queue of the one that happens to request it.
#[tokio::test]
async fn a_token_request_does_not_queue_behind_the_calls_of_the_namespace_that_makes_it() {
    let env = TestEnv::new().await;
    let mut settings = env.settings(CPN);
    settings.max_in_flight = 64;
    settings.requests_per_second = NonZeroU32::new(10);
    let iam = env.iam_with(settings).0;
    iam.create(&org(), &app(CPN, "billing-export")).await.unwrap();
    env.control.revoke_tokens().await.unwrap();
    env.control.clear_calls().await.unwrap();
    let busy = iam.on_behalf_of(Flow::Namespace("busy".into()));
    let calls = (0..20).map(|_| async { busy.read(&org(), &id("billing-export")).await });
    let neighbor = async {
        while env.count(Operation::GetApp).await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let neighbor = iam.on_behalf_of(Flow::Namespace("neighbor".into()));
        neighbor.read(&org(), &id("billing-export")).await.unwrap();
        env.count(Operation::GetApp).await
    };
    let reads = tokio::select! {
        reads = neighbor => reads,
        _ = join_all(calls) => panic!("the neighbor waited for all of them"),
    };
    assert!(reads < 12, "{reads} calls went before the neighbor's");
}
