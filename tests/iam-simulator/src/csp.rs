//! The Cloud Services Platform: C1 to C9 and the calls about clients (docs/api.md).
//! Requests and responses have the forms of its documentation; what happens to an app is in `apps`.

use serde_json::{Map, Value, json};

use crate::apps::{Scene, credentials};
use crate::call::{Answer, Call, Refusal};
use crate::dispatch::reversed;
use crate::paging::Window;
use crate::policy;
use crate::schema::{self, Shape};
use crate::scopes;
use crate::store::App;
use crate::timestamp::timestamp;
use crate::types::{Flavor, Operation, Settings};

/// Performs any operation but a token request.
pub fn perform(scene: &mut Scene<'_>, call: &Call) -> Result<Answer, Refusal> {
    match call.route.operation {
        Operation::ListApps => list(scene, call),
        Operation::ListClients => list_clients(scene, call),
        Operation::SearchApps => search(scene, call),
        _ => {
            call.allow_query(&[])?;
            perform_plain(scene, call, call.client())
        }
    }
}

/// The operations that know no query parameter.
fn perform_plain(scene: &mut Scene<'_>, call: &Call, id: &str) -> Result<Answer, Refusal> {
    match call.route.operation {
        Operation::CreateApp => {
            let (id, secret) = scene.create(call.json(&schema::CSP_CREATE)?)?;
            Ok(Answer::ok(credentials(&id, &secret)))
        }
        Operation::GetApp => {
            call.no_body()?;
            shown(scene, id, scene.reads_show())
        }
        Operation::UpdateApp => {
            scene.update(id, call.json(&schema::CSP_UPDATE)?)?;
            shown(scene, id, scene.now)
        }
        Operation::DeleteApps => delete(scene, call),
        Operation::RotateSecret => rotate(scene, call, id),
        Operation::RegenerateSecret => {
            call.json(&schema::NOTHING)?;
            let secret = scene.regenerate(id)?;
            Ok(Answer::ok(credentials(id, &secret)))
        }
        Operation::EndOverlap => {
            call.no_body()?;
            scene.end_overlap(id)?;
            Ok(Answer::empty())
        }
        _ => perform_on_client(scene, call, id),
    }
}

fn rotate(scene: &mut Scene<'_>, call: &Call, id: &str) -> Result<Answer, Refusal> {
    let body = call.json(&schema::CSP_ROTATE)?;
    let secret = body["newClientSecret"].as_str().unwrap_or_default();
    scene.rotate(id, secret, policy::int(&body, "secretRotationExpirationInSeconds"))?;
    Ok(Answer::empty())
}

/// The operations on an app as a client of its organization.
fn perform_on_client(scene: &mut Scene<'_>, call: &Call, id: &str) -> Result<Answer, Refusal> {
    match call.route.operation {
        Operation::AddClients => Ok(Answer::ok(scene.add_clients(&call.json(&schema::CSP_ADD_CLIENTS)?)?)),
        Operation::RemoveClients => Ok(Answer::ok(scene.remove_clients(&call.json(&schema::REMOVE_CLIENTS)?)?)),
        Operation::PatchClientRoles => {
            scene.patch_roles(id, &call.json(roles_shape(scene.settings))?)?;
            Ok(Answer::empty())
        }
        Operation::GetClientRoles if scene.settings.client_roles_readable => {
            call.no_body()?;
            Ok(Answer::ok(scene.client_roles(id)?))
        }
        _ => Err(Refusal::new(404, "no such operation")),
    }
}

fn roles_shape(settings: &Settings) -> &'static Shape {
    if settings.expanded_clients { &schema::PATCH_ROLES_ON_RESOURCES } else { &schema::PATCH_ROLES }
}

fn list_clients(scene: &Scene<'_>, call: &Call) -> Result<Answer, Refusal> {
    call.allow_query(&["pageStart", "pageLimit"])?;
    call.no_body()?;
    let window = if scene.settings.expanded_clients {
        Window::of_clients(scene.settings, call)?
    } else {
        Window::of_apps(scene.settings, call)?
    };
    Ok(window.page(scene.settings, call, &scene.clients(), Value::clone))
}

/// C5, in the form that P8 is thought to have too.
pub fn delete(scene: &mut Scene<'_>, call: &Call) -> Result<Answer, Refusal> {
    let body = call.json(&schema::DELETE)?;
    Ok(Answer::ok(scene.delete(&policy::texts(&body, "clientIdsToDelete"))?))
}

