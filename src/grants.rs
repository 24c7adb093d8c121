//! Whether a connection's grants cover a namespace and an organization; they fail closed.
//! Pure: the labels of the namespace are an argument.

use crate::crd::{
    Grant, LabelOperator, LabelRequirement, LabelSelector, NamespaceGrant, NamespacesFrom, OrgGrant, OrgsFrom,
};
use crate::remote::OrgId;
use std::collections::BTreeMap;

/// Labels of a namespace.
pub type Labels = BTreeMap<String, String>;

/// Whether the answer depends on the labels of the namespace.
pub fn ask_for_labels(grants: &[Grant]) -> bool {
    grants.iter().any(|grant| grant.namespaces.from == NamespacesFrom::Selector)
}

/// Whether at least one grant covers both the namespace and the organization.
pub fn cover(grants: &[Grant], namespace: &str, labels: &Labels, org: &OrgId) -> bool {
    grants.iter().any(|grant| covers_namespace(&grant.namespaces, namespace, labels) && covers_org(&grant.orgs, org))
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

fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    let exact = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    exact && selector.match_expressions.iter().flatten().all(|requirement| meets(requirement, labels))
}

fn meets(requirement: &LabelRequirement, labels: &Labels) -> bool {
    let value = labels.get(&requirement.key);
    let listed = value.is_some_and(|value| requirement.values.iter().flatten().any(|wanted| wanted == value));
    match requirement.operator {
        LabelOperator::In => listed,
        LabelOperator::NotIn => !listed,
        LabelOperator::Exists => value.is_some(),
        LabelOperator::DoesNotExist => value.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn covered(grant: Value) -> bool {
        let grant: Grant = serde_json::from_value(grant).unwrap();
        let labels = Labels::from([("team".into(), "a".into())]);
        cover(&[grant], "billing", &labels, &OrgId("org-1".into()))
    }

    fn by_selector(selector: Value) -> bool {
        covered(json!({"namespaces": {"from": "Selector", "selector": selector}, "orgs": {"from": "All"}}))
    }

    #[test]
    fn without_a_grant_nothing_is_covered() {
        assert!(!cover(&[], "billing", &Labels::new(), &OrgId("org-1".into())));
    }

    #[test]
    fn namespaces_and_orgs_must_both_match() {
        for (namespaces, orgs, expected) in [
            (json!({"from": "All"}), json!({"from": "All"}), true),
            (json!({"from": "Names", "names": ["billing"]}), json!({"from": "All"}), true),
            (json!({"from": "Names", "names": ["bill"]}), json!({"from": "All"}), false),
            (json!({"from": "Names"}), json!({"from": "All"}), false),
            (json!({"from": "All"}), json!({"from": "Ids", "ids": ["org-1"]}), true),
            (json!({"from": "All"}), json!({"from": "Ids", "ids": ["org-2"]}), false),
            (json!({"from": "All"}), json!({"from": "Ids"}), false),
        ] {
            assert_eq!(covered(json!({"namespaces": namespaces, "orgs": orgs})), expected, "{namespaces} {orgs}");
        }
    }

    #[test]
    fn a_selector_means_what_kubernetes_means() {
        for (selector, expected) in [
            (json!({}), true),
            (json!({"matchLabels": {"team": "a"}}), true),
            (json!({"matchLabels": {"team": "b"}}), false),
            (json!({"matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "b"]}]}), true),
            (json!({"matchExpressions": [{"key": "team", "operator": "In", "values": ["b"]}]}), false),
            (json!({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]}), false),
            (json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["a"]}]}), true),
            (json!({"matchExpressions": [{"key": "team", "operator": "Exists"}]}), true),
            (json!({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}), false),
            (json!({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}), true),
            (json!({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}), false),
            (
                json!({"matchLabels": {"team": "a"}, "matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}),
                false,
            ),
        ] {
            assert_eq!(by_selector(selector.clone()), expected, "{selector}");
        }
    }

    #[test]
    fn a_missing_selector_covers_nothing() {
        assert!(!covered(json!({"namespaces": {"from": "Selector"}, "orgs": {"from": "All"}})));
    }
}
