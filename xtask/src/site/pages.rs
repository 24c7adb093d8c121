//! The source of the site: the pages of `docs/SUMMARY.md` at their paths in the repository, and every file that they link to.
//! Source files get the extension `.txt`, so that a browser shows them.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use crate::markdown::{all_targets, is_file, map_targets, resolve, split_anchor};

pub(super) const SUMMARY: &str = "docs/SUMMARY.md";

/// What a browser shows as it is.
const SHOWN: [&str; 3] = ["svg", "png", "json"];

const STYLE: &str = include_str!("style.css");

/// Writes the book of a repository into a directory.
pub(super) fn write(repository: &Path, book: &Path) -> Result<(), Box<dyn Error>> {
    let summary = fs::read_to_string(repository.join(SUMMARY))?;
    let pages = listed(&summary);
    let rebased = map_targets(&summary, |target| in_docs(target).display().to_string());
    let source = book.join("src");
    put(&source.join("SUMMARY.md"), &rebased)?;
    let mut linked = BTreeSet::new();
    for page in &pages {
        let text = fs::read_to_string(repository.join(page)).map_err(|error| format!("{}: {error}", page.display()))?;
        put(&source.join(page), with_shown_targets(page, &text, &pages, &mut linked))?;
    }
    for file in linked {
        let content = fs::read(repository.join(&file)).map_err(|error| format!("{}: {error}", file.display()))?;
        put(&source.join(shown_as(&file)), content)?;
    }
    fs::copy(repository.join("book.toml"), book.join("book.toml"))?;
    put(&book.join("style.css"), STYLE)
}

/// The pages of a summary, as their paths in the repository.
pub(super) fn listed(summary: &str) -> Vec<PathBuf> {
    all_targets(summary).into_iter().map(in_docs).collect()
}

fn in_docs(target: &str) -> PathBuf {
    resolve(Path::new("docs"), target)
}

/// A page whose links to files other than pages lead to what a browser shows; these files are added to `linked`.
fn with_shown_targets(page: &Path, text: &str, pages: &[PathBuf], linked: &mut BTreeSet<PathBuf>) -> String {
    let directory = page.parent().unwrap_or(Path::new(""));
    map_targets(text, |target| {
        let (file, _) = split_anchor(target);
        let path = resolve(directory, file);
        if !is_file(target) || pages.contains(&path) {
            return target.to_owned();
        }
        let shown = shown_as(Path::new(file)).display().to_string();
        linked.insert(path);
        shown
    })
}

/// mdBook takes `.md` in a link for a page, also before `.txt`.
fn shown_as(file: &Path) -> PathBuf {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some(extension) if SHOWN.contains(&extension) => file.to_owned(),
        Some("md") => file.with_extension("txt"),
        Some(_) | None => PathBuf::from(format!("{}.txt", file.display())),
    }
}

fn put(path: &Path, content: impl AsRef<[u8]>) -> Result<(), Box<dyn Error>> {
    path.parent().map(fs::create_dir_all).transpose()?;
    Ok(fs::write(path, content)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::{broken_links, documents};
    use crate::repository;
    use control_plane::Scratch;

    #[test]
    fn the_summary_lists_each_page_once() {
        let mut listed = listed(&fs::read_to_string(repository().join(SUMMARY)).unwrap());
        let root = repository();
        let of_docs = documents().into_iter().map(|page| page.strip_prefix(&root).unwrap().to_owned());
        let mut pages: Vec<PathBuf> =
            of_docs.filter(|page| page.starts_with("docs") && page != Path::new(SUMMARY)).collect();
        pages.extend(listed.iter().filter(|page| !page.starts_with("docs")).cloned().collect::<BTreeSet<_>>());
        pages.sort();
        listed.sort();
        assert_eq!(listed, pages);
    }

    #[test]
    fn the_readme_lists_the_same_pages_in_the_same_order() {
        let readme = fs::read_to_string(repository().join("README.md")).unwrap();
        let (_, table) = readme.split_once("\n## Read on\n").unwrap();
        let table: Vec<PathBuf> = all_targets(table).into_iter().map(PathBuf::from).collect();
        let mut listed = listed(&fs::read_to_string(repository().join(SUMMARY)).unwrap());
        listed.retain(|page| page != Path::new("README.md"));
        assert_eq!(table, listed);
    }

    #[test]
    fn every_link_of_the_book_leads_to_a_file_of_the_book() {
        let book = Scratch::new().unwrap();
        write(&repository(), book.path()).unwrap();
        let source = book.path().join("src");
        let pages = listed(&fs::read_to_string(repository().join(SUMMARY)).unwrap());
        let broken: Vec<String> = pages.iter().flat_map(|page| broken_links(&source.join(page))).collect();
        assert!(broken.is_empty() && pages.len() > 10, "{}", broken.join("\n"));
    }

    #[test]
    fn a_source_file_is_shown_as_text() {
        let pages = [PathBuf::from("docs/b.md")];
        let mut linked = BTreeSet::new();
        let text = "[b](b.md#x) [c](../src/c.rs) [f](f.md) ![d](d.svg) [e](https://example.com)\n";
        let shown = with_shown_targets(Path::new("docs/a.md"), text, &pages, &mut linked);
        assert_eq!(shown, "[b](b.md#x) [c](../src/c.rs.txt) [f](f.txt) ![d](d.svg) [e](https://example.com)\n");
        assert_eq!(linked, ["docs/d.svg", "docs/f.md", "src/c.rs"].map(PathBuf::from).into());
    }
}
