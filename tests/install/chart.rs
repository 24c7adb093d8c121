//! The chart by itself: lint, templates and the schema of its values.

use crate::helm::{VARIANTS, chart, helm, kubernetes, program, repository, run, template, template_by};
use control_plane::binaries::Tool;
use control_plane::{ControlPlane, Scratch};
use serde_json::Value;

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(repository().join(path)).unwrap()).unwrap()
}

#[test]
fn helm_lint_finds_nothing_wrong_in_any_variant() {
    for (name, flags) in VARIANTS {
        for helm in [Tool::Helm, Tool::Helm4] {
            let mut command = program(helm);
            command.args(["lint", "--strict", "--kube-version", kubernetes()]).arg(chart()).args(flags);
            let said = run(&mut command).unwrap_or_else(|said| panic!("{name} by {helm:?}: {said}"));
            assert!(!said.contains("[WARNING]"), "{name} by {helm:?}: {said}");
        }
    }
}

#[test]
fn both_versions_of_helm_render_the_same_objects() {
    let objects = |helm: Tool, flags: &[&str]| -> Vec<Value> {
        let rendered = template_by(helm, flags).unwrap();
        let mut objects: Vec<Value> =
            rendered.split("\n---\n").filter_map(|text| serde_saphyr::from_str(text).ok()).collect();
        objects.sort_by_key(Value::to_string);
        objects
    };
    for (name, flags) in VARIANTS {
        let by_helm_3 = objects(Tool::Helm, flags);
        assert!(by_helm_3.len() > 5, "{name}");
        assert_eq!(by_helm_3, objects(Tool::Helm4, flags), "{name}");
    }
}

#[test]
fn a_value_that_does_not_exist_or_cannot_be_is_refused_by_name() {
    for (flag, sentence) in [
        ("--set=replica=3", "additional properties 'replica' not allowed"),
        ("--set=networkPolicy.apiserver.ports={443}", "additional properties 'apiserver' not allowed"),
        ("--set=watchNamespaces=team-a", "at '/watchNamespaces': got string, want array"),
        ("--set=watchNamespaces={Team-A}", "at '/watchNamespaces/0': 'Team-A' does not match pattern"),
        ("--set=watchSecrets=some", "at '/watchSecrets': got string, want"),
        ("--set=runAsUser=0", "at '/runAsUser': minimum: got 0, want 1"),
        ("--set=logLevel=verbose", "at '/logLevel': value must be one of 'error', 'warn', 'info', 'debug', 'trace'"),
        ("--set=proxy.url=http://a", "additional properties 'url' not allowed"),
        ("--set=proxy.httpsProxy=socks5://a", "at '/proxy/httpsProxy': 'socks5://a' does not match pattern"),
        ("--set=listenAddress=10.0.0.1", "at '/listenAddress': value must be one of '[::]', '0.0.0.0'"),
        ("--set=prometheusRule.runbookBaseUrl=docs", "at '/prometheusRule/runbookBaseUrl': 'docs' does not match"),
        ("--set=image.digest=latest", "at '/image/digest': 'latest' does not match pattern"),
    ] {
        let said = template(&[flag]).expect_err(flag);
        assert!(said.contains(sentence), "{flag}: {said}");
    }
}

/// The paths of all values that are no mappings, or mappings that are empty by default.
fn paths(defaults: &Value, path: &str, found: &mut Vec<String>) {
    match defaults.as_object().filter(|fields| !fields.is_empty()) {
        None => found.push(path.to_owned()),
        Some(fields) => fields.iter().for_each(|(key, value)| paths(value, &format!("{path}/{key}"), found)),
    }
}

/// Values that say nothing unless another one is set.
const NEEDS: [(&str, &str); 8] = [
    ("serviceAccount.create", "--set=serviceAccount.name=existing"),
    ("podMonitor.", "--set=podMonitor.enabled=true"),
    ("service.", "--set=service.enabled=true"),
    ("serviceMonitor.", "--set=serviceMonitor.enabled=true"),
    ("prometheusRule.", "--set=prometheusRule.enabled=true"),
    ("dashboard.", "--set=dashboard.enabled=true"),
    ("proxy.noProxy", "--set=proxy.httpsProxy=http://a"),
    ("networkPolicy.proxy.", "--set=proxy.httpsProxy=http://a"),
];

