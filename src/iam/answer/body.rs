//! The bodies of successes, as far as the operator uses them. [cpn-create, csp-create, csp-delete, csp-clients]
//! They are read leniently: a field that is unknown or of an unexpected type is as if absent.

use super::error_body::first_text;
use super::json::{AnyValue, FromAnyValue, skip, take};
use crate::crd::{Role, ServiceRoles};
use crate::iam::{ClientSecret, HeldRoles};
use serde::de::{MapAccess, SeqAccess};
use std::collections::HashSet;

/// The credentials that a create issues. They can hold a secret, so there is no `Debug`.
#[derive(Default)]
pub(super) struct CredentialsBody {
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: IssuedSecret,
}

/// The secret of an app, or why there is none.
#[derive(Default)]
pub(super) enum IssuedSecret {
    /// No such field, or null, or an empty text.
    #[default]
    Absent,
    /// A text, not checked yet.
    Text(ClientSecret),
    /// Neither a text nor null.
    UnexpectedType,
}

impl FromAnyValue for CredentialsBody {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "clientId" => self.client_id = take(map)?,
            "clientSecret" => self.client_secret = map.next_value_seed(AnyValue(IssuedSecret::UnexpectedType))?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

impl FromAnyValue for IssuedSecret {
    fn text(&mut self, text: &str) {
        *self = if text.is_empty() { Self::Absent } else { Self::Text(ClientSecret::new(text.to_owned())) };
    }

    fn null(&mut self) {
        *self = Self::Absent;
    }
}

/// The first failure about an app in a success. However long the list is, no other one is kept.
pub(super) struct PartialSuccess<F> {
    /// The field with the list of failures.
    pub(crate) list: &'static str,
    pub(crate) is_about_app: F,
    pub(crate) failure: Option<Failure>,
}

/// An entry in a list of failures: an id, or an object; which one is not documented everywhere. (undocumented)
#[derive(Default)]
pub(super) struct Failure {
    id: Option<String>,
    client_id: Option<String>,
    message: Option<String>,
    error: Option<String>,
}

impl Failure {
    /// The app that it names.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref().or(self.client_id.as_deref())
    }

    pub(super) fn message(&self) -> Option<&str> {
        first_text([&self.message, &self.error])
    }
}

impl FromAnyValue for Failure {
    fn text(&mut self, text: &str) {
        self.id = Some(text.to_owned());
    }

    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "id" => self.id = take(map)?,
            "clientId" => self.client_id = take(map)?,
            "message" => self.message = take(map)?,
            "error" => self.error = take(map)?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

impl<F: Fn(&Failure) -> bool> FromAnyValue for PartialSuccess<F> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if name != self.list {
            return skip(map);
        }
        let list = FailureList { is_about_app: &self.is_about_app, failure: None };
        self.failure = map.next_value_seed(AnyValue(list))?.failure;
        Ok(())
    }
}

struct FailureList<'a, F> {
    is_about_app: &'a F,
    failure: Option<Failure>,
}

impl<F: Fn(&Failure) -> bool> FromAnyValue for FailureList<'_, F> {
    fn entries<'de, A: SeqAccess<'de>>(&mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some(AnyValue(failure)) = entries.next_element()? {
            self.failure = self.failure.take().or_else(|| Some(failure).filter(self.is_about_app));
        }
        Ok(())
    }
}

/// The roles of an app in its organization. [cpn-clients-get, csp-clients]
impl FromAnyValue for HeldRoles {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "organizationRoles" => {
                let RoleList { direct, inherited } = take(map)?;
                self.direct.organization_roles = direct;
                self.inherited.organization_roles = inherited;
            }
            "serviceRoles" => {
                let ServiceList { direct, inherited } = take(map)?;
                self.direct.service_roles = direct;
                self.inherited.service_roles = inherited;
            }
            _ => skip(map)?,
        }
        Ok(())
    }
}

/// The roles in each service. Entries without the id of a service are left out.
#[derive(Default)]
struct ServiceList {
    direct: Vec<ServiceRoles>,
    inherited: Vec<ServiceRoles>,
}

impl FromAnyValue for ServiceList {
    fn entries<'de, A: SeqAccess<'de>>(&mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some(AnyValue(ServiceEntry { id, names, roles })) = entries.next_element()? {
            let Some(id) = id else { continue };
            let RoleList { direct, inherited } = roles.with_names(names);
            let of_service = |roles: Vec<Role>| {
                let service = ServiceRoles { service_definition_id: id.clone(), service_roles: roles };
                (!service.service_roles.is_empty()).then_some(service)
            };
            self.direct.extend(of_service(direct));
            self.inherited.extend(of_service(inherited));
        }
        Ok(())
    }
}

/// The roles in one service: their names, or objects, or both.
#[derive(Default)]
struct ServiceEntry {
    id: Option<String>,
    names: RoleList,
    roles: RoleList,
}

impl FromAnyValue for ServiceEntry {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "serviceDefinitionId" => self.id = take(map)?,
            "serviceRoleNames" => self.names = take(map)?,
            "serviceRoles" => self.roles = take(map)?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

/// A list of roles. Entries without a name are left out.
#[derive(Default)]
struct RoleList {
    direct: Vec<Role>,
    inherited: Vec<Role>,
}

impl RoleList {
    /// Adds the roles of a list of names that are missing here; a name alone does not show how a role is held.
    fn with_names(mut self, names: Self) -> Self {
        let known: HashSet<String> = self.direct.iter().chain(&self.inherited).map(|role| role.name.clone()).collect();
        self.direct.extend(names.direct.into_iter().filter(|role| !known.contains(&role.name)));
        self
    }
}

impl FromAnyValue for RoleList {
    fn entries<'de, A: SeqAccess<'de>>(&mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some(AnyValue(entry)) = entries.next_element::<AnyValue<RoleEntry>>()? {
            let list = if entry.is_inherited() { &mut self.inherited } else { &mut self.direct };
            // An empty resource is none. (undocumented)
            let resource = entry.resource.filter(|resource| !resource.is_empty());
            list.extend(entry.name.map(|name| Role { name, resource }));
        }
        Ok(())
    }
}

/// A role: its name, or an object. (undocumented)
#[derive(Default)]
struct RoleEntry {
    name: Option<String>,
    resource: Option<String>,
    membership_type: Option<String>,
}

impl RoleEntry {
    /// Whether the app has it through a group or a bundle. [tcsp-role-binding]
    fn is_inherited(&self) -> bool {
        let membership_type = self.membership_type.as_ref().filter(|text| !text.is_empty());
        membership_type.is_some_and(|text| !text.eq_ignore_ascii_case("DIRECT"))
    }
}

impl FromAnyValue for RoleEntry {
    fn text(&mut self, text: &str) {
        self.name = Some(text.to_owned());
    }

    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "name" => self.name = take(map)?,
            "resource" => self.resource = take(map)?,
            "membershipType" => self.membership_type = take(map)?,
            _ => skip(map)?,
        }
        Ok(())
    }
}
