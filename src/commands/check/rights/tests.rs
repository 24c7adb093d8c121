//! The table has the rules of the chart and of `deploy/install.yaml`, and no other.

use super::*;
use serde_json::Value;

/// A rule without its place: group, resources, verbs and names.
type Rule = (String, Vec<String>, Vec<String>, Vec<String>);

fn file(path: &str) -> String {
    std::fs::read_to_string(format!("{}/deploy/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn rules(role: &Value) -> Vec<Rule> {
    let list = |value: &Value| -> Vec<String> {
        let values = value.as_array().into_iter().flatten();
        values.map(|value| value.as_str().unwrap().to_owned()).collect()
    };
    let rules = role["rules"].as_array().unwrap().iter();
    rules
        .map(|rule| {
            let groups = list(&rule["apiGroups"]);
            let [group] = groups.as_slice() else { panic!("{rule}") };
            (group.clone(), list(&rule["resources"]), list(&rule["verbs"]), list(&rule["resourceNames"]))
        })
        .collect()
}

fn table(scopes: &[Scope], is_there: impl Fn(When) -> bool) -> Vec<Rule> {
    let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let rights = RIGHTS.iter().filter(|right| scopes.contains(&right.scope) && is_there(right.when));
    rights
        .map(|right| (right.group.to_owned(), list(right.resources), list(right.verbs), list(right.name.as_slice())))
        .collect()
}

/// A template with all that its conditions leave out: lines with an action are dropped.
fn whole(template: &str) -> Value {
    let lines: Vec<&str> = template.lines().filter(|line| !line.contains("{{")).collect();
    serde_saphyr::from_str(&lines.join("\n")).unwrap()
}

#[test]
fn the_table_has_the_rules_that_are_installed() {
    let manifests = file("install.yaml");
    let objects = manifests.split("\n---\n").filter_map(|text| serde_saphyr::from_str::<Value>(text).ok());
    let roles: Vec<Value> = objects.filter(|object| object["metadata"]["name"] == FIELD_MANAGER).collect();
    let of = |kind: &str| rules(roles.iter().find(|role| role["kind"] == kind).unwrap());
    let always = |when| when == When::Always;
    assert_eq!(of("ClusterRole"), table(&[Scope::Apps, Scope::Cluster], always));
    assert_eq!(of("Role"), table(&[Scope::Operator], always));
}

#[test]
fn the_table_has_the_rules_that_values_of_the_chart_add() {
    let helpers = file("chart/templates/_helpers.tpl");
    let (_, app_rules) = helpers.split_once("{{- define \"oauth-app-operator.appRules\" -}}\n").unwrap();
    let (app_rules, _) = app_rules.split_once("\n{{- end }}\n\n").unwrap();
    let app_rules = whole(&format!("rules:\n{app_rules}"));
    assert_eq!(rules(&app_rules), table(&[Scope::Apps], |_| true));
    let roles = file("chart/templates/rbac.yaml");
    let role = roles.split("\n---\n").find(|role| role.contains("\nkind: Role\n")).unwrap();
    assert_eq!(rules(&whole(role)), table(&[Scope::Operator], |_| true));
    let roles = file("chart/templates/rbac-watched.yaml");
    let role = roles.split("\n---\n").find(|role| role.contains("namespace: default\n")).unwrap();
    assert_eq!(rules(&whole(role)), table(&[Scope::Default], |_| true));
}

#[test]
fn a_scoped_operator_needs_its_rights_in_each_namespace_and_reads_those_namespaces_by_name() {
    let installation = |watched: &[&str]| Installation {
        namespace: "operator".into(),
        service_account: FIELD_MANAGER.into(),
        watched: watched.iter().map(|name| (*name).to_owned()).collect(),
    };
    let places = |installation: &Installation, right: &Right| -> Vec<(Option<String>, Option<String>)> {
        let attributes = installation.attributes(right);
        let mut places: Vec<_> = attributes.into_iter().map(|one| (one.namespace, one.name)).collect();
        places.dedup();
        places
    };
    let of = |resource: &str| RIGHTS.iter().find(|right| right.resources == [resource]).unwrap();
    let some = |text: &str| Some(text.to_owned());
    let (all, scoped) = (installation(&[]), installation(&["a", "b"]));
    assert_eq!(places(&all, of("pods")), [(None, None)]);
    assert_eq!(places(&scoped, of("pods")), [(some("a"), None), (some("b"), None)]);
    assert_eq!(places(&all, of("namespaces")), [(None, None)]);
    assert_eq!(places(&scoped, of("namespaces")), [(None, some("a")), (None, some("b"))].map(|place| place).to_vec());
    assert_eq!(places(&scoped, of("configmaps")), [(some("operator"), None)]);
}
