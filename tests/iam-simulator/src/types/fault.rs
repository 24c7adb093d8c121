//! Orders to misbehave: which calls, how often, and what then happens to them.
//! An order is built from [`Fault::always`] or [`Fault::once`] and narrowed.

use serde::{Deserialize, Serialize};

use super::{Flavor, Operation};

/// An order to misbehave: which calls, how often, and what then happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// The calls that it is about.
    #[serde(default)]
    pub on: Target,
    /// Lets that many matching calls pass first.
    #[serde(default)]
    pub skip: u32,
    /// How many calls it hits; all when absent.
    #[serde(default)]
    pub times: Option<u32>,
    /// How long it hits, in milliseconds since its first hit; no limit when absent.
    #[serde(default)]
    pub for_ms: Option<u64>,
    /// The share of the matching calls that it hits, 0 to 1; all when absent.
    #[serde(default)]
    pub probability: Option<f64>,
    /// What happens.
    pub action: Action,
}

impl Fault {
    /// Hits every call, until narrowed.
    #[must_use]
    pub fn always(action: Action) -> Self {
        Self { on: Target::default(), skip: 0, times: None, for_ms: None, probability: None, action }
    }

    /// Hits one call.
    #[must_use]
    pub fn once(action: Action) -> Self {
        Self::always(action).times(1)
    }

    /// Narrows it to an operation.
    #[must_use]
    pub fn on(mut self, operation: Operation) -> Self {
        self.on.operation = Some(operation);
        self
    }

    /// Narrows it to one API.
    #[must_use]
    pub fn flavor(mut self, flavor: Flavor) -> Self {
        self.on.flavor = Some(flavor);
        self
    }

    /// Narrows it to an organization. Together with an operation whose path has none, the token endpoints and P6, it
    /// is the one that is asked for, else the one that owns the identity.
    #[must_use]
    pub fn org(mut self, org_id: impl Into<String>) -> Self {
        self.on.org_id = Some(org_id.into());
        self
    }

    /// Narrows it to a client id, in the path or in the body.
    #[must_use]
    pub fn client(mut self, client_id: impl Into<String>) -> Self {
        self.on.client_id = Some(client_id.into());
        self
    }

    /// Limits the number of hits.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Lets the first `skip` matching calls pass.
    #[must_use]
    pub fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Ends it that many milliseconds after its first hit.
    #[must_use]
    pub fn for_ms(mut self, for_ms: u64) -> Self {
        self.for_ms = Some(for_ms);
        self
    }

    /// Hits that share of the matching calls, 0 to 1.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = Some(probability);
        self
    }
}

impl Action {
    /// A refusal without a reason in the API's state: that status, with a message that belongs to it.
    #[must_use]
    pub fn refused(status: u16) -> Self {
        let message = match status {
            401 => "the access token is not valid",
            403 => "the caller has no permission for this organization",
            404 => "not found",
            _ => "refused",
        };
        Self::Status { status, message: message.into(), performed: false }
    }
}

/// Narrows a fault or a question about calls; what is absent matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flavor: Option<Flavor>,
    /// The organization in the path; for faults see [`Fault::org`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,
    /// A client id in the path, the body or the credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// What a fault does to a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    /// Waits before anything else, in milliseconds; goes together with another fault.
    Latency { ms: u64 },
    /// 429; the change is not made.
    TooManyRequests {
        /// The `Retry-After` header, in seconds; none when absent.
        retry_after: Option<u64>,
    },
    /// A status with the API's error form.
    Status {
        status: u16,
        /// The message in the body.
        message: String,
        /// Whether the change is made all the same.
        #[serde(default)]
        performed: bool,
    },
    /// 302 to another address; the change is not made.
    Redirect {
        /// The `Location` header.
        location: String,
    },
    /// The change is made and the connection closed without an answer.
    ResponseLost,
    /// The connection is reset before the change.
    ConnectionReset,
    /// 401, as for a token that has expired.
    ExpiredToken,
    /// The change is made and the answer's body comes in small pieces.
    SlowBody {
        /// How long the body takes, in milliseconds; it never ends when absent.
        ms: Option<u64>,
    },
    /// The change is made and the answer is 200 with broken JSON.
    MalformedBody,
    /// A status with the API's error form, whose message quotes the call; the change is not made.
    Echo {
        status: u16,
        /// How the call is quoted.
        spelling: Spelling,
    },
    /// A page of a list with an entry that nobody made, of about that many bytes of tiny values, and another page after it.
    EndlessList { page_bytes: usize },
    /// The change is made and the answer has one more field, of that many bytes of tiny values.
    LargeBody { bytes: usize },
    /// No answer, ever.
    Hang {
        /// Whether the change is made.
        #[serde(default)]
        performed: bool,
    },
}

/// How a service quotes a call in an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Spelling {
    /// The body as it came.
    Plain,
    /// The body as text within a JSON text.
    Json,
    /// The body as in a URL or a form.
    Percent,
    /// The body in Base64.
    Base64,
    /// The headers that say who calls, as they came.
    Headers,
}

/// A fault that was ordered, and how often it hit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultState {
    pub fault: Fault,
    /// Calls that matched, those let pass included.
    pub seen: u32,
    /// Calls that it hit.
    pub hits: u32,
}
