//! `completion`: the script that makes a shell complete this command.
//! It completes for the name under which the binary was called.

use super::output::print;
use super::{CommandError, Done};
use crate::cli;
use clap::Args;
use clap_complete::Shell;

/// For which shell.
#[derive(Args, Debug)]
pub struct CompletionArgs {
    /// The shell
    shell: Shell,
}

impl CompletionArgs {
    pub(crate) fn run(self) -> Result<Done, CommandError> {
        let mut script = Vec::new();
        let name = cli::program().file_name();
        clap_complete::generate(self.shell, &mut cli::command(), name, &mut script);
        print(&String::from_utf8_lossy(&script))?;
        Ok(Done::Clean)
    }
}
