//! Every reason that a condition, an Event or a log line can give, with its meaning and what to do about it.
//! `docs/reasons.md` is generated from here, so the document and the code cannot disagree.

/// Why a resource is in the state that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Not looked at yet.
    Pending,
    /// All is as the spec says.
    Provisioned,
    /// The remote app was created and its credential published.
    Created,
    /// The client secret was replaced and the new one published.
    Regenerated,
    /// The Secret was put back to what it should be.
    Repaired,
    /// The remote app is gone.
    Deleted,
    /// The remote app and the Secret were left in place.
    Released,
    /// The deletion of the remote app is under way.
    Deleting,
    /// The API asked to wait.
    Throttled,
    /// The API gave no usable answer.
    ConnectionUnavailable,
    /// The connection's credentials are missing or refused.
    CredentialsUnavailable,
    /// The connection's credentials end soon.
    CredentialsExpiring,
    /// The API answered 409.
    ApiConflict,
    /// Kubernetes refused to store the Secret.
    SecretNotWritten,
    /// The spec does not fit the API of its connection.
    InvalidSpec,
    /// There is no such `IamConnection`.
    ConnectionNotFound,
    /// The `IamConnection` cannot be used as it is.
    ConnectionInvalid,
    /// No grant of the connection covers this namespace and organization.
    NotGranted,
    /// The access token of the connection is for another organization.
    WrongOrganization,
    /// The API answered 403, or gives no access token for the organization.
    Forbidden,
    /// The API answered 400 or 422.
    Rejected,
    /// The API answered 404 to a create.
    OrgNotFound,
    /// An app with this id exists that this resource did not create.
    IdTaken,
    /// Another resource names the same id and came first.
    IdConflict,
    /// The Secret's name is taken by an object that this resource does not control.
    SecretConflict,
    /// The API has no operation to delete an app.
    DeletionNotOffered,
    /// The app was deleted by somebody and created again.
    Recreated,
    /// The app was changed at the API to what the spec says.
    Updated,
    /// The client secret was rotated.
    Rotated,
    /// Workloads were restarted after a rotation.
    ConsumersRestarted,
    /// Workloads could not be restarted after a rotation.
    ConsumersNotRestarted,
    /// Pods still hold the previous secret, which ends soon.
    ConsumersStale,
    /// An app that existed was taken over.
    Adopted,
    /// The credential was moved to the Secret or keys that the spec names.
    Moved,
    /// The roles of the app were changed to what the spec says.
    RolesChanged,
    /// `spec.suspend` stops everything but deletion.
    Suspended,
    /// `managementPolicy: Observe` keeps the API as it is.
    PlanPending,
    /// The API refuses a rotation while another one is under way.
    RotationRunning,
    /// The API gives no token for the new secret.
    SecretNotProven,
    /// The API gives no token for the secret that consumers find.
    CredentialRefused,
    /// The API answers 404 for an app that existed, and nothing confirms yet that it is gone.
    AppNotShown,
    /// The API accepted a change and does not show it yet.
    Updating,
    /// Pods use the Secret of a resource that is being deleted.
    InUse,
    /// The secret in `clientSecretRef` cannot be used.
    SecretRefInvalid,
    /// The client secret in the Secret was edited.
    SecretTampered,
    /// An app was adopted whose secret is not known.
    SecretUnknown,
    /// A field differs that the API cannot change.
    ImmutableField,
    /// The API accepted a change and does not show it.
    ChangeNotTaken,
    /// A template of the Secret cannot be filled.
    TemplateInvalid,
    /// A grant covers the resource and does not allow what it asks for.
    NotAllowed,
    /// The connection names another API than the one where the app was made.
    EndpointChanged,
    /// The Secret would be larger than Kubernetes stores.
    SecretTooLarge,
    /// Kubernetes refused a write other than that of the Secret.
    KubernetesRefused,
    /// A resource vanished without its finalizer having been removed by the operator.
    FinalizerRemoved,
    /// The resource cannot be decoded.
    Unreadable,
    /// The operator failed on this resource.
    InternalError,
}

