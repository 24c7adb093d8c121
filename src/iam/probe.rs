//! An operation as the API answers it, for a person who checks the API: status and shape of the answer, and no value in it.
//! It goes through the session of `HttpIam` like every other call, with the same token, limits and client.

use super::answer::Answer;
use super::client::scrub::{NOT_SHOWN, scrub};
use super::flavor::ApiFlavor;
use super::request::{Page, Request};
use super::{ClientId, ClientSecret, Error, NewApp, OrgId};
use serde_json::{Map, Value};
use std::time::Duration;

/// The most names of members that are kept of an object.
const MAX_NAMES: usize = 64;
/// The longest name that is kept, in bytes.
const LONGEST_NAME: usize = 64;
/// The longest id of a listed app, in bytes.
const LONGEST_ID: usize = 256;

/// An operation to try. Whatever it changes is the caller's to clean up.
#[derive(Clone, Copy)]
pub(crate) enum Trial<'a> {
    /// The first page of the apps, with a limit on its length.
    ListApps(Option<usize>),
    /// The first page of the members, where the API lists them.
    ListMembers,
    Read(&'a ClientId),
    Create(&'a NewApp),
    Rotate(&'a ClientId, &'a ClientSecret, Duration),
    Delete(&'a ClientId),
}

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Empty,
    Object,
    /// JSON, but no object.
    OtherJson,
    Html,
    Text,
}

impl Form {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Empty => "no body",
            Self::Object => "a JSON object",
            Self::OtherJson => "JSON that is not an object",
            Self::Html => "HTML",
            Self::Text => "text that is not JSON",
        }
    }
}

/// What an answer looks like. It holds names, but no value beside the message and the id of a listed app.
#[derive(Clone, Debug)]
pub(crate) struct AnswerShape {
    pub(crate) status: u16,
    pub(crate) form: Form,
    /// Whether the flavor treats a 404 like this one as the API's own.
    pub(crate) is_from_api: bool,
    /// Whether the flavor understands it as: there is no list.
    pub(crate) list_unsupported: bool,
    /// The names of the members, sorted.
    pub(crate) members: Vec<String>,
    /// The message of an error, scrubbed and cut.
    pub(crate) message: Option<String>,
    pub(crate) list: Option<ListShape>,
}

/// What a page of a list looks like.
#[derive(Clone, Debug)]
pub(crate) struct ListShape {
    pub(crate) entries: usize,
    /// The names of the members of its first entry, sorted.
    pub(crate) entry_members: Vec<String>,
    pub(crate) first_id: Option<ClientId>,
}

impl AnswerShape {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The status, and the message of an error or else the form of the body.
    pub(crate) fn words(&self) -> String {
        match &self.message {
            Some(message) if !self.is_success() => format!("{} ({message})", self.status),
            Some(_) | None => format!("{} with {}", self.status, self.form.words()),
        }
    }

    pub(super) fn of(flavor: &dyn ApiFlavor, answer: &Answer) -> Self {
        let value: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let form = match &value {
            Some(Value::Object(_)) => Form::Object,
            Some(_) => Form::OtherJson,
            None if answer.body.trim_ascii().is_empty() => Form::Empty,
            None if answer.is_html() => Form::Html,
            None => Form::Text,
        };
        let object = value.as_ref().and_then(Value::as_object);
        let names = |object: Option<&Map<String, Value>>| names(answer, object);
        let is_success = (200..300).contains(&answer.status);
        Self {
            status: answer.status,
            form,
            is_from_api: flavor.is_from_api(answer),
            list_unsupported: answer.operation.is_list() && flavor.list_unsupported(answer),
            members: names(object),
            message: if is_success { None } else { answer.message() },
            list: object.filter(|_| answer.operation.is_list()).and_then(|object| {
                let format = flavor.page_format();
                let entries = object.get(format.entries)?.as_array()?;
                let first = entries.first().and_then(Value::as_object);
                let id = first.and_then(|first| format.ids.iter().find_map(|name| first.get(*name)?.as_str()));
                let id = id.filter(|id| id.len() <= LONGEST_ID && !id.chars().any(char::is_control));
                Some(ListShape {
                    entries: entries.len(),
                    entry_members: names(first),
                    first_id: id.map(|id| ClientId(id.to_owned())),
                })
            }),
        }
    }
}

