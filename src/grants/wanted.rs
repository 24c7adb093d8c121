//! What a resource asks for: every field of its spec that can give its app more than the bare registration does.
//! A resource that is being deleted asks for nothing.

use crate::crd::{Api, GrantType, OrgOAuthApp, Permission, Role};
use crate::iam::flavor::flavor;

/// The name by which an administrator allows everything of a kind.
pub(super) const EVERY: &str = "*";

/// One thing that a resource asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted<'a> {
    GrantType(GrantType),
    GeneralScope(&'a str),
    /// A general scope with which tokens can manage the API itself.
    AdminScope(&'a str),
    OrganizationRole(Asked<'a>),
    /// A role in the service of this id.
    ServiceRole(&'a str, Asked<'a>),
    /// A rule set.
    RuleSet(&'a str),
    /// A place to which an authorization or a logout returns.
    RedirectUri(&'a str),
    /// Any such place.
    OpenRedirects,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked<'a> {
    /// The one of this name, whether or not it is limited to a resource.
    Role(&'a str),
    /// More than single roles can say: this field of `allowedScopes`.
    Every(&'static str),
    /// No role by name, only that the service is mentioned.
    None,
}

/// All that a resource asks for, in the order of its spec.
pub(crate) fn wanted(app: &OrgOAuthApp, api: Api) -> Vec<Wanted<'_>> {
    if app.metadata.deletion_timestamp.is_some() {
        return Vec::new();
    }
    let spec = &app.spec;
    let mut all: Vec<Wanted<'_>> = spec.grant_types().iter().copied().map(Wanted::GrantType).collect();
    let uris = [&spec.redirect_uris, &spec.post_logout_redirect_uris];
    all.extend(uris.into_iter().flatten().flatten().map(|uri| Wanted::RedirectUri(uri)));
    if spec.allow_open_redirect_uris == Some(true) {
        all.push(Wanted::OpenRedirects);
    }
    all.extend(scopes(app, flavor(api).admin_scopes()));
    all.extend(roles(app));
    all.extend(spec.rule_set_names.iter().flatten().map(|name| Wanted::RuleSet(name)));
    all
}

fn scopes<'a>(app: &'a OrgOAuthApp, admin: &'static [&'static str]) -> impl Iterator<Item = Wanted<'a>> {
    app.spec.allowed_scopes.iter().flat_map(move |scopes| {
        let general = scopes.general_scopes.iter().flatten().map(move |scope| {
            if admin.contains(&scope.as_str()) { Wanted::AdminScope(scope) } else { Wanted::GeneralScope(scope) }
        });
        let organization = scopes.organization_scopes.iter().flat_map(|scopes| {
            let every = every(scopes.all_roles, scopes.all_permissions, scopes.permissions.as_deref());
            named(scopes.roles.as_deref()).chain(every).map(Wanted::OrganizationRole)
        });
        let services = scopes.services_scopes.iter().flatten().flat_map(|scopes| {
            let every = every(scopes.all_roles, scopes.all_permissions, scopes.permissions.as_deref());
            let asked = [Asked::None].into_iter().chain(named(scopes.roles.as_deref())).chain(every);
            asked.map(|asked| Wanted::ServiceRole(&scopes.service_definition_id, asked))
        });
        general.chain(organization).chain(services)
    })
}

fn roles(app: &OrgOAuthApp) -> impl Iterator<Item = Wanted<'_>> {
    app.spec.roles.iter().flat_map(|roles| {
        let organization = named(Some(&roles.organization_roles)).map(Wanted::OrganizationRole);
        let services = roles.service_roles.iter().flat_map(|service| {
            let asked = [Asked::None].into_iter().chain(named(Some(&service.service_roles)));
            asked.map(|asked| Wanted::ServiceRole(&service.service_definition_id, asked))
        });
        organization.chain(services)
    })
}

fn named(roles: Option<&[Role]>) -> impl Iterator<Item = Asked<'_>> {
    roles.unwrap_or_default().iter().map(|role| Asked::Role(&role.name))
}

/// A permission can be part of any role, so one by its id needs as much as all of them.
fn every<'a>(
    all_roles: Option<bool>,
    all_permissions: Option<bool>,
    permissions: Option<&'a [Permission]>,
) -> impl Iterator<Item = Asked<'a>> {
    let some = permissions.is_some_and(|permissions| !permissions.is_empty());
    let fields = [
        ("allRoles", all_roles == Some(true)),
        ("allPermissions", all_permissions == Some(true)),
        ("permissions", some),
    ];
    fields.into_iter().filter(|(_, asked)| *asked).map(|(field, _)| Asked::Every(field))
}
