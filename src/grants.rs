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
    fn grants_overlap_and_never_combine() {
        let grants: Vec<Grant> = serde_json::from_value(json!([
            {"namespaces": {"from": "Names", "names": ["billing"]}, "orgs": {"from": "Ids", "ids": ["org-1"]}},
            {"namespaces": {"from": "Names", "names": ["billing", "web"]}, "orgs": {"from": "Ids", "ids": ["org-2"]}},
            {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"tier": "all"}}}, "orgs": {"from": "All"}},
        ]))
        .unwrap();
        let tier = |value: &str| Labels::from([("tier".into(), value.into())]);
        for (namespace, labels, org, expected) in [
            ("billing", tier("none"), "org-1", true),
            ("billing", tier("none"), "org-2", true),
            ("web", tier("none"), "org-2", true),
            // The namespace of one grant and the organization of another.
            ("web", tier("none"), "org-1", false),
            ("web", tier("all"), "org-1", true),
            ("other", tier("all"), "org-9", true),
            ("other", tier("none"), "org-9", false),
            ("other", Labels::new(), "org-1", false),
        ] {
            let covered = cover(&grants, namespace, &labels, &OrgId(org.into()));
            assert_eq!(covered, expected, "{namespace} {labels:?} {org}");
        }
    }

    #[test]
    fn names_and_ids_are_taken_literally() {
        for (names, ids, expected) in [
            (json!(["billing"]), json!(["org-1"]), true),
            (json!(["*"]), json!(["org-1"]), false),
            (json!(["bill*"]), json!(["org-1"]), false),
            (json!(["Billing"]), json!(["org-1"]), false),
            (json!(["billing-2", "billing"]), json!(["org-1"]), true),
            (json!(["billing"]), json!(["ORG-1"]), false),
            (json!(["billing"]), json!(["org-1 "]), false),
            (json!([]), json!(["org-1"]), false),
            (json!(["billing"]), json!([]), false),
        ] {
            let grant = json!({"namespaces": {"from": "Names", "names": names}, "orgs": {"from": "Ids", "ids": ids}});
            assert_eq!(covered(grant.clone()), expected, "{grant}");
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
            (json!({"matchExpressions": []}), true),
            (json!({"matchLabels": {"team": "a", "tier": "web"}}), false),
            (json!({"matchLabels": {"team": ""}}), false),
            (json!({"matchExpressions": [{"key": "team", "operator": "In"}]}), false),
            (json!({"matchExpressions": [{"key": "team", "operator": "NotIn"}]}), true),
            (
                json!({"matchExpressions": [{"key": "team", "operator": "Exists"}, {"key": "tier", "operator": "Exists"}]}),
                false,
            ),
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
