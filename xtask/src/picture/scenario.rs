//! What happens in the picture: apps are made, edited by hand, throttled, met by an outage, refused and deleted.

use std::error::Error;
use std::time::{Duration, Instant};

use iam_simulator::client::Control;
use iam_simulator::types::{Action, Fault, Flavor, Human, Operation};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use oauth_app_operator::crd::OrgOAuthApp;
use serde_json::json;

use crate::demo::manifests::{self, AUTHORITY};
use crate::demo::{Narrator, Stage, kubectl};
use crate::plot::Event;

const NAMESPACE: &str = "billing";
const ORG: &str = "2f0c6f0e-7d0a-4c3b-9a55-0f2f5b1c9e10";
const IDENTITY: &str = "picture-operator";
const CONNECTION: &str = "deploy/examples/iam-connection.yaml";

/// Runs it, and says what happened when.
pub async fn run(narrator: &Narrator, stage: &Stage) -> Result<Vec<Event>, Box<dyn Error>> {
    let begin = Instant::now();
    let (control, client) = (stage.simulator.control(), stage.plane.admin_client().await?);
    let apps: Api<OrgOAuthApp> = Api::namespaced(client.clone(), NAMESPACE);
    connect(narrator, stage, &control, client).await?;
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
    event(55, "the API asks to wait").await;
    control.fault(Fault::always(Action::TooManyRequests { retry_after: Some(3) }).for_ms(15_000)).await?;
    event(80, "outage; 10 more are created").await;
    let outage = Action::Status { status: 503, message: "down".into(), performed: false };
    control.fault(Fault::always(outage).for_ms(20_000)).await?;
    create(&apps, 40..50).await?;
    event(120, "3 are refused").await;
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

async fn connect(narrator: &Narrator, stage: &Stage, control: &Control, client: Client) -> Result<(), Box<dyn Error>> {
    control.seed_org(Flavor::Csp, ORG, false).await?;
    control.seed_client(Flavor::Csp, ORG, IDENTITY, IDENTITY).await?;
    let (name, key) = AUTHORITY;
    let file = format!("--from-file={key}={}", stage.simulator.listening().ca_file);
    kubectl(narrator, &stage.plane, &["-n", "oauth-app-operator", "create", "configmap", name, &file])?;
    kubectl(narrator, &stage.plane, &["create", "namespace", NAMESPACE])?;
    let pair = json!({"client-id": IDENTITY, "client-secret": IDENTITY});
    let secret = json!({"metadata": {"name": "iam-credentials"}, "stringData": pair});
    let secrets: Api<Secret> = Api::namespaced(client, "oauth-app-operator");
    secrets.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    let connection = manifests::towards(stage.simulator.endpoint(Flavor::Csp), &std::fs::read_to_string(CONNECTION)?)?;
    stage.plane.kubectl_with_input(&["apply", "-f", "-"], &connection)?;
    Ok(())
}

async fn create(apps: &Api<OrgOAuthApp>, numbers: std::ops::Range<usize>) -> Result<(), Box<dyn Error>> {
    for n in numbers {
        let app = json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp", "metadata": {"name": format!("app-{n}")},
            "spec": {
                "orgId": ORG, "displayName": "Export", "description": "Nightly", "grantTypes": ["client_credentials"],
                "allowedScopes": {}, "rotation": {"interval": "720h", "overlap": "48h"},
            },
        });
        apps.create(&PostParams::default(), &serde_json::from_value(app)?).await?;
    }
    Ok(())
}
