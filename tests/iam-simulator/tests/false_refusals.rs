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
    call: fn(&Bed, &str) -> RequestBuilder,
}

fn csp(operation: Operation, call: fn(&Bed, &str) -> RequestBuilder) -> Sample {
    Sample { flavor: CSP, operation, call }
}

fn cpn(operation: Operation, call: fn(&Bed, &str) -> RequestBuilder) -> Sample {
    Sample { flavor: CPN, operation, call }
}

fn send(bed: &Bed, flavor: Flavor, method: &str, org: &str, path: &str) -> RequestBuilder {
    bed.request(flavor, method, &in_org(flavor, org, path))
}

fn csp_samples() -> Vec<Sample> {
    use Operation::*;
    vec![
        csp(CreateApp, |bed, org| send(bed, CSP, "POST", org, "oauth-apps").json(&json!({}))),
        csp(GetApp, |bed, org| send(bed, CSP, "GET", org, "oauth-apps/nobody")),
        csp(ListApps, |bed, org| send(bed, CSP, "GET", org, "oauth-apps")),
        csp(UpdateApp, |bed, org| send(bed, CSP, "PATCH", org, "oauth-apps/nobody").json(&json!({}))),
        csp(DeleteApps, |bed, org| send(bed, CSP, "DELETE", org, "oauth-apps").json(&json!({}))),
        csp(RotateSecret, |bed, org| send(bed, CSP, "POST", org, "oauth-apps/nobody/secret").json(&json!({}))),
        csp(RegenerateSecret, |bed, org| send(bed, CSP, "PUT", org, "oauth-apps/nobody/secret").json(&json!({}))),
        csp(EndOverlap, |bed, org| send(bed, CSP, "DELETE", org, "oauth-apps/nobody/secret")),
        csp(SearchApps, |bed, org| send(bed, CSP, "POST", org, "oauth-apps/search").json(&json!({}))),
        csp(AddClients, |bed, org| send(bed, CSP, "POST", org, "clients").json(&json!({}))),
        csp(ListClients, |bed, org| send(bed, CSP, "GET", org, "clients")),
        csp(RemoveClients, |bed, org| send(bed, CSP, "DELETE", org, "clients").json(&json!({}))),
        csp(PatchClientRoles, |bed, org| {
            bed.request(CSP, "PATCH", &format!("clients/nobody/orgs/{org}/roles")).json(&json!({}))
        }),
        csp(GetClientRoles, |bed, org| bed.request(CSP, "GET", &format!("clients/nobody/orgs/{org}/roles"))),
        csp(Token, |bed, org| {
            let form = [("grant_type", "client_credentials"), ("orgId", org)];
            bed.http.post(bed.url(CSP, "auth/token")).basic_auth("operator", Some("Oper@t0r")).form(&form)
        }),
        csp(Token, |bed, org| {
            let form = [("grant_type", "client_credentials")];
            bed.http.post(bed.url(CSP, "auth/authorize")).basic_auth(format!("{org}-app"), Some(SECRET)).form(&form)
        }),
        csp(Token, |bed, org| {
            bed.http.post(bed.url(CSP, "auth/api-tokens/authorize")).form(&[("api_token", format!("token-{org}"))])
        }),
    ]
}

