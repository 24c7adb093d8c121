//! Cleans a message of the API before it is shown: one line, of limited length, without request ids, and replaced as a whole if it
//! repeats a secret. The same error always has the same message, so that it can be part of a status.

mod spelling;

use crate::iam::ConnectionCredentials;
use crate::text::clean;
use secrecy::{ExposeSecret, SecretString};
use spelling::{MIN_RUN, Message, SecretForms};

/// The longest message, in bytes.
const LONGEST: usize = 400;
/// The rest of a longer message is ignored, in characters.
const MAX_INPUT: usize = 4096;
/// At most this many request ids are removed.
pub(crate) const MAX_IDS: usize = 16;
/// A request id with fewer bytes is not removed, since it would take letters out of words.
pub(crate) const MIN_ID: usize = 4;
/// Replaces a message that repeats a secret.
pub(crate) const NOT_SHOWN: &str = "the answer repeats what was sent and is not shown";
/// The names of request ids, which differ between two answers that are the same otherwise. (undocumented)
const REQUEST_IDS: [&str; 6] = ["requestid", "request-id", "request id", "traceid", "trace-id", "trace id"];

/// The secrets that an answer could repeat.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownSecrets(Vec<SecretString>);

impl KnownSecrets {
    /// The secrets of a token request.
    pub(crate) fn of(credentials: &ConnectionCredentials) -> Self {
        match credentials {
            ConnectionCredentials::ApiToken(secret) | ConnectionCredentials::Client { id: _, secret } => {
                Self(vec![secret.clone()])
            }
        }
    }

    pub(crate) fn with(mut self, secret: &str) -> Self {
        self.0.push(secret.to_owned().into());
        self
    }

    fn forms(&self) -> Vec<SecretForms> {
        self.0.iter().map(|secret| SecretForms::of(secret.expose_secret())).collect()
    }
}

/// Makes a message fit to be shown. `request_ids` are those that are elsewhere in the answer.
pub(crate) fn scrub(message: &str, known: &KnownSecrets, request_ids: &[String]) -> String {
    let input: String = message.chars().take(MAX_INPUT).collect();
    let secrets = known.forms();
    let repeats_a_secret = |text: &str| {
        let message = Message::of(text);
        secrets.iter().any(|secret| message.contains(secret))
    };
    if repeats_a_secret(&input) {
        return NOT_SHOWN.into();
    }
    let mut text = without_tokens(&clean(&input, input.len()));
    for id in request_ids.iter().filter(|id| id.len() >= MIN_ID).take(MAX_IDS) {
        text = text.replace(id.as_str(), "");
    }
    let text = clean(&without_request_ids(&text), LONGEST);
    // Removing an id can join the parts of a secret.
    if repeats_a_secret(&text) { NOT_SHOWN.into() } else { text }
}

/// Tokens that are not known must not be shown either: every JWT begins with the same three letters.
pub(crate) fn without_tokens(text: &str) -> String {
    let within = |character: char| character.is_ascii_alphanumeric() || "_-.".contains(character);
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("eyJ") {
        let end = rest[at..].find(|character| !within(character)).map_or(rest.len(), |end| at + end);
        left.push_str(&rest[..at]);
        left.push_str(if end - at < MIN_RUN { &rest[at..end] } else { "***" });
        rest = &rest[end..];
    }
    left + rest
}

/// Removes `requestId: 4f…` and the like wherever it is.
fn without_request_ids(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut left = String::with_capacity(text.len());
    let mut at = 0;
    let next = |at: usize| REQUEST_IDS.iter().filter_map(|name| Some((lower[at..].find(name)?, name.len()))).min();
    while let Some((before, length)) = next(at) {
        left.push_str(&text[at..at + before]);
        let named = &text[at + before + length..];
        let value = named.trim_start_matches(|c: char| c.is_whitespace() || "\"'=:".contains(c));
        let end = value.find(|c: char| c.is_whitespace() || "\"',;)]}".contains(c)).unwrap_or(value.len());
        at = text.len() - value[end..].trim_start_matches(['"', '\'']).len();
    }
    left + &text[at..]
}

#[cfg(test)]
mod tests;
