//! The text of manifests. A directory may come from a stranger, as in a pull request: of what is in it only regular files are read,
//! symlinks are not followed, and number and size are bounded.

use crate::commands::CommandError;
use crate::commands::output::print_warning;
use crate::text::clean;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub(super) const STANDARD_INPUT: &str = "the standard input";
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];
/// The most bytes of all files.
const MOST_BYTES: usize = 64 << 20;
const MOST_FILES: usize = 10_000;
/// The most bytes of a path that are shown.
const LONGEST_PATH: usize = 1024;

/// The text of one file.
#[derive(Debug)]
pub(super) struct Source {
    /// Nothing for the standard input.
    pub(super) file: Option<String>,
    pub(super) text: String,
}

/// What may still be read.
struct Reader {
    sources: Vec<Source>,
    bytes_left: usize,
    most_files: usize,
}

/// What a person names is read, whatever it is; `-` is the standard input.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Source>, CommandError> {
    let mut reader = Reader { sources: Vec::new(), bytes_left: MOST_BYTES, most_files: MOST_FILES };
    for path in paths {
        if path.as_os_str() == "-" {
            reader.add(None, io::stdin().lock())?;
        } else if fs::metadata(path).map_err(failed(path))?.is_dir() {
            reader.add_directory(path)?;
        } else {
            reader.add_file(path)?;
        }
    }
    Ok(reader.sources)
}

impl Reader {
    fn add_directory(&mut self, directory: &Path) -> Result<(), CommandError> {
        let entries = fs::read_dir(directory).map_err(failed(directory))?;
        let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(failed(directory))?;
        entries.sort_by_key(fs::DirEntry::path);
        for path in entries.iter().map(fs::DirEntry::path) {
            let kind = fs::symlink_metadata(&path).map_err(failed(&path))?.file_type();
            let is_manifest = path.extension().is_some_and(|found| EXTENSIONS.iter().any(|known| found == *known));
            if kind.is_dir() {
                self.add_directory(&path)?;
            } else if kind.is_file() && is_manifest {
                self.add_file(&path)?;
            } else if kind.is_symlink() || is_manifest {
                print_warning(format!("{} is not read, since it is no regular file", shown(&path)));
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path) -> Result<(), CommandError> {
        self.add(Some(shown(path)), File::open(path).map_err(failed(path))?)
    }

    fn add(&mut self, file: Option<String>, from: impl Read) -> Result<(), CommandError> {
        let place = file.as_deref().unwrap_or(STANDARD_INPUT);
        let problem = |problem: String| Err(CommandError::message(format!("{place}: {problem}")));
        if self.sources.len() == self.most_files {
            return problem(format!("more than {} files; name a directory with fewer", self.most_files));
        }
        let mut bytes = Vec::new();
        let most = u64::try_from(self.bytes_left).unwrap_or(u64::MAX);
        if let Err(error) = from.take(most.saturating_add(1)).read_to_end(&mut bytes) {
            return problem(format!("cannot be read: {error}"));
        }
        let Some(bytes_left) = self.bytes_left.checked_sub(bytes.len()) else {
            return problem(format!("the manifests are larger than {} MiB in total", MOST_BYTES >> 20));
        };
        let Ok(text) = String::from_utf8(bytes) else { return problem("the text is no UTF-8".to_owned()) };
        self.bytes_left = bytes_left;
        self.sources.push(Source { file, text });
        Ok(())
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> CommandError + '_ {
    move |error| CommandError::message(format!("cannot read {}: {error}", shown(path)))
}

/// A path as it may be printed: whoever names a file may use any character.
fn shown(path: &Path) -> String {
    clean(&path.display().to_string(), LONGEST_PATH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use tempfile::TempDir;

    fn texts(path: &Path) -> Vec<String> {
        read(&[path.to_owned()]).unwrap().into_iter().map(|source| source.text).collect()
    }

    #[test]
    fn of_a_directory_only_regular_files_are_read() {
        let (directory, outside) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        fs::write(at("sub/b.yml"), "b").unwrap();
        fs::write(at("a.yaml"), "a").unwrap();
        fs::write(at("notes.txt"), "notes").unwrap();
        fs::write(outside.path().join("secret.yaml"), "secret").unwrap();
        symlink(outside.path().join("secret.yaml"), at("link.yaml")).unwrap();
        symlink(outside.path(), at("outside")).unwrap();
        symlink("..", at("sub/loop")).unwrap();
        symlink("/dev/zero", at("zero.yaml")).unwrap();
        let _socket = UnixListener::bind(at("socket.yaml")).unwrap();
        assert_eq!(texts(directory.path()), ["a", "b"]);
    }

    #[test]
    fn a_symlink_that_a_person_names_is_followed() {
        let directory = TempDir::new().unwrap();
        fs::create_dir(directory.path().join("real")).unwrap();
        fs::write(directory.path().join("real/a.yaml"), "a").unwrap();
        symlink("real", directory.path().join("current")).unwrap();
        symlink("real/a.yaml", directory.path().join("a.link")).unwrap();
        assert_eq!(texts(&directory.path().join("current")), ["a"]);
        assert_eq!(texts(&directory.path().join("a.link")), ["a"]);
    }

    #[test]
    fn what_is_too_much_is_an_error_and_not_cut() {
        let mut reader = Reader { sources: Vec::new(), bytes_left: 5, most_files: 2 };
        reader.add(Some("a.yaml".into()), &b"12345"[..]).unwrap();
        let error = reader.add(None, &b"6"[..]).unwrap_err();
        assert_eq!(error.to_string(), "the standard input: the manifests are larger than 64 MiB in total");
        reader.add(Some("b.yaml".into()), &b""[..]).unwrap();
        let error = reader.add(Some("c.yaml".into()), &b""[..]).unwrap_err();
        assert_eq!(error.to_string(), "c.yaml: more than 2 files; name a directory with fewer");
        let endless = read(&["/dev/zero".into()]).unwrap_err();
        assert!(endless.to_string().contains("larger than 64 MiB"), "{endless}");
    }
}
