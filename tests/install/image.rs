//! The image that `cargo xtask release` builds, with the binary of the tests, runs confined as the pod is: a root that nobody can
//! write, no capability, no way to new ones, and a user that is not root. Podman runs it where it can; otherwise `unshare` and
//! `setpriv` of util-linux do, in the root that the image has.

use crate::env::InstallEnv;
use crate::guide::APPLY;
use crate::helm::{NAME, repository};
use crate::podman::{Podman, memory_limit};
use control_plane::Scratch;
use image_builder::root::Root;
use image_builder::{ENVIRONMENT, Image, Layout, PROGRAM, Tree, USER, libraries, packages};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use test_environment::Operator;

/// Of the libraries in the base image of `Containerfile` those that a Rust program may ask for, the loader last.
const LIBRARIES: [&str; 4] = ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux"];
/// What a kubelet mounts into every pod.
const ACCOUNT: &str = "var/run/secrets/kubernetes.io/serviceaccount";

/// A read-only copy of the root as its root, seen by no other process; then nobody's rights, and the program.
const CONFINED: &str = r#"
root=$1 user=$2; shift 2
mount -t tmpfs -o mode=0755 image "$root/mnt"
cp -R "$root/image/." "$root/mnt"
mount -o remount,bind,ro "$root/mnt"
exec setpriv --no-new-privs unshare --user --map-user="$user" --map-group="$user" --root="$root/mnt" --wd=/ "$@""#;

/// The value of an instruction of the last stage.
fn instruction(name: &str) -> String {
    let file = std::fs::read_to_string(repository().join("Containerfile")).unwrap();
    let value = file.lines().rev().find_map(|line| line.strip_prefix(&format!("{name} ")));
    value.unwrap_or_else(|| panic!("Containerfile has no {name}")).to_owned()
}

/// The files of the image, with these CA certificates.
fn root(certificates: &str) -> Tree {
    let program = Path::new(env!("CARGO_BIN_EXE_oauth-app-operator"));
    let libraries = libraries(program).unwrap();
    let packages = packages::of(&libraries).unwrap();
    let licenses = ["LICENSE", "THIRD-PARTY-NOTICES"].map(|name| repository().join(name));
    Root { program, libraries: &libraries, packages: &packages, certificates, licenses: &licenses }.tree().unwrap()
}

fn layout(root: Tree) -> Layout {
    let (architecture, created) = (Image::architecture().to_owned(), "1970-01-01T00:00:00Z".to_owned());
    Layout::new(&Image { architecture, root, time: 0, created, labels: BTreeMap::new() }).unwrap()
}

/// What the kubelet gives to the pod: its files, in this directory, and its environment.
fn kubelet(env: &InstallEnv, account: &Path) -> Vec<(&'static str, String)> {
    let token = env.cluster.kubectl(&["-n", NAME, "create", "token", NAME]).unwrap();
    let authority = std::fs::read_to_string(env.cluster.directory().join("ca.crt")).unwrap();
    std::fs::create_dir(account).unwrap();
    for (file, content) in [("token", token), ("ca.crt", authority), ("namespace", NAME.to_owned())] {
        std::fs::write(account.join(file), content).unwrap();
    }
    let port = env.cluster.server().rsplit_once(':').unwrap().1.to_owned();
    let host = "127.0.0.1".to_owned();
    vec![("KUBERNETES_SERVICE_HOST", host), ("KUBERNETES_SERVICE_PORT", port), ("HTTP_ADDR", "127.0.0.1:0".to_owned())]
}

/// Runs the program of the image without a container engine.
fn chroot(scratch: &Path, mut root: Tree, account: &Path, pod: &Value) -> Command {
    for file in ["token", "ca.crt", "namespace"] {
        root.file(&format!("{ACCOUNT}/{file}"), std::fs::read(account.join(file)).unwrap());
    }
    root.file("etc/hosts", "127.0.0.1 localhost\n");
    root.write(&scratch.join("image")).unwrap();
    std::fs::create_dir(scratch.join("mnt")).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", CONFINED, "sh"]);
    command.arg(scratch).args([&pod["securityContext"]["runAsUser"].to_string(), PROGRAM]);
    command.args(serde_json::from_value::<Vec<String>>(pod["containers"][0]["args"].clone()).unwrap());
    command.env_remove("KUBECONFIG").env_remove("SSL_CERT_FILE");
    command
}

/// The process as the kernel sees it.
fn kernel(pid: u32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap()
}

fn assert_confined(pid: u32) {
    let status = kernel(pid, "status");
    for line in
        ["CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1"]
    {
        assert!(status.contains(line), "{line} is not in {status}");
    }
    let mounts = kernel(pid, "mountinfo");
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
    assert!(root.split(' ').nth(5).unwrap().split(',').any(|option| option == "ro"), "{root}");
}

