//! The reasons of conditions, Events, log lines and metrics: one table, from which the rest is derived, including `docs/reasons.md`.
//! A reason cannot be added without its kind, its severity, its meaning and what to do about it.

use std::time::Duration;

/// Where a reason appears, and how the operator goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The resource is as it should be, or was not reconciled yet.
    State,
    /// The spec keeps the operator from acting.
    Paused,
    /// Something was done or found; only Events have it.
    Event,
    /// The operator goes on by itself.
    Waiting(Pace),
    /// Someone has to act; the operator checks again in case they did.
    Blocked(Pace),
}

/// How soon a reconciliation is repeated at first, and how seldom after many attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// 1 to 30 s: for what is checked without a request to the API.
    Fast,
    /// 1 s to 5 min: for errors that pass by themselves.
    Medium,
    /// 1 to 30 min: for what needs a person and takes a request to the API.
    Slow,
}

/// The type of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Normal,
    Warning,
}

#[derive(Clone, Copy, Debug)]
pub struct Row {
    name: &'static str,
    kind: Kind,
    severity: Severity,
    /// For the documentation; no condition or Event has it.
    pub meaning: &'static str,
    pub remedy: &'static str,
}

/// What keeps the operator from going on until someone acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    pub reason: Reason,
    /// Names the object, the field and what to do.
    pub message: String,
}

macro_rules! reasons {
    ($($name:ident: $kind:ident $(($pace:ident))?, $severity:ident, $meaning:literal, $remedy:literal;)+) => {
        /// Why a resource is in the state that it is in.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $(#[doc = $meaning] $name,)+ }

        impl Reason {
            /// All reasons, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            pub const fn row(self) -> Row {
                match self {
                    $(Self::$name => Row {
                        name: stringify!($name),
                        kind: Kind::$kind $((Pace::$pace))?,
                        severity: Severity::$severity,
                        meaning: $meaning,
                        remedy: $remedy,
                    },)+
                }
            }
        }
    };
}

