//! From a call to its answer: what the APIs do not differ in.
//! Order of judgement: does the operation exist, who asks, for which organization, then query and body.

use hyper::Method;
use serde_json::{Value, json};

use crate::apps::RequestContext;
use crate::call::{Answer, Call, Refusal};
use crate::crypto::uuid;
use crate::route::Route;
use crate::store::{Access, State};
use crate::tokens::{Desk, bearer};
use crate::types::{Flavor, Operation, Settings};
use crate::{broker, cpn, csp};

/// Performs a call; the flag says whether the operation ran and succeeded.
pub(crate) fn perform(state: &mut State, call: &Call, now: u64) -> (Answer, bool) {
    match attempt(state, call, now) {
        Ok(answer) => (answer, true),
        Err(refusal) => (refused(&state.settings, &call.route, &refusal), false),
    }
}

fn attempt(state: &mut State, call: &Call, now: u64) -> Result<Answer, Refusal> {
    let Some(flavor) = call.route.flavor.filter(|_| call.route.operation != Operation::Unknown) else {
        let status = if call.route.wrong_method { 405 } else { 404 };
        return Err(Refusal::new(status, format!("no such operation: {} {}", call.method, call.path)));
    };
    let unknown_tenant = || Refusal::new(404, format!("tenant {} was not found", call.org()));
    let (settings, realm, signer) = state.parts(flavor, call.org()).ok_or_else(unknown_tenant)?;
    realm.settle(settings, now);
    if let Some(form) = call.route.token {
        return Desk { flavor, settings, realm, signer, now }.serve(form, call);
    }
    if flavor == Flavor::Cpn {
        cpn::check_offered(settings, call)?;
    }
    if call.route.operation == Operation::SelfRotate {
        return cpn::self_rotate(settings, realm, call, now);
    }
    let access = bearer(realm, flavor, call, now)?;
    check_org(flavor, settings, &access, call.org(), realm.orgs.contains_key(call.org()))?;
    if access.read_only && call.method != Method::GET {
        return Err(Refusal::new(403, format!("{} may not change anything", access.subject)));
    }
    let mut request = RequestContext { flavor, settings, realm, org: call.org(), by: &access.subject, now };
    match flavor {
        Flavor::Csp => csp::perform(&mut request, call),
        Flavor::Cpn => cpn::perform(&mut request, call),
        Flavor::Broker => broker::perform(&mut request, call),
    }
}

/// 403 for a token of another organization. Else 404 for an unknown organization where the API lists it, and 403 where
/// it does not or the identity does not manage it (docs/api.md).
fn check_org(flavor: Flavor, settings: &Settings, access: &Access, org: &str, known: bool) -> Result<(), Refusal> {
    let forbidden = || Refusal::new(403, format!("{} has no permission for organization {org}", access.subject));
    if settings.org_scoped_tokens && access.context_org != org {
        return Err(forbidden());
    }
    if !known && flavor != Flavor::Cpn {
        return Err(Refusal::new(404, format!("organization {org} was not found")));
    }
    let manages = access.orgs.as_ref().is_none_or(|orgs| orgs.iter().any(|o| o == org));
    if known && manages { Ok(()) } else { Err(forbidden()) }
}

/// The API's form of an error.
pub(crate) fn refused(settings: &Settings, route: &Route, refusal: &Refusal) -> Answer {
    let Refusal { status, message, .. } = refusal;
    let body = match route.flavor {
        Some(Flavor::Broker) => return broker::refused(settings, route, refusal),
        Some(Flavor::Cpn) => json!({"message": message, "status": status}),
        Some(Flavor::Csp) | None => json!({
            "metadata": null, "traceId": uuid().replace('-', ""), "statusCode": status, "moduleCode": "540",
            "cspErrorCode": format!("540.{status}-340.800"), "errorCode": null, "message": message,
            "requestId": uuid(),
        }),
    };
    Answer::status(*status, body)
}

/// The same value with every list in it turned round: the APIs promise no order.
pub(crate) fn reversed(value: &Value) -> Value {
    match value {
        Value::Array(list) => Value::Array(list.iter().rev().map(reversed).collect()),
        Value::Object(map) => Value::Object(map.iter().map(|(k, v)| (k.clone(), reversed(v))).collect()),
        other => other.clone(),
    }
}
