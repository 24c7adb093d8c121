//! Text without measure and without sense: templates, Secrets of nearly a megabyte, characters that hide others, and an API
//! that repeats what it is sent.

use futures::join;
use iam_simulator::types::{Action, Flavor, Operation, Spelling};
use k8s_openapi::api::core::v1::Secret;
use oauth_app_operator::crd::OrgOAuthApp;
use serde_json::{Map, Value, json};

use super::tenant::{ATTACKER, Attacker, RECONCILE, app, at_once};

const QUOTING: &str = "quoting";
/// A line break, an escape sequence, and characters that turn the direction of what follows.
const HIDDEN: &str = "a\nWARN forged\u{1b}[2J\u{202e}\u{2066}\u{200b}";
const HUGE_SECRETS: usize = 40;
const USERS_OF_HUGE_SECRETS: usize = 100;

/// Goes on for as long as it is polled.
pub(super) async fn attack(attacker: &Attacker) {
    join!(templates(attacker), huge_secrets(attacker), edited_secrets(attacker), quoted(attacker));
}

/// Half of them are admitted, and are as large and as costly as admission lets through.
async fn templates(attacker: &Attacker) {
    let write = async |n: usize| {
        let (name, filled) = (format!("template-{}", n % 100), json!({"secret": {"template": filled(n)}}));
        if n < 200 {
            attacker.tenant.create::<OrgOAuthApp>(app(&name, ATTACKER, filled)).await;
        } else {
            attacker.tenant.change::<OrgOAuthApp>(&name, json!({"spec": filled})).await;
        }
        attacker.tenant.create::<OrgOAuthApp>(app("refused", ATTACKER, refused(n))).await;
    };
    at_once(4, 0.., write).await;
}

/// Some of them come to more than Kubernetes stores in a Secret.
fn filled(n: usize) -> Value {
    let text = format!("{n}{}", "{{ clientSecret | urlencode }}".repeat(16));
    let keys = if n.is_multiple_of(3) { 30 } else { 8 };
    (0..keys).map(|key| (format!("key-{key}"), json!(text))).collect::<Map<_, _>>().into()
}

fn refused(n: usize) -> Value {
    let template = |text: String| json!({"secret": {"template": {"x": text}}});
    match n % 6 {
        0 => template("{% for a in [1,2,3,4,5,6,7,8] %}".repeat(60) + &"{% endfor %}".repeat(60)),
        1 => template("{{ ".to_owned() + &"(".repeat(4000)),
        2 => template("{{ clientId ".to_owned() + &"|json".repeat(800) + " }}"),
        3 => json!({"connectionRef": {"name": HIDDEN}}),
        4 => json!({ "displayName": HIDDEN }),
        _ => json!({"description": HIDDEN.repeat(1000)}),
    }
}

/// Each look at one of these resources reads a Secret of 900 KB.
async fn huge_secrets(attacker: &Attacker) {
    let secret = async |n: usize| {
        let huge = provided(&format!("provided-{n}"), "x".repeat(900_000));
        attacker.tenant.create::<Secret>(huge).await;
    };
    at_once(2, 0..HUGE_SECRETS, secret).await;
    let user = async |n: usize| {
        let spec = json!({"clientSecretRef": {"name": format!("provided-{}", n % HUGE_SECRETS), "key": "value"}});
        attacker.tenant.create::<OrgOAuthApp>(app(&format!("huge-{n}"), ATTACKER, spec)).await;
    };
    at_once(4, 0..USERS_OF_HUGE_SECRETS, user).await;
    let ask = async |n: usize| {
        let name = format!("huge-{}", n % USERS_OF_HUGE_SECRETS);
        attacker.tenant.annotate(&name, RECONCILE, format!("{n}{}", HIDDEN.repeat(100))).await;
    };
    at_once(4, 0.., ask).await;
}

fn provided(name: &str, value: String) -> Value {
    let metadata = json!({"name": name, "labels": {"oauth-apps.dev/use": "true"}});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"value": value}})
}

/// Of what the operator published, value and metadata become as large as Kubernetes allows.
async fn edited_secrets(attacker: &Attacker) {
    for n in 0..20 {
        attacker.tenant.create::<OrgOAuthApp>(app(&format!("edited-{n}"), ATTACKER, json!({}))).await;
    }
    let edit = async |n: usize| {
        let (name, value) = (format!("edited-{}", n % 20), format!("{n}{}", "x".repeat(600_000)));
        let annotations = json!({"large": HIDDEN.repeat(10_000)});
        let patch = json!({"metadata": {"annotations": annotations}, "stringData": {"client-secret": value}});
        attacker.tenant.change::<Secret>(&name, patch).await;
        attacker.tenant.annotate(&name, RECONCILE, n.to_string()).await;
    };
    at_once(2, 0.., edit).await;
}

/// The API repeats each request, with the secret in it, in one spelling after another.
async fn quoted(attacker: &Attacker) {
    if let Err(error) = attacker.control.seed_org(Flavor::Csp, QUOTING, true).await {
        eprintln!("error: the simulator does not know the organization: {error}");
    }
    let spellings = [Spelling::Plain, Spelling::Json, Spelling::Percent, Spelling::Base64, Spelling::Headers];
    for (spelling, operation) in spellings.into_iter().zip([
        Operation::CreateApp,
        Operation::UpdateApp,
        Operation::GetApp,
        Operation::RotateSecret,
        Operation::ListApps,
    ]) {
        attacker.fault(QUOTING, Some(operation), Action::Echo { status: 400, spelling }).await;
    }
    attacker.tenant.create::<Secret>(provided("to-quote", "Aa1_".repeat(256))).await;
    let spec = |n: usize| {
        let description = format!("{n}{}", "é\"\\%&<>/+=\u{202e}".repeat(300));
        json!({"clientSecretRef": {"name": "to-quote", "key": "value"}, "description": description})
    };
    for n in 0..20 {
        attacker.tenant.create::<OrgOAuthApp>(app(&format!("quoted-{n}"), QUOTING, spec(n))).await;
    }
    let change = async |n: usize| {
        attacker.tenant.change::<OrgOAuthApp>(&format!("quoted-{}", n % 20), json!({"spec": spec(n)})).await;
    };
    at_once(2, 0.., change).await;
}
