//! The differences of the APIs: their fields, paths, requests and answers. A flavor is one file that implements `ApiFlavor` and
//! `Authentication`; everything else is written once, for all of them.

mod cloud_partner_navigator;
mod cloud_services;
mod identity_broker;

use super::answer::Answer;
use super::app_fields::{self, Values};
use super::authentication::Authentication;
use super::request::{Page, Request};
use super::{ClientCredentials, ClientId, ClientSecret, Context, Deletion, Error, NewApp, OrgId, Roles, Update};
use crate::crd::{Api, GrantType, OrgOAuthAppSpec};
use cloud_partner_navigator::CloudPartnerNavigator;
use cloud_services::CloudServices;
use identity_broker::IdentityBroker;
use std::time::Duration;

/// Every flavor.
pub const ALL: [&dyn ApiFlavor; 3] = [&CloudServices, &CloudPartnerNavigator, &IdentityBroker];

pub(crate) fn flavor(api: Api) -> &'static dyn ApiFlavor {
    match api {
        Api::CloudServices => &CloudServices,
        Api::CloudPartnerNavigator => &CloudPartnerNavigator,
        Api::IdentityBroker => &IdentityBroker,
    }
}

/// The names that a page of a list gives to its parts.
pub struct PageFormat {
    /// The array of entries.
    pub(crate) entries: &'static str,
    /// How many entries the whole list has.
    pub total: &'static str,
    /// A link to the next page, where there is one.
    pub next: Option<&'static str>,
    /// The id of an entry; the first of these that it has.
    pub ids: &'static [&'static str],
}

/// The grant types of an API.
pub enum GrantTypes {
    /// Every app has these, and no request sets them.
    Fixed(&'static [GrantType]),
    /// A request sets any of these.
    AnyOf(&'static [GrantType]),
}

/// One vendor API. Its defaults are what the known APIs have in common.
pub trait ApiFlavor: Authentication {
    /// The value of `api` that selects it.
    fn name(&self) -> &'static str;

    /// The fields of an app that a request can set.
    fn request_fields(&self) -> &'static [&'static str];

    /// What else of `OrgOAuthApp.spec` the API does not have: paths, in which `[]` stands for each item of a list. A spec that sets
    /// one is refused before any request.
    fn unsupported_paths(&self) -> &'static [&'static str];

