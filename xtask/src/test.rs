//! `cargo xtask test`: provides the programs for the tests, then runs every test of the workspace, or on an older Kubernetes
//! those that depend on it. The first run builds or downloads the control plane for minutes, and shows its progress.

use std::error::Error;
use std::process::Command;

use control_plane::binaries::{self, Kubernetes, Tool};

/// The end-to-end tests in which Kubernetes decides: admission, garbage collection, watches, permissions. They run on each
/// version; `docs/support.md` lists them too.
const DEPEND_ON_KUBERNETES: [&str; 6] =
    ["admission::", "life::", "short_manifests::", "deletion::", "secret_watch::", "tenancy::"];

/// Arguments for cargo.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Version of Kubernetes, such as 1.31. All but the newest run a part of the tests, unless arguments select others
    #[arg(long, value_name = "MINOR", env = Kubernetes::VARIABLE, default_value_t = Kubernetes::NEWEST)]
    kubernetes: Kubernetes,
    /// Arguments for `cargo test --workspace`, such as a name of tests or `--no-fail-fast`
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Provides the control plane, helm and promtool, builds everything and runs the tests.
pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let others = [Tool::Helm, Tool::Helm4, Tool::Promtool];
    let tools = [&Tool::CONTROL_PLANE[..], &others].concat();
    eprintln!("control plane: looking for Kubernetes {}, etcd, helm and promtool", args.kubernetes.version());
    let programs = binaries::provide_for(args.kubernetes, &tools)?;
    for (_, path, _) in programs.iter() {
        eprintln!("control plane: {}", path.display());
    }
    for arguments in cargo_tests(args.kubernetes, &args.arguments) {
        eprintln!("running on Kubernetes {}: cargo test --workspace {}", args.kubernetes, arguments.join(" "));
        let mut command = Command::new(env!("CARGO"));
        // All binaries of the workspace are built too, since tests run them.
        command.args(["test", "--workspace"]).args(arguments).env(Kubernetes::VARIABLE, args.kubernetes.minor());
        let status = command.status()?;
        if !status.success() {
            return Err(format!("the tests failed: cargo test: {status}").into());
        }
    }
    Ok(())
}

/// The arguments of each `cargo test --workspace`, one after the other.
fn cargo_tests(kubernetes: Kubernetes, selected: &[String]) -> Vec<Vec<String>> {
    if kubernetes == Kubernetes::NEWEST || !selected.is_empty() {
        return vec![selected.to_vec()];
    }
    let owned = |arguments: &[&str]| arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>();
    vec![
        owned(&["--test", "control_plane"]),
        [owned(&["--test", "e2e", "--"]), owned(&DEPEND_ON_KUBERNETES)].concat(),
        owned(&["--test", "install"]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository;

    fn joined(kubernetes: &str, selected: &[&str]) -> Vec<String> {
        let selected: Vec<String> = selected.iter().map(|argument| (*argument).to_owned()).collect();
        let runs = cargo_tests(kubernetes.parse().unwrap(), &selected);
        runs.into_iter().map(|arguments| arguments.join(" ")).collect()
    }

    #[test]
    fn the_newest_kubernetes_runs_everything_and_an_older_one_what_depends_on_it() {
        assert_eq!(joined("1.37", &[]), [""]);
        let older = joined("1.31", &[]);
        assert!(older[1].starts_with("--test e2e -- admission:: life:: "), "{older:?}");
        assert_eq!(older[2], "--test install");
    }

    #[test]
    fn arguments_select_tests_on_each_version() {
        for kubernetes in ["1.31", "1.37"] {
            assert_eq!(joined(kubernetes, &["--test", "e2e", "faults"]), ["--test e2e faults"]);
        }
    }

    #[test]
    fn the_tests_that_run_on_each_version_exist_and_are_documented() {
        let read = |path: &str| std::fs::read_to_string(repository().join(path)).unwrap();
        let (support, modules) = (read("docs/support.md"), read("tests/e2e/main.rs"));
        for module in DEPEND_ON_KUBERNETES.map(|filter| filter.trim_end_matches(':')) {
            assert!(modules.contains(&format!("\nmod {module};\n")), "{module} is no module of tests/e2e");
            assert!(support.contains(&format!("`{module}`")), "docs/support.md does not name {module}");
        }
    }
}
