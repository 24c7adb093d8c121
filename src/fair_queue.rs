//! A semaphore with fair queuing: permits are granted round robin over flows, and first come first served inside a flow.
//! A namespace with many requests delays its own requests, never those of another namespace.

use crate::iam::OrgId;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// One permit of so many is reserved for other namespaces, once there have been others.
const RESERVED_FRACTION: usize = 4;

/// The group of requests that share a queue, as in Kubernetes API Priority and Fairness.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Flow {
    /// The operator itself, for what all share: an access token, the check of a connection.
    Operator,
    Namespace(String),
    /// All resources of an organization, for the list that they share.
    Organization(OrgId),
}

/// Limits how much is done at once. Clones share the limit.
#[derive(Clone, Debug)]
pub(crate) struct FairQueue(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    limit: usize,
    held: usize,
    /// Only flows that hold or wait.
    flows: HashMap<Flow, Members>,
    /// Flows that wait, the next one first.
    turns: VecDeque<Flow>,
    tickets: u64,
    namespaces: Namespaces,
}

/// What a flow holds, and its members that wait, by ticket.
#[derive(Debug, Default)]
struct Members {
    held: usize,
    waiting: BTreeMap<u64, oneshot::Sender<()>>,
}

/// The namespaces that ever requested a permit.
#[derive(Debug)]
enum Namespaces {
    None,
    One(String),
    Several,
}

/// A permit, or a place in the queue for one; given back on drop.
#[derive(Debug)]
pub(crate) struct Permit {
    queue: FairQueue,
    flow: Flow,
    ticket: u64,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.queue.state().leave(&self.flow, self.ticket);
    }
}

