//! The report of a plan: a line for each resource, and what its ends mean for a script.

use super::manifests::Manifest;
use crate::cluster;
use crate::commands::Done;
use crate::commands::output::{Mood, Report, Text, Words};
use crate::crd::{DeletionPolicy, ManagementPolicy, OrgOAuthApp};
use crate::decide::{Plan, Planned, role_note};
use crate::outcome::Outcome;
use crate::preview::{Preview, SecretChange, SecretChangeKind};
use crate::reason::Reason;
use kube::ResourceExt;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt::Display;

/// What the operator would do with each resource.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    resources: Vec<AppPlan>,
    summary: Summary,
    /// What could not be found out.
    notes: Vec<String>,
}

/// How many resources there are of each action.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    create: usize,
    adopt: usize,
    change: usize,
    delete: usize,
    release: usize,
    none: usize,
    refused: usize,
    unknown: usize,
}

/// What the operator would do with one resource.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AppPlan {
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
    /// The file of the manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    action: Action,
    /// What would be done in the API, in this order.
    steps: Vec<String>,
    /// The fields that would be changed in the API.
    fields: Vec<String>,
    /// What would be done to Secrets, in this order.
    secrets: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Why the app could do less than expected, although nothing is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    /// Why schema and rules were not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_checked: Option<String>,
}

/// What would be done in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum Action {
    /// The app is created.
    Create,
    /// An app that exists is adopted.
    Adopt,
    /// The app or its Secret is changed.
    Change,
    /// The app is deleted with the resource.
    Delete,
    /// The resource is deleted, and the app stays.
    Release,
    /// Nothing changes.
    None,
    /// Kubernetes, a grant or the API does not permit it.
    Refused,
    /// It could not be found out.
    Unknown,
}

impl Action {
    fn of_plan(plan: &Plan) -> Self {
        let has = |step: &Planned| plan.steps().contains(step);
        if has(&Planned::Create) {
            Self::Create
        } else if has(&Planned::Adopt) {
            Self::Adopt
        } else if has(&Planned::Delete) {
            Self::Delete
        } else {
            Self::Change
        }
    }

    fn sign(self) -> Words {
        match self {
            Self::Create | Self::Adopt => Mood::Good.of('+'),
            Self::Change => Mood::Attention.of('~'),
            Self::Delete | Self::Release => Mood::Bad.of('-'),
            Self::None => Mood::Aside.of('='),
            Self::Refused => Mood::Bad.of('!'),
            Self::Unknown => Mood::Attention.of('?'),
        }
    }
}

impl AppPlan {
    fn new(app: &OrgOAuthApp, action: Action) -> Self {
        Self {
            kind: "OrgOAuthApp".into(),
            namespace: app.namespace(),
            name: app.name_any(),
            file: None,
            action,
            steps: Vec::new(),
            fields: Vec::new(),
            secrets: Vec::new(),
            reason: None,
            message: None,
            note: role_note(app).filter(|_| app.metadata.deletion_timestamp.is_none()),
            not_checked: None,
        }
    }

    pub(super) fn of(app: &OrgOAuthApp, preview: Result<Preview, cluster::Error>) -> Self {
        let Preview { outcome, secrets } = match preview {
            Ok(preview) => preview,
            Err(error) => return Self::unknown(app, error),
        };
        let secrets: Vec<String> = secrets.iter().map(of_secret).collect();
        let is_observed = app.spec.management_policy == ManagementPolicy::Observe;
        let plan =
            Self { reason: Some(outcome.reason(app.spec.deletion_policy).as_str()), ..Self::new(app, Action::None) };
        match outcome {
            Outcome::PlanOnly(steps) if is_observed => {
                Self { message: Some(format!("managementPolicy is Observe; Full would {steps}")), ..plan }
            }
            Outcome::PlanOnly(steps) => Self {
                action: Action::of_plan(&steps),
                steps: steps.steps().iter().map(ToString::to_string).collect(),
                fields: changed_fields(&steps),
                secrets,
                reason: None,
                ..plan
            },
            Outcome::Settled { .. } => {
                let action = if secrets.is_empty() { Action::None } else { Action::Change };
                Self { action, secrets, reason: None, ..plan }
            }
            Outcome::Suspended => Self { message: Some("spec.suspend is set".into()), ..plan },
            Outcome::Gone => Self { action: Action::Release, secrets, message: Some(released(app)), ..plan },
            Outcome::Blocked(blocked) => Self { action: Action::Refused, message: Some(blocked.message), ..plan },
            Outcome::Waiting { reason: Reason::InUse, message, .. } => {
                Self { action: Action::Delete, message: Some(message), ..plan }
            }
            Outcome::Waiting { message, .. } => Self { action: Action::Unknown, message: Some(message), ..plan },
        }
    }

    pub(super) fn unknown(app: &OrgOAuthApp, problem: impl Display) -> Self {
        Self { message: Some(problem.to_string()), ..Self::new(app, Action::Unknown) }
    }

