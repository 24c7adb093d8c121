//! The token endpoint of a tenant of Identity Broker `[vib-token]`, and what its tokens may do.
//! Managing clients takes the scope `admin` and a rule set that allows it (docs/api.md).

use serde_json::{Value, json};

use super::{Desk, Grant, value};
use crate::call::{Answer, Call, Refusal};
use crate::crypto::uuid;
use crate::policy::texts;
use crate::store::App;

/// The scope without which a token manages nothing `[vib-sibling]`.
const ADMIN: &str = "admin";
/// The rule set that allows everything in a tenant `[vib-sibling]`.
pub(super) const TENANT_ADMIN: &str = "TENANT_ADMIN";
/// The rule set that allows to read everything in a tenant `[vib-sibling]`.
const READ_ONLY: &str = "READ_ONLY_TENANT_ADMIN";

/// The grant type of an API token `[vib-api-token]`.
const API_TOKEN_GRANT: &str = "urn:custom:vcf:params:oauth:grant-type:api-token";

type Form = [(String, String)];

impl Desk<'_> {
    pub(super) fn broker_token(&mut self, call: &Call) -> Result<Answer, Refusal> {
        call.allow_query(&[])?;
        let form = call.form(&["grant_type", "client_id", "client_secret", "scope", "api_token"])?;
        let (granted, scopes) = match value(&form, "grant_type") {
            Some("client_credentials") => self.broker_client(call, &form)?,
            Some(API_TOKEN_GRANT) if self.settings.broker.api_tokens => {
                let api_token = value(&form, "api_token").unwrap_or_default();
                (self.api_token(api_token, None)?, vec![ADMIN.to_string()])
            }
            _ => return Err(Refusal::bad("unsupported_grant_type: grant_type must be client_credentials")),
        };
        let scopes = narrowed(scopes, value(&form, "scope").unwrap_or_default());
        let manages = scopes.iter().any(|scope| scope == ADMIN);
        let granted = if manages { granted } else { Grant { orgs: Some(vec![]), ..granted } };
        let access = self.issue(&granted);
        Ok(Answer::ok(json!({
            "access_token": access, "token_type": "Bearer", "expires_in": granted.lifetime.saturating_sub(1),
            "scope": scopes.join(" "),
        }))
        .media_type("application/json;charset=UTF-8"))
    }

    /// Client credentials in a Basic header or in the form, not in both; the scopes are those of the client.
    fn broker_client(&self, call: &Call, form: &Form) -> Result<(Grant, Vec<String>), Refusal> {
        let in_form = value(form, "client_id").zip(value(form, "client_secret"));
        let in_form = in_form.map(|(id, secret)| (id.to_string(), secret.to_string()));
        let (id, secret) = match (call.basic(), in_form) {
            (Some(credentials), None) | (None, Some(credentials)) => credentials,
            (Some(_), Some(_)) => return Err(Refusal::bad("invalid_request: give the credentials once")),
            (None, None) => {
                let status = self.settings.broker.bad_client_status;
                return Err(Refusal::new(status, "invalid_client: client credentials are required"));
            }
        };
        let granted = self.client(&id, &secret, Some(call.org()))?;
        let app = self.realm.apps.at(&id, self.known_at());
        let scopes = app.map_or(vec![ADMIN], |app| texts(&app.fields, "scope"));
        Ok((granted, scopes.into_iter().map(String::from).collect()))
    }
}

/// The scopes that are asked for, without those that the client does not have; all of its own when none is.
fn narrowed(mut scopes: Vec<String>, asked: &str) -> Vec<String> {
    let asked: Vec<&str> = asked.split_whitespace().collect();
    scopes.retain(|scope| asked.is_empty() || asked.contains(&scope.as_str()));
    scopes
}

/// What a client of a tenant may do by its rule sets.
pub(super) fn grant(subject: String, tenant: &str, rule_sets: Vec<String>, lifetime: u64) -> Grant {
    let has = |name: &str| rule_sets.iter().any(|rule_set| rule_set == name);
    Grant {
        orgs: Some(if has(TENANT_ADMIN) || has(READ_ONLY) { vec![tenant.to_string()] } else { vec![] }),
        read_only: !has(TENANT_ADMIN),
        subject,
        context_org: tenant.to_string(),
        perms: rule_sets,
        lifetime,
    }
}

/// What a client that was created may do.
pub(super) fn app_grant(app: &App, lifetime: u64) -> Grant {
    let rule_sets = texts(&app.fields, "rule_set_names").into_iter().map(String::from).collect();
    grant(app.id.clone(), &app.org, rule_sets, lifetime)
}

/// A token of Identity Broker says no more than whose it is and how long it is valid `[vib-claims]`.
pub(super) fn claims(grant: &Grant, issued: u64, expires: u64) -> Value {
    let tenant = &grant.context_org;
    json!({
        "iss": format!("https://vcenter.example.com/acs/t/{tenant}"), "sub": format!("{}@{tenant}", grant.subject),
        "iat": issued, "exp": expires, "jti": uuid(),
    })
}
