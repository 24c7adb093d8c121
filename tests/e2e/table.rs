//! The matrix of failed calls: every failure of every operation that changes something, and of the list. What status and
//! Events report, what happens next, and how many calls of that operation it took. Each cell is an app in an organization
//! of its own, so that none sees the calls of another.

use crate::env::TenantEnv;
use futures::future::join_all;
use iam_simulator::types::{CallFilter, Fault, Flavor, Operation, Target};
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams};
use oauth_app_operator::crd::{ConditionStatus, ConditionType};
use serde_json::{Value, json};
use test_environment::failures::{
    BROKER_FAILURES, BROKER_OPERATIONS, Cell, FAILURES, MESSAGE, Next, OPERATIONS, Outcome, cells,
};

const ROTATE: &str = "oauth-apps.dev/rotate-requested-at";

/// One cell: its app, in its organization.
struct Case<'a> {
    env: &'a TenantEnv,
    operation: Operation,
    name: String,
    org: String,
}

impl Case<'_> {
    async fn create(&self, more: Value) {
        let mut spec = json!({"orgId": self.org});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.env.create(&self.name, spec).await;
    }

    async fn ready(&self, more: Value) {
        self.create(more).await;
        self.env.until_ready(&self.name).await;
    }

    async fn inject(&self, failure: &Cell) {
        let fault = Fault::once((failure.action)()).on(self.operation).org(&self.org);
        self.env.control.fault(fault).await.unwrap();
    }

    async fn calls(&self) -> u64 {
        let (operation, org_id) = (Some(self.operation), Some(self.org.clone()));
        let on = Target { operation, org_id, ..Target::default() };
        self.env.control.count(&CallFilter { on, ..CallFilter::default() }).await.unwrap()
    }

    async fn app(&self) -> Option<iam_simulator::types::AppView> {
        let apps = self.env.control.apps().await.unwrap();
        let mut ours = apps.into_iter().filter(|app| app.org_id == self.org);
        let app = ours.next();
        assert!(ours.next().is_none(), "{}: one app", self.name);
        app
    }

    /// What has to be so before the fault, and then what makes the operator call.
    async fn provoke(&self, failure: &Cell) {
        let role = |name: &str| json!({"roles": {"organizationRoles": [{"name": name}]}});
        match self.operation {
            Operation::CreateApp => {
                self.inject(failure).await;
                self.create(json!({})).await;
            }
            Operation::AddClients => {
                self.inject(failure).await;
                self.create(role("org_member")).await;
            }
            Operation::UpdateApp => {
                self.ready(json!({})).await;
                self.inject(failure).await;
                self.env.change(&self.name, json!({"displayName": "Other"})).await;
            }
            Operation::PatchClientRoles => {
                self.ready(role("org_member")).await;
                self.inject(failure).await;
                self.env.change(&self.name, role("developer")).await;
            }
            Operation::RotateSecret => {
                self.ready(json!({})).await;
                self.inject(failure).await;
                self.env.annotate(&self.name, ROTATE, "now").await;
            }
            Operation::DeleteApps => {
                self.ready(json!({})).await;
                self.inject(failure).await;
                self.env.delete(&self.name).await;
            }
            other => panic!("no way to provoke {other:?}"),
        }
    }

    /// Whether everything is as it should be in the end.
    async fn is_done(&self) -> bool {
        let app = self.app().await;
        let role = |app: &iam_simulator::types::AppView, name: &str| {
            app.roles.as_ref().is_some_and(|roles| roles["organizationRoles"] == json!([{"name": name}]))
        };
        if self.operation == Operation::DeleteApps {
            return app.is_none() && self.env.apps().get_opt(&self.name).await.unwrap().is_none();
        }
        let Some(app) = app else { return false };
        let done = match self.operation {
            Operation::AddClients => role(&app, "org_member"),
            Operation::PatchClientRoles => role(&app, "developer"),
            Operation::UpdateApp if self.env.flavor == Flavor::Broker => app.fields["display_name"] == "Other",
            Operation::UpdateApp => app.fields["displayName"] == "Other",
            Operation::RotateSecret => app.secret_changes == 1,
            _ => true,
        };
        done && self.is_settled().await
    }

    async fn is_settled(&self) -> bool {
        let object = self.env.app(&self.name).await;
        let Some(status) = object.status else { return false };
        let asked = object.metadata.annotations.unwrap_or_default().get(ROTATE).cloned();
        let is = |kind| status.conditions.iter().any(|c| c.r#type == kind && c.status == ConditionStatus::True);
        status.last_handled_rotate_at == asked && is(ConditionType::Ready) && is(ConditionType::Synced)
    }

    async fn reasons(&self) -> Vec<String> {
        let events: Api<Event> = Api::namespaced(self.env.client.clone(), &self.env.namespace);
        let all = events.list(&ListParams::default()).await.unwrap();
        let ours = all.items.into_iter().filter(|event| event.involved_object.name.as_ref() == Some(&self.name));
        ours.filter(|event| event.type_.as_deref() == Some("Warning")).filter_map(|event| event.reason).collect()
    }

    async fn run(&self, failure: &Cell) {
        self.provoke(failure).await;
        let Outcome { reason, next, calls } = failure.outcome;
        if let (Next::Edit, Some(reason)) = (next, reason) {
            let message = self.env.until_stalled(&self.name, reason).await;
            assert!(message.contains(MESSAGE), "{}: the API's words: {message}", self.name);
            self.env.change(&self.name, json!({"description": "Changed"})).await;
        }
        self.env.until(&format!("{} is done", self.name), async || self.is_done().await).await;
        if let Some(reason) = reason {
            let reported = async || self.reasons().await.iter().any(|reported| reported == reason);
            self.env.until(&format!("an Event of {} with reason {reason}", self.name), reported).await;
        }
        if self.operation != Operation::DeleteApps {
            self.env.assert_credential_of_org_works(&self.name, &self.org).await;
        }
        assert_eq!(self.calls().await, calls, "{}: calls until it is done", self.name);
    }
}

