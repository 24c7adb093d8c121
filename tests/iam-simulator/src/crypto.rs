//! Random names and secrets, hashes, and the signature of the tokens.
//! The signature is only there to give a token its three parts: nobody but the simulator checks one.

use aws_lc_rs::{digest, hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// SHA-256 in lower-case hex, as the inspection API shows secrets.
#[must_use]
pub fn sha256_hex(value: &str) -> String {
    hex(digest::digest(&digest::SHA256, value.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system has randomness");
    bytes
}

/// A random UUID, as organization, request and client ids look.
pub(crate) fn uuid() -> String {
    as_uuid(&hex(&random_bytes::<16>()))
}

/// The UUID that always belongs to this text.
pub(crate) fn uuid_of(text: &str) -> String {
    as_uuid(&sha256_hex(text)[..32])
}

fn as_uuid(h: &str) -> String {
    format!("{}-{}-4{}-a{}-{}", &h[..8], &h[8..12], &h[13..16], &h[17..20], &h[20..])
}

/// A secret that satisfies the policy in both of its readings.
pub(crate) fn generated_secret() -> String {
    let letters = URL_SAFE_NO_PAD.encode(random_bytes::<30>()).replace('-', "x");
    format!("aA1!{letters}")
}

/// A number in `0.0..1.0`.
pub(crate) fn fraction() -> f64 {
    f64::from(u32::from_le_bytes(random_bytes())) / (f64::from(u32::MAX) + 1.0)
}

/// The key of one simulator's tokens.
pub(crate) struct Signer(hmac::Key);

impl Signer {
    pub(crate) fn new() -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &random_bytes::<32>()))
    }

    /// `header.payload.signature`, each part base64url.
    pub(crate) fn jwt(&self, payload: &Value) -> String {
        let header = URL_SAFE_NO_PAD.encode(br#"{"typ":"JWT","alg":"HS256","kid":"signing_2"}"#);
        let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
        let signed = format!("{header}.{payload}");
        let tag = hmac::sign(&self.0, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    }
}
