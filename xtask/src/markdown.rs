//! Links in Markdown, as the documents write them: `[text](target)` on one line, outside fenced blocks.
//! The check of the links and the site read them here.

use std::iter::once;
use std::path::{Component, Path, PathBuf};

const LINK: &str = "](";

/// The lines outside fenced blocks, with their numbers.
#[cfg(test)]
pub(crate) fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    lines(text).zip(1..).filter_map(|((line, is_prose), number)| is_prose.then_some((number, line)))
}

/// Each line, and whether it is outside fenced blocks.
fn lines(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut fenced = false;
    text.lines().map(move |line| {
        let guard = line.trim_start().starts_with("```");
        fenced ^= guard;
        (line, !fenced && !guard)
    })
}

/// Where the links of a line lead.
pub(crate) fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split(LINK).skip(1).map(target)
}

/// Where the links of a text lead.
pub(crate) fn all_targets(text: &str) -> Vec<&str> {
    lines(text).filter(|(_, is_prose)| *is_prose).flat_map(|(line, _)| targets(line)).collect()
}

/// The text with other targets of its links.
pub(crate) fn map_targets(text: &str, mut map: impl FnMut(&str) -> String) -> String {
    let line = |(line, is_prose): (&str, bool)| {
        if !is_prose {
            return format!("{line}\n");
        }
        let mut parts = line.split(LINK);
        let before = parts.next().unwrap_or_default().to_owned();
        let links = parts.map(|part| format!("{LINK}{}{}", map(target(part)), &part[target(part).len()..]));
        once(before).chain(links).chain(once("\n".to_owned())).collect()
    };
    lines(text).map(line).collect()
}

/// What stands in the parentheses at the start of a text.
fn target(text: &str) -> &str {
    text.split([')', ' ']).next().unwrap_or_default()
}

/// Whether a target is a file of the repository, perhaps with an anchor.
pub(crate) fn is_file(target: &str) -> bool {
    !target.contains("://") && !target.starts_with("mailto:") && !target.starts_with('#')
}

/// File and anchor of a target; without an anchor it is empty.
pub(crate) fn split_anchor(target: &str) -> (&str, &str) {
    target.split_once('#').unwrap_or((target, ""))
}

/// The path of a target in a document of this directory, without `..` and `.`.
pub(crate) fn resolve(directory: &Path, file: &str) -> PathBuf {
    directory.join(file).components().fold(PathBuf::new(), |mut path, component| {
        match component {
            Component::ParentDir => drop(path.pop()),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => path.push(component),
        }
        path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_replaced_outside_of_fenced_blocks_only() {
        let text = "[a](b.md) and ![c](d.svg)\n```sh\n[e](f)\n```\n";
        let changed = map_targets(text, |target| format!("x/{target}"));
        assert_eq!(changed, "[a](x/b.md) and ![c](x/d.svg)\n```sh\n[e](f)\n```\n");
        assert_eq!(all_targets(text), ["b.md", "d.svg"]);
    }

    #[test]
    fn a_target_is_resolved_in_the_directory_of_its_document() {
        assert_eq!(resolve(Path::new("docs/tutorials"), "../../crds/a.yaml"), Path::new("crds/a.yaml"));
        assert_eq!(resolve(Path::new(""), "docs/./a.md"), Path::new("docs/a.md"));
    }
}
