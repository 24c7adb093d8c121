//! Collects deletions of one organization that come at about the same time into calls of many.
//! Who waits may go away without harm to the others.

use super::{ClientId, Deletion, Error, OrgId};
use crate::fair_queue::Flow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long the first one waits for others.
const WINDOW: Duration = Duration::from_millis(250);
/// The most that the API takes in one call. [csp-delete]
const MOST: usize = 15;

type Answer = Result<Deletion, Error>;

/// The batches that are being collected. Those of two namespaces are two, so that neither waits for the other's calls.
#[derive(Default)]
pub struct Batches(Mutex<State>);

#[derive(Default)]
struct State {
    next: u64,
    open: HashMap<Key, Open>,
}

type Key = (OrgId, Flow);

struct Open {
    /// Tells a batch from the one that was open before it.
    number: u64,
    waiting: Vec<Waiting>,
}

struct Waiting {
    id: ClientId,
    answer: oneshot::Sender<Answer>,
}

impl Batches {
    /// Has the app deleted together with others. `send` performs one call, and answers in the order of the ids.
    pub async fn delete<F>(
        self: &Arc<Self>,
        org: &OrgId,
        flow: &Flow,
        id: &ClientId,
        send: impl FnOnce(Vec<ClientId>) -> F + Send + 'static,
    ) -> Answer
    where
        F: Future<Output = Vec<Answer>> + Send + 'static,
    {
        let (answer, wait) = oneshot::channel();
        let key = (org.clone(), flow.clone());
        let (number, full) = self.join(&key, Waiting { id: id.clone(), answer });
        if !full.is_empty() {
            tokio::spawn(perform(full, send));
        } else if let Some(number) = number {
            let batches = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(WINDOW).await;
                perform(batches.close(&key, number), send).await;
            });
        }
        wait.await.unwrap_or_else(|_| Err(Error::Unavailable("delete app: the call was cut".into())))
    }

    /// The batch's number for its first member, the whole batch for its last.
    fn join(&self, key: &Key, waiting: Waiting) -> (Option<u64>, Vec<Waiting>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = state.next;
        let open = state.open.entry(key.clone()).or_insert(Open { number, waiting: Vec::new() });
        open.waiting.push(waiting);
        match open.waiting.len() {
            MOST => (None, state.open.remove(key).map(|open| open.waiting).unwrap_or_default()),
            1 => {
                state.next += 1;
                (Some(number), Vec::new())
            }
            _ => (None, Vec::new()),
        }
    }

    /// What was collected, unless the batch was full before.
    fn close(&self, key: &Key, number: u64) -> Vec<Waiting> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.open.get(key) {
            Some(open) if open.number == number => state.open.remove(key).map(|open| open.waiting).unwrap_or_default(),
            Some(_) | None => Vec::new(),
        }
    }
}

async fn perform<F>(batch: Vec<Waiting>, send: impl FnOnce(Vec<ClientId>) -> F)
where
    F: Future<Output = Vec<Answer>>,
{
    if batch.is_empty() {
        return;
    }
    let answers = send(batch.iter().map(|waiting| waiting.id.clone()).collect()).await;
    for (waiting, answer) in batch.into_iter().zip(answers) {
        // Who went away does not want the answer any more.
        waiting.answer.send(answer).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;

    type Calls = Arc<Mutex<Vec<usize>>>;

    fn sender(calls: &Calls) -> impl FnOnce(Vec<ClientId>) -> std::future::Ready<Vec<Answer>> + Send + 'static {
        let calls = calls.clone();
        move |ids: Vec<ClientId>| {
            calls.lock().unwrap().push(ids.len());
            let answer = |id: &ClientId| if id.0 == "bad" { Ok(Deletion::Failed) } else { Ok(Deletion::Accepted) };
            std::future::ready(ids.iter().map(answer).collect())
        }
    }

    async fn delete(batches: &Arc<Batches>, org: &str, id: &str, calls: &Calls) -> Answer {
        batches.delete(&OrgId(org.into()), &Flow::Operator, &ClientId(id.into()), sender(calls)).await
    }

    #[tokio::test(start_paused = true)]
    async fn fifty_deletions_in_each_of_two_organizations_are_eight_calls() {
        let (batches, calls) = (Arc::new(Batches::default()), Calls::default());
        let names: Vec<_> = (0..100).map(|n| (format!("org-{}", n % 2), format!("app-{n}"))).collect();
        let all = names.iter().map(|(org, id)| delete(&batches, org, id, &calls));
        assert!(join_all(all).await.iter().all(|answer| *answer == Ok(Deletion::Accepted)));
        let mut sizes = calls.lock().unwrap().clone();
        sizes.sort_unstable();
        assert_eq!(sizes, [5, 5, 15, 15, 15, 15, 15, 15]);
        assert!(batches.0.lock().unwrap().open.is_empty(), "nothing is kept of what is done");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_fails_does_not_fail_the_others_and_one_that_goes_away_does_not_hold_them_up() {
        let (batches, calls) = (Arc::new(Batches::default()), Calls::default());
        let gone = tokio::time::timeout(Duration::from_millis(1), delete(&batches, "org", "gone", &calls)).await;
        assert!(gone.is_err());
        let (good, bad) = tokio::join!(delete(&batches, "org", "good", &calls), delete(&batches, "org", "bad", &calls));
        assert_eq!((good, bad), (Ok(Deletion::Accepted), Ok(Deletion::Failed)));
        assert_eq!(*calls.lock().unwrap(), [3]);
    }
}