#[test]
fn containerfile_runs_the_program_as_the_released_image_does() {
    assert_eq!(instruction("USER"), format!("{USER}:{USER}"));
    assert_eq!(instruction("ENTRYPOINT"), format!("[{PROGRAM:?}]"));
    assert_eq!(instruction("ENV"), ENVIRONMENT.join(" "));
}

#[test]
fn the_program_asks_for_no_library_that_the_base_image_lacks() {
    assert!(instruction("FROM").starts_with("gcr.io/distroless/cc-debian12@sha256:"));
    let found = libraries(Path::new(env!("CARGO_BIN_EXE_oauth-app-operator"))).unwrap();
    for library in &found {
        let name = library.file_name().unwrap().to_string_lossy();
        assert!(LIBRARIES.iter().any(|known| name.starts_with(known)), "{name} is not in the image");
    }
    assert!(found.len() >= 3, "{found:?}");
}

/// The output of `cargo xtask release` to test, in place of this build and the chart of the repository.
fn release() -> Option<PathBuf> {
    std::env::var_os("RELEASE").map(PathBuf::from)
}

/// Installs the chart of the release, or the manifests of the repository.
fn install(env: &InstallEnv, release: Option<&Path>) {
    let Some(release) = release else { return env.follow(APPLY) };
    let chart = release.join(format!("oauth-app-operator-{}.tgz", env!("CARGO_PKG_VERSION")));
    env.helm(NAME, &["install", NAME, &chart.to_string_lossy(), "--create-namespace"]).unwrap();
    let image = &env.get(&["-n", NAME, "deployment", NAME])["spec"]["template"]["spec"]["containers"][0]["image"];
    let digest = Layout::read(&release.join("image")).unwrap().digest();
    assert!(image.as_str().unwrap().ends_with(&format!("@{digest}")), "{image} is not the image of the release");
}

/// A connection to the simulator. The image of this build has its authority among its CA certificates.
fn connection(env: &InstallEnv, release: Option<&Path>) -> Value {
    let mut connection = env.connection();
    if release.is_none() {
        let endpoint = connection["spec"]["endpoint"].as_str().unwrap().replace("127.0.0.1", "localhost");
        connection["spec"]["endpoint"] = endpoint.into();
        connection["spec"].as_object_mut().unwrap().remove("caBundle");
    }
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_does_the_main_job_as_confined_as_the_pod() {
    let (mut env, release) = (InstallEnv::new().await, release());
    install(&env, release.as_deref());
    let pod = env.get(&["-n", NAME, "deployment", NAME])["spec"]["template"]["spec"].clone();
    assert_eq!(pod["securityContext"]["runAsUser"], USER, "the chart and the image name one user");
    let scratch = Scratch::new().unwrap();
    let account = scratch.path().join("account");
    let variables = kubelet(&env, &account);
    let root = root(env.backend.ca_pem());
    let built = scratch.path().join("layout");
    layout(root.clone()).tree("test").write(&built).unwrap();

    let podman = Podman::load(&release.as_ref().map_or(built, |release| release.join("image")));
    let mut command = match &podman {
        Ok(podman) => podman.run(&pod, &format!("{}:/{ACCOUNT}:ro", account.display()), &variables),
        Err(reason) => {
            assert!(release.is_none(), "podman does not run the image: {reason}");
            // Past the capture of the output: it is no failure, and must be seen.
            let _closed = writeln!(std::io::stderr().lock(), "podman does not run the image, a chroot does: {reason}");
            chroot(scratch.path(), root, &account, &pod)
        }
    };
    command.envs(variables);
    let pid = env.start(Operator::new(command, env.cluster.directory().join("image.log")));

    env.connect_by(&connection(&env, release.as_deref()));
    let team = env.team("billing");
    env.apply_app("billing", &team).await;
    env.until_served("billing").await;
    assert_limits(podman.as_ref().ok(), pid);
    // SIGTERM, as when the pod is deleted: the program ends without an error.
    env.stop();
}

/// What the kernel holds the program to. Without podman, `pid` is the program.
fn assert_limits(podman: Option<&Podman>, pid: u32) {
    let Some(podman) = podman else {
        assert_confined(pid);
        return assert_eq!(
            kernel(pid, "uid_map").split_whitespace().next(),
            Some(&*USER.to_string()),
            "it is nobody's"
        );
    };
    let pid = podman.pid();
    assert_confined(pid);
    assert!(kernel(pid, "status").contains(&format!("\nUid:\t{USER}\t")), "it is nobody's");
    assert!(kernel(pid, "status").contains("\nSeccomp:\t2\n"), "system calls are filtered");
    assert_eq!(memory_limit(&kernel(pid, "cgroup")), Some(256 << 20));
}
