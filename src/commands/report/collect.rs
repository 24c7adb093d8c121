//! Reads what a report has, part by part: one that cannot be read leaves the others alone.

use super::bounds::{self, Bounded, LARGEST_METRICS};
use super::{Bundle, redact};
use crate::commands::CommandError;
use crate::commands::output::{self, Progress};
use crate::commands::version;
use crate::crd::{FIELD_MANAGER, IamConnection, OrgOAuthApp, shipped};
use crate::text::one_line;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, ListParams, LogParams};
use kube::core::ApiResource;
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
        self.objects::<IamConnection>(&mut bundle).await;
        self.objects::<OrgOAuthApp>(&mut bundle).await;
        self.events::<IamConnection>(&mut bundle).await;
        self.events::<OrgOAuthApp>(&mut bundle).await;
        for pod in self.pods(&mut bundle).await {
            let name = pod.name_any();
            progress.show(format_args!("reading metrics and log of pod {name} …"));
            self.metrics(&name, &mut bundle).await;
            self.log(&name, false, &mut bundle).await;
            if restarts(&pod) > 0 {
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
        let api: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        for name in shipped::NAMES {
            match api.get(name).await {
                Ok(found) => {
                    let versions: Vec<&String> = found.spec.versions.iter().map(|version| &version.name).collect();
                    let status = json!({
                        "generation": found.metadata.generation, "versions": versions,
                        "conditions": found.status.and_then(|status| status.conditions),
                    });
                    add_yaml(bundle, &format!("CustomResourceDefinition {name}"), &status);
                }
                Err(error) => {
                    let what = format!("CustomResourceDefinition {name}");
                    bundle.lacks(&what, &CommandError::kubernetes(format!("read {what}"))(error));
                }
            }
        }
    }

    /// As Kubernetes has them, since one that the operator cannot read may be the problem.
    async fn objects<K: Resource<DynamicType = ()>>(&self, bundle: &mut Bundle) {
        let (kind, resource) = (K::kind(&()).into_owned(), ApiResource::erase::<K>(&()));
        let is_namespaced = kind == OrgOAuthApp::kind(&());
        let api: Api<DynamicObject> = match &self.namespace {
            Some(namespace) if is_namespaced => Api::namespaced_with(self.client.clone(), namespace, &resource),
            Some(_) | None => Api::all_with(self.client.clone(), &resource),
        };
        let what = format!("the {kind}s{}", if is_namespaced { self.place() } else { String::new() });
        match Bounded::list(&api, ListParams::default()).await {
            Ok(list) => {
                list.note_cut(&what, bundle);
                for object in list.items {
                    let place = object.namespace().map(|namespace| format!("{namespace}/")).unwrap_or_default();
                    let title = format!("{kind} {place}{}", object.name_any());
                    let value = serde_json::to_value(object).map(redact::object).unwrap_or_default();
                    add_yaml(bundle, &title, &value);
                }
            }
            Err(error) => bundle.lacks(&what, &CommandError::kubernetes(format!("list {what}"))(error)),
        }
    }

    fn place(&self) -> String {
        self.namespace.as_ref().map(|namespace| format!(" of namespace {namespace}")).unwrap_or_default()
    }

    async fn events<K: Resource<DynamicType = ()>>(&self, bundle: &mut Bundle) {
        let kind = K::kind(&()).into_owned();
        let api: Api<Event> = match &self.namespace {
            Some(namespace) if kind == OrgOAuthApp::kind(&()) => Api::namespaced(self.client.clone(), namespace),
            Some(_) | None => Api::all(self.client.clone()),
        };
        let params = ListParams::default().fields(&format!("involvedObject.kind={kind}"));
        let what = format!("the Events of {kind}s{}", self.place());
        match Bounded::list(&api, params).await {
            Ok(list) if list.items.is_empty() => {}
            Ok(list) => {
                list.note_cut(&what, bundle);
                let mut lines: Vec<String> = list.items.into_iter().map(event).collect();
                lines.sort_unstable();
                bundle.add(format!("Events of {kind}s"), lines.join("\n"));
            }
            Err(error) => bundle.lacks(&what, &CommandError::kubernetes(format!("list {what}"))(error)),
        }
    }

    /// The pods of the operator, with their state.
    async fn pods(&self, bundle: &mut Bundle) -> Vec<Pod> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.operator_namespace);
        let params = ListParams::default().labels(&format!("app.kubernetes.io/name={FIELD_MANAGER}"));
        let what = format!("the Pods of the operator in namespace {}", self.operator_namespace);
        match api.list(&params).await {
            Ok(list) => {
                for pod in &list.items {
                    add_yaml(bundle, &format!("Pod {}", pod.name_any()), &state(pod));
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
fn event(event: Event) -> String {
    let time = event.event_time.map(|time| time.0);
    let time = event.last_timestamp.map(|time| time.0).or(time).map(|time| time.to_string()).unwrap_or_default();
    let object = event.involved_object;
    let place = object.namespace.map(|namespace| format!("{namespace}/")).unwrap_or_default();
    let name = object.name.unwrap_or_default();
    let [kind, reason, message] =
        [event.type_, event.reason, event.message].map(|text| redact::text(&text.unwrap_or_default()));
    one_line(&format!("{time} {kind} {reason} {place}{name}: {message}"))
}

/// Nothing of the environment, since a user may have put anything there.
fn state(pod: &Pod) -> Value {
    let spec = pod.spec.as_ref();
    let containers = spec.into_iter().flat_map(|spec| &spec.containers);
    let containers: Vec<Value> = containers
        .map(|container| {
            let variables: Vec<&String> = container.env.iter().flatten().map(|variable| &variable.name).collect();
            let arguments: Vec<String> =
                container.args.iter().flatten().map(|argument| redact::uri(argument)).collect();
            json!({
                "name": container.name, "image": container.image, "args": arguments,
                "environment": variables, "resources": container.resources,
            })
        })
        .collect();
    let status = pod.status.as_ref();
    redact::object(json!({
        "node": spec.and_then(|spec| spec.node_name.as_ref()),
        "containers": containers,
        "phase": status.and_then(|status| status.phase.as_ref()),
        "conditions": status.and_then(|status| status.conditions.as_ref()),
        "containerStatuses": status.and_then(|status| status.container_statuses.as_ref()),
    }))
}

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    statuses.into_iter().flatten().map(|status| status.restart_count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_it_says() {
        let object = json!({"namespace": "team", "name": "billing"});
        let event = json!({
            "metadata": {}, "involvedObject": object, "type": "Normal", "reason": "A\nB", "message": "c\n\n=== Log\u{202e}",
        });
        assert_eq!(super::event(serde_json::from_value(event).unwrap()), " Normal A B team/billing: c  === Log");
    }
}
