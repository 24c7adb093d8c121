//! The command lines of etcd, kube-apiserver and kube-controller-manager.
//! All files are in one directory; only the apiserver has a port, on 127.0.0.1.

use std::path::Path;
use std::process::Command;

/// File names within the directory.
pub(crate) const AUTHORITY: &str = "ca.crt";
pub(crate) const SERVER_CERTIFICATE: &str = "server.crt";
pub(crate) const SERVER_KEY: &str = "server.key";
pub(crate) const TOKEN_KEY: &str = "token.key";
pub(crate) const TOKEN_PUBLIC_KEY: &str = "token.pub";
pub(crate) const AUDIT_POLICY: &str = "audit-policy.yaml";
pub(crate) const AUDIT_LOG: &str = "audit.log";
pub(crate) const CONTROLLER_MANAGER_KUBECONFIG: &str = "controller-manager.kubeconfig";

/// What a namespace and its objects need to come and go; nothing that would run pods.
const CONTROLLERS: &str = "garbage-collector-controller,namespace-controller,serviceaccount-controller,\
    serviceaccount-token-controller,root-ca-certificate-publisher-controller,clusterrole-aggregation-controller";

/// etcd on Unix sockets, which need no ports and are as private as the directory. The advertised address is never
/// used; without it etcd refuses the sockets.
pub(crate) fn etcd(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("--data-dir").arg(directory.join("etcd"));
    command.arg(format!("--listen-client-urls={}", etcd_url(directory)));
    command.arg(format!("--listen-peer-urls=unix://{}", directory.join("peer.sock").display()));
    command.args(["--advertise-client-urls=http://localhost:2379", "--unsafe-no-fsync", "--log-level=warn"]);
    command.current_dir(directory);
    command
}

fn etcd_url(directory: &Path) -> String {
    format!("unix://{}", directory.join("etcd.sock").display())
}

/// kube-apiserver with RBAC, Pod Security (a default) and the audit log.
pub(crate) fn kube_apiserver(program: &Path, directory: &Path, port: u16) -> Command {
    let mut command = Command::new(program);
    command.arg(format!("--etcd-servers={}", etcd_url(directory)));
    command.arg(format!("--secure-port={port}"));
    command.args([
        "--bind-address=127.0.0.1",
        // A loopback address is no valid endpoint of the service `kubernetes`, and nothing looks for one.
        "--endpoint-reconciler-type=none",
        "--authorization-mode=RBAC",
        // As on OpenShift: who sets an owner needs the rights for it.
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        // The harness shall not be the limit of a benchmark.
        "--max-requests-inflight=2000",
        "--max-mutating-requests-inflight=1000",
        // In megabytes: never rotated, so that the log can be counted.
        "--audit-log-maxsize=100000",
        "--profiling=false",
    ]);
    for (flag, file) in [
        ("client-ca-file", AUTHORITY),
        ("tls-cert-file", SERVER_CERTIFICATE),
        ("tls-private-key-file", SERVER_KEY),
        ("service-account-signing-key-file", TOKEN_KEY),
        ("service-account-key-file", TOKEN_PUBLIC_KEY),
        ("audit-policy-file", AUDIT_POLICY),
        ("audit-log-path", AUDIT_LOG),
    ] {
        command.arg(format!("--{flag}={}", directory.join(file).display()));
    }
    command.current_dir(directory);
    command
}

/// kube-controller-manager with the few controllers of [`CONTROLLERS`], and no port.
pub(crate) fn kube_controller_manager(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg(format!("--controllers={CONTROLLERS}"));
    command.args(["--leader-elect=false", "--secure-port=0", "--kube-api-qps=1000", "--kube-api-burst=2000"]);
    for (flag, file) in [
        ("kubeconfig", CONTROLLER_MANAGER_KUBECONFIG),
        ("root-ca-file", AUTHORITY),
        ("service-account-private-key-file", TOKEN_KEY),
    ] {
        command.arg(format!("--{flag}={}", directory.join(file).display()));
    }
    command.current_dir(directory);
    command
}