fn cpn_samples() -> Vec<Sample> {
    use Operation::*;
    vec![
        cpn(CreateApp, |bed, org| send(bed, CPN, "POST", org, "oauth-apps").json(&json!({"x": 1}))),
        cpn(GetApp, |bed, org| send(bed, CPN, "GET", org, "oauth-apps/nobody")),
        cpn(UpdateApp, |bed, org| send(bed, CPN, "PATCH", org, "oauth-apps/nobody").json(&json!({}))),
        cpn(RotateSecret, |bed, org| send(bed, CPN, "POST", org, "oauth-apps/nobody/secret").json(&json!({}))),
        cpn(RegenerateSecret, |bed, org| send(bed, CPN, "PUT", org, "oauth-apps/nobody/secret")),
        cpn(SelfRotate, |bed, org| bed.http.post(bed.url(CPN, &format!("v2/clients/{org}-app/secret")))),
        cpn(AddClients, |bed, org| send(bed, CPN, "POST", org, "clients").json(&json!({}))),
        cpn(GetClient, |bed, org| send(bed, CPN, "GET", org, "clients/nobody")),
        cpn(PatchClientRoles, |bed, org| {
            bed.request(CPN, "PATCH", &format!("v2/clients/nobody/orgs/{org}/roles")).json(&json!({}))
        }),
        cpn(OrgRoles, |bed, org| bed.request(CPN, "GET", &format!("v1/orgs/{org}/org-roles"))),
        cpn(Token, |bed, org| {
            let body = json!({"clientId": "operator", "clientSecret": "Oper@t0r"});
            bed.http.post(bed.url(CPN, &format!("v1/authn/accounts/{org}/accesstoken"))).json(&body)
        }),
        cpn(Token, |bed, org| {
            let request = bed.http.post(bed.url(CPN, &format!("v2/authn/authorize?orgId={org}")));
            request.basic_auth("operator", Some("Oper@t0r")).form(&[("grant_type", "client_credentials")])
        }),
        cpn(Token, |bed, org| {
            let body = json!({"refreshToken": format!("token-{org}")});
            bed.http.post(bed.url(CPN, "v1/authn/accesstoken")).json(&body)
        }),
    ]
}

/// A simulator whose organizations have an app and an API token each.
async fn two_organizations() -> Bed {
    let bed = Bed::new().await;
    bed.set(|s| s.org_scoped_tokens = false).await;
    for flavor in [CSP, CPN] {
        for org in [ORG, OTHER] {
            bed.control.seed_org(flavor, org, false).await.unwrap();
            bed.control.seed_api_token(flavor, org, &format!("token-{org}")).await.unwrap();
            let id = format!("{org}-app");
            let body = match flavor {
                CSP => with(&app(), "id", json!(id), "secret", json!(SECRET)),
                CPN => json!({"id": id, "secret": SECRET}),
            };
            bed.call(flavor, "POST", &in_org(flavor, org, "oauth-apps"), body).await.ok(200);
        }
    }
    bed
}

async fn refuses_and_then_does_not(bed: &Bed, sample: &Sample, status: u16) {
    let name = format!("{:?} {:?} {status}", sample.flavor, sample.operation);
    let answer = async |org| reply((sample.call)(bed, org).send().await.unwrap()).await;
    let (truth, elsewhere) = (answer(ORG).await.status, answer(OTHER).await.status);
    let fault = Fault::always(Action::refused(status)).on(sample.operation).flavor(sample.flavor).org(ORG).times(2);
    bed.order(fault).await;
    assert_eq!(answer(OTHER).await.status, elsewhere, "{name}: another organization");
    assert_eq!((answer(ORG).await.status, answer(ORG).await.status), (status, status), "{name}");
    assert_eq!(answer(ORG).await.status, truth, "{name}: no more");
    assert_eq!(bed.control.faults().await.unwrap()[0].hits, 2, "{name}");
    bed.control.clear_faults().await.unwrap();
}

#[tokio::test]
async fn every_operation_can_be_refused_falsely_in_one_organization() {
    let bed = two_organizations().await;
    for sample in csp_samples().iter().chain(&cpn_samples()) {
        for status in [401, 403, 404] {
            refuses_and_then_does_not(&bed, sample, status).await;
        }
    }
}

#[tokio::test]
async fn a_false_refusal_changes_nothing() {
    let bed = Bed::new().await;
    for flavor in [CSP, CPN] {
        bed.create(flavor, "an-app").await;
        bed.order(Fault::once(Action::refused(404)).on(Operation::RotateSecret).flavor(flavor)).await;
        bed.rotate(flavor, "an-app", "N3w-secret!", 60).await.ok(404);
        assert!(!bed.works(flavor, "an-app", "N3w-secret!").await);
    }
}

#[tokio::test]
async fn an_order_for_an_organization_without_an_operation_leaves_tokens_alone() {
    let bed = two_organizations().await;
    bed.order(Fault::always(Action::refused(403)).org(ORG)).await;
    bed.exchange(CSP, "token-org-1").await;
    bed.csp("GET", "oauth-apps", Value::Null).await.ok(403);
}
