//! `cargo xtask generate`: writes every file of the repository that repeats the code, the chart or the Lua.
//! `files` lists them; a test fails when one is stale.

mod argo_cd;
mod cli;
mod failures;
mod fields;
mod flags;
mod manifests;
mod metrics;
mod reasons;
mod schemas;
mod table;
mod values;

use std::error::Error;
use std::fs;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use oauth_app_operator::crd;

use crate::repository;

pub(crate) use manifests::render;

/// What to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Check only; write nothing, and fail when a file is stale
    #[arg(long)]
    check: bool,
}

/// A generated file: its path in the repository, and its content.
type File = (String, String);

/// Writes the files that are stale, or only names them.
pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let stale = stale(files()?);
    let verb = if args.check { "stale" } else { "updated" };
    for (path, content) in &stale {
        if !args.check {
            let path = repository().join(path);
            path.parent().map(fs::create_dir_all).transpose()?;
            fs::write(path, content)?;
        }
        println!("{verb}: {path}");
    }
    match stale.is_empty() {
        true => println!("all generated files are up to date"),
        false if args.check => return Err(STALE.into()),
        false => {}
    }
    Ok(())
}

const STALE: &str = "generated files are stale: run `cargo xtask generate`";

/// Every generated file. None is made from another one on disk, so one run brings all up to date.
fn files() -> Result<Vec<File>, Box<dyn Error>> {
    let [connection, app] = crd::definitions();
    let (connection, app) = (crd_file(&connection)?, crd_file(&app)?);
    let install = manifests::install([("iamconnections.yaml", &connection), ("orgoauthapps.yaml", &app)])?;
    let files = vec![
        ("crds/iamconnections.yaml", connection.clone()),
        ("crds/orgoauthapps.yaml", app.clone()),
        ("deploy/chart/files/iamconnections.yaml", connection),
        ("deploy/chart/README.md", values::document()?),
        ("deploy/chart/files/orgoauthapps.yaml", app),
        ("deploy/chart/files/monitoring/alerts.yaml", copy("deploy/monitoring/alerts.yaml")?),
        ("deploy/chart/files/monitoring/dashboard.yaml", copy("deploy/monitoring/dashboard.json")?),
        ("deploy/gitops/argocd/argocd-cm.yaml", argo_cd::config_map_patch()?),
        ("deploy/install.yaml", install),
        ("docs/behaviour.md", failures::document(&fs::read_to_string(repository().join("docs/behaviour.md"))?)?),
        ("docs/cli.md", cli::document()),
        ("docs/fields.md", fields::document()?),
        ("docs/flags.md", flags::document()),
        ("docs/metrics.md", metrics::document()),
        ("docs/reasons.md", reasons::document()),
    ];
    let files = files.into_iter().map(|(path, content)| (path.to_owned(), content));
    Ok(files.chain(cli::man_pages()?).chain(schemas::files()).collect())
}

/// A CRD as YAML. The chart has copies of this and other files, since a chart can hold no link to them.
fn crd_file(crd: &CustomResourceDefinition) -> Result<String, String> {
    let yaml = crd::yaml(crd).map_err(|error| error.to_string())?;
    Ok(format!("# {}: generated from src/crd by `cargo xtask generate`.\n{yaml}", crd.name_any()))
}

/// A file of the repository for the chart. JSON becomes YAML by the comment.
fn copy(path: &str) -> Result<String, Box<dyn Error>> {
    let content = fs::read_to_string(repository().join(path))?;
    Ok(format!("# Copied from {path} by `cargo xtask generate`.\n{content}"))
}

/// Those whose file on disk has other content.
fn stale(files: Vec<File>) -> Vec<File> {
    let is_stale =
        |(path, content): &File| fs::read(repository().join(path)).ok().as_deref() != Some(content.as_bytes());
    files.into_iter().filter(is_stale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_files_are_up_to_date() {
        let stale: Vec<_> = stale(files().unwrap()).into_iter().map(|(path, _)| path).collect();
        assert!(stale.is_empty(), "{STALE}: {stale:?}");
    }

    #[test]
    fn a_changed_and_a_missing_file_are_stale() {
        let license = || fs::read_to_string(repository().join("LICENSE")).unwrap();
        assert!(stale(vec![("LICENSE".to_owned(), license())]).is_empty());
        let files = vec![("LICENSE".to_owned(), license() + "\n"), ("no-such-file".to_owned(), String::new())];
        assert_eq!(stale(files.clone()), files);
    }

    #[test]
    fn a_generated_file_names_the_command() {
        for (path, content) in files().unwrap() {
            assert!(content.contains("`cargo xtask generate`"), "{path}");
        }
    }
}
