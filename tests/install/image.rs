//! The program with nothing but what the image of `Containerfile` holds, confined as the pod is: a root that nobody can write,
//! no capability, no way to new ones, and a user that is not root. It needs no container engine: `unshare` and `setpriv` of
//! util-linux, and the kernel's user namespaces.

use crate::env::InstallEnv;
use crate::guide::APPLY;
use crate::helm::{NAME, repository};
use control_plane::Scratch;
use std::path::{Path, PathBuf};
use std::process::Command;
use test_environment::Operator;

/// Of the libraries in the base image those that a Rust program may ask for, the loader last.
const LIBRARIES: [&str; 4] = ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux"];
/// Where the base image has its CA certificates.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";
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

/// Where the program is in the image.
fn entry_point() -> String {
    let words: Vec<String> = serde_json::from_str(&instruction("ENTRYPOINT")).unwrap();
    words.into_iter().next().unwrap()
}

fn write(root: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = root.join(path.trim_start_matches('/'));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// The files that the program is linked with.
fn libraries(program: &str) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    output.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

/// The files of the image, with these certificates, and what the kubelet adds.
fn unpack(root: &Path, certificates: &str, kubelet: &[(&str, String)]) {
    let program = env!("CARGO_BIN_EXE_oauth-app-operator");
    let target = root.join(entry_point().trim_start_matches('/'));
    std::fs::create_dir_all(target.parent().unwrap()).unwrap();
    std::fs::copy(program, &target).unwrap();
    for library in libraries(program) {
        write(root, &library.display().to_string(), std::fs::read(&library).unwrap());
        let loader = root.join(library.strip_prefix("/").unwrap());
        std::fs::set_permissions(loader, std::fs::metadata(&target).unwrap().permissions()).unwrap();
    }
    write(root, CERTIFICATES, certificates);
    write(root, "etc/hosts", "127.0.0.1 localhost\n");
    for (file, content) in kubelet {
        write(root, &format!("{ACCOUNT}/{file}"), content);
    }
}

/// The process as the kernel sees it.
fn kernel(pid: u32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap()
}

#[test]
fn the_program_asks_for_no_library_that_the_image_lacks() {
    assert_eq!(instruction("FROM"), "gcr.io/distroless/cc-debian12");
    let found = libraries(env!("CARGO_BIN_EXE_oauth-app-operator"));
    for library in &found {
        let name = library.file_name().unwrap().to_string_lossy();
        assert!(LIBRARIES.iter().any(|known| name.starts_with(known)), "{name} is not in the image");
    }
    assert!(found.len() >= 3, "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_does_the_main_job_with_a_read_only_root_and_no_rights_in_the_kernel() {
    let mut env = InstallEnv::new().await;
    env.follow(APPLY);
    let pod = env.get(&["-n", NAME, "deployment", NAME])["spec"]["template"]["spec"].clone();
    let user = pod["securityContext"]["runAsUser"].to_string();
    assert_eq!(instruction("USER"), format!("{user}:{user}"), "the chart and the image name one user");

    let scratch = Scratch::new().unwrap();
    let image = scratch.path().join("image");
    std::fs::create_dir(scratch.path().join("mnt")).unwrap();
    let token = env.cluster.kubectl(&["-n", NAME, "create", "token", NAME]).unwrap();
    let authority = std::fs::read_to_string(env.cluster.directory().join("ca.crt")).unwrap();
    let account = [("token", token), ("ca.crt", authority), ("namespace", NAME.to_owned())];
    unpack(&image, env.backend.ca_pem(), &account);
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", CONFINED, "sh"]);
    command.arg(scratch.path()).args([&user, &entry_point()]);
    command.args(serde_json::from_value::<Vec<String>>(pod["containers"][0]["args"].clone()).unwrap());
    let port = env.cluster.server().rsplit_once(':').unwrap().1;
    command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1").env("KUBERNETES_SERVICE_PORT", port);
    command.env("HTTP_ADDR", "127.0.0.1:0").env_remove("KUBECONFIG").env_remove("SSL_CERT_FILE");
    let log = env.cluster.directory().join("confined.log");
    let pid = env.start(Operator::new(command, log));

    // The authority of the simulator is among the certificates of the image, so the connection names none.
    let mut connection = env.connection();
    connection["spec"]["endpoint"] =
        connection["spec"]["endpoint"].as_str().unwrap().replace("127.0.0.1", "localhost").into();
    connection["spec"].as_object_mut().unwrap().remove("caBundle");
    env.connect_by(&connection);
    let team = env.team("billing");
    env.apply_app("billing", &team).await;
    env.until_served("billing").await;

    let status = kernel(pid, "status");
    for line in
        ["CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1"]
    {
        assert!(status.contains(line), "{line} is not in {status}");
    }
    assert!(kernel(pid, "uid_map").split_whitespace().next() == Some(&user), "it is nobody's");
    let mounts = kernel(pid, "mountinfo");
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
    assert!(root.split(' ').nth(5).unwrap().split(',').any(|option| option == "ro"), "{root}");
}
