//! Reads what a report has, part by part: one that cannot be read leaves the others alone.

use super::bounds::{self, Bounded, LARGEST_METRICS};
use super::{Bundle, redact};
use crate::commands::CommandError;
use crate::commands::output::{self, Progress};
use crate::commands::raw::Raw;
use crate::commands::version;
use crate::crd::{FIELD_MANAGER, IamConnection, OrgOAuthApp, shipped};
use crate::text::one_line;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, LogParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};

/// A longer log is cut at its beginning, in bytes.
const LARGEST_LOG: i64 = 4 << 20;
/// The port of the metrics in the chart.
const METRICS_PORT: u16 = 8080;

pub(super) struct Collection {
    pub(super) client: Client,
    /// That of the apps; without one, all.
    pub(super) namespace: Option<String>,
    pub(super) operator_namespace: String,
    pub(super) log_lines: u32,
}

impl Collection {
    pub(super) async fn collect(&self) -> Bundle {
        let (mut bundle, progress) = (Bundle::default(), Progress::new());
        progress.show("reading versions …");
        self.versions(&mut bundle).await;
        self.definitions(&mut bundle).await;
        progress.show("reading connections and apps …");
        self.objects::<IamConnection>(&Api::all(self.client.clone()), "", &mut bundle).await;
        self.objects::<OrgOAuthApp>(&self.of_apps(), &self.place(), &mut bundle).await;
        self.events::<IamConnection>(&mut bundle).await;
        self.events::<OrgOAuthApp>(&mut bundle).await;
        for pod in self.pods(&mut bundle).await {
            let name = pod.name_any();
            progress.show(format_args!("reading metrics and log of pod {name} …"));
            self.metrics(&name, &mut bundle).await;
            self.log(&name, false, &mut bundle).await;
            if restarts(&pod.object) > 0 {
                self.log(&name, true, &mut bundle).await;
            }
        }
        bundle
    }

    async fn versions(&self, bundle: &mut Bundle) {
        match self.client.apiserver_version().await {
            Ok(version) => bundle.add("Kubernetes", version.git_version),
            Err(error) => bundle.lacks("the version of Kubernetes", &CommandError::kubernetes("read it")(error)),
        }
        match version::running(self.client.clone()).await {
            Ok(running) => add_yaml(bundle, "Deployments of the operator", &running),
            Err(error) => bundle.lacks("the Deployments of the operator", &error),
        }
    }

    /// Which versions the cluster has; `check` compares their schemas.
    async fn definitions(&self, bundle: &mut Bundle) {
        let api: Api<Raw<CustomResourceDefinition>> = Api::all(self.client.clone());
        for name in shipped::NAMES {
            match api.get(name).await {
                Ok(Raw { object, .. }) => {
                    let versions = object["spec"]["versions"].as_array().into_iter().flatten();
                    let versions: Vec<&Value> = versions.map(|version| &version["name"]).collect();
                    let status = json!({
                        "generation": object["metadata"]["generation"], "versions": versions,
                        "conditions": object["status"]["conditions"],
                    });
                    add_yaml(bundle, &format!("CustomResourceDefinition {name}"), &redact::object(status));
                }
                Err(error) => {
                    let what = format!("CustomResourceDefinition {name}");
                    bundle.lacks(&what, &CommandError::kubernetes(format!("read {what}"))(error));
                }
            }
        }
    }

    /// As Kubernetes has them, since one that the operator cannot read may be the problem.
    async fn objects<K: Resource<DynamicType = ()>>(&self, api: &Api<Raw<K>>, place: &str, bundle: &mut Bundle) {
        let kind = K::kind(&());
        let what = format!("the {kind}s{place}");
        match Bounded::list(api, ListParams::default()).await {
            Ok(list) => {
                list.note_cut(&what, bundle);
                for object in list.items {
                    let place = object.namespace().map(|namespace| format!("{namespace}/")).unwrap_or_default();
                    let title = format!("{kind} {place}{}", object.name_any());
                    add_yaml(bundle, &title, &redact::object(object.object));
                }
            }
            Err(error) => bundle.lacks(&what, &CommandError::kubernetes(format!("list {what}"))(error)),
        }
    }

    /// Where the apps are.
    fn of_apps<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    fn place(&self) -> String {
        self.namespace.as_ref().map(|namespace| format!(" of namespace {namespace}")).unwrap_or_default()
    }

    async fn events<K: Resource<DynamicType = ()>>(&self, bundle: &mut Bundle) {
        let kind = K::kind(&()).into_owned();
        let api: Api<Raw<Event>> =
            if kind == OrgOAuthApp::kind(&()) { self.of_apps() } else { Api::all(self.client.clone()) };
        let params = ListParams::default().fields(&format!("involvedObject.kind={kind}"));
        let what = format!("the Events of {kind}s{}", self.place());
        match Bounded::list(&api, params).await {
            Ok(list) if list.items.is_empty() => {}
            Ok(list) => {
                list.note_cut(&what, bundle);
                let mut lines: Vec<String> = list.items.iter().map(|raw| event(&raw.object)).collect();
                lines.sort_unstable();
                bundle.add(format!("Events of {kind}s"), lines.join("\n"));
            }
            Err(error) => bundle.lacks(&what, &CommandError::kubernetes(format!("list {what}"))(error)),
        }
    }

