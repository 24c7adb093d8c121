//! The VCF Identity Broker: `/acs/t/{tenant}` below the endpoint, where the tenant is the organization. [vib-index]
//! Its names are in snake case, its lifetimes are in minutes, and it has neither roles nor memberships.

mod fields;

use super::{ApiFlavor, EndRotation, GrantTypes, Memberships, PageFormat};
use crate::crd::{GrantType, OrgOAuthAppSpec};
use crate::iam::answer::Answer;
use crate::iam::app_fields::Values;
use crate::iam::authentication::{Authentication, TokenOrganization, claims::TokenClaims};
use crate::iam::request::{Body, Page, Request, url};
use crate::iam::{
    ClientCredentials, ClientId, ClientSecret, ConnectionCredentials, CredentialsKind, Deletion, Error, NewApp,
    Operation, OrgId, Update,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// The Identity Broker flavor.
pub(super) struct IdentityBroker;

/// The media types of a client, of a list of clients and of a rotation. [vib-create, vib-list, vib-rotate]
const CLIENT: &str = "application/vnd.vmware.horizon.manager.accesscontrol.broker.oauth2client.with.rule.sets+json";
const LIST: &str = "application/vnd.vmware.horizon.manager.accesscontrol.broker.oauth2client.list+json";
const ROTATION: &str = "application/vnd.vmware.horizon.manager.accesscontrol.broker.oauth2client.secret.rotation+json";

/// How many clients a page has at most. The largest number is not documented; a refused one is left out. (undocumented)
const PAGE_SIZE: usize = 200;

fn token_path(tenant: &str) -> [&str; 4] {
    ["acs", "t", tenant, "token"]
}

fn clients(operation: Operation, method: Method, tenant: &OrgId) -> Request {
    Request::new(operation, method, &["acs", "t", &tenant.0, "broker", "oauth2-clients"])
}

fn client(operation: Operation, method: Method, tenant: &OrgId, id: &ClientId) -> Request {
    Request::new(operation, method, &["acs", "t", &tenant.0, "broker", "oauth2-clients", &id.0])
}

/// One of the two actions of a rotation. [vib-rotate]
fn rotation(operation: Operation, tenant: &OrgId, id: &ClientId, action: &str) -> Request {
    let request = client(operation, Method::POST, tenant, id).media_type(ROTATION);
    Request { query: vec![("action", action.to_owned())], ..request }
}

/// The body of a create or an update, with the secret that it sets.
fn body(mut fields: Values, secret: Option<&ClientSecret>) -> Body {
    if let Some(secret) = secret {
        fields.insert("secret".into(), secret.expose().into());
    }
    Body::Json(Value::Object(fields))
}

impl Authentication for IdentityBroker {
    /// The path of a token request names the tenant. [vib-token]
    fn token_organization(&self, _: CredentialsKind) -> TokenOrganization {
        TokenOrganization::Named
    }

    /// [vib-token]
    fn token_request(&self, org: Option<&OrgId>, credentials: &ConnectionCredentials) -> Request {
        let basic = match credentials {
            ConnectionCredentials::Client { id, secret } => Some((id.clone(), secret.clone())),
            // `accepts` refuses it before.
            ConnectionCredentials::ApiToken(_) => None,
        };
        let fields = vec![("grant_type", "client_credentials".to_owned())];
        // A path with an empty segment, as without a tenant, is not sent.
        let path = token_path(org.map_or("", |org| &org.0));
        Request::new(Operation::GetAccessToken, Method::POST, &path)
            .body(Body::Form { fields, basic })
            .response_is_secret()
    }

    /// [vib-token]
    fn token_url(&self, endpoint: &str, org: &OrgId) -> String {
        url(endpoint, &token_path(&org.0))
    }

    fn advice_without_token(&self) -> &'static str {
        "use an IamConnection with an OAuth client of that tenant"
    }

    /// Of the credentials that a connection can have, these are documented. [vib-token]
    fn accepts(&self, kind: CredentialsKind) -> bool {
        match kind {
            CredentialsKind::ClientCredentials => true,
            CredentialsKind::ApiToken => false,
        }
    }

    /// A token of the broker does not name its rule sets. (undocumented)
    fn why_forbidden(&self, _: &TokenClaims, _: Operation) -> String {
        "the OAuth client of the IamConnection needs a rule set, and perhaps the scope admin, to manage OAuth clients"
            .into()
    }

    /// [vib-security]
    fn token_header(&self) -> (&'static str, &'static str) {
        ("authorization", "Bearer ")
    }
}

