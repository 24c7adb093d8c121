//! The grammar of a template: text, and `{{`, a name, functions each after a `|`, and `}}`, with white space between them.
//! The rule of the CRD on `secret.template` says the same as a regular expression.

use crate::text::clean;
use std::fmt;

/// The most functions that one value may pass through.
const MOST_FUNCTIONS: usize = 8;
/// White space between the words of a value.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];
/// The most bytes of an unknown word that an error quotes.
const QUOTED: usize = 40;

/// A template that can be filled.
#[derive(Debug, PartialEq, Eq)]
pub struct Template<'a> {
    source: &'a str,
    pub(super) parts: Vec<Part<'a>>,
}

/// A part of a template.
#[derive(Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// It stands for itself.
    Text(&'a str),
    /// It stands for a value.
    Value {
        /// Which one.
        name: Name,
        /// The functions to apply, in this order.
        functions: Vec<Function>,
        /// Where the name stands, in bytes.
        at: usize,
    },
}

/// The names of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// The client id.
    ClientId,
    /// The client secret.
    ClientSecret,
    /// The organization.
    OrgId,
    /// The URL of the token exchange.
    TokenUrl,
}

/// The functions of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// A JSON string, with its quotes.
    Json,
    /// Base64 with padding.
    Base64,
    /// As in a query or a form.
    Urlencode,
}

/// A syntax error and its position in bytes.
enum SyntaxError<'a> {
    NoEnd(usize),
    Block(usize),
    Name(usize, &'a str),
    Function(usize, &'a str),
    TooMany(usize),
}

impl<'a> Template<'a> {
    /// Reads a template in one pass.
    ///
    /// # Errors
    /// The position, the cause, and what is valid there.
    pub fn parse(source: &'a str) -> Result<Self, String> {
        let parts = parts(source).map_err(|error| format!("{}: {error}", position(source, error.at())))?;
        Ok(Self { source, parts })
    }

    /// Line and column, in the words of a message.
    pub(super) fn position(&self, at: usize) -> String {
        position(self.source, at)
    }
}

fn parts(source: &str) -> Result<Vec<Part<'_>>, SyntaxError<'_>> {
    let (mut parts, mut at) = (Vec::new(), 0);
    while let Some(length) = source[at..].find("{{") {
        parts.extend(text(source, at, at + length)?);
        let begin = at + length + 2;
        let end = begin + source[begin..].find("}}").ok_or(SyntaxError::NoEnd(begin - 2))?;
        parts.push(value(&source[begin..end], begin)?);
        at = end + 2;
    }
    parts.extend(text(source, at, source.len())?);
    Ok(parts)
}

/// A block of another template language is refused; otherwise it would be copied to the Secret literally.
fn text(source: &str, begin: usize, end: usize) -> Result<Option<Part<'_>>, SyntaxError<'_>> {
    let text = &source[begin..end];
    match text.find("{%") {
        Some(block) => Err(SyntaxError::Block(begin + block)),
        None => Ok((!text.is_empty()).then_some(Part::Text(text))),
    }
}

fn value(inside: &str, begin: usize) -> Result<Part<'_>, SyntaxError<'_>> {
    let mut at = begin;
    let mut words = inside.split('|').map(|word| {
        let word_at = at + word.len() - word.trim_start_matches(SPACE).len();
        at += word.len() + 1;
        (word_at, word.trim_matches(SPACE))
    });
    let (at, word) = words.next().unwrap_or((begin, ""));
    let name = Name::of(word).ok_or(SyntaxError::Name(at, word))?;
    let mut functions = Vec::new();
    for (at, word) in words {
        if functions.len() == MOST_FUNCTIONS {
            return Err(SyntaxError::TooMany(at));
        }
        functions.push(Function::of(word).ok_or(SyntaxError::Function(at, word))?);
    }
    Ok(Part::Value { name, functions, at })
}

impl Name {
    fn of(word: &str) -> Option<Self> {
        match word {
            "clientId" => Some(Self::ClientId),
            "clientSecret" => Some(Self::ClientSecret),
            "orgId" => Some(Self::OrgId),
            "tokenUrl" => Some(Self::TokenUrl),
            _ => None,
        }
    }
}

impl Function {
    fn of(word: &str) -> Option<Self> {
        match word {
            "json" => Some(Self::Json),
            "base64" => Some(Self::Base64),
            "urlencode" => Some(Self::Urlencode),
            _ => None,
        }
    }
}

impl SyntaxError<'_> {
    fn at(&self) -> usize {
        match self {
            Self::NoEnd(at) | Self::Block(at) | Self::Name(at, _) | Self::Function(at, _) | Self::TooMany(at) => *at,
        }
    }
}

impl fmt::Display for SyntaxError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: &str = "there are clientId, clientSecret, orgId and tokenUrl";
        const FUNCTIONS: &str = "there are json, base64 and urlencode";
        match self {
            Self::NoEnd(_) => f.write_str("{{ has no }}: a template is text and {{ name | function }}"),
            Self::Block(_) => f.write_str("{% begins nothing here: a template is text and {{ name | function }}"),
            Self::Name(_, "") => write!(f, "a name is missing: {NAMES}"),
            Self::Name(_, word) => write!(f, "no value has the name {}: {NAMES}", clean(word, QUOTED)),
            Self::Function(_, "") => write!(f, "a function is missing: {FUNCTIONS}"),
            Self::Function(_, word) => write!(f, "no function has the name {}: {FUNCTIONS}", clean(word, QUOTED)),
            Self::TooMany(_) => write!(f, "a value passes through at most {MOST_FUNCTIONS} functions"),
        }
    }
}

/// Both count from 1, the column in characters.
fn position(source: &str, at: usize) -> String {
    let before = &source[..at];
    let line_begin = before.rfind('\n').map_or(0, |line_break| line_break + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    format!(" line {line}, column {}", before[line_begin..].chars().count() + 1)
}
