//! Downloads a program from its project's releases and verifies its checksum.
//! A host that does not answer is asked once only, so that a machine without internet goes on within seconds.

use std::collections::HashMap;
use std::fs::{File, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use aws_lc_rs::digest::{Context, SHA256};

use super::progress::Progress;
use super::{HELM, HELM_4, Kubernetes, PROMETHEUS, Tool};

/// Where a program is released.
#[derive(Debug, PartialEq, Eq)]
struct Release {
    host: &'static str,
    /// The path of the directory of the files below, with a slash at both ends.
    directory: String,
    /// The program itself, or an archive.
    file: String,
    /// The file with its SHA-256.
    checksums: String,
    /// The program within the archive.
    member: Option<String>,
}

/// The release for an operating system and an architecture as Rust names them; `None` where the project has none.
fn release(tool: Tool, kubernetes: Kubernetes, os: &str, arch: &str) -> Option<Release> {
    let os = match os {
        "linux" => "linux",
        "macos" => "darwin",
        _ => return None,
    };
    let arch = match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        _ => return None,
    };
    let name = tool.name();
    match tool {
        Tool::KubeApiserver | Tool::KubeControllerManager if os != "linux" => None,
        // It is released as an image only.
        Tool::KubeStateMetrics => None,
        Tool::KubeApiserver | Tool::KubeControllerManager | Tool::Kubectl => {
            Some(part_of(kubernetes.version(), name, os, arch))
        }
        Tool::Etcd => Some(etcd(kubernetes.etcd(), os, arch)),
        Tool::Helm => Some(helm(HELM, os, arch)),
        Tool::Helm4 => Some(helm(HELM_4, os, arch)),
        Tool::Promtool | Tool::Prometheus => Some(prometheus(name, os, arch)),
    }
}

fn part_of(kubernetes: &str, name: &str, os: &str, arch: &str) -> Release {
    Release {
        host: "dl.k8s.io",
        directory: format!("/release/{kubernetes}/bin/{os}/{arch}/"),
        file: name.to_owned(),
        checksums: format!("{name}.sha256"),
        member: None,
    }
}

fn etcd(version: &str, os: &str, arch: &str) -> Release {
    let stem = format!("etcd-{version}-{os}-{arch}");
    Release {
        host: "github.com",
        directory: format!("/etcd-io/etcd/releases/download/{version}/"),
        file: format!("{stem}.{}", if os == "linux" { "tar.gz" } else { "zip" }),
        checksums: "SHA256SUMS".to_owned(),
        member: Some(format!("{stem}/etcd")),
    }
}

fn helm(version: &str, os: &str, arch: &str) -> Release {
    let file = format!("helm-{version}-{os}-{arch}.tar.gz");
    Release {
        host: "get.helm.sh",
        directory: "/".to_owned(),
        checksums: format!("{file}.sha256sum"),
        file,
        member: Some(format!("{os}-{arch}/helm")),
    }
}

fn prometheus(name: &str, os: &str, arch: &str) -> Release {
    let stem = format!("prometheus-{PROMETHEUS}.{os}-{arch}");
    Release {
        host: "github.com",
        directory: format!("/prometheus/prometheus/releases/download/v{PROMETHEUS}/"),
        file: format!("{stem}.tar.gz"),
        checksums: "sha256sums.txt".to_owned(),
        member: Some(format!("{stem}/{name}")),
    }
}

/// The checksum of `file` in a list as `sha256sum` writes it, or in a file with nothing but the checksum.
fn checksum<'a>(list: &'a str, file: &str) -> Option<&'a str> {
    list.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let sum = words.next().filter(|sum| sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit()))?;
        match words.next() {
            None => Some(sum),
            Some(name) => (name.trim_start_matches('*') == file).then_some(sum),
        }
    })
}

/// Downloads, and remembers the hosts that did not, with the reason.
#[derive(Default)]
pub(super) struct Downloads {
    failed: HashMap<&'static str, String>,
}

impl Downloads {
    /// Downloads the program as a file of its name into `work`.
    pub(super) fn fetch(
        &mut self,
        tool: Tool,
        kubernetes: Kubernetes,
        work: &Path,
        progress: &Progress,
    ) -> Result<(), String> {
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        let release = release(tool, kubernetes, os, arch).ok_or_else(|| format!("no release for {os} on {arch}"))?;
        if let Some(reason) = self.failed.get(release.host) {
            return Err(reason.clone());
        }
        let name = tool.name();
        let base = format!("https://{}{}", release.host, release.directory);
        let list = progress.run(name, curl().args(["--max-time", "15"]).arg(format!("{base}{}", release.checksums)));
        let list = list.inspect_err(|reason| drop(self.failed.insert(release.host, reason.clone())))?;
        let wanted = checksum(&list, &release.file).ok_or_else(|| format!("{base} has no checksum of it"))?;

        progress.say(&format!("{name}: downloading {base}{}", release.file));
        let path = work.join(&release.file);
        let mut download = curl();
        download.arg("--output").arg(&path).arg(format!("{base}{}", release.file));
        progress.run(&format!("{name}: downloading"), &mut download)?;
        verify(&path, wanted)?;
        if let Some(member) = &release.member {
            let mut unpack = Command::new("tar");
            unpack.arg("-xf").arg(&path).arg("-C").arg(work).arg(member);
            progress.run(&format!("{name}: unpacking"), &mut unpack)?;
            std::fs::rename(work.join(member), work.join(name)).map_err(|error| error.to_string())?;
        }
        std::fs::set_permissions(work.join(name), Permissions::from_mode(0o755)).map_err(|error| error.to_string())
    }
}

