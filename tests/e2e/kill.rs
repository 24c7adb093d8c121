//! Kill -9 at any moment: no second app, no lost credential, nobody has to help.

use crate::world::World;
use iam_simulator::types::{Action, Fault, Flavor, Operation};
use serde_json::json;

const APPS: usize = 50;
const KILLS: usize = 30;

#[tokio::test]
async fn killed_thirty_times_while_it_creates_fifty_apps_it_ends_with_fifty_apps_and_credentials() {
    let world = World::running("kill", Flavor::Csp).await;
    // Slow enough that the kills fall into the work.
    world.control.fault(Fault::always(Action::Latency { ms: 100 }).on(Operation::CreateApp)).await.unwrap();
    world.control.fault(Fault::always(Action::Latency { ms: 100 }).on(Operation::UpdateApp)).await.unwrap();
    let names: Vec<String> = (0..APPS).map(|n| format!("app-{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        let spec = if n % 2 == 0 { json!({}) } else { json!({"id": format!("chosen-{n}")}) };
        world.create(name, spec).await;
    }
    world.kill_repeatedly(KILLS, 50..600).await;
    for name in &names {
        world.until_ready(name).await;
        world.assert_credential_works(name).await;
    }
    let stats = world.control.stats().await.unwrap();
    assert_eq!(world.control.apps().await.unwrap().len(), APPS);
    assert_eq!(stats.creations.len(), APPS, "{:?}", stats.creations);
    assert!(stats.creations.values().all(|count| *count == 1), "{:?}", stats.creations);
    println!("{KILLS} kills, {} calls: {:?}", stats.calls, stats.by_operation);
}

#[tokio::test]
async fn killed_while_it_deletes_thirty_apps_it_leaves_neither_apps_nor_resources() {
    let world = World::running("kill-delete", Flavor::Csp).await;
    let names: Vec<String> = (0..30).map(|n| format!("app-{n}")).collect();
    for name in &names {
        world.create(name, json!({})).await;
    }
    for name in &names {
        world.until_ready(name).await;
    }
    world.control.fault(Fault::always(Action::Latency { ms: 100 }).on(Operation::DeleteApps)).await.unwrap();
    for name in &names {
        world.delete(name).await;
    }
    world.kill_repeatedly(12, 50..400).await;
    for name in &names {
        world.until_gone(name).await;
    }
    assert_eq!(world.control.apps().await.unwrap().len(), 0);
}
