//! The life of the throw-away app: create, change, two rotations, deletion, and its id used again. Each step adds facts; a step that
//! fails ends the life only if the next ones need it.

use super::app::ThrowAway;
use super::removal::Existence;
use super::{Facts, Verdict};
use crate::commands::output::Progress;
use crate::crd::Api;
use crate::decide::API_LAG;
use crate::iam::flavor::flavor;
use crate::iam::probe::{AnswerShape, Trial};
use crate::iam::{Error, Iam, Lookup, RemoteApp, Verification};
use std::mem;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The pauses between two reads of what is waited for.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// Longer than all that is measured within it.
const OVERLAP: Duration = Duration::from_secs(15 * 60);
const SOON: &str = "within 2 minutes";

/// Why a life ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    #[error("the app was not created: {0}")]
    NotCreated(String),
    #[error("{0}")]
    Failed(String),
    #[error("interrupted")]
    Interrupted,
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Waited for, with what came of it.
enum Waited {
    AtOnce,
    After(Duration),
    NotWithin(Duration),
    /// It could not be found out.
    NotKnown(String),
}

struct Life<'a> {
    app: &'a ThrowAway<'a>,
    facts: &'a mut Facts,
    existence: &'a mut Existence,
    progress: &'a Progress,
}

pub(super) async fn live(
    app: &ThrowAway<'_>,
    facts: &mut Facts,
    existence: &mut Existence,
    progress: &Progress,
) -> Result<(), Stopped> {
    let mut life = Life { app, facts, existence, progress };
    life.create().await?;
    life.change().await?;
    life.rotate().await?;
    life.delete().await
}

