//! The control and inspection API beneath `/control/`, on the same port and without credentials.
//! It orders faults, plays the person at the vendor's console, and shows what the simulator knows.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::apps::{RequestContext, credentials};
use crate::call::Answer;
use crate::crypto::{generated_secret, uuid};
use crate::names::Names;
use crate::roles::Role;
use crate::store::{Realm, State};
use crate::types::{AppView, CallFilter, ClockChange, Flavor, Human, Membership, Stats};

/// Answers a control request; `path` lacks the `/control/` in front.
pub(crate) fn serve(state: &mut State, method: &str, path: &str, body: &[u8]) -> Answer {
    match answer(state, method, path, body) {
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

fn answer(state: &mut State, method: &str, path: &str, body: &[u8]) -> Result<Value, String> {
    match (method, path) {
        ("GET", "settings") => return show(&state.settings),
        ("PUT", "settings") => state.settings = read(body)?,
        ("POST", "reset") => *state = State::new(),
        ("POST", "seed") => state.seed(read(body)?),
        ("GET", "faults") => return show(state.faults.states()),
        ("POST", "faults") => state.faults.order(read(body)?),
        ("DELETE", "faults") => state.faults.clear(),
        ("DELETE", "tokens") => state.realms().for_each(|(_, realm)| realm.access.clear()),
        ("POST", "clock") => state.ahead_ms += read::<ClockChange>(body)?.advance_ms,
        ("POST", "human") => return human(state, read(body)?),
        ("GET", "apps") => return show(apps(state)),
        ("GET", "calls") => return show(state.log.select(&CallFilter::default()).collect::<Vec<_>>()),
        ("POST", "calls/search") => return show(state.log.select(&read(body)?).collect::<Vec<_>>()),
        ("POST", "calls/count") => return show(state.log.select(&read(body)?).count()),
        ("DELETE", "calls") => state.log.clear(),
        ("GET", "stats") => return show(stats(state)),
        _ => return Err(format!("no such control operation: {method} {path}")),
    }
    Ok(json!({}))
}

fn apps(state: &mut State) -> Vec<AppView> {
    let now = state.now();
    let mut views = Vec::new();
    for (flavor, realm) in state.settled() {
        views.extend(realm.apps.values().map(|app| app.view(flavor, realm.roles(&app.org, &app.id, now), now)));
    }
    views
}

fn stats(state: &mut State) -> Stats {
    let (by_operation, in_flight, max_in_flight) = state.log.counts();
    let mut stats =
        Stats { calls: by_operation.values().sum(), by_operation, in_flight, max_in_flight, ..Stats::default() };
    for (_, realm) in state.realms() {
        stats.tokens_issued += realm.tokens_issued;
        for (id, count) in &realm.creations {
            *stats.creations.entry(id.clone()).or_default() += count;
        }
    }
    stats
}

fn human(state: &mut State, deed: Human) -> Result<Value, String> {
    let now = state.now();
    state.settled().for_each(drop);
    match deed {
        Human::Create { flavor, org_id, fields } => create(state, flavor, &org_id, fields, now),
        Human::Edit { flavor, id, fields } => edit(realm_of(state, flavor, &id)?, &id, fields, now),
        Human::Delete { flavor, id } => {
            realm_of(state, flavor, &id)?.delete(&id, 0);
            Ok(json!({}))
        }
        Human::Regenerate { flavor, id } => {
            let app = realm_of(state, flavor, &id)?.write(&id).ok_or("no such app")?;
            let secret = generated_secret();
            app.replace_secret(secret.clone(), now);
            app.touch("human", now);
            Ok(credentials(&id, &secret))
        }
        Human::GrantRoles { flavor, id, roles } => {
            grant(flavor, realm_of(state, flavor, &id)?, &id, roles, Membership::Direct)
        }
        Human::InheritRoles { flavor, id, roles, membership } => {
            grant(flavor, realm_of(state, flavor, &id)?, &id, roles, membership)
        }
    }
}

/// The one realm with an app of that id.
fn realm_of<'a>(state: &'a mut State, flavor: Flavor, id: &str) -> Result<&'a mut Realm, String> {
    let mut realms = state.realms().filter(|(known, realm)| *known == flavor && realm.apps.get(id).is_some());
    match (realms.next(), realms.next()) {
        (Some((_, realm)), None) => Ok(realm),
        (Some(_), Some(_)) => Err(format!("several tenants have a client {id}")),
        (None, _) => Err("no such app".into()),
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

fn grant(
    flavor: Flavor,
    realm: &mut Realm,
    id: &str,
    roles: Vec<String>,
    membership: Membership,
) -> Result<Value, String> {
    if flavor == Flavor::Broker {
        return Err("Identity Broker has no roles of organizations".into());
    }
    let org = realm.apps.get(id).ok_or("no such app")?.org.clone();
    let roles = roles.into_iter().map(|name| Role { name, resource: None, membership });
    realm.member(&org, id).organization.extend(roles);
    Ok(json!({}))
}

fn create(
    state: &mut State,
    flavor: Flavor,
    org: &str,
    mut fields: Map<String, Value>,
    now: u64,
) -> Result<Value, String> {
    let mut take = |name: &str| fields.remove(name).and_then(|v| v.as_str().map(String::from));
    let id = take(Names::of(flavor).id).unwrap_or_else(uuid);
    let secret = take("secret").unwrap_or_else(generated_secret);
    let (settings, realm, _) = state.parts(flavor, org).ok_or("no such tenant")?;
    RequestContext { flavor, settings, realm, org, by: "human", now }.store(&id, &secret, fields);
    Ok(credentials(&id, &secret))
}
