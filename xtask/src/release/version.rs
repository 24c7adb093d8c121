//! What is released: version, commit, and the names under which it is published.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::process::Command;

use toml_edit::DocumentMut;

use super::Args;
use crate::{command, repository};

/// For builds of one's own, until `repository` in Cargo.toml or `--image` names a registry.
const PLACEHOLDER: &str = "registry.example.com/oauth-app-operator";

pub(super) struct Version {
    /// Of the workspace, such as `0.1.0`.
    pub number: String,
    /// The commit, with `-dirty` if there are other changes.
    pub revision: String,
    /// The time of the commit, in Unix seconds: the time of every file.
    pub time: u64,
    /// The same, as RFC 3339.
    pub created: String,
    /// URL of the source repository.
    pub source: Option<String>,
    /// Name of the image, without tag.
    pub image: String,
    /// Whether it is published: a build of one's own may come before the changelog names the version.
    pub is_tagged: bool,
}

impl Version {
    /// From git, Cargo.toml and the flags.
    pub(super) fn read(args: &Args) -> Result<Self, Box<dyn Error>> {
        let number = env!("CARGO_PKG_VERSION").to_owned();
        if let Some(tag) = args.tag.as_ref().filter(|tag| **tag != format!("v{number}")) {
            return Err(format!("the tag of version {number} is v{number}, not {tag}").into());
        }
        let mut revision = git(&["rev-parse", "HEAD"])?;
        if !git(&["status", "--porcelain"])?.is_empty() {
            if !args.allow_dirty {
                return Err("commit the changes first: `git status` shows some (or use --allow-dirty)".into());
            }
            revision += "-dirty";
        }
        let source = match &args.source {
            Some(url) => Some(url.clone()),
            None => repository_url()?,
        };
        let image = args.image.clone().or_else(|| source.as_deref().and_then(github_image));
        let time = git(&["log", "-1", "--format=%ct"])?.parse()?;
        let created = git(&["log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ"])?;
        let (image, is_tagged) = (image.unwrap_or_else(|| PLACEHOLDER.to_owned()), args.tag.is_some());
        Ok(Self { number, revision, time, created, source, image, is_tagged })
    }

    /// Labels of the image, by the OCI image specification.
    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        let labels = [
            ("title", Some("oauth-app-operator")),
            ("description", Some("A Kubernetes operator for OAuth apps of VMware Cloud Services")),
            ("version", Some(&*self.number)),
            ("revision", Some(&*self.revision)),
            ("created", Some(&*self.created)),
            ("licenses", Some("Apache-2.0")),
            ("source", self.source.as_deref()),
        ];
        let present = labels.into_iter().filter_map(|(name, value)| Some((name, value?)));
        present.map(|(name, value)| (format!("org.opencontainers.image.{name}"), value.to_owned())).collect()
    }
}

/// `repository` of the workspace.
fn repository_url() -> Result<Option<String>, Box<dyn Error>> {
    let manifest: DocumentMut = fs::read_to_string(repository().join("Cargo.toml"))?.parse()?;
    let url = manifest["workspace"]["package"].get("repository");
    Ok(url.and_then(|url| url.as_str()).map(str::to_owned))
}

/// The image of a repository on GitHub, in its own registry. Names of images are in lower case.
fn github_image(source: &str) -> Option<String> {
    let path = source.strip_prefix("https://github.com/")?.trim_end_matches('/').trim_end_matches(".git");
    Some(format!("ghcr.io/{}", path.to_lowercase()))
}

/// What git prints, in the repository, with times in UTC.
pub(super) fn git(arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    let mut git = Command::new("git");
    git.args(arguments).current_dir(repository()).env("TZ", "UTC");
    Ok(command::output(&mut git)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_of_a_repository_on_github_is_in_its_registry() {
        let image = github_image("https://github.com/Example/App.git");
        assert_eq!(image.as_deref(), Some("ghcr.io/example/app"));
        assert_eq!(github_image("https://git.example.com/example/app"), None);
    }
}