async fn check(operation: Operation) {
    let cells = cells(&OPERATIONS, &FAILURES, operation).expect("a column of the matrix");
    check_cells(Flavor::Csp, operation, &cells).await;
}

async fn check_broker(operation: Operation) {
    let cells = cells(&BROKER_OPERATIONS, &BROKER_FAILURES, operation).expect("a column of the matrix");
    check_cells(Flavor::Broker, operation, &cells).await;
}

async fn check_cells(flavor: Flavor, operation: Operation, cells: &[Cell]) {
    let namespace = format!("table-{flavor:?}-{operation:?}").to_lowercase();
    let env = TenantEnv::new(&namespace, flavor).await;
    env.give_credentials().await;
    // No resync comes between, and a call without a response does not take long.
    env.connect(json!({"resyncInterval": "10m", "limits": {"timeout": "2s"}})).await;
    env.operator().start().unwrap();
    let run = async |failure: &Cell| {
        let name = name(failure);
        let org = format!("org-{namespace}-{name}");
        env.control.seed_org(env.flavor, &org, true).await.unwrap();
        if flavor == Flavor::Broker {
            env.give_credentials_of(&org).await;
        }
        Case { env: &env, operation, name, org }.run(failure).await;
    };
    // A 429 is about all calls of a connection, so it comes after the others.
    let (throttled, others): (Vec<_>, Vec<_>) = cells.iter().partition(|failure| failure.name == "429");
    join_all(others.into_iter().map(&run)).await;
    join_all(throttled.into_iter().map(&run)).await;
}

/// Of a resource, or a part of one.
fn name(failure: &Cell) -> String {
    part_of_name(failure.name)
}

fn part_of_name(failure: &str) -> String {
    failure.replace(' ', "-")
}

#[tokio::test]
async fn failed_create_ends_in_one_app() {
    check(Operation::CreateApp).await;
}

#[tokio::test]
async fn failed_change_ends_in_the_change() {
    check(Operation::UpdateApp).await;
}

#[tokio::test]
async fn failed_rotation_ends_in_one_rotation() {
    check(Operation::RotateSecret).await;
}

#[tokio::test]
async fn failed_addition_to_the_organization_ends_in_the_roles() {
    check(Operation::AddClients).await;
}

#[tokio::test]
async fn failed_role_change_ends_in_the_change() {
    check(Operation::PatchClientRoles).await;
}

#[tokio::test]
async fn failed_deletion_ends_in_the_deletion() {
    check(Operation::DeleteApps).await;
}

#[tokio::test]
async fn failed_create_in_the_identity_broker_ends_in_one_client() {
    check_broker(Operation::CreateApp).await;
}

#[tokio::test]
async fn failed_change_in_the_identity_broker_ends_in_the_change() {
    check_broker(Operation::UpdateApp).await;
}

#[tokio::test]
async fn failed_rotation_in_the_identity_broker_ends_in_one_rotation() {
    check_broker(Operation::RotateSecret).await;
}

#[tokio::test]
async fn failed_deletion_in_the_identity_broker_ends_in_the_deletion() {
    check_broker(Operation::DeleteApps).await;
}

#[tokio::test]
async fn failed_list_decides_nothing() {
    for failure in &FAILURES {
        let fault = part_of_name(failure.name);
        let env = TenantEnv::new(&format!("table-list-{fault}"), Flavor::Csp).await;
        env.give_credentials().await;
        env.connect(json!({"limits": {"timeout": "2s"}})).await;
        env.operator().start().unwrap();
        let names = ["one", "two", "three"];
        for name in names {
            env.create(name, json!({})).await;
        }
        for name in names {
            env.until_ready(name).await;
        }
        env.control.fault(Fault::once((failure.action)()).on(Operation::ListApps)).await.unwrap();
        let before = env.calls(Operation::ListApps).await;
        env.until("lists were read after it", async || env.calls(Operation::ListApps).await > before + 3).await;
        for name in names {
            let ready = env.condition(name, ConditionType::Ready).await.unwrap();
            assert_eq!(ready.status, ConditionStatus::True, "{fault}: {ready:?}");
        }
        let writes = [Operation::UpdateApp, Operation::RotateSecret, Operation::DeleteApps];
        for operation in writes {
            assert_eq!(env.calls(operation).await, 0, "{fault}: {operation:?}");
        }
        assert_eq!(env.calls(Operation::CreateApp).await, 3, "{fault}");
    }
}
