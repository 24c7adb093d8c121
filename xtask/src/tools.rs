//! Programs of other projects that commands of this project run, each with a pinned version.
//! They are installed from package registries into the user's cache directory once, and used from there.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use control_plane::binaries::cache_directory;

/// How a program is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registry {
    /// `cargo install`, with the lock file of the package and these options, such as its features.
    CratesIo { options: &'static [&'static str] },
    /// `go install`: the Go checksum database verifies the module.
    GoModule,
    /// `pip install` into a virtual environment; a file of this repository has the checksums.
    PyPi { requirements: &'static str },
}

/// A program of another project.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    /// Its file name.
    pub name: &'static str,
    /// The package that has it.
    pub package: &'static str,
    pub version: &'static str,
    pub registry: Registry,
}

impl Tool {
    /// Where the program is; installs it first if necessary, which can take minutes.
    ///
    /// # Errors
    /// When it cannot be installed.
    pub(crate) fn provide(&self) -> Result<PathBuf, Box<dyn Error>> {
        let root = cache_directory()?.join("tools").join(format!("{}-{}", self.name, self.version));
        let program = root.join("bin").join(self.name);
        if !program.exists() {
            eprintln!("installing {} {} in {}; only the first time", self.name, self.version, root.display());
            // Renamed when it is complete, so an interrupted installation is not used.
            let partial = root.with_extension(format!("part-{}", std::process::id()));
            self.install(&partial).inspect_err(|_| drop(std::fs::remove_dir_all(&partial)))?;
            let _incomplete = std::fs::remove_dir_all(&root);
            std::fs::rename(&partial, &root)?;
        }
        Ok(program)
    }

    fn install(&self, root: &Path) -> Result<(), Box<dyn Error>> {
        let Self { package, version, .. } = self;
        match self.registry {
            Registry::CratesIo { options } => {
                let mut cargo = Command::new(env!("CARGO"));
                cargo
                    .args(["install", package, "--locked", "--version", &format!("={version}"), "--root"])
                    .arg(root)
                    .args(options);
                // Not the target directory of this workspace, and none of its flags.
                cargo.env_remove("RUSTFLAGS").env_remove("CARGO_TARGET_DIR").current_dir("/");
                run(&mut cargo)
            }
            Registry::GoModule => {
                let mut go = Command::new("go");
                go.args(["install", &format!("{package}@{version}")]).env("GOBIN", root.join("bin"));
                run(go.env("CGO_ENABLED", "0").env("GOFLAGS", "-trimpath").current_dir("/"))
            }
            Registry::PyPi { requirements } => {
                run(Command::new("python3").args(["-m", "venv"]).arg(root))?;
                let mut pip = Command::new(root.join("bin/python"));
                pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--requirement"]);
                run(pip.arg(crate::repository().join(requirements)))
            }
        }
    }
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|error| format!("{program}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