fn shown(scene: &Scene<'_>, id: &str, then: u64) -> Result<Answer, Refusal> {
    let app = scene.realm.visible(scene.settings, scene.org, id, then)?;
    Ok(Answer::ok(app_json(scene.settings, app)))
}

fn list(scene: &Scene<'_>, call: &Call) -> Result<Answer, Refusal> {
    call.allow_query(&["pageStart", "pageLimit", "searchTerm"])?;
    call.no_body()?;
    let term = call.query("searchTerm").unwrap_or_default();
    let window = Window::of_apps(scene.settings, call)?;
    let found = matching(scene, |text| text.contains(term));
    Ok(window.page(scene.settings, call, &found, |app| app_json(scene.settings, app)))
}

/// The apps whose display name or id passes `test`.
fn matching<'a>(scene: &'a Scene<'_>, test: impl Fn(&str) -> bool) -> Vec<&'a App> {
    let named = |app: &App| app.fields.get("displayName").and_then(Value::as_str).is_some_and(&test);
    let listed = scene.realm.listed(scene.settings, scene.org, scene.lists_show()).into_iter();
    listed.filter(|app| test(&app.id) || named(app)).collect()
}

/// C9 `[csp-search]`.
fn search(scene: &Scene<'_>, call: &Call) -> Result<Answer, Refusal> {
    call.allow_query(&["filterResults"])?;
    let body = call.json(&schema::SEARCH)?;
    let limit = policy::int(&body, "pageLimit").unwrap_or(15);
    let start = policy::int(&body, "pageStart").unwrap_or(1);
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let (term, prefix) = (text("resource"), text("resourceStartsWith"));
    if !(1..=15).contains(&limit) || start < 1 {
        return Err(Refusal::bad("pageLimit must be 1 to 15 and pageStart at least 1"));
    }
    if term.chars().count() > 200 {
        return Err(Refusal::bad("resource must have at most 200 characters"));
    }
    let all = matching(scene, |candidate| {
        let found = match text("searchType") {
            "EXACT_MATCH" => candidate == term,
            "STARTS_WITH" => candidate.starts_with(term),
            "ENDS_WITH" => candidate.ends_with(term),
            _ => candidate.contains(term),
        };
        candidate.starts_with(prefix) && found
    });
    let skip = usize::try_from(start - 1).unwrap_or(0);
    let found = all.iter().skip(skip).take(usize::try_from(limit).unwrap_or(0));
    let results: Vec<Value> = found.map(|app| app_json(scene.settings, app)).collect();
    Ok(Answer::ok(json!({
        "itemsPerPage": limit, "totalResults": all.len(), "startIndex": start, "results": results,
    })))
}

/// `OrgOAuthAppResponse` `[csp-resp]`: never a secret, `allowedOrgs` as objects, more fields than were sent.
pub fn app_json(settings: &Settings, app: &App) -> Value {
    let mut fields: Map<String, Value> = app.fields.clone();
    if fields.contains_key("allowedOrgs") {
        let orgs = policy::texts(&app.fields, "allowedOrgs");
        let objects: Vec<Value> = orgs
            .iter()
            .map(|id| json!({"id": id, "name": format!("org-{id}"), "displayName": format!("Organization {id}")}))
            .collect();
        fields.insert("allowedOrgs".into(), Value::Array(objects));
    }
    for empty in ["redirectUris", "postLogoutRedirectUris"] {
        fields.entry(empty).or_insert(json!([]));
    }
    let mut value = Value::Object(fields);
    if settings.scope_defaults {
        value["allowedScopes"] = scopes::filled(Flavor::Csp, &value["allowedScopes"]);
    }
    if settings.reverse_lists {
        value = reversed(&value);
    }
    value["id"] = json!(app.id);
    value["organizationId"] = json!(app.org);
    value["createdAt"] = timestamp(settings, app.created_at);
    value["createdBy"] = json!(app.created_by);
    value["lastUpdatedAt"] = timestamp(settings, app.updated_at);
    value["lastUpdatedBy"] = json!(app.updated_by);
    value["immutable"] = json!(false);
    value["useCspIssuerUrl"] = app.fields.get("useCspIssuerUrl").cloned().unwrap_or(json!(true));
    value
}
