//! The manifests: every document of every file, of which the kinds that matter for a plan are kept. What else a directory has,
//! such as a Deployment, is passed over.

use crate::commands::CommandError;
use crate::crd::OrgOAuthApp;
use crate::given::Given;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::ResourceExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];
/// The largest file, in bytes.
const MOST_BYTES: u64 = 64 << 20;

/// One document.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Manifest {
    /// Where it is from; nothing for the standard input.
    pub(super) file: Option<String>,
    pub(super) kind: String,
    pub(super) namespace: Option<String>,
    pub(in crate::commands) name: String,
    pub(in crate::commands) object: Value,
}

/// The documents that matter, by kind.
#[derive(Debug, Default)]
pub(in crate::commands) struct Manifests {
    pub(in crate::commands) apps: Vec<Manifest>,
    pub(super) connections: Vec<Manifest>,
    pub(super) namespaces: Vec<Manifest>,
    /// Secrets and ConfigMaps.
    others: Vec<Manifest>,
}

impl Manifests {
    /// # Errors
    /// When a file cannot be read or is no YAML, or a document of a kind that matters has no name.
    pub(in crate::commands) fn read(paths: &[PathBuf]) -> Result<Self, CommandError> {
        let mut manifests = Self::default();
        for path in paths {
            if path.as_os_str() == "-" {
                let mut text = String::new();
                std::io::stdin().lock().take(MOST_BYTES).read_to_string(&mut text)?;
                manifests.add_all(&text, None)?;
            } else {
                manifests.read_path(path)?;
            }
        }
        match manifests.apps.is_empty() && manifests.connections.is_empty() {
            true => Err(CommandError::message("no OrgOAuthApp and no IamConnection in these manifests")),
            false => Ok(manifests),
        }
    }

    fn read_path(&mut self, path: &Path) -> Result<(), CommandError> {
        let failed = |error| CommandError::message(format!("cannot read {}: {error}", path.display()));
        if fs::metadata(path).map_err(failed)?.is_dir() {
            let entries: Result<Vec<PathBuf>, _> =
                fs::read_dir(path).map_err(failed)?.map(|entry| entry.map(|entry| entry.path())).collect();
            let mut entries = entries.map_err(failed)?;
            entries.sort();
            let is_read = |path: &PathBuf| {
                path.is_dir() || path.extension().is_some_and(|found| EXTENSIONS.iter().any(|known| found == *known))
            };
            return entries.iter().filter(|path| is_read(path)).try_for_each(|path| self.read_path(path));
        }
        if fs::metadata(path).map_err(failed)?.len() > MOST_BYTES {
            return Err(CommandError::message(format!("{} is larger than 64 MiB", path.display())));
        }
        self.add_all(&fs::read_to_string(path).map_err(failed)?, Some(&path.display().to_string()))
    }

    fn add_all(&mut self, text: &str, file: Option<&str>) -> Result<(), CommandError> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(text)
            .map_err(|error| CommandError::message(format!("{}: {error}", file.unwrap_or("the standard input"))))?;
        documents.into_iter().try_for_each(|document| self.add(document, file))
    }

    fn add(&mut self, document: Value, file: Option<&str>) -> Result<(), CommandError> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let Some(kind) = text(&document["kind"]) else { return Ok(()) };
        let group = text(&document["apiVersion"]).unwrap_or_default();
        if kind == "List" {
            let items = document["items"].as_array().cloned().unwrap_or_default();
            return items.into_iter().try_for_each(|item| self.add(item, file));
        }
        let kept = match (group.split('/').next().unwrap_or_default(), kind.as_str()) {
            ("oauth-apps.dev", "OrgOAuthApp") => &mut self.apps,
            ("oauth-apps.dev", "IamConnection") => &mut self.connections,
            ("v1", "Namespace") => &mut self.namespaces,
            ("v1", "Secret" | "ConfigMap") => &mut self.others,
            _ => return Ok(()),
        };
        let Some(name) = text(&document["metadata"]["name"]) else {
            let file = file.unwrap_or("the standard input");
            return Err(CommandError::message(format!("{file}: a document of kind {kind} has no metadata.name")));
        };
        let namespace = text(&document["metadata"]["namespace"]);
        kept.push(Manifest { file: file.map(str::to_owned), kind, namespace, name, object: document });
        Ok(())
    }

    /// What names no namespace is in this one.
    pub(super) fn in_namespace(mut self, namespace: &str) -> Self {
        for manifest in self.apps.iter_mut().chain(&mut self.others) {
            let namespace = manifest.namespace.get_or_insert_with(|| namespace.to_owned()).clone();
            manifest.object["metadata"]["namespace"] = namespace.into();
        }
        for manifest in self.connections.iter_mut().chain(&mut self.namespaces) {
            manifest.namespace = None;
        }
        self
    }

    pub(super) fn namespaces_of_apps(&self) -> BTreeSet<String> {
        self.apps.iter().filter_map(|manifest| manifest.namespace.clone()).collect()
    }

    pub(super) fn has_app(&self, app: &OrgOAuthApp) -> bool {
        let (namespace, name) = (app.namespace(), app.name_any());
        self.apps.iter().any(|manifest| manifest.namespace == namespace && manifest.name == name)
    }

    /// The Secrets and ConfigMaps, which take the place of those of the cluster.
    pub(super) fn given(&self) -> Given {
        Given::new(self.others.iter().map(|manifest| {
            let namespace = manifest.namespace.clone().unwrap_or_default();
            (manifest.kind.clone(), namespace, manifest.name.clone(), with_string_data(&manifest.object))
        }))
    }
}

/// A Secret as the API server stores it.
fn with_string_data(object: &Value) -> Value {
    let mut object = object.clone();
    let Some(texts) = object["stringData"].as_object().cloned() else { return object };
    if !object["data"].is_object() {
        object["data"] = json!({});
    }
    for (key, text) in texts {
        object["data"][key] = STANDARD.encode(text.as_str().unwrap_or_default()).into();
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Manifests {
        let mut manifests = Manifests::default();
        manifests.add_all(text, Some("a.yaml")).unwrap();
        manifests.in_namespace("team")
    }

    #[test]
    fn every_document_is_read_and_other_kinds_are_passed_over() {
        let manifests = read(
            "apiVersion: oauth-apps.dev/v1alpha1\nkind: OrgOAuthApp\nmetadata: {name: a, namespace: x}\n---\n---\n\
             apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n---\napiVersion: v1\nkind: List\nitems:\n\
             - {apiVersion: oauth-apps.dev/v1alpha1, kind: OrgOAuthApp, metadata: {name: b}}\n\
             - {apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {token: secret}}\n",
        );
        let places: Vec<_> =
            manifests.apps.iter().map(|app| (app.namespace.as_deref().unwrap(), app.name.as_str())).collect();
        assert_eq!(places, [("x", "a"), ("team", "b")]);
        let given = manifests.given().find("Secret", "team", "s").cloned().unwrap();
        assert_eq!(given["data"]["token"], "c2VjcmV0");
    }

    #[test]
    fn a_document_without_a_name_is_an_error_that_names_the_file() {
        let mut manifests = Manifests::default();
        let document = "apiVersion: oauth-apps.dev/v1alpha1\nkind: OrgOAuthApp\nmetadata: {}\n";
        let error = manifests.add_all(document, Some("a.yaml")).unwrap_err();
        assert_eq!(error.to_string(), "a.yaml: a document of kind OrgOAuthApp has no metadata.name");
    }
}
