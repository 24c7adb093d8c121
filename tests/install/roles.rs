//! What users may do through the roles `view`, `edit` and `admin` of the cluster once the operator is installed.

use crate::helm::{NAME, template};
use control_plane::ControlPlane;
use std::path::PathBuf;
use std::time::Duration;
use test_environment::Wait;

const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// A control plane with the CRDs and roles of the chart, and namespace `billing`.
fn plane() -> ControlPlane {
    let plane = ControlPlane::start().unwrap();
    test_environment::install_crds(&plane).unwrap();
    plane.kubectl(&["create", "namespace", NAME]).unwrap();
    plane.kubectl(&["create", "namespace", "billing"]).unwrap();
    plane.kubectl_with_input(&["apply", "-f", "-"], &template(&["--set=crds.install=false"]).unwrap()).unwrap();
    plane
}

/// A user with one of the roles, in namespace `billing` or in the whole cluster.
fn user(plane: &ControlPlane, role: &str, everywhere: bool) -> PathBuf {
    let name = format!("{role}-{}", if everywhere { "everywhere" } else { "billing" });
    let (role, user) = (format!("--clusterrole={role}"), format!("--user={name}"));
    match everywhere {
        true => plane.kubectl(&["create", "clusterrolebinding", &name, &role, &user]),
        false => plane.kubectl(&["create", "rolebinding", &name, "-n=billing", &role, &user]),
    }
    .unwrap();
    plane.write_kubeconfig(&name, &plane.user(&name, None).unwrap()).unwrap()
}

/// The verbs that the user has on a resource.
fn verbs(plane: &ControlPlane, user: &PathBuf, resource: &str, scope: &[&str]) -> Vec<&'static str> {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let (resource, subresource) = (format!("{resource}.oauth-apps.dev"), format!("--subresource={subresource}"));
    let may = |verb: &&str| {
        let mut command = plane.kubectl_command();
        command.args(["auth", "can-i", verb, &resource, &subresource]).args(scope).env("KUBECONFIG", user);
        command.output().unwrap().status.success()
    };
    READ.into_iter().chain(WRITE).filter(may).collect()
}

#[tokio::test]
async fn view_edit_and_admin_have_their_part_of_apps_and_nobody_writes_a_connection() {
    let plane = plane();
    let all = [&READ[..], &WRITE].concat();
    let auditor = user(&plane, "view", true);
    // The controller manager adds the rules to the roles.
    let is_aggregated = async || verbs(&plane, &auditor, "iamconnections", &[]) == READ;
    assert!(Wait::up_to(Duration::from_secs(30)).until(is_aggregated).await, "the roles are not aggregated");
    for (role, apps) in [("view", &READ[..]), ("edit", &all), ("admin", &all)] {
        let in_billing = user(&plane, role, false);
        assert_eq!(verbs(&plane, &in_billing, "orgoauthapps", &["-n=billing"]), apps, "{role}");
        for (resource, scope) in [
            ("orgoauthapps", &["-n=default"][..]),
            ("orgoauthapps/status", &["-n=billing"]),
            ("orgoauthapps/finalizers", &["-n=billing"]),
            ("iamconnections", &[]),
            ("iamconnections/status", &[]),
        ] {
            assert!(verbs(&plane, &in_billing, resource, scope).is_empty(), "{role} on {resource} {scope:?}");
        }
        if role != "view" {
            let everywhere = user(&plane, role, true);
            assert_eq!(verbs(&plane, &everywhere, "orgoauthapps", &["-A"]), apps, "{role}");
            assert_eq!(verbs(&plane, &everywhere, "iamconnections", &[]), READ, "{role}");
        }
    }
}

#[test]
fn without_aggregation_the_roles_of_the_cluster_know_nothing_of_the_operator() {
    let rendered = template(&["--set=rbac.aggregate=false"]).unwrap();
    assert!(!rendered.contains("rbac.authorization.k8s.io/aggregate-to"));
}
