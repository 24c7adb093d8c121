//! What keeps the operator from going on until a person changes something.
//! The reason is for machines, the sentence for people.

use crate::reason::Reason;

/// What a person must change, and what they are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Why.
    pub reason: Reason,
    /// One sentence that names the object, the field and what to do.
    pub message: String,
}

impl Blocked {
    /// The reason with its sentence.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
