//! The record of every call, with secret values replaced by their hashes.
//! A call is written down when it arrives, so one that is never answered can be seen too.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Map, Value};

use crate::call::Call;
use crate::crypto::sha256_hex;
use crate::faults::Facts;
use crate::types::{Action, CallFilter, CallView};

/// The calls since the start, or since it was cleared.
pub(crate) struct Log {
    started: Instant,
    calls: Vec<CallView>,
    next: u64,
    in_flight: u64,
    max_in_flight: u64,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), calls: Vec::new(), next: 1, in_flight: 0, max_in_flight: 0 }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Writes a call down and gives its number.
    pub(crate) fn arrive(&mut self, call: &Call, client_ids: Vec<String>) -> u64 {
        let seq = self.next;
        self.next += 1;
        self.in_flight += 1;
        self.max_in_flight = self.max_in_flight.max(self.in_flight);
        self.calls.push(CallView {
            seq,
            at_ms: self.elapsed_ms(),
            done_ms: None,
            operation: call.route.operation,
            flavor: call.route.flavor,
            method: call.method.to_string(),
            path: call.path.clone(),
            query: call.raw_query.clone(),
            org_id: call.route.org.clone(),
            client_ids,
            body: redacted_body(call),
            traceparent: call.header("traceparent").map(str::to_owned),
            status: None,
            performed: false,
            fault: None,
        });
        seq
    }

    fn entry(&mut self, seq: u64) -> Option<&mut CallView> {
        let first = self.calls.first()?.seq;
        self.calls.get_mut(usize::try_from(seq.checked_sub(first)?).ok()?)
    }

    pub(crate) fn hit(&mut self, seq: u64, fault: Option<Action>) {
        if let Some(entry) = self.entry(seq) {
            entry.fault = fault;
        }
    }

    pub(crate) fn performed(&mut self, seq: u64) {
        if let Some(entry) = self.entry(seq) {
            entry.performed = true;
        }
    }

    pub(crate) fn answer(&mut self, seq: u64, status: u16) {
        if let Some(entry) = self.entry(seq) {
            entry.status = Some(status);
        }
    }

    /// The call is over, answered or not.
    pub(crate) fn leave(&mut self, seq: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let now = self.elapsed_ms();
        if let Some(entry) = self.entry(seq) {
            entry.done_ms = Some(now);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.calls.clear();
        self.max_in_flight = self.in_flight;
    }

    pub(crate) fn select(&self, filter: &CallFilter) -> impl Iterator<Item = &CallView> {
        self.calls.iter().filter(move |c| {
            let facts = Facts {
                operation: c.operation,
                flavor: c.flavor,
                org: c.org_id.as_deref(),
                implied_org: None,
                clients: &c.client_ids,
            };
            c.seq > filter.after
                && filter.on.covers(&facts)
                && filter.status.is_none_or(|s| c.status == Some(s))
                && filter.performed.is_none_or(|p| c.performed == p)
        })
    }

    /// Calls by operation and status, calls in flight, and the most in flight at once.
    pub(crate) fn counts(&self) -> (BTreeMap<String, u64>, u64, u64) {
        let mut by_operation = BTreeMap::new();
        for call in &self.calls {
            let operation = serde_json::to_value(call.operation).unwrap_or_default();
            let status = call.status.map_or("-".to_string(), |s| s.to_string());
            let key = format!("{} {status}", operation.as_str().unwrap_or_default());
            *by_operation.entry(key).or_default() += 1;
        }
        (by_operation, self.in_flight, self.max_in_flight)
    }
}

const SECRETS: [&str; 9] = [
    "secret",
    "newClientSecret",
    "secondary_secret",
    "clientSecret",
    "client_secret",
    "refreshToken",
    "refresh_token",
    "api_token",
    "passcode",
];

fn redacted_body(call: &Call) -> Value {
    if call.body.is_empty() {
        return Value::Null;
    }
    let form = call.header("content-type").is_some_and(|t| t.starts_with("application/x-www-form-urlencoded"));
    if form {
        let fields = form_urlencoded::parse(&call.body).into_owned();
        return redact(Value::Object(fields.map(|(k, v)| (k, Value::String(v))).collect()));
    }
    match serde_json::from_slice(&call.body) {
        Ok(value) => redact(value),
        Err(_) => Value::String(format!("{} bytes that are not JSON", call.body.len())),
    }
}

fn redact(value: Value) -> Value {
    let Value::Object(map) = value else { return value };
    let hidden = map.into_iter().map(|(key, value)| match value {
        Value::String(s) if SECRETS.contains(&key.as_str()) => {
            (key, Value::String(format!("sha256:{}", sha256_hex(&s))))
        }
        value => (key, value),
    });
    Value::Object(hidden.collect::<Map<_, _>>())
}
