//! The Cloud Services Platform: C1 to C9 and the calls about clients (docs/api.md).
//! Requests and responses have the forms of its documentation; what happens to an app is in `apps`.

use serde_json::{Map, Value, json};

use crate::apps::{RequestContext, credentials};
use crate::call::{Answer, Call, Refusal};
use crate::dispatch::reversed;
use crate::paging::Window;
use crate::schema::{self, Shape};
use crate::store::App;
use crate::timestamp::timestamp;
use crate::types::{Flavor, Operation, Settings};
use crate::{policy, scopes};

/// Performs any operation but a token request.
pub(crate) fn perform(request: &mut RequestContext<'_>, call: &Call) -> Result<Answer, Refusal> {
    match call.route.operation {
        Operation::ListApps => list(request, call),
        Operation::ListClients => list_clients(request, call),
        Operation::SearchApps => search(request, call),
        _ => {
            call.allow_query(&[])?;
            perform_plain(request, call, call.client())
        }
    }
}

/// The operations that know no query parameter.
fn perform_plain(request: &mut RequestContext<'_>, call: &Call, id: &str) -> Result<Answer, Refusal> {
    match call.route.operation {
        Operation::CreateApp => {
            let (id, secret) = request.create(call.json(&schema::CSP_CREATE)?)?;
            Ok(Answer::ok(credentials(&id, &secret)))
        }
        Operation::GetApp => {
            call.no_body()?;
            shown(request, id, request.reads_show())
        }
        Operation::UpdateApp => {
            request.update(id, call.json(&schema::CSP_UPDATE)?)?;
            shown(request, id, request.now)
        }
        Operation::DeleteApps => delete(request, call),
        Operation::RotateSecret => rotate(request, call, id),
        Operation::RegenerateSecret => {
            call.json(&schema::NOTHING)?;
            let secret = request.regenerate(id)?;
            Ok(Answer::ok(credentials(id, &secret)))
        }
        Operation::EndOverlap => {
            call.no_body()?;
            request.end_overlap(id)?;
            Ok(Answer::empty(200))
        }
        _ => perform_on_client(request, call, id),
    }
}

fn rotate(request: &mut RequestContext<'_>, call: &Call, id: &str) -> Result<Answer, Refusal> {
    let body = call.json(&schema::CSP_ROTATE)?;
    let secret = body["newClientSecret"].as_str().unwrap_or_default();
    request.rotate(id, secret, policy::int(&body, "secretRotationExpirationInSeconds"))?;
    Ok(Answer::empty(200))
}

/// The operations on an app as a client of its organization.
fn perform_on_client(request: &mut RequestContext<'_>, call: &Call, id: &str) -> Result<Answer, Refusal> {
    match call.route.operation {
        Operation::AddClients => Ok(Answer::ok(request.add_clients(&call.json(&schema::CSP_ADD_CLIENTS)?)?)),
        Operation::RemoveClients => Ok(Answer::ok(request.remove_clients(&call.json(&schema::REMOVE_CLIENTS)?)?)),
        Operation::PatchClientRoles => {
            request.patch_roles(id, &call.json(roles_shape(request.settings))?)?;
            Ok(Answer::empty(200))
        }
        Operation::GetClientRoles if request.settings.client_roles_readable => {
            call.no_body()?;
            Ok(Answer::ok(request.client_roles(id)?))
        }
        _ => Err(Refusal::new(404, "no such operation")),
    }
}

fn roles_shape(settings: &Settings) -> &'static Shape {
    if settings.expanded_clients { &schema::PATCH_ROLES_ON_RESOURCES } else { &schema::PATCH_ROLES }
}

fn list_clients(request: &RequestContext<'_>, call: &Call) -> Result<Answer, Refusal> {
    call.allow_query(&["pageStart", "pageLimit"])?;
    call.no_body()?;
    let window = if request.settings.expanded_clients {
        Window::of_clients(request.settings, call)?
    } else {
        Window::of_apps(request.settings, call)?
    };
    Ok(window.page(request.settings, call, &request.clients(), Value::clone))
}

/// C5, in the form that P8 is thought to have too.
pub(crate) fn delete(request: &mut RequestContext<'_>, call: &Call) -> Result<Answer, Refusal> {
    let body = call.json(&schema::DELETE)?;
    Ok(Answer::ok(request.delete(&policy::texts(&body, "clientIdsToDelete"))?))
}

fn shown(request: &RequestContext<'_>, id: &str, then: u64) -> Result<Answer, Refusal> {
    let app = request.realm.visible(request.settings, request.org, id, then)?;
    Ok(Answer::ok(app_json(request.settings, app)))
}

fn list(request: &RequestContext<'_>, call: &Call) -> Result<Answer, Refusal> {
    call.allow_query(&["pageStart", "pageLimit", "searchTerm"])?;
    call.no_body()?;
    let term = call.query("searchTerm").unwrap_or_default();
    let window = Window::of_apps(request.settings, call)?;
    let found = matching(request, |text| text.contains(term));
    Ok(window.page(request.settings, call, &found, |app| app_json(request.settings, app)))
}

/// The apps whose display name or id passes `test`.
fn matching<'a>(request: &'a RequestContext<'_>, test: impl Fn(&str) -> bool) -> Vec<&'a App> {
    let named = |app: &App| app.fields.get("displayName").and_then(Value::as_str).is_some_and(&test);
    let listed = request.realm.listed(request.settings, request.org, request.lists_show()).into_iter();
    listed.filter(|app| test(&app.id) || named(app)).collect()
}

/// C9 `[csp-search]`.
fn search(request: &RequestContext<'_>, call: &Call) -> Result<Answer, Refusal> {
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
    let all = matching(request, |candidate| {
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
    let results: Vec<Value> = found.map(|app| app_json(request.settings, app)).collect();
    Ok(Answer::ok(json!({
        "itemsPerPage": limit, "totalResults": all.len(), "startIndex": start, "results": results,
    })))
}

/// `OrgOAuthAppResponse` `[csp-resp]`: never a secret, `allowedOrgs` as objects, more fields than were sent.
pub(crate) fn app_json(settings: &Settings, app: &App) -> Value {
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
