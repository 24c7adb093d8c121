//! The manifests: every document of every file, of which the kinds that matter for a plan are kept. What else a directory has,
//! such as a Deployment, is passed over.

use super::files::{self, STANDARD_INPUT};
use super::names;
use crate::commands::CommandError;
use crate::crd::OrgOAuthApp;
use crate::given::Given;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::ResourceExt;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

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
        for source in files::read(paths)? {
            manifests.add_all(&source.text, source.file.as_deref())?;
        }
        match manifests.apps.is_empty() && manifests.connections.is_empty() {
            true => Err(CommandError::message("no OrgOAuthApp and no IamConnection in these manifests")),
            false => Ok(manifests),
        }
    }

    fn add_all(&mut self, text: &str, file: Option<&str>) -> Result<(), CommandError> {
        let place = file.unwrap_or(STANDARD_INPUT);
        let documents: Vec<Value> = serde_saphyr::from_multiple(text)
            .map_err(|error| CommandError::message(format!("{place}: {}", without_content(&error))))?;
        for (number, document) in (1..).zip(documents) {
            self.add(document, file)
                .map_err(|problem| CommandError::message(format!("{place}: document {number}: {problem}")))?;
        }
        Ok(())
    }

    fn add(&mut self, mut document: Value, file: Option<&str>) -> Result<(), String> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let Some(kind) = text(&document["kind"]) else { return Ok(()) };
        let group = text(&document["apiVersion"]).unwrap_or_default();
        if let Some(kind) = kind.strip_suffix("List")
            && let Value::Array(items) = document["items"].take()
        {
            return items.into_iter().try_for_each(|item| self.add(with_kind(item, kind, &group), file));
        }
        let kept = match (group.split('/').next().unwrap_or_default(), kind.as_str()) {
            ("oauth-apps.dev", "OrgOAuthApp") => &mut self.apps,
            ("oauth-apps.dev", "IamConnection") => &mut self.connections,
            ("v1", "Namespace") => &mut self.namespaces,
            ("v1", "Secret" | "ConfigMap") => &mut self.others,
            _ => return Ok(()),
        };
        let metadata = &document["metadata"];
        let name = text(&metadata["name"]).ok_or_else(|| format!("{kind} without metadata.name"))?;
        let namespace = match &metadata["namespace"] {
            Value::Null => None,
            Value::String(namespace) => Some(namespace.clone()).filter(|namespace| !namespace.is_empty()),
            _ => return Err(format!("metadata.namespace of the {kind} is no text")),
        };
        if let Some(problem) = names::problem(&kind, &document) {
            return Err(format!("{kind}: {problem}"));
        }
        // Only the operator writes a status; what a manifest has is not taken for that.
        document.as_object_mut().map(|fields| fields.remove("status"));
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

/// An item of a list, which may leave to the list to say what it is.
fn with_kind(mut item: Value, kind: &str, group: &str) -> Value {
    if let Some(fields) = item.as_object_mut().filter(|fields| !fields.contains_key("kind")) {
        fields.insert("kind".into(), kind.into());
        fields.insert("apiVersion".into(), group.into());
    }
    item
}

/// Where text is no YAML, and why. The error itself quotes the text, which may be a Secret.
fn without_content(error: &serde_saphyr::Error) -> String {
    let why = match error.without_snippet() {
        serde_saphyr::Error::Eof { .. } => "the text ends too early",
        serde_saphyr::Error::DuplicateMappingKey { .. } => "a key occurs twice",
        serde_saphyr::Error::UnknownAnchor { .. } => "an alias has no anchor",
        serde_saphyr::Error::Budget { .. } => "the document is too large or nested too deep",
        _ => "the text is no YAML",
    };
    match error.location() {
        Some(at) => format!("line {}, column {}: {why}", at.line(), at.column()),
        None => why.to_owned(),
    }
}

