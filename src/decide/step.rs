//! The steps of a reconcile and what each of them affects.
//! `effect` of a step determines its preconditions, in `enforce`.

use super::model::ClaimOrigin;
use super::plan::Planned;
use crate::crd::{Context, Roles, Workload};
use crate::iam::{ClientId, ClientSecret, NewApp, Update};
use crate::outcome::Outcome;
use crate::reason::Blocked;
use crate::secret::{OwnedSecret, RotationMode, SecretContents};
use k8s_openapi::jiff::Timestamp;
use std::time::Duration;

/// A step, or `None` where nothing is to be done.
pub(super) type Next = Result<Option<Step>, Blocked>;

/// The one next thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Read the Secret that consumers use, and the one of the rotation.
    ReadSecrets,
    /// Read the Secret under the name that an earlier spec gave it.
    ReadOldNameSecret(String),
    ReadProvidedSecret,
    /// Read the resource itself, past the cache.
    ReadResource,
    FindPodsUsing(Vec<String>),
    /// Find the pods that started before the Secret was last published.
    FindStaleConsumers(Timestamp),
    /// Restart a workload, unless that was done since the Secret was published.
    RestartConsumer(Workload, Timestamp),
    Call(Call),
    FindIdOwner,
    AddFinalizer,
    /// Record in status that the id is about to be used.
    Claim {
        id: ClientId,
        origin: ClaimOrigin,
    },
    /// Take that record back.
    Unclaim,
    /// Ask Kubernetes with a dry run whether it would accept a Secret with these contents.
    DryRunSecret(SecretContents),
    /// Write what these contents say of the Secret that consumers use.
    WriteSecret(SecretContents, WriteReason),
    /// Write what these contents say of the Secret of the rotation, which is deleted when that is nothing.
    WriteRotation(SecretContents, RotationWrite),
    /// Remove a Secret that Kubernetes does not delete with the resource.
    RemoveSecret(OwnedSecret),
    RemoveOldNameSecret(OwnedSecret),
    /// Remove the metadata of the operator from the Secret.
    ReleaseSecret(OwnedSecret),
    /// Remove the finalizer, so that Kubernetes removes the resource.
    DropFinalizer,
    Finish(Outcome),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteReason {
    Issued,
    /// The API has the staged secret, which replaces one that was lost or is not trusted.
    Replaced,
    /// The API has the secret that the user provides as the only valid one.
    Provided,
    /// The API has the staged secret beside the one before.
    Rotated,
    /// The spec names another Secret.
    Moved,
    /// The value is not the published one, and the API accepts it.
    Verified,
    /// Only the client id is known.
    IdOnly,
    /// It differs from what it should be.
    Restored,
    /// Only the claim on it is not the one that the operator signs now.
    Signed,
}

/// Why the Secret of the rotation is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationWrite {
    /// A new secret is about to be sent to the API.
    Staged,
    /// The API accepted the pending secret, so that the present one is about to become the previous one.
    Accepted,
    /// It ended: nothing is pending any more, or the previous secret is no longer valid.
    Cleared,
    /// Somebody edited it, or only its claim is not the one that the operator signs now.
    Restored,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// Make sure that there is an access token.
    Authenticate,
    Read(ClientId),
    FindInList(ClientId),
    /// Ask the list of its organization, which must be so fresh, whether it shows an app that a read does not.
    ConfirmAbsence(ClientId, Duration),
    Create(NewApp),
    /// Change these fields of the remote app; the update carries more, since the API always wants some.
    Update(ClientId, Update, Vec<String>),
    /// Make the staged secret the only valid one.
    Replace(ClientId, Update),
    /// Make the staged secret valid beside the current one, for so long.
    Rotate(ClientId, ClientSecret, Duration),
    /// Make the current secret the only valid one.
    EndRotation(ClientId),
    /// Ask for a token with this secret.
    VerifySecret(ClientId, ClientSecret),
    ReadRoles(ClientId),
    AddToOrganization(ClientId, Option<Context>, Roles),
    ChangeRoles {
        id: ClientId,
        add: Roles,
        remove: Roles,
    },
    Delete(ClientId),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It only reads, or ends the reconcile.
    Nothing,
    /// It ends the reconcile, and everything is as it should be.
    Settled,
    /// It changes what Kubernetes has, in order to keep it true.
    Kubernetes,
    /// It changes the API, or is a step towards it.
    Remote(Planned),
}

impl Step {
    /// If it waits, then at the latest until that time, when another part has something to do.
    pub(crate) fn no_later_than(self, time: Option<Timestamp>) -> Self {
        match (self, time) {
            (Self::Finish(Outcome::Waiting { reason, message, retry }), Some(time)) => {
                Self::Finish(Outcome::Waiting { reason, message, retry: retry.no_later_than(time) })
            }
            (step, _) => step,
        }
    }

    pub(crate) fn effect(&self) -> Effect {
        match self {
            Self::ReadSecrets
            | Self::ReadOldNameSecret(_)
            | Self::ReadProvidedSecret
            | Self::ReadResource
            | Self::FindPodsUsing(_)
            | Self::FindStaleConsumers(_)
            | Self::FindIdOwner
            | Self::AddFinalizer => Effect::Nothing,
            Self::Claim { origin: ClaimOrigin::New, .. } | Self::DryRunSecret(_) => Effect::Remote(Planned::Create),
            Self::Claim { origin: ClaimOrigin::Adopted, .. } => Effect::Remote(Planned::Adopt),
            Self::WriteRotation(contents, RotationWrite::Staged) => Effect::Remote(match contents.pending_mode() {
                Some(RotationMode::Overlap) => Planned::RotateSecret,
                Some(RotationMode::Create) => Planned::Create,
                Some(RotationMode::Replace | RotationMode::Unknown) | None => Planned::ReplaceSecret,
            }),
            Self::Claim { origin: ClaimOrigin::Created | ClaimOrigin::Restored, .. }
            | Self::Unclaim
            | Self::WriteSecret(..)
            | Self::WriteRotation(_, RotationWrite::Accepted | RotationWrite::Cleared | RotationWrite::Restored)
            | Self::RestartConsumer(..)
            | Self::RemoveSecret(_)
            | Self::RemoveOldNameSecret(_)
            | Self::ReleaseSecret(_)
            | Self::DropFinalizer => Effect::Kubernetes,
            Self::Finish(Outcome::Settled { .. }) => Effect::Settled,
            Self::Finish(
                Outcome::PlanOnly(_)
                | Outcome::Suspended
                | Outcome::Gone
                | Outcome::Blocked(_)
                | Outcome::Waiting { .. },
            ) => Effect::Nothing,
            Self::Call(call) => call.effect(),
        }
    }
}

impl Call {
    fn effect(&self) -> Effect {
        match self {
            Self::Authenticate
            | Self::Read(_)
            | Self::FindInList(_)
            | Self::ConfirmAbsence(..)
            | Self::VerifySecret(..)
            | Self::ReadRoles(_) => Effect::Nothing,
            Self::Create(_) => Effect::Remote(Planned::Create),
            Self::Update(_, _, changed) => Effect::Remote(Planned::Change(changed.clone())),
            Self::Replace(..) => Effect::Remote(Planned::ReplaceSecret),
            Self::Rotate(..) => Effect::Remote(Planned::RotateSecret),
            Self::EndRotation(_) => Effect::Remote(Planned::EndOverlap),
            Self::AddToOrganization(..) => Effect::Remote(Planned::AddToOrganization),
            Self::ChangeRoles { .. } => Effect::Remote(Planned::ChangeRoles),
            Self::Delete(_) => Effect::Remote(Planned::Delete),
        }
    }
}
