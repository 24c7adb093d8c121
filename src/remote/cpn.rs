//! VMware Cloud Partner Navigator: `/v2` and `/v1` below the endpoint. [cpn-create]
//! Requests are exactly what its documentation shows; deletion, which it does not show, is asked for as Cloud Services has it.

use super::answer::Answer;
use super::request::{Body, Dialect, Request, create_body};
use super::{ApiCredentials, ClientId, Context, Deletion, Fault, NewApp, OrgId, Roles};
use crate::crd::Role;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// The Cloud Partner Navigator dialect.
pub struct CloudPartnerNavigator;

impl Dialect for CloudPartnerNavigator {
    /// API tokens are per organization, and the exchange of a client names one. [cpn-guide, cpn-account-token]
    fn token_of(&self, org: &OrgId) -> Option<OrgId> {
        Some(org.clone())
    }

    fn exchange(&self, org: &OrgId, credentials: &ApiCredentials) -> Request {
        let (path, body): (&[&str], _) = match credentials {
            ApiCredentials::ApiToken(token) => {
                (&["v1", "authn", "accesstoken"], json!({"refreshToken": token.expose_secret()}))
            }
            ApiCredentials::Client { id, secret } => (
                &["v1", "authn", "accounts", &org.0, "accesstoken"],
                json!({"clientId": id, "clientSecret": secret.expose_secret()}),
            ),
        };
        Request::new("get access token", Method::POST, path).body(Body::Json(body)).secretive()
    }

    /// [cpn-guide]
    fn token_header(&self) -> (&'static str, &'static str) {
        ("csp-auth-token", "")
    }

    fn create(&self, org: &OrgId, app: &NewApp) -> Request {
        Request::new("create app", Method::POST, &["v2", "orgs", &org.0, "oauth-apps"])
            .context(app.context)
            .body(create_body(app))
            .secretive()
    }

    fn read(&self, org: &OrgId, id: &ClientId) -> Request {
        Request::new("read app", Method::GET, &["v2", "orgs", &org.0, "oauth-apps", &id.0])
    }

    /// The form of its errors is not documented, so only what is clearly not the API's is doubted. (undocumented)
    fn is_own(&self, answer: &Answer) -> bool {
        !answer.is_html()
    }

    /// No body is documented. [cpn-secret-put]
    fn regenerate_secret(&self, org: &OrgId, id: &ClientId) -> Request {
        Request::new("regenerate secret", Method::PUT, &["v2", "orgs", &org.0, "oauth-apps", &id.0, "secret"])
            .secretive()
    }

    /// By analogy; no page about it was found. (undocumented)
    fn delete(&self, org: &OrgId, id: &ClientId) -> Request {
        Request::new("delete app", Method::DELETE, &["v2", "orgs", &org.0, "oauth-apps"])
            .body(Body::Json(json!({"clientIdsToDelete": [id.0]})))
    }

    /// A 404 can mean that there is no such operation or no such app; a read tells, and is due after either.
    fn deletion(&self, answer: &Answer) -> Option<Deletion> {
        matches!(answer.status, 404 | 405 | 501).then_some(Deletion::NotOffered)
    }

    /// [cpn-clients-post]
    fn add(&self, org: &OrgId, id: &ClientId, context: Option<Context>, roles: &Roles) -> Result<Request, Fault> {
        let mut body = json!({"ids": [id.0]});
        if !roles.organization_roles.is_empty() {
            body["organizationRoles"] = names(&roles.organization_roles)?;
        }
        if !roles.service_roles.is_empty() {
            let services = roles.service_roles.iter().map(|service| {
                let names = names(&service.service_roles)?;
                Ok(json!({"serviceDefinitionId": service.service_definition_id, "serviceRoles": names}))
            });
            body["serviceRoles"] = services.collect::<Result<_, Fault>>()?;
        }
        let path = ["v2", "orgs", &org.0, "clients"];
        let request = Request::new("add app to organization", Method::POST, &path);
        Ok(request.context(context).body(Body::Json(body)))
    }
}

/// Roles have a name here and nothing else; what cannot be said is refused rather than left out.
fn names(roles: &[Role]) -> Result<Value, Fault> {
    let name = |role: &Role| match &role.resource {
        None => Ok(json!({"name": role.name})),
        Some(_) => Err(Fault::Rejected(format!("a role's resource, as of {}, is unknown to this API", role.name))),
    };
    roles.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::request::Quote;
    use crate::remote::scrub::Known;

    fn answer(status: u16, body: &str) -> Answer {
        let known = Known::default();
        Answer { operation: "read app", status, retry_after: None, body: body.into(), quote: Quote::Any, known }
    }

    #[test]
    fn a_page_for_people_does_not_say_that_an_app_is_absent() {
        for body in ["", "{}", r#"{"error":"x"}"#, "no such app"] {
            assert!(CloudPartnerNavigator.is_own(&answer(404, body)), "{body}");
        }
        assert!(!CloudPartnerNavigator.is_own(&answer(404, "\n<!DOCTYPE html>")));
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
        assert_eq!(names(&[role(None)]), Ok(json!([{"name": "org_member"}])));
        assert!(matches!(names(&[role(None), role(Some("instance:1"))]), Err(Fault::Rejected(_))));
    }
}
