//! VCF Identity Broker: the OAuth 2.0 clients of a tenant, each request and response under its own media type (docs/api.md).
//! Where its documentation is silent it does the least, unless the settings choose another reading.

use serde_json::{Map, Value, json};

use crate::apps::RequestContext;
use crate::call::{Answer, Call, Refusal};
use crate::crypto::uuid_of;
use crate::dispatch::reversed;
use crate::names::Names;
use crate::paging::NumberedPage;
use crate::policy;
use crate::route::Route;
use crate::schema;
use crate::store::App;
use crate::timestamp::rfc3339;
use crate::types::{Flavor, Operation, Settings};

const CLIENT: &str = "application/vnd.vmware.horizon.manager.accesscontrol.broker.oauth2client.with.rule.sets+json";
const LIST: &str = "application/vnd.vmware.horizon.manager.accesscontrol.broker.oauth2client.list+json";
const ROTATION: &str = "application/vnd.vmware.horizon.manager.accesscontrol.broker.oauth2client.secret.rotation+json";

/// How long the primary secret stays valid by default, and at most, in minutes `[vib-rotate]`.
const DAY: i64 = 24 * 60;
const WEEK: i64 = 7 * DAY;

/// Performs any operation but a token request.
pub(crate) fn perform(request: &mut RequestContext<'_>, call: &Call) -> Result<Answer, Refusal> {
    match call.route.operation {
        Operation::ListApps => list(request, call),
        Operation::RotateSecret => rotate(request, call),
        Operation::EndOverlap => retire(request, call),
        _ => {
            call.allow_query(&[])?;
            perform_plain(request, call, call.client())
        }
    }
}

/// The operations that know no query parameter.
fn perform_plain(request: &mut RequestContext<'_>, call: &Call, id: &str) -> Result<Answer, Refusal> {
    match call.route.operation {
        Operation::CreateApp => create(request, call),
        Operation::GetApp => {
            check_accept(request.settings, call, CLIENT)?;
            call.no_body()?;
            shown(request, call, id, request.reads_show())
        }
        Operation::UpdateApp => {
            check_accept(request.settings, call, CLIENT)?;
            request.update(id, call.json_as(CLIENT, &schema::BROKER_UPDATE)?)?;
            shown(request, call, id, request.now)
        }
        Operation::DeleteApps => {
            call.no_body()?;
            request.delete_one(id)?;
            Ok(Answer::empty(204))
        }
        _ => Err(Refusal::new(404, "no such operation")),
    }
}

/// Refuses an `Accept` that does not name the media type of the answer.
fn check_accept(settings: &Settings, call: &Call, media_type: &str) -> Result<(), Refusal> {
    let accepted = call.header("accept").unwrap_or("*/*");
    let wildcard = |name: &str| settings.broker.wildcard_accept && ["*/*", "application/*"].contains(&name);
    let names = accepted.split(',').map(|range| range.split(';').next().unwrap_or_default().trim());
    if names.into_iter().any(|name| name.eq_ignore_ascii_case(media_type) || wildcard(name)) {
        return Ok(());
    }
    Err(Refusal::new(406, format!("Accept must be {media_type}, not {accepted}")))
}

/// The answer shows a secret that was generated, here only.
fn create(request: &mut RequestContext<'_>, call: &Call) -> Result<Answer, Refusal> {
    check_accept(request.settings, call, CLIENT)?;
    let fields = call.json_as(CLIENT, &schema::BROKER_CREATE)?;
    let generated = !fields.contains_key("secret");
    let (id, secret) = request.create(fields)?;
    let app = request.realm.visible(request.settings, request.org, &id, request.now)?;
    let mut body = client_json(request.settings, call, app, request.now);
    if !secret.is_empty() && (generated || request.settings.broker.repeats_secret) {
        body["secret"] = json!(secret);
    }
    Ok(Answer::status(201, body).media_type(CLIENT))
}

fn shown(request: &RequestContext<'_>, call: &Call, id: &str, then: u64) -> Result<Answer, Refusal> {
    let app = request.realm.visible(request.settings, request.org, id, then)?;
    Ok(Answer::ok(client_json(request.settings, call, app, then)).media_type(CLIENT))
}

fn rotate(request: &mut RequestContext<'_>, call: &Call) -> Result<Answer, Refusal> {
    call.allow_query(&["action"])?;
    if call.query("action") != Some("start-rotate-secret") {
        return Err(Refusal::bad("action must be start-rotate-secret or retire-primary-secret"));
    }
    let body = call.json_as(ROTATION, &schema::BROKER_ROTATE)?;
    let minutes = policy::int(&body, "primary_secret_auto_retire_duration").unwrap_or(DAY);
    if !(0..=WEEK).contains(&minutes) {
        return Err(Refusal::bad(format!("primary_secret_auto_retire_duration must be 0 to {WEEK} minutes")));
    }
    let secret = body["secondary_secret"].as_str().unwrap_or_default();
    request.rotate(call.client(), secret, Some(minutes * 60))?;
    Ok(Answer::empty(204))
}

