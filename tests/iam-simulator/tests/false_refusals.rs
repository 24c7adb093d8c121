//! A refusal without a reason, some times and then no more, for any operation of one organization.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::*;
use iam_simulator::types::{Action, Fault, Flavor, Operation};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

const OTHER: &str = "org-2";

/// An operation and a call of it in an organization, whose true answer stays the same however often it is sent.
struct Sample {
    flavor: Flavor,
    operation: Operation,
    call: fn(&TestEnv, &str) -> RequestBuilder,
}

fn csp(operation: Operation, call: fn(&TestEnv, &str) -> RequestBuilder) -> Sample {
    Sample { flavor: CSP, operation, call }
}

fn cpn(operation: Operation, call: fn(&TestEnv, &str) -> RequestBuilder) -> Sample {
    Sample { flavor: CPN, operation, call }
}

fn broker(operation: Operation, call: fn(&TestEnv, &str) -> RequestBuilder) -> Sample {
    Sample { flavor: BROKER, operation, call }
}

fn send(env: &TestEnv, flavor: Flavor, method: &str, org: &str, path: &str) -> RequestBuilder {
    env.request(flavor, method, &in_org(flavor, org, path))
}

fn csp_samples() -> Vec<Sample> {
    use Operation::*;
    vec![
        csp(CreateApp, |env, org| send(env, CSP, "POST", org, "oauth-apps").json(&json!({}))),
        csp(GetApp, |env, org| send(env, CSP, "GET", org, "oauth-apps/nobody")),
        csp(ListApps, |env, org| send(env, CSP, "GET", org, "oauth-apps")),
        csp(UpdateApp, |env, org| send(env, CSP, "PATCH", org, "oauth-apps/nobody").json(&json!({}))),
        csp(DeleteApps, |env, org| send(env, CSP, "DELETE", org, "oauth-apps").json(&json!({}))),
        csp(RotateSecret, |env, org| send(env, CSP, "POST", org, "oauth-apps/nobody/secret").json(&json!({}))),
        csp(RegenerateSecret, |env, org| send(env, CSP, "PUT", org, "oauth-apps/nobody/secret").json(&json!({}))),
        csp(EndOverlap, |env, org| send(env, CSP, "DELETE", org, "oauth-apps/nobody/secret")),
        csp(SearchApps, |env, org| send(env, CSP, "POST", org, "oauth-apps/search").json(&json!({}))),
        csp(AddClients, |env, org| send(env, CSP, "POST", org, "clients").json(&json!({}))),
        csp(ListClients, |env, org| send(env, CSP, "GET", org, "clients")),
        csp(RemoveClients, |env, org| send(env, CSP, "DELETE", org, "clients").json(&json!({}))),
        csp(PatchClientRoles, |env, org| {
            env.request(CSP, "PATCH", &format!("clients/nobody/orgs/{org}/roles")).json(&json!({}))
        }),
        csp(GetClientRoles, |env, org| env.request(CSP, "GET", &format!("clients/nobody/orgs/{org}/roles"))),
        csp(Token, |env, org| {
            let form = [("grant_type", "client_credentials"), ("orgId", org)];
            env.http.post(env.url(CSP, "auth/token")).basic_auth("operator", Some("Oper@t0r")).form(&form)
        }),
        csp(Token, |env, org| {
            let form = [("grant_type", "client_credentials")];
            env.http.post(env.url(CSP, "auth/authorize")).basic_auth(format!("{org}-app"), Some(SECRET)).form(&form)
        }),
        csp(Token, |env, org| {
            env.http.post(env.url(CSP, "auth/api-tokens/authorize")).form(&[("api_token", format!("token-{org}"))])
        }),
        csp(ApiTokenDetails, |env, org| {
            let body = json!({"tokenValue": format!("token-{org}")});
            env.http.post(env.url(CSP, "auth/api-tokens/details")).json(&body)
        }),
    ]
}

fn cpn_samples() -> Vec<Sample> {
    use Operation::*;
    vec![
        cpn(CreateApp, |env, org| send(env, CPN, "POST", org, "oauth-apps").json(&json!({"x": 1}))),
        cpn(GetApp, |env, org| send(env, CPN, "GET", org, "oauth-apps/nobody")),
        cpn(UpdateApp, |env, org| send(env, CPN, "PATCH", org, "oauth-apps/nobody").json(&json!({}))),
        cpn(RotateSecret, |env, org| send(env, CPN, "POST", org, "oauth-apps/nobody/secret").json(&json!({}))),
        cpn(RegenerateSecret, |env, org| send(env, CPN, "PUT", org, "oauth-apps/nobody/secret")),
        cpn(SelfRotate, |env, org| env.http.post(env.url(CPN, &format!("v2/clients/{org}-app/secret")))),
        cpn(AddClients, |env, org| send(env, CPN, "POST", org, "clients").json(&json!({}))),
        cpn(GetClient, |env, org| send(env, CPN, "GET", org, "clients/nobody")),
        cpn(PatchClientRoles, |env, org| {
            env.request(CPN, "PATCH", &format!("v2/clients/nobody/orgs/{org}/roles")).json(&json!({}))
        }),
        cpn(OrgRoles, |env, org| env.request(CPN, "GET", &format!("v1/orgs/{org}/org-roles"))),
        cpn(Token, |env, org| {
            let body = json!({"clientId": "operator", "clientSecret": "Oper@t0r"});
            env.http.post(env.url(CPN, &format!("v1/authn/accounts/{org}/accesstoken"))).json(&body)
        }),
        cpn(Token, |env, org| {
            let request = env.http.post(env.url(CPN, &format!("v2/authn/authorize?orgId={org}")));
            request.basic_auth("operator", Some("Oper@t0r")).form(&[("grant_type", "client_credentials")])
        }),
        cpn(Token, |env, org| {
            let body = json!({"refreshToken": format!("token-{org}")});
            env.http.post(env.url(CPN, "v1/authn/accesstoken")).json(&body)
        }),
    ]
}

