//! Why the API issued no access token that can be used, and the sentence about each cause.

use super::TokenClaims;
use super::claims::IP_POLICY;
use crate::iam::answer::Answer;
use crate::iam::request::Request;
use crate::iam::{CredentialsKind, Error, OrgId};

/// Why there is no access token that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// The API refused the credentials as such.
    #[error("the API refuses the credentials: {refusal}; {causes}")]
    Refused { refusal: String, causes: String },
    /// It refused a token for this organization. The credentials may get one for others, so this says nothing about the
    /// connection.
    #[error(
        "the API gives no access token for organization {org}: {refusal}; delete this resource and create it again with the right orgId, or {advice}; {causes}"
    )]
    RefusedForOrganization { org: OrgId, refusal: String, advice: &'static str, causes: String },
    /// The token is for another organization.
    #[error(
        "its access token is for organization {own}, and spec.orgId is {org}; use clientCredentials of an OAuth app that was added to both, or an IamConnection with credentials of organization {org}"
    )]
    WrongOrganization {
        /// The organization of the token.
        own: String,
        org: OrgId,
    },
}

impl TokenError {
    /// The API answered a token request with 4xx. A bad API token is answered with 400 or 404. [auth-apitok, image-builder-test]
    pub(crate) fn refused(
        org: Option<&OrgId>,
        request: &Request,
        answer: &Answer,
        kind: CredentialsKind,
        advice: &'static str,
    ) -> Self {
        let other_cause = match answer.status {
            403 => IP_POLICY,
            404 => WRONG_PATH,
            _ => "",
        };
        let refusal = answer.refusal();
        let causes = format!("{}{other_cause}", accepted_by(request, kind));
        match org {
            Some(org) if !answer.refuses_client() => {
                Self::RefusedForOrganization { org: org.clone(), refusal, advice, causes }
            }
            Some(_) | None => Self::Refused { refusal, causes },
        }
    }

    /// A token with these claims was needed for this organization.
    pub(crate) fn wrong_organization(claims: &TokenClaims, org: &OrgId) -> Self {
        let own = claims.organization.as_ref().map(ToString::to_string).unwrap_or_default();
        Self::WrongOrganization { own, org: org.clone() }
    }
}

impl From<TokenError> for Error {
    fn from(error: TokenError) -> Self {
        let message = error.to_string();
        match error {
            TokenError::Refused { .. } => Self::Credentials(message),
            TokenError::RefusedForOrganization { .. } => Self::Forbidden(message),
            TokenError::WrongOrganization { .. } => Self::WrongOrganization(message),
        }
    }
}

/// Another cause of a 404 to a token request.
const WRONG_PATH: &str =
    "; a wrong path in spec.endpoint of the IamConnection can also be the cause: correct spec.endpoint";

/// Which kind of credentials the path of a token request accepts.
fn accepted_by(request: &Request, kind: CredentialsKind) -> String {
    let path = request.path.join("/");
    match kind {
        CredentialsKind::ApiToken => format!("/{path} takes an API token, and no client id and secret of an OAuth app"),
        CredentialsKind::ClientCredentials => {
            format!("/{path} takes client id and secret of an OAuth app with client_credentials, and no API token")
        }
    }
}