reasons! {
    Pending: State, Normal,
        "The operator has not reconciled the resource yet.",
        "Wait a moment; if it stays, check that the operator runs and watches this namespace. An operator that watches some namespaces only checks an `IamConnection` once an app there uses it.";
    Provisioned: State, Normal,
        "The app exists and its credentials are in the Secret. If its tokens have no role according to the spec, the message reports this too.",
        "Nothing, unless the message has advice.";
    Unverified: State, Normal,
        "The settings of the `IamConnection` and its Secret can be used. Its credentials are verified when the first app uses it, since the API issues a token only for a named organization.",
        "Nothing.";
    CredentialsExpiring: State, Warning,
        "The credentials of the `IamConnection` expire within 14 days, according to their Secret, the API token or the API.",
        "Put new ones into the Secret that the message names; they are picked up within a minute.";
    CredentialsExpireSoon: State, Warning,
        "The credentials of the `IamConnection` expire within 3 days, or have expired. When the API refuses them, no app of the connection is reconciled.",
        "Put new ones into the Secret that the message names now; they are picked up within a minute.";
    Suspended: Paused, Normal,
        "`spec.suspend` is set: only the deletion of the resource is reconciled.",
        "Set it to false to resume.";
    PlanPending: Paused, Normal,
        "`managementPolicy: Observe` is set; the message lists what `Full` would do.",
        "Set `managementPolicy: Full` to apply it.";

    Created: Event, Normal,
        "The app was created in the API and its credentials were written to the Secret.",
        "Nothing.";
    Adopted: Event, Normal,
        "The app existed before and is managed by this resource from now on.",
        "Nothing.";
    Recreated: Event, Normal,
        "The app was gone from the API. It was created again with the same client id and a new client secret, which is in the Secret.",
        "Find out who deleted it; restart what still uses the old client secret.";
    Updated: Event, Normal,
        "The fields that the message names were changed in the API, or the Secret was changed, to match the spec.",
        "Nothing; if nobody changed the spec, find out who changes the app by hand.";
    RolesChanged: Event, Normal,
        "The roles of the app in its organization were changed to match the spec.",
        "Nothing.";
    Rotated: Event, Normal,
        "The API has a new client secret, which is in the Secret; the previous one stays valid until `status.rotation.previousExpiresAt`.",
        "Restart what reads the Secret only at its start; `status.rotation.staleConsumers` names the pods that still hold an earlier client secret.";
    PreviousRetired: Event, Normal,
        "The overlap of the last rotation was ended early, by request or before a requested rotation: only the current client secret is valid.",
        "Restart what still uses an earlier client secret.";
    PreviousNotRetired: Event, Warning,
        "The overlap of the last rotation was to be ended early, and the API refused that, or has no such operation. The previous client secret stays valid until `status.rotation.previousExpiresAt`, unless the message says that an earlier request may have ended it.",
        "See the message; the previous one ends by itself.";
    Regenerated: Event, Normal,
        "The client secret was missing or not valid, so another one was set for the same client id, and no earlier one is valid (with IdentityBroker, this is assumed). A secret that you provide with `clientSecretRef` is set again instead, and only a new value there rotates it.",
        "Restart what still uses the old client secret.";
    Repaired: Event, Normal,
        "The Secret was edited by someone else and was restored.",
        "Find out who edits it.";
    Moved: Event, Normal,
        "The credentials are in the Secret that the spec names now; the previous Secret was removed.",
        "Nothing.";
    ConsumersRestarted: Event, Normal,
        "A new client secret was published, and the workloads in `spec.rotation.restart` that the message names were restarted.",
        "Nothing.";
    ConsumersNotRestarted: Event, Warning,
        "A new client secret was published, and a workload in `spec.rotation.restart` was not restarted: it is missing or paused, its pod template does not use the Secret, or Kubernetes does not permit the restart. It is not retried before the next rotation.",
        "Restart it by hand with `kubectl rollout restart`. Correct what the message names; the chart value `rotation.restart: true` permits the operator to restart workloads.";
    ConsumersStale: Event, Warning,
        "A quarter of the overlap is left, and pods that read the Secret only at their start still hold the previous client secret.",
        "Restart them before `status.rotation.previousExpiresAt`, or name their workloads in `spec.rotation.restart`, which restarts them after each rotation.";
    Deleted: Event, Normal,
        "The app is gone from the API.",
        "Nothing.";
    Released: Event, Normal,
        "The resource was deleted with `deletionPolicy: Retain`: the app and the Secret stay, without the labels and annotations of the operator.",
        "Manage both by hand from now on.";
    FinalizerRemoved: Event, Warning,
        "The resource was deleted after someone else had removed its finalizer. Its app was not deleted in the API.",
        "Delete the app in the console, or create the resource again.";

    Throttled: Waiting(Medium), Warning,
        "The API answered 429; the resources of the organization wait as long as it asked. When three organizations in succession get a 429, all organizations of their namespace wait; if they belong to several namespaces, the whole connection waits.",
        "Nothing; if it happens often, lower `limits.maxInFlight` of the `IamConnection`.";
    ConnectionUnavailable: Waiting(Medium), Warning,
        "The API is unreachable, too slow, or answers with a server error or something unreadable.",
        "See the message; the operator retries by itself. Where the certificate is not trusted (`UnknownIssuer`), put the certificate authority into `spec.caBundle` of the `IamConnection`.";
    CredentialsUnavailable: Waiting(Fast), Warning,
        "The credentials of the `IamConnection` are missing, or the API refuses them. Once no valid access token is left, no app of that connection is reconciled.",
        "Ask the platform team to correct the Secret that `spec.credentials` of the `IamConnection` names; with `source: Tenant` that Secret is in your namespace. It is picked up within a minute. If the message has a 404, compare `spec.endpoint` of the `IamConnection` too: a wrong path in it shows as a 404.";
    ApiConflict: Waiting(Medium), Warning,
        "The API answered 409, for example because an earlier deletion of the same id is still in progress.",
        "Nothing; the operator retries by itself.";
    AppNotShown: Waiting(Medium), Warning,
        "The API answers 404 for an app that existed. It is created again only once a second read after a pause, the list of the organization and a refused token request confirm that it is gone.",
        "Nothing; if it stays, see the message and look the app up in the console.";
    Updating: Waiting(Medium), Warning,
        "The API accepted a change and does not show it yet.",
        "Nothing; after two minutes the reason becomes `ChangeNotTaken`.";
    RotationRunning: Waiting(Medium), Warning,
        "The API reports that a rotation of this app is in progress, or one was requested less than a minute after the last one, so the next one waits.",
        "Nothing; it is retried until the earlier one is over.";
    SecretNotProven: Waiting(Medium), Warning,
        "The API accepted a client secret, or may have, and issues no token for it yet; until it does, a client secret that works stays in the Secret. Or the API refused the published client secret once, which may be an error, and is asked again in a minute.",
        "See the message; the operator retries by itself.";
    CredentialRefused: Waiting(Medium), Warning,
        "The API issues no token for the published client secret: a new one was not accepted within two minutes, or one that was valid is refused now.",
        "See the message for the response of the API. A client secret that was valid before is replaced automatically under `managementPolicy: Full`; otherwise the operator asks again until it is valid.";
    SecretNotWritten: Waiting(Medium), Warning,
        "Kubernetes refused to store the Secret, for example because of a quota or an admission policy.",
        "See the message and remove the obstacle; the operator retries by itself.";
    KubernetesRefused: Waiting(Medium), Warning,
        "Kubernetes refused a write of the operator, for example because of an admission policy. Nothing is changed in the API until it is accepted.",
        "See the message and remove the obstacle; the operator retries by itself.";
    Deleting: Waiting(Medium), Normal,
        "The API was asked to delete the app and still shows it.",
        "Nothing; the operator checks again until the app is gone.";
    InUse: Waiting(Fast), Warning,
        "`deletionPolicy: DeleteWhenUnused` is set and pods still use the Secret, or `<name>-rotation`.",
        "Remove the pods that the message names, or set `deletionPolicy: Delete`.";

    InvalidSpec: Blocked(Fast), Warning,
        "The spec asks for something that the API of its connection does not support.",
        "Change the fields that the message names.";
    ConnectionNotFound: Blocked(Fast), Warning,
        "No `IamConnection` has the name in `connectionRef`, or the operator cannot read the one that has it.",
        "Have the connection created or, where it exists, corrected as its condition `Stalled` says; or delete the resource and create it again with another `connectionRef`, which is immutable. To delete the resource without it, set `deletionPolicy: Retain`.";
    ConnectionInvalid: Blocked(Fast), Warning,
        "The `IamConnection` cannot be used as it is.",
        "Have it corrected as the message says.";
    NotGranted: Blocked(Fast), Warning,
        "No grant of the `IamConnection` covers this namespace and organization, so no request is sent to the API.",
        "Ask the platform team for a grant; if `orgId` is wrong, delete the resource and create it again with the right one, since `orgId` is immutable. To delete the resource without a grant, set `deletionPolicy: Retain`.";
    NotAllowed: Blocked(Fast), Warning,
        "A grant of the `IamConnection` covers this namespace and organization, but does not allow everything that the spec asks for. Nothing is changed in the API.",
        "Limit the spec to what the message lists as allowed, or ask the platform team to allow more in `grants[].allow`.";
    EndpointChanged: Blocked(Fast), Warning,
        "The `IamConnection` has another `api` or `endpoint` than when this app was created. No request is sent for the app, since the API at the new address may be another one.",
        "Restore the connection; or, if the new address is the same API, add the old one to `formerEndpoints` of the `IamConnection`.";
    WrongOrganization: Blocked(Fast), Warning,
        "The access token of the connection is for another organization than `spec.orgId`; an API token belongs to one. No request is sent with it.",
        "Use `clientCredentials` of an OAuth app that was added to both organizations, or an `IamConnection` with credentials of that organization.";
    Forbidden: Blocked(Slow), Warning,
        "The API answered 403, or issues no access token for the organization: the connection's identity lacks a role in it (with IdentityBroker a rule set or the scope `admin`), or an IP policy of the organization excludes the operator.",
        "The message says which roles the identity has: `developer` suffices for apps and their secrets. With IdentityBroker a token shows no permissions: compare the client with `docs/identity-broker.md`. The operator retries slowly by itself.";
    Rejected: Blocked(Slow), Warning,
        "The API refused the request; the message quotes it.",
        "Change the spec as the message says.";
    OrgNotFound: Blocked(Slow), Warning,
        "The API answered 404 to the create of an app: the organization does not exist, or the identity of the connection may not see it.",
        "Compare `orgId` with the organizations that the credentials of the `IamConnection` are for; the operator retries slowly.";
    IdTaken: Blocked(Slow), Warning,
        "An app with the id in `spec.id` exists that this resource did not create; it is not changed.",
        "Delete the resource and create it again with another id, since `id` is immutable; or adopt the app with `adoptionPolicy`.";
    IdConflict: Blocked(Fast), Warning,
        "Another `OrgOAuthApp` has the client id in `spec.id` and came first. The message names it only if it is in the same namespace.",
        "Delete this resource and create it again with another id: `id` is immutable. The message says whether the deletion leaves the app as it is.";
    SecretConflict: Blocked(Fast), Warning,
        "The name of the Secret is taken by an object that this resource does not control; it is not changed, and no request is sent to the API.",
        "Choose another `secret.name`; remove the Secret only if nothing uses it. Where `<name>-rotation` is taken by another `OrgOAuthApp`, set its `secret.name`.";
    SecretRefInvalid: Blocked(Fast), Warning,
        "The Secret that `clientSecretRef` names is missing, lacks the key or the label `oauth-apps.dev/use: \"true\"`, or holds a value that cannot be used.",
        "Correct it as the message says.";
    SecretTampered: Blocked(Slow), Warning,
        "The client secret in the Secret is not the one that was published, and the API does not show it.",
        "Set the annotation `oauth-apps.dev/rotate-requested-at` to any new value; the next scheduled rotation repairs it too.";
    SecretUnknown: Blocked(Slow), Warning,
        "The app was adopted; the API does not show its client secret, so the Secret holds the client id only.",
        "Provide the secret with `clientSecretRef`, replace it with `adoptionPolicy: AdoptAndRotate`, or rotate it with the annotation `oauth-apps.dev/rotate-requested-at`, which leaves the current one valid for the overlap.";
    SecretTooLarge: Blocked(Fast), Warning,
        "The Secret that the spec asks for would be larger than Kubernetes stores. Nothing is created or changed in the API.",
        "Shorten `secret.template`, `secret.labels` or `secret.annotations`.";
    TemplateInvalid: Blocked(Fast), Warning,
        "A template in `secret.template` cannot be rendered; nothing is created or changed.",
        "Correct the line that the message names.";
    ImmutableField: Blocked(Slow), Warning,
        "A field differs from the spec, and the API cannot change it.",
        "Restore the value in the spec, or delete the resource and create it again.";
    ChangeNotTaken: Blocked(Slow), Warning,
        "The API accepted a change of the fields that the message names and still shows the old values.",
        "Compare the spec with the app in the console; the operator retries slowly.";
    DeletionNotOffered: Blocked(Slow), Warning,
        "The API has no operation to delete an app.",
        "Delete the app in the console, or release it with `deletionPolicy: Retain`.";
    Unreadable: Blocked(Fast), Warning,
        "The operator cannot decode the resource, so it is skipped; all others are reconciled.",
        "Correct the field that the message names.";
    InternalError: Blocked(Slow), Warning,
        "The operator failed while it reconciled this resource; all others are reconciled. This is a bug.",
        "Please report it with the message; the operator retries slowly.";
}

