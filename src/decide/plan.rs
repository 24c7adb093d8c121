//! What `managementPolicy: Observe` makes of the policy: the same steps, of which those that change something at the API
//! are said instead of done.

use super::{
    Blocked, Call, ClaimOrigin, Observed, Outcome, Step, WriteReason, admit, credential, look_at_secrets, ownership,
    remote_app, roles,
};
use crate::crd::AdoptionPolicy;
use crate::remote::Update;
use crate::secret::RotationMode;
use std::fmt;

/// What would be done at the API. It holds names of fields and never a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan(Vec<Planned>);

/// One thing that would be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Planned {
    /// Create the app.
    Create,
    /// Take the app over.
    Adopt,
    /// Change these fields.
    Change(Vec<String>),
    /// Replace the client secret at once.
    ReplaceSecret,
    /// Replace the client secret with an overlap.
    RotateSecret,
    /// Add the app to its organization.
    AddToOrganization,
    /// Give roles and take roles.
    ChangeRoles,
}

impl Plan {
    /// Whether nothing would be done.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the credential of the Secret would stay as it is, if there is one.
    pub fn leaves_credential(&self) -> bool {
        self.0.iter().all(|planned| match planned {
            Planned::Create | Planned::Adopt | Planned::ReplaceSecret => false,
            Planned::Change(_) | Planned::RotateSecret | Planned::AddToOrganization | Planned::ChangeRoles => true,
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
            Self::AddToOrganization => f.write_str("add the app to its organization"),
            Self::ChangeRoles => f.write_str("change the roles of the app"),
        }
    }
}

/// The next step for a resource that only observes.
pub fn observe(observed: &Observed) -> Result<Step, Blocked> {
    if observed.app.spec.suspend {
        return Ok(Step::Finish(Outcome::Suspended));
    }
    let fields = admit(observed)?;
    if let Some(step) = look_at_secrets(observed)? {
        return Ok(step);
    }
    let mut plan = Vec::new();
    if let Some(step) = ownership::step(observed)? {
        match planned(observed, &step) {
            Some(Planned::Adopt) => plan.push(Planned::Adopt),
            Some(only) => return Ok(Step::Finish(Outcome::Observed(Plan(vec![only])))),
            None => return Ok(step),
        }
    }
    // An app that is taken over keeps its secret, unless the policy says to replace it.
    let keeps_secret = !plan.is_empty() && observed.app.spec.adoption_policy == AdoptionPolicy::Adopt;
    let credential = if keeps_secret { |_: &_, _: &_| Ok(None) } else { credential::step };
    for part in [credential, remote_app::step, roles::step] {
        let Some(step) = part(observed, &fields)? else { continue };
        match planned(observed, &step) {
            Some(Planned::Create) => return Ok(Step::Finish(Outcome::Observed(Plan(vec![Planned::Create])))),
            Some(pending) => plan.push(pending),
            None => return Ok(step),
        }
    }
    if plan.is_empty() {
        credential::last(observed, &fields)?;
        return Ok(Step::Finish(Outcome::Settled { wake: credential::wake(observed) }));
    }
    Ok(Step::Finish(Outcome::Observed(Plan(plan))))
}

/// What a step would do at the API, or lead to; `None` for a step that only looks or keeps the Secret in order.
fn planned(observed: &Observed, step: &Step) -> Option<Planned> {
    match step {
        Step::Claim { origin: ClaimOrigin::Adopted, .. } => Some(Planned::Adopt),
        Step::Claim { origin: ClaimOrigin::New, .. } | Step::Call(Call::Create(_)) => Some(Planned::Create),
        Step::WriteSecret(content, WriteReason::Staged) => match content.pending.as_ref().map(|pending| pending.mode) {
            Some(RotationMode::Overlap) => Some(Planned::RotateSecret),
            Some(RotationMode::Replace) | None => Some(Planned::ReplaceSecret),
        },
        Step::Call(Call::Replace(..)) => Some(Planned::ReplaceSecret),
        Step::Call(Call::Rotate(..)) => Some(Planned::RotateSecret),
        Step::Call(Call::Update(_, Update { .. })) => Some(Planned::Change(remote_app::drift(observed))),
        Step::Call(Call::AddToOrganization(..)) => Some(Planned::AddToOrganization),
        Step::Call(Call::ChangeRoles { .. }) => Some(Planned::ChangeRoles),
        Step::Call(
            Call::Authenticate
            | Call::Read(_)
            | Call::FindInList(_)
            | Call::VerifySecret(..)
            | Call::ReadRoles(_)
            | Call::Delete(_),
        )
        | Step::ReadSecret
        | Step::ReadPreviousTarget(_)
        | Step::ReadProvidedSecret
        | Step::ReadResource
        | Step::FindUsers
        | Step::FindIdOwner
        | Step::AddFinalizer
        | Step::Claim { origin: ClaimOrigin::Created | ClaimOrigin::Restored, .. }
        | Step::TrySecret(_)
        | Step::RemoveSecret(_)
        | Step::Unclaim
        | Step::WriteSecret(..)
        | Step::RemovePreviousTarget(_)
        | Step::ReleaseSecret(_)
        | Step::DropFinalizer
        | Step::Finish(_) => None,
    }
}
