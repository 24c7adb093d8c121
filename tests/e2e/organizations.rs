//! Tokens and organizations: each organization has a token of its own, and one that gets none stalls its own apps alone.

use crate::world::World;
use iam_simulator::types::{CallFilter, Flavor, Operation, Target};
use serde_json::{Value, json};

async fn with_second_organization(namespace: &str, flavor: Flavor) -> (World, String) {
    let world = World::new(namespace, flavor).await;
    let second = format!("second-org-of-{namespace}");
    world.control.seed_org(flavor, &second, true).await.unwrap();
    (world, second)
}

/// Waits until the status of the connection has this organization and these roles.
async fn until_connection_says(world: &World, roles: Value) {
    let says = async || {
        let connection = world.connections().get(&world.connection_name()).await.unwrap();
        let status = &connection.data["status"];
        status["organization"] == world.org.as_str() && status["roles"] == roles
    };
    world.until(&format!("the connection has {roles} in {}", world.org), says).await;
}

#[tokio::test]
async fn client_credentials_serve_each_organization_with_a_token_of_its_own() {
    for (namespace, flavor) in [("orgs-csp", Flavor::Csp), ("orgs-cpn", Flavor::Cpn)] {
        let (world, second) = with_second_organization(namespace, flavor).await;
        world.give_credentials().await;
        world.connect(json!({})).await;
        world.operator().start();
        for (name, org) in [("first", &world.org), ("second", &second)] {
            world.create(name, json!({ "orgId": org })).await;
            world.until_ready(name).await;
            world.assert_credential_of_org_works(name, org).await;
        }
        until_connection_says(&world, json!(["csp:org_owner"])).await;
    }
}

#[tokio::test]
async fn an_api_token_of_another_organization_is_said_and_costs_no_call() {
    for (namespace, flavor) in [("foreign-csp", Flavor::Csp), ("foreign-cpn", Flavor::Cpn)] {
        let (world, second) = with_second_organization(namespace, flavor).await;
        let credentials = world.give_api_token().await;
        world.connect(credentials).await;
        world.operator().start();
        world.create("first", json!({})).await;
        world.create("second", json!({ "orgId": second })).await;
        world.until_ready("first").await;
        let message = world.until_stalled("second", "WrongOrganization").await;
        assert!(message.starts_with(&format!("IamConnection {namespace}: ")), "{message}");
        assert!(message.contains(&format!("for organization {}, and spec.orgId is {second}", world.org)), "{message}");
        let of_second = Target { org_id: Some(second), ..Target::default() };
        let about_second = CallFilter { on: of_second, ..CallFilter::default() };
        assert_eq!(world.control.count(&about_second).await.unwrap(), 0);
        world.until_connection("Ready", "True", "Provisioned").await;
    }
}

#[tokio::test]
async fn an_organization_without_a_token_stalls_its_own_apps_alone() {
    for (namespace, flavor) in [("no-token-csp", Flavor::Csp), ("no-token-cpn", Flavor::Cpn)] {
        let world = World::running(namespace, flavor).await;
        world.create("lost", json!({"orgId": "a-made-up-org"})).await;
        world.create("billing", json!({})).await;
        world.until_ready("billing").await;
        let message = world.until_stalled("lost", "Forbidden").await;
        assert!(message.contains("the API gives no access token for organization a-made-up-org: 403"), "{message}");
        world.until_connection("Ready", "True", "Provisioned").await;
        let exchanges = world.calls(Operation::Token).await;
        // Several resyncs later the refusal is remembered and the connection as it was.
        let lists = world.app_calls().await;
        world.until("it went on", async || world.app_calls().await > lists + 3).await;
        assert_eq!(world.calls(Operation::Token).await, exchanges);
        world.until_connection("Ready", "True", "Provisioned").await;
    }
}

#[tokio::test]
async fn a_connection_without_the_needed_role_says_so_and_which_one_it_has() {
    let world = World::running("poor-role", Flavor::Csp).await;
    world.control.seed_perms(world.flavor, "operator", &["csp:org_member"]).await.unwrap();
    world.create("billing", json!({})).await;
    let message = world.until_stalled("billing", "Forbidden").await;
    let why = "the token has csp:org_member in organization org-of-poor-role and needs developer, org_admin or org_owner; \
               an IP policy of the organization can also be the cause";
    assert!(message.contains(why), "{message}");
    until_connection_says(&world, json!(["csp:org_member"])).await;
}
