//! The roles of an app in an organization, and the forms in which the APIs show them.
//! A role that comes through a group is shown and counts, and cannot be taken away `[tcsp-role-binding]`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::call::Refusal;
use crate::types::Membership;

/// A role, perhaps on one resource only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Role {
    pub name: String,
    pub resource: Option<String>,
    pub membership: Membership,
}

/// The roles of an app in an organization.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roles {
    pub organization: BTreeSet<Role>,
    pub services: BTreeMap<String, BTreeSet<Role>>,
    pub custom: BTreeSet<Role>,
}

impl Role {
    pub(crate) fn direct(name: impl Into<String>, resource: Option<String>) -> Self {
        Self { name: name.into(), resource, membership: Membership::Direct }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.resource == other.resource
    }

    fn to_json(&self) -> Value {
        json!({"name": self.name, "resource": self.resource, "expiresAt": null, "membershipType": self.membership})
    }
}

/// The names of roles, each once.
pub(crate) fn names(roles: &BTreeSet<Role>) -> BTreeSet<&str> {
    roles.iter().map(|role| role.name.as_str()).collect()
}

/// Refuses to remove a role that is not held directly but comes through a group.
pub(crate) fn check_removal(held: &BTreeSet<Role>, remove: &[Role]) -> Result<(), Refusal> {
    let inherited = |role: &&Role| !held.contains(*role) && held.iter().any(|h| h.is_same(role));
    match remove.iter().find(inherited) {
        Some(role) => Err(Refusal::bad(format!("role {} is inherited and cannot be removed", role.name))),
        None => Ok(()),
    }
}

impl Roles {
    /// `{organizationRoles: [{name}], serviceRoles: [{serviceDefinitionId, serviceRoles: [{name}]}]}`.
    pub(crate) fn to_json(&self) -> Value {
        let named = |roles| -> Vec<Value> { names(roles).iter().map(|name| json!({ "name": name })).collect() };
        let service = |(id, roles)| json!({"serviceDefinitionId": id, "serviceRoles": named(roles)});
        let services: Vec<Value> = self.services.iter().map(service).collect();
        json!({"organizationRoles": named(&self.organization), "serviceRoles": services})
    }

    /// The three lists of `ExpandedAuthClientDto` `[csp-clients]`; that an open `expiresAt` is null is undocumented.
    pub(crate) fn to_expanded_json(&self) -> Value {
        let all = |roles: &BTreeSet<Role>| -> Vec<Value> { roles.iter().map(Role::to_json).collect() };
        let organization = self.organization.iter().map(|role| {
            let mut shown = role.to_json();
            shown["displayName"] = json!(role.name);
            shown
        });
        let service = |(id, roles): (&String, &BTreeSet<Role>)| {
            let names = names(roles);
            json!({"serviceDefinitionId": id, "serviceRoleNames": names, "serviceRoles": all(roles)})
        };
        json!({
            "organizationRoles": organization.collect::<Vec<_>>(),
            "serviceRoles": self.services.iter().map(service).collect::<Vec<_>>(),
            "customRoles": all(&self.custom),
        })
    }
}
