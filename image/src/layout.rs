//! The OCI image layout: a directory, or a tar archive of it, that skopeo, crane and podman read.
//! It has one image index, which names the image of each architecture. Its digest is the digest of the image.

use std::collections::BTreeMap;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::{Error, Image, Tree, gzip};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The images of one version.
#[derive(Clone, Debug)]
pub struct Layout {
    /// By their digest, such as `sha256:…`.
    blobs: BTreeMap<String, Vec<u8>>,
    /// The manifest of each architecture.
    manifests: BTreeMap<String, Value>,
    /// Of the index, since registries show them.
    annotations: Value,
}

/// The digest of these bytes, such as `sha256:…`.
#[must_use]
pub fn sha256(content: &[u8]) -> String {
    let hex: String = digest(&SHA256, content).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

impl Layout {
    /// The layout of one image.
    ///
    /// # Errors
    /// When a path is too long for the archive.
    pub fn new(image: &Image) -> Result<Self, Error> {
        let annotations = json!(image.labels);
        let mut layout = Self { blobs: BTreeMap::new(), manifests: BTreeMap::new(), annotations };
        let layer = image.root.tar(image.time)?;
        let config = image.config(&sha256(&layer));
        let config = layout.add(CONFIG, bytes(&config));
        let layer = layout.add(LAYER, gzip(&layer)?);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer],
            "annotations": layout.annotations,
        });
        let mut manifest = layout.add(MANIFEST, bytes(&manifest));
        manifest["platform"] = json!({"architecture": image.architecture, "os": "linux"});
        layout.manifests.insert(image.architecture.clone(), manifest);
        Ok(layout)
    }

    fn add(&mut self, media_type: &str, content: Vec<u8>) -> Value {
        let (digest, size) = (sha256(&content), content.len());
        self.blobs.insert(digest.clone(), content);
        json!({"mediaType": media_type, "digest": digest, "size": size})
    }

    /// One layout for the architectures of several.
    ///
    /// # Errors
    /// When two have an image for one architecture, or they are not of one version and commit.
    pub fn merge(layouts: impl IntoIterator<Item = Self>) -> Result<Self, Error> {
        let mut layouts = layouts.into_iter();
        let mut merged = layouts.next().ok_or_else(|| Error::Merge("no layout to merge".to_owned()))?;
        for layout in layouts {
            if layout.annotations != merged.annotations {
                let (one, other) = (&merged.annotations, &layout.annotations);
                return Err(Error::Merge(format!("the layouts are not of one version: {one} and {other}")));
            }
            merged.blobs.extend(layout.blobs);
            for (architecture, manifest) in layout.manifests {
                if merged.manifests.insert(architecture.clone(), manifest).is_some() {
                    return Err(Error::Merge(format!("two layouts have an image for {architecture}")));
                }
            }
        }
        Ok(merged)
    }

    /// The annotations that all its images have.
    #[must_use]
    pub fn annotations(&self) -> &Value {
        &self.annotations
    }

    /// The architectures, sorted.
    pub fn architectures(&self) -> impl Iterator<Item = &str> {
        self.manifests.keys().map(String::as_str)
    }

    fn index(&self) -> Vec<u8> {
        let manifests: Vec<_> = self.manifests.values().collect();
        bytes(&json!({
            "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "annotations": self.annotations,
        }))
    }

    /// The digest of the image: that of its index.
    #[must_use]
    pub fn digest(&self) -> String {
        sha256(&self.index())
    }

    /// The files of the layout; the index has this tag.
    #[must_use]
    pub fn tree(&self, tag: &str) -> Tree {
        let mut tree = Tree::default();
        let mut blob =
            |digest: &str, content: &[u8]| tree.file(&format!("blobs/{}", digest.replace(':', "/")), content);
        self.blobs.iter().for_each(|(digest, content)| blob(digest, content));
        let index = self.index();
        blob(&sha256(&index), &index);
        let annotations = json!({"org.opencontainers.image.ref.name": tag});
        let entry =
            json!({"mediaType": INDEX, "digest": sha256(&index), "size": index.len(), "annotations": annotations});
        tree.file("index.json", bytes(&json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})));
        tree.file("oci-layout", bytes(&json!({"imageLayoutVersion": "1.0.0"})));
        tree
    }

    /// Reads a layout that [`Self::tree`] wrote. Each blob must have its digest.
    ///
    /// # Errors
    /// When it is no such layout, or was changed.
    pub fn read(directory: &Path) -> Result<Self, Error> {
        let invalid = || Error::Layout(directory.display().to_string());
        let blob = |digest: &str| {
            let path = directory.join("blobs").join(digest.replace(':', "/"));
            let content = std::fs::read(&path).map_err(Error::io(&path))?;
            if sha256(&content) == digest { Ok(content) } else { Err(invalid()) }
        };
        let json = |content: &[u8]| serde_json::from_slice::<Value>(content).map_err(|_| invalid());
        let entry = std::fs::read(directory.join("index.json")).map_err(Error::io(directory))?;
        let index = json(&blob(json(&entry)?["manifests"][0]["digest"].as_str().ok_or_else(invalid)?)?)?;
        let mut layout =
            Self { blobs: BTreeMap::new(), manifests: BTreeMap::new(), annotations: index["annotations"].clone() };
        for descriptor in index["manifests"].as_array().ok_or_else(invalid)? {
            let architecture = descriptor["platform"]["architecture"].as_str().ok_or_else(invalid)?;
            layout.manifests.insert(architecture.to_owned(), descriptor.clone());
            let digest = descriptor["digest"].as_str().ok_or_else(invalid)?;
            let manifest = blob(digest)?;
            let parts = json(&manifest)?;
            layout.blobs.insert(digest.to_owned(), manifest);
            for part in parts["layers"].as_array().into_iter().flatten().chain([&parts["config"]]) {
                let digest = part["digest"].as_str().ok_or_else(invalid)?;
                layout.blobs.insert(digest.to_owned(), blob(digest)?);
            }
        }
        Ok(layout)
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(architecture: &str, version: &str) -> Image {
        let mut root = Tree::default();
        root.program("bin/program", architecture);
        Image {
            architecture: architecture.to_owned(),
            root,
            time: 1,
            created: "1970-01-01T00:00:01Z".to_owned(),
            labels: BTreeMap::from([("org.opencontainers.image.version".to_owned(), version.to_owned())]),
        }
    }

    fn layout(architecture: &str) -> Layout {
        Layout::new(&image(architecture, "1.0.0")).unwrap()
    }

    #[test]
    fn same_image_has_the_same_digest_and_another_file_another_one() {
        assert_eq!(layout("amd64").digest(), layout("amd64").digest());
        let mut changed = image("amd64", "1.0.0");
        changed.root.file("etc/passwd", "");
        assert_ne!(layout("amd64").digest(), Layout::new(&changed).unwrap().digest());
    }

    #[test]
    fn layout_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let written = Layout::merge([layout("amd64"), layout("arm64")]).unwrap();
        written.tree("1.0.0").write(directory.path()).unwrap();
        let read = Layout::read(directory.path()).unwrap();
        assert_eq!(read.digest(), written.digest());
        assert!(read.tree("1.0.0").tar(1).unwrap() == written.tree("1.0.0").tar(1).unwrap());
    }

    #[test]
    fn changed_blob_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        layout("amd64").tree("1.0.0").write(directory.path()).unwrap();
        for entry in std::fs::read_dir(directory.path().join("blobs/sha256")).unwrap() {
            std::fs::write(entry.unwrap().path(), "{}").unwrap();
        }
        assert!(matches!(Layout::read(directory.path()), Err(Error::Layout(_))));
    }

    #[test]
    fn architectures_merge_in_any_order_to_one_digest() {
        let one = Layout::merge([layout("amd64"), layout("arm64")]).unwrap();
        let other = Layout::merge([layout("arm64"), layout("amd64")]).unwrap();
        assert_eq!(one.digest(), other.digest());
        assert_eq!(one.architectures().collect::<Vec<_>>(), ["amd64", "arm64"]);
    }

    #[test]
    fn layouts_of_one_architecture_or_of_two_versions_do_not_merge() {
        assert!(matches!(Layout::merge([layout("amd64"), layout("amd64")]), Err(Error::Merge(_))));
        let newer = Layout::new(&image("arm64", "1.1.0")).unwrap();
        assert!(matches!(Layout::merge([layout("amd64"), newer]), Err(Error::Merge(_))));
    }

    #[test]
    fn every_reference_of_the_layout_names_a_blob_by_size_and_digest() {
        let directory = tempfile::tempdir().unwrap();
        layout("amd64").tree("1.0.0").write(directory.path()).unwrap();
        let mut open = vec![std::fs::read(directory.path().join("index.json")).unwrap()];
        let mut followed = 0;
        while let Some(Ok(document)) = open.pop().map(|content| serde_json::from_slice::<Value>(&content)) {
            let lists = [&document["manifests"], &document["layers"]];
            let listed = lists.into_iter().filter_map(Value::as_array).flatten();
            for part in listed.chain(document.get("config").filter(|config| config["digest"].is_string())) {
                let path = part["digest"].as_str().unwrap().replace(':', "/");
                let content = std::fs::read(directory.path().join("blobs").join(path)).unwrap();
                assert_eq!(part["size"], content.len());
                assert_eq!(part["digest"], sha256(&content));
                followed += 1;
                if part["mediaType"].as_str().unwrap().ends_with("+json") {
                    open.push(content);
                }
            }
        }
        assert_eq!(followed, 4, "index, manifest, config and layer");
    }
}