    /// The pods of the operator, with their state.
    async fn pods(&self, bundle: &mut Bundle) -> Vec<Raw<Pod>> {
        let api: Api<Raw<Pod>> = Api::namespaced(self.client.clone(), &self.operator_namespace);
        let params = ListParams::default().labels(&format!("app.kubernetes.io/name={FIELD_MANAGER}"));
        let what = format!("the Pods of the operator in namespace {}", self.operator_namespace);
        match api.list(&params).await {
            Ok(list) => {
                for pod in &list.items {
                    add_yaml(bundle, &format!("Pod {}", pod.name_any()), &state(&pod.object));
                }
                list.items
            }
            Err(error) => {
                bundle.lacks(&what, &CommandError::kubernetes(format!("list {what}"))(error));
                Vec::new()
            }
        }
    }

    /// Through the API server, since nothing else reaches the pod.
    async fn metrics(&self, pod: &str, bundle: &mut Bundle) {
        let namespace = &self.operator_namespace;
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{METRICS_PORT}/proxy/metrics");
        let what = format!("the metrics of Pod {namespace}/{pod}");
        let read = match hyper::Request::get(path).body(Vec::new()) {
            Ok(request) => match self.client.request_stream(request).await {
                Ok(stream) => bounds::text(stream, LARGEST_METRICS).await.map_err(CommandError::message),
                Err(error) => Err(CommandError::kubernetes(format!("get {what}"))(error)),
            },
            Err(error) => Err(CommandError::message(error)),
        };
        match read {
            Ok((text, is_cut)) => {
                if is_cut {
                    bundle.lacks(
                        what,
                        &CommandError::message(format!("only the first {LARGEST_METRICS} bytes are included")),
                    );
                }
                bundle.add(format!("Metrics of Pod {pod}"), redact::text(&text));
            }
            Err(error) => bundle.lacks(what, &error),
        }
    }

    async fn log(&self, pod: &str, previous: bool, bundle: &mut Bundle) {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.operator_namespace);
        let params = LogParams {
            tail_lines: Some(self.log_lines.into()),
            limit_bytes: Some(LARGEST_LOG),
            previous,
            ..LogParams::default()
        };
        let before = if previous { " before its last restart" } else { "" };
        let what = format!("the log of Pod {}/{pod}{before}", self.operator_namespace);
        match api.logs(pod, &params).await {
            // A pod that no node runs has none.
            Ok(text) if text.is_empty() => bundle.lacks(&what, &CommandError::message("it is empty")),
            Ok(text) => {
                let lines: Vec<String> = text.lines().map(redact::text).collect();
                bundle.add(format!("Log of Pod {pod}{before}"), lines.join("\n"));
            }
            Err(error) => bundle.lacks(&what, &CommandError::kubernetes(format!("read {what}"))(error)),
        }
    }
}

fn add_yaml(bundle: &mut Bundle, title: &str, value: &impl Serialize) {
    let yaml = output::yaml(value);
    bundle.add(title, yaml.unwrap_or_else(|error| format!("cannot be shown: {error}")));
}

/// One line, which begins with the time.
fn event(event: &Value) -> String {
    let text = |value: &Value| redact::text(value.as_str().unwrap_or_default());
    let times = [&event["lastTimestamp"], &event["eventTime"]];
    let time = times.into_iter().find(|time| time.is_string()).map(text).unwrap_or_default();
    let object = &event["involvedObject"];
    let place = [text(&object["namespace"]), text(&object["name"])];
    let place: Vec<String> = place.into_iter().filter(|part| !part.is_empty()).collect();
    let [kind, reason, message] = ["type", "reason", "message"].map(|field| text(&event[field]));
    one_line(&format!("{time} {kind} {reason} {}: {message}", place.join("/")))
}

/// Nothing of the environment, since a user may have put anything there.
fn state(pod: &Value) -> Value {
    let texts = |values: &Value, part: &dyn Fn(&Value) -> Option<String>| -> Vec<String> {
        values.as_array().into_iter().flatten().filter_map(part).collect()
    };
    let container = |container: &Value| {
        json!({
            "name": container["name"], "image": container["image"], "resources": container["resources"],
            "args": texts(&container["args"], &|argument| argument.as_str().map(redact::uri)),
            "environment": texts(&container["env"], &|variable| variable["name"].as_str().map(str::to_owned)),
        })
    };
    let containers: Vec<Value> = pod["spec"]["containers"].as_array().into_iter().flatten().map(container).collect();
    redact::object(json!({
        "node": pod["spec"]["nodeName"],
        "containers": containers,
        "phase": pod["status"]["phase"],
        "conditions": pod["status"]["conditions"],
        "containerStatuses": pod["status"]["containerStatuses"],
    }))
}

fn restarts(pod: &Value) -> u64 {
    let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    statuses.filter_map(|status| status["restartCount"].as_u64()).sum()
}
