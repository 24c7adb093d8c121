//! `docs/flags.md`: the flags of the operator with their environment variables, and the variables of the other commands.
//! All of it comes from the command line in `src/cli.rs` and `src/commands`.

use super::table::Table;
use clap::{Arg, Command};
use oauth_app_operator::cli::Program;
use std::collections::BTreeMap;

/// The subcommand of which `docs/flags.md` has the flags, and `docs/cli.md` has not.
pub(super) const OPERATOR: &str = "run";

const INTRODUCTION: &str = "\
# Flags and environment variables

Written by `cargo xtask generate` from `src/cli.rs`.

The operator is the command `oauth-app-operator run`, or `oauth-app-operator` alone. Each of its flags has an environment
variable; a flag takes precedence. A repeatable flag has a variable with values that are separated by commas.

In the chart, [values](install.md#values) set the log, `--watch-namespace`, `--watch-secrets` and the host of
`--http-addr`, as flags. Set all others with `extraArgs` or `extraEnv`.
";

const OTHERS: &str = "
The variables of OpenTelemetry and of proxies are supported too: see [traces](operations.md#traces) and [the network of a
company](operations.md#the-network-of-a-company). Outside a cluster, `KUBECONFIG` names the kubeconfig, as for kubectl.

## Variables of the commands

[cli.md](cli.md) lists the flags of the commands. These environment variables set some of them:

";

pub(super) fn document() -> String {
    let command = Program::Operator.command();
    let run = command.find_subcommand(OPERATOR).map(operator_flags).unwrap_or_default();
    format!("{INTRODUCTION}\n{run}{OTHERS}{}", command_variables(&command))
}

fn operator_flags(run: &Command) -> String {
    let mut table = Table::new(["Flag", "Environment variable", "Default", "Description"]);
    for flag in run.get_arguments() {
        let (description, default) = split_default(&help(flag));
        let default = flag.get_default_values().first().map_or(default, |value| format!("`{}`", value.display()));
        table.row([&long(flag), &variable(flag), &default, &format!("{description}{}", values(flag))]);
    }
    table.to_string()
}

/// Each variable that a flag of a command other than the operator reads, with the flag and the commands.
fn command_variables(command: &Command) -> String {
    let mut found: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != OPERATOR) {
        for flag in subcommand.get_arguments() {
            let own = flag.get_env().map(|name| name.to_string_lossy().into_owned());
            let named = own.into_iter().chain(named_variables(&help(flag)));
            for name in named {
                found.entry((name, long(flag))).or_default().push(format!("`{}`", subcommand.get_name()));
            }
        }
    }
    let mut table = Table::new(["Environment variable", "Flag", "Commands"]);
    for ((name, flag), commands) in found {
        table.row([&format!("`{name}`"), &flag, &commands.join(", ")]);
    }
    table.to_string()
}

fn long(flag: &Arg) -> String {
    let value = flag.get_value_names().map(|names| format!(" {}", names.join(" "))).unwrap_or_default();
    flag.get_long().map(|long| format!("`--{long}{value}`")).unwrap_or_default()
}

fn variable(flag: &Arg) -> String {
    flag.get_env().map(|name| format!("`{}`", name.display())).unwrap_or_default()
}

fn help(flag: &Arg) -> String {
    flag.get_help().map(ToString::to_string).unwrap_or_default()
}

/// A default that depends on something is written in brackets at the end of the help.
fn split_default(help: &str) -> (String, String) {
    let parts = help.strip_suffix(']').and_then(|help| help.split_once(" [default: "));
    parts.map_or((help.to_owned(), String::new()), |(text, default)| (text.to_owned(), default.to_owned()))
}

fn values(flag: &Arg) -> String {
    let values: Vec<String> =
        flag.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if values.is_empty() { String::new() } else { format!(". One of {}", values.join(", ")) }
}

/// Variables that a help text names as `$NAME`.
fn named_variables(help: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    help.split('$').skip(1).map(|rest| rest.chars().take_while(|c| is_part(*c)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_of_the_operator_has_a_row_and_a_variable() {
        let document = document();
        let command = Program::Operator.command();
        let flags: Vec<&Arg> = command.find_subcommand(OPERATOR).unwrap().get_arguments().collect();
        assert!(flags.len() > 5);
        for flag in flags {
            let row = format!("| {} | {} |", long(flag), variable(flag));
            assert!(flag.get_env().is_some() && document.contains(&row), "{row}");
        }
    }

    #[test]
    fn variables_that_only_a_help_text_names_are_listed() {
        assert_eq!(named_variables("A file [default: the value of $A_TOKEN, then $B]"), ["A_TOKEN", "B"]);
        assert!(document().contains("| `OAUTH_APP_API_TOKEN` | `--api-token-file FILE` | `check`, "));
    }

    #[test]
    fn a_default_in_brackets_has_its_own_column() {
        let split = |help| split_default(help);
        assert_eq!(split("Where [default: here]"), ("Where".to_owned(), "here".to_owned()));
        assert_eq!(split("Where"), ("Where".to_owned(), String::new()));
    }
}
