//! Runs commands as a reader would: with bash, in a directory like a checkout, with kubectl at hand.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines of the script before those of the document.
const HEADER: &str = "exec 2>&1 </dev/null\nset -eEuo pipefail\ntrap 'echo \"failed at line $((LINENO + OFFSET)): $BASH_COMMAND\"' ERR\n";
/// No command takes that long, unless it waits for what never comes.
const LIMIT: &str = "180";

/// A directory and an environment for commands.
pub(crate) struct Shell {
    pub directory: PathBuf,
    pub kubeconfig: PathBuf,
    pub path: String,
}

impl Shell {
    /// Runs a script whose first line is `line` of its document, and gives what it prints.
    pub(crate) fn run(&self, script: &str, line: usize) -> Result<String, String> {
        let file = self.directory.join("script.sh");
        std::fs::write(&file, format!("{HEADER}{script}")).map_err(|error| error.to_string())?;
        let mut command = self.command("timeout");
        let offset = line as i64 - 1 - HEADER.lines().count() as i64;
        command.args(["-k", "5", LIMIT, "bash"]).arg(&file).env("OFFSET", offset.to_string());
        let output = command.output().map_err(|error| error.to_string())?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() { Ok(printed) } else { Err(format!("{}\n{printed}", output.status)) }
    }

    /// What a command prints, whether it succeeds or not.
    pub(crate) fn printed(&self, command: &str) -> String {
        self.run(command, 1).unwrap_or_else(|failed| failed)
    }

    /// A program in this directory and environment.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.directory).env("KUBECONFIG", &self.kubeconfig).env("PATH", &self.path);
        command.env("KUBECACHEDIR", self.directory.join("kubectl-cache"));
        command
    }
}

/// Copies a directory, each text file through `change`.
pub(crate) fn copy(from: &Path, to: &Path, change: &impl Fn(&str) -> String) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &target, change)?;
        } else {
            match std::fs::read_to_string(&path) {
                Ok(text) => std::fs::write(target, change(&text))?,
                Err(_) => drop(std::fs::copy(&path, target)?),
            }
        }
    }
    Ok(())
}
