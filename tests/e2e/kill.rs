//! Kill -9 at any moment: no second app, no lost credential, nobody has to help.

use crate::env::TenantEnv;
use iam_simulator::types::{Action, Fault, Flavor, Operation};
use serde_json::json;

const APPS: usize = 50;
const KILLS: usize = 30;

#[tokio::test]
async fn killed_thirty_times_while_it_creates_fifty_apps_it_ends_with_fifty_apps_and_credentials() {
    let env = TenantEnv::running("kill", Flavor::Csp).await;
    // Slow enough that the kills fall into the work.
    env.control.fault(Fault::always(Action::Latency { ms: 100 }).on(Operation::CreateApp)).await.unwrap();
    env.control.fault(Fault::always(Action::Latency { ms: 100 }).on(Operation::UpdateApp)).await.unwrap();
    let names: Vec<String> = (0..APPS).map(|n| format!("app-{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        let spec = if n % 2 == 0 { json!({}) } else { json!({"id": format!("chosen-{n}")}) };
        env.create(name, spec).await;
    }
    env.kill_repeatedly(KILLS, 50..600).await;
    for name in &names {
        env.until_ready(name).await;
        env.assert_credential_works(name).await;
    }
    let stats = env.control.stats().await.unwrap();
    assert_eq!(env.control.apps().await.unwrap().len(), APPS);
    assert_eq!(stats.creations.len(), APPS, "{:?}", stats.creations);
    assert!(stats.creations.values().all(|count| *count == 1), "{:?}", stats.creations);
    println!("{KILLS} kills, {} calls: {:?}", stats.calls, stats.by_operation);
}

#[tokio::test]
async fn killed_while_it_deletes_thirty_apps_it_leaves_neither_apps_nor_resources() {
    let env = TenantEnv::running("kill-delete", Flavor::Csp).await;
    let names: Vec<String> = (0..30).map(|n| format!("app-{n}")).collect();
    for name in &names {
        env.create(name, json!({})).await;
    }
    for name in &names {
        env.until_ready(name).await;
    }
    env.control.fault(Fault::always(Action::Latency { ms: 100 }).on(Operation::DeleteApps)).await.unwrap();
    for name in &names {
        env.delete(name).await;
    }
    env.kill_repeatedly(12, 50..400).await;
    for name in &names {
        env.until_gone(name).await;
    }
    assert_eq!(env.control.apps().await.unwrap().len(), 0);
}
