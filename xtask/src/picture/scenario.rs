//! The scenario of the picture: apps are created, edited by hand, throttled, rejected and deleted, with an outage in between.

use std::error::Error;
use std::time::{Duration, Instant};

use iam_simulator::types::{Action, Fault, Flavor, Human, Operation};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use oauth_app_operator::crd::OrgOAuthApp;
use serde_json::json;
use test_environment::examples::{self, AUTHORITY, ORG};
use test_environment::{TestEnv, manifests};

use crate::demo::Narrator;
use crate::plot::Event;

const NAMESPACE: &str = "billing";
const IDENTITY: &str = "picture-operator";

/// Runs it, and returns its events with their times.
pub(super) async fn run(narrator: &Narrator, env: &TestEnv) -> Result<Vec<Event>, Box<dyn Error>> {
    let begin = Instant::now();
    let control = &env.control;
    let apps: Api<OrgOAuthApp> = Api::namespaced(env.cluster.admin_client().await?, NAMESPACE);
    connect(env).await?;
    let mut events = Vec::new();
    let mut event = async |seconds, name: &str| {
        tokio::time::sleep_until((begin + Duration::from_secs(seconds)).into()).await;
        narrator.say("picture", name);
        events.push(Event { at: begin.elapsed().as_secs_f64(), name: name.into() });
    };
    event(10, "40 apps are created").await;
    create(&apps, 0..40).await?;
    event(35, "10 are edited by hand").await;
    for app in control.apps().await?.into_iter().take(10) {
        let fields = json!({"description": "by hand"}).as_object().cloned().unwrap_or_default();
        control.human(Human::Edit { flavor: Flavor::Csp, id: app.id, fields }).await?;
    }
    event(55, "the API returns 429").await;
    control.fault(Fault::always(Action::TooManyRequests { retry_after: Some(3) }).for_ms(15_000)).await?;
    event(80, "outage; 10 more are created").await;
    let outage = Action::Status { status: 503, message: "down".into(), performed: false };
    control.fault(Fault::always(outage).for_ms(20_000)).await?;
    create(&apps, 40..50).await?;
    event(120, "3 are rejected").await;
    let refuse = Action::Status { status: 400, message: "no".into(), performed: false };
    control.fault(Fault::always(refuse).on(Operation::CreateApp)).await?;
    create(&apps, 50..53).await?;
    event(135, "20 are deleted").await;
    for n in 0..20 {
        apps.delete(&format!("app-{n}"), &DeleteParams::default()).await?;
    }
    tokio::time::sleep_until((begin + Duration::from_secs(150)).into()).await;
    Ok(events)
}

async fn connect(env: &TestEnv) -> Result<(), Box<dyn Error>> {
    env.control.seed_org(Flavor::Csp, ORG, false).await?;
    env.control.seed_client(Flavor::Csp, ORG, IDENTITY, IDENTITY).await?;
    env.cluster.kubectl(&["create", "namespace", NAMESPACE])?;
    env.cluster.apply(&manifests::authority(AUTHORITY.0, &env.backend))?;
    env.cluster.apply(&manifests::credentials("iam-credentials", IDENTITY, IDENTITY))?;
    let connection = examples::with_backend(&env.backend, &examples::read("iam-connection.yaml")?);
    let connection = connection.replace("\nspec:\n", "\nspec:\n  resyncInterval: 10s\n");
    env.cluster.kubectl_with_input(&["apply", "-f", "-"], &connection)?;
    Ok(())
}

async fn create(apps: &Api<OrgOAuthApp>, numbers: std::ops::Range<usize>) -> Result<(), Box<dyn Error>> {
    for n in numbers {
        let rotation = json!({"interval": "720h", "overlap": "48h"});
        let app = manifests::app(&format!("app-{n}"), json!({"orgId": ORG, "rotation": rotation}));
        apps.create(&PostParams::default(), &serde_json::from_value(app)?).await?;
    }
    Ok(())
}
