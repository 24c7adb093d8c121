//! What the values of the chart make of the objects, one behavior for each that a user relies on.

use crate::helm::{repository, template};
use serde_json::{Value, json};

fn objects(flags: &[&str]) -> Vec<Value> {
    let rendered = template(flags).unwrap();
    rendered.split("\n---\n").filter_map(|text| serde_saphyr::from_str(text).ok()).filter(Value::is_object).collect()
}

fn of(kind: &str, flags: &[&str]) -> Value {
    objects(flags).into_iter().find(|object| object["kind"] == kind).unwrap_or_else(|| panic!("no {kind}: {flags:?}"))
}

fn shipped(path: &str) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(repository().join(path)).unwrap()).unwrap()
}

/// The container of the Deployment, or that of the check.
fn container(kind: &str, flags: &[&str]) -> Value {
    let object = of(kind, flags);
    let pod = if kind == "Pod" { &object["spec"] } else { &object["spec"]["template"]["spec"] };
    pod["containers"][0].clone()
}

#[test]
fn a_proxy_is_set_for_the_operator_and_its_check_without_the_api_server_and_the_cluster() {
    let excluded = "$(KUBERNETES_SERVICE_HOST),.svc,.cluster.local,localhost,127.0.0.1,::1";
    let url = "http://proxy.example.com:3128";
    let (https, more) = (format!("--set=proxy.httpsProxy={url}"), "--set=proxy.noProxy={.corp.example.com,10.0.0.0/8}");
    let variable = |name: &str, value: &str| json!({"name": name, "value": value});
    for kind in ["Deployment", "Pod"] {
        assert!(container(kind, &[])["env"].is_null(), "{kind}");
        let plain = json!([variable("HTTPS_PROXY", url), variable("NO_PROXY", excluded)]);
        assert_eq!(container(kind, &[&https])["env"], plain, "{kind}");
        let both = [https.as_str(), &format!("--set=proxy.httpProxy={url}"), more];
        let excluded = format!("{excluded},.corp.example.com,10.0.0.0/8");
        let both_set =
            json!([variable("HTTPS_PROXY", url), variable("HTTP_PROXY", url), variable("NO_PROXY", &excluded)]);
        assert_eq!(container(kind, &both)["env"], both_set, "{kind}");
        let secret = container(kind, &["--set=proxy.existingSecret=proxy", "--set-json=extraEnv=[{\"name\":\"A\"}]"]);
        let reference = json!({"name": "proxy", "key": "httpsProxy"});
        assert_eq!(
            secret["env"][0],
            json!({"name": "HTTPS_PROXY", "valueFrom": {"secretKeyRef": reference}}),
            "{kind}"
        );
        assert_eq!(secret["env"][1]["valueFrom"]["secretKeyRef"]["optional"], true, "{kind}");
        assert_eq!(secret["env"][3], json!({"name": "A"}), "{kind}");
    }
}

