//! Whether each link of a site leads to one of its files, and to an element with that id.
//! Links to other sites are not followed.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::markdown::{resolve, split_anchor};

/// It is shown at any path, so its links are relative to the address of the site.
const NOT_FOUND: &str = "404.html";

/// Each link that leads nowhere, with its page.
pub(super) fn broken_links(site: &Path) -> io::Result<Vec<String>> {
    let mut pages = HashMap::new();
    for path in html_files(site)? {
        let text = fs::read_to_string(site.join(&path))?;
        pages.insert(path, text);
    }
    let ids = |text: &str| values(text, "id").map(str::to_owned).collect::<HashSet<String>>();
    let ids: HashMap<&Path, HashSet<String>> = pages.iter().map(|(path, text)| (path.as_path(), ids(text))).collect();
    let mut broken = Vec::new();
    for (page, text) in pages.iter().filter(|(page, _)| page.as_path() != Path::new(NOT_FOUND)) {
        for link in values(text, "href").chain(values(text, "src")).filter(|link| is_local(link)) {
            let (file, anchor) = split_anchor(link);
            let directory = page.parent().unwrap_or(Path::new(""));
            let path = if file.is_empty() { page.clone() } else { resolve(directory, file) };
            let has_anchor = || ids.get(path.as_path()).is_none_or(|ids| ids.contains(anchor));
            if !site.join(&path).is_file() || !(anchor.is_empty() || has_anchor()) {
                broken.push(format!("{}: nothing at {link}", page.display()));
            }
        }
    }
    broken.sort();
    Ok(broken)
}

/// The HTML files of a directory, relative to it.
fn html_files(site: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(site.join(&directory))? {
            let entry = entry?;
            let path = directory.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "html") {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// The values of an attribute. mdBook quotes each, and text has no quotation marks.
fn values<'a>(html: &'a str, attribute: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let start = format!(" {attribute}=\"");
    let parts: Vec<&str> = html.split(&start).skip(1).collect();
    parts.into_iter().filter_map(|part| part.split('"').next())
}

fn is_local(link: &str) -> bool {
    !link.contains(':') && !link.starts_with("//") && !link.is_empty() && link != "#"
}

#[cfg(test)]
mod tests {
    use super::*;
    use control_plane::Scratch;

    #[test]
    fn links_to_missing_files_and_ids_are_found() {
        let site = Scratch::new().unwrap();
        let write = |name: &str, text: &str| {
            let path = site.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("index.html", r##"<h1 id="a"></h1><a href="docs/b.html#b"></a><a href="#c"></a><img src="d.svg">"##);
        write(
            "docs/b.html",
            r##"<p id="b"></p><a href="../index.html#a"></a><a href="c.html"></a><a href="//x"></a>"##,
        );
        write("404.html", r#"<a href="nowhere"></a>"#);
        let broken = ["docs/b.html: nothing at c.html", "index.html: nothing at #c", "index.html: nothing at d.svg"];
        assert_eq!(broken_links(site.path()).unwrap(), broken);
    }
}