impl Reason {
    /// The word that conditions, Events and metrics carry.
    pub const fn as_str(self) -> &'static str {
        self.row().name
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
    }

    pub const fn kind(self) -> Kind {
        self.row().kind
    }

    pub(crate) const fn severity(self) -> Severity {
        self.row().severity
    }

    pub(crate) const fn pace(self) -> Pace {
        match self.kind() {
            Kind::Waiting(pace) | Kind::Blocked(pace) => pace,
            Kind::State | Kind::Paused | Kind::Event => Pace::Medium,
        }
    }
}

impl Pace {
    /// The delay after the first attempt, and the longest one.
    pub const fn bounds(self) -> (Duration, Duration) {
        let (first, longest) = match self {
            Self::Fast => (1, 30),
            Self::Medium => (1, 300),
            Self::Slow => (60, 1800),
        };
        (Duration::from_secs(first), Duration::from_secs(longest))
    }
}

impl Severity {
    /// As Kubernetes spells it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

impl Blocked {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_found_by_its_name() {
        for reason in Reason::ALL {
            assert_eq!(Reason::named(reason.as_str()), Some(*reason));
        }
        assert_eq!(Reason::named("provisioned"), None);
    }

    #[test]
    fn meaning_and_remedy_are_sentences() {
        for reason in Reason::ALL {
            let Row { name, meaning, remedy, .. } = reason.row();
            for text in [meaning, remedy] {
                let begins_well = text.starts_with(|first: char| first.is_uppercase() || first == '`');
                assert!(begins_well && text.ends_with('.'), "{name}: {text}");
            }
        }
    }
}