#[test]
fn every_value_has_an_effect() {
    let (every, mut found) = (yaml("tests/install/every-value.yaml"), Vec::new());
    paths(&yaml("deploy/chart/values.yaml"), "", &mut found);
    for path in found {
        let value = every.pointer(&path).unwrap_or_else(|| panic!("every-value.yaml lacks {path}"));
        let path = path.trim_start_matches('/').replace('/', ".");
        let base = NEEDS.iter().filter(|(needs, _)| path.starts_with(needs) && !path.ends_with(".enabled"));
        let base: Vec<&str> = base.map(|(_, flag)| *flag).collect();
        let flag = format!("--set-json={path}={value}");
        let changed = template(&[&base[..], &[flag.as_str()]].concat()).unwrap();
        assert_ne!(changed, template(&base).unwrap(), "{path}");
    }
}

#[test]
fn a_scoped_install_gives_no_right_to_secrets_or_apps_in_all_namespaces() {
    let rendered = template(&["--set=watchNamespaces={team-a}", "--set=crds.install=false"]).unwrap();
    let roles = rendered.split("\n---\n").filter(|text| text.contains("\nkind: ClusterRole\n"));
    let mut own: Vec<_> =
        roles.filter(|text| text.contains("\n  name: oauth-app-operator-oauth-app-operator\n")).collect();
    let role: Value = serde_saphyr::from_str(own.pop().unwrap()).unwrap();
    let resources: Vec<_> = role["rules"].as_array().unwrap().iter().map(|rule| &rule["resources"]).collect();
    let expected = serde_json::json!([["iamconnections"], ["iamconnections/status"], ["namespaces"]]);
    assert_eq!(serde_json::to_value(resources).unwrap(), expected);
    assert_eq!(role["rules"][2]["resourceNames"], serde_json::json!(["team-a"]));
}

#[test]
fn secrets_are_watched_in_a_scoped_install_unless_the_value_says_otherwise_and_the_right_goes_with_the_flag() {
    let (scoped, watch) = ("--set=watchNamespaces={team-a}", |value: &str| format!("--set=watchSecrets={value}"));
    let (on, off, default) = (watch("true"), watch("false"), watch("null"));
    for (flags, watches) in [
        (&[][..], false),
        (&[default.as_str()], false),
        (&[off.as_str()], false),
        (&[on.as_str()], true),
        (&[scoped], true),
        (&[scoped, &default], true),
        (&[scoped, &on], true),
        (&[scoped, &off], false),
    ] {
        let rendered = template(flags).unwrap();
        let objects: Vec<Value> =
            rendered.split("\n---\n").filter_map(|text| serde_saphyr::from_str(text).ok()).collect();
        let listing = |rule: &Value| {
            rule["resources"] == serde_json::json!(["secrets"]) && rule["verbs"].to_string().contains("list")
        };
        let rules = objects.iter().filter_map(|object| object["rules"].as_array()).flatten();
        assert_eq!(rules.filter(|rule| listing(rule)).count(), usize::from(watches), "{flags:?}");
        assert!(rendered.contains(&format!("- --watch-secrets={watches}\n")), "{flags:?}");
    }
}

#[test]
fn the_right_to_restart_workloads_is_given_only_where_it_is_asked_for() {
    let rights = |flags: &[&str], kind: &str| -> Vec<Value> {
        let rendered = template(flags).unwrap();
        let roles = rendered.split("\n---\n").filter(|text| text.contains(&format!("\nkind: {kind}\n")));
        let rules = roles.flat_map(|text| {
            let role: Value = serde_saphyr::from_str(text).unwrap();
            role["rules"].as_array().unwrap().clone()
        });
        rules.filter(|rule| rule["apiGroups"] == serde_json::json!(["apps"])).collect()
    };
    let right = serde_json::json!({
        "apiGroups": ["apps"], "resources": ["deployments", "statefulsets", "daemonsets"], "verbs": ["get", "patch"],
    });
    let (on, scoped) = ("--set=rotation.restart=true", "--set=watchNamespaces={team-a}");
    assert_eq!((rights(&[], "ClusterRole"), rights(&[], "Role")), (vec![], vec![]));
    assert_eq!((rights(&[on], "ClusterRole"), rights(&[on], "Role")), (vec![right.clone()], vec![]));
    assert_eq!((rights(&[on, scoped], "ClusterRole"), rights(&[on, scoped], "Role")), (vec![], vec![right]));
}