/// Gives up soon where nobody answers, and where an answer stops coming.
fn curl() -> Command {
    let mut command = Command::new("curl");
    command.args(["--fail", "--silent", "--show-error", "--location", "--proto", "=https"]);
    command.args(["--connect-timeout", "4", "--speed-limit", "10000", "--speed-time", "30"]);
    command
}

/// Whether the file has this SHA-256.
fn verify(path: &Path, wanted: &str) -> Result<(), String> {
    let found = sha256(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if found.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    Err(format!("what came has checksum {found}, not {wanted}"))
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => context.update(&buffer[..length]),
        }
    }
    Ok(context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(tool: Tool, kubernetes: Kubernetes, os: &str, arch: &str) -> Option<[String; 2]> {
        let release = release(tool, kubernetes, os, arch)?;
        let base = format!("https://{}{}", release.host, release.directory);
        Some([format!("{base}{}", release.file), format!("{base}{}", release.checksums)])
    }

    #[test]
    fn every_program_has_the_address_of_its_project() {
        let linux = |tool| urls(tool, Kubernetes::NEWEST, "linux", "x86_64").expect("a release");
        let kubernetes = "https://dl.k8s.io/release/v1.37.2/bin/linux/amd64/kube-apiserver";
        assert_eq!(linux(Tool::KubeApiserver), [kubernetes.to_owned(), format!("{kubernetes}.sha256")]);
        let etcd = "https://github.com/etcd-io/etcd/releases/download/v3.6.16/";
        assert_eq!(linux(Tool::Etcd), [format!("{etcd}etcd-v3.6.16-linux-amd64.tar.gz"), format!("{etcd}SHA256SUMS")]);
        for (tool, version) in [(Tool::Helm, "v3.22.0"), (Tool::Helm4, "v4.3.2")] {
            let helm = format!("https://get.helm.sh/helm-{version}-linux-amd64.tar.gz");
            assert_eq!(linux(tool), [helm.clone(), format!("{helm}.sha256sum")]);
        }
        let prometheus = "https://github.com/prometheus/prometheus/releases/download/v3.16.0/";
        let archive = format!("{prometheus}prometheus-3.16.0.linux-amd64.tar.gz");
        assert_eq!(linux(Tool::Promtool), [archive, format!("{prometheus}sha256sums.txt")]);
    }

    #[test]
    fn an_older_kubernetes_comes_with_its_etcd() {
        let file = |tool| {
            let [file, _] = urls(tool, Kubernetes::SUPPORTED[0], "linux", "x86_64").expect("a release");
            file
        };
        assert_eq!(file(Tool::Kubectl), "https://dl.k8s.io/release/v1.31.14/bin/linux/amd64/kubectl");
        assert!(file(Tool::Etcd).ends_with("/v3.5.35/etcd-v3.5.35-linux-amd64.tar.gz"));
    }

    #[test]
    fn a_mac_gets_what_is_released_for_it() {
        let urls = |tool, os, arch| urls(tool, Kubernetes::NEWEST, os, arch);
        let kubectl = "https://dl.k8s.io/release/v1.37.2/bin/darwin/arm64/kubectl";
        assert_eq!(urls(Tool::Kubectl, "macos", "aarch64").expect("a release")[0], kubectl);
        assert!(urls(Tool::Etcd, "macos", "aarch64").expect("a release")[0].ends_with("-darwin-arm64.zip"));
        assert_eq!(urls(Tool::KubeApiserver, "macos", "aarch64"), None);
        assert_eq!(urls(Tool::Kubectl, "linux", "mips"), None);
    }

    #[test]
    fn checksums_are_found_in_each_form() {
        let (a, b) = ("a".repeat(64), "B".repeat(64));
        assert_eq!(checksum(&format!("{a}\n"), "kubectl"), Some(a.as_str()));
        let list = format!("### SHA256\n{a}  other.tar.gz\n{b} *etcd.tar.gz\n");
        assert_eq!(checksum(&list, "etcd.tar.gz"), Some(b.as_str()));
        assert_eq!(checksum(&list, "missing"), None);
        assert_eq!(checksum("<html>", "kubectl"), None);
    }

    #[test]
    fn a_file_with_another_checksum_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("abc");
        std::fs::write(&path, "abc").expect("written");
        let wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(verify(&path, wanted), Ok(()));
        std::fs::write(&path, "abd").expect("written");
        assert!(verify(&path, wanted).is_err_and(|reason| reason.ends_with(&format!("not {wanted}"))));
    }
}
