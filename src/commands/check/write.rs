//! `check --write`: what nobody documents, found out with one throw-away app in the user's own organization. The app is deleted at
//! the end, also after an error, Ctrl-C or the end of the terminal; if it cannot be, its id is reported.

mod app;
mod life;
mod removal;

use super::rows::RowResult;
use super::target::Target;
use crate::commands::CommandError;
use crate::commands::output::{Mood, Progress, Text, Words};
use crate::commands::version::VERSION;
use crate::iam::flavor::flavor;
use crate::text::clean;
use app::ThrowAway;
use k8s_openapi::jiff::{Timestamp, Unit};
use removal::Existence;
use schemars::JsonSchema;
use serde::Serialize;
use std::io::{self, Write};
use tokio::signal::unix::{SignalKind, signal};

/// The most bytes of what was found.
const LONGEST: usize = 300;

/// What the app showed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    api: &'static str,
    organization: String,
    client_id: String,
    version: &'static str,
    at: String,
    facts: Vec<Fact>,
    /// Why not everything was found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// Why the app may still exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_deleted: Option<String>,
}

/// One fact about the API.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fact {
    fact: &'static str,
    found: String,
    /// As in docs/api.md.
    assumed: &'static str,
    verdict: Verdict,
}

/// Whether a fact is as assumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    Ok,
    Differs,
    /// It could not be found out.
    Unknown,
}

impl Facts {
    fn add(&mut self, fact: &'static str, found: impl AsRef<str>, assumed: &'static str, verdict: Verdict) {
        self.facts.push(Fact { fact, found: clean(found.as_ref(), LONGEST), assumed, verdict });
    }

    /// Whether everything was found out, and nothing is left behind.
    pub(super) fn is_clean(&self) -> bool {
        self.problem.is_none() && self.not_deleted.is_none()
    }

    /// A table that can be pasted into an issue.
    pub(super) fn print(&self, text: &mut Text) {
        let Self { api, organization, client_id, version, at, .. } = self;
        text.line(format_args!(
            "What app {client_id} showed in organization {organization} ({api}, oauth-app-operator {version}, {at})"
        ));
        text.line("");
        text.row(["| Fact", "| Found", "| Assumed in docs/api.md", "| Result", "|"]);
        text.row(["|---", "|---", "|---", "|---", "|"]);
        for fact in &self.facts {
            let cell = |text: &str| Words::from(format!("| {}", text.replace('|', "\\|")));
            let verdict = Words::from("| ") + fact.verdict.word();
            text.row([cell(fact.fact), cell(&fact.found), cell(fact.assumed), verdict, "|".into()]);
        }
        text.line("");
        if let Some(problem) = &self.problem {
            text.line(Mood::Bad.of(format_args!("not complete: {problem}")));
        }
        match &self.not_deleted {
            Some(why) => text.line(Mood::Bad.of(format_args!(
                "app {client_id} may still exist in organization {organization}: {why}; delete it in the console"
            ))),
            None => text.line(format_args!("app {client_id} is deleted")),
        }
        text.line("");
    }
}

impl Verdict {
    fn of(is_as_assumed: bool) -> Self {
        if is_as_assumed { Self::Ok } else { Self::Differs }
    }

    fn word(self) -> Words {
        match self {
            Self::Ok => RowResult::Ok.mood().of("ok"),
            Self::Differs => Mood::Attention.of("differs"),
            Self::Unknown => Mood::Aside.of("not known"),
        }
    }
}

/// Makes the app, and removes it however its life ends.
pub(super) async fn measure(target: &Target) -> Result<Facts, CommandError> {
    let app = ThrowAway::new(target)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut facts = Facts {
        api: flavor(target.api).name(),
        organization: target.org.to_string(),
        client_id: app.id().to_string(),
        version: VERSION,
        at: Timestamp::now().round(Unit::Second).map_err(CommandError::message)?.to_string(),
        facts: Vec::new(),
        problem: None,
        not_deleted: None,
    };
    // Not progress: who ends the process the hard way has to know the id.
    writeln!(io::stderr(), "creating app {} in organization {}; it is deleted at the end", app.id(), target.org).ok();
    let (mut existence, progress) = (Existence::Never, Progress::new());
    let ended = tokio::select! {
        ended = life::live(&app, &mut facts, &mut existence, &progress) => ended,
        _ = interrupt.recv() => Err(life::Stopped::Interrupted),
        _ = hang_up.recv() => Err(life::Stopped::Interrupted),
        _ = terminate.recv() => Err(life::Stopped::Interrupted),
    };
    progress.show("deleting the app …");
    facts.not_deleted = removal::remove(&app, existence).await.err();
    facts.problem = ended.err().map(|stopped| stopped.to_string());
    Ok(facts)
}