#[test]
fn the_notes_tell_the_next_steps() {
    let notes = |flags: &[&str]| {
        let mut command = helm();
        command.env("KUBECONFIG", ControlPlane::shared().admin_kubeconfig());
        command.args(["install", "oauth-app-operator", "--dry-run=client", "--namespace=platform"]).arg(chart());
        run(command.args(flags)).unwrap()
    };
    let said = notes(&[]);
    for line in [
        "No image is published yet",
        "kubectl -n platform create secret generic iam-credentials",
        "--from-file=client-id=client-id.txt --from-file=client-secret=client-secret.txt",
        "kind: IamConnection",
        "kubectl wait --for=condition=Ready iamc/default",
    ] {
        assert!(said.contains(line), "{line} is not in {said}");
    }
    let scoped = notes(&["--set=watchNamespaces={team-a},image.repository=registry.example.com/operator"]);
    assert!(scoped.contains("in namespace platform and watches team-a."), "{scoped}");
    assert!(scoped.contains(r#"namespaces: {from: Names, names: ["team-a"]}"#), "{scoped}");
    assert!(!scoped.contains("No image is published"), "{scoped}");
    for notes in [said, scoped] {
        let (_, connection) = notes.split_once("<<EOF\n").unwrap();
        let (connection, _) = connection.split_once("   EOF\n").unwrap();
        assert_grants_name_every_list("the notes", connection);
    }
}

/// An absent list would allow everything, and whoever copies a grant does not see it.
fn assert_grants_name_every_list(what: &str, manifests: &str) {
    let objects = manifests.split("\n---\n").map(|text| serde_saphyr::from_str::<Value>(text).unwrap());
    let connections: Vec<Value> = objects.filter(|object| object["kind"] == "IamConnection").collect();
    assert!(!connections.is_empty(), "{what} has no IamConnection");
    for grant in connections.iter().flat_map(|connection| connection["spec"]["grants"].as_array().unwrap()) {
        assert_eq!([&grant["namespaces"]["from"], &grant["orgs"]["from"]], ["Names", "Ids"], "{what}");
        for list in ["grantTypes", "generalScopes", "organizationRoles", "redirectUris"] {
            assert!(grant["allow"][list].is_array(), "{what} does not name {list}");
        }
    }
}

#[test]
fn every_grant_to_copy_names_every_list() {
    for file in [
        "examples/iam-connection.yaml",
        "examples/navigator/iam-connection.yaml",
        "examples/identity-broker/iam-connection.yaml",
        "gitops/argocd/sync-waves.yaml",
    ] {
        let manifests = std::fs::read_to_string(repository().join("deploy").join(file)).unwrap();
        assert_grants_name_every_list(file, &manifests);
    }
}

#[test]
fn the_image_that_the_kustomization_names_is_deployed() {
    let (scratch, deploy) = (Scratch::new().unwrap(), repository().join("deploy"));
    std::fs::copy(deploy.join("install.yaml"), scratch.path().join("install.yaml")).unwrap();
    let kustomization = std::fs::read_to_string(deploy.join("kustomization.yaml")).unwrap();
    let (rest, images) = kustomization.split_once("# images:").expect("the image to name, as a comment");
    let named = format!("{rest}images:{}", images.replace("\n# ", "\n"));
    std::fs::write(scratch.path().join("kustomization.yaml"), named).unwrap();
    let rendered = ControlPlane::shared().kubectl(&["kustomize", &scratch.path().display().to_string()]).unwrap();
    assert!(rendered.contains("image: registry.example.com/oauth-app-operator:0.1.0\n"), "{rendered}");
}

#[test]
fn by_default_nobody_but_the_node_reaches_the_port_and_nothing_but_the_pod_has_a_token() {
    let objects = |flags: &[&str]| -> Vec<Value> {
        let rendered = template(flags).unwrap();
        rendered.split("\n---\n").filter_map(|text| serde_saphyr::from_str(text).ok()).collect()
    };
    let of = |kind: &str, flags: &[&str]| objects(flags).into_iter().find(|object| object["kind"] == kind).unwrap();
    let spec = &of("NetworkPolicy", &[])["spec"];
    assert!(spec["policyTypes"].as_array().unwrap().contains(&"Ingress".into()), "it says who comes in");
    assert_eq!(spec["ingress"], serde_json::json!([]), "and nobody does");
    let monitoring = "--set-json=networkPolicy.metricsFrom=[{\"podSelector\":{}}]";
    let ingress = of("NetworkPolicy", &[monitoring])["spec"]["ingress"].clone();
    assert_eq!(ingress, serde_json::json!([{"ports": [{"port": "http"}], "from": [{"podSelector": {}}]}]));
    assert_eq!(of("ServiceAccount", &[])["automountServiceAccountToken"], false);
    assert_eq!(of("Deployment", &[])["spec"]["template"]["spec"]["automountServiceAccountToken"], true);
}
