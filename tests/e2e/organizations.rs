//! Tokens and organizations: each organization has a token of its own, and one that gets none stalls its own apps alone.

use crate::env::TenantEnv;
use iam_simulator::types::{CallFilter, Flavor, Operation, Target};
use serde_json::{Value, json};

async fn with_second_organization(namespace: &str, flavor: Flavor) -> (TenantEnv, String) {
    let env = TenantEnv::new(namespace, flavor).await;
    let second = format!("second-org-of-{namespace}");
    env.control.seed_org(flavor, &second, true).await.unwrap();
    (env, second)
}

/// Waits until the status of the connection has this organization and these roles.
async fn until_connection_says(env: &TenantEnv, roles: Value) {
    let says = async || {
        let connection = env.connections().get(&env.connection_name()).await.unwrap();
        let status = &connection.data["status"];
        status["organization"] == env.org.as_str() && status["roles"] == roles
    };
    env.until(&format!("the connection has {roles} in {}", env.org), says).await;
}

#[tokio::test]
async fn client_credentials_serve_each_organization_with_a_token_of_its_own() {
    for (namespace, flavor) in [("orgs-csp", Flavor::Csp), ("orgs-cpn", Flavor::Cpn)] {
        let (env, second) = with_second_organization(namespace, flavor).await;
        env.give_credentials().await;
        env.connect(json!({})).await;
        env.operator().start().unwrap();
        for (name, org) in [("first", &env.org), ("second", &second)] {
            env.create(name, json!({ "orgId": org })).await;
            env.until_ready(name).await;
            env.assert_credential_of_org_works(name, org).await;
        }
        until_connection_says(&env, json!(["csp:org_owner"])).await;
    }
}

#[tokio::test]
async fn api_token_of_another_organization_is_reported_without_a_call() {
    for (namespace, flavor) in [("foreign-csp", Flavor::Csp), ("foreign-cpn", Flavor::Cpn)] {
        let (env, second) = with_second_organization(namespace, flavor).await;
        let credentials = env.give_api_token().await;
        env.connect(credentials).await;
        env.operator().start().unwrap();
        env.create("first", json!({})).await;
        env.create("second", json!({ "orgId": second })).await;
        env.until_ready("first").await;
        let message = env.until_stalled("second", "WrongOrganization").await;
        assert!(message.starts_with(&format!("IamConnection {namespace}: ")), "{message}");
        assert!(message.contains(&format!("for organization {}, and spec.orgId is {second}", env.org)), "{message}");
        let of_second = Target { org_id: Some(second), ..Target::default() };
        let about_second = CallFilter { on: of_second, ..CallFilter::default() };
        assert_eq!(env.control.count(&about_second).await.unwrap(), 0);
        env.until_connection("Ready", "True", "Provisioned").await;
    }
}

#[tokio::test]
async fn an_organization_without_a_token_stalls_its_own_apps_alone() {
    for (namespace, flavor) in [("no-token-csp", Flavor::Csp), ("no-token-cpn", Flavor::Cpn)] {
        let env = TenantEnv::running(namespace, flavor).await;
        env.create("lost", json!({"orgId": "a-made-up-org"})).await;
        env.create("billing", json!({})).await;
        env.until_ready("billing").await;
        let message = env.until_stalled("lost", "Forbidden").await;
        assert!(message.contains("the API gives no access token for organization a-made-up-org: 403"), "{message}");
        env.until_connection("Ready", "True", "Provisioned").await;
        let exchanges = env.calls(Operation::Token).await;
        // Several resyncs later the refusal is remembered and the connection as it was.
        let lists = env.app_calls().await;
        env.until("it went on", async || env.app_calls().await > lists + 3).await;
        assert_eq!(env.calls(Operation::Token).await, exchanges);
        env.until_connection("Ready", "True", "Provisioned").await;
    }
}

#[tokio::test]
async fn missing_role_of_a_connection_is_reported_with_those_it_has() {
    let env = TenantEnv::running("poor-role", Flavor::Csp).await;
    env.control.seed_perms(env.flavor, "operator", &["csp:org_member"]).await.unwrap();
    env.create("billing", json!({})).await;
    let message = env.until_stalled("billing", "Forbidden").await;
    let why = "the token has csp:org_member in organization org-of-poor-role and needs developer, org_admin or org_owner; \
               an IP policy of the organization can also be the cause";
    assert!(message.contains(why), "{message}");
    until_connection_says(&env, json!(["csp:org_member"])).await;
}
