//! VMware Cloud Services: `/csp/gateway/am/api` below the endpoint. [csp-create]
//! Requests are exactly what its documentation shows.

use super::answer::Answer;
use super::flavor::ApiFlavor;
use super::request::{Body, Request, create_body, overlap_seconds, role_changes, update_body};
use super::{
    ApiCredentials, ClientId, ClientSecret, Context, CredentialsKind, Deletion, Error, NewApp, Operation, OrgId, Roles,
    Update,
};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::json;
use std::time::Duration;

/// The Cloud Services flavor.
pub struct CloudServices;

fn request(operation: Operation, method: Method, path: &[&str]) -> Request {
    Request::new(operation, method, &[&["csp", "gateway", "am", "api"], path].concat())
}

impl ApiFlavor for CloudServices {
    /// Without one, the token is for the organization that owns the app. [auth-token]
    fn must_name_organization(&self, _: CredentialsKind) -> bool {
        false
    }

    fn exchange(&self, org: Option<&OrgId>, credentials: &ApiCredentials) -> Request {
        let (path, fields, basic): (&[&str], _, _) = match credentials {
            ApiCredentials::ApiToken(token) => {
                (&["auth", "api-tokens", "authorize"], vec![("api_token", token.expose_secret().to_owned())], None)
            }
            ApiCredentials::Client { id, secret } => {
                let mut fields = vec![("grant_type", "client_credentials".to_owned())];
                fields.extend(org.map(|org| ("orgId", org.0.clone())));
                (&["auth", "authorize"], fields, Some((id.clone(), secret.clone())))
            }
        };
        request(Operation::GetAccessToken, Method::POST, path).body(Body::Form { fields, basic }).response_is_secret()
    }

    /// [csp-index]
    fn advice_without_token(&self) -> &'static str {
        "add the OAuth app of clientCredentials to that organization with the role developer"
    }

    /// [csp-security, kb-437409]
    fn token_header(&self) -> (&'static str, &'static str) {
        ("authorization", "Bearer ")
    }

    fn create(&self, org: &OrgId, app: &NewApp) -> Request {
        request(Operation::CreateApp, Method::POST, &["orgs", &org.0, "oauth-apps"])
            .body(create_body(app))
            .with_secret(app.secret.as_ref())
    }

    fn read(&self, org: &OrgId, id: &ClientId) -> Request {
        request(Operation::ReadApp, Method::GET, &["orgs", &org.0, "oauth-apps", &id.0])
    }

    /// Its errors are JSON; anything else comes from something in between, which knows nothing of apps. [tcsp-authn]
    fn is_from_api(&self, answer: &Answer) -> bool {
        answer.is_json_object()
    }

    /// [csp-list]
    fn list(&self, org: &OrgId) -> Request {
        request(Operation::ListApps, Method::GET, &["orgs", &org.0, "oauth-apps"])
    }

    /// It is documented, so a 404 is about the organization. [csp-list]
    fn list_unsupported(&self, answer: &Answer) -> bool {
        matches!(answer.status, 405 | 501)
    }

    /// [csp-patch]
    fn update(&self, org: &OrgId, id: &ClientId, update: &Update) -> Request {
        request(Operation::UpdateApp, Method::PATCH, &["orgs", &org.0, "oauth-apps", &id.0])
            .body(update_body(update))
            .with_secret(update.secret.as_ref())
    }

    /// [csp-secret-post]
    fn rotate_secret(
        &self,
        org: &OrgId,
        id: &ClientId,
        secret: &ClientSecret,
        overlap: Duration,
    ) -> Result<Request, Error> {
        let body =
            json!({"newClientSecret": secret.expose(), "secretRotationExpirationInSeconds": overlap_seconds(overlap)?});
        let path = ["orgs", &org.0, "oauth-apps", &id.0, "secret"];
        let request = request(Operation::RotateSecret, Method::POST, &path);
        Ok(request.body(Body::Json(body)).with_secret(Some(secret)))
    }

    /// On the collection, with the ids in the body. [csp-delete]
    fn delete(&self, org: &OrgId, ids: &[ClientId]) -> Request {
        let ids: Vec<&String> = ids.iter().map(|id| &id.0).collect();
        request(Operation::DeleteApp, Method::DELETE, &["orgs", &org.0, "oauth-apps"])
            .body(Body::Json(json!({"clientIdsToDelete": ids})))
    }

    /// A client of the API takes the words of the message for an absence too. [csp-delete]
    fn deletion(&self, answer: &Answer) -> Option<Deletion> {
        let said = || answer.message().is_some_and(|message| message.to_ascii_lowercase().contains("not found"));
        match answer.status {
            404 => Some(Deletion::NotFound),
            400 if said() => Some(Deletion::NotFound),
            _ => None,
        }
    }

    /// [csp-clients]
    fn add(&self, org: &OrgId, id: &ClientId, _: Option<Context>, roles: &Roles) -> Result<Request, Error> {
        let mut body = json!({"ids": [id.0]});
        if !roles.organization_roles.is_empty() {
            body["organizationRoles"] = json!(roles.organization_roles);
        }
        if !roles.service_roles.is_empty() {
            body["serviceRoles"] = json!(roles.service_roles);
        }
        let path = ["orgs", &org.0, "clients"];
        Ok(request(Operation::AddAppToOrganization, Method::POST, &path).body(Body::Json(body)))
    }

    /// Seen in a client; whether the API has it is found out by asking. [py-csptools]
    fn read_roles(&self, org: &OrgId, id: &ClientId) -> Request {
        request(Operation::ReadClient, Method::GET, &["clients", &id.0, "orgs", &org.0, "roles"])
    }

    /// [csp-clients]
    fn list_clients(&self, org: &OrgId) -> Option<Request> {
        Some(request(Operation::ListClients, Method::GET, &["orgs", &org.0, "clients"]))
    }

    /// A role can be one on a resource. [py-csptools, py-perf]
    fn change_roles(&self, org: &OrgId, id: &ClientId, add: &Roles, remove: &Roles) -> Result<Request, Error> {
        let body = Body::Json(role_changes(add, remove, |roles| Ok(json!(roles)))?);
        Ok(request(Operation::ChangeRoles, Method::PATCH, &["clients", &id.0, "orgs", &org.0, "roles"]).body(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::request::ErrorDisclosure;
    use crate::iam::scrub::KnownSecrets;

    fn answer(status: u16, body: &str) -> Answer {
        let known = KnownSecrets::default();
        Answer {
            operation: Operation::ReadApp,
            status,
            retry_after: None,
            note: None,
            body: body.into(),
            quote: ErrorDisclosure::Any,
            known,
        }
    }

    #[test]
    fn only_the_api_itself_can_say_that_an_app_is_absent() {
        assert!(CloudServices.is_from_api(&answer(404, r#"{"message":"no such app","statusCode":404}"#)));
        for body in ["", "404 page not found", "default backend - 404", "<html></html>", "[]", "null"] {
            assert!(!CloudServices.is_from_api(&answer(404, body)), "{body}");
        }
    }

    #[test]
    fn the_absence_of_an_app_is_no_fault_of_its_deletion() {
        let deletion = |status, body| CloudServices.deletion(&answer(status, body));
        assert_eq!(deletion(404, "{}"), Some(Deletion::NotFound));
        assert_eq!(deletion(400, r#"{"message":"Client was Not Found"}"#), Some(Deletion::NotFound));
        assert_eq!(deletion(400, r#"{"message":"too many ids"}"#), None);
        assert_eq!(deletion(500, r#"{"message":"not found"}"#), None);
        assert_eq!(deletion(200, "{}"), None);
    }
}
