//! The secret values of a test, and whether one of them is where a person or a log collector reads.

use super::TenantEnv;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Mutex;

/// Every secret value that the test came across.
#[derive(Default)]
pub(super) struct KnownSecrets(Mutex<BTreeSet<String>>);

impl KnownSecrets {
    pub(super) fn add(&self, value: &str) {
        self.0.lock().unwrap().insert(value.to_owned());
    }

    /// Those that are in a text, in the form in which they are there.
    fn find(&self, text: &str) -> Vec<String> {
        let known = self.0.lock().unwrap();
        let forms = known.iter().flat_map(|value| [value.clone(), STANDARD.encode(value)]);
        // Access tokens are not known here, but the payload of each begins so.
        forms.chain([".eyJ".into()]).filter(|form| text.contains(form.as_str())).collect()
    }
}

impl TenantEnv {
    /// From now on this value must be nowhere.
    pub(crate) fn hide(&self, value: &str) {
        self.known_secrets.add(value);
    }

    pub(crate) fn find_leaks(&self, text: &str) -> Vec<String> {
        self.known_secrets.find(text)
    }

    pub(crate) fn assert_no_leak_in(&self, what: &str, text: &str) {
        let leaks = self.find_leaks(text);
        assert!(leaks.is_empty(), "secret values in {what} of {}: {leaks:?}", self.namespace);
    }

    /// Nothing that a person or a log collector reads may hold a secret value.
    pub(super) fn assert_no_leak(&self) {
        let objects = self.kubectl(&["get", "ooa,events", "-o", "json"]);
        self.assert_no_leak_in("the log", &self.operator().log());
        self.assert_no_leak_in("status or Events", &objects);
    }

    /// Of a key that is written twice, most readers see the last value only, so such a line is longer than what they see of it.
    pub(super) fn assert_each_key_once(&self) {
        for line in self.operator().log().lines() {
            let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
            assert_eq!(value.to_string().len(), line.len(), "a key is written twice: {line}");
        }
    }
}

#[test]
fn a_leak_would_be_found() {
    let known = KnownSecrets::default();
    known.add("a-known-value");
    let encoded = STANDARD.encode("a-known-value");
    assert_eq!(known.find("says a-known-value here"), ["a-known-value"]);
    assert_eq!(known.find(&format!("says {encoded} here")), [encoded]);
    assert_eq!(known.find("Bearer eyJhbGciOi.eyJpc3MiOi"), [".eyJ"]);
    assert!(known.find("says nothing").is_empty());
}
