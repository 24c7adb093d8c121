//! The bodies of errors: the texts that say what went wrong, and the request ids that are removed from them. [tcsp-authn]
//! They are read leniently: a field that is unknown or of an unexpected type is as if absent.

use super::json::{AnyValue, FromAnyValue, skip, take};
use crate::iam::client::scrub::{MAX_IDS, MIN_ID};
use crate::iam::request::ErrorDisclosure;
use serde::de::{MapAccess, SeqAccess};
use std::cmp::Reverse;

/// The error in the words of the API.
#[derive(Default)]
pub(super) struct ErrorBody {
    message: Option<String>,
    error_description: Option<String>,
    error: Option<String>,
    detail: Option<String>,
    title: Option<String>,
    /// The first of several errors.
    first: FirstError,
}

impl ErrorBody {
    /// The first text that is not blank, among those that may be repeated.
    pub(super) fn message(&self, disclosure: ErrorDisclosure) -> Option<&str> {
        match disclosure {
            ErrorDisclosure::MessageOnly => first_text([&self.message, &self.first.message]),
            ErrorDisclosure::Any => first_text([
                &self.message,
                &self.error_description,
                &self.error,
                &self.detail,
                &self.title,
                &self.first.message,
            ]),
        }
    }
}

impl ErrorBody {
    /// Whether the code of OAuth says that the credentials are wrong. (RFC 6749, 5.2)
    pub(super) fn names_invalid_credentials(&self) -> bool {
        self.names_invalid_client() || self.error.as_deref() == Some("invalid_grant")
    }

    /// Whether it says that of the client, whatever it asked for. (RFC 6749, 5.2)
    pub(super) fn names_invalid_client(&self) -> bool {
        self.error.as_deref() == Some("invalid_client")
    }
}

impl FromAnyValue for ErrorBody {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "message" => self.message = take(map)?,
            "error_description" => self.error_description = take(map)?,
            "error" => self.error = take(map)?,
            "detail" => self.detail = take(map)?,
            "title" => self.title = take(map)?,
            "errors" => self.first = take(map)?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

/// The message of the first error in a list of errors. [vib-errors]
#[derive(Default)]
struct FirstError {
    message: Option<String>,
}

impl FromAnyValue for FirstError {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "message" => self.message = take(map)?,
            _ => skip(map)?,
        }
        Ok(())
    }

    fn entries<'de, A: SeqAccess<'de>>(&mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some(AnyValue(error)) = entries.next_element()? {
            let Self { message } = error;
            self.message = self.message.take().or(message);
        }
        Ok(())
    }
}

/// The first text that is not blank.
pub(super) fn first_text<const N: usize>(texts: [&Option<String>; N]) -> Option<&str> {
    texts.into_iter().flatten().map(String::as_str).find(|text| !text.trim().is_empty())
}

/// The id that the API gave to the request, by which its operator finds it. [tcsp-authn]
#[derive(Default)]
pub(super) struct RequestId(pub Option<String>);

impl FromAnyValue for RequestId {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if name == "requestId" {
            self.0 = take(map)?;
            return Ok(());
        }
        skip(map)
    }
}

/// The values of request ids, at any depth; no more than are removed from a message. [image-builder-test]
#[derive(Default)]
pub(super) struct RequestIds(pub Vec<String>);

impl RequestIds {
    /// Longer ones first, since an id can be part of another.
    fn add(&mut self, ids: Self) {
        if !ids.0.is_empty() {
            self.0.extend(ids.0);
            self.0.sort_by_key(|id| Reverse(id.len()));
            self.0.truncate(MAX_IDS);
        }
    }
}

impl FromAnyValue for RequestIds {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let is_id = ["requestId", "traceId"].iter().any(|known| name.eq_ignore_ascii_case(known));
        let ids = if is_id { take(map).map(|NamedId(ids)| ids) } else { take(map) };
        self.add(ids?);
        Ok(())
    }

    fn entries<'de, A: SeqAccess<'de>>(&mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some(AnyValue(ids)) = entries.next_element()? {
            self.add(ids);
        }
        Ok(())
    }
}

/// The value of a field that has the name of a request id. It can hold others, as any value can.
#[derive(Default)]
struct NamedId(RequestIds);

impl FromAnyValue for NamedId {
    fn text(&mut self, text: &str) {
        if text.len() >= MIN_ID {
            self.0.0.push(text.to_owned());
        }
    }

    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        self.0.field(name, map)
    }

    fn entries<'de, A: SeqAccess<'de>>(&mut self, entries: A) -> Result<(), A::Error> {
        self.0.entries(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::read;
    use super::*;

    /// The largest error that is read, in bytes.
    const LARGEST: usize = 256 << 10;

    fn ids(body: &str) -> Vec<String> {
        read::<RequestIds>(body.as_bytes()).unwrap().0
    }

    fn repeated(part: &str) -> String {
        part.repeat(LARGEST / part.len())
    }

    #[test]
    fn request_ids_are_found_at_any_depth_under_any_spelling_of_their_names() {
        let body = r#"{"requestId":"id-1",
            "a":[{"TRACEID":"id-2"},[[{"b":{"traceId":"id-3","requestid":{"requestId":"id-4"}}}]]],
            "traceId":["not-1",{"x":"not-2"}],"request-id":"not-3","x":"not-4"}"#;
        assert_eq!(ids(body), ["id-1", "id-2", "id-3", "id-4"]);
        assert_eq!(ids(r#"[[{"requestId":"id-1"}],"x"]"#), ["id-1"]);
        for value in ["null", "true", "7", "0.5", r#""id""#, r#"["id-1"]"#, r#"{"x":"id-1"}"#] {
            assert!(ids(&format!(r#"{{"requestId":{value}}}"#)).is_empty(), "{value}");
        }
    }

    #[test]
    fn the_longest_request_ids_are_kept_however_many_there_are() {
        let many = repeated(r#"{"requestId":"4f1a"},{"requestId":"a"},[{"traceId":"4f1a2b"}],"#);
        for body in [format!("[{many}7]"), format!(r#"{{"message":"no","x":[{many}7],"requestId":"4f1a2b"}}"#)] {
            assert_eq!(ids(&body), vec!["4f1a2b"; MAX_IDS]);
        }
        let nested = format!("{}7{}", r#"{"traceId":"4f1a","x":"#.repeat(126), "}".repeat(126));
        assert_eq!(ids(&nested), vec!["4f1a"; MAX_IDS]);
    }

    #[test]
    fn of_a_large_error_only_its_texts_are_kept() {
        let lists = repeated("[[],[[7]],{}],");
        let texts = repeated(r#""message","#);
        let objects = repeated(r#"{"message":"x","requestId":7},"#);
        for junk in [lists, texts, objects] {
            let body = format!(r#"{{"error":[{junk}7],"message":"no","detail":{{"message":[{junk}7]}}}}"#);
            let ErrorBody { message, error_description: None, error: None, detail: None, title: None, first: _ } =
                read(body.as_bytes()).unwrap()
            else {
                panic!("something else is kept")
            };
            assert_eq!(message.as_deref(), Some("no"));
            assert!(ids(&body).is_empty());
        }
    }
}
