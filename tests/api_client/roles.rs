//! The roles of apps in their organization: given, read in every form and way, and taken.
//! Which operation reads them is found out by asking, and remembered.

use crate::env::{BOTH, CPN, CSP, TestEnv, app, id, org};
use iam_simulator::types::{Action, Fault as Ordered, Human, Membership, Operation};
use oauth_app_operator::crd::{Context, Role, Roles, ServiceRoles};
use oauth_app_operator::iam::http::HttpIam;
use oauth_app_operator::iam::{self, HeldRoles, Iam};
use serde_json::json;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn direct(direct: Roles) -> HeldRoles {
    HeldRoles { direct, inherited: Roles::default() }
}

fn of_organization(name: &str, resource: Option<&str>) -> Roles {
    let role = Role { name: name.into(), resource: resource.map(str::to_owned) };
    Roles { organization_roles: vec![role], service_roles: Vec::new() }
}

fn roles(resource: Option<&str>) -> Roles {
    let role = |name: &str| Role { name: name.into(), resource: resource.map(str::to_owned) };
    let endpoint = ServiceRoles { service_definition_id: "endpoint-1".into(), service_roles: vec![role("user")] };
    Roles { organization_roles: vec![role("org_member")], service_roles: vec![endpoint] }
}

#[tokio::test]
async fn an_app_is_added_to_its_organization() {
    let env = TestEnv::new().await;
    for (flavor, context) in [(CSP, None), (CPN, Some(Context::Provider))] {
        let iam = env.iam(flavor);
        iam.create(&org(), &app(flavor, "billing-export")).await.unwrap();
        assert_eq!(iam.roles(&org(), &id("billing-export"), Duration::ZERO).await, Ok(None), "{flavor:?}");
        let added = iam.add_to_organization(&org(), &id("billing-export"), context, &roles(None)).await;
        assert_eq!(added, Ok(()), "{flavor:?}");
        assert_eq!(
            iam.roles(&org(), &id("billing-export"), Duration::ZERO).await,
            Ok(Some(direct(roles(None)))),
            "{flavor:?}"
        );
        let stored = env.control.app(flavor, "billing-export").await.unwrap().unwrap();
        assert!(stored.roles.unwrap().to_string().contains("org_member"));
        let body = env.calls(Operation::AddClients).await.pop().unwrap().body;
        let endpoint = json!([{"serviceDefinitionId": "endpoint-1", "serviceRoles": [{"name": "user"}]}]);
        let sent = json!({
            "ids": ["billing-export"], "organizationRoles": [{"name": "org_member"}], "serviceRoles": endpoint,
        });
        assert_eq!(body, sent, "{flavor:?}");
    }
    assert_eq!(env.calls(Operation::AddClients).await.pop().unwrap().query, "context=PROVIDER");
}

#[tokio::test]
async fn refused_members_are_reported() {
    let env = TestEnv::new().await;
    let iam = env.iam(CPN);
    let fault = iam.add_to_organization(&org(), &id("absent-app"), None, &Roles::default()).await;
    let says_why = |said: &str| said.starts_with("add app to organization: ") && said.contains("absent-app");
    assert!(matches!(&fault, Err(iam::Error::Rejected(said)) if says_why(said)), "{fault:?}");
    let fault = iam.add_to_organization(&org(), &id("absent-app"), None, &roles(Some("instance:1"))).await;
    assert!(matches!(&fault, Err(iam::Error::Rejected(said)) if said.contains("org_member")), "{fault:?}");
    assert_eq!(env.count(Operation::AddClients).await, 1);
}

#[tokio::test]
async fn roles_are_assigned_and_removed() {
    let env = TestEnv::new().await;
    let named = |name: &str| Role { name: name.into(), resource: None };
    let of = |name: &str| Roles { organization_roles: vec![named(name)], service_roles: Vec::new() };
    for flavor in BOTH {
        let iam = env.iam(flavor);
        iam.create(&org(), &app(flavor, "billing-export")).await.unwrap();
        iam.add_to_organization(&org(), &id("billing-export"), None, &roles(None)).await.unwrap();
        let changed = iam.change_roles(&org(), &id("billing-export"), &of("developer"), &roles(None)).await;
        assert_eq!(changed, Ok(()), "{flavor:?}");
        let held = iam.roles(&org(), &id("billing-export"), Duration::from_secs(60)).await;
        assert_eq!(held, Ok(Some(direct(of("developer")))), "{flavor:?}");
        let again = iam.add_to_organization(&org(), &id("billing-export"), None, &roles(None)).await;
        assert!(matches!(again, Err(iam::Error::Rejected(_))), "{again:?}");
    }
}

/// A client of Cloud Services, with an app that has these roles.
async fn with_member(env: &TestEnv, roles: &Roles) -> HttpIam {
    let iam = env.iam(CSP);
    iam.create(&org(), &app(CSP, "billing-export")).await.unwrap();
    iam.add_to_organization(&org(), &id("billing-export"), None, roles).await.unwrap();
    iam
}

async fn held(iam: &HttpIam, max_age: Duration) -> HeldRoles {
    iam.roles(&org(), &id("billing-export"), max_age).await.unwrap().unwrap()
}