fn broker_samples() -> Vec<Sample> {
    use Operation::*;
    vec![
        broker(CreateApp, |env, org| send(env, BROKER, "POST", org, "oauth-apps").json(&json!({}))),
        broker(GetApp, |env, org| send(env, BROKER, "GET", org, "oauth-apps/nobody")),
        broker(ListApps, |env, org| send(env, BROKER, "GET", org, "oauth-apps")),
        broker(UpdateApp, |env, org| send(env, BROKER, "PATCH", org, "oauth-apps/nobody").json(&json!({}))),
        broker(DeleteApps, |env, org| send(env, BROKER, "DELETE", org, "oauth-apps/nobody")),
        broker(RotateSecret, |env, org| {
            send(env, BROKER, "POST", org, "oauth-apps/nobody?action=start-rotate-secret").json(&json!({}))
        }),
        broker(EndOverlap, |env, org| {
            send(env, BROKER, "POST", org, "oauth-apps/nobody?action=retire-primary-secret").json(&json!({}))
        }),
        broker(Token, |env, org| {
            let request = env.http.post(env.url(BROKER, &format!("{org}/token")));
            request.basic_auth("operator", Some("Oper@t0r")).form(&[("grant_type", "client_credentials")])
        }),
    ]
}

/// A simulator whose organizations have an app and an API token each.
async fn two_organizations() -> TestEnv {
    let env = TestEnv::new().await;
    env.set(|s| s.org_scoped_tokens = false).await;
    env.control.seed_org(BROKER, OTHER, false).await.unwrap();
    for flavor in [CSP, CPN] {
        for org in [ORG, OTHER] {
            env.control.seed_org(flavor, org, false).await.unwrap();
            env.control.seed_api_token(flavor, org, &format!("token-{org}")).await.unwrap();
            let id = format!("{org}-app");
            let least = if flavor == CSP { app() } else { json!({}) };
            let body = with(&least, "id", json!(id), "secret", json!(SECRET));
            env.call(flavor, "POST", &in_org(flavor, org, "oauth-apps"), body).await.ok(200);
        }
    }
    env
}

async fn refuses_and_then_does_not(env: &TestEnv, sample: &Sample, status: u16) {
    let name = format!("{:?} {:?} {status}", sample.flavor, sample.operation);
    let answer = async |org| reply((sample.call)(env, org).send().await.unwrap()).await;
    let (truth, elsewhere) = (answer(ORG).await.status, answer(OTHER).await.status);
    let fault = Fault::always(Action::refused(status)).on(sample.operation).flavor(sample.flavor).org(ORG).times(2);
    env.order(fault).await;
    assert_eq!(answer(OTHER).await.status, elsewhere, "{name}: another organization");
    assert_eq!((answer(ORG).await.status, answer(ORG).await.status), (status, status), "{name}");
    assert_eq!(answer(ORG).await.status, truth, "{name}: no more");
    assert_eq!(env.control.faults().await.unwrap()[0].hits, 2, "{name}");
    env.control.clear_faults().await.unwrap();
}

#[tokio::test]
async fn every_operation_can_be_refused_falsely_in_one_organization() {
    let env = two_organizations().await;
    for sample in csp_samples().iter().chain(&cpn_samples()).chain(&broker_samples()) {
        for status in [401, 403, 404] {
            refuses_and_then_does_not(&env, sample, status).await;
        }
    }
}

#[tokio::test]
async fn a_false_refusal_changes_nothing() {
    let env = TestEnv::new().await;
    for flavor in Flavor::ALL {
        env.create(flavor, "an-app").await;
        env.order(Fault::once(Action::refused(404)).on(Operation::RotateSecret).flavor(flavor)).await;
        env.rotate(flavor, "an-app", "N3w-secret!", 60).await.ok(404);
        assert!(!env.works(flavor, "an-app", "N3w-secret!").await);
    }
}

#[tokio::test]
async fn an_order_for_an_organization_without_an_operation_leaves_tokens_alone() {
    let env = two_organizations().await;
    env.order(Fault::always(Action::refused(403)).org(ORG)).await;
    env.exchange(CSP, "token-org-1").await;
    env.csp("GET", "oauth-apps", Value::Null).await.ok(403);
}
