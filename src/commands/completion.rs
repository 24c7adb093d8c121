//! `completion`: the script that makes a shell complete this command, and what kubectl runs to complete the plugin. Both know the
//! commands and flags, and the values that are fixed.

use super::output::print;
use super::{CommandError, Done};
use crate::cli::{self, Program};
use clap::{Arg, Args, Command};
use clap_complete::Shell;

/// Tells kubectl that files are no candidates.
const NO_FILES: &str = ":4\n";

/// For which shell.
#[derive(Args, Debug)]
pub struct CompletionArgs {
    /// The shell
    shell: Shell,
}

impl CompletionArgs {
    pub(crate) fn run(self) -> Result<Done, CommandError> {
        let program = cli::program();
        let script = match self.shell {
            // For a name with a hyphen clap_complete writes labels that it does not find again.
            Shell::Bash => {
                let name = program.file_name().replace('-', "_");
                script(Shell::Bash, program, &name)
                    .replace(&format!(" {name}\n"), &format!(" {}\n", program.file_name()))
            }
            shell => script(shell, program, program.file_name()),
        };
        print(&script)?;
        Ok(Done::Clean)
    }
}

fn script(shell: Shell, program: Program, name: &str) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program.command(), name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The candidates for the last of these words, which follow the name of the plugin, in the form that kubectl expects.
pub fn candidates(words: &[String]) -> String {
    let mut command = &cli::program().command();
    let (typed, before) = words.split_last().map_or(("", words), |(typed, before)| (typed.as_str(), before));
    for word in before {
        command = command.find_subcommand(word).unwrap_or(command);
    }
    let found = of(command, before.last().map(String::as_str), typed).into_iter();
    let found = found.filter(|candidate| candidate.starts_with(typed)).map(|candidate| candidate + "\n");
    found.chain([NO_FILES.to_owned()]).collect()
}

fn of(command: &Command, before: Option<&str>, typed: &str) -> Vec<String> {
    let is_named = |argument: &&Arg| {
        let long = argument.get_long().map(|name| format!("--{name}"));
        let short = argument.get_short().map(|name| format!("-{name}"));
        before.is_some() && (before == long.as_deref() || before == short.as_deref())
    };
    let values = |argument: &Arg| {
        let values = argument.get_possible_values().into_iter();
        values.filter(|value| !value.is_hide_set()).map(|value| value.get_name().to_owned()).collect()
    };
    if let Some(flag) = command.get_arguments().find(is_named).filter(|flag| flag.get_action().takes_values()) {
        return values(flag);
    }
    if typed.starts_with('-') {
        let flags = command.get_arguments().filter(|flag| !flag.is_hide_set());
        return flags.filter_map(|flag| flag.get_long().map(|name| format!("--{name}"))).collect();
    }
    let subcommands = command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set());
    let subcommands = subcommands.map(|subcommand| subcommand.get_name().to_owned());
    subcommands.chain(command.get_positionals().flat_map(values)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(words: &[&str]) -> Vec<String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let printed = candidates(&words);
        printed.strip_suffix(NO_FILES).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn commands_flags_and_fixed_values_are_completed() {
        assert_eq!(complete(&["re"]), ["retire", "reconcile", "resume", "report"]);
        assert_eq!(complete(&["status", "--exi"]), ["--exit-code"]);
        assert_eq!(complete(&["status", "-o", ""]), ["text", "json", "yaml"]);
        assert_eq!(complete(&["explain", "NotG"]), ["NotGranted"]);
        assert_eq!(complete(&["status", "-n", ""]), Vec::<String>::new());
    }
}