/// The body has no member, or is not there at all: the page says no more than that it is empty `[vib-rotate]`.
fn retire(request: &mut RequestContext<'_>, call: &Call) -> Result<Answer, Refusal> {
    call.allow_query(&["action"])?;
    call.content_type(ROTATION)?;
    if !call.body.is_empty() {
        call.json_as(ROTATION, &schema::NOTHING)?;
    }
    request.end_overlap(call.client())?;
    Ok(Answer::empty(204))
}

fn list(request: &RequestContext<'_>, call: &Call) -> Result<Answer, Refusal> {
    call.allow_query(&["start_index", "page_size", "searchTerm"])?;
    check_accept(request.settings, call, LIST)?;
    call.no_body()?;
    let term = call.query("searchTerm").unwrap_or_default();
    let name = Names::of(Flavor::Broker).display_name;
    let named = |app: &App| app.fields.get(name).and_then(Value::as_str).is_some_and(|name| name.contains(term));
    let mut found = request.realm.listed(request.settings, request.org, request.lists_show());
    found.retain(|app| app.id.contains(term) || named(app));
    let page = NumberedPage::of(request.settings, call)?;
    let mut body = page.page(request.settings, &found, |app| summary_json(request.settings, call, app))?;
    body["_links"] = links(call, &call.path);
    Ok(Answer::ok(body).media_type(LIST))
}

/// `BrokerOAuth2ClientMedia` `[vib-read]`: never a secret; times are seconds since the epoch, as in its examples.
fn client_json(settings: &Settings, call: &Call, app: &App, then: u64) -> Value {
    let mut value = Value::Object(app.fields.clone());
    if settings.reverse_lists {
        value = reversed(&value);
    }
    let rotation = app.overlap(then);
    value["id"] = json!(uuid_of(&format!("{} {} {}", app.org, app.id, app.created_at)));
    value["client_id"] = json!(app.id);
    value["created_date"] = json!(app.created_at / 1000);
    value["rotate_secret"] = json!(rotation.is_some());
    if let Some(primary) = rotation {
        value["primary_secret_auto_retires_at"] = json!(primary.due_at / 1000);
    }
    if let Some(at) = app.secret_changed_at {
        value["last_secret_rotated_at"] = json!(at / 1000);
    }
    value["_links"] = client_links(call, app);
    value
}

/// `BrokerOAuth2ClientSummary` `[vib-list]`.
fn summary_json(settings: &Settings, call: &Call, app: &App) -> Value {
    let client = client_json(settings, call, app, app.created_at);
    let mut summary: Map<String, Value> = Map::new();
    let mut copy = |from: &str, to: &str| {
        if let Some(value) = client.get(from) {
            summary.insert(to.into(), value.clone());
        }
    };
    for name in ["client_id", "scope", "_links"] {
        copy(name, name);
    }
    if settings.broker.full_summaries {
        copy("id", "client_uuid");
        for name in ["display_name", "description", "client_type"] {
            copy(name, name);
        }
        summary.insert("created_date".into(), json!(rfc3339(app.created_at)));
        summary.insert("modified_date".into(), json!(rfc3339(app.updated_at)));
    }
    Value::Object(summary)
}

fn client_links(call: &Call, app: &App) -> Value {
    links(call, &format!("/acs/t/{}/broker/oauth2-clients/{}", app.org, app.id))
}

fn links(call: &Call, path: &str) -> Value {
    json!({"self": {"href": format!("https://{}{path}", call.header("host").unwrap_or_default())}})
}

/// A page of a list that has no end, around values that are JSON already.
pub(crate) fn endless(call: &Call, noise: &str) -> (Answer, String) {
    let number: u64 = call.query("start_index").and_then(|number| number.parse().ok()).unwrap_or(1);
    let next = number + 1;
    let page = format!(
        r#"{{"items":[{{"client_id":"of-nobody-{number}","scope":["openid"],"noise":{noise}}}],"totalCount":{next},"pageNumber":{number},"totalPages":{next},"pageSize":1}}"#
    );
    (Answer::ok(Value::Null).media_type(LIST), page)
}

/// The form of an error: that of OAuth for a token request, no body for what was not found, else a list of errors.
pub(crate) fn refused(settings: &Settings, route: &Route, refusal: &Refusal) -> Answer {
    let Refusal { status, message, code } = refusal;
    if *status == 404 {
        return Answer::empty(404);
    }
    if route.token.is_some() {
        let (error, description) = message.split_once(": ").unwrap_or(("invalid_request", message));
        return Answer::status(*status, json!({"error": error, "error_description": description}));
    }
    if settings.broker.bare_errors {
        return Answer::empty(*status);
    }
    let code = code.map_or_else(|| format!("http.status.{status}"), String::from);
    Answer::status(*status, json!({"errors": [{"code": code, "message": message, "parameters": {}}]}))
}
