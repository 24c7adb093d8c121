//! The apiserver's audit log: which calls reached it, of whom, and what came of them.
//! It has every write, every read of Secrets and of our own resources, and all that ServiceAccounts do, but nothing of
//! the control plane itself.

use std::path::Path;

use serde::Deserialize;

use crate::Error;

/// What is recorded. Reads of other resources would be noise: discovery, watches, readiness.
pub(crate) const POLICY: &str = r#"apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: None
  users: ["system:apiserver", "system:kube-controller-manager"]
- level: Metadata
  verbs: [create, update, patch, delete, deletecollection]
- level: Metadata
  userGroups: ["system:serviceaccounts"]
- level: Metadata
  resources:
  - {group: "", resources: [secrets]}
  - {group: oauth-apps.dev}
- level: None
"#;

/// One answered call. Names are empty where a call has none (the namespace of a cluster-scoped object, say).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// When it arrived, RFC 3339 with microseconds in UTC: comparable as text.
    pub received: String,
    /// The user name, `system:serviceaccount:<namespace>:<name>` for a ServiceAccount.
    pub user: String,
    /// `create`, `update`, `patch`, `delete`, `deletecollection`, `get`, `list` or `watch`.
    pub verb: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource in the plural, such as `secrets`.
    pub resource: String,
    /// The subresource, such as `status`.
    pub subresource: String,
    pub namespace: String,
    /// The name of the object.
    pub name: String,
    /// The HTTP status.
    pub code: u16,
    /// What the client calls itself.
    pub user_agent: String,
    /// Whether nothing was stored, since the client asked to try only.
    pub dry_run: bool,
}

impl AuditRecord {
    /// Whether the call was to change something; a dry run is not.
    pub fn is_write(&self) -> bool {
        !self.dry_run && !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }
}

/// Reads the records of which `wanted` says so, in the order in which their calls ended. Lines without the text `mentioned` are not
/// parsed: the log of many tests is large.
pub(crate) fn read(
    path: &Path,
    mentioned: &str,
    wanted: impl Fn(&AuditRecord) -> bool,
) -> Result<Vec<AuditRecord>, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::io(format!("read {}", path.display())))?;
    // A last line without an end is one that is being written.
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let records = complete.lines().filter(|line| line.contains(mentioned)).filter_map(parse);
    Ok(records.filter(wanted).collect())
}

/// A line without an object reference or an answer is no call to a resource.
fn parse(line: &str) -> Option<AuditRecord> {
    let event: Event = serde_json::from_str(line).ok()?;
    let object = event.object_ref?;
    Some(AuditRecord {
        received: event.request_received_timestamp,
        user: event.user.username,
        verb: event.verb,
        group: object.api_group,
        resource: object.resource,
        subresource: object.subresource,
        namespace: object.namespace,
        name: object.name,
        code: event.response_status?.code,
        user_agent: event.user_agent,
        dry_run: event.request_uri.contains("dryRun=All"),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    request_received_timestamp: String,
    user: User,
    verb: String,
    #[serde(rename = "requestURI", default)]
    request_uri: String,
    object_ref: Option<ObjectRef>,
    response_status: Option<ResponseStatus>,
    #[serde(default)]
    user_agent: String,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
struct ResponseStatus {
    code: u16,
}
