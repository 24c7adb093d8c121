//! Whether a connection's grants cover a resource, and allow what it asks for; they fail closed.
//! Pure: the labels of the namespace are an argument.

mod allowed;
mod redirect;
mod wanted;

pub(crate) use allowed::Refusal;
pub(crate) use wanted::{Wanted, wanted};

use crate::crd::{
    Allow, Grant, LabelOperator, LabelRequirement, LabelSelector, NamespaceGrant, NamespacesFrom, OrgGrant, OrgsFrom,
};
use crate::iam::OrgId;
use kube::core::{Expression, Selector, SelectorExt};
use std::collections::BTreeMap;

/// Labels of a namespace.
pub(crate) type Labels = BTreeMap<String, String>;

/// Where a resource belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) labels: &'a Labels,
    pub(crate) org: &'a OrgId,
}

/// Whether the grants of a connection cover a resource and allow what it requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// One grant allows everything that is asked for.
    Allowed {
        /// Whether such a grant also allows to take over apps that exist already.
        adoption: bool,
    },
    /// No grant covers the resource.
    NotGranted,
    /// No grant that covers the resource allows everything; this is what the closest one refuses.
    NotAllowed(Refusal),
}

/// Whether the answer depends on the labels of the namespace.
pub(crate) fn ask_for_labels(grants: &[Grant]) -> bool {
    grants.iter().any(|grant| grant.namespaces.from == NamespacesFrom::Selector)
}

/// Whether one grant covers the resource and allows all that it wants; grants do not add up.
pub(crate) fn check(grants: &[Grant], place: &Place<'_>, wanted: &[Wanted<'_>]) -> Decision {
    let absent = Allow::default();
    let covering = grants.iter().filter(|grant| covers(grant, place));
    let judged = covering.map(|grant| {
        let allow = grant.allow.as_ref().unwrap_or(&absent);
        (allow, wanted.iter().filter(|wanted| !allowed::allows(allow, wanted)).collect::<Vec<_>>())
    });
    let Some((least, closest)) = judged.fold(None, closer) else { return Decision::NotGranted };
    match closest.as_slice() {
        [] => Decision::Allowed { adoption: least.adoption },
        refused => Decision::NotAllowed(Refusal::new(least, refused)),
    }
}

type Judged<'a, 'w> = (&'a Allow, Vec<&'a Wanted<'w>>);

/// The grant that refuses less; of two alike one that allows adoption, else the first.
fn closer<'a, 'w>(best: Option<Judged<'a, 'w>>, next: Judged<'a, 'w>) -> Option<Judged<'a, 'w>> {
    let rank = |(allow, refused): &Judged<'_, '_>| (refused.len(), !allow.adoption);
    match best {
        Some(best) if rank(&best) <= rank(&next) => Some(best),
        Some(_) | None => Some(next),
    }
}

fn covers(grant: &Grant, place: &Place<'_>) -> bool {
    covers_namespace(&grant.namespaces, place.namespace, place.labels) && covers_org(&grant.orgs, place.org)
}

fn covers_namespace(grant: &NamespaceGrant, namespace: &str, labels: &Labels) -> bool {
    match grant.from {
        NamespacesFrom::All => true,
        NamespacesFrom::Names => grant.names.iter().flatten().any(|name| name == namespace),
        NamespacesFrom::Selector => grant.selector.as_ref().is_some_and(|selector| selects(selector, labels)),
    }
}

fn covers_org(grant: &OrgGrant, org: &OrgId) -> bool {
    match grant.from {
        OrgsFrom::All => true,
        OrgsFrom::Ids => grant.ids.iter().flatten().any(|id| *id == org.0),
    }
}

/// An empty selector selects nothing: to choose every namespace there is `from: All`.
fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    let equal =
        selector.match_labels.iter().flatten().map(|(key, value)| Expression::Equal(key.clone(), value.clone()));
    let selector: Selector = equal.chain(selector.match_expressions.iter().flatten().map(expression)).collect();
    !selector.selects_all() && selector.matches(labels)
}

fn expression(requirement: &LabelRequirement) -> Expression {
    let key = requirement.key.clone();
    let values = || requirement.values.iter().flatten().cloned().collect();
    match requirement.operator {
        LabelOperator::In => Expression::In(key, values()),
        LabelOperator::NotIn => Expression::NotIn(key, values()),
        LabelOperator::Exists => Expression::Exists(key),
        LabelOperator::DoesNotExist => Expression::DoesNotExist(key),
    }
}

#[cfg(test)]
mod tests;