impl Reason {
    /// All reasons, in the order of the documentation.
    pub const ALL: [Self; 56] = [
        Self::Pending,
        Self::Provisioned,
        Self::Created,
        Self::Regenerated,
        Self::Repaired,
        Self::Deleting,
        Self::Deleted,
        Self::Released,
        Self::Throttled,
        Self::ConnectionUnavailable,
        Self::CredentialsUnavailable,
        Self::CredentialsExpiring,
        Self::ApiConflict,
        Self::SecretNotWritten,
        Self::InvalidSpec,
        Self::ConnectionNotFound,
        Self::ConnectionInvalid,
        Self::NotGranted,
        Self::WrongOrganization,
        Self::Forbidden,
        Self::Rejected,
        Self::OrgNotFound,
        Self::IdTaken,
        Self::IdConflict,
        Self::SecretConflict,
        Self::DeletionNotOffered,
        Self::Recreated,
        Self::Updated,
        Self::Rotated,
        Self::ConsumersRestarted,
        Self::ConsumersNotRestarted,
        Self::ConsumersStale,
        Self::Adopted,
        Self::Moved,
        Self::RolesChanged,
        Self::Suspended,
        Self::PlanPending,
        Self::RotationRunning,
        Self::SecretNotProven,
        Self::CredentialRefused,
        Self::AppNotShown,
        Self::Updating,
        Self::InUse,
        Self::SecretRefInvalid,
        Self::SecretTampered,
        Self::SecretUnknown,
        Self::ImmutableField,
        Self::ChangeNotTaken,
        Self::TemplateInvalid,
        Self::NotAllowed,
        Self::EndpointChanged,
        Self::SecretTooLarge,
        Self::KubernetesRefused,
        Self::FinalizerRemoved,
        Self::Unreadable,
        Self::InternalError,
    ];

