//! Whether the app has the roles in its organization that the spec says, neither more nor fewer; inherited ones count where
//! they are desired, and stay where they are not. Without `spec.roles` they are somebody else's business.

use super::remote_app::is_synced;
use super::{Call, Membership, Next, Observed, Step, after_fault, context, reconcile_requested};
use crate::crd::{Role, Roles, ServiceRoles};
use crate::definition::Fields;

/// What is to be done until the app has its roles.
pub fn step(seen: &Observed, _: &Fields) -> Next {
    let Some(wanted) = &seen.app.spec.roles else { return Ok(None) };
    let id = seen.client_id();
    Ok(match &seen.membership {
        Membership::AsDefined => None,
        Membership::Unread => Some(Step::Call(Call::ReadRoles(id))),
        Membership::Absent => Some(match &seen.addition_refused {
            Some(fault) => Step::Finish(after_fault(&seen.app, fault.clone())),
            None => Step::Call(Call::AddToOrganization(id, context(seen), wanted.clone())),
        }),
        Membership::Has(held) => {
            let add = without(&without(wanted, &held.direct), &held.inherited);
            let remove = without(&held.direct, wanted);
            let same = add == Roles::default() && remove == Roles::default();
            (!same).then_some(Step::Call(Call::ChangeRoles { id, add, remove }))
        }
    })
}

/// Whether roles that were read a while ago will do.
pub fn may_be_old(seen: &Observed) -> bool {
    is_synced(&seen.app) && reconcile_requested(&seen.app).is_none() && seen.addition_refused.is_none()
}

/// The roles in `all` that are not in `others`.
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
