//! `docs/cli.md` and the man pages: every command with its flags.
//! What they say is the help of the commands, in `src/cli.rs` and `src/commands`.

use super::{File, flags};
use clap::Command;
use clap_mangen::Man;
use clap_markdown::MarkdownOptions;
use oauth_app_operator::cli::Program;
use std::io;

const INTRODUCTION: &str = "\
# Commands

Written by `cargo xtask generate` from the help of the commands.

One binary runs the operator and the commands. Under the name `kubectl-oauth_app` in the `PATH` it is a plugin of kubectl:
`kubectl oauth-app explain NotGranted`. To install it from a checkout:

    cargo build --release
    cp target/release/oauth-app-operator ~/.local/bin/kubectl-oauth_app

The `tar.gz` that [`cargo xtask release`](release.md) writes has it too, with the man pages. A release has binaries for Linux
only. Without the plugin, [annotations](gitops.md#request-something-without-a-change-in-git) request the same, and
`kubectl describe ooa` shows the state of an app.

A command uses the current context of the kubeconfig, and the permissions of its user.
Exit codes: 0, nothing is to be done; 1, an error, or something that does not work; 2, a finding, such as a change that
`plan` reports. Reports are text, or JSON or YAML with `-o`; `docs/schemas` has the schemas of the JSON, and `docs/man`
the man pages.

";

/// Without its long list of flags; the name of the program is put before it.
const RUN_USAGE: &str = "run [OPTIONS]";
/// In the place of the flags of the operator.
const RUN_HELP: &str = "[flags.md](flags.md) lists the flags, and the environment variable of each.";

/// The comment by which a reader of the source knows where it is from.
const MAN_COMMENT: &str = ".\\\" Written by `cargo xtask generate` from the help of the commands.\n";

pub(super) fn document() -> String {
    let options = MarkdownOptions::new().show_footer(false).show_table_of_contents(true).title(String::new());
    let hide = |run: Command| run.mut_args(|flag| flag.hide(true)).override_usage(RUN_USAGE).after_help(RUN_HELP);
    let command = Program::Operator.command().mut_subcommand(flags::OPERATOR, hide);
    let body = clap_markdown::help_markdown_command_custom(&command, &options);
    let is_kept = |line: &&str| !line.starts_with("This document contains");
    let body: Vec<&str> = body.trim_start_matches('#').trim().lines().map(str::trim_end).filter(is_kept).collect();
    format!("{INTRODUCTION}{}\n", body.join("\n").trim_start())
}

pub(super) fn man_pages() -> io::Result<Vec<File>> {
    let mut command = Program::Operator.command().disable_help_subcommand(true);
    command.build();
    let source = format!("{} {}", command.get_name(), command.get_version().unwrap_or_default());
    let subcommands = command.get_subcommands().map(|subcommand| {
        let name = format!("{}-{}", command.get_name(), subcommand.get_name());
        page(&name, &source, subcommand.clone().display_name(name.clone()))
    });
    let of_all = page(command.get_name(), &source, command.clone());
    std::iter::once(of_all).chain(subcommands).collect()
}

/// The source is what the foot of a page shows: the program and its version, which a subcommand does not have.
fn page(name: &str, source: &str, command: Command) -> io::Result<File> {
    let mut page = Vec::new();
    Man::new(command).date("").source(source).render(&mut page)?;
    let lines: Vec<String> = String::from_utf8_lossy(&page).lines().map(|line| line.trim_end().to_owned()).collect();
    Ok((format!("docs/man/{name}.1"), format!("{MAN_COMMENT}{}\n", lines.join("\n"))))
}
