//! What `managementPolicy: Observe` or a preview makes of the policy: the same steps, of which those that change something at the
//! API are reported in a plan instead.

use super::model::{ClaimOrigin, ClaimProgress, Observed};
use std::fmt;

/// What would be done at the API. It holds names of fields and never a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan(Vec<Planned>);

/// One thing that would be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Planned {
    Create,
    Adopt,
    /// Change these fields.
    Change(Vec<String>),
    /// Replace the client secret at once.
    ReplaceSecret,
    /// Replace the client secret with an overlap.
    RotateSecret,
    /// End the overlap of a rotation.
    EndOverlap,
    /// Add the app to its organization.
    AddToOrganization,
    ChangeRoles,
    Delete,
}

impl Plan {
    /// With what this reconcile has done already: a preview claims an app that would be adopted, in memory.
    pub(super) fn begun(observed: &Observed) -> Self {
        let adopted = observed.claim == ClaimProgress::Recorded(ClaimOrigin::Adopted);
        Self(if adopted && observed.is_plan_only() { vec![Planned::Adopt] } else { Vec::new() })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One more thing would be done. An app that would be created has everything else from then on.
    pub(crate) fn add(&mut self, planned: Planned) {
        match planned {
            Planned::Create => self.0 = vec![Planned::Create],
            planned => self.0.push(planned),
        }
    }

    /// What would be done, in its order.
    pub fn steps(&self) -> &[Planned] {
        &self.0
    }

    /// Whether what follows depends on an app that does not exist.
    pub(crate) fn creates(&self) -> bool {
        self.0.contains(&Planned::Create)
    }

    /// Whether the credential of the Secret would stay as it is, if there is one.
    pub fn leaves_credential(&self) -> bool {
        self.0.iter().all(|planned| match planned {
            Planned::Create | Planned::Adopt | Planned::ReplaceSecret | Planned::Delete => false,
            Planned::Change(_)
            | Planned::RotateSecret
            | Planned::EndOverlap
            | Planned::AddToOrganization
            | Planned::ChangeRoles => true,
        })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&items.join(", "))
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create => f.write_str("create the app"),
            Self::Adopt => f.write_str("adopt the app"),
            Self::Change(fields) => write!(f, "change {}", fields.join(" and ")),
            Self::ReplaceSecret => f.write_str("replace the client secret"),
            Self::RotateSecret => f.write_str("rotate the client secret"),
            Self::EndOverlap => f.write_str("end the overlap of the rotation"),
            Self::AddToOrganization => f.write_str("add the app to its organization"),
            Self::ChangeRoles => f.write_str("change the roles of the app"),
            Self::Delete => f.write_str("delete the app"),
        }
    }
}
