//! Whether the app has the roles in its organization that the spec says, neither more nor fewer; inherited ones count where
//! they are desired, and stay where they are not. Without `spec.roles` the roles are not managed.

use super::model::{Observed, RoleAssignment};
use super::resource::{is_synced, reconcile_requested};
use super::step::{Call, Next, Step};
use crate::crd::{Role, Roles, ServiceRoles};
use crate::iam::app_fields::Fields;

pub(super) fn step(observed: &Observed, _: &Fields) -> Next {
    let Some(wanted) = &observed.app.spec.roles else { return Ok(None) };
    let id = observed.client_id();
    Ok(match &observed.roles {
        RoleAssignment::JustAssigned => None,
        RoleAssignment::NotRead | RoleAssignment::AdditionRefused(_) => Some(Step::Call(Call::ReadRoles(id))),
        RoleAssignment::Absent => Some(Step::Call(Call::AddToOrganization(id, observed.context(), wanted.clone()))),
        RoleAssignment::Has(held) => {
            let add = without(&without(wanted, &held.direct), &held.inherited);
            let remove = without(&held.direct, wanted);
            let same = add == Roles::default() && remove == Roles::default();
            (!same).then_some(Step::Call(Call::ChangeRoles { id, add, remove }))
        }
    })
}

/// Whether roles that were read a while ago will do.
pub(crate) fn may_be_old(observed: &Observed) -> bool {
    let was_refused = matches!(observed.roles, RoleAssignment::AdditionRefused(_));
    is_synced(&observed.app) && reconcile_requested(&observed.app).is_none() && !was_refused
}

fn without(all: &Roles, others: &Roles) -> Roles {
    let missing = |roles: &[Role], held: &[Role]| -> Vec<Role> {
        roles.iter().filter(|role| !held.contains(role)).cloned().collect()
    };
    let service_roles = all.service_roles.iter().filter_map(|service| {
        let held =
            others.service_roles.iter().filter(|other| other.service_definition_id == service.service_definition_id);
        let held: Vec<Role> = held.flat_map(|other| other.service_roles.clone()).collect();
        let service_roles = missing(&service.service_roles, &held);
        (!service_roles.is_empty()).then(|| ServiceRoles { service_roles, ..service.clone() })
    });
    Roles {
        organization_roles: missing(&all.organization_roles, &others.organization_roles),
        service_roles: service_roles.collect(),
    }
}
