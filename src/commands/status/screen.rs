//! The screen of a status: a few lines for each part, of which each sentence is said once.

use super::report::{
    AppStatus, ConditionReport, ConnectionReport, ConsumersReport, EventReport, GrantReport, GrantVerdict,
    RemoteReport, RotationKind, RotationReport, SecretReport,
};
use crate::commands::output::{Mood, Report, Text, Words};
use k8s_openapi::jiff::Timestamp;

/// The most names in a line.
const MAX_NAMES: usize = 10;

impl ConditionReport {
    fn words(&self) -> Words {
        let mood = if self.is_true() { Mood::Good } else { Mood::Bad };
        mood.of(format!("{:?}", self.status)) + format!(" ({})", self.reason)
    }
}

impl AppStatus {
    fn summary(&self, text: &mut Text) {
        text.field("App", format!("{}/{}", self.namespace, self.name));
        match &self.ready {
            Some(ready) => {
                text.field("Ready", ready.words() + format!(", for {}", age(&ready.since)));
                text.field("", &ready.message);
            }
            None => text.field("Ready", Mood::Attention.of("not reconciled yet")),
        }
        if let Some(what_to_do) = &self.what_to_do {
            text.field("What to do", Mood::Attention.of(what_to_do));
        }
        if self.is_deleting {
            text.field("", Mood::Attention.of("the resource is being deleted"));
        }
        if self.suspended {
            text.field("", Mood::Attention.of("spec.suspend is set: only a deletion is reconciled"));
        }
    }
}

impl ConnectionReport {
    fn lines(&self, text: &mut Text) {
        let of = match (&self.api, &self.endpoint) {
            (Some(api), Some(endpoint)) => format!(", {api:?} at {endpoint}"),
            (Some(_) | None, _) => String::new(),
        };
        text.field("Connection", format!("{}{of}", self.name));
        if let Some(ready) = &self.ready {
            let message = if ready.is_true() { String::new() } else { format!(": {}", ready.message) };
            text.field("", Words::from("Ready ") + ready.words() + message);
        }
        problem(text, self.problem.as_deref());
    }
}

impl GrantReport {
    /// Without what the lines before it said.
    fn lines(&self, text: &mut Text, said: [&str; 2]) {
        let adoption = if self.adoption == Some(true) { ", adoption included" } else { "" };
        let by = if self.problem.is_some() { ", according to the conditions of the app" } else { "" };
        let words = match self.verdict {
            GrantVerdict::Granted => Mood::Good.of(format!("granted{adoption}")),
            GrantVerdict::NotGranted => Mood::Bad.of("not granted"),
            GrantVerdict::NotAllowed => Mood::Bad.of("not allowed"),
            GrantVerdict::NotKnown => Mood::Attention.of("not known"),
        };
        text.field("Grant", words + by);
        if let Some(message) = self.message.as_deref().filter(|message| !said.contains(message)) {
            text.field("", message);
        }
        problem(text, self.problem.as_deref().filter(|problem| !said.contains(problem)));
    }
}

impl RemoteReport {
    fn lines(&self, text: &mut Text, said: &str) {
        let adopted = if self.adopted { ", adopted" } else { "" };
        let id = self.client_id.as_deref().unwrap_or("none yet");
        text.field("Client id", format!("{id} in organization {}{adopted}", self.organization));
        if let Some(synced) = &self.synced {
            let is_said = synced.is_true() || synced.message == said;
            let message = if is_said { String::new() } else { format!(": {}", synced.message) };
            text.field("", Words::from("Synced ") + synced.words() + message);
        }
        if !self.drift.is_empty() {
            text.field("", Mood::Attention.of(format!("differs from the spec in {}", names(&self.drift, None))));
        }
        if let Some(at) = &self.last_used_at {
            text.field("", format!("last used {} ago, according to the API", age(at)));
        }
    }
}

impl SecretReport {
    fn lines(&self, text: &mut Text) {
        let state = match (self.exists, self.owned) {
            (Some(true), Some(true)) => Mood::Good.of("exists, owned by this resource"),
            (Some(true), Some(false) | None) => Mood::Bad.of("exists, and belongs to others"),
            (Some(false), _) => Mood::Bad.of("does not exist"),
            (None, _) => Mood::Attention.of("not shown"),
        };
        text.field("Secret", Words::from(format!("{}: ", self.name)) + state);
        if !self.keys.is_empty() {
            text.field("", format!("keys {}", self.keys.join(", ")));
        }
        if let Some(published) = self.published.as_ref().filter(|published| !published.is_true()) {
            text.field("", Words::from("SecretPublished ") + published.words() + format!(": {}", published.message));
        }
        problem(text, self.problem.as_deref());
    }
}

