//! What is refused before any call, and what is put into the Secret beside the credential.

use super::fixture::*;
use crate::claim::ApiAddress;
use crate::crd::{Api, Context, OrgOAuthApp};
use crate::decide::{
    Access, Creation, Observed, RotationWrite, SecretWriteProgress, Step, WriteReason, decide, fill_in, signed_claim,
};
use crate::reason::{Blocked, Reason};
use crate::secret::SecretContents;
use crate::secret_value::CREDENTIAL;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[test]
fn nothing_is_asked_of_the_api_before_the_spec_and_the_secret_are_found_good() {
    assert_step(observe(app(json!({"spec": {"suspend": true}})), free, nothing), suspended());
    let template = json!({"spec": {"secret": {"template": {"a": "{{"}}}});
    assert_step(observe(app(template), free, nothing), blocked(Reason::TemplateInvalid, "spec.secret.template"));
    let secretless = json!({"spec": {"publicClient": true, "grantTypes": ["authorization_code"],
                                     "secret": {"template": {"a": "{{ clientSecret }}"}}}});
    let words = "a public client has no clientSecret";
    assert_step(observe(app(secretless), free, nothing), blocked(Reason::TemplateInvalid, words));
    let context = json!({"spec": {"context": "TENANT"}});
    assert_step(observe(app(context), free, nothing), blocked(Reason::InvalidSpec, "context; remove it from spec"));
    let refused = Access::Refused(Blocked::new(Reason::NotGranted, "no"));
    assert_step(
        observe(app(json!({})), free, |observed| connect(observed, refused)),
        blocked(Reason::NotGranted, "no"),
    );
    let conflict = || blocked(Reason::SecretConflict, "Secret billing exists");
    assert_step(observe(app(json!({})), foreign, nothing), conflict());
    let issued = |observed: &mut Observed| observed.creation = Creation::Issued(credentials("current"));
    assert_step(observe(app(json!({})), foreign, issued), conflict());
}

#[test]
fn a_secret_that_kubernetes_would_not_store_is_refused() {
    // Twenty of the longest secrets in each key, in a form that triples them; what fits is not refused.
    let filled = |keys: usize| {
        let key = |n| (format!("key-{n}"), json!("{{ clientSecret | urlencode }}".repeat(20)));
        let template: serde_json::Map<String, Value> = (0..keys).map(key).collect();
        observe(app(json!({"spec": {"secret": {"template": template}}})), free, nothing)
    };
    assert_step(filled(16), create(None));
    assert_step(filled(18), blocked(Reason::SecretTooLarge, "shorten spec.secret.template"));
    let note = json!({"spec": {"secret": {"annotations": {"note": "x".repeat(256 << 10)}}}});
    assert_step(observe(app(note), free, nothing), blocked(Reason::SecretTooLarge, "shorten spec.secret.annotations"));
}

#[test]
fn a_secret_may_be_as_large_as_kubernetes_stores_it_to_the_byte() {
    let with = |secret: Value| observe(app(json!({"spec": {"secret": secret}})), free, nothing);
    let padded = |bytes: usize| {
        let part = |from: usize| (format!("from-{from}"), json!("x".repeat((bytes - from).min(1 << 16))));
        let parts = (0..bytes).step_by(1 << 16).map(part);
        with(json!({"template": serde_json::Map::from_iter(parts)}))
    };
    let room = (1 << 20) - DERIVED.len() - CREDENTIAL - template_url().len();
    assert_step(padded(room), create(None));
    assert_step(padded(room + 1), blocked(Reason::SecretTooLarge, "could come to 1048577 bytes of data"));
    let noted = |bytes: usize| with(json!({"annotations": {"note": "x".repeat(bytes)}}));
    let room = (256 << 10) - ["note", "oauth-apps.dev/keys", "client-id,client-secret"].concat().len();
    assert_step(noted(room), create(None));
    assert_step(noted(room + 1), blocked(Reason::SecretTooLarge, "could come to 262145 bytes of annotations"));
}

/// What a Secret holds beside the credential once it is written.
fn extra_keys(app: OrgOAuthApp, secrets: fn(&OrgOAuthApp) -> Secrets) -> BTreeMap<String, String> {
    let observed = observe(app, secrets, |observed| observed.secret_write = SecretWriteProgress::Unknown);
    match decide(&observed) {
        Step::DryRunSecret(SecretContents { extra, .. }) | Step::WriteSecret(SecretContents { extra, .. }, _) => {
            extra.into_iter().map(|(key, value)| (key, value.expose().to_owned())).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_template_of_the_spec_is_filled_for_each_write() {
    let url = template_url();
    let keys = |more: Value| json!({"spec": {"secret": more}});
    let filled = keys(json!({"template": {"id": "{{ clientId }}", "pair": "{{ clientId }}:{{ clientSecret }}"}}));
    let expected = |secret: &str| {
        let pair = format!("{DERIVED}:{secret}");
        [("id".to_owned(), DERIVED.to_owned()), ("pair".to_owned(), pair), ("token-url".to_owned(), url.clone())].into()
    };
    assert_eq!(extra_keys(app(filled.clone()), free), expected("generated"));
    assert_eq!(extra_keys(app(filled), published), expected("current"));
    assert_eq!(extra_keys(app(keys(json!({"keys": {"tokenUrl": ""}}))), free), BTreeMap::new());
    let public = json!({"spec": {"publicClient": true, "grantTypes": ["authorization_code"]}});
    assert_eq!(extra_keys(app(public), free), [("token-url".to_owned(), url.clone())].into());
}

fn template_url() -> String {
    token_url(&app(json!({})))["token-url"].expose().to_owned()
}

#[test]
fn without_a_credential_no_further_key_is_filled() {
    let adopted = claimed(chosen(json!({"spec": {"adoptionPolicy": "Adopt"}, "status": {"adopted": true}})));
    let observed = observe(adopted, free, is_shown);
    let Step::WriteSecret(contents, WriteReason::IdOnly) = decide(&observed) else { panic!("the id is not written") };
    assert_eq!((contents.current, contents.extra), (None, BTreeMap::new()));
}

#[test]
fn a_claim_that_the_operator_would_not_sign_now_is_kept() {
    let observed = observe(chosen(json!({})), published, nothing);
    let contents = observed.contents();
    assert!(contents.claim.is_some() && signed_claim(&observed).is_none());
    let written = fill_in::with_template_keys(&observed, contents.clone()).unwrap();
    assert_eq!(written.claim, contents.claim);
    let step = Step::WriteRotation(contents.clone(), RotationWrite::Cleared);
    assert_eq!(fill_in::fill_in(&observed, step.clone()), Ok(step));
}

#[test]
fn the_context_of_the_resource_comes_before_that_of_the_connection() {
    let address = ApiAddress::new(Api::CloudPartnerNavigator, "https://iam.example.com", &[]);
    let context = |spec: Value, of_connection: Option<Context>| {
        let credential_check_interval = std::time::Duration::from_secs(3600);
        let address = address.clone();
        let access = Access::Granted { address, context: of_connection, adoption: true, credential_check_interval };
        observe(app(spec), free, |observed| connect(observed, access)).context()
    };
    let tenant = json!({"spec": {"context": "TENANT"}});
    assert_eq!(context(tenant.clone(), Some(Context::Provider)), Some(Context::Tenant));
    assert_eq!(context(json!({}), Some(Context::Provider)), Some(Context::Provider));
    assert_eq!(context(json!({}), None), None);
    let refused = Access::Refused(Blocked::new(Reason::NotGranted, "no"));
    assert_eq!(observe(app(tenant), free, |observed| connect(observed, refused)).context(), None);
}
