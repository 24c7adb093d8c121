//! What has no counterpart, and what to do about it.

use crate::claim::ApiAddress;
use crate::commands::output::{Mood, Report, Text};
use crate::commands::raw::Raw;
use crate::crd::{ManagementPolicy, OrgOAuthApp};
use crate::text::clean;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::PartialObjectMeta;
use schemars::JsonSchema;
use serde::Serialize;

/// The longest name of an app that is printed, in bytes.
const MAX_NAME: usize = 60;
const ABOUT_APPS: &str = "\
No resource of this cluster has these apps. The id does not name a cluster: where several clusters use the organization, an app of
another cluster looks the same.";
pub(super) const WHAT_TO_DO_WITH_AN_APP: &str = "run this command in each cluster that uses the organization, and again before you delete anything; if none has a resource for the app, delete it in the console, or keep it with import --include-managed --id";
const ABOUT_RESOURCES: &str = "\
The API does not show the app of these resources.";
const ABOUT_SECRETS: &str = "\
The resource of these Secrets is gone; their credentials may still work. If no pod uses a Secret, run
this command again and, if it is listed still, delete it.";

/// What was found.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrphanReport {
    /// Apps with an id that an operator derived, which no resource of this cluster has.
    pub(super) apps: Vec<OrphanedApp>,
    /// Resources whose app is gone.
    pub(super) resources: Vec<GoneApp>,
    /// Secrets that the operator wrote for a resource that is gone.
    pub(super) secrets: Vec<OrphanedSecret>,
    /// What could not be checked.
    pub(super) not_checked: Vec<NotChecked>,
}

/// An app without a resource.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrphanedApp {
    /// The API that has it.
    #[serde(skip)]
    pub(super) address: ApiAddress,
    pub(super) client_id: String,
    pub(super) org_id: String,
    pub(super) connection: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_at: Option<String>,
    pub(super) what_to_do: &'static str,
}

/// A resource without an app.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GoneApp {
    #[serde(skip)]
    pub(super) uid: String,
    namespace: String,
    name: String,
    client_id: String,
    org_id: String,
    what_to_do: String,
}

/// A Secret without a resource.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrphanedSecret {
    namespace: String,
    name: String,
    what_to_do: String,
}

/// What could not be checked, and why.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotChecked {
    pub(super) what: String,
    pub(super) why: String,
}

impl GoneApp {
    pub(super) fn of(resource: &OrgOAuthApp, client_id: String) -> Self {
        let (namespace, name) = (resource.namespace_any().to_owned(), resource.name_any());
        let what_to_do = if resource.metadata.deletion_timestamp.is_some() {
            "nothing: it is being deleted"
        } else if resource.spec.suspend {
            "set spec.suspend to false, and the operator creates the app again; or delete the resource"
        } else if resource.spec.management_policy == ManagementPolicy::Observe {
            "set spec.managementPolicy to Full, and the operator creates the app again; or delete the resource"
        } else {
            "nothing: the operator creates the app again with a new secret; or delete the resource"
        };
        let uid = resource.uid_any().to_owned();
        Self {
            uid,
            namespace,
            name,
            client_id,
            org_id: resource.spec.org_id.clone(),
            what_to_do: what_to_do.to_owned(),
        }
    }
}

impl OrphanedSecret {
    pub(super) fn of(secret: &Raw<PartialObjectMeta<Secret>>) -> Self {
        let (namespace, name) = (secret.namespace().unwrap_or_default(), secret.name_any());
        let what_to_do = format!("kubectl -n {namespace} delete secret {name}");
        Self { namespace, name, what_to_do }
    }
}

impl OrphanReport {
    /// Whether somebody has to look at it; what could not be checked counts.
    pub(super) fn has_findings(&self) -> bool {
        let Self { apps, resources, secrets, not_checked } = self;
        !(apps.is_empty() && resources.is_empty() && secrets.is_empty() && not_checked.is_empty())
    }
}

/// A heading, what to do, and a line for each.
fn section<const N: usize>(text: &mut Text, heading: &str, about: &str, head: [&str; N], rows: Vec<[String; N]>) {
    if rows.is_empty() {
        return;
    }
    text.line(Mood::Attention.of(format!("{heading}: {}", rows.len())));
    about.lines().for_each(|line| text.line(line));
    text.line("");
    text.table(head, rows);
    text.line("");
}

impl Report for OrphanReport {
    fn text(&self, text: &mut Text) {
        let apps = self.apps.iter().map(|app| {
            let name = app.display_name.as_ref().map(|name| clean(name, MAX_NAME)).unwrap_or_default();
            let id = clean(&app.client_id, MAX_NAME);
            [id, name, app.created_at.clone().unwrap_or_default(), app.org_id.clone(), app.connection.clone()]
        });
        let head = ["CLIENT ID", "DISPLAY NAME", "CREATED", "ORG", "CONNECTION"];
        let about = format!("{ABOUT_APPS}\nWhat to do: {WHAT_TO_DO_WITH_AN_APP}.");
        section(text, "Apps without a resource", &about, head, apps.collect());
        let resources = self
            .resources
            .iter()
            .map(|gone| [format!("{}/{}", gone.namespace, gone.name), gone.client_id.clone(), gone.what_to_do.clone()]);
        let head = ["RESOURCE", "CLIENT ID", "WHAT TO DO"];
        section(text, "Resources without an app", ABOUT_RESOURCES, head, resources.collect());
        let secrets = self.secrets.iter();
        let secrets =
            secrets.map(|secret| [format!("{}/{}", secret.namespace, secret.name), secret.what_to_do.clone()]);
        section(text, "Secrets without a resource", ABOUT_SECRETS, ["SECRET", "WHAT TO DO"], secrets.collect());
        let not_checked = self.not_checked.iter().map(|not| [not.what.clone(), not.why.clone()]);
        section(text, "Not checked", "", ["WHAT", "WHY"], not_checked.collect());
        if !self.has_findings() {
            text.line(Mood::Good.of("No orphans."));
        }
    }
}
