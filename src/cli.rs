//! The command line: one binary, which runs the operator unless a command is named. The arguments of each command are in its file
//! in `commands`. Every flag of the operator has an environment variable.

use crate::commands::check::CheckArgs;
use crate::commands::completion::CompletionArgs;
use crate::commands::crds::CrdsArgs;
use crate::commands::explain::ExplainArgs;
use crate::commands::import::ImportArgs;
use crate::commands::orphans::OrphansArgs;
use crate::commands::plan::PlanArgs;
use crate::commands::report::ReportArgs;
use crate::commands::requests::{RequestArgs, RetireArgs};
use crate::commands::status::StatusArgs;
use crate::commands::template::TemplateArgs;
use crate::commands::token::TokenArgs;
use crate::commands::version::{LONG_VERSION, VERSION, VersionArgs};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;
use tracing_subscriber::filter::{LevelFilter, Targets};
use url::Url;

/// Turns OrgOAuthApp resources into OAuth apps of VMware Cloud Services, VMware Cloud Partner Navigator or the VCF Identity
/// Broker, and puts their credentials into Secrets.
///
/// Without a command it runs the operator. As kubectl-oauth_app in the PATH it is the plugin `kubectl oauth-app`.
#[derive(Debug, Parser)]
#[command(name = "oauth-app-operator", version = VERSION, long_version = LONG_VERSION, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; `run` when absent.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// For `run`.
    #[command(flatten)]
    pub run: RunArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the cluster, the installation and each API, and say what to do
    Check(Box<CheckArgs>),
    /// Print what the operator would do with manifests, and change nothing
    ///
    /// Exits with 0 when nothing would change, with 2 when something would, and with 1 when a resource would be refused or cannot be
    /// planned. Resources that use a changed IamConnection are planned only if the manifests have them.
    Plan(PlanArgs),
    /// Write manifests for the apps that an organization has
    Import(Box<ImportArgs>),
    /// Find apps without a resource, resources without an app, and Secrets without a resource; delete nothing
    Orphans(OrphansArgs),
    /// Print the state of an app on one screen, or one line for each app
    ///
    /// What you may not read is left out, and the missing permission is named. It is a report, so it exits with 0 whatever the
    /// state of the app is, unless --exit-code is set.
    Status(Box<StatusArgs>),
    /// Request a token with the credentials of an app, which proves them
    ///
    /// The client id and the client secret are read from the Secret of the app and sent to the API of its IamConnection, or, if you
    /// may not read that one, to the API that the operator recorded in status.claim; the host is printed. Prints for which
    /// organization the token is, with which roles and scopes, and when it expires. Exits with 2 if the API issues no token.
    Token(Box<TokenArgs>),
    /// Rotate client secrets: request a new one beside the current one, which stays valid for the overlap
    ///
    /// Sets the annotation oauth-apps.dev/rotate-requested-at. If an earlier rotation still has its overlap, that one is ended first
    /// where the API can do so, and its previous client secret becomes invalid; while pods are known to use it, the rotation waits.
    /// With --wait, exits with 2 unless all are rotated, and prints what the operator waits for or what blocks it.
    Rotate(Box<RequestArgs>),
    /// Retire previous client secrets: end the overlap of the last rotation, so that only the current one is valid
    ///
    /// Sets the annotation oauth-apps.dev/retire-previous-at. Refused while pods are known to use the previous client secret, unless
    /// --despite-stale-consumers is set.
    Retire(Box<RetireArgs>),
    /// Reconcile apps now, instead of at the next resync
    ///
    /// Sets the annotation oauth-apps.dev/reconcile-requested-at. With --wait, exits with 2 unless all are Ready, and prints what the
    /// operator waits for or what blocks it.
    Reconcile(Box<RequestArgs>),
    /// Suspend the reconciliation of apps; only a deletion is reconciled
    ///
    /// Sets spec.suspend. A tool that manages the resource from elsewhere may revert that; if one does, it is named.
    Suspend(Box<RequestArgs>),
    /// Resume the reconciliation of apps
    Resume(Box<RequestArgs>),
    /// Print the Secret that the OrgOAuthApps of a file ask for, with placeholders for the credentials; works without a cluster
    Template(TemplateArgs),
    /// Explain a reason, and what to do about it
    Explain(ExplainArgs),
    /// Write a file for an issue, with state, Events, metrics and logs, and without secrets
    Report(ReportArgs),
    /// Print the CustomResourceDefinitions, or the JSON schemas of the kinds
    Crds(CrdsArgs),
    /// Print the completion script of a shell
    ///
    /// For bash: kubectl-oauth_app completion bash > ~/.local/share/bash-completion/completions/kubectl-oauth_app. So that kubectl
    /// completes `kubectl oauth-app`, link the binary a second time: ln -s kubectl-oauth_app kubectl_complete-oauth_app.
    Completion(CompletionArgs),
    /// Print the version of this command and of the operators in the cluster
    Version(VersionArgs),
    /// Run the operator (the default)
    Run(Box<RunArgs>),
}