/// The names of the members of an object, unless they repeat a secret.
fn names(answer: &Answer, object: Option<&Map<String, Value>>) -> Vec<String> {
    let keys = object.into_iter().flat_map(Map::keys).filter(|name| name.len() <= LONGEST_NAME);
    let mut names: Vec<String> = keys.take(MAX_NAMES).map(|name| scrub(name, &answer.known, &[])).collect();
    names.retain(|name| name != NOT_SHOWN && !name.is_empty());
    names.sort_unstable();
    names
}

impl Trial<'_> {
    /// `None` where the API has no such operation.
    pub(super) fn request(self, flavor: &dyn ApiFlavor, org: &OrgId) -> Result<Option<Request>, Error> {
        let first = |limit: Option<usize>| Page { start: None, limit: limit.map(|limit| limit.to_string()) };
        Ok(match self {
            Self::ListApps(limit) => Some(flavor.list(org, &first(limit))),
            Self::ListMembers => {
                let list = flavor.memberships().and_then(|memberships| memberships.list());
                list.map(|list| list(org, &first(None)))
            }
            Self::Read(id) => Some(flavor.read(org, id)),
            Self::Create(app) => Some(flavor.create(org, app)),
            Self::Rotate(id, secret, overlap) => Some(flavor.rotate_secret(org, id, secret, overlap)?),
            Self::Delete(id) => Some(flavor.delete(org, std::slice::from_ref(id))),
        })
    }

    /// The app that it changes.
    pub(super) fn changes(self) -> Option<ClientId> {
        match self {
            Self::ListApps(_) | Self::ListMembers | Self::Read(_) => None,
            Self::Create(app) => Some(app.id.clone()),
            Self::Rotate(id, ..) | Self::Delete(id) => Some(id.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::Api;
    use crate::iam::Operation;
    use crate::iam::client::scrub::KnownSecrets;
    use crate::iam::flavor::flavor;

    fn shape(operation: Operation, status: u16, body: &str) -> AnswerShape {
        let answer = Answer::of(operation, status, body);
        let answer = Answer { known: KnownSecrets::default().with("hidden-secret-1"), ..answer };
        AnswerShape::of(flavor(Api::CloudServices), &answer)
    }

    #[test]
    fn a_shape_has_names_and_no_values() {
        let body = r#"{"clientId":"a","clientSecret":"a-new-value","hidden-secret-1":1}"#;
        let shape = shape(Operation::CreateApp, 200, body);
        assert_eq!(shape.members, ["clientId", "clientSecret"]);
        assert_eq!(shape.words(), "200 with a JSON object");
        assert!(!format!("{shape:?}").contains("a-new-value"));
    }

    #[test]
    fn the_first_entry_of_a_list_shows_what_the_others_have() {
        let shape = shape(Operation::ListApps, 200, r#"{"results":[{"id":"a","news":1},{"id":"b"}],"totalResults":2}"#);
        let list = shape.list.unwrap();
        assert_eq!((list.entries, list.first_id), (2, Some(ClientId("a".into()))));
        assert_eq!(list.entry_members, ["id", "news"]);
    }

    #[test]
    fn each_form_of_a_body_has_its_words() {
        for (body, words) in [
            ("", "404 with no body"),
            ("[]", "404 with JSON that is not an object"),
            ("<html></html>", "404 with HTML"),
            (r#"{"message":"no such app"}"#, "404 (no such app)"),
            ("nothing here", "404 (nothing here)"),
        ] {
            assert_eq!(shape(Operation::ReadApp, 404, body).words(), words, "{body}");
        }
    }
}
