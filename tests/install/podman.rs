//! Podman, with a storage of its own, in the place of a kubelet: it runs an image as confined as the pod is.
//! It is that of the machine, if it has one that can run a container here; `.ci/run` installs it where it can.

use control_plane::Scratch;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Of the image and of the container.
const NAME: &str = "oauth-app-operator";
/// Flags that let it run within another container too: no systemd, limits that are no higher than its own.
const ENGINE: [&str; 2] = ["--cgroup-manager=cgroupfs", "--storage-driver=vfs"];
const CONTAINER: [&str; 3] = ["--network=host", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"];

/// Podman with one image. The container is removed when this is dropped.
pub(crate) struct Podman {
    storage: Scratch,
}

impl Podman {
    /// With the image of an OCI image layout, after it ran the command `version` of it.
    ///
    /// # Errors
    /// Why there is no podman, or why it cannot run the image.
    pub(crate) fn load(layout: &Path) -> Result<Self, String> {
        let podman = Self { storage: Scratch::new().map_err(|error| error.to_string())? };
        // A relative path, since podman makes a name of the image of it, and accepts no capital letters in a name.
        let name = layout.file_name().unwrap_or_default().to_string_lossy();
        let mut pull = podman.command();
        pull.current_dir(layout.parent().unwrap_or(layout)).args(["pull", "--quiet", &format!("oci:{name}")]);
        podman.output(&["tag", &output(&mut pull)?, NAME])?;
        let version =
            [&["run", "--rm", "--memory=256m", "--cap-drop=ALL"], &CONTAINER[..], &[NAME, "version"]].concat();
        podman.output(&[&version[..], &["--client"]].concat())?;
        Ok(podman)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("podman");
        command.arg("--root").arg(self.storage.path().join("storage"));
        command.arg("--runroot").arg(self.storage.path().join("run")).args(ENGINE);
        // What podman 4.3 of Debian runs with.
        if Command::new("runc").arg("--version").output().is_ok_and(|output| output.status.success()) {
            command.args(["--runtime", "runc"]);
        }
        command
    }

    fn output(&self, arguments: &[&str]) -> Result<String, String> {
        output(self.command().args(arguments))
    }

    /// The container of a pod, in the foreground, with its arguments, its security context and its limit of memory.
    pub(crate) fn run(&self, pod: &Value, volume: &str, variables: &[(&str, String)]) -> Command {
        let mut command = self.command();
        command.args(["run", "--rm", "--name", NAME, "--volume", volume]).args(CONTAINER);
        command.args(confinement(pod));
        command.args(variables.iter().map(|(name, value)| format!("--env={name}={value}")));
        let arguments = pod["containers"][0]["args"].as_array().unwrap().iter();
        command.arg(NAME).args(arguments.map(|argument| argument.as_str().unwrap()));
        command
    }

    /// The process id of the program.
    pub(crate) fn pid(&self) -> u32 {
        self.output(&["inspect", "--format={{.State.Pid}}", NAME]).unwrap().parse().unwrap()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _none_runs = self.output(&["rm", "--force", "--time=0", NAME]);
    }
}

/// What the program prints, or its errors.
fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("podman: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// The flags for the security contexts and the limit of memory of a pod. What they mean is asserted, so that a pod which asks
/// for less is noticed.
fn confinement(pod: &Value) -> Vec<String> {
    let container = &pod["containers"][0];
    let (shared, own) = (&pod["securityContext"], &container["securityContext"]);
    assert_eq!(shared["seccompProfile"]["type"], "RuntimeDefault", "podman's own default");
    assert_eq!(own["readOnlyRootFilesystem"], true);
    assert_eq!(own["allowPrivilegeEscalation"], false);
    let mut flags = vec![
        format!("--user={}:{}", shared["runAsUser"], shared["runAsGroup"]),
        // Kubernetes adds no writable directories either.
        "--read-only".to_owned(),
        "--read-only-tmpfs=false".to_owned(),
        "--security-opt=no-new-privileges".to_owned(),
    ];
    let dropped = own["capabilities"]["drop"].as_array().unwrap().iter();
    flags.extend(dropped.map(|capability| format!("--cap-drop={}", capability.as_str().unwrap())));
    let memory = container["resources"]["limits"]["memory"].as_str().unwrap();
    flags.push(format!("--memory={}m", memory.strip_suffix("Mi").unwrap()));
    flags
}

/// The limit of memory in bytes of the control group, by the lines of `/proc/<pid>/cgroup`.
pub(crate) fn memory_limit(groups: &str) -> Option<u64> {
    let path = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        match (fields.next()?, fields.next()?) {
            ("", group) => Some(format!("/sys/fs/cgroup{group}/memory.max")),
            ("memory", group) => Some(format!("/sys/fs/cgroup/memory{group}/memory.limit_in_bytes")),
            _ => None,
        }
    };
    let mut limits = groups.lines().filter_map(path).filter_map(|path| std::fs::read_to_string(path).ok());
    limits.find_map(|limit| limit.trim().parse().ok())
}
