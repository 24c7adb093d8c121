//! The directory with the artifacts, and their checksums.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// The list that `sha256sum --check` reads.
const CHECKSUMS: &str = "SHA256SUMS";

pub(super) struct Output(PathBuf);

impl Output {
    /// Makes the directory. One with files is refused, since they would be published too.
    pub(super) fn create(directory: &Path) -> Result<Self, Box<dyn Error>> {
        fs::create_dir_all(directory)?;
        if fs::read_dir(directory)?.next().is_some() {
            return Err(format!("{} is not empty", directory.display()).into());
        }
        Ok(Self(directory.to_owned()))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<(), Box<dyn Error>> {
        let path = self.path(name);
        Ok(fs::write(&path, content).map_err(|error| format!("{}: {error}", path.display()))?)
    }

    /// Each file with its SHA-256 in hexadecimal, sorted. The image is there as an archive.
    pub(super) fn checksums(&self) -> Result<Vec<(String, String)>, Box<dyn Error>> {
        let mut sums = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_file() && name != CHECKSUMS {
                let digest = image_builder::sha256(&fs::read(entry.path())?);
                sums.push((name, digest.trim_start_matches("sha256:").to_owned()));
            }
        }
        sums.sort();
        Ok(sums)
    }

    pub(super) fn write_checksums(&self) -> Result<(), Box<dyn Error>> {
        let lines: String = self.checksums()?.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
        self.write(CHECKSUMS, lines.as_bytes())
    }
}
