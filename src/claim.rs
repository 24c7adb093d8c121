//! The operator's signed record that an app is a resource's: who (uid), where (API and organization) and which (client id).
//! Only the operator has the key, so what a tenant writes into a status or a Secret never proves anything. The format and the
//! signature are here; the key is read in `cluster/claim_key.rs`; `decide/claims.rs`, `ownership.rs` and `claiming.rs` use them.

use crate::crd::{Api, IamConnection, OrgOAuthApp, SignedClaim};
use crate::iam::ClientId;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kube::ResourceExt;
use std::fmt;
use std::sync::Arc;
use url::Url;

/// The fewest bytes of a key: as many as the signature has.
pub(crate) const MIN_KEY_BYTES: usize = 32;

/// Where an API is: its kind and its base URL, so written that two spellings of one address are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiAddress {
    pub(crate) api: Api,
    /// The normalized base URL, without a slash at its end.
    pub(crate) endpoint: String,
    /// Normalized addresses that an administrator declared to be the same API.
    former: Vec<String>,
}

impl ApiAddress {
    /// `endpoint` and `former` as an `IamConnection` spells them.
    pub fn new(api: Api, endpoint: &str, former: &[String]) -> Self {
        let former = former.iter().map(|endpoint| normalize(endpoint)).collect();
        Self { api, endpoint: normalize(endpoint), former }
    }

    /// The API of a connection.
    pub(crate) fn of(connection: &IamConnection) -> Self {
        let spec = &connection.spec;
        Self::new(spec.api, &spec.endpoint, spec.former_endpoints.as_deref().unwrap_or_default())
    }

    /// Whether a claim was made at this API.
    pub(crate) fn made(&self, claim: &SignedClaim) -> bool {
        claim.api == self.api && self.is_known_as(&claim.endpoint)
    }

    /// Whether both are the same API, by the word of either administrator.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.api == other.api && (self.is_known_as(&other.endpoint) || other.is_known_as(&self.endpoint))
    }

    fn is_known_as(&self, endpoint: &str) -> bool {
        self.endpoint == endpoint || self.former.iter().any(|former| former == endpoint)
    }
}

/// Case of the host, a default port, dot segments and slashes at the end make no difference. What is no address of the web is
/// left as it is, since the rules of others differ.
fn normalize(endpoint: &str) -> String {
    let trimmed = endpoint.trim_end_matches('/');
    let Some(url) = Url::parse(trimmed).ok().filter(|url| matches!(url.scheme(), "https" | "http")) else {
        return trimmed.to_owned();
    };
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    if host.is_empty() {
        return trimmed.to_owned();
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path().trim_end_matches('/'))
}

/// A claim key with so many bytes, which are fewer than [`MIN_KEY_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a claim key has {0} bytes and needs at least {MIN_KEY_BYTES}")]
pub struct KeyTooShort(usize);

/// Signs claims and checks signatures; clones share the keys.
#[derive(Clone)]
pub struct ClaimKey(Arc<Keys>);

struct Keys {
    signs: hmac::Key,
    /// Keys of before a rotation.
    also_verify: Vec<hmac::Key>,
}

impl fmt::Debug for ClaimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimKey(redacted)")
    }
}

impl ClaimKey {
    /// `current` signs; `former` ones still verify.
    pub fn new<'a>(current: &[u8], former: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, KeyTooShort> {
        let also_verify = former.into_iter().map(key).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Keys { signs: key(current)?, also_verify })))
    }

    /// The claim of a resource on the app of this id, or on an id under which an app is about to be created.
    pub fn sign(&self, app: &OrgOAuthApp, address: &ApiAddress, id: &ClientId, created: bool) -> SignedClaim {
        let mut claim = SignedClaim {
            uid: app.uid_any().to_owned(),
            api: address.api,
            endpoint: address.endpoint.clone(),
            org_id: app.spec.org_id.clone(),
            client_id: id.0.clone(),
            created,
            signature: String::new(),
        };
        claim.signature = URL_SAFE_NO_PAD.encode(hmac::sign(&self.0.signs, &signed_bytes(app, &claim)));
        claim
    }

    /// Whether the operator signed this for a resource of this namespace and name, and organization; the uid may be that
    /// of a resource from before a restore.
    pub(crate) fn verifies(&self, app: &OrgOAuthApp, claim: &SignedClaim) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(&claim.signature) else { return false };
        let bytes = signed_bytes(app, claim);
        let keys = std::iter::once(&self.0.signs).chain(&self.0.also_verify);
        claim.org_id == app.spec.org_id && keys.into_iter().any(|key| hmac::verify(key, &bytes, &signature).is_ok())
    }
}

fn key(bytes: &[u8]) -> Result<hmac::Key, KeyTooShort> {
    if bytes.len() < MIN_KEY_BYTES {
        return Err(KeyTooShort(bytes.len()));
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, bytes))
}