#[test]
fn the_network_policy_allows_the_proxy_where_there_is_one() {
    let egress = |flags: &[&str]| of("NetworkPolicy", flags)["spec"]["egress"].clone();
    let https = "--set=proxy.httpsProxy=http://proxy.example.com:8080";
    let settings = ["--set=networkPolicy.proxy.ports={8080}", "--set=networkPolicy.proxy.cidrs={192.0.2.1/32}"];
    let rule = json!({"ports": [{"port": 8080}], "to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}]});
    assert_eq!(egress(&settings).as_array().unwrap().len(), 3);
    assert_eq!(egress(&[https, settings[0], settings[1]])[2], rule);
    for (values, ports) in [
        ("proxy.httpsProxy=http://proxy.example.com:8080", json!([{"port": 8080}])),
        ("proxy.httpsProxy=https://[fd00::1]/", json!([{"port": 443}])),
        ("proxy.httpProxy=http://[fd00::1]:3129/", json!([{"port": 3129}])),
        ("proxy.httpsProxy=http://a:8080,proxy.httpProxy=http://a", json!([{"port": 8080}, {"port": 80}])),
        ("proxy.existingSecret=proxy,proxy.httpsProxy=http://a:8080", json!([{"port": 3128}])),
    ] {
        assert_eq!(egress(&[&format!("--set={values}")])[2], json!({ "ports": ports }), "{values}");
    }
}

#[test]
fn a_variable_that_the_proxy_sets_is_refused_among_the_others() {
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "NO_PROXY"] {
        let variable = format!("--set-json=extraEnv=[{{\"name\":\"{name}\",\"value\":\"\"}}]");
        assert_eq!(container("Deployment", &[&variable])["env"][0]["name"], name);
        let refused = template(&["--set=proxy.httpsProxy=http://a", &variable]).unwrap_err();
        assert!(refused.contains(&format!("extraEnv has {name}, and the values of proxy set")), "{refused}");
    }
}

#[test]
fn a_password_of_a_proxy_does_not_get_into_the_manifests() {
    let refused = template(&["--set=proxy.httpsProxy=http://user:hidden@proxy.example.com:3128"]).unwrap_err();
    assert!(refused.contains("/proxy/httpsProxy"), "{refused}");
}

#[test]
fn every_object_has_the_standard_labels_and_those_of_all_objects() {
    let monitored =
        "--set=podMonitor.enabled=true,prometheusRule.enabled=true,dashboard.enabled=true,service.enabled=true";
    let common = [
        "--set=commonLabels.team=platform,commonAnnotations.owner=platform",
        "--set=watchNamespaces={team-a}",
        monitored,
    ];
    for object in objects(&common) {
        let (kind, metadata) = (&object["kind"], &object["metadata"]);
        assert_eq!(metadata["labels"]["team"], "platform", "{object}");
        if *kind == "CustomResourceDefinition" {
            assert_eq!(metadata["annotations"]["helm.sh/resource-policy"], "keep", "{metadata}");
            continue;
        }
        for (label, value) in [
            ("app.kubernetes.io/name", "oauth-app-operator"),
            ("app.kubernetes.io/instance", "oauth-app-operator"),
            ("app.kubernetes.io/version", env!("CARGO_PKG_VERSION")),
            ("app.kubernetes.io/managed-by", "Helm"),
            ("helm.sh/chart", concat!("oauth-app-operator-", env!("CARGO_PKG_VERSION"))),
        ] {
            assert_eq!(metadata["labels"][label], value, "{kind}");
        }
        let is_pod = *kind == "Pod";
        assert_eq!(metadata["annotations"]["owner"].as_str(), (!is_pod).then_some("platform"), "{kind}");
    }
    let deployment = of("Deployment", &["--set=commonLabels.team=platform,podLabels.tier=infra"]);
    let pod = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!([&pod["team"], &pod["tier"]], ["platform", "infra"], "{pod}");
    // It cannot be changed, so an upgrade from any release works.
    let selector = json!({"matchLabels": {"app.kubernetes.io/name": "oauth-app-operator"}});
    assert_eq!(deployment["spec"]["selector"], selector);
}

#[test]
fn a_service_account_of_your_own_gets_the_rights() {
    let named = ["--set=serviceAccount.create=false,serviceAccount.name=existing"];
    assert!(objects(&named).iter().all(|object| object["kind"] != "ServiceAccount"));
    assert_eq!(of("Deployment", &named)["spec"]["template"]["spec"]["serviceAccountName"], "existing");
    for binding in objects(&named).iter().filter(|object| object["kind"].to_string().contains("Binding")) {
        assert_eq!(binding["subjects"][0]["name"], "existing", "{binding}");
    }
    assert!(container("Pod", &named)["args"].to_string().contains("--service-account=existing"));
    assert_eq!(of("ServiceAccount", &["--set=serviceAccount.name=other"])["metadata"]["name"], "other");
    let rights = objects(&["--set=rbac.create=false"]);
    assert!(rights.iter().all(|object| !object["kind"].to_string().contains("Role")));
}

#[test]
fn the_service_account_that_other_pods_have_by_default_is_refused() {
    for (values, why) in [
        ("serviceAccount.create=false", "set serviceAccount.name to an existing ServiceAccount"),
        ("serviceAccount.create=false,serviceAccount.name=default", "serviceAccount.name is default"),
        ("serviceAccount.name=default", "serviceAccount.name is default"),
    ] {
        let refused = template(&[&format!("--set={values}")]).expect_err(values);
        assert!(refused.contains(why), "{values}: {refused}");
    }
}

#[test]
fn a_common_label_cannot_make_an_uninstall_delete_the_crds() {
    let common = |value: &str, key: &str| template(&[&format!("--set-json={value}={{\"{key}\":\"a\"}}")]);
    for key in ["app.kubernetes.io/component", "helm.sh/chart", "pod-security.kubernetes.io/enforce"] {
        let refused = common("commonLabels", key).expect_err(key);
        assert!(refused.contains(&format!("commonLabels has {key}, which only")), "{refused}");
    }
    let refused = common("commonAnnotations", "helm.sh/hook").unwrap_err();
    assert!(refused.contains("commonAnnotations has helm.sh/hook, which only"), "{refused}");
    assert!(common("commonLabels", "app.kubernetes.io/part-of").is_ok());
}

#[test]
fn the_alerts_are_those_that_ship_and_link_to_the_runbook_that_is_set() {
    let alerts = shipped("deploy/monitoring/alerts.yaml");
    let enabled = "--set=prometheusRule.enabled=true,prometheusRule.labels.release=prometheus";
    let rule = of("PrometheusRule", &[enabled]);
    assert_eq!(rule["spec"], alerts["spec"]);
    assert_eq!(rule["metadata"]["labels"]["release"], "prometheus");
    let runbook = "https://example.com/runbook.html";
    let linked = of("PrometheusRule", &[enabled, &format!("--set=prometheusRule.runbookBaseUrl={runbook}")]);
    let rules =
        linked["spec"]["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap());
    let alerting: Vec<&Value> = rules.filter(|rule| rule["alert"].is_string()).collect();
    assert!(!alerting.is_empty());
    for rule in alerting {
        let anchor = rule["alert"].as_str().unwrap().to_lowercase();
        assert_eq!(rule["annotations"]["runbook_url"], format!("{runbook}#{anchor}"));
    }
}

#[test]
fn the_dashboard_is_that_which_ships() {
    let enabled = "--set=dashboard.enabled=true,dashboard.annotations.grafana_folder=Platform";
    let config = of("ConfigMap", &[enabled]);
    let dashboard: Value = serde_json::from_str(config["data"]["oauth-app-operator.json"].as_str().unwrap()).unwrap();
    assert_eq!(dashboard, shipped("deploy/monitoring/dashboard.json"));
    assert_eq!(config["metadata"]["labels"]["grafana_dashboard"], "1");
    assert_eq!(config["metadata"]["annotations"]["grafana_folder"], "Platform");
}

#[test]
fn a_service_monitor_selects_the_service_that_selects_the_pods() {
    let enabled = ["--set=serviceMonitor.enabled=true,serviceMonitor.labels.release=prometheus"];
    let (monitor, service) = (of("ServiceMonitor", &enabled), of("Service", &enabled));
    let (pods, selector) = (of("Deployment", &enabled)["spec"]["template"].clone(), &service["spec"]["selector"]);
    let selects = |selector: &Value, labels: &Value| {
        selector.as_object().unwrap().iter().all(|(label, value)| labels[label] == *value)
    };
    assert!(selects(&monitor["spec"]["selector"]["matchLabels"], &service["metadata"]["labels"]));
    assert!(selects(selector, &pods["metadata"]["labels"]));
    assert!(!selects(selector, &of("Pod", &enabled)["metadata"]["labels"]), "the check serves no metrics");
    assert_eq!(monitor["spec"]["endpoints"][0]["port"], service["spec"]["ports"][0]["name"]);
    assert_eq!(service["spec"]["ports"][0]["targetPort"], pods["spec"]["containers"][0]["ports"][0]["name"]);
    let twice = template(&[enabled[0], "--set=podMonitor.enabled=true"]).unwrap_err();
    assert!(twice.contains("would scrape each pod twice"), "{twice}");
}

#[test]
fn security_contexts_are_merged_into_the_defaults() {
    let pod = |flags: &[&str]| of("Deployment", flags)["spec"]["template"]["spec"].clone();
    let changed =
        pod(&["--set=podSecurityContext.fsGroup=10001,runAsUser=10001", "--set=securityContext.privileged=false"]);
    let user = json!({
        "runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    assert_eq!(changed["securityContext"], user);
    let container = &changed["containers"][0]["securityContext"];
    assert_eq!((&container["privileged"], &container["readOnlyRootFilesystem"]), (&json!(false), &json!(true)));
}

#[test]
fn additional_objects_are_rendered_as_templates() {
    let object = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{ .Release.Name }}-extra"}}"#;
    let text = r#""kind: ConfigMap\nmetadata: {name: '{{ .Chart.Name }}-text'}""#;
    let found = objects(&[&format!("--set-json=extraObjects=[{object},{text}]")]);
    let names: Vec<&Value> =
        found.iter().filter(|object| object["kind"] == "ConfigMap").map(|object| &object["metadata"]["name"]).collect();
    assert_eq!(names, ["oauth-app-operator-extra", "oauth-app-operator-text"]);
}

#[test]
fn pods_listen_on_ipv4_alone_where_that_is_set() {
    let arguments = |flags: &[&str]| container("Deployment", flags)["args"].to_string();
    assert!(!arguments(&[]).contains("--http-addr"), "the default of the operator is the default of the chart");
    assert!(arguments(&["--set=listenAddress=0.0.0.0"]).contains("--http-addr=0.0.0.0:8080"));
}

#[test]
fn values_in_the_documents_are_accepted() {
    let mut found = 0;
    for document in ["install.md", "operations.md", "security.md", "troubleshooting.md"] {
        let text = std::fs::read_to_string(repository().join("docs").join(document)).unwrap();
        for block in text.split("\n```yaml file=values.yaml\n").skip(1) {
            let values = block.split("\n```\n").next().unwrap();
            let scratch = control_plane::Scratch::new().unwrap();
            std::fs::write(scratch.path().join("values.yaml"), values).unwrap();
            let flag = format!("--values={}", scratch.path().join("values.yaml").display());
            assert_ne!(template(&[&flag]).unwrap(), template(&[]).unwrap(), "{document}: {values}");
            found += 1;
        }
    }
    assert!(found >= 4, "{found}");
}
