//! The rules of kstatus (`pkg/kstatus/status` of cli-utils) for a custom resource: what Flux, Helm and kpt make of
//! generation, deletion and the conditions Reconciling, Stalled and Ready.

use serde_json::Value;

/// What a tool takes a resource for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is as its spec says.
    Current,
    /// It is on the way there.
    InProgress,
    /// It does not get there by itself.
    Failed,
    /// It is being deleted.
    Terminating,
}

/// What kstatus says of a resource.
pub fn read(object: &Value) -> Status {
    if object["metadata"]["deletionTimestamp"].is_string() {
        return Status::Terminating;
    }
    if is_behind(object) {
        return Status::InProgress;
    }
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    for condition in &conditions {
        match (condition["type"].as_str(), condition["status"].as_str()) {
            (Some("Reconciling"), Some("True")) => return Status::InProgress,
            (Some("Stalled"), Some("True")) => return Status::Failed,
            _ => {}
        }
    }
    match conditions.iter().find(|condition| condition["type"] == "Ready").map(|ready| ready["status"].as_str()) {
        Some(Some("True")) | None => Status::Current,
        Some(_) => Status::InProgress,
    }
}

/// Whether status is of an earlier generation; where it does not say of which, it is not known to be.
pub fn is_behind(object: &Value) -> bool {
    let observed = &object["status"]["observedGeneration"];
    observed.is_i64() && *observed != object["metadata"]["generation"]
}
