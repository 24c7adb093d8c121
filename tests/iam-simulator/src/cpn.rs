//! Cloud Partner Navigator: P1 to P6, the calls about clients, and P7 to P9 where they are switched on (docs/api.md).
//! No page was found that shows list, delete and the end of an overlap, so by default they do not exist.

use serde_json::{Map, Value, json};

use crate::apps::{RequestContext, credentials};
use crate::call::{Answer, Call, Refusal};
use crate::dispatch::reversed;
use crate::paging::Window;
use crate::store::{App, Realm};
use crate::timestamp::timestamp;
use crate::types::{Flavor, Operation, Settings};
use crate::{csp, policy, schema, scopes};

/// Refuses, as a gateway would, what is not offered.
pub(crate) fn check_offered(settings: &Settings, call: &Call) -> Result<(), Refusal> {
    let offers = settings.cpn_offers;
    let offered = match call.route.operation {
        Operation::ListApps => offers.list,
        Operation::DeleteApps => offers.delete,
        Operation::EndOverlap => offers.end_overlap,
        _ => true,
    };
    if offered {
        return Ok(());
    }
    Err(Refusal::new(settings.not_offered_status, format!("no such operation: {} {}", call.method, call.path)))
}

/// Performs any operation but a token request and P6.
pub(crate) fn perform(request: &mut RequestContext<'_>, call: &Call) -> Result<Answer, Refusal> {
    let id = call.client();
    match call.route.operation {
        Operation::CreateApp => create(request, call),
        Operation::UpdateApp => {
            call.allow_context(&["PROVIDER", "TENANT"])?;
            request.update(id, call.json(&schema::CPN_UPDATE)?)?;
            shown(request, id, request.now)
        }
        Operation::AddClients => {
            call.allow_context(&["OPERATOR", "PROVIDER", "TENANT"])?;
            Ok(Answer::ok(request.add_clients(&call.json(&schema::CPN_ADD_CLIENTS)?)?))
        }
        Operation::OrgRoles => {
            call.allow_context(&["OPERATOR", "PROVIDER", "TENANT"])?;
            call.no_body()?;
            let roles = request.settings.org_roles.iter().map(|name| json!({"name": name, "displayName": name}));
            Ok(Answer::ok(Value::Array(roles.collect())))
        }
        Operation::ListApps => {
            call.allow_query(&["pageStart", "pageLimit"])?;
            call.no_body()?;
            let listed = request.realm.listed(request.settings, request.org, request.lists_show());
            let window = Window::of_apps(request.settings, call)?;
            Ok(window.page(request.settings, call, &listed, |app| app_json(request.settings, app)))
        }
        _ => {
            call.allow_query(&[])?;
            perform_plain(request, call, id)
        }
    }
}

/// The operations that know no query parameter.
fn perform_plain(request: &mut RequestContext<'_>, call: &Call, id: &str) -> Result<Answer, Refusal> {
    match call.route.operation {
        Operation::DeleteApps => return csp::delete(request, call),
        Operation::RotateSecret => {
            let body = call.json(&schema::CPN_ROTATE)?;
            rotate(request, id, &body)?;
            return Ok(Answer::empty(200));
        }
        Operation::PatchClientRoles => {
            request.patch_roles(id, &call.json(&schema::PATCH_ROLES)?)?;
            return Ok(Answer::empty(200));
        }
        _ => call.no_body()?,
    }
    match call.route.operation {
        Operation::GetApp => shown(request, id, request.reads_show()),
        Operation::RegenerateSecret => {
            let secret = request.regenerate(id)?;
            Ok(Answer::ok(credentials(id, &secret)))
        }
        Operation::EndOverlap => {
            request.end_overlap(id)?;
            Ok(Answer::empty(200))
        }
        Operation::GetClient => Ok(Answer::ok(request.client(id)?)),
        _ => Err(Refusal::new(404, "no such operation")),
    }
}

/// P1: the body itself is optional `[cpn-create]`.
fn create(request: &mut RequestContext<'_>, call: &Call) -> Result<Answer, Refusal> {
    call.allow_context(&["OPERATOR", "PROVIDER", "TENANT"])?;
    let fields = if call.body.is_empty() { Map::new() } else { call.json(&schema::CPN_CREATE)? };
    let (id, secret) = request.create(fields)?;
    Ok(Answer::ok(credentials(&id, &secret)))
}

fn rotate(request: &mut RequestContext<'_>, id: &str, body: &Map<String, Value>) -> Result<(), Refusal> {
    let secret = body["newClientSecret"].as_str().unwrap_or_default();
    request.rotate(id, secret, policy::int(body, "secretExpirationTimeInSeconds"))
}

/// P6: the app, by its own credentials, unless only its owner may `[cpn-self-rotate]`.
pub(crate) fn self_rotate(settings: &Settings, realm: &mut Realm, call: &Call, now: u64) -> Result<Answer, Refusal> {
    call.allow_query(&[])?;
    let id = call.client();
    let invalid = || Refusal::new(401, "the app's own credentials are required");
    let (basic_id, secret) = call.basic().ok_or_else(invalid)?;
    let then = settings.replication.tokens_show(now);
    let app = realm.apps.at(id, then).filter(|app| basic_id == id && app.accepts(&secret, then));
    let app = app.ok_or_else(invalid)?;
    if policy::flag(&app.fields, "ownerOnlySecretRotation") {
        return Err(Refusal::new(403, "the app is not allowed to rotate its own secret"));
    }
    let org = app.org.clone();
    let body = call.json(&schema::CPN_ROTATE)?;
    rotate(&mut RequestContext { flavor: Flavor::Cpn, settings, realm, org: &org, by: id, now }, id, &body)?;
    Ok(Answer::empty(200))
}

fn shown(request: &RequestContext<'_>, id: &str, then: u64) -> Result<Answer, Refusal> {
    let app = request.realm.visible(request.settings, request.org, id, then)?;
    Ok(Answer::ok(app_json(request.settings, app)))
}

/// `CpnOrgOauthAppResponse` `[cpn-get]`: ten fields and never a secret.
pub(crate) fn app_json(settings: &Settings, app: &App) -> Value {
    const SHOWN: [&str; 7] = [
        "accessTokenTTL",
        "allowedScopes",
        "description",
        "displayName",
        "grantTypes",
        "ownerOnlySecretRotation",
        "secretRotationExpirationInSeconds",
    ];
    let fields = SHOWN.iter().filter_map(|name| app.fields.get_key_value(*name));
    let mut value = Value::Object(fields.map(|(k, v)| (k.clone(), v.clone())).collect());
    if settings.scope_defaults {
        value["allowedScopes"] = scopes::filled(Flavor::Cpn, &value["allowedScopes"]);
    }
    if settings.reverse_lists {
        value = reversed(&value);
    }
    value["id"] = json!(app.id);
    value["createdAt"] = timestamp(settings, app.created_at);
    value["lastUpdatedAt"] = timestamp(settings, app.updated_at);
    value
}