/// The name under which the binary was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// By its own name, or any that is not one of the others.
    Operator,
    /// As a plugin of kubectl.
    Plugin,
    /// As what kubectl runs to complete the arguments of the plugin.
    Completer,
}

impl Program {
    fn of(path: Option<&str>) -> Self {
        let name = path.and_then(|path| Path::new(path).file_stem()?.to_str());
        let is_called = |program: &Self| name == Some(program.file_name());
        [Self::Plugin, Self::Completer].into_iter().find(is_called).unwrap_or(Self::Operator)
    }

    pub(crate) const fn file_name(self) -> &'static str {
        match self {
            Self::Operator => "oauth-app-operator",
            Self::Plugin => "kubectl-oauth_app",
            Self::Completer => "kubectl_complete-oauth_app",
        }
    }

    /// The whole command line. The flags of `run` work without its name, and its help has them.
    pub fn command(self) -> clap::Command {
        let command = Cli::command().mut_args(|flag| flag.hide(true));
        match self {
            Self::Operator => command,
            Self::Plugin | Self::Completer => command
                .about("Commands for OrgOAuthApp resources and the operator that turns them into OAuth apps")
                .long_about(None)
                .override_usage("kubectl oauth-app <COMMAND>")
                .mut_subcommand("run", |run| run.hide(true)),
        }
    }
}

/// The name under which this process was called.
pub fn program() -> Program {
    Program::of(std::env::args().next().as_deref())
}

impl Cli {
    /// Parses the arguments of this process. What is wrong with them is an error like any other, since a command that exits with 2
    /// found something.
    ///
    /// # Errors
    /// When the arguments are wrong, or ask for help.
    pub fn from_arguments() -> Result<Self, clap::Error> {
        let program = program();
        let command = match program {
            Program::Operator => program.command(),
            Program::Plugin | Program::Completer => program.command().bin_name("kubectl oauth-app"),
        };
        let is_bare = program == Program::Plugin && std::env::args().count() == 1;
        let matches = match is_bare {
            true => command.try_get_matches_from(["kubectl oauth-app", "--help"])?,
            false => command.try_get_matches()?,
        };
        Self::from_arg_matches(&matches)
    }
}

/// How the operator runs.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Namespace of the Secrets and ConfigMaps that IamConnections name [default: that of the service account, or of the kubeconfig context]
    #[arg(long, env = "OPERATOR_NAMESPACE", value_name = "NAMESPACE")]
    pub operator_namespace: Option<String>,
    /// Watch only this namespace; repeatable [default: all namespaces]
    #[arg(long, env = "WATCH_NAMESPACE", value_name = "NAMESPACE", value_delimiter = ',')]
    pub watch_namespace: Vec<String>,
    /// Watch the metadata of the Secrets that the operator writes, to restore a deleted or edited one at once; needs the permission to list and watch Secrets [default: true with --watch-namespace, else false]
    #[arg(long, env = "WATCH_SECRETS", value_name = "BOOL", action = clap::ArgAction::Set)]
    pub watch_secrets: Option<bool>,
    /// Elect a leader among the replicas; without it, run one replica only
    #[arg(long, env = "LEADER_ELECTION", value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub leader_election: bool,
    /// Address that serves /healthz, /readyz and /metrics; [::] is IPv6 and IPv4, and IPv4 alone where the kernel has no IPv6
    #[arg(long, env = "HTTP_ADDR", value_name = "ADDRESS", default_value = "[::]:8080")]
    pub http_addr: SocketAddr,
    /// Maximum number of in-flight requests to the Kubernetes API server
    #[arg(long, env = "MAX_KUBERNETES_REQUESTS", value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_kubernetes_requests: u16,
    /// Format of the log
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Level of the log
    #[arg(long, env = "LOG_LEVEL", value_enum, default_value_t = LogLevel::Info)]
    pub log_level: LogLevel,
    /// Collector to which traces are exported with OTLP over HTTP, such as http://collector:4318 [default: no traces]
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<OtlpUrl>,
    /// Whole URL to which traces are exported, such as http://collector:4318/v1/traces [default: /v1/traces of --otlp-endpoint]
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", value_name = "URL")]
    pub otlp_traces_endpoint: Option<OtlpUrl>,
}

