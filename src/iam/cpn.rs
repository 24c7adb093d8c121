//! VMware Cloud Partner Navigator: `/v2` and `/v1` below the endpoint. [cpn-create]
//! Requests are exactly what its documentation shows; deletion, which it does not show, is asked for as Cloud Services has it.

use super::answer::Answer;
use super::flavor::ApiFlavor;
use super::request::{Body, Request, create_body, overlap_seconds, role_changes, role_names, update_body};
use super::{
    ApiCredentials, ClientId, ClientSecret, Context, CredentialsKind, Deletion, Error, NewApp, Operation, OrgId, Roles,
    Update,
};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::json;
use std::time::Duration;

/// The Cloud Partner Navigator flavor.
pub struct CloudPartnerNavigator;

impl ApiFlavor for CloudPartnerNavigator {
    /// The exchange of a client names one. [cpn-account-token]
    fn must_name_organization(&self, kind: CredentialsKind) -> bool {
        kind == CredentialsKind::ClientCredentials
    }

    fn exchange(&self, org: Option<&OrgId>, credentials: &ApiCredentials) -> Request {
        let (path, body): (&[&str], _) = match credentials {
            ApiCredentials::ApiToken(token) => {
                (&["v1", "authn", "accesstoken"], json!({"refreshToken": token.expose_secret()}))
            }
            ApiCredentials::Client { id, secret } => (
                // Without an organization the path is none, and is not sent.
                &["v1", "authn", "accounts", org.map_or("", |org| &org.0), "accesstoken"],
                json!({"clientId": id, "clientSecret": secret.expose_secret()}),
            ),
        };
        Request::new(Operation::GetAccessToken, Method::POST, path).body(Body::Json(body)).response_is_secret()
    }

