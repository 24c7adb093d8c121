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

const GRAMMAR: &str = "a template is text and {{ name | function }}";
const NAMES: &str = "there are clientId, clientSecret, orgId and tokenUrl";
const FUNCTIONS: &str = "there are json, base64 and urlencode";

/// A template that can be filled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Template<'a> {
    source: &'a str,
    pub(super) parts: Vec<Part<'a>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// It stands for itself.
    Text(&'a str),
    /// It stands for a value.
    Value {
        name: Name,
        /// The functions to apply, in this order.
        functions: Vec<Function>,
        /// Where the name stands, in bytes.
        at: usize,
    },
}

/// The names of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    ClientId,
    ClientSecret,
    OrgId,
    /// The URL of the token exchange.
    TokenUrl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    /// A JSON string, with its quotes.
    Json,
    /// Base64 with padding.
    Base64,
    /// As in a query or a form.
    Urlencode,
}

/// A position in a template: line and column count from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    line: usize,
    column: usize,
}

/// Why a text is no template: the position, the cause, and what is valid there.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {cause}")]
pub(crate) struct SyntaxError {
    position: Position,
    cause: Cause,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Cause {
    #[error("{{{{ has no }}}}: {GRAMMAR}")]
    NoEnd,
    #[error("{{% begins nothing here: {GRAMMAR}")]
    Block,
    #[error("a name is missing: {NAMES}")]
    NoName,
    #[error("no value has the name {0}: {NAMES}")]
    UnknownName(String),
    #[error("a function is missing: {FUNCTIONS}")]
    NoFunction,
    #[error("no function has the name {0}: {FUNCTIONS}")]
    UnknownFunction(String),
    #[error("a value passes through at most {MOST_FUNCTIONS} functions")]
    TooManyFunctions,
}

impl<'a> Template<'a> {
    /// Reads a template in one pass.
    pub(crate) fn parse(source: &'a str) -> Result<Self, SyntaxError> {
        Ok(Self { source, parts: parts(source)? })
    }

    pub(super) fn position(&self, at: usize) -> Position {
        Position::of(self.source, at)
    }
}

fn parts(source: &str) -> Result<Vec<Part<'_>>, SyntaxError> {
    let (mut parts, mut at) = (Vec::new(), 0);
    while let Some(length) = source[at..].find("{{") {
        parts.extend(text(source, at, at + length)?);
        let begin = at + length + 2;
        let end =
            begin + source[begin..].find("}}").ok_or_else(|| SyntaxError::new(source, begin - 2, Cause::NoEnd))?;
        parts.push(value(source, begin, end)?);
        at = end + 2;
    }
    parts.extend(text(source, at, source.len())?);
    Ok(parts)
}

/// A block of another template language is refused; otherwise it would be copied to the Secret literally.
fn text(source: &str, begin: usize, end: usize) -> Result<Option<Part<'_>>, SyntaxError> {
    let text = &source[begin..end];
    match text.find("{%") {
        Some(block) => Err(SyntaxError::new(source, begin + block, Cause::Block)),
        None => Ok((!text.is_empty()).then_some(Part::Text(text))),
    }
}

fn value(source: &str, begin: usize, end: usize) -> Result<Part<'_>, SyntaxError> {
    let mut at = begin;
    let mut words = source[begin..end].split('|').map(|word| {
        let word_at = at + word.len() - word.trim_start_matches(SPACE).len();
        at += word.len() + 1;
        (word_at, word.trim_matches(SPACE))
    });
    let (at, word) = words.next().unwrap_or((begin, ""));
    let name = Name::of(word).ok_or_else(|| SyntaxError::new(source, at, Cause::of_name(word)))?;
    let mut functions = Vec::new();
    for (at, word) in words {
        if functions.len() == MOST_FUNCTIONS {
            return Err(SyntaxError::new(source, at, Cause::TooManyFunctions));
        }
        functions.push(Function::of(word).ok_or_else(|| SyntaxError::new(source, at, Cause::of_function(word)))?);
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

impl SyntaxError {
    fn new(source: &str, at: usize, cause: Cause) -> Self {
        Self { position: Position::of(source, at), cause }
    }
}

impl Cause {
    fn of_name(word: &str) -> Self {
        if word.is_empty() { Self::NoName } else { Self::UnknownName(clean(word, QUOTED)) }
    }

    fn of_function(word: &str) -> Self {
        if word.is_empty() { Self::NoFunction } else { Self::UnknownFunction(clean(word, QUOTED)) }
    }
}

impl Position {
    fn of(source: &str, at: usize) -> Self {
        let before = &source[..at];
        let line_begin = before.rfind('\n').map_or(0, |line_break| line_break + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Self { line, column: before[line_begin..].chars().count() + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}
