//! What was imported and what was not: as manifests, as files, or as a report.

use super::collect::{Collected, Found};
use super::manifest::{Common, Described, comment};
use super::names::names;
use crate::commands::CommandError;
use crate::commands::output::{Report, Text, print_note};
use crate::text;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

/// The longest name of an app that is printed, in bytes.
const MAX_NAME: usize = 100;
const KUSTOMIZATION: &str = "kustomization.yaml";

/// The result of an import.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    /// The organization.
    org_id: String,
    imported: Vec<ImportedApp>,
    /// Apps that no manifest can have.
    not_imported: Vec<OtherApp>,
    /// Apps that are not for a new resource.
    skipped: Vec<OtherApp>,
}

/// An app with a manifest.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportedApp {
    client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    /// The name of the resource.
    name: String,
    /// What the manifest cannot express.
    notes: Vec<String>,
    #[schemars(with = "serde_json::Map<String, Value>")]
    manifest: Value,
    #[serde(skip)]
    yaml: String,
}

/// An app without a manifest.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OtherApp {
    client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    why: String,
}

pub(super) fn build(
    common: &Common,
    collected: Collected,
    taken: &HashSet<String>,
) -> Result<ImportReport, CommandError> {
    let apps = collected.described.iter().map(|(found, _)| (found.id.as_str(), found.display_name.as_deref()));
    let names = names(&apps.collect::<Vec<_>>(), taken);
    let imported = collected.described.into_iter().zip(names);
    let imported = imported.map(|((found, described), name)| ImportedApp::new(common, name, found, &described));
    Ok(ImportReport {
        org_id: common.org.clone(),
        imported: imported.collect::<Result<_, _>>()?,
        not_imported: collected.not_imported.into_iter().map(OtherApp::new).collect(),
        skipped: collected.skipped.into_iter().map(OtherApp::new).collect(),
    })
}

impl ImportedApp {
    fn new(common: &Common, name: String, found: Found, described: &Described) -> Result<Self, CommandError> {
        let manifest = common.manifest(&name, &found.id, described);
        Ok(Self {
            yaml: manifest.yaml(described)?,
            manifest: serde_json::to_value(&manifest).map_err(CommandError::message)?,
            notes: described.notes().map(|note| text::clean(&note, 1000)).collect(),
            client_id: found.id,
            display_name: found.display_name,
            name,
        })
    }

    fn file(&self) -> String {
        format!("{}.yaml", self.name)
    }
}

impl OtherApp {
    fn new((found, why): (Found, String)) -> Self {
        Self { client_id: found.id, display_name: found.display_name, why }
    }
}

/// An app by its id and name, for people.
fn called(id: &str, name: Option<&String>) -> String {
    let name = name.map(|name| format!(" ({})", text::clean(name, MAX_NAME))).unwrap_or_default();
    format!("app {}{name}", text::clean(id, MAX_NAME))
}

impl ImportReport {
    /// Whether each app that was asked for has a manifest.
    pub(super) fn is_complete(&self) -> bool {
        self.not_imported.is_empty()
    }

    /// What is not in the manifests, one line for each app.
    fn not_imported_lines(&self) -> impl Iterator<Item = String> {
        let line = |app: &OtherApp| {
            format!("{} was not imported: {}", called(&app.client_id, app.display_name.as_ref()), app.why)
        };
        self.not_imported.iter().map(line)
    }

    pub(super) fn print_notes(&self) {
        for app in &self.skipped {
            print_note(format!("skipped {}: {}", called(&app.client_id, app.display_name.as_ref()), app.why));
        }
        for app in &self.imported {
            let called = called(&app.client_id, app.display_name.as_ref());
            app.notes.iter().for_each(|note| print_note(format!("{called}: {note}")));
        }
        self.not_imported_lines().for_each(print_note);
        print_note(format!("manifests for apps of organization {}: {}", self.org_id, self.imported.len()));
    }

    /// Writes all files or, if one is there already, none.
    pub(super) fn write(&self, directory: &Path, overwrite: bool) -> Result<(), CommandError> {
        let files = self.imported.iter().map(|app| (directory.join(app.file()), app.yaml.clone()));
        let files: Vec<_> = files.chain([(directory.join(KUSTOMIZATION), self.kustomization())]).collect();
        if let Some((file, _)) = files.iter().find(|(file, _)| !overwrite && is_present(file)) {
            return Err(exists(file));
        }
        let failed = |path: &Path| {
            let path = path.display().to_string();
            move |error| CommandError::message(format!("cannot write {path}: {error}"))
        };
        fs::create_dir_all(directory).map_err(failed(directory))?;
        files.iter().try_for_each(|(file, text)| write(file, text, overwrite).map_err(failed(file)))
    }

    /// The manifests as one text.
    pub(super) fn manifests(&self) -> String {
        let not_imported = self.not_imported_lines().map(|line| comment(&line));
        not_imported.chain(self.imported.iter().map(|app| format!("---\n{}", app.yaml))).collect()
    }

    fn kustomization(&self) -> String {
        let not_imported = self.not_imported_lines().map(|line| comment(&line));
        let head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:".to_owned();
        let files = self.imported.iter().map(|app| format!("\n- {}", app.file()));
        let none = self.imported.is_empty().then(|| " []".to_owned());
        not_imported.chain([head]).chain(none).chain(files).chain(["\n".to_owned()]).collect()
    }
}

/// Before anything is read: an import that was written before is not repeated by accident.
///
/// # Errors
/// When the directory has manifests of an import.
pub(super) fn require_free(directory: &Path) -> Result<(), CommandError> {
    let kustomization = directory.join(KUSTOMIZATION);
    if is_present(&kustomization) { Err(exists(&kustomization)) } else { Ok(()) }
}

fn exists(file: &Path) -> CommandError {
    CommandError::message(format!("{} exists; choose another directory, or --overwrite", file.display()))
}

/// A link is there, wherever it leads.
fn is_present(file: &Path) -> bool {
    file.symlink_metadata().is_ok()
}

/// A link is replaced, and never written through.
fn write(file: &Path, text: &str, overwrite: bool) -> std::io::Result<()> {
    if overwrite && is_present(file) {
        fs::remove_file(file)?;
    }
    OpenOptions::new().write(true).create_new(true).open(file)?.write_all(text.as_bytes())
}

impl Report for ImportReport {
    /// Of files that were written; manifests are printed as they are.
    fn text(&self, text: &mut Text) {
        let row = |app: &ImportedApp| [app.client_id.clone(), app.name.clone(), app.file()];
        text.table(["CLIENT ID", "NAME", "FILE"], self.imported.iter().map(row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_is_replaced_and_what_it_leads_to_stays() {
        let directory = tempfile::tempdir().unwrap();
        let [file, other, absent] = ["app.yaml", "other", "absent"].map(|name| directory.path().join(name));
        fs::write(&other, "of others").unwrap();
        symlink(&other, &file).unwrap();
        assert!(write(&file, "manifest", false).is_err());
        write(&file, "manifest", true).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "of others");
        assert_eq!(fs::read_to_string(&file).unwrap(), "manifest");
        fs::remove_file(&file).unwrap();
        symlink(&absent, &file).unwrap();
        write(&file, "manifest", true).unwrap();
        assert!(!absent.exists() && is_present(&file));
    }
}
