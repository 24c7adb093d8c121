//! The differences of the APIs: their fields, paths, requests and answers. A flavor is one file that implements `ApiFlavor` and
//! `Authentication`; everything else is written once, for all of them.

mod cloud_partner_navigator;
mod cloud_services;

use super::answer::Answer;
use super::app_fields::{self, Values};
use super::authentication::Authentication;
use super::request::{Page, Request};
use super::{ClientCredentials, ClientId, ClientSecret, Context, Deletion, Error, NewApp, OrgId, Roles, Update};
use crate::crd::{Api, GrantType};
use cloud_partner_navigator::CloudPartnerNavigator;
use cloud_services::CloudServices;
use std::time::Duration;

/// Every flavor.
pub const ALL: [&dyn ApiFlavor; 2] = [&CloudServices, &CloudPartnerNavigator];

/// The flavor of an API.
pub fn flavor(api: Api) -> &'static dyn ApiFlavor {
    match api {
        Api::CloudServices => &CloudServices,
        Api::CloudPartnerNavigator => &CloudPartnerNavigator,
    }
}

/// The names that a page of a list gives to its parts.
pub struct PageFormat {
    /// The array of entries.
    pub entries: &'static str,
    /// How many entries the whole list has.
    pub total: &'static str,
    /// A link to the next page.
    pub next: &'static str,
    /// The id of an entry; the first of these that it has.
    pub ids: [&'static str; 2],
}

/// Makes the request for a page of a list.
pub type ListRequest = fn(&OrgId, &Page) -> Request;

/// One vendor API. Its defaults are what the known APIs have in common.
pub trait ApiFlavor: Authentication {
    /// The value of `api` that selects it.
    fn name(&self) -> &'static str;

    /// The fields of an app that a request can set.
    fn request_fields(&self) -> &'static [&'static str];

    /// What else of `OrgOAuthApp.spec` the API does not have: paths, in which `[]` stands for each item of a list. A spec that sets
    /// one is refused before any request.
    fn unsupported_paths(&self) -> &'static [&'static str];

    /// The same within `roles`. They are rejected when the role is given, since the app works without it.
    fn unsupported_role_paths(&self) -> &'static [&'static str];

    /// The grant types that every app has, where a request cannot set them.
    fn fixed_grant_types(&self) -> Option<&'static [GrantType]>;

    /// The fields that cannot be changed once the app exists.
    fn immutable_fields(&self) -> &'static [&'static str];

    /// The fields that an update can set and a create cannot.
    fn update_only_fields(&self) -> &'static [&'static str];

    /// The fields that each update must have.
    fn required_in_update(&self) -> &'static [&'static str];

    /// The names of the fields of an app that are kept of an answer.
    fn shown_fields(&self) -> Vec<&'static str> {
        [&["id", "clientId"], app_fields::APP_FIELDS, &["createdAt", "lastUpdatedAt", "lastUsedAt", "secretAge"]]
            .concat()
    }

    /// An app as the API shows it, under the names and in the units of the CRD.
    fn normalize(&self, shown: Values) -> Values {
        shown
    }

    /// Creates an app.
    fn create(&self, org: &OrgId, app: &NewApp) -> Request;

    /// The credentials in the answer to a create; a public client has no secret.
    fn issued_credentials(&self, answer: &Answer, id: &ClientId, public: bool) -> Result<ClientCredentials, Error> {
        answer.credentials(id, public)
    }

    /// Reads an app.
    fn read(&self, org: &OrgId, id: &ClientId) -> Request;

    /// Whether a 404 comes from the API itself, so that it says something about apps.
    fn is_from_api(&self, answer: &Answer) -> bool;

    /// Reads a page of the apps of an organization.
    fn list(&self, org: &OrgId, page: &Page) -> Request;

    /// Whether the answer to a list says that there is no such operation.
    fn list_unsupported(&self, answer: &Answer) -> bool;

    /// The longest page that is documented for any list. [csp-clients]
    fn page_limit(&self) -> &'static str {
        "200"
    }

    /// What a page of a list looks like. [csp-paged]
    fn page_format(&self) -> PageFormat {
        PageFormat { entries: "results", total: "totalResults", next: "nextLink", ids: ["id", "clientId"] }
    }

    /// The page after one with this link that is not the last, when so many entries were read; `None` ends the list.
    fn next_page(&self, link: Option<&str>, _entries: usize) -> Option<Page> {
        link.filter(|link| !link.is_empty()).map(Page::from_link)
    }

    /// Changes an app.
    fn update(&self, org: &OrgId, id: &ClientId, update: &Update) -> Request;

    /// Gives an app a new secret beside the current one.
    fn rotate_secret(
        &self,
        org: &OrgId,
        id: &ClientId,
        secret: &ClientSecret,
        overlap: Duration,
    ) -> Result<Request, Error>;

    /// Deletes apps.
    fn delete(&self, org: &OrgId, ids: &[ClientId]) -> Request;

    /// How many apps one request deletes at most.
    fn max_deletions(&self) -> usize;

    /// What an error status says about a deletion, where it is not an error.
    fn deletion(&self, answer: &Answer) -> Option<Deletion>;

    /// Adds an app to its organization.
    fn add_member(&self, org: &OrgId, id: &ClientId, context: Option<Context>, roles: &Roles)
    -> Result<Request, Error>;

    /// Reads the roles of an app in its organization.
    fn read_roles(&self, org: &OrgId, id: &ClientId) -> Request;

    /// Reads a page of the apps that were added to an organization, with their roles; `None` where there is no such list.
    fn member_list(&self) -> Option<ListRequest>;

    /// Gives roles to an app and takes roles from it.
    fn change_roles(&self, org: &OrgId, id: &ClientId, add: &Roles, remove: &Roles) -> Result<Request, Error>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn token_urls_are_those_of_client_credentials() {
        let org = OrgId("org-1".into());
        let url = |api, endpoint| flavor(api).token_url(endpoint, &org);
        assert_eq!(
            url(Api::CloudServices, "https://iam.example.com"),
            "https://iam.example.com/csp/gateway/am/api/auth/authorize"
        );
        assert_eq!(
            url(Api::CloudPartnerNavigator, "https://iam.example.com/auth/"),
            "https://iam.example.com/auth/v1/authn/accounts/org-1/accesstoken"
        );
    }

    #[test]
    fn every_api_selects_the_flavor_of_its_name() {
        for flavor_of_name in ALL {
            let api: Api = serde_json::from_value(json!(flavor_of_name.name())).unwrap();
            assert_eq!(flavor(api).name(), flavor_of_name.name());
        }
    }
}
