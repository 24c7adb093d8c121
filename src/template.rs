//! Templates of further keys in the Secret: text and `{{ name | function }}`, and nothing else. A template is parsed in one
//! pass, so no work grows faster than its length, and what it makes has a limit that is kept before it is allocated.

mod parse;

pub(crate) use parse::Template;

use crate::iam::{ClientId, ClientSecret, OrgId};
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use parse::{Function, Name, Part, Position, SyntaxError};
use std::collections::BTreeMap;
use std::io::{self, Write};
use url::form_urlencoded;

/// The longest value that a template may make, in bytes.
const LONGEST: usize = 64 << 10;

/// What templates can use.
pub(crate) struct Values<'a> {
    pub(crate) client_id: &'a ClientId,
    /// Its secret; none for a public client.
    pub(crate) client_secret: Option<&'a ClientSecret>,
    pub(crate) org_id: &'a OrgId,
    /// Where a token can be had for the credential.
    pub(crate) token_url: String,
}

impl Values<'_> {
    fn get(&self, name: Name) -> Option<&str> {
        match name {
            Name::ClientId => Some(&self.client_id.0),
            Name::ClientSecret => self.client_secret.map(ClientSecret::expose),
            Name::OrgId => Some(&self.org_id.0),
            Name::TokenUrl => Some(&self.token_url),
        }
    }
}

/// Why the template of a key cannot be filled; it holds no value.
#[derive(Debug, thiserror::Error)]
#[error("spec.secret.template.{key} {source}")]
pub(crate) struct TemplateError {
    key: String,
    source: FillError,
}

#[derive(Debug, thiserror::Error)]
enum FillError {
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    #[error("{0}: a public client has no clientSecret: remove it")]
    NoSecret(Position),
    #[error("makes more than {LONGEST} bytes: shorten it")]
    TooLong,
}

/// The value of each key.
pub(crate) fn fill(
    templates: &BTreeMap<String, String>,
    values: &Values<'_>,
) -> Result<BTreeMap<String, ClientSecret>, TemplateError> {
    let fill = |(key, source): (&String, &String)| match fill_one(source, values) {
        Ok(text) => Ok((key.clone(), ClientSecret::new(text))),
        Err(source) => Err(TemplateError { key: key.clone(), source }),
    };
    templates.iter().map(fill).collect()
}

fn fill_one(source: &str, values: &Values<'_>) -> Result<String, FillError> {
    Template::parse(source)?.fill(values, LONGEST)
}

impl Template<'_> {
    fn fill(&self, values: &Values<'_>, most_bytes: usize) -> Result<String, FillError> {
        let mut text = BoundedText::new(most_bytes);
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push(part)?,
                Part::Value { name, functions, at } => {
                    let value = values.get(*name).ok_or_else(|| FillError::NoSecret(self.position(*at)))?;
                    match functions.split_first() {
                        None => text.push(value)?,
                        Some((first, rest)) => text.push(&applied(value, *first, rest, most_bytes)?)?,
                    }
                }
            }
        }
        text.into_string()
    }
}

/// The value after all functions, each of which can make it several times as long.
fn applied(value: &str, first: Function, rest: &[Function], most_bytes: usize) -> Result<String, FillError> {
    let once = |value: &str, function: Function| {
        let mut text = BoundedText::new(most_bytes);
        let written = match function {
            Function::Json => serde_json::to_writer(&mut text, value).map_err(io::Error::from),
            Function::Base64 => write!(text, "{}", Base64Display::new(value.as_bytes(), &STANDARD)),
            Function::Urlencode => {
                form_urlencoded::byte_serialize(value.as_bytes()).try_for_each(|piece| text.write_all(piece.as_bytes()))
            }
        };
        written.map_err(|_| FillError::TooLong)?;
        text.into_string()
    };
    rest.iter().try_fold(once(value, first)?, |value, function| once(&value, *function))
}

/// A text that does not take more than its limit.
struct BoundedText {
    bytes: Vec<u8>,
    most: usize,
}

impl BoundedText {
    fn new(most: usize) -> Self {
        Self { bytes: Vec::new(), most }
    }

    fn push(&mut self, text: &str) -> Result<(), FillError> {
        self.write_all(text.as_bytes()).map_err(|_| FillError::TooLong)
    }

    /// All that is written is text.
    fn into_string(self) -> Result<String, FillError> {
        String::from_utf8(self.bytes).map_err(|_| FillError::TooLong)
    }
}

impl Write for BoundedText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.most - self.bytes.len() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
