//! The assumptions of `docs/api.md` that reading can show: whether there is a list and what it looks like, whether a limit of its
//! pages is accepted, which fields are shown that the operator does not know, and what the read of an absent app answers.

use super::rows::Rows;
use super::target::{Target, what_to_do};
use crate::iam::ClientId;
use crate::iam::flavor::{ApiFlavor, flavor};
use crate::iam::probe::{AnswerShape, ListShape, Trial};

const ASSUMED: &str = "this differs from docs/api.md; please report it as an issue with oauth-app-operator report";

pub(super) async fn check(target: &Target, rows: &mut Rows) {
    rows.begin("list");
    let list = list(target, rows).await;
    if let Some(list) = &list {
        rows.begin("page limit");
        page_limit(target, rows).await;
        unknown_fields(target, list, rows);
    }
    rows.begin("read of an absent app");
    absent_app(target, rows).await;
    if let Some(id) = list.and_then(|list| list.first_id) {
        rows.begin("read of a listed app");
        listed_app(target, &id, rows).await;
    }
    rows.begin("list of members");
    members(target, rows).await;
}

/// Tries an operation; an error is a row.
async fn probe(target: &Target, check: &str, trial: Trial<'_>, rows: &mut Rows) -> Option<AnswerShape> {
    match target.iam.probe(&target.org, trial).await {
        Ok(shape) => shape,
        Err(error) => {
            rows.failed(check, error.to_string(), what_to_do(&error));
            None
        }
    }
}

async fn list(target: &Target, rows: &mut Rows) -> Option<ListShape> {
    let shape = probe(target, "list", Trial::ListApps(None), rows).await?;
    let format = flavor(target.api).page_format();
    match &shape.list {
        _ if shape.list_unsupported => {
            rows.ok("list", format!("{}: the API has no list, so each app is read by itself", shape.words()));
        }
        Some(list) if shape.is_success() => {
            let members = shape.members.join(", ");
            rows.ok("list", format!("{}: {members}; {} apps on the first page", shape.status, list.entries));
            if !shape.members.iter().any(|name| name == format.total) {
                rows.warning("list total", format!("the page has no {}", format.total), ASSUMED);
            }
        }
        None if shape.is_success() => {
            let found = format!("{}, which has no {}: {}", shape.words(), format.entries, shape.members.join(", "));
            rows.failed("list", found, ASSUMED);
        }
        Some(_) | None if shape.status == 403 => {
            let advice =
                "give the credentials the role developer in this organization; until then each app is read by itself";
            rows.warning("list", shape.words(), advice);
        }
        Some(_) | None => rows.failed("list", shape.words(), "check the organization (--org) and the endpoint"),
    }
    shape.list.filter(|_| (200..300).contains(&shape.status))
}

async fn page_limit(target: &Target, rows: &mut Rows) {
    let limit = flavor(target.api).page_limit();
    let Some(shape) = probe(target, "page limit", Trial::ListApps(Some(limit)), rows).await else { return };
    match shape.status {
        200..300 => rows.ok("page limit", format!("a page of {limit} is accepted")),
        400 => rows.warning("page limit", shape.words(), "nothing: pages are requested without a limit"),
        _ => rows.failed("page limit", shape.words(), ASSUMED),
    }
}

fn unknown_fields(target: &Target, list: &ListShape, rows: &mut Rows) {
    if list.entries == 0 {
        return rows.skipped("fields", "the organization has no app that could show them");
    }
    let known = known_fields(flavor(target.api));
    let unknown: Vec<&str> =
        list.entry_members.iter().map(String::as_str).filter(|name| !known.contains(name)).collect();
    match unknown.as_slice() {
        [] => rows.ok("fields", "the operator knows all that the list shows"),
        unknown => {
            rows.ok("fields", format!("left alone, since the operator does not know them: {}", unknown.join(", ")))
        }
    }
}

fn known_fields(flavor: &dyn ApiFlavor) -> Vec<&'static str> {
    [flavor.shown_fields(), flavor.page_format().ids.to_vec()].concat()
}

async fn absent_app(target: &Target, rows: &mut Rows) {
    let check = "read of an absent app";
    let id = random_id();
    let Some(shape) = probe(target, check, Trial::Read(&id), rows).await else { return };
    match shape.status {
        404 if shape.is_from_api => rows.ok(check, shape.words()),
        404 => {
            let advice =
                "check the endpoint: something in between answers, and the operator does not treat it as an absent app";
            rows.failed(check, shape.words(), advice);
        }
        403 => rows.failed(check, shape.words(), "give the credentials the role developer in this organization"),
        _ => rows.warning(check, format!("{}, where 404 is assumed", shape.words()), ASSUMED),
    }
}

/// An id that no app has.
pub(super) fn random_id() -> ClientId {
    let letters: String = (0..12).map(|_| fastrand::alphanumeric().to_ascii_lowercase()).collect();
    ClientId(format!("ooa-check-{letters}"))
}

async fn listed_app(target: &Target, id: &ClientId, rows: &mut Rows) {
    let check = "read of a listed app";
    let Some(shape) = probe(target, check, Trial::Read(id), rows).await else { return };
    if !shape.is_success() {
        return rows.warning(
            check,
            format!("{id}: {}", shape.words()),
            "read it in the console; a list may be older than a read",
        );
    }
    let known = known_fields(flavor(target.api));
    let unknown: Vec<&str> = shape.members.iter().map(String::as_str).filter(|name| !known.contains(name)).collect();
    let unknown = if unknown.is_empty() { String::new() } else { format!("; left alone: {}", unknown.join(", ")) };
    rows.ok(check, format!("{id}: {}{unknown}", shape.words()));
}

async fn members(target: &Target, rows: &mut Rows) {
    let check = "list of members";
    if flavor(target.api).memberships().is_none() {
        return rows.skipped(check, "the API has no roles of apps");
    }
    match target.iam.probe(&target.org, Trial::ListMembers).await {
        Ok(None) => rows.skipped(check, "the API has no list of them; the roles of each app are read"),
        Ok(Some(shape)) if shape.is_success() => {
            rows.ok(check, format!("{}: {}", shape.status, shape.members.join(", ")))
        }
        Ok(Some(shape)) => {
            rows.warning(check, shape.words(), "spec.roles of apps cannot be used with these credentials");
        }
        Err(error) => rows.failed(check, error.to_string(), what_to_do(&error)),
    }
}
