//! Finds out from the spec alone that the tokens of an app have no role, so that an app that is Ready can do little.
//! It is advice: nothing is wrong with the app, and roles that someone else gave it are not read.

use crate::crd::{AdoptionPolicy, AllowedScopes, GrantType, OrgOAuthApp, Roles};
use std::collections::HashSet;

const ONLY_SCOPES: &str = "According to the spec, its tokens have no role: allowedScopes allows roles, but roles names none; name each role in both.";
const ONLY_ROLES: &str = "According to the spec, its tokens have no role: allowedScopes allows none of those in roles; name each role in both.";

/// A service by its definition id, or the organization itself.
type Place<'a> = Option<&'a str>;

/// A sentence about it for the message of `Ready`. There is none for an app that can act for users, whose roles its tokens may
/// have, and none for one that was adopted and keeps the scopes or roles that the spec omits.
pub(crate) fn role_note(app: &OrgOAuthApp) -> Option<&'static str> {
    let spec = &app.spec;
    let keeps_omitted = spec.allowed_scopes.is_none() || spec.roles.is_none();
    if !acts_for_itself_only(spec.grant_types()) || (may_be_adopted(app) && keeps_omitted) {
        return None;
    }
    let allowed = spec.allowed_scopes.as_ref().map(allowed).unwrap_or_default();
    let assigned = spec.roles.as_ref().map(assigned).unwrap_or_default();
    let is_allowed =
        |(place, role): &(Place, &str)| allowed.contains(&(*place, None)) || allowed.contains(&(*place, Some(*role)));
    if assigned.is_empty() {
        (!allowed.is_empty()).then_some(ONLY_SCOPES)
    } else {
        (!assigned.iter().any(is_allowed)).then_some(ONLY_ROLES)
    }
}

fn acts_for_itself_only(grant_types: &[GrantType]) -> bool {
    grant_types.iter().all(|grant_type| match grant_type {
        GrantType::ClientCredentials => true,
        GrantType::AuthorizationCode
        | GrantType::RefreshToken
        | GrantType::ClientDelegate
        | GrantType::AudienceExchange
        | GrantType::ContextSwitch => false,
    })
}

fn may_be_adopted(app: &OrgOAuthApp) -> bool {
    let was_adopted = app.status.as_ref().is_some_and(|status| status.adopted == Some(true));
    was_adopted || app.spec.adoption_policy != AdoptionPolicy::Never
}

/// The roles that tokens may have, by name; without a name, every role of that place.
fn allowed(scopes: &AllowedScopes) -> HashSet<(Place<'_>, Option<&str>)> {
    let organization = scopes.organization_scopes.iter();
    let organization = organization.map(|s| (None, s.all_roles, s.all_permissions, &s.permissions, &s.roles));
    let services =
        scopes.services_scopes.iter().flatten().map(|s| {
            (Some(s.service_definition_id.as_str()), s.all_roles, s.all_permissions, &s.permissions, &s.roles)
        });
    let roles = organization.chain(services).flat_map(|(place, all_roles, all_permissions, permissions, roles)| {
        // A permission can be part of any role.
        let has_permissions = all_permissions == Some(true) || permissions.as_ref().is_some_and(|all| !all.is_empty());
        let every_role = (all_roles == Some(true) || has_permissions).then_some((place, None));
        let by_name = roles.iter().flatten().map(move |role| (place, Some(role.name.as_str())));
        every_role.into_iter().chain(by_name)
    });
    roles.collect()
}

fn assigned(roles: &Roles) -> HashSet<(Place<'_>, &str)> {
    let organization = roles.organization_roles.iter().map(|role| (None, role.name.as_str()));
    let services = roles.service_roles.iter().flat_map(|service| {
        let place = Some(service.service_definition_id.as_str());
        service.service_roles.iter().map(move |role| (place, role.name.as_str()))
    });
    organization.chain(services).collect()
}