    /// The general scopes with which the tokens of an app can manage the API itself.
    fn admin_scopes(&self) -> &'static [&'static str] {
        &[]
    }

    /// The grant types of an app.
    fn grant_types(&self) -> GrantTypes;

    /// What is wrong with the values of fields that the API has: the path of each, and what to do.
    fn invalid_values(&self, _spec: &OrgOAuthAppSpec) -> Vec<String> {
        Vec::new()
    }

    /// The fields that cannot be changed once the app exists.
    fn immutable_fields(&self) -> &'static [&'static str];

    /// The fields that an update can set and a create cannot.
    fn update_only_fields(&self) -> &'static [&'static str];

    /// The fields that each create must have, for which the operator has a default.
    fn required_in_create(&self) -> &'static [&'static str] {
        &["displayName", "description", "allowedScopes"]
    }

    /// The fields that each update must have.
    fn required_in_update(&self) -> &'static [&'static str];

    /// The names of the fields of an app that are kept of an answer.
    fn shown_fields(&self) -> Vec<&'static str> {
        [&["id", "clientId"], app_fields::APP_FIELDS, &["createdAt", "lastUpdatedAt", "lastUsedAt", "secretAge"]]
            .concat()
    }

    /// What the API shows of an app and nobody can set, by its names there.
    fn informative_fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// The numbers that an app gets where its create does not set them, under the names of the CRD.
    fn documented_defaults(&self) -> &'static [(&'static str, u32)] {
        &[]
    }

    /// An app as the API shows it, under the names and in the units of the CRD.
    fn normalize(&self, shown: Values) -> Values {
        shown
    }

    /// Creates an app.
    fn create(&self, org: &OrgId, app: &NewApp) -> Request;

    /// Whether a create without a secret is answered with one that the API generated. Otherwise a create has one.
    fn issues_secrets(&self) -> bool {
        true
    }

    /// The credentials of an app, from the answer to its create; a public client has no secret.
    fn issued_credentials(&self, answer: &Answer, app: &NewApp) -> Result<ClientCredentials, Error> {
        answer.credentials(&app.id, app.is_public())
    }

    /// Reads an app.
    fn read(&self, org: &OrgId, id: &ClientId) -> Request;

    /// Whether a 404 comes from the API itself, so that it says something about apps.
    fn is_from_api(&self, answer: &Answer) -> bool;

    /// Whether the list has to confirm that an app is gone before its resource goes, since a 404 does not show where it comes from.
    fn confirms_absence_by_list(&self) -> bool {
        false
    }

    /// Reads a page of the apps of an organization.
    fn list(&self, org: &OrgId, page: &Page) -> Request;

    /// Whether the answer to a list says that there is no such operation.
    fn list_unsupported(&self, answer: &Answer) -> bool;

    /// Whether an entry of the list lacks fields of the app, so that it says only whether the app was changed.
    fn list_is_summary(&self) -> bool {
        false
    }

    /// The longest page that is documented for any list. [csp-clients]
    fn page_limit(&self) -> usize {
        200
    }

    /// What a page of a list looks like. [csp-paged]
    fn page_format(&self) -> PageFormat {
        PageFormat { entries: "results", total: "totalResults", next: Some("nextLink"), ids: &["id", "clientId"] }
    }

    /// The page after this one, which has this link and is not the last; `None` ends the list.
    fn next_page(&self, _page: &Page, link: Option<&str>) -> Option<Page> {
        link.filter(|link| !link.is_empty()).map(Page::from_link)
    }

    /// Changes an app. A secret in it replaces every other one, unless `ends_rotation_first`.
    fn update(&self, org: &OrgId, id: &ClientId, update: &Update) -> Request;

    /// Gives an app a new secret beside the current one.
    fn rotate_secret(
        &self,
        org: &OrgId,
        id: &ClientId,
        secret: &ClientSecret,
        overlap: Duration,
    ) -> Result<Request, Error>;

    /// Whether a rotation in progress has to be ended before an update that replaces the secret.
    fn ends_rotation_first(&self) -> bool {
        false
    }

    /// The request that ends a rotation in progress, so that only the newer of the two secrets stays valid, where there is one.
    fn end_rotation(&self) -> Option<EndRotation>;

    /// Whether the previous secret can stay valid for a while after the end of its overlap, unless the rotation is ended.
    fn retires_late(&self) -> bool {
        false
    }

    /// Whether this answer about a rotation leaves open whether one is in progress, so that the app is read to find out.
    fn leaves_rotation_open(&self, _answer: &Answer) -> bool {
        false
    }

    /// Deletes apps.
    fn delete(&self, org: &OrgId, ids: &[ClientId]) -> Request;

    /// How many apps one request deletes at most.
    fn max_deletions(&self) -> usize;

    /// What an error status says about a deletion, where it is not an error.
    fn deletion(&self, answer: &Answer) -> Option<Deletion>;

    /// How apps get roles; `None` where an app belongs to its organization from the start, and has no roles.
    fn memberships(&self) -> Option<&dyn Memberships>;
}

/// The request that ends a rotation of an app.
pub type EndRotation = fn(&OrgId, &ClientId) -> Request;

/// The request for a page of the members of an organization.
pub type ListMembers = fn(&OrgId, &Page) -> Request;

/// How an API adds apps to organizations and gives them roles.
pub trait Memberships: Send + Sync {
    /// What the API does not have within `OrgOAuthApp.spec.roles`. It is rejected when the role is given, since the app works
    /// without it.
    fn unsupported_paths(&self) -> &'static [&'static str];

    /// Adds an app to its organization.
    fn add(&self, org: &OrgId, id: &ClientId, context: Option<Context>, roles: &Roles) -> Result<Request, Error>;

    /// Reads the roles of an app in its organization.
    fn read(&self, org: &OrgId, id: &ClientId) -> Request;

    /// The request for a page of the apps that were added to an organization, with their roles, where there is such a list.
    fn list(&self) -> Option<ListMembers>;

    /// Gives roles to an app and takes roles from it.
    fn change(&self, org: &OrgId, id: &ClientId, add: &Roles, remove: &Roles) -> Result<Request, Error>;
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
