//! `template`: the Secret that a manifest asks for, with placeholders for what only the API knows. Works without a cluster.

use super::output::{OutputArgs, Report, Text};
use super::plan::manifests::{Manifest, Manifests, decode};
use super::{CommandError, Done};
use crate::crd::OrgOAuthApp;
use crate::decide::fill_with;
use crate::iam::{ClientId, ClientSecret};
use crate::secret::{SecretContents, secret_name};
use crate::text::is_hidden;
use clap::Args;
use kube::ResourceExt;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The Secret of a manifest.
#[derive(Args, Clone, Debug)]
pub struct TemplateArgs {
    /// File or directory with manifests, or - for the standard input; repeatable. Kinds other than OrgOAuthApp are left out
    #[arg(short, long = "filename", value_name = "PATH", required = true)]
    filenames: Vec<PathBuf>,
    /// A value instead of its placeholder: client-id, client-secret or token-url; repeatable. It is printed, so do not give a real client secret
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    set: Vec<(Placeholder, String)>,
    #[command(flatten)]
    output: OutputArgs,
}

/// What only the API or the connection knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Placeholder {
    ClientId,
    ClientSecret,
    TokenUrl,
}

impl Placeholder {
    const ALL: [Self; 3] = [Self::ClientId, Self::ClientSecret, Self::TokenUrl];

    const fn name(self) -> &'static str {
        match self {
            Self::ClientId => "client-id",
            Self::ClientSecret => "client-secret",
            Self::TokenUrl => "token-url",
        }
    }
}

fn assignment(text: &str) -> Result<(Placeholder, String), String> {
    let (name, value) = text.split_once('=').ok_or("it has the form NAME=VALUE")?;
    let placeholder = Placeholder::ALL.into_iter().find(|placeholder| placeholder.name() == name);
    let placeholder = placeholder.ok_or("the names are client-id, client-secret and token-url")?;
    Ok((placeholder, value.to_owned()))
}

/// The Secret that an app is going to have.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretPreview {
    /// The `OrgOAuthApp`.
    pub app: String,
    pub namespace: Option<String>,
    /// The name of the Secret.
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// Keys and values; placeholders stand for what only the API knows.
    pub data: BTreeMap<String, String>,
}

impl TemplateArgs {
    pub(crate) fn run(self) -> Result<Done, CommandError> {
        self.output.print(&self.previews()?)?;
        Ok(Done::Clean)
    }

    fn previews(&self) -> Result<Vec<SecretPreview>, CommandError> {
        let manifests = Manifests::read(&self.filenames)?.apps;
        if manifests.is_empty() {
            return Err(CommandError::message("no OrgOAuthApp in these manifests"));
        }
        manifests.iter().map(|manifest| self.preview(&app(manifest)?)).collect()
    }

    fn value(&self, placeholder: Placeholder) -> String {
        let set = self.set.iter().rev().find(|(name, _)| *name == placeholder);
        set.map_or_else(|| format!("<{}>", placeholder.name()), |(_, value)| value.clone())
    }

    fn preview(&self, app: &OrgOAuthApp) -> Result<SecretPreview, CommandError> {
        let failed = |error: String| CommandError::message(format!("OrgOAuthApp {}: {error}", app.name_any()));
        let is_set = self.set.iter().any(|(name, _)| *name == Placeholder::ClientId);
        let chosen = app.spec.id.clone().filter(|_| !is_set);
        let id = ClientId(chosen.unwrap_or_else(|| self.value(Placeholder::ClientId)));
        let is_public = app.spec.public_client == Some(true);
        let secret = (!is_public).then(|| ClientSecret::new(self.value(Placeholder::ClientSecret)));
        let extra = fill_with(app, self.value(Placeholder::TokenUrl), &id, secret.as_ref());
        let extra = extra.map_err(|blocked| failed(blocked.message))?;
        let contents = SecretContents { client_id: Some(id), current: secret, extra, ..SecretContents::default() };
        match contents.size_problem(app) {
            Some(problem) => Err(failed(problem)),
            None => Ok(SecretPreview::of(app, &contents)),
        }
    }
}

impl SecretPreview {
    fn of(app: &OrgOAuthApp, contents: &SecretContents) -> Self {
        let target = &app.spec.secret;
        let id = contents.client_id.iter().map(|id| (target.keys.client_id.clone(), id.0.clone()));
        let exposed = |secret: &ClientSecret| secret.expose().to_owned();
        let secret = contents.current.iter().map(|secret| (target.keys.client_secret.clone(), exposed(secret)));
        let extra = contents.extra.iter().map(|(key, value)| (key.clone(), exposed(value)));
        Self {
            app: app.name_any(),
            namespace: app.namespace(),
            name: secret_name(app),
            labels: target.labels.clone(),
            annotations: target.annotations.clone(),
            data: extra.chain(id).chain(secret).collect(),
        }
    }
}

/// The app as it would be applied.
fn app(manifest: &Manifest) -> Result<OrgOAuthApp, CommandError> {
    let failed = |error| CommandError::message(format!("OrgOAuthApp {}: {error}", manifest.name));
    decode(&manifest.object).map_err(failed)
}

impl Report for Vec<SecretPreview> {
    fn text(&self, text: &mut Text) {
        for (row, preview) in self.iter().enumerate() {
            if row > 0 {
                text.line("");
            }
            preview.lines(text);
        }
    }
}

impl SecretPreview {
    fn lines(&self, text: &mut Text) {
        let namespace = self.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        text.line(format!("Secret {namespace}{} of OrgOAuthApp {}", self.name, self.app));
        for (what, pairs) in [("label", &self.labels), ("annotation", &self.annotations)] {
            pairs.iter().for_each(|(name, value)| text.line(format!("{what} {name}: {value}")));
        }
        for (key, value) in &self.data {
            if value.contains('\n') {
                text.line(format!("{key}:"));
                value.lines().for_each(|line| text.line(format!("  {}", visible(line))));
            } else {
                text.line(format!("{key}: {}", visible(value)));
            }
        }
    }
}

/// As an escape, since it is part of the value and cannot be shown as it is.
fn visible(line: &str) -> String {
    let hidden = |character: char| character.is_control() || is_hidden(character);
    line.chars().flat_map(|c| if hidden(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests;
