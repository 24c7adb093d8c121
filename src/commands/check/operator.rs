//! Whether the operator runs: its namespace and its Deployment. Only the namespace is required, since an operator may run elsewhere.

use super::rows::Rows;
use crate::commands::CommandError;
use crate::commands::version::running_in;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};

/// Whether its namespace is there, as far as is known.
pub(super) async fn check(client: &Client, namespace: &str, rows: &mut Rows) -> bool {
    rows.group("Operator");
    let namespaces: Api<Namespace> = Api::all(client.clone());
    match namespaces.get_metadata_opt(namespace).await {
        Ok(Some(_)) => rows.ok("namespace", namespace),
        Ok(None) => {
            let what_to_do = "install the operator, or name its namespace with --operator-namespace";
            rows.failed("namespace", format!("{namespace} does not exist"), what_to_do);
            return false;
        }
        Err(error) => {
            let error = CommandError::kubernetes(format!("read namespace {namespace}"))(error);
            rows.skipped("namespace", error.to_string());
        }
    }
    match running_in(client.clone(), namespace).await {
        Ok(deployments) if deployments.is_empty() => {
            rows.warning("Deployment", "absent", "install the operator, unless it runs elsewhere");
        }
        Ok(deployments) => {
            for deployment in deployments {
                let (found, is_whole) = deployment.state();
                if is_whole {
                    rows.ok("Deployment", found);
                } else {
                    let what_to_do = format!("read why: kubectl -n {namespace} describe pods, and their logs");
                    rows.warning("Deployment", found, what_to_do);
                }
            }
        }
        Err(error) => rows.skipped("Deployment", error.to_string()),
    }
    true
}
