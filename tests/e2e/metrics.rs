//! The metrics over a small life: each moves when its thing happens, with the labels that its table says.

use crate::cluster::{OPERATOR_NAMESPACE, plane};
use crate::env::TenantEnv;
use crate::promtool::lint;
use crate::scrape::Scrape;
use iam_simulator::types::{Action, Fault, Flavor, Human, Operation};
use oauth_app_operator::metrics::FAMILIES;
use serde_json::json;

const ROTATE: &str = "oauth-apps.dev/rotate-requested-at";

/// The metrics at the start, and then an app that was created, drifted, was throttled, lost its token, met a call that hung, and was rotated; and one that
/// the API refuses.
pub(crate) async fn small_life(namespace: &str) -> (Scrape, TenantEnv) {
    let env = TenantEnv::running(namespace, Flavor::Csp).await;
    let before = Scrape::of(&env).await;
    let expiry = ["annotate", "secret", namespace, "oauth-apps.dev/expires-at=2036-06-30T00:00:00Z"];
    plane().kubectl(&[&["-n", OPERATOR_NAMESPACE], &expiry[..]].concat()).unwrap();
    env.create("billing", json!({"rotation": {"interval": "720h", "overlap": "48h"}})).await;
    env.until_ready("billing").await;
    let id = env.credential("billing").await.unwrap().0;
    let edit = json!({"description": "edited by hand"}).as_object().unwrap().clone();
    env.control.human(Human::Edit { flavor: env.flavor, id: id.clone(), fields: edit }).await.unwrap();
    env.until_metric("drift_corrected_total", &[], |count| count == 1.0).await;
    let throttle = Action::TooManyRequests { retry_after: Some(2) };
    env.control.fault(Fault::once(throttle).on(Operation::ListApps)).await.unwrap();
    env.until_metric("throttled_seconds_total", &[("connection", namespace)], |seconds| seconds == 2.0).await;
    env.control.revoke_tokens().await.unwrap();
    env.until_metric("token_refreshes_total", &[("result", "granted")], |count| count == 2.0).await;
    env.control.fault(Fault::once(Action::Hang { performed: false }).on(Operation::ListApps)).await.unwrap();
    env.until_metric("remote_calls_total", &[("status", "timeout")], |count| count == 1.0).await;
    env.annotate("billing", ROTATE, "now").await;
    env.until_metric("remote_calls_total", &[("operation", "rotate_secret"), ("status", "200")], |n| n == 1.0).await;
    let expiry = "connection_credentials_expiration_timestamp_seconds";
    env.until_metric(expiry, &[("connection", namespace)], |time| time > 0.0).await;
    let refuse = Action::Status { status: 400, message: "no".into(), performed: false };
    env.control.fault(Fault::always(refuse).on(Operation::CreateApp)).await.unwrap();
    env.create("refused", json!({})).await;
    env.until_stalled("refused", "Rejected").await;
    (before, env)
}

#[tokio::test]
async fn each_metric_moves_when_its_thing_happens() {
    let (_, env) = small_life("metrics").await;
    let ours = [("connection", "metrics")];
    let apps = |ready: &'static str| [("connection", "metrics"), ("ready", ready)];
    env.until_metric("apps", &apps("false"), |count| count == 1.0).await;
    let scrape = Scrape::of(&env).await;
    let seen = |name: &str, labels: &[(&str, &str)]| scrape.sum(name, labels).unwrap_or_default();
    assert!(seen("reconciles_total", &[("outcome", "settled"), ("reason", "Provisioned")]) >= 1.0);
    assert!(seen("reconciles_total", &[("outcome", "waiting"), ("reason", "Throttled")]) >= 1.0);
    assert!(seen("reconciles_total", &[("outcome", "blocked"), ("reason", "Rejected")]) >= 1.0);
    assert!(seen("reconcile_duration_seconds_count", &[]) >= 3.0);
    assert_eq!(seen("remote_calls_total", &[("operation", "create_app"), ("status", "200")]), 1.0);
    assert_eq!(seen("remote_calls_total", &[("operation", "update_app"), ("status", "200")]), 1.0);
    assert_eq!(seen("remote_calls_total", &[("status", "429")]), 1.0);
    assert_eq!(seen("remote_calls_total", &[("status", "401")]), 1.0);
    assert!(seen("remote_call_duration_seconds_count", &[("operation", "list_apps")]) >= 1.0);
    assert_eq!(seen("apps", &apps("true")), 1.0);
    assert_eq!(seen("rotations_overdue", &ours), 0.0);
    assert!(scrape.sum("oldest_client_secret_age_seconds", &ours).is_some());
    assert_eq!(seen("connection_ready", &ours), 1.0);
    assert_eq!(seen("connection_credentials_expiration_timestamp_seconds", &ours), 2_098_396_800.0);
    for resource in ["orgoauthapps", "orgoauthapps/status", "iamconnections/status", "secrets", "events"] {
        assert!(seen("kubernetes_writes_total", &[("resource", resource), ("result", "ok")]) >= 1.0, "{resource}");
    }
    assert_eq!(seen("leader", &[]), 1.0);
    assert_eq!(seen("build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    let start = scrape.series["process_start_time_seconds"];
    for phase in ["leading", "synced", "first_reconcile"] {
        let took = seen("startup_timestamp_seconds", &[("phase", phase)]) - start;
        assert!((0.0..600.0).contains(&took), "{phase} after {took} s");
    }
    for family in &FAMILIES {
        assert!(scrape.text.contains(&format!("# TYPE {} ", family.name)), "{} is not exposed", family.name);
    }
    assert_eq!(lint(&scrape), Ok(()));
    assert!(env.find_leaks(&scrape.text).is_empty());
    env.delete("billing").await;
    env.until_metric("reconciles_total", &[("outcome", "gone"), ("reason", "Deleted")], |count| count == 1.0).await;
}