    /// [cpn-reseller]
    fn advice_without_token(&self) -> &'static str {
        "use an IamConnection with an OAuth app of that organization, since one serves its own organization only"
    }

    /// [cpn-guide]
    fn token_header(&self) -> (&'static str, &'static str) {
        ("csp-auth-token", "")
    }

    fn create(&self, org: &OrgId, app: &NewApp) -> Request {
        Request::new(Operation::CreateApp, Method::POST, &["v2", "orgs", &org.0, "oauth-apps"])
            .context(app.context)
            .body(create_body(app))
            .with_secret(app.secret.as_ref())
    }

    fn read(&self, org: &OrgId, id: &ClientId) -> Request {
        Request::new(Operation::ReadApp, Method::GET, &["v2", "orgs", &org.0, "oauth-apps", &id.0])
    }

    /// The form of its errors is not documented, so only what is clearly not the API's is doubted. (undocumented)
    fn is_from_api(&self, answer: &Answer) -> bool {
        !answer.is_html()
    }

    /// By analogy; no page about it was found. (undocumented)
    fn list(&self, org: &OrgId) -> Request {
        Request::new(Operation::ListApps, Method::GET, &["v2", "orgs", &org.0, "oauth-apps"])
    }

    /// A 404 can mean that there is no such operation or no such organization; reading an app tells. (undocumented)
    fn list_unsupported(&self, answer: &Answer) -> bool {
        matches!(answer.status, 404 | 405 | 501)
    }

    /// [cpn-patch]
    fn update(&self, org: &OrgId, id: &ClientId, update: &Update) -> Request {
        Request::new(Operation::UpdateApp, Method::PATCH, &["v2", "orgs", &org.0, "oauth-apps", &id.0])
            .context(update.context)
            .body(update_body(update))
            .with_secret(update.secret.as_ref())
    }

    /// [cpn-secret-post]
    fn rotate_secret(
        &self,
        org: &OrgId,
        id: &ClientId,
        secret: &ClientSecret,
        overlap: Duration,
    ) -> Result<Request, Error> {
        let body =
            json!({"newClientSecret": secret.expose(), "secretExpirationTimeInSeconds": overlap_seconds(overlap)?});
        let path = ["v2", "orgs", &org.0, "oauth-apps", &id.0, "secret"];
        let request = Request::new(Operation::RotateSecret, Method::POST, &path);
        Ok(request.body(Body::Json(body)).with_secret(Some(secret)))
    }

    /// By analogy; no page about it was found. (undocumented)
    fn delete(&self, org: &OrgId, ids: &[ClientId]) -> Request {
        let ids: Vec<&String> = ids.iter().map(|id| &id.0).collect();
        Request::new(Operation::DeleteApp, Method::DELETE, &["v2", "orgs", &org.0, "oauth-apps"])
            .body(Body::Json(json!({"clientIdsToDelete": ids})))
    }

    /// A 404 can mean that there is no such operation or no such app; a read tells, and is due after either.
    fn deletion(&self, answer: &Answer) -> Option<Deletion> {
        matches!(answer.status, 404 | 405 | 501).then_some(Deletion::NotOffered)
    }

    /// [cpn-clients-post]
    fn add(&self, org: &OrgId, id: &ClientId, context: Option<Context>, roles: &Roles) -> Result<Request, Error> {
        let mut body = json!({"ids": [id.0]});
        if !roles.organization_roles.is_empty() {
            body["organizationRoles"] = role_names(&roles.organization_roles)?;
        }
        if !roles.service_roles.is_empty() {
            let services = roles.service_roles.iter().map(|service| {
                let names = role_names(&service.service_roles)?;
                Ok(json!({"serviceDefinitionId": service.service_definition_id, "serviceRoles": names}))
            });
            body["serviceRoles"] = services.collect::<Result<_, Error>>()?;
        }
        let path = ["v2", "orgs", &org.0, "clients"];
        let request = Request::new(Operation::AddAppToOrganization, Method::POST, &path);
        Ok(request.context(context).body(Body::Json(body)))
    }

    /// [cpn-clients-get]
    fn read_roles(&self, org: &OrgId, id: &ClientId) -> Request {
        Request::new(Operation::ReadClient, Method::GET, &["v2", "orgs", &org.0, "clients", &id.0])
    }

    fn list_clients(&self, _: &OrgId) -> Option<Request> {
        None
    }

    /// [cpn-roles-patch]
    fn change_roles(&self, org: &OrgId, id: &ClientId, add: &Roles, remove: &Roles) -> Result<Request, Error> {
        let path = ["v2", "clients", &id.0, "orgs", &org.0, "roles"];
        let body = Body::Json(role_changes(add, remove, role_names)?);
        Ok(Request::new(Operation::ChangeRoles, Method::PATCH, &path).body(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::Role;
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
    fn a_page_for_people_does_not_say_that_an_app_is_absent() {
        for body in ["", "{}", r#"{"error":"x"}"#, "no such app"] {
            assert!(CloudPartnerNavigator.is_from_api(&answer(404, body)), "{body}");
        }
        assert!(!CloudPartnerNavigator.is_from_api(&answer(404, "\n<!DOCTYPE html>")));
    }

    #[test]
    fn a_deletion_that_is_not_offered_is_no_fault() {
        for (status, deletion) in [
            (404, Some(Deletion::NotOffered)),
            (405, Some(Deletion::NotOffered)),
            (501, Some(Deletion::NotOffered)),
            (403, None),
            (500, None),
            (200, None),
        ] {
            assert_eq!(CloudPartnerNavigator.deletion(&answer(status, "")), deletion, "{status}");
        }
    }

    #[test]
    fn roles_are_names_and_nothing_is_left_out_silently() {
        let role = |resource: Option<&str>| Role { name: "org_member".into(), resource: resource.map(str::to_owned) };
        assert_eq!(role_names(&[role(None)]), Ok(json!([{"name": "org_member"}])));
        assert!(matches!(role_names(&[role(None), role(Some("instance:1"))]), Err(Error::Rejected(_))));
    }
}