impl Life<'_> {
    async fn create(&mut self) -> Result<(), Stopped> {
        self.progress.show("creating the app …");
        let created = self.send_create().await?;
        if !created.is_success() {
            let why = created.words();
            return Err(if is_refused(created.status) { Stopped::NotCreated(why) } else { Stopped::Failed(why) });
        }
        let members = created.members.join(", ");
        let has_id = ["clientId", "client_id"].iter().any(|name| created.members.iter().any(|member| member == name));
        let found = format!("{}: {members}", created.status);
        self.facts.add(
            "create with a chosen id and secret",
            found,
            "accepted, and the response has the id",
            Verdict::of(has_id),
        );
        self.wait_for_read("read shows the new app", async |life| Ok(life.read().await?.is_some())).await;
        self.wait_for_list("list shows the new app", |lookup| {
            matches!(lookup, Lookup::Listed(_) | Lookup::Read(Some(_)))
        })
        .await;
        self.wait_for_token("token for the secret of the create", 0).await;
        let again = self.send_create().await?;
        let is_rejected = matches!(again.status, 400 | 409 | 422);
        self.facts.add(
            "create of an id that exists",
            again.words(),
            "rejected with 400, 409 or 422",
            Verdict::of(is_rejected),
        );
        Ok(())
    }

    async fn change(&mut self) -> Result<(), Stopped> {
        let update = self.app.update().map_err(|error| Stopped::Failed(error.to_string()))?;
        self.progress.show("changing the description …");
        match self.app.iam().update(self.app.org(), self.app.id(), &update).await {
            Ok(shown) => {
                let found = if shown.is_some() {
                    "accepted; the response shows the app"
                } else {
                    "accepted; the response does not show the app"
                };
                self.facts.add("change of a field", found, "accepted", Verdict::Ok);
            }
            Err(error) => {
                self.facts.add("change of a field", error.to_string(), "accepted", Verdict::Differs);
                return Ok(());
            }
        }
        self.wait_for_read("read shows the change", async |life| {
            Ok(life.read().await?.is_some_and(|app| ThrowAway::is_changed(&app.fields)))
        })
        .await;
        self.wait_for_list("list shows the change", |lookup| match lookup {
            Lookup::Listed(app) | Lookup::Read(Some(app)) => ThrowAway::is_changed(&app.fields),
            Lookup::NotListed | Lookup::Read(None) => false,
        })
        .await;
        Ok(())
    }

    /// Two rotations, the second of them during the overlap of the first, and again after its end where it was rejected.
    async fn rotate(&mut self) -> Result<(), Stopped> {
        self.progress.show("rotating the secret …");
        let first = self.probe(Trial::Rotate(self.app.id(), &self.app.secrets[1], OVERLAP)).await?;
        self.facts.add("rotation with an overlap", first.words(), "accepted", Verdict::of(first.is_success()));
        if !first.is_success() {
            return Ok(());
        }
        self.wait_for_token("token for the new secret", 1).await;
        self.token_now("token for the previous secret in the overlap", 0, true).await;
        let second = self.probe(Trial::Rotate(self.app.id(), &self.app.secrets[2], OVERLAP)).await?;
        let is_understood = second.is_success() || matches!(second.status, 400 | 409);
        let assumed = "perhaps rejected, with 409 (Identity Broker: 400)";
        self.facts.add("second rotation in the overlap", second.words(), assumed, Verdict::of(is_understood));
        let mut current = 1;
        if second.is_success() {
            current = 2;
            self.wait_for_token("token for the secret of the second rotation", 2).await;
            self.token_now("token for the secret before it", 1, true).await;
            self.token_now("token for the secret before the first rotation", 0, false).await;
        }
        self.end_rotation(current).await;
        if current == 1 && flavor(self.app.target.api).end_rotation().is_some() {
            let third = self.probe(Trial::Rotate(self.app.id(), &self.app.secrets[3], OVERLAP)).await?;
            self.facts.add(
                "rotation after the end of the overlap",
                third.words(),
                "accepted",
                Verdict::of(third.is_success()),
            );
            if third.is_success() {
                self.wait_for_token("token for its secret", 3).await;
            }
        }
        Ok(())
    }

    async fn end_rotation(&mut self, current: usize) {
        let fact = "end of an overlap";
        if flavor(self.app.target.api).end_rotation().is_none() {
            return self.facts.add(fact, "not tried", "the API has no such operation", Verdict::Unknown);
        }
        if let Err(error) = self.app.iam().end_rotation(self.app.org(), self.app.id()).await {
            return self.facts.add(fact, error.to_string(), "accepted", Verdict::Differs);
        }
        self.facts.add(fact, "accepted", "accepted", Verdict::Ok);
        self.wait_for_refusal("no token for the previous secret after it", current - 1).await;
        self.token_now("token for the current secret after it", current, true).await;
    }

    async fn delete(&mut self) -> Result<(), Stopped> {
        self.progress.show("deleting the app …");
        let deleted = self.probe(Trial::Delete(self.app.id())).await?;
        let is_not_offered =
            self.app.target.api == Api::CloudPartnerNavigator && matches!(deleted.status, 404 | 405 | 501);
        let is_understood = deleted.is_success() || is_not_offered;
        let assumed = "accepted (Navigator: perhaps not offered)";
        self.facts.add("delete", deleted.words(), assumed, Verdict::of(is_understood));
        if !deleted.is_success() {
            return Ok(());
        }
        if self.wait_for_read("read no longer shows the app", async |life| Ok(life.read().await?.is_none())).await {
            *self.existence = Existence::Deleted;
        }
        self.wait_for_list("list no longer shows the app", |lookup| {
            matches!(lookup, Lookup::NotListed | Lookup::Read(None))
        })
        .await;
        self.wait_for_refusal("no token for the secret of a deleted app", self.last_secret()).await;
        let again = self.probe(Trial::Delete(self.app.id())).await?;
        let says_not_found = again.status == 400 && again.words().to_ascii_lowercase().contains("not found");
        let is_understood = again.status == 404 || says_not_found || again.is_success();
        let assumed = "404, or 400 with \"not found\"";
        self.facts.add("delete of a deleted app", again.words(), assumed, Verdict::of(is_understood));
        let reused = self.send_create().await?;
        let assumed = "accepted; 409 while the deletion is in progress";
        let is_understood = reused.is_success() || reused.status == 409;
        self.facts.add("create with the id of a deleted app", reused.words(), assumed, Verdict::of(is_understood));
        Ok(())
    }

    /// The newest that a token was issued for.
    fn last_secret(&self) -> usize {
        let is_there = |fact: &str| self.facts.facts.iter().any(|one| one.fact == fact);
        match () {
            () if is_there("token for its secret") => 3,
            () if is_there("token for the secret of the second rotation") => 2,
            () if is_there("token for the new secret") => 1,
            () => 0,
        }
    }

    /// Until the API refuses it, the app may exist: a response may be late, lost or of something in between.
    async fn send_create(&mut self) -> Result<AnswerShape, Error> {
        let before = mem::replace(self.existence, Existence::Possible);
        let answer = self.probe(Trial::Create(&self.app.new)).await;
        let is_refused = match &answer {
            Ok(shape) => is_refused(shape.status),
            Err(error) => !error.may_have_taken_effect(),
        };
        if is_refused {
            *self.existence = before;
        }
        answer
    }

    async fn probe(&self, trial: Trial<'_>) -> Result<AnswerShape, Error> {
        let shape = self.app.iam().probe(self.app.org(), trial).await?;
        shape.ok_or_else(|| Error::Rejected("the API has no such operation".into()))
    }

    async fn read(&self) -> Result<Option<RemoteApp>, Error> {
        self.app.iam().read(self.app.org(), self.app.id()).await
    }

    /// Whether it came to hold.
    async fn wait_for_read(&mut self, fact: &'static str, holds: impl AsyncFn(&Self) -> Result<bool, Error>) -> bool {
        let waited = self.until(fact, &holds).await;
        let is_held = matches!(waited, Waited::AtOnce | Waited::After(_));
        self.waited(fact, waited, SOON);
        is_held
    }

    async fn wait_for_list(&mut self, fact: &'static str, holds: impl Fn(&Lookup) -> bool) {
        let find = async |life: &Self| life.app.iam().find(life.app.org(), life.app.id(), Duration::ZERO).await;
        let waited = self.until(fact, async |life: &Self| Ok(holds(&find(life).await?))).await;
        self.waited(fact, waited, "within 2 minutes, if there is a list; otherwise the app is read");
    }

    async fn verify(&self, secret: usize) -> Result<Verification, Error> {
        self.app.iam().verify_secret(self.app.org(), self.app.id(), &self.app.secrets[secret]).await
    }

    async fn wait_for_token(&mut self, fact: &'static str, secret: usize) {
        let waited = self.until(fact, async |life: &Self| is_issued(life.verify(secret).await?)).await;
        self.waited(fact, waited, SOON);
    }

    async fn wait_for_refusal(&mut self, fact: &'static str, secret: usize) {
        let refused = async |life: &Self| Ok(!is_issued(life.verify(secret).await?)?);
        let waited = self.until(fact, refused).await;
        self.waited(fact, waited, SOON);
    }

    /// Whether a token is issued at this moment.
    async fn token_now(&mut self, fact: &'static str, secret: usize, is_assumed: bool) {
        let assumed = if is_assumed { "issued" } else { "refused" };
        match self.verify(secret).await {
            Ok(Verification::Accepted) => self.facts.add(fact, "issued", assumed, Verdict::of(is_assumed)),
            Ok(Verification::Refused(message)) => {
                self.facts.add(fact, format!("refused: {message}"), assumed, Verdict::of(!is_assumed));
            }
            Ok(Verification::NotKnown(message)) => self.facts.add(fact, message, assumed, Verdict::Unknown),
            Err(error) => self.facts.add(fact, error.to_string(), assumed, Verdict::Unknown),
        }
    }

    /// Waits as long as the operator does for a change.
    async fn until(&self, fact: &str, holds: impl AsyncFn(&Self) -> Result<bool, Error>) -> Waited {
        let limit = API_LAG.unsigned_abs();
        let (started, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let held = holds(self).await;
            let waited = started.elapsed();
            match held {
                Ok(true) if pause == FIRST_PAUSE => return Waited::AtOnce,
                Ok(true) => return Waited::After(waited),
                Ok(false) if waited >= limit => return Waited::NotWithin(limit),
                Err(error) if waited >= limit => return Waited::NotKnown(error.to_string()),
                Ok(false) | Err(_) => {}
            }
            self.progress.show(format_args!("waiting for: {fact} ({} s) …", waited.as_secs()));
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn waited(&mut self, fact: &'static str, waited: Waited, assumed: &'static str) {
        match waited {
            Waited::AtOnce => self.facts.add(fact, "at once", assumed, Verdict::Ok),
            Waited::After(waited) => {
                let found = format!("after {:.1} s", waited.as_secs_f64());
                self.facts.add(fact, found, assumed, Verdict::Ok);
            }
            Waited::NotWithin(limit) => {
                let found = format!("not within {} s", limit.as_secs());
                self.facts.add(fact, found, assumed, Verdict::Differs);
            }
            Waited::NotKnown(why) => self.facts.add(fact, why, assumed, Verdict::Unknown),
        }
    }
}

/// Whether an answer to a create says that there is no app of it. One to a request that took too long, and one of a server that
/// failed, do not.
fn is_refused(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 408 | 425)
}

/// # Errors
/// The API says for another cause that it issues no token, which shows nothing about the secret.
fn is_issued(verification: Verification) -> Result<bool, Error> {
    match verification {
        Verification::Accepted => Ok(true),
        Verification::Refused(_) => Ok(false),
        Verification::NotKnown(message) => Err(Error::Rejected(message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_create_is_refused_by_an_answer_to_the_request_itself_only() {
        for (status, refused) in [(400, true), (409, true), (429, true), (408, false), (500, false), (504, false)] {
            assert_eq!(is_refused(status), refused, "{status}");
        }
    }

    #[test]
    fn another_cause_for_no_token_is_no_refusal_of_a_secret() {
        assert_eq!(is_issued(Verification::Refused("invalid_client".into())), Ok(false));
        assert!(is_issued(Verification::NotKnown("invalid_scope".into())).is_err());
    }
}
