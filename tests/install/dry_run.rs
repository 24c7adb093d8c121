//! What the real API server answers to every manifest of every variant, in a dry run under the restricted Pod Security level.

use crate::helm::{VARIANTS, repository, template};
use control_plane::{ControlPlane, Error};
use serde_json::Value;
use std::sync::LazyLock;

/// Has the shipped namespace, the namespaces that variants watch, and the kinds of the Prometheus Operator.
static PLANE: LazyLock<&ControlPlane> = LazyLock::new(|| {
    let plane: &ControlPlane = ControlPlane::shared();
    plane.install_crds(&repository().join("tests/install/prometheus-operator.yaml")).unwrap();
    for namespace in ["oauth-app-operator", "team-a", "team-b"] {
        plane.kubectl(&["create", "namespace", namespace]).unwrap();
        let level = ["pod-security.kubernetes.io/enforce=restricted", "pod-security.kubernetes.io/warn=restricted"];
        plane.kubectl(&[&["label", "namespace", namespace], &level[..]].concat()).unwrap();
    }
    plane
});

/// A dry run in which a warning is an error too.
fn try_out(manifests: &str) -> Result<String, Error> {
    let apply = ["apply", "--server-side", "--dry-run=server", "--warnings-as-errors", "--force-conflicts", "-f", "-"];
    PLANE.kubectl_with_input(&apply, manifests)
}

fn without_pods(manifests: &str) -> (Vec<Value>, String) {
    let (pods, rest): (Vec<&str>, Vec<&str>) =
        manifests.split("\n---\n").partition(|text| text.contains("\nkind: Pod\n"));
    (pods.into_iter().map(|pod| serde_saphyr::from_str(pod).unwrap()).collect(), rest.join("\n---\n"))
}

fn deployment(manifests: &str) -> Value {
    let deployment = manifests.split("\n---\n").find(|text| text.contains("\nkind: Deployment\n")).unwrap();
    serde_saphyr::from_str(deployment).unwrap()
}

#[test]
fn every_manifest_of_every_variant_is_accepted_under_the_restricted_level() {
    for (name, flags) in VARIANTS {
        // No controller here makes the account of the release, which a pod needs; the pods follow.
        let (pods, manifests) = without_pods(&template(flags).unwrap());
        let applied = try_out(&manifests).unwrap_or_else(|error| panic!("{name}: {error}"));
        let documents = manifests.matches("\nkind: ").count();
        // A CRD names its own kind, and below it the one that it defines.
        assert!(applied.lines().count() > 5 && applied.lines().count() <= documents, "{name}: {applied}");
        let mut pod = deployment(&manifests)["spec"]["template"].clone();
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        pod["metadata"]["name"] = "as-deployed".into();
        pod["metadata"]["namespace"] = "oauth-app-operator".into();
        for mut pod in pods.into_iter().chain([pod]) {
            pod["spec"]["serviceAccountName"] = "default".into();
            try_out(&pod.to_string()).unwrap_or_else(|error| panic!("the pod {name}: {error}"));
        }
    }
}

#[test]
fn the_rendered_file_is_accepted_as_it_is() {
    let rendered = std::fs::read_to_string(repository().join("deploy/install.yaml")).unwrap();
    try_out(&rendered).unwrap();
}

#[test]
fn a_pod_with_more_rights_would_be_refused() {
    let mut deployment = deployment(&template(&[]).unwrap());
    deployment["spec"]["template"]["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] =
        true.into();
    let refused = try_out(&deployment.to_string()).unwrap_err().to_string();
    assert!(refused.contains("would violate PodSecurity"), "{refused}");
}