impl ConsumersReport {
    fn lines(&self, text: &mut Text) {
        match (&self.problem, self.pods.as_slice()) {
            (Some(_), _) => text.field("Pods", Mood::Attention.of("not shown")),
            (None, []) => text.field("Pods", "none uses the Secret"),
            (None, pods) => text.field("Pods", names(pods, None)),
        }
        if self.stale_count > 0 {
            let stale = names(&self.stale, usize::try_from(self.stale_count).ok());
            text.field("", Mood::Bad.of(format!("use an earlier client secret, restart them: {stale}")));
        }
        problem(text, self.problem.as_deref());
    }
}

impl RotationReport {
    fn lines(&self, text: &mut Text) {
        let words = match (self.kind, &self.next_at) {
            (RotationKind::None, _) => "none, it is a public client".to_owned(),
            (RotationKind::Provided, _) => "when the client secret that you provide changes".to_owned(),
            (RotationKind::OnRequest, _) => "on request".to_owned(),
            (RotationKind::ByInterval, Some(at)) => format!("next {} ({})", at, until(at)),
            (RotationKind::ByInterval, None) => "by interval, once a client secret is published".to_owned(),
        };
        let revision = self.revision.map(|revision| format!("; revision {revision}")).unwrap_or_default();
        let rotated = self.rotated_at.as_ref().map(|at| format!(", published {} ago", age(at))).unwrap_or_default();
        text.field("Rotation", format!("{words}{revision}{rotated}"));
        if let (Some(revision), Some(at)) = (self.verified_revision, &self.verified_at) {
            text.field("", format!("revision {revision} got a token {} ago", age(at)));
        }
        if let Some(at) = &self.previous_expires_at {
            text.field("", format!("the previous client secret is valid until {at} ({})", until(at)));
        }
        if let Some(waits) = &self.waits {
            text.field("", Mood::Attention.of(waits));
        }
    }
}

impl Report for AppStatus {
    fn text(&self, text: &mut Text) {
        self.summary(text);
        let said = self.ready.as_ref().map(|ready| ready.message.as_str()).unwrap_or_default();
        self.connection.lines(text);
        self.grant.lines(text, [said, self.connection.problem.as_deref().unwrap_or_default()]);
        self.app.lines(text, said);
        self.secret.lines(text);
        self.consumers.lines(text);
        self.rotation.lines(text);
        match (&self.events_problem, self.events.as_slice()) {
            (Some(_), _) => text.field("Events", Mood::Attention.of("not shown")),
            (None, []) => text.field("Events", "none"),
            (None, events) => {
                for (row, event) in events.iter().enumerate() {
                    text.field(if row == 0 { "Events" } else { "" }, event.line());
                }
            }
        }
        problem(text, self.events_problem.as_deref());
    }
}

impl EventReport {
    fn line(&self) -> Words {
        let ago = self.at.as_ref().map(|at| format!("{} ago", age(at))).unwrap_or_default();
        let mood = if self.r#type == "Warning" { Mood::Attention } else { Mood::Good };
        let count = if self.count > 1 { format!(" ({} times)", self.count) } else { String::new() };
        Words::from(format!("{ago}, ")) + mood.of(&self.reason) + format!(": {}{count}", self.message)
    }
}

fn problem(text: &mut Text, problem: Option<&str>) {
    if let Some(problem) = problem {
        text.field("", Mood::Aside.of(problem));
    }
}

fn names(names: &[String], count: Option<usize>) -> String {
    let shown = &names[..names.len().min(MAX_NAMES)];
    match count.unwrap_or(names.len()).saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// How long ago, as kubectl writes it.
fn age(at: &str) -> String {
    at.parse::<Timestamp>().map(|at| span(Timestamp::now().as_second() - at.as_second())).unwrap_or_default()
}

fn until(at: &str) -> String {
    let Ok(time) = at.parse::<Timestamp>() else { return String::new() };
    match time.as_second() - Timestamp::now().as_second() {
        left if left > 0 => format!("in {}", span(left)),
        over => format!("{} ago", span(-over)),
    }
}

fn span(seconds: i64) -> String {
    match seconds {
        ..0 => "0s".into(),
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        172_800.. => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_as_short_as_those_of_kubectl() {
        let spans = [-5, 0, 119, 120, 7199, 7200, 172_799, 172_800].map(span);
        assert_eq!(spans, ["0s", "0s", "119s", "2m", "119m", "2h", "47h", "2d"]);
    }

    #[test]
    fn many_names_are_counted() {
        let all: Vec<String> = (0..12).map(|n| format!("p{n}")).collect();
        assert!(names(&all, None).ends_with("p9 and 2 more"));
        assert_eq!(names(&all[..2], Some(7)), "p0, p1 and 5 more");
        assert_eq!(names(&all[..2], None), "p0, p1");
    }
}