impl RunArgs {
    /// Whether Secrets are watched. An install does not grant the right to do so in the whole cluster by default.
    pub(crate) fn watches_secrets(&self) -> bool {
        self.watch_secrets.unwrap_or(!self.watch_namespace.is_empty())
    }

    /// Where traces are exported to; nothing without a collector.
    pub fn traces_endpoint(&self) -> Option<Url> {
        let url = |given: &Option<OtlpUrl>| given.as_ref()?.0.clone();
        url(&self.otlp_traces_endpoint).or_else(|| {
            let mut endpoint = url(&self.otlp_endpoint)?;
            let path = format!("{}/v1/traces", endpoint.path().trim_end_matches('/'));
            endpoint.set_path(&path);
            Some(endpoint)
        })
    }
}

/// The URL of a collector. An empty variable is like one that is not set, as the OpenTelemetry specification demands.
#[derive(Clone, Debug)]
pub struct OtlpUrl(Option<Url>);

impl FromStr for OtlpUrl {
    type Err = url::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(|url| Self(Some(url))) }
    }
}

/// Format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines of text.
    Text,
    /// One JSON object per line.
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Errors.
    Error,
    /// Plus retried failures.
    Warn,
    /// Plus every change (default).
    Info,
    /// Plus every step and every request to the API.
    Debug,
    /// Plus the messages of the libraries.
    Trace,
}

impl LogLevel {
    /// The filter of the log: the operator's own lines at the level, those of its libraries only where they help.
    pub fn filter(self) -> Targets {
        let (own, libraries) = match self {
            Self::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
            Self::Warn => (LevelFilter::WARN, LevelFilter::WARN),
            Self::Info => (LevelFilter::INFO, LevelFilter::WARN),
            Self::Debug => (LevelFilter::DEBUG, LevelFilter::INFO),
            Self::Trace => (LevelFilter::TRACE, LevelFilter::DEBUG),
        };
        Targets::new().with_default(libraries).with_target(env!("CARGO_CRATE_NAME"), own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_go_to_the_path_of_the_collector_unless_the_whole_url_is_given() {
        for (arguments, endpoint) in [
            (&[][..], None),
            (&["--otlp-endpoint=http://collector:4318"], Some("http://collector:4318/v1/traces")),
            (&["--otlp-endpoint=http://collector/otlp/"], Some("http://collector/otlp/v1/traces")),
            (&["--otlp-endpoint="], None),
            (&["--otlp-endpoint=http://a", "--otlp-traces-endpoint="], Some("http://a/v1/traces")),
            (&["--otlp-traces-endpoint=http://traces/in"], Some("http://traces/in")),
            (&["--otlp-endpoint=http://a", "--otlp-traces-endpoint=http://b/"], Some("http://b/")),
        ] {
            let cli = Cli::parse_from(["oauth-app-operator"].iter().chain(arguments));
            assert_eq!(cli.run.traces_endpoint().as_ref().map(Url::as_str), endpoint, "{arguments:?}");
        }
    }

    #[test]
    fn secrets_are_watched_where_namespaces_are_named_unless_the_flag_says_otherwise() {
        for (arguments, watches) in [
            (&[][..], false),
            (&["--watch-namespace=a"], true),
            (&["--watch-namespace=a", "--watch-secrets=false"], false),
            (&["--watch-secrets=true"], true),
        ] {
            let cli = Cli::parse_from(["oauth-app-operator"].iter().chain(arguments));
            assert_eq!(cli.run.watches_secrets(), watches, "{arguments:?}");
        }
    }
}
