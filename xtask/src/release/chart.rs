//! The chart as it is released: with the name and digest of the image, and what Artifact Hub shows about it.
//! `helm package` would write the present time into the archive.

use std::error::Error;
use std::fs;

use image_builder::{Layout, Tree, gzip};
use kube::ResourceExt;
use oauth_app_operator::crd;
use serde_json::{Map, Value, json};

use super::changelog;
use super::version::{Version, git};
use crate::repository;

const CHART: &str = "deploy/chart";
/// Where the archive has the files.
const NAME: &str = "oauth-app-operator";

/// The archive for `helm install`.
pub(super) fn package(version: &Version, layout: &Layout) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut tree = Tree::default();
    for path in git(&["ls-files", CHART])?.lines() {
        let content = fs::read_to_string(repository().join(path))?;
        let file = path.trim_start_matches(CHART).trim_start_matches('/');
        let content = match file {
            "Chart.yaml" => metadata(&content, version, layout)?,
            "values.yaml" => values(&content, &version.image, &layout.digest())?,
            _ => content,
        };
        tree.file(&format!("{NAME}/{file}"), content);
    }
    tree.file(&format!("{NAME}/LICENSE"), fs::read(repository().join("LICENSE"))?);
    Ok(gzip(&tree.tar(version.time)?)?)
}

/// The values with this image; the rest stays as it is, comments included.
fn values(text: &str, image: &str, digest: &str) -> Result<String, Box<dyn Error>> {
    let set = |text: &str, from: &str, to: String| match text.matches(from).count() {
        1 => Ok(text.replace(from, &to)),
        found => Err(format!("values.yaml has {found} lines {from:?}")),
    };
    let text = set(text, "\n  repository: oauth-app-operator\n", format!("\n  repository: {image}\n"))?;
    Ok(set(&text, "\n  digest: \"\"\n", format!("\n  digest: {digest}\n"))?)
}

/// Chart.yaml with links and the annotations of Artifact Hub.
fn metadata(text: &str, version: &Version, layout: &Layout) -> Result<String, Box<dyn Error>> {
    let mut chart: Value = serde_saphyr::from_str(text)?;
    let mut annotations = chart["annotations"].as_object().cloned().unwrap_or_default();
    annotations.extend(artifact_hub(version, layout)?);
    chart["annotations"] = annotations.into();
    if let Some(source) = &version.source {
        chart["home"] = source.as_str().into();
        chart["sources"] = json!([source]);
    }
    Ok(serde_saphyr::to_string(&chart)?)
}

/// Each annotation is a text, most of them YAML.
fn artifact_hub(version: &Version, layout: &Layout) -> Result<Map<String, Value>, Box<dyn Error>> {
    let platforms: Vec<_> = layout.architectures().map(|architecture| format!("linux/{architecture}")).collect();
    let image = format!("{}@{}", version.image, layout.digest());
    let links = version.source.iter().flat_map(|source| {
        [("documentation", "tree/HEAD/docs"), ("support", "issues")]
            .map(|(name, path)| json!({"name": name, "url": format!("{source}/{path}")}))
    });
    let mut annotations = Map::new();
    let mut add = |name: &str, list: Vec<Value>| -> Result<(), Box<dyn Error>> {
        if !list.is_empty() {
            annotations.insert(format!("artifacthub.io/{name}"), serde_saphyr::to_string(&list)?.into());
        }
        Ok(())
    };
    add("images", vec![json!({"name": NAME, "image": image, "platforms": platforms})])?;
    add("changes", changelog::read(version)?.changes())?;
    add("links", links.collect())?;
    add("crds", crds()?)?;
    add("crdsExamples", examples()?)?;
    let is_prerelease = !semver::Version::parse(&version.number)?.pre.is_empty();
    annotations.insert("artifacthub.io/prerelease".to_owned(), is_prerelease.to_string().into());
    Ok(annotations)
}

fn crds() -> Result<Vec<Value>, Box<dyn Error>> {
    let describe =
        |crd: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition| {
            let version = crd.spec.versions.first()?;
            let schema = version.schema.as_ref()?.open_api_v3_schema.as_ref()?;
            let kind = &crd.spec.names.kind;
            Some(json!({
                "kind": kind, "version": version.name, "name": crd.name_any(), "displayName": kind,
                "description": schema.description.as_deref()?,
            }))
        };
    let described: Option<Vec<_>> = crd::definitions().iter().map(describe).collect();
    Ok(described.ok_or("a CRD has no description")?)
}

fn examples() -> Result<Vec<Value>, Box<dyn Error>> {
    let read =
        |file| Ok(serde_saphyr::from_str(&fs::read_to_string(repository().join("deploy/examples").join(file))?)?);
    ["iam-connection.yaml", "org-oauth-app.yaml"].into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_name_the_image_and_keep_their_comments() {
        let text = "image:\n  # The image.\n  repository: oauth-app-operator\n  digest: \"\"\nother: \"\"\n";
        let values = values(text, "registry.example.com/app", "sha256:0").unwrap();
        let expected =
            "image:\n  # The image.\n  repository: registry.example.com/app\n  digest: sha256:0\nother: \"\"\n";
        assert_eq!(values, expected);
    }

    #[test]
    fn values_without_the_fields_are_an_error() {
        assert!(values("image: {}\n", "registry.example.com/app", "sha256:0").is_err());
    }
}
