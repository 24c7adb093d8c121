//! Names of resources for apps: valid, unique, and the same each time for the same apps.

use aws_lc_rs::digest::{SHA256, digest};
use std::collections::{HashMap, HashSet};

/// The longest name before something is appended.
const LONGEST: usize = 100;
/// A Secret named so is that of the rotation of another resource.
const ROTATION: &str = "-rotation";

/// The file of such a resource would be the one that lists the others.
const KUSTOMIZATION: &str = "kustomization";

/// A name for each app: of its display name, or of its id where that has no letters or digits. Apps that would have the same name, or
/// one of `taken`, have a part of the hash of their id appended.
pub(super) fn names(apps: &[(&str, Option<&str>)], taken: &HashSet<String>) -> Vec<String> {
    let base = |(id, name): &(&str, Option<&str>)| {
        name.and_then(label).or_else(|| label(id)).unwrap_or_else(|| "app".to_owned())
    };
    let bases: Vec<String> = apps.iter().map(base).collect();
    let mut uses: HashMap<&str, usize> = HashMap::new();
    bases.iter().for_each(|base| *uses.entry(base).or_default() += 1);
    let is_reserved = |base: &str| base == KUSTOMIZATION || base.ends_with(ROTATION);
    let is_free = |base: &str| uses.get(base) == Some(&1) && !taken.contains(base) && !is_reserved(base);
    let with_hash = |base: &str, id: &str| {
        let hash = hash(id);
        let name = |length: usize| format!("{base}-{}", &hash[..length]);
        let name_of = (8..hash.len()).map(name).find(|name| !uses.contains_key(name.as_str()) && !taken.contains(name));
        name_of.unwrap_or_else(|| name(hash.len()))
    };
    let named =
        bases.iter().zip(apps).map(|(base, (id, _))| if is_free(base) { base.clone() } else { with_hash(base, id) });
    named.collect()
}

/// The letters and digits of a text, in lower case, with `-` between its words.
fn label(text: &str) -> Option<String> {
    let mut label = String::new();
    for character in text.chars() {
        if character.is_ascii_alphanumeric() {
            label.push(character.to_ascii_lowercase());
        } else if !label.is_empty() && !label.ends_with('-') {
            label.push('-');
        }
        if label.len() == LONGEST {
            break;
        }
    }
    let label = label.trim_end_matches('-');
    (!label.is_empty()).then(|| label.to_owned())
}

fn hash(id: &str) -> String {
    digest(&SHA256, id.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names_of(apps: &[(&str, Option<&str>)]) -> Vec<String> {
        names(apps, &HashSet::from(["taken".to_owned()]))
    }

    #[test]
    fn a_name_is_made_of_the_display_name_or_of_the_id() {
        let names = names_of(&[
            ("a-1", Some("Billing Export (prod)")),
            ("b_2.X", None),
            ("c-3", Some("請求書")),
            ("ü", Some("–")),
        ]);
        assert_eq!(names, ["billing-export-prod", "b-2-x", "c-3", "app"]);
    }

    #[test]
    fn a_name_that_is_not_free_has_a_part_of_the_hash_of_the_id() {
        let names =
            names_of(&[("a", Some("Same")), ("b", Some("same!")), ("c", Some("Taken")), ("d", Some("x-rotation"))]);
        assert_eq!(names, ["same-ca978112", "same-3e23e816", "taken-2e7d2c03", "x-rotation-18ac3e73"]);
    }

    #[test]
    fn no_app_has_the_name_of_the_file_that_lists_the_others() {
        assert_eq!(names_of(&[("a", Some("Kustomization"))]), ["kustomization-ca978112"]);
    }

    proptest! {
        #[test]
        fn names_are_valid_and_unique_whatever_the_apps_are_called(
            apps in proptest::collection::btree_map("[a-zA-Z0-9_.@-]{1,300}", proptest::option::of("(a|A| |-|\\PC){0,120}"), 0..20)
        ) {
            let apps: Vec<_> = apps.iter().map(|(id, name)| (id.as_str(), name.as_deref())).collect();
            let names = names_of(&apps);
            prop_assert_eq!(names.iter().collect::<HashSet<_>>().len(), apps.len());
            for name in &names {
                let is_valid = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
                prop_assert!(is_valid && !name.starts_with('-') && !name.ends_with('-') && name.len() <= 200, "{name}");
                prop_assert!(!name.ends_with(ROTATION) && name != "taken");
            }
            prop_assert_eq!(names_of(&apps), names);
        }
    }
}