/// An object in its type. The error has the field and the kind of error, and not the value.
pub(in crate::commands) fn decode<K: DeserializeOwned>(object: &Value) -> Result<K, String> {
    serde_path_to_error::deserialize(object).map_err(|error| {
        let why = error.inner().to_string();
        let is_missing = why.starts_with("missing field");
        let kind = ["invalid type", "invalid length", "unknown variant"].into_iter().find(|kind| why.starts_with(kind));
        format!("{}: {}", error.path(), if is_missing { &why } else { kind.unwrap_or("invalid value") })
    })
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
             - {apiVersion: oauth-apps.dev/v1alpha1, kind: OrgOAuthApp, metadata: {name: b}, status: {claim: x}}\n\
             - {apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {token: secret}}\n",
        );
        let places: Vec<_> =
            manifests.apps.iter().map(|app| (app.namespace.as_deref().unwrap(), app.name.as_str())).collect();
        assert_eq!(places, [("x", "a"), ("team", "b")]);
        let fields: Vec<_> = manifests.apps[1].object.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["apiVersion", "kind", "metadata"], "nothing is added, and a status is left out");
        let given = manifests.given().find("Secret", "team", "s").cloned().unwrap();
        assert_eq!(given["data"]["token"], "c2VjcmV0");
    }

    fn error(text: &str) -> String {
        Manifests::default().add_all(text, Some("a.yaml")).unwrap_err().to_string()
    }

    #[test]
    fn an_error_names_the_file_and_the_document() {
        let app = |metadata: &str, spec: &str| {
            format!(
                "kind: Other\n---\napiVersion: oauth-apps.dev/v1alpha1\nkind: OrgOAuthApp\nmetadata: {metadata}\nspec: {spec}\n"
            )
        };
        assert_eq!(error(&app("{}", "{}")), "a.yaml: document 2: OrgOAuthApp without metadata.name");
        for name in ["x#y", "x?y", "x/y", "../secrets/x", "x%23y"] {
            let metadata = error(&app(&format!("{{name: '{name}'}}"), "{}"));
            assert!(metadata.starts_with("a.yaml: document 2: OrgOAuthApp: metadata.name is no name"), "{metadata}");
            let namespace = error(&app(&format!("{{name: x, namespace: '{name}'}}"), "{}"));
            assert!(namespace.contains("document 2: OrgOAuthApp: metadata.namespace is no name"), "{namespace}");
            let connection = error(&app("{name: x}", &format!("{{connectionRef: {{name: '{name}'}}}}")));
            assert!(connection.contains("spec.connectionRef.name is no name"), "{connection}");
        }
        assert!(
            error(&app("{name: x, namespace: 5}", "{}")).contains("metadata.namespace of the OrgOAuthApp is no text")
        );
    }

    #[test]
    fn every_kind_of_list_is_read() {
        let manifests = read(
            "apiVersion: oauth-apps.dev/v1alpha1\nkind: OrgOAuthAppList\nitems:\n\
             - metadata: {name: a}\n- {apiVersion: oauth-apps.dev/v1alpha1, kind: OrgOAuthApp, metadata: {name: b}}\n---\n\
             apiVersion: v1\nkind: SecretList\nitems:\n- {metadata: {name: s}}\n- text\n",
        );
        let names: Vec<_> = manifests.apps.iter().map(|app| app.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(manifests.given().find("Secret", "team", "s").is_some());
    }

    #[test]
    fn an_error_of_the_parser_has_the_place_and_nothing_of_the_text() {
        let bad = [
            ("stringData:\n  token: hidden\n token: hidden\n", "line 3"),
            ("token: hidden\ntoken: hidden\n", "line 2, column 1: a key occurs twice"),
            ("token: *hidden\n", "line 1, column 8: "),
            ("token: \"hidden\n", "line "),
            ("hidden: [", "line "),
        ];
        for (text, expected) in bad {
            let error = error(text);
            assert!(error.starts_with(&format!("a.yaml: {expected}")), "{error}");
            assert!(!error.contains("hidden"), "{error}");
        }
    }

    #[test]
    fn an_error_of_a_type_has_the_field_and_not_its_value() {
        let object = |spec: Value| json!({"metadata": {"name": "a"}, "spec": spec});
        let decoded = |spec| decode::<OrgOAuthApp>(&object(spec)).unwrap_err();
        assert_eq!(decoded(json!({"orgId": {"hidden": 1}})), "spec.orgId: invalid type");
        assert_eq!(decoded(json!({"orgId": "a", "accessTokenTTL": "hidden"})), "spec.accessTokenTTL: invalid type");
        assert_eq!(decoded(json!({"orgId": "a", "deletionPolicy": "hidden"})), "spec.deletionPolicy: unknown variant");
        assert_eq!(decoded(json!({})), "spec: missing field `orgId`");
    }
}