impl ApiFlavor for IdentityBroker {
    fn name(&self) -> &'static str {
        "IdentityBroker"
    }

    /// [vib-client]
    fn request_fields(&self) -> &'static [&'static str] {
        &fields::NAMES
    }

    fn unsupported_paths(&self) -> &'static [&'static str] {
        &["context", "allowedScopes.organizationScopes", "allowedScopes.servicesScopes"]
    }

    /// Beside a rule set, in versions that have them. [vib-client]
    fn admin_scopes(&self) -> &'static [&'static str] {
        &["admin"]
    }

    /// Those of its grant types that `OrgOAuthApp` has. [vib-powercli]
    fn grant_types(&self) -> GrantTypes {
        GrantTypes::AnyOf(&[GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::ClientCredentials])
    }

    fn invalid_values(&self, spec: &OrgOAuthAppSpec) -> Vec<String> {
        fields::invalid_values(spec)
    }

    /// A command of the vendor that changes a client cannot change it. [vib-powercli]
    fn immutable_fields(&self) -> &'static [&'static str] {
        &["publicClient"]
    }

    fn update_only_fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// The first version has neither `display_name` nor `description`. [vib-client]
    fn required_in_create(&self) -> &'static [&'static str] {
        &[]
    }

    fn required_in_update(&self) -> &'static [&'static str] {
        &[]
    }

    fn shown_fields(&self) -> Vec<&'static str> {
        fields::shown_names()
    }

    /// [vib-client, vib-read]
    fn informative_fields(&self) -> &'static [&'static str] {
        &["id", "client_type", "last_secret_rotated_at", "primary_secret_auto_retires_at", "_links"]
    }

    fn normalize(&self, shown: Values) -> Values {
        fields::from_api(shown)
    }

    /// [vib-create]
    fn create(&self, org: &OrgId, app: &NewApp) -> Request {
        let mut fields = fields::to_api(&app.fields);
        fields.insert("client_id".into(), app.id.0.clone().into());
        clients(Operation::CreateApp, Method::POST, org)
            .media_type(CLIENT)
            .body(body(fields, app.secret.as_ref()))
            .with_secret(app.secret.as_ref())
    }

    /// It would generate a secret and show it once. One of our own is durable before the request. [vib-create]
    fn issues_secrets(&self) -> bool {
        false
    }

    fn issued_credentials(&self, answer: &Answer, app: &NewApp) -> Result<ClientCredentials, Error> {
        let shown = answer.app(self, &app.id)?;
        Ok(ClientCredentials { client_id: shown.id, client_secret: app.secret.clone() })
    }

    /// [vib-read]
    fn read(&self, org: &OrgId, id: &ClientId) -> Request {
        client(Operation::ReadApp, Method::GET, org, id).media_type(CLIENT)
    }

    /// A 404 for a client has an empty body; other errors are JSON. [vib-read]
    fn is_from_api(&self, answer: &Answer) -> bool {
        let is_about_client = match answer.operation {
            Operation::ReadApp
            | Operation::UpdateApp
            | Operation::RotateSecret
            | Operation::EndRotation
            | Operation::DeleteApp => true,
            Operation::GetAccessToken
            | Operation::CreateApp
            | Operation::ListApps
            | Operation::AddAppToOrganization
            | Operation::ReadClient
            | Operation::ListClients
            | Operation::ReadTokenDetails
            | Operation::ChangeRoles => false,
        };
        answer.is_json_object() || (is_about_client && answer.body.is_empty())
    }

    /// So something in between could deny a client, but not list the others. [vib-read]
    fn confirms_absence_by_list(&self) -> bool {
        true
    }

    /// By up to an hour. [vib-rotate]
    fn retires_late(&self) -> bool {
        true
    }

    /// Pages are counted from 1. [vib-list]
    fn list(&self, org: &OrgId, page: &Page) -> Request {
        let start = page.start.clone().map(|start| ("start_index", start));
        let limit = page.limit.clone().map(|limit| ("page_size", limit));
        let request = clients(Operation::ListApps, Method::GET, org).media_type(LIST);
        Request { query: start.into_iter().chain(limit).collect(), ..request }
    }

    fn list_unsupported(&self, answer: &Answer) -> bool {
        matches!(answer.status, 405 | 501)
    }

    /// An entry has neither grant types nor lifetimes. [vib-list]
    fn list_is_summary(&self) -> bool {
        true
    }

    fn page_limit(&self) -> usize {
        PAGE_SIZE
    }

    /// [vib-list]
    fn page_format(&self) -> PageFormat {
        PageFormat { entries: "items", total: "totalCount", next: None, ids: &["client_id"] }
    }

    /// The number of the next page. The API may give fewer entries than were asked for, so the answers are counted.
    fn next_page(&self, page: &Page, _: Option<&str>) -> Option<Page> {
        let number = page.start.as_ref().map_or(Some(1), |number| number.parse::<usize>().ok())?;
        Some(Page { start: Some((number + 1).to_string()), limit: page.limit.clone() })
    }

    /// [vib-patch]
    fn update(&self, org: &OrgId, id: &ClientId, update: &Update) -> Request {
        client(Operation::UpdateApp, Method::PATCH, org, id)
            .media_type(CLIENT)
            .body(body(fields::to_api(&update.fields), update.secret.as_ref()))
            .with_secret(update.secret.as_ref())
    }

    /// [vib-rotate]
    fn rotate_secret(
        &self,
        org: &OrgId,
        id: &ClientId,
        secret: &ClientSecret,
        overlap: Duration,
    ) -> Result<Request, Error> {
        let minutes = fields::overlap_minutes(overlap).map_err(Error::Rejected)?;
        let body = json!({"secondary_secret": secret.expose(), "primary_secret_auto_retire_duration": minutes});
        let request = rotation(Operation::RotateSecret, org, id, "start-rotate-secret");
        Ok(request.body(Body::Json(body)).with_secret(Some(secret)))
    }

    /// What an update of the secret does to a rotation in progress is not documented. (undocumented)
    fn ends_rotation_first(&self) -> bool {
        true
    }

    /// Without a body. [vib-rotate]
    fn end_rotation(&self) -> Option<EndRotation> {
        Some(|org, id| rotation(Operation::EndRotation, org, id, "retire-primary-secret"))
    }

    /// A 400 can mean that a rotation is in progress, that none is, or that the request is wrong. [vib-rotate]
    fn leaves_rotation_open(&self, answer: &Answer) -> bool {
        answer.status == 400
    }

    /// [vib-delete]
    fn delete(&self, org: &OrgId, ids: &[ClientId]) -> Request {
        let none = ClientId(String::new());
        client(Operation::DeleteApp, Method::DELETE, org, ids.first().unwrap_or(&none))
    }

    fn max_deletions(&self) -> usize {
        1
    }

    fn deletion(&self, answer: &Answer) -> Option<Deletion> {
        (answer.status == 404 && self.is_from_api(answer)).then_some(Deletion::NotFound)
    }

    fn memberships(&self) -> Option<&dyn Memberships> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_404_without_a_body_is_treated_as_app_not_found() {
        let is_from_api = |body| IdentityBroker.is_from_api(&Answer::of(Operation::ReadApp, 404, body));
        assert!(is_from_api("") && is_from_api(r#"{"errors":[{"code":"x","message":"y"}]}"#));
        assert!(!is_from_api("<html></html>") && !is_from_api("default backend - 404"));
    }

    #[test]
    fn a_404_without_a_body_to_a_list_or_a_create_does_not_come_from_the_api() {
        for operation in [Operation::ListApps, Operation::CreateApp] {
            assert!(!IdentityBroker.is_from_api(&Answer::of(operation, 404, "")));
            assert!(IdentityBroker.is_from_api(&Answer::of(operation, 404, r#"{"errors":[]}"#)));
        }
    }

    #[test]
    fn pages_are_counted_from_1() {
        let limit = Some("200".to_owned());
        let second = IdentityBroker.next_page(&Page { start: None, limit: limit.clone() }, None);
        assert_eq!(second, Some(Page { start: Some("2".into()), limit: limit.clone() }));
        let third = IdentityBroker.next_page(&second.unwrap(), None);
        assert_eq!(third, Some(Page { start: Some("3".into()), limit }));
    }

    #[test]
    fn the_secret_of_a_new_client_is_the_one_that_was_sent() {
        let app = NewApp {
            id: ClientId("a".into()),
            context: None,
            fields: Values::new(),
            secret: Some(ClientSecret::new("hidden".into())),
        };
        let issued = |body| IdentityBroker.issued_credentials(&Answer::of(Operation::CreateApp, 201, body), &app);
        let credentials = ClientCredentials { client_id: app.id.clone(), client_secret: app.secret.clone() };
        assert_eq!(issued(r#"{"client_id":"a","secret":"other"}"#), Ok(credentials));
        assert!(issued(r#"{"client_id":"b"}"#).is_err());
    }
}
