//! Collects deletions of one organization that come at about the same time into one request.
//! A deletion that is canceled does not affect the others.

use crate::fair_queue::Flow;
use crate::iam::{ClientId, Deletion, Error, OrgId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long the first deletion waits for others.
const WINDOW: Duration = Duration::from_millis(250);
type Answer = Result<Deletion, Error>;

/// The batches that are being collected. Two namespaces never share one, so that neither waits for the other.
pub(crate) struct Batches {
    max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    open: HashMap<Key, Open>,
}

type Key = (OrgId, Flow);

struct Open {
    /// Tells a batch from an earlier one of the same key.
    number: u64,
    waiting: Vec<Waiting>,
}

struct Waiting {
    id: ClientId,
    answer: oneshot::Sender<Answer>,
}

impl Batches {
    /// With at most `max` deletions in a batch.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, state: Mutex::default() }
    }

    /// Has the app deleted together with others. `send` performs one call, and answers in the order of the ids.
    pub(crate) async fn delete<F>(
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
                perform(batches.take(&key, number), send).await;
            });
        }
        wait.await.unwrap_or_else(|_| Err(Error::Unavailable("delete app: the request was canceled".into())))
    }

    /// The batch's number for its first member, the whole batch for its last.
    fn join(&self, key: &Key, waiting: Waiting) -> (Option<u64>, Vec<Waiting>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let number = state.next;
        let open = state.open.entry(key.clone()).or_insert(Open { number, waiting: Vec::new() });
        open.waiting.push(waiting);
        let is_first = open.waiting.len() == 1;
        let is_full = open.waiting.len() >= self.max;
        if is_full {
            return (None, state.open.remove(key).map(|open| open.waiting).unwrap_or_default());
        }
        if is_first {
            state.next += 1;
        }
        (is_first.then_some(number), Vec::new())
    }

    /// The deletions of the batch, unless it was full and sent before.
    fn take(&self, key: &Key, number: u64) -> Vec<Waiting> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
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
        // A canceled deletion needs no answer.
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
    async fn fifty_deletions_in_each_of_two_organizations_are_eight_requests() {
        let (batches, calls) = (Arc::new(Batches::new(15)), Calls::default());
        let names: Vec<_> = (0..100).map(|n| (format!("org-{}", n % 2), format!("app-{n}"))).collect();
        let all = names.iter().map(|(org, id)| delete(&batches, org, id, &calls));
        assert!(join_all(all).await.iter().all(|answer| *answer == Ok(Deletion::Accepted)));
        let mut sizes = calls.lock().unwrap().clone();
        sizes.sort_unstable();
        assert_eq!(sizes, [5, 5, 15, 15, 15, 15, 15, 15]);
        assert!(batches.state.lock().unwrap().open.is_empty(), "nothing is kept of what is done");
    }

    #[tokio::test(start_paused = true)]
    async fn batch_isolates_failures_and_cancellations() {
        let (batches, calls) = (Arc::new(Batches::new(15)), Calls::default());
        let gone = tokio::time::timeout(Duration::from_millis(1), delete(&batches, "org", "gone", &calls)).await;
        assert!(gone.is_err());
        let (good, bad) = tokio::join!(delete(&batches, "org", "good", &calls), delete(&batches, "org", "bad", &calls));
        assert_eq!((good, bad), (Ok(Deletion::Accepted), Ok(Deletion::Failed)));
        assert_eq!(*calls.lock().unwrap(), [3]);
    }
}
