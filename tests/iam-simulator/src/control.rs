//! The control and inspection API beneath `/control/`, on the same port and without credentials.
//! It orders faults, plays the person at the vendor's console, and shows what the simulator knows.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::apps::{Scene, credentials};
use crate::call::Answer;
use crate::crypto::{generated_secret, uuid};
use crate::roles::Role;
use crate::store::{Realm, World};
use crate::types::{AppView, CallFilter, ClockChange, Flavor, Human, Membership, Stats};

/// Answers a control request; `path` lacks the `/control/` in front.
pub fn serve(world: &mut World, method: &str, path: &str, body: &[u8]) -> Answer {
    match answer(world, method, path, body) {
        Ok(value) => Answer::ok(value),
        Err(message) => Answer::status(400, json!({ "error": message })),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|e| e.to_string())
}

fn show<T: Serialize>(value: T) -> Result<Value, String> {
    serde_json::to_value(value).map_err(|e| e.to_string())
}

fn answer(world: &mut World, method: &str, path: &str, body: &[u8]) -> Result<Value, String> {
    match (method, path) {
        ("GET", "settings") => return show(&world.settings),
        ("PUT", "settings") => world.settings = read(body)?,
        ("POST", "reset") => *world = World::new(),
        ("POST", "seed") => world.seed(read(body)?),
        ("GET", "faults") => return show(world.faults.states()),
        ("POST", "faults") => world.faults.order(read(body)?),
        ("DELETE", "faults") => world.faults.clear(),
        ("DELETE", "tokens") => {
            for flavor in [Flavor::Csp, Flavor::Cpn] {
                world.realm(flavor).access.clear();
            }
        }
        ("POST", "clock") => world.ahead_ms += read::<ClockChange>(body)?.advance_ms,
        ("POST", "human") => return human(world, read(body)?),
        ("GET", "apps") => return show(apps(world)),
        ("GET", "calls") => return show(world.log.select(&CallFilter::default()).collect::<Vec<_>>()),
        ("POST", "calls/search") => return show(world.log.select(&read(body)?).collect::<Vec<_>>()),
        ("POST", "calls/count") => return show(world.log.select(&read(body)?).count()),
        ("DELETE", "calls") => world.log.clear(),
        ("GET", "stats") => return show(stats(world)),
        _ => return Err(format!("no such control operation: {method} {path}")),
    }
    Ok(json!({}))
}

fn apps(world: &mut World) -> Vec<AppView> {
    let now = world.now();
    let mut views = Vec::new();
    for flavor in [Flavor::Csp, Flavor::Cpn] {
        let (settings, realm, _) = world.parts(flavor);
        realm.settle(settings, now);
        views.extend(realm.apps.values().map(|app| app.view(flavor, realm.roles(&app.org, &app.id, now), now)));
    }
    views
}

fn stats(world: &mut World) -> Stats {
    let (by_operation, in_flight, max_in_flight) = world.log.counts();
    let mut stats =
        Stats { calls: by_operation.values().sum(), by_operation, in_flight, max_in_flight, ..Stats::default() };
    for flavor in [Flavor::Csp, Flavor::Cpn] {
        let realm = world.realm(flavor);
        stats.tokens_issued += realm.tokens_issued;
        for (id, count) in &realm.creations {
            *stats.creations.entry(id.clone()).or_default() += count;
        }
    }
    stats
}

fn human(world: &mut World, deed: Human) -> Result<Value, String> {
    let now = world.now();
    for flavor in [Flavor::Csp, Flavor::Cpn] {
        let (settings, realm, _) = world.parts(flavor);
        realm.settle(settings, now);
    }
    match deed {
        Human::Create { flavor, org_id, fields } => Ok(create(world, flavor, &org_id, fields, now)),
        Human::Edit { flavor, id, fields } => edit(world.realm(flavor), &id, fields, now),
        Human::Delete { flavor, id } => {
            world.realm(flavor).delete(&id, 0);
            Ok(json!({}))
        }
        Human::Regenerate { flavor, id } => {
            let app = world.realm(flavor).write(&id).ok_or("no such app")?;
            let secret = generated_secret();
            app.replace_secret(secret.clone(), None);
            app.touch("human", now);
            Ok(credentials(&id, &secret))
        }
        Human::GrantRoles { flavor, id, roles } => grant(world.realm(flavor), &id, roles, Membership::Direct),
        Human::InheritRoles { flavor, id, roles, membership } => grant(world.realm(flavor), &id, roles, membership),
    }
}

fn edit(realm: &mut Realm, id: &str, fields: Map<String, Value>, now: u64) -> Result<Value, String> {
    let app = realm.write(id).ok_or("no such app")?;
    for (name, value) in fields {
        match value {
            Value::Null => drop(app.fields.remove(&name)),
            value => drop(app.fields.insert(name, value)),
        }
    }
    app.touch("human", now);
    Ok(json!({}))
}

fn grant(realm: &mut Realm, id: &str, roles: Vec<String>, membership: Membership) -> Result<Value, String> {
    let org = realm.apps.get(id).ok_or("no such app")?.org.clone();
    let roles = roles.into_iter().map(|name| Role { name, resource: None, membership });
    realm.member(&org, id).organization.extend(roles);
    Ok(json!({}))
}

fn create(world: &mut World, flavor: Flavor, org: &str, mut fields: Map<String, Value>, now: u64) -> Value {
    let mut take = |name: &str| fields.remove(name).and_then(|v| v.as_str().map(String::from));
    let id = take("id").unwrap_or_else(uuid);
    let secret = take("secret").unwrap_or_else(generated_secret);
    let (settings, realm, _) = world.parts(flavor);
    Scene { flavor, settings, realm, org, by: "human", now }.store(&id, &secret, fields);
    credentials(&id, &secret)
}