impl FairQueue {
    /// With at least one permit.
    pub(crate) fn new(limit: usize) -> Self {
        let state = State {
            limit: limit.max(1),
            held: 0,
            flows: HashMap::new(),
            turns: VecDeque::new(),
            tickets: 0,
            namespaces: Namespaces::None,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Waits for a permit. A caller that is cancelled leaves the queue.
    pub(crate) async fn acquire(&self, flow: &Flow) -> Permit {
        let (ticket, granted) = self.state().join(flow);
        let permit = Permit { queue: self.clone(), flow: flow.clone(), ticket };
        // The sender stays in the queue for as long as the permit is not granted, so this does not fail.
        granted.await.ok();
        permit
    }

    /// How many permits may be held at once from now on. Those that are held beyond it are not given again.
    pub(crate) fn set_limit(&self, limit: usize) {
        let mut state = self.state();
        state.limit = limit.max(1);
        state.grant();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        let state = self.state();
        state.limit.saturating_sub(state.held)
    }
}

impl State {
    fn join(&mut self, flow: &Flow) -> (u64, oneshot::Receiver<()>) {
        self.record_namespace(flow);
        let (grant, granted) = oneshot::channel();
        let ticket = self.tickets;
        self.tickets += 1;
        let members = self.flows.entry(flow.clone()).or_default();
        if members.waiting.is_empty() {
            self.turns.push_back(flow.clone());
        }
        members.waiting.insert(ticket, grant);
        self.grant();
        (ticket, granted)
    }

    fn record_namespace(&mut self, flow: &Flow) {
        let Flow::Namespace(name) = flow else { return };
        match &self.namespaces {
            Namespaces::None => self.namespaces = Namespaces::One(name.clone()),
            Namespaces::One(first) if first != name => self.namespaces = Namespaces::Several,
            Namespaces::One(_) | Namespaces::Several => {}
        }
    }

    /// Grants the free permits to the flows whose turn it is.
    fn grant(&mut self) {
        while self.held < self.limit {
            let next = self.turns.iter().position(|flow| self.may_hold_more(flow));
            let Some(flow) = next.and_then(|next| self.turns.remove(next)) else { return };
            let Some(members) = self.flows.get_mut(&flow) else { continue };
            let Some((_, grant)) = members.waiting.pop_first() else { continue };
            members.held += 1;
            self.held += 1;
            if !members.waiting.is_empty() {
                self.turns.push_back(flow);
            }
            // A caller that is cancelled meanwhile gives the permit back when it is dropped.
            grant.send(()).ok();
        }
    }

    fn may_hold_more(&self, flow: &Flow) -> bool {
        let held = self.flows.get(flow).map_or(0, |members| members.held);
        match (flow, &self.namespaces) {
            (Flow::Namespace(_), Namespaces::Several) => held < share(self.limit),
            (Flow::Namespace(_), Namespaces::None | Namespaces::One(_))
            | (Flow::Operator | Flow::Organization(_), _) => true,
        }
    }

    fn leave(&mut self, flow: &Flow, ticket: u64) {
        let Some(members) = self.flows.get_mut(flow) else { return };
        if members.waiting.remove(&ticket).is_none() {
            members.held -= 1;
            self.held -= 1;
        }
        if members.waiting.is_empty() {
            self.turns.retain(|waiting| waiting != flow);
            if members.held == 0 {
                self.flows.remove(flow);
            }
        }
        self.grant();
    }
}

/// How many permits one of several namespaces or organizations may hold of so many.
pub(crate) fn share(limit: usize) -> usize {
    limit - limit / RESERVED_FRACTION
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::time::Duration;
    use tokio::sync::mpsc::unbounded_channel;

    fn namespace(name: &str) -> Flow {
        Flow::Namespace(name.into())
    }

    /// The order in which these are served one at a time, when all wait at once.
    async fn served(waiting: &[(&str, u32)]) -> Vec<(String, u32)> {
        let queue = FairQueue::new(1);
        let held = queue.acquire(&Flow::Operator).await;
        let (log, mut entered) = unbounded_channel();
        for (name, number) in waiting.iter().map(|(name, number)| ((*name).to_owned(), *number)) {
            let (queue, log) = (queue.clone(), log.clone());
            tokio::spawn(async move {
                let _permit = queue.acquire(&namespace(&name)).await;
                log.send((name, number)).unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            });
            tokio::task::yield_now().await;
        }
        drop((log, held));
        let mut order = Vec::new();
        while let Some(entry) = entered.recv().await {
            order.push(entry);
        }
        order
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_waits_for_one_request_of_a_busy_namespace_and_not_for_all() {
        let order = served(&[("busy", 1), ("busy", 2), ("busy", 3), ("busy", 4), ("other", 1)]).await;
        let place = order.iter().position(|(name, _)| name == "other").unwrap();
        assert_eq!(place, 1, "{order:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn flows_take_turns_and_each_is_served_in_the_order_of_arrival() {
        let order = served(&[("a", 1), ("a", 2), ("b", 1), ("a", 3), ("c", 1), ("b", 2)]).await;
        let order: Vec<_> = order.iter().map(|(name, number)| format!("{name}{number}")).collect();
        assert_eq!(order, ["a1", "b1", "c1", "a2", "b2", "a3"]);
    }

    #[tokio::test]
    async fn the_only_namespace_may_hold_all_and_one_of_several_leaves_a_quarter() {
        let queue = FairQueue::new(8);
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(queue.acquire(&namespace("a")).now_or_never().expect("there is no other"));
        }
        assert!(queue.acquire(&namespace("b")).now_or_never().is_none());
        held.truncate(6);
        assert!(queue.acquire(&namespace("a")).now_or_never().is_none(), "the rest is kept for others");
        let others = [queue.acquire(&namespace("b")).now_or_never(), queue.acquire(&namespace("c")).now_or_never()];
        assert!(others.iter().all(Option::is_some));
    }

    #[tokio::test]
    async fn canceled_requests_leave_nothing_behind() {
        let queue = FairQueue::new(1);
        let held = queue.acquire(&namespace("a")).await;
        for n in 0..100 {
            assert!(queue.acquire(&namespace(&format!("made-up-{n}"))).now_or_never().is_none());
        }
        let known = || {
            let state = queue.state();
            (state.flows.len(), state.turns.len(), state.held)
        };
        assert_eq!(known(), (1, 0, 1));
        drop(held);
        assert_eq!(known(), (0, 0, 0));
    }

    #[tokio::test]
    async fn a_permit_that_is_granted_to_a_canceled_request_goes_to_the_next() {
        let queue = FairQueue::new(1);
        let held = queue.acquire(&namespace("a")).await;
        let (b, c) = (namespace("b"), namespace("c"));
        let (mut gone, mut next) = (Box::pin(queue.acquire(&b)), Box::pin(queue.acquire(&c)));
        assert!(gone.as_mut().now_or_never().is_none() && next.as_mut().now_or_never().is_none());
        drop(held);
        assert_eq!(queue.free(), 0, "it is granted, and not yet noticed");
        drop(gone);
        assert!(next.now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_lower_limit_takes_nothing_back_and_a_higher_one_is_given_at_once() {
        let queue = FairQueue::new(2);
        let a = namespace("a");
        let (one, two) = (queue.acquire(&a).await, queue.acquire(&a).await);
        queue.set_limit(1);
        drop(one);
        let mut waiting = Box::pin(queue.acquire(&a));
        assert!(waiting.as_mut().now_or_never().is_none(), "one is still held");
        queue.set_limit(2);
        assert!(waiting.now_or_never().is_some());
        drop(two);
    }
}
