//! Finds a secret in a message in any encoding: as it is, escaped as in JSON, a URL or a form, or in Base64, alone or behind an
//! id as in `Authorization: Basic`. The work is linear in the message and in the secret.

use crate::text::{is_hidden, is_space};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::collections::HashSet;

/// A run of this many bytes of a secret counts as the secret, since an API may cut what it quotes.
pub(super) const MIN_RUN: usize = 12;
/// Shorter runs of Base64 occur in plain words. A secret of eight bytes has a longer one.
const MIN_BASE64: usize = 4;
/// How many nested escapes are decoded.
const LAYERS: usize = 2;

/// The forms of a secret that are looked for.
pub(super) struct SecretForms {
    plain: Vec<u8>,
    base64: Vec<Vec<u8>>,
}

/// A message with all its decodings.
pub(super) struct Message {
    plain: Runs,
    base64: Runs,
}

/// Texts, and every run of `MIN_RUN` bytes in them.
#[derive(Default)]
struct Runs {
    texts: Vec<Vec<u8>>,
    runs: HashSet<[u8; MIN_RUN]>,
}

impl SecretForms {
    /// The forms of this secret.
    pub(super) fn of(secret: &str) -> Self {
        let base64 = (0..3).map(|before| letters_and_digits(&within_base64(secret, before)));
        Self { plain: visible(secret), base64: base64.filter(|part| part.len() >= MIN_BASE64).collect() }
    }
}

impl Message {
    /// Decodes a message.
    pub(super) fn of(text: &str) -> Self {
        let mut message = Self { plain: Runs::default(), base64: Runs::default() };
        for text in decodings(text) {
            message.plain.add(visible(&text));
            message.base64.add(letters_and_digits(&text));
        }
        message
    }

    pub(super) fn contains(&self, secret: &SecretForms) -> bool {
        self.plain.contain(&secret.plain) || secret.base64.iter().any(|part| self.base64.contain(part))
    }
}

impl Runs {
    fn add(&mut self, text: Vec<u8>) {
        self.runs.extend(runs(&text));
        self.texts.push(text);
    }

    /// Whether any run of the secret is in a text, or the whole secret if it is shorter than a run.
    fn contain(&self, secret: &[u8]) -> bool {
        match secret.len() {
            0 => false,
            1..MIN_RUN => self.texts.iter().any(|text| text.windows(secret.len()).any(|part| part == secret)),
            _ => runs(secret).any(|run| self.runs.contains(&run)),
        }
    }
}

fn runs(text: &[u8]) -> impl Iterator<Item = [u8; MIN_RUN]> {
    text.windows(MIN_RUN).filter_map(|run| run.try_into().ok())
}

/// The visible characters of a text, in lower case. A `+` is a space in a form.
fn visible(text: &str) -> Vec<u8> {
    let visible: String = text.chars().filter(|c| !is_space(*c) && !is_hidden(*c) && *c != '+').collect();
    visible.to_ascii_lowercase().into_bytes()
}

/// Is equal for both Base64 alphabets, with and without padding, on one line or on several.
fn letters_and_digits(text: &str) -> Vec<u8> {
    text.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase()).collect()
}

/// The Base64 characters that depend on the secret only, when `before` bytes (modulo three) precede it.
fn within_base64(secret: &str, before: usize) -> String {
    let text = [&vec![0; before], secret.as_bytes()].concat();
    let encoded = STANDARD_NO_PAD.encode(&text);
    // The first and the last character may also encode bits of what surrounds the secret.
    let begin = (before * 8).div_ceil(6);
    let end = text.len() * 8 / 6;
    encoded.get(begin..end).unwrap_or_default().to_owned()
}

/// The text itself, and the text with one or more layers of escapes decoded, in any order.
fn decodings(text: &str) -> Vec<String> {
    let mut all = vec![text.to_owned()];
    let mut from = 0;
    for _ in 0..LAYERS {
        let to = all.len();
        for index in from..to {
            for unescaped in [unescape(&all[index], b'%', percent), unescape(&all[index], b'\\', backslash)] {
                if !all.contains(&unescaped) {
                    all.push(unescaped);
                }
            }
        }
        from = to;
    }
    all
}

/// The decoded bytes of an escape, and its length without the mark.
type Escape = (Vec<u8>, usize);

/// Decodes each escape that begins with the mark; `read` decodes what follows the mark.
fn unescape(text: &str, mark: u8, read: fn(&[u8]) -> Option<Escape>) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escape = (*first == mark).then(|| read(tail)).flatten();
        match escape {
            Some((bytes, length)) => {
                plain.extend(bytes);
                rest = &tail[length..];
            }
            None => {
                plain.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// `%2B`. [RFC 3986]
fn percent(text: &[u8]) -> Option<Escape> {
    let byte = u8::try_from(hexadecimal(text.get(..2)?)?).ok()?;
    Some((vec![byte], 2))
}

/// `\"`, `\n`, `\u002b`, and surrogate pairs. [RFC 8259]
fn backslash(text: &[u8]) -> Option<Escape> {
    let unit = |at: usize| match text.get(at..at + 6) {
        Some([b'\\', b'u', digits @ ..]) => hexadecimal(digits),
        Some(_) | None => None,
    };
    match text.first()? {
        b'u' => {
            let first = hexadecimal(text.get(1..5)?)?;
            let pair = [first, unit(5).unwrap_or_default()];
            let character = char::decode_utf16(pair).next()?.unwrap_or(char::REPLACEMENT_CHARACTER);
            let length = if character.len_utf16() == 2 { 11 } else { 5 };
            Some((character.to_string().into_bytes(), length))
        }
        b'n' | b'r' | b't' | b'b' | b'f' => Some((vec![b' '], 1)),
        other => Some((vec![*other], 1)),
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u16> {
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}
