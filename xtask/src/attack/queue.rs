//! As many as possible in the way of others: refused resources in made-up organizations, one that always answers 429, and
//! annotations that are changed in loops.

use futures::join;
use iam_simulator::types::{Action, Flavor};
use oauth_app_operator::crd::OrgOAuthApp;
use serde_json::json;

use super::tenant::{ATTACKER, Attacker, RECONCILE, ROTATE, app, at_once};

const CROWD: usize = 2000;
const MADE_UP: usize = 400;
const THROTTLED: &str = "always-429";

/// Goes on for as long as it is polled.
pub(super) async fn attack(attacker: &Attacker) {
    if let Err(error) = attacker.control.seed_org(Flavor::Csp, THROTTLED, true).await {
        eprintln!("error: the simulator does not know the organization: {error}");
    }
    attacker.fault(THROTTLED, None, Action::TooManyRequests { retry_after: Some(600) }).await;
    join!(crowd(attacker), throttled(attacker), annotated(attacker));
}

/// Half of them choose an id, which costs the operator a look at who else has it.
async fn crowd(attacker: &Attacker) {
    let create = async |n: usize| {
        let id = if n.is_multiple_of(2) { json!({"id": format!("crowd-{n}")}) } else { json!({}) };
        let org = format!("made-up-{}", n % MADE_UP);
        attacker.tenant.create::<OrgOAuthApp>(app(&format!("crowd-{n}"), &org, id)).await;
    };
    at_once(8, 0..CROWD, create).await;
    let ask = async |n: usize| {
        attacker.tenant.annotate(&format!("crowd-{}", n % CROWD), RECONCILE, n.to_string()).await;
    };
    at_once(8, 0.., ask).await;
}

async fn throttled(attacker: &Attacker) {
    const COUNT: usize = 20;
    for n in 0..COUNT {
        attacker.tenant.create::<OrgOAuthApp>(app(&format!("throttled-{n}"), THROTTLED, json!({}))).await;
    }
    let ask = async |n: usize| {
        attacker.tenant.annotate(&format!("throttled-{}", n % COUNT), RECONCILE, n.to_string()).await;
    };
    at_once(2, 0.., ask).await;
}

async fn annotated(attacker: &Attacker) {
    const COUNT: usize = 20;
    for n in 0..COUNT {
        let rotation = json!({"rotation": {"interval": "720h", "overlap": "1s"}});
        attacker.tenant.create::<OrgOAuthApp>(app(&format!("annotated-{n}"), ATTACKER, rotation)).await;
    }
    let ask = async |n: usize| {
        let annotation = if n.is_multiple_of(2) { RECONCILE } else { ROTATE };
        attacker.tenant.annotate(&format!("annotated-{}", n / 2 % COUNT), annotation, n.to_string()).await;
    };
    at_once(4, 0.., ask).await;
}
