//! The commands of `docs/install.md` and `docs/upgrade.md`, to the letter, as the tests run them.

use crate::helm::repository;

pub(crate) const INSTALL: &str = "\
helm install oauth-app-operator deploy/chart --namespace oauth-app-operator --create-namespace \\
  --set image.repository=registry.example.com/oauth-app-operator";
pub(crate) const RESTRICT: &str =
    "kubectl label namespace oauth-app-operator pod-security.kubernetes.io/enforce=restricted";
pub(crate) const APPLY: &str = "kubectl apply -k deploy";
pub(crate) const INSTALL_SCOPED: &str = "\
kubectl create namespace team-a
kubectl create namespace team-b
helm install oauth-app-operator deploy/chart --namespace oauth-app-operator --create-namespace \\
  --set image.repository=registry.example.com/oauth-app-operator --set 'watchNamespaces={team-a,team-b}'";
pub(crate) const UPGRADE: &str =
    "helm upgrade oauth-app-operator deploy/chart --namespace oauth-app-operator --reset-then-reuse-values";
pub(crate) const ROLLBACK: &str = "helm rollback oauth-app-operator --namespace oauth-app-operator";
pub(crate) const UNINSTALL: &str = "helm uninstall oauth-app-operator --namespace oauth-app-operator";
pub(crate) const DELETE_OPERATOR: &str = "kubectl delete -k deploy -l app.kubernetes.io/component=operator";
pub(crate) const DELETE_APPS: &str = "\
kubectl delete ooa --all --all-namespaces
kubectl delete iamc --all";
pub(crate) const DELETE: &str = "kubectl delete -k deploy";
pub(crate) const UNINSTALL_ALL: &str = "\
helm uninstall oauth-app-operator --namespace oauth-app-operator
kubectl delete crd orgoauthapps.oauth-apps.dev iamconnections.oauth-apps.dev
kubectl delete namespace oauth-app-operator";
pub(crate) const WAIT_UNTIL_GONE: &str = "kubectl wait --for=delete crd/orgoauthapps.oauth-apps.dev --timeout=90s";
pub(crate) const LET_GO: &str = r#"kubectl -n billing patch ooa billing-export --type=json -p '[{"op": "remove", "path": "/metadata/finalizers"}]'"#;

#[test]
fn every_command_of_the_guides_is_run_by_a_test() {
    let install = [
        INSTALL,
        RESTRICT,
        APPLY,
        INSTALL_SCOPED,
        UNINSTALL,
        DELETE_OPERATOR,
        DELETE_APPS,
        DELETE,
        UNINSTALL_ALL,
        WAIT_UNTIL_GONE,
        LET_GO,
    ];
    assert_eq!(commands("docs/install.md"), install);
    assert_eq!(commands("docs/upgrade.md"), [UPGRADE, APPLY, ROLLBACK]);
}

/// The blocks of commands of a document.
fn commands(document: &str) -> Vec<String> {
    let guide = std::fs::read_to_string(repository().join(document)).unwrap();
    let blocks = guide.split("\n```sh\n").skip(1).map(|rest| rest.split("\n```\n").next().unwrap().to_owned());
    blocks.collect()
}