    /// The word that conditions, Events and metrics carry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Provisioned => "Provisioned",
            Self::Created => "Created",
            Self::Regenerated => "Regenerated",
            Self::Repaired => "Repaired",
            Self::Deleted => "Deleted",
            Self::Released => "Released",
            Self::Deleting => "Deleting",
            Self::Throttled => "Throttled",
            Self::ConnectionUnavailable => "ConnectionUnavailable",
            Self::CredentialsUnavailable => "CredentialsUnavailable",
            Self::CredentialsExpiring => "CredentialsExpiring",
            Self::ApiConflict => "ApiConflict",
            Self::SecretNotWritten => "SecretNotWritten",
            Self::InvalidSpec => "InvalidSpec",
            Self::ConnectionNotFound => "ConnectionNotFound",
            Self::ConnectionInvalid => "ConnectionInvalid",
            Self::NotGranted => "NotGranted",
            Self::WrongOrganization => "WrongOrganization",
            Self::Forbidden => "Forbidden",
            Self::Rejected => "Rejected",
            Self::OrgNotFound => "OrgNotFound",
            Self::IdTaken => "IdTaken",
            Self::IdConflict => "IdConflict",
            Self::SecretConflict => "SecretConflict",
            Self::DeletionNotOffered => "DeletionNotOffered",
            Self::Recreated => "Recreated",
            Self::Updated => "Updated",
            Self::Rotated => "Rotated",
            Self::ConsumersRestarted => "ConsumersRestarted",
            Self::ConsumersNotRestarted => "ConsumersNotRestarted",
            Self::ConsumersStale => "ConsumersStale",
            Self::Adopted => "Adopted",
            Self::Moved => "Moved",
            Self::RolesChanged => "RolesChanged",
            Self::Suspended => "Suspended",
            Self::PlanPending => "PlanPending",
            Self::RotationRunning => "RotationRunning",
            Self::SecretNotProven => "SecretNotProven",
            Self::CredentialRefused => "CredentialRefused",
            Self::AppNotShown => "AppNotShown",
            Self::Updating => "Updating",
            Self::InUse => "InUse",
            Self::SecretRefInvalid => "SecretRefInvalid",
            Self::SecretTampered => "SecretTampered",
            Self::SecretUnknown => "SecretUnknown",
            Self::ImmutableField => "ImmutableField",
            Self::ChangeNotTaken => "ChangeNotTaken",
            Self::TemplateInvalid => "TemplateInvalid",
            Self::NotAllowed => "NotAllowed",
            Self::EndpointChanged => "EndpointChanged",
            Self::SecretTooLarge => "SecretTooLarge",
            Self::KubernetesRefused => "KubernetesRefused",
            Self::FinalizerRemoved => "FinalizerRemoved",
            Self::Unreadable => "Unreadable",
            Self::InternalError => "InternalError",
        }
    }

    /// What it means, and what to do.
    pub fn explanation(self) -> (&'static str, &'static str) {
        match self {
            Self::Pending => (
                "The operator has not looked at the resource yet.",
                "Wait a moment; if it stays, see whether the operator runs and watches this namespace.",
            ),
            Self::Provisioned => ("The app exists and its credential is in the Secret.", "Nothing."),
            Self::Created => ("The app was created at the API and its credential written to the Secret.", "Nothing."),
            Self::Regenerated => (
                "The credential was missing, so the API was asked for a new client secret on the same client id, and it was written to the Secret. A secret that `clientSecretRef` provides is set again instead, and only a new value there rotates it.",
                "Restart what still uses the old secret.",
            ),
            Self::Repaired => ("The Secret was edited by hand and has been put back.", "Find out who edits it."),
            Self::Deleting => (
                "The API was asked to delete the app and still shows it.",
                "Nothing; it is looked at again until the app is gone.",
            ),
            Self::Deleted => ("The app is gone at the API.", "Nothing."),
            Self::Released => (
                "The resource was deleted with `deletionPolicy: Retain`: the app and the Secret stay, without the marks of the operator.",
                "Look after both by hand from now on.",
            ),
            Self::Throttled => (
                "The API answered 429; the resources of the organization wait as long as it asked. When three organizations in succession get one, so do all of their namespace, or of the connection if they are of several.",
                "Nothing; if it happens often, lower `limits.maxInFlight` of the `IamConnection`.",
            ),
            Self::ConnectionUnavailable => (
                "The API is unreachable, too slow, or answers with a server error or something unreadable.",
                "See the message; the operator tries again by itself. Where the certificate is not trusted (`UnknownIssuer`), put the certificate authority into `spec.caBundle` of the `IamConnection`.",
            ),
            Self::CredentialsUnavailable => (
                "The credentials of the `IamConnection` are missing, or the API refuses them. Once no access token is left that still serves, no app of that connection is touched.",
                "Ask the platform team to correct the Secret that `spec.credentials` of the `IamConnection` names; with `source: Tenant` that Secret is in your namespace. It is picked up within a minute. If the message has a 404, compare `spec.endpoint` of the `IamConnection` too: a wrong path in it shows as a 404.",
            ),
            Self::CredentialsExpiring => (
                "The credentials of the `IamConnection` end within 14 days, as their Secret or the API token says.",
                "Put new ones into the Secret that the message names; they are taken up within a minute.",
            ),
            Self::ApiConflict => (
                "The API answered 409, for example because an earlier deletion of the same id still runs.",
                "Nothing; the operator tries again by itself.",
            ),
            Self::SecretNotWritten => (
                "Kubernetes refused to store the Secret, for example because of a quota, an admission policy or `immutable: true`.",
                "See the message, remove the obstacle; the operator tries again by itself.",
            ),
            Self::InvalidSpec => (
                "The spec asks for something that the API of its connection does not have.",
                "Change the fields that the message names.",
            ),
            Self::ConnectionNotFound => (
                "No `IamConnection` has the name in `connectionRef`.",
                "Have the connection created; or delete the resource and create it again with another `connectionRef`, which is immutable. To delete the resource without it, set `deletionPolicy: Retain`.",
            ),
            Self::ConnectionInvalid => {
                ("The `IamConnection` cannot be used as it is.", "Have it mended as the message says.")
            }
            Self::NotGranted => (
                "No grant of the `IamConnection` covers this namespace and organization, so no call is made.",
                "Ask the platform team for a grant; if `orgId` is wrong, delete the resource and create it again with the right one, since `orgId` is immutable. To delete the resource without one, set `deletionPolicy: Retain`.",
            ),
            Self::WrongOrganization => (
                "The access token of the connection is for another organization than `spec.orgId`; an API token belongs to one. No call is made with it.",
                "Use `clientCredentials` of an OAuth app that was added to both organizations, or an `IamConnection` with credentials of that organization.",
            ),
            Self::Forbidden => (
                "The API answered 403, or gives no access token for the organization: the connection's identity lacks a role in it, or an IP policy of the organization keeps the operator out.",
                "The message says which roles the identity has: `developer` suffices for apps and their secrets. The operator tries again slowly by itself.",
            ),
            Self::Rejected => {
                ("The API refused the request, in its own words.", "Change the spec as the message says.")
            }
            Self::OrgNotFound => (
                "The API answered 404 to the create of an app: it does not know the organization, or the identity of the connection may not see it.",
                "Compare `orgId` with the organizations that the credentials of the `IamConnection` are for; the operator tries again slowly.",
            ),
            Self::IdTaken => (
                "An app with the id in `spec.id` exists that this resource did not create; it is left alone.",
                "Delete the resource and create it again with another id, since `id` is immutable; or take the app over with `adoptionPolicy`.",
            ),
            Self::IdConflict => (
                "Another `OrgOAuthApp` has the client id in `spec.id` and came first. The message names it only if it is in the same namespace.",
                "Delete this resource and create it again with another id: `id` is immutable. The message says whether the deletion leaves the app as it is.",
            ),
            Self::SecretConflict => (
                "The name of the Secret is taken by an object that this resource does not control; it is left alone and no call is made.",
                "Choose another `secret.name`; remove the Secret only if nothing uses it. Where `<name>-rotation` is taken by another `OrgOAuthApp`, set its `secret.name`.",
            ),
            Self::DeletionNotOffered => (
                "The API has no operation to delete an app.",
                "Delete the app in the vendor's console, or let go of it with `deletionPolicy: Retain`.",
            ),
            Self::Recreated => (
                "The app was gone at the API and was created again with the same client id and a new secret, which is in the Secret.",
                "Find out who deleted it; restart what still uses the old secret.",
            ),
            Self::Updated => (
                "The fields that the message names were changed at the API, or the Secret was changed, to what the spec says.",
                "Nothing; if nobody changed the spec, find out who changes the app by hand.",
            ),
            Self::Rotated => (
                "The API has a new client secret, which is in the Secret; the previous one stays valid beside it until `status.rotation.previousExpiresAt`.",
                "Restart what reads the Secret only at its start; `status.rotation.staleConsumers` names the pods that still hold an earlier secret.",
            ),
            Self::ConsumersRestarted => (
                "A new client secret was published, and the workloads in `spec.rotation.restart` that the message names were restarted.",
                "Nothing.",
            ),
            Self::ConsumersNotRestarted => (
                "A new client secret was published, and a workload in `spec.rotation.restart` was not restarted: it is missing or paused, its pod template does not use the Secret, or Kubernetes does not let the operator. It is not tried again before the next rotation.",
                "Restart it by hand, with `kubectl rollout restart`. Correct what the message names; the right to restart workloads is given by `rotation.restart: true` of the chart.",
            ),
            Self::ConsumersStale => (
                "A quarter of the overlap is left, and pods that read the Secret only at their start still hold the previous client secret.",
                "Restart them before `status.rotation.previousExpiresAt`, or name their workloads in `spec.rotation.restart`, which restarts them after each rotation.",
            ),
            Self::Adopted => ("The app existed before and is managed by this resource from now on.", "Nothing."),
            Self::Moved => {
                ("The credential is in the Secret that the spec names now; the former Secret is removed.", "Nothing.")
            }
            Self::RolesChanged => ("The app was given the roles in its organization that the spec says.", "Nothing."),
            Self::Suspended => (
                "`spec.suspend` is set: nothing is looked at and nothing is done, except deletion.",
                "Set it to false to go on.",
            ),
            Self::PlanPending => (
                "`managementPolicy: Observe` is set, and the message says what `Full` would do.",
                "Set `managementPolicy: Full` to have it done.",
            ),
            Self::RotationRunning => (
                "The API says that a rotation of this app is under way, or one was requested less than a minute after the last one, so the next one waits.",
                "Nothing; it is tried again until the earlier one is over.",
            ),
            Self::SecretNotProven => (
                "The API accepted a client secret, or may have, and issues no token for it yet: where there is one that works, consumers keep it. Or it refused the one that consumers find once, which may be false, and is asked again in a minute.",
                "See the message; the operator tries again by itself.",
            ),
            Self::CredentialRefused => (
                "The API issues no token for the client secret that consumers find: for two minutes after it was published, or any more.",
                "See the message for the API's words. One that was valid before is replaced by itself under `managementPolicy: Full`; else the operator asks again until it is valid.",
            ),
            Self::AppNotShown => (
                "The API answers 404 for an app that existed. It is created again only once a second read after a pause, the list of the organization and a refused token request confirm that it is gone.",
                "Nothing; if it stays, see the message and look the app up in the console.",
            ),
            Self::Updating => (
                "The API accepted a change and does not show it yet.",
                "Nothing; after two minutes the reason becomes `ChangeNotTaken`.",
            ),
            Self::InUse => (
                "`deletionPolicy: DeleteWhenUnused` is set and pods still use the Secret, or `<name>-rotation`.",
                "Remove the pods that the message names, or set `deletionPolicy: Delete`.",
            ),
            Self::SecretRefInvalid => (
                "The Secret that `clientSecretRef` names is missing, lacks the key or the label `oauth-apps.dev/use: \"true\"`, or holds a value that cannot be used.",
                "Do as the message says.",
            ),
            Self::SecretTampered => (
                "The value of the client secret in the Secret is not the one that was published, and the API does not show it.",
                "Set the annotation `oauth-apps.dev/rotate-requested-at` to any new value; the next rotation mends it too.",
            ),
            Self::SecretUnknown => (
                "The app was adopted; the API does not show its secret, so the Secret holds the client id only.",
                "Bring the secret with `clientSecretRef`, replace it with `adoptionPolicy: AdoptAndRotate`, or rotate it with the annotation `oauth-apps.dev/rotate-requested-at`, which leaves the present one valid for the overlap.",
            ),
            Self::ImmutableField => (
                "The API shows a field otherwise than the spec, and has no way to change it.",
                "Put the spec back, or delete the resource and create it again.",
            ),
            Self::ChangeNotTaken => (
                "The API accepted a change of the fields that the message names and still shows them otherwise.",
                "Compare the spec with the app in the vendor's console; the operator tries again slowly.",
            ),
            Self::TemplateInvalid => (
                "A template in `secret.template` cannot be filled; nothing is created or changed.",
                "Mend the line that the message names.",
            ),
            Self::NotAllowed => (
                "A grant of the `IamConnection` covers this namespace and organization, and does not allow everything that the spec asks for. Nothing is changed in the API.",
                "Ask for what the message says is allowed, or ask the platform team to allow more in `grants[].allow`.",
            ),
            Self::EndpointChanged => (
                "The `IamConnection` has another `api` or `endpoint` than when this app was made. No call is made for the app, since the API at the new address may be another one.",
                "Restore the connection; or, if the new address is the same API, add the old one to `formerEndpoints` of the `IamConnection`.",
            ),
            Self::SecretTooLarge => (
                "The Secret that the spec asks for would be larger than Kubernetes stores. Nothing is created or changed in the API.",
                "Shorten `secret.template`, `secret.labels` or `secret.annotations`.",
            ),
            Self::KubernetesRefused => (
                "Kubernetes refused a write of the operator, for example because of an admission policy. No call that changes something in the API is made until it is accepted.",
                "See the message, remove the obstacle; the operator tries again by itself.",
            ),
            Self::FinalizerRemoved => (
                "The resource was deleted after somebody else had removed its finalizer. Its app was not deleted in the API.",
                "Delete the app in the console, or create the resource again.",
            ),
            Self::Unreadable => (
                "The resource holds something that the operator cannot read, so it is skipped; all others go on.",
                "Correct the field that the message names.",
            ),
            Self::InternalError => (
                "The operator failed while it reconciled this resource; all others go on. This is a bug.",
                "Please report it with the message; the operator tries again slowly.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_reason_is_listed_once() {
        let names: HashSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}
