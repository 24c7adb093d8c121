//! A set of files that becomes the same archive each time: sorted, owned by root, with one time for all.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use flate2::{Compression, GzBuilder};
use tar::{EntryType, Header};

use crate::Error;

/// Files by their path, which is relative.
#[derive(Clone, Debug, Default)]
pub struct Tree(BTreeMap<String, Entry>);

#[derive(Clone, Debug)]
enum Entry {
    File { content: Vec<u8>, mode: u32 },
    Link { target: String },
}

impl Tree {
    /// Adds a file that everyone may read. A slash at the start of its path is left out.
    pub fn file(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        self.add(path, Entry::File { content: content.into(), mode: 0o644 });
    }

    /// Adds a file that everyone may run.
    pub fn program(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        self.add(path, Entry::File { content: content.into(), mode: 0o755 });
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.add(path, Entry::Link { target: target.to_owned() });
    }

    fn add(&mut self, path: &str, entry: Entry) {
        self.0.insert(path.trim_start_matches('/').to_owned(), entry);
    }

    /// The paths, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The content of a file.
    #[must_use]
    pub fn content(&self, path: &str) -> Option<&[u8]> {
        match self.0.get(path.trim_start_matches('/'))? {
            Entry::File { content, .. } => Some(content),
            Entry::Link { .. } => None,
        }
    }

    /// A tar archive in which each file has this time, in Unix seconds. Directories come before what they contain.
    ///
    /// # Errors
    /// When a path is too long for the format.
    pub fn tar(&self, time: u64) -> Result<Vec<u8>, Error> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut directories = BTreeSet::new();
        for (path, entry) in &self.0 {
            let parents = path.match_indices('/').map(|(end, _)| &path[..=end]);
            for parent in parents.filter(|parent| directories.insert((*parent).to_owned())) {
                let mut header = header(EntryType::Directory, 0o755, time);
                archive.append_data(&mut header, parent, io::empty()).map_err(Error::io(parent))?;
            }
            append(&mut archive, path, entry, time).map_err(Error::io(path))?;
        }
        archive.into_inner().map_err(Error::io("archive"))
    }

    /// Writes the files beneath a directory, which is created.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), Error> {
        std::fs::create_dir_all(directory).map_err(Error::io(directory))?;
        for (path, entry) in &self.0 {
            let target = directory.join(path);
            write(&target, entry).map_err(Error::io(&target))?;
        }
        Ok(())
    }
}

fn append(archive: &mut tar::Builder<Vec<u8>>, path: &str, entry: &Entry, time: u64) -> io::Result<()> {
    match entry {
        Entry::File { content, mode } => {
            let mut header = header(EntryType::Regular, *mode, time);
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, path, content.as_slice())
        }
        Entry::Link { target } => archive.append_link(&mut header(EntryType::Symlink, 0o777, time), path, target),
    }
}

/// Owned by root, whose number is 0.
fn header(kind: EntryType, mode: u32, time: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(time);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}

fn write(path: &Path, entry: &Entry) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match entry {
        Entry::File { content, mode } => {
            std::fs::write(path, content)?;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(*mode))
        }
        Entry::Link { target } => symlink(target, path),
    }
}

/// The content compressed, with neither a name nor a time.
///
/// # Errors
/// Never in practice, since it writes to memory.
pub fn gzip(content: &[u8]) -> Result<Vec<u8>, Error> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    encoder.write_all(content).and_then(|()| encoder.finish()).map_err(Error::io("gzip"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(order: [&str; 3]) -> Tree {
        let mut tree = Tree::default();
        for path in order {
            tree.file(path, path);
        }
        tree.program("/usr/bin/program", "x");
        tree.link("usr/bin/other", "program");
        tree
    }

    #[test]
    fn archive_does_not_depend_on_the_order_in_which_files_are_added() {
        let one = tree(["b", "etc/a", "etc/ssl/c"]).tar(7).unwrap();
        let other = tree(["etc/ssl/c", "b", "etc/a"]).tar(7).unwrap();
        assert!(one == other);
        assert!(gzip(&one).unwrap() == gzip(&other).unwrap());
    }

    #[test]
    fn archive_has_each_directory_once_before_its_files_and_one_time_and_owner() {
        let bytes = tree(["b", "etc/a", "etc/ssl/c"]).tar(7).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut paths = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap()), (7, 0, 0));
            paths.push(entry.path().unwrap().display().to_string());
        }
        let expected = ["b", "etc/", "etc/a", "etc/ssl/", "etc/ssl/c", "usr/", "usr/bin/", "usr/bin/other"];
        assert_eq!(paths[..8], expected);
        assert_eq!(paths[8], "usr/bin/program");
    }

    #[test]
    fn directory_has_the_same_files_and_modes() {
        let directory = tempfile::tempdir().unwrap();
        tree(["b", "etc/a", "etc/ssl/c"]).write(directory.path()).unwrap();
        assert_eq!(std::fs::read_to_string(directory.path().join("usr/bin/other")).unwrap(), "x");
        let mode = |path| std::fs::metadata(directory.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("usr/bin/program"), mode("etc/a")), (0o755, 0o644));
    }
}
