//! Makes the API's words fit to be shown: no secret, no request id, no control character, not too long.
//! What is left is the same for the same fault, so that it can stand in a status.

use super::ApiCredentials;
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded::byte_serialize;

/// The longest message, in characters.
const LONGEST: usize = 300;
/// More of an answer than this is not looked at, in characters.
const LOOKED_AT: usize = 4096;
/// A run of that many characters out of a secret gives it away, even where the API cuts it.
const GIVEAWAY: usize = 12;
/// Names under which the API puts what differs between two answers alike. (undocumented)
const PASSING_IDS: [&str; 6] = ["requestid", "request-id", "request id", "traceid", "trace-id", "trace id"];

/// The secrets that an answer could repeat, in each form in which they travel.
#[derive(Clone, Debug, Default)]
pub struct Known(Vec<SecretString>);

impl Known {
    /// What an exchange of these credentials sends.
    pub fn of(credentials: &ApiCredentials) -> Self {
        match credentials {
            ApiCredentials::ApiToken(token) => Self::default().with(token.expose_secret()),
            ApiCredentials::Client { id, secret } => {
                let secret = secret.expose_secret();
                Self::default().with(secret).with(&STANDARD.encode(format!("{id}:{secret}")))
            }
        }
    }

    /// One more, as it is and as a form or a path writes it.
    pub fn with(mut self, secret: &str) -> Self {
        self.0.push(secret.to_owned().into());
        let escaped: String = byte_serialize(secret.as_bytes()).collect();
        if escaped != secret {
            self.0.push(escaped.into());
        }
        self
    }
}

/// Makes a message fit to be shown. `passing` are values of request ids that stand elsewhere in the answer.
pub fn scrub(message: &str, known: &Known, passing: &[String]) -> String {
    let mut text: Vec<char> = without_tokens(message).chars().take(LOOKED_AT).collect();
    for secret in &known.0 {
        text = mask(&text, secret.expose_secret());
    }
    let mut text: String = text.into_iter().map(|c| if c.is_control() { ' ' } else { c }).collect();
    // A very short one would take letters out of words.
    for id in passing.iter().filter(|id| id.len() > 3) {
        text = text.replace(id.as_str(), "");
    }
    let text = without_passing_ids(&text);
    cut(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A token that is none of ours is nobody's to read either: every JWT begins with the same three letters.
fn without_tokens(text: &str) -> String {
    let within = |character: char| character.is_ascii_alphanumeric() || "_-.".contains(character);
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("eyJ") {
        let end = rest[at..].find(|character| !within(character)).map_or(rest.len(), |end| at + end);
        left.push_str(&rest[..at]);
        left.push_str(if end - at < GIVEAWAY { &rest[at..end] } else { "***" });
        rest = &rest[end..];
    }
    left + rest
}

/// Replaces every run that stands in the secret too.
fn mask(text: &[char], secret: &str) -> Vec<char> {
    let secret: Vec<char> = secret.chars().collect();
    let least = secret.len().min(GIVEAWAY);
    if least == 0 {
        return text.to_vec();
    }
    let mut masked = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let run = (0..=secret.len() - least).map(|from| common(rest, &secret[from..])).max().unwrap_or(0);
        if run >= least {
            masked.extend("***".chars());
            rest = &rest[run..];
        } else {
            masked.push(*first);
            rest = tail;
        }
    }
    masked
}

fn common(one: &[char], two: &[char]) -> usize {
    one.iter().zip(two).take_while(|(a, b)| a == b).count()
}

/// Takes out `requestId: 4f…` and its like, wherever it stands in the words.
fn without_passing_ids(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let found = PASSING_IDS.iter().filter_map(|name| Some((lower.find(name)?, name.len()))).min();
    let Some((at, length)) = found else { return text.to_owned() };
    let after = text[at + length..].trim_start_matches(|c: char| c.is_whitespace() || "\"'=:".contains(c));
    let end = after.find(|c: char| c.is_whitespace() || "\"',;)]}".contains(c)).unwrap_or(after.len());
    let rest = after[end..].trim_start_matches(['"', '\'']);
    format!("{}{}", &text[..at], without_passing_ids(rest))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(message: &str, secret: &str) -> String {
        scrub(message, &Known::default().with(secret), &[])
    }

    #[test]
    fn secrets_are_masked_whole_and_in_part() {
        assert_eq!(clean("token s3cr3t! refused, s3cr3t!", "s3cr3t!"), "token *** refused, ***");
        let long = "aHR0cHM6Ly9leGFtcGxl.abcdefghijklmnop";
        assert_eq!(clean(&format!("invalid_grant: '{long}'"), long), "invalid_grant: '***'");
        assert_eq!(clean("invalid: aHR0cHM6Ly9leG…", long), "invalid: ***…");
        assert_eq!(clean("ends with ijklmnop", long), "ends with ijklmnop");
        assert_eq!(clean("nothing to hide", ""), "nothing to hide");
        assert_eq!(clean("", "s3cr3t!"), "");
    }

    #[test]
    fn secrets_are_masked_in_each_form_in_which_they_travel() {
        let known = Known::of(&ApiCredentials::Client { id: "operator".into(), secret: "s3c&r=t!".to_owned().into() });
        let basic = STANDARD.encode("operator:s3c&r=t!");
        let said = format!("client_secret=s3c%26r%3Dt%21 or {basic} or s3c&r=t!");
        assert_eq!(scrub(&said, &known, &[]), "client_secret=*** or *** or ***");
        assert!(!format!("{known:?}").contains("s3c"));
    }

    #[test]
    fn a_token_of_any_kind_is_masked() {
        assert_eq!(clean("bad eyJhbGciOiJSUzI1NiJ9.e30.c2ln-_x, eyJhbGciOiJ", "x-secret"), "bad ***, eyJhbGciOiJ");
    }

    #[test]
    fn control_characters_and_line_breaks_go() {
        assert_eq!(clean("a\r\n\tb\u{1b}[31mc\0", "x-secret"), "a b [31mc");
    }

    #[test]
    fn request_ids_go() {
        let cases = [
            ("failed (requestId: 4f-1)", "failed ()"),
            ("failed, traceId=\"4f-1\", sorry", "failed, , sorry"),
            ("{\"requestId\":\"4f-1\",\"a\":1}", "{\",\"a\":1}"),
            ("Request-ID 4f-1 and trace id 5a", "and"),
            ("requestId", ""),
        ];
        for (message, left) in cases {
            assert_eq!(clean(message, "x-secret"), left, "{message}");
        }
        assert_eq!(scrub("see 4f-1 there", &Known::default(), &["4f-1".into()]), "see there");
    }

    #[test]
    fn long_messages_are_cut_at_characters() {
        let cut = clean(&"ä".repeat(5000), "x-secret");
        assert_eq!(cut.chars().count(), LONGEST + 1);
        assert!(cut.ends_with('…'));
        let secret = "0123456789abcdef";
        let long = format!("{}{secret}", "a".repeat(LONGEST - 4));
        assert!(!clean(&long, secret).contains("0123"));
    }
}