    /// What a connection would be changed in. Resources that the manifests do not have are not planned with it.
    pub(super) fn of_connection(manifest: &Manifest, stored: &Value, present: Option<&Value>) -> Self {
        let names: BTreeSet<&String> =
            [Some(stored), present].into_iter().flatten().filter_map(Value::as_object).flat_map(Map::keys).collect();
        let is_changed =
            |name: &&&String| present.is_some_and(|present| present.get(name.as_str()) != stored.get(name.as_str()));
        let fields: Vec<String> = names.iter().filter(is_changed).map(|name| (*name).clone()).collect();
        let (action, steps) = match present {
            None => (Action::Create, vec!["create the connection".to_owned()]),
            Some(_) if fields.is_empty() => (Action::None, Vec::new()),
            Some(_) => (Action::Change, vec![format!("change {}", fields.join(" and "))]),
        };
        Self { action, steps, fields, message: None, ..Self::refused(manifest, String::new()) }
    }

    /// Kubernetes would not store it.
    pub(super) fn refused(manifest: &Manifest, message: String) -> Self {
        Self {
            kind: manifest.kind.clone(),
            namespace: manifest.namespace.clone(),
            name: manifest.name.clone(),
            file: manifest.file.clone(),
            message: Some(message),
            ..Self::new(&OrgOAuthApp::new(&manifest.name, Default::default()), Action::Refused)
        }
    }

    pub(super) fn with_source(self, file: Option<String>, not_checked: Option<String>) -> Self {
        Self { file, not_checked, ..self }
    }

    fn place(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => format!("{} {}", self.kind, self.name),
        }
    }

    fn what(&self) -> String {
        let mut parts: Vec<String> = self.steps.iter().chain(&self.secrets).cloned().collect();
        if parts.is_empty() && self.message.is_none() {
            parts.push("no change".into());
        }
        if let Some(reason) = self.reason.filter(|_| matches!(self.action, Action::Refused | Action::Unknown)) {
            parts.push(reason.to_owned());
        }
        parts.extend(self.message.clone());
        parts.join("; ")
    }
}

fn of_secret(change: &SecretChange) -> String {
    let SecretChange { name, kind, keys } = change;
    match kind {
        SecretChangeKind::Create => format!("create Secret {name} with {}", keys.join(", ")),
        SecretChangeKind::Update => format!("update Secret {name}"),
        SecretChangeKind::Delete => format!("delete Secret {name}"),
    }
}

fn changed_fields(plan: &Plan) -> Vec<String> {
    let fields = plan.steps().iter().filter_map(|step| match step {
        Planned::Change(fields) => Some(fields.clone()),
        Planned::Create
        | Planned::Adopt
        | Planned::ReplaceSecret
        | Planned::RotateSecret
        | Planned::EndOverlap
        | Planned::AddToOrganization
        | Planned::ChangeRoles
        | Planned::Delete => None,
    });
    fields.flatten().collect()
}

fn released(app: &OrgOAuthApp) -> String {
    match app.spec.deletion_policy {
        DeletionPolicy::Retain => "delete the resource; the app and its Secret stay (deletionPolicy Retain)".into(),
        DeletionPolicy::Delete | DeletionPolicy::DeleteWhenUnused => "delete the resource, which has no app".into(),
    }
}

impl PlanReport {
    pub(super) fn new(mut resources: Vec<AppPlan>, notes: Vec<String>) -> Self {
        resources.sort_by(|one, two| (&one.namespace, &one.name).cmp(&(&two.namespace, &two.name)));
        let mut summary = Summary::default();
        for resource in &resources {
            *summary.of(resource.action) += 1;
        }
        Self { resources, summary, notes }
    }

    /// What is refused or unknown is a failure; a change is a finding.
    pub(super) fn done(&self) -> Done {
        let Summary { create, adopt, change, delete, release, none: _, refused, unknown } = &self.summary;
        if refused + unknown > 0 {
            Done::Failed
        } else if create + adopt + change + delete + release > 0 {
            Done::Findings
        } else {
            Done::Clean
        }
    }
}

impl Summary {
    fn of(&mut self, action: Action) -> &mut usize {
        match action {
            Action::Create => &mut self.create,
            Action::Adopt => &mut self.adopt,
            Action::Change => &mut self.change,
            Action::Delete => &mut self.delete,
            Action::Release => &mut self.release,
            Action::None => &mut self.none,
            Action::Refused => &mut self.refused,
            Action::Unknown => &mut self.unknown,
        }
    }
}

impl Report for PlanReport {
    fn text(&self, text: &mut Text) {
        for resource in &self.resources {
            text.line(resource.action.sign() + format!(" {}: {}", resource.place(), resource.what()));
            if let Some(note) = resource.note {
                text.line(Words::from("  ") + Mood::Attention.of(note));
            }
            if let Some(why) = &resource.not_checked {
                text.line(Words::from("  ") + Mood::Aside.of(format!("schema and rules were not checked: {why}")));
            }
        }
        for note in &self.notes {
            text.line(Mood::Attention.of("note:") + format!(" {note}"));
        }
        let Summary { create, adopt, change, delete, release, none, refused, unknown } = &self.summary;
        text.line(format!(
            "Plan: {create} to create, {adopt} to adopt, {change} to change, {delete} to delete, {release} to release, {none} without change, {refused} refused, {unknown} unknown."
        ));
    }
}