#[tokio::test]
async fn roles_are_read_in_both_forms_of_the_list() {
    for expanded in [true, false] {
        let env = TestEnv::new().await;
        env.control.set(|s| s.expanded_clients = expanded).await.unwrap();
        let iam = with_member(&env, &roles(None)).await;
        assert_eq!(held(&iam, MINUTE).await, direct(roles(None)), "{expanded}");
    }
}

#[tokio::test]
async fn role_on_a_resource_is_assigned_read_and_removed() {
    let env = TestEnv::new().await;
    let iam = with_member(&env, &roles(Some("instance:1"))).await;
    assert_eq!(held(&iam, MINUTE).await, direct(roles(Some("instance:1"))));
    let (add, remove) = (roles(Some("instance:2")), roles(Some("instance:1")));
    iam.change_roles(&org(), &id("billing-export"), &add, &remove).await.unwrap();
    assert_eq!(held(&iam, Duration::ZERO).await, direct(add));
    let body = env.calls(Operation::PatchClientRoles).await.pop().unwrap().body;
    let on = |name: &str, resource: &str| json!([{"name": name, "resource": resource}]);
    let changes = |name: &str| (on(name, "instance:2"), on(name, "instance:1"));
    for (sent, name) in [(&body["organizationRoles"], "org_member"), (&body["serviceRoles"][0], "user")] {
        assert_eq!((sent["rolesToAdd"].clone(), sent["rolesToRemove"].clone()), changes(name));
    }
}

#[tokio::test]
async fn inherited_roles_are_told_apart() {
    for membership in [Membership::Group, Membership::Nested, Membership::Bundle] {
        let env = TestEnv::new().await;
        let iam = with_member(&env, &of_organization("org_member", None)).await;
        let inherit = Human::InheritRoles {
            flavor: CSP,
            id: "billing-export".into(),
            roles: vec!["developer".into()],
            membership,
        };
        env.control.human(inherit).await.unwrap();
        let (direct, inherited) = (of_organization("org_member", None), of_organization("developer", None));
        let both = HeldRoles { direct, inherited };
        assert_eq!(held(&iam, MINUTE).await, both, "in the list, {membership:?}");
        assert_eq!(held(&iam, Duration::ZERO).await, both, "alone, {membership:?}");
        assert_eq!(env.count(Operation::ListClients).await, 1);
    }
}

#[tokio::test]
async fn roles_of_one_app_are_read_alone_once_the_api_is_known_to_support_it() {
    let env = TestEnv::new().await;
    let iam = with_member(&env, &of_organization("org_member", None)).await;
    let reads = async || (env.count(Operation::ListClients).await, env.count(Operation::GetClientRoles).await);
    assert_eq!(iam.roles(&org(), &id("absent-app"), Duration::ZERO).await, Ok(None));
    assert_eq!(reads().await, (1, 0), "of an app that the list does not show nothing is learned");
    held(&iam, Duration::ZERO).await;
    assert_eq!(reads().await, (2, 1));
    held(&iam, Duration::ZERO).await;
    assert_eq!(iam.roles(&org(), &id("absent-app"), Duration::ZERO).await, Ok(None));
    assert_eq!(reads().await, (2, 3));
    held(&iam, MINUTE).await;
    assert_eq!(reads().await, (2, 3), "a list that is not too old serves all");
}

#[tokio::test]
async fn an_unsupported_operation_is_tried_once() {
    let status = |status| Action::Status { status, message: "no".into(), performed: false };
    for lacks in [status(404), status(405), status(501), status(403), status(500), Action::MalformedBody] {
        let env = TestEnv::new().await;
        let iam = with_member(&env, &of_organization("org_member", None)).await;
        env.control.fault(Ordered::always(lacks.clone()).on(Operation::GetClientRoles)).await.unwrap();
        for _ in 0..3 {
            assert_eq!(held(&iam, Duration::ZERO).await, direct(of_organization("org_member", None)), "{lacks:?}");
        }
        let reads = (env.count(Operation::ListClients).await, env.count(Operation::GetClientRoles).await);
        assert_eq!(reads, (3, 1), "{lacks:?}");
    }
}

#[tokio::test]
async fn an_unanswered_operation_is_tried_again() {
    let env = TestEnv::new().await;
    let iam = with_member(&env, &of_organization("org_member", None)).await;
    env.control.fault(Ordered::once(Action::ConnectionReset).on(Operation::GetClientRoles)).await.unwrap();
    for (lists, reads) in [(1, 1), (2, 2), (2, 3)] {
        assert_eq!(held(&iam, Duration::ZERO).await, direct(of_organization("org_member", None)));
        let counts = (env.count(Operation::ListClients).await, env.count(Operation::GetClientRoles).await);
        assert_eq!(counts, (lists, reads));
    }
}

#[tokio::test]
async fn unreadable_roles_are_not_treated_as_absent() {
    let env = TestEnv::new().await;
    let iam = with_member(&env, &of_organization("org_member", None)).await;
    let gone = Action::Status { status: 405, message: "no such operation".into(), performed: false };
    env.control.fault(Ordered::once(gone).on(Operation::ListClients)).await.unwrap();
    let fault = iam.roles(&org(), &id("billing-export"), Duration::ZERO).await;
    assert_eq!(fault, Err(iam::Error::Rejected("list clients: the API has no such operation".into())));
}
