//! `cargo xtask release`: makes every file that a release publishes, without a container engine.
//! The same commit gives the same files on a machine of the same kind, so that users can rebuild and compare them.

mod binary;
mod changelog;
mod chart;
mod files;
mod platform;
mod sbom;
mod version;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use image_builder::Layout;

use files::Output;
use version::Version;

/// The directory of the OCI image layout among the artifacts.
const IMAGE: &str = "image";

/// What to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Directory for the artifacts; it must be empty or not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Name of the image in its registry, without tag; by default from `repository` in Cargo.toml
    #[arg(long, value_name = "REPOSITORY")]
    image: Option<String>,
    /// URL of the source repository, for labels and links; by default `repository` in Cargo.toml
    #[arg(long, value_name = "URL")]
    source: Option<String>,
    /// Fail unless this is the tag of the version: `v` and the version in Cargo.toml
    #[arg(long)]
    tag: Option<String>,
    /// Merge the outputs of runs on different architectures, instead of building
    #[arg(long, value_name = "DIR", num_args = 1..)]
    merge: Vec<PathBuf>,
    /// Accept changes that are not committed; the revision then ends with `-dirty`
    #[arg(long)]
    allow_dirty: bool,
}

/// Builds for this machine or merges, then writes what is the same for all architectures.
pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let version = Version::read(args)?;
    let output = Output::create(&args.out)?;
    let layout = match args.merge.as_slice() {
        [] => platform::build(&version, &output)?,
        directories => merge(directories, &version, &output)?,
    };
    publish(&version, &layout, &output)?;
    for (file, digest) in output.checksums()? {
        println!("{digest}  {file}");
    }
    println!("image: {}@{}", version.image, layout.digest());
    Ok(())
}

/// The image of all architectures; copies what belongs to one only.
fn merge(directories: &[PathBuf], version: &Version, output: &Output) -> Result<Layout, Box<dyn Error>> {
    let read = |directory: &PathBuf| Layout::read(&directory.join(IMAGE));
    let layout = Layout::merge(directories.iter().map(read).collect::<Result<Vec<_>, _>>()?)?;
    let labels = serde_json::json!(version.labels());
    if *layout.annotations() != labels {
        return Err(format!("the images are of {}, not of {labels}", layout.annotations()).into());
    }
    for directory in directories {
        for entry in fs::read_dir(directory)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.contains("-linux-") {
                output.write(&name, &fs::read(directory.join(&name))?)?;
            }
        }
    }
    Ok(layout)
}

/// Everything but what belongs to one architecture.
fn publish(version: &Version, layout: &Layout, output: &Output) -> Result<(), Box<dyn Error>> {
    let Version { number, time, .. } = version;
    let tree = layout.tree(number);
    tree.write(&output.path(IMAGE))?;
    output.write(&format!("oauth-app-operator-{number}-image.tar"), &tree.tar(*time)?)?;
    output.write("image-digest.txt", format!("{}\n", layout.digest()).as_bytes())?;

    let chart = format!("oauth-app-operator-{number}.tgz");
    output.write(&chart, &chart::package(version, layout)?)?;
    output.write("install.yaml", crate::generate::render(&output.path(&chart))?.as_bytes())?;
    for (file, name) in FILES {
        output.write(name, &fs::read(crate::repository().join(file))?)?;
    }
    let notes = changelog::read(version)?.notes(version, &layout.digest());
    output.write("NOTES.md", notes.as_bytes())?;
    output.write_checksums()
}

/// What is published as it is in the repository, and its name among the artifacts.
const FILES: [(&str, &str); 6] = [
    ("crds/iamconnections.yaml", "iamconnections.crd.yaml"),
    ("crds/orgoauthapps.yaml", "orgoauthapps.crd.yaml"),
    ("docs/schemas/iamconnection_v1alpha1.json", "iamconnection_v1alpha1.json"),
    ("docs/schemas/orgoauthapp_v1alpha1.json", "orgoauthapp_v1alpha1.json"),
    ("deploy/monitoring/alerts.yaml", "alerts.yaml"),
    ("deploy/monitoring/dashboard.json", "dashboard.json"),
];

/// License and notices, which each artifact with the program contains.
fn licenses() -> [PathBuf; 2] {
    ["LICENSE", "THIRD-PARTY-NOTICES"].map(|name| crate::repository().join(name))
}

/// The name of a file, without its directory.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