/// JSON keeps the parts apart, whatever they hold.
fn signed_bytes(app: &OrgOAuthApp, claim: &SignedClaim) -> Vec<u8> {
    let SignedClaim { uid, api, endpoint, org_id, client_id, created, signature: _ } = claim;
    let (namespace, name) = (app.namespace_any(), app.name_any());
    serde_json::json!(["v1", namespace, name, uid, api, endpoint, org_id, client_id, created]).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn app(namespace: &str, name: &str, uid: &str) -> OrgOAuthApp {
        serde_json::from_value(json!({
            "apiVersion": "oauth-apps.dev/v1alpha1", "kind": "OrgOAuthApp",
            "metadata": {"name": name, "namespace": namespace, "uid": uid},
            "spec": {"orgId": "org-1", "displayName": "d", "description": "d", "grantTypes": ["client_credentials"],
                     "allowedScopes": {}},
        }))
        .unwrap()
    }

    fn claim_key(byte: u8) -> ClaimKey {
        ClaimKey::new(&[byte; 32], []).unwrap()
    }

    fn address() -> ApiAddress {
        ApiAddress::new(Api::CloudServices, "https://iam.example.com", &[])
    }

    fn claim() -> SignedClaim {
        claim_key(1).sign(&app("team", "billing", "uid-1"), &address(), &ClientId("id-1".into()), true)
    }

    #[test]
    fn a_claim_verifies_for_the_resource_that_it_was_made_for() {
        assert!(claim_key(1).verifies(&app("team", "billing", "uid-1"), &claim()));
        assert!(claim_key(1).verifies(&app("team", "billing", "uid-2"), &claim()), "restored with another uid");
    }

    #[test]
    fn a_claim_of_another_resource_or_with_any_part_changed_does_not_verify() {
        let ours = app("team", "billing", "uid-1");
        let key = claim_key(1);
        assert!(!key.verifies(&app("team", "other", "uid-1"), &claim()));
        assert!(!key.verifies(&app("other", "billing", "uid-1"), &claim()));
        let mut other_org = ours.clone();
        other_org.spec.org_id = "org-2".into();
        assert!(!key.verifies(&other_org, &claim()));
        for changed in [
            SignedClaim { uid: "uid-2".into(), ..claim() },
            SignedClaim { api: Api::CloudPartnerNavigator, ..claim() },
            SignedClaim { endpoint: "https://other.example.com".into(), ..claim() },
            SignedClaim { org_id: "org-2".into(), ..claim() },
            SignedClaim { client_id: "id-2".into(), ..claim() },
            SignedClaim { created: false, ..claim() },
            SignedClaim { signature: String::new(), ..claim() },
            SignedClaim { signature: "not base64!".into(), ..claim() },
        ] {
            assert!(!key.verifies(&ours, &changed), "{changed:?}");
        }
    }

    #[test]
    fn a_rotated_key_still_verifies_what_the_former_one_signed() {
        let ours = app("team", "billing", "uid-1");
        let rotated = ClaimKey::new(&[2; 32], [&[1; 32][..]]).unwrap();
        assert!(rotated.verifies(&ours, &claim()));
        assert!(!claim_key(2).verifies(&ours, &claim()), "without the former key");
        let again = rotated.sign(&ours, &address(), &ClientId("id-1".into()), true);
        assert!(claim_key(2).verifies(&ours, &again), "signed again by the current one");
    }

    #[test]
    fn a_short_key_is_refused() {
        assert!(ClaimKey::new(&[1; 31], []).is_err());
        assert!(ClaimKey::new(&[1; 32], [&[1; 3][..]]).is_err());
    }

    #[test]
    fn a_key_is_never_printed() {
        assert_eq!(
            format!("{:?}", ClaimKey::new(b"0123456789abcdef0123456789abcdef", []).unwrap()),
            "ClaimKey(redacted)"
        );
    }

    #[test]
    fn spellings_of_one_address_are_one_api() {
        let at = |endpoint: &str| ApiAddress::new(Api::CloudServices, endpoint, &[]);
        for same in [
            "https://IAM.example.com/",
            "https://iam.example.com:443",
            "https://iam.example.com//",
            "https://iam.example.com./a/..",
        ] {
            assert_eq!(at(same), address(), "{same}");
        }
        for other in ["https://iam.example.com/auth", "https://iam.example.com:8443", "https://iam2.example.com"] {
            assert!(!at(other).is_same(&address()), "{other}");
        }
        let flavor = ApiAddress::new(Api::CloudPartnerNavigator, "https://iam.example.com", &[]);
        assert!(!flavor.is_same(&address()));
    }

    #[test]
    fn an_address_that_an_administrator_declares_former_is_the_same_api() {
        let moved =
            ApiAddress::new(Api::CloudServices, "https://new.example.com", &["https://IAM.example.com/".into()]);
        assert!(moved.made(&claim()) && moved.is_same(&address()) && address().is_same(&moved));
        let elsewhere = ApiAddress::new(Api::CloudServices, "https://new.example.com", &[]);
        assert!(!elsewhere.made(&claim()));
    }

    proptest! {
        /// What a tenant can write never verifies and never makes the check fail.
        #[test]
        fn no_made_up_claim_verifies(uid in ".*", endpoint in ".*", org_id in ".*", client_id in ".*", signature in ".*") {
            let forged = SignedClaim { uid, api: Api::CloudServices, endpoint, org_id, client_id, created: true, signature };
            prop_assert!(!claim_key(1).verifies(&app("team", "billing", "uid-1"), &forged));
        }

        #[test]
        fn every_endpoint_is_normalized_once(endpoint in "(https?:|[a-z]*:)?.*") {
            let once = normalize(&endpoint);
            prop_assert_eq!(normalize(&once), once);
        }
    }
}
