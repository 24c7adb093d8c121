//! Which tool manages a resource from a source elsewhere, by the marks that it leaves, so that a change here may be reverted.

use super::COMMAND_FIELD_MANAGER;
use crate::crd::FIELD_MANAGER;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

/// A label or annotation with the name of the object from which a tool applies the resource, one with its namespace, and what
/// the two are called.
const MARKS: [(&str, Option<&str>, &str); 3] = [
    ("kustomize.toolkit.fluxcd.io/name", Some("kustomize.toolkit.fluxcd.io/namespace"), "the Kustomization"),
    ("helm.toolkit.fluxcd.io/name", Some("helm.toolkit.fluxcd.io/namespace"), "the HelmRelease"),
    ("argocd.argoproj.io/tracking-id", None, "the Argo CD application of tracking id"),
];

/// The tool, or the field manager that sets `spec.suspend` too.
pub(super) fn tool(metadata: &ObjectMeta) -> Option<String> {
    let mark = |name: &str| {
        let labels = metadata.labels.iter().chain(&metadata.annotations);
        labels.filter_map(|marks| marks.get(name)).next().cloned()
    };
    let marked = MARKS.iter().find_map(|(name, namespace, kind)| {
        let namespace = namespace.and_then(mark).map(|namespace| format!("{namespace}/")).unwrap_or_default();
        Some(format!("{kind} {namespace}{}", mark(name)?))
    });
    marked.or_else(|| {
        let entries = metadata.managed_fields.iter().flatten();
        let other = entries.filter(|entry| sets_suspend(entry)).find_map(|entry| entry.manager.clone());
        other.map(|manager| format!("the field manager {manager}"))
    })
}

/// Only server-side apply keeps to what it once set.
fn sets_suspend(entry: &ManagedFieldsEntry) -> bool {
    let is_ours = entry.manager.as_deref().is_some_and(|name| [FIELD_MANAGER, COMMAND_FIELD_MANAGER].contains(&name));
    let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
    let sets = fields.and_then(|fields| fields.get("f:spec")?.get("f:suspend")).is_some();
    sets && !is_ours && entry.operation.as_deref() == Some("Apply")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn tool_of(metadata: Value) -> Option<String> {
        tool(&serde_json::from_value(metadata).unwrap())
    }

    #[test]
    fn the_tool_is_known_by_its_marks() {
        let flux = json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}});
        assert_eq!(tool_of(flux).as_deref(), Some("the Kustomization flux-system/apps"));
        let argo = json!({"annotations": {"argocd.argoproj.io/tracking-id": "a:oauth-apps.dev/OrgOAuthApp:b/c"}});
        assert!(tool_of(argo).unwrap().ends_with("tracking id a:oauth-apps.dev/OrgOAuthApp:b/c"));
        assert_eq!(tool_of(json!({"labels": {"app.kubernetes.io/instance": "x"}})), None);
    }

    #[test]
    fn whoever_applies_suspend_puts_it_back() {
        let entry = |manager: &str, operation: &str, spec: Value| json!({"managedFields": [{"manager": manager, "operation": operation, "fieldsV1": {"f:spec": spec}}]});
        let suspend = json!({"f:suspend": {}});
        assert_eq!(tool_of(entry("ci", "Apply", suspend.clone())).as_deref(), Some("the field manager ci"));
        assert_eq!(tool_of(entry("kubectl-edit", "Update", suspend.clone())), None);
        assert_eq!(tool_of(entry("ci", "Apply", json!({"f:orgId": {}}))), None);
        assert_eq!(tool_of(entry(COMMAND_FIELD_MANAGER, "Apply", suspend)), None);
    }
}
