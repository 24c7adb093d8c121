//! The orders to misbehave, and which of them hits a call.
//! The first order that hits decides; latencies add up and go together with it.

use crate::crypto::fraction;
use crate::types::{Action, Fault, FaultState, Flavor, Operation, Target};

/// All orders, in the order in which they were given.
#[derive(Default)]
pub(crate) struct Faults {
    orders: Vec<Order>,
}

struct Order {
    state: FaultState,
    first_hit: Option<u64>,
}

/// What is to happen to a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub latency_ms: u64,
    pub action: Option<Action>,
}

/// The sides of a call that orders and filters look at.
pub(crate) struct Facts<'a> {
    pub operation: Operation,
    pub flavor: Option<Flavor>,
    pub org: Option<&'a str>,
    /// The organization that a call without one in its path is about.
    pub implied_org: Option<&'a str>,
    pub clients: &'a [String],
}

impl Target {
    /// Whether a call with these facts is meant.
    pub(crate) fn covers(&self, facts: &Facts<'_>) -> bool {
        let org = if self.operation.is_some() { facts.org.or(facts.implied_org) } else { facts.org };
        self.operation.is_none_or(|o| o == facts.operation)
            && self.flavor.is_none_or(|f| facts.flavor == Some(f))
            && self.org_id.as_deref().is_none_or(|o| org == Some(o))
            && self.client_id.as_ref().is_none_or(|c| facts.clients.contains(c))
    }
}

impl Faults {
    pub(crate) fn order(&mut self, fault: Fault) {
        self.orders.push(Order { state: FaultState { fault, seen: 0, hits: 0 }, first_hit: None });
    }

    pub(crate) fn clear(&mut self) {
        self.orders.clear();
    }

    pub(crate) fn states(&self) -> Vec<FaultState> {
        self.orders.iter().map(|o| o.state.clone()).collect()
    }

    /// Chooses what happens to a call and counts it.
    pub(crate) fn plan(&mut self, facts: &Facts<'_>, now: u64) -> Plan {
        let mut plan = Plan::default();
        for order in &mut self.orders {
            let delay = matches!(order.state.fault.action, Action::Latency { .. });
            if (!delay && plan.action.is_some()) || !order.hits(facts, now) {
                continue;
            }
            match &order.state.fault.action {
                Action::Latency { ms } => plan.latency_ms += ms,
                action => plan.action = Some(action.clone()),
            }
        }
        plan
    }
}

impl Order {
    fn hits(&mut self, facts: &Facts<'_>, now: u64) -> bool {
        let fault = &self.state.fault;
        let over = self.first_hit.zip(fault.for_ms).is_some_and(|(first, ms)| now >= first + ms);
        if !fault.on.covers(facts) || over || fault.times.is_some_and(|n| self.state.hits >= n) {
            return false;
        }
        self.state.seen += 1;
        if self.state.seen <= fault.skip || fault.probability.is_some_and(|p| fraction() >= p) {
            return false;
        }
        self.state.hits += 1;
        self.first_hit.get_or_insert(now);
        true
    }
}
