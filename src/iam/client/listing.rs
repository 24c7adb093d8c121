//! Lists, of which the documented fields of managed apps are kept, as text and within a budget of bytes.
//! An API may answer with anything, so nothing is read into memory before its size is known.

use crate::iam::answer::Answer;
use crate::iam::app_fields::is_blank;
use crate::iam::flavor::{ApiFlavor, PageFormat};
use crate::iam::request::Page;
use crate::iam::{ClientId, Error};
use crate::text;
use serde::Deserializer as _;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// The fields of an app's membership in its organization. [cpn-clients-get, csp-clients]
pub(crate) const MEMBER_FIELDS: [&str; 4] = ["id", "clientId", "organizationRoles", "serviceRoles"];

/// The most bytes that are kept of one app. A resource, and so what it asks for, is at most as large.
const LARGEST_ENTRY: usize = 64 << 10;
/// The most bytes that are kept of one list.
const LARGEST_LIST: usize = 8 << 20;
/// A longer list is taken for one without an end: pages, entries, and bytes of all pages together.
const MOST_PAGES: usize = 1000;
const MOST_ENTRIES: usize = 100_000;
const MOST_BYTES: usize = 128 << 20;
/// How many unknown fields of an app are named, and how much of each name, in bytes.
const MOST_NAMES: usize = 16;
const LONGEST_NAME: usize = 64;
/// The longest text that says where the next page begins. Documented are numbers. [csp-paged]
const LONGEST_START: usize = 256;

/// What is kept of a list.
pub(crate) enum Keep {
    /// Of the entries about these apps, these fields.
    Managed(HashSet<ClientId>, Vec<&'static str>),
    /// Every entry as it is. Its reader takes them page by page.
    Everything,
}

impl Keep {
    /// What is kept of an entry; nothing of one that is too large.
    fn part(&self, entry: &RawValue) -> Option<Box<str>> {
        match self {
            Self::Managed(_, fields) => documented(entry.get().as_bytes(), fields),
            Self::Everything => Some(entry.get()).filter(|text| text.len() <= LARGEST_ENTRY).map(Into::into),
        }
    }

    fn has(&self, id: &ClientId) -> bool {
        match self {
            Self::Managed(managed, _) => managed.contains(id),
            Self::Everything => true,
        }
    }
}

/// A list while it is read.
pub(crate) struct Listing {
    flavor: &'static dyn ApiFlavor,
    keep: Keep,
    kept: HashMap<ClientId, Box<str>>,
    pages: HashSet<Page>,
    entries: usize,
    bytes: usize,
    kept_bytes: usize,
}

impl Listing {
    pub(crate) fn new(flavor: &'static dyn ApiFlavor, keep: Keep) -> Self {
        Self { flavor, keep, kept: HashMap::new(), pages: HashSet::new(), entries: 0, bytes: 0, kept_bytes: 0 }
    }

    /// Takes a page, and says which one is next. A list ends with a page that has no link or no entry, or with the last of
    /// `totalResults` entries. Of a link only its numbers are taken, since it may lead anywhere. [csp-paged, py-csptools]
    pub(crate) fn add(&mut self, page: &Page, answer: &Answer) -> Result<Option<Page>, Error> {
        let malformed = |_| answer.malformed("it is not a JSON object");
        let PageFormat { entries, total, next, .. } = self.flavor.page_format();
        let names = [entries, total, next.unwrap_or_default()];
        let [results, total, next] = members(&answer.body, &names).map_err(malformed)?;
        let results = results.ok_or_else(|| answer.malformed(&format!("it has no {entries}")))?;
        let before = self.entries;
        let read =
            serde_json::Deserializer::from_str(results.get()).deserialize_seq(Entries(|entry| self.entry(entry)));
        read.map_err(|_| answer.malformed("an entry is not an object"))?;
        self.bytes += answer.body.len();
        let total = total.and_then(|total| serde_json::from_str::<usize>(total.get()).ok());
        let is_last = self.entries == before || total.is_some_and(|total| self.entries >= total);
        let link = next.and_then(|next| serde_json::from_str::<String>(next.get()).ok());
        let next = self.flavor.next_page(page, link.as_deref()).filter(|_| !is_last);
        let Some(page) = next else { return Ok(None) };
        let is_long = page.start.iter().chain(&page.limit).any(|text| text.len() > LONGEST_START);
        let is_over = self.pages.len() >= MOST_PAGES || self.entries > MOST_ENTRIES || self.bytes > MOST_BYTES;
        if is_long || is_over || !self.pages.insert(page.clone()) {
            return Err(answer.malformed("the list does not end"));
        }
        Ok(Some(page))
    }

    /// Of an app of which too much is shown nothing is kept but that it is there, so that it is read alone.
    fn entry(&mut self, entry: &RawValue) -> Result<(), serde_json::Error> {
        self.entries += 1;
        let names = self.flavor.page_format().ids;
        let mut ids = vec![None; names.len()];
        read_members(entry.get().as_bytes(), names, &mut ids)?;
        let text = |value: &RawValue| serde_json::from_str(value.get()).ok();
        let Some(id) = ids.into_iter().flatten().find_map(text).map(ClientId) else { return Ok(()) };
        if self.keep.has(&id) {
            let text = self.keep.part(entry);
            let text = text.filter(|text| self.kept_bytes + text.len() <= LARGEST_LIST).unwrap_or_else(|| "{}".into());
            self.kept_bytes += text.len();
            self.kept.insert(id, text);
        }
        Ok(())
    }

    /// What was kept since the last call. The budget is that of the list, or of a page where its reader does not keep them.
    pub(crate) fn take_entries(&mut self) -> HashMap<ClientId, Box<str>> {
        match self.keep {
            Keep::Managed(..) => {}
            Keep::Everything => self.kept_bytes = 0,
        }
        std::mem::take(&mut self.kept)
    }
}

/// The names of members that are not known and hold something, within bounds.
pub(crate) fn unknown_members(object: &Map<String, Value>, known: &[&str]) -> Vec<String> {
    let unknown = object.iter().filter(|(name, value)| !known.contains(&name.as_str()) && !is_blank(value));
    unknown.map(|(name, _)| text::clean(name, LONGEST_NAME)).take(MOST_NAMES).collect()
}

/// The fields of an object that have these names, as a JSON object; `None` when it is none or they are too large.
pub(crate) fn documented(json: &[u8], names: &[&'static str]) -> Option<Box<str>> {
    let mut text = String::from("{");
    let mut fields = vec![None; names.len()];
    read_members(json, names, &mut fields).ok()?;
    for (name, value) in names.iter().zip(&fields).filter_map(|(name, value)| Some((name, (*value)?))) {
        let comma = if text.len() > 1 { "," } else { "" };
        if text.len() + value.get().len() > LARGEST_ENTRY {
            return None;
        }
        text.push_str(&format!("{comma}\"{name}\":{}", value.get()));
    }
    text.push('}');
    Some(text.into())
}

/// The members of an object that have these names, unread; all others are skipped.
fn members<'a, const N: usize>(
    json: &'a [u8],
    names: &[&'static str; N],
) -> Result<[Option<&'a RawValue>; N], serde_json::Error> {
    let mut found = [None; N];
    read_members(json, names, &mut found)?;
    Ok(found)
}

fn read_members<'a>(
    json: &'a [u8],
    names: &[&'static str],
    found: &mut [Option<&'a RawValue>],
) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    deserializer.deserialize_map(Members { names, found })?;
    deserializer.end()
}

struct Members<'m, 'a> {
    names: &'m [&'static str],
    found: &'m mut [Option<&'a RawValue>],
}

impl<'a> Visitor<'a> for Members<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(index) = map.next_key_seed(Name(self.names))? {
            match index.and_then(|index| self.found.get_mut(index)) {
                Some(found) => *found = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Which of the names it is, if any.
struct Name<'m>(&'m [&'static str]);

impl<'a> DeserializeSeed<'a> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'a>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|known| *known == name))
    }
}

/// Calls with each element of an array, one by one.
struct Entries<F>(F);

impl<'a, F: FnMut(&'a RawValue) -> Result<(), serde_json::Error>> Visitor<'a> for Entries<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some(entry) = entries.next_element()? {
            (self.0)(entry).map_err(serde::de::Error::custom)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::Api;
    use crate::iam::Operation;
    use crate::iam::flavor::flavor;
    use proptest::prelude::*;
    use serde_json::json;

    fn answer(body: &str) -> Answer {
        Answer::of(Operation::ListApps, 200, body)
    }

    fn listing(managed: &[&str]) -> Listing {
        let flavor = flavor(Api::CloudServices);
        let managed = managed.iter().map(|id| ClientId((*id).into())).collect();
        Listing::new(flavor, Keep::Managed(managed, flavor.shown_fields()))
    }

    fn next(link: &str) -> Result<Option<Page>, Error> {
        listing(&[]).add(&Page::default(), &answer(&format!(r#"{{"results":[{{}}],"nextLink":{link}}}"#)))
    }

    #[test]
    fn only_documented_fields_of_managed_apps_are_kept() {
        let mut listing = listing(&["a", "b", "absent"]);
        let page = json!({"results": [
            {"id": "a", "displayName": "A", "news": {"x": [1, 2]}, "createdAt": 1},
            {"clientId": "b"}, {"id": "not-managed", "displayName": "C"}, {"name": "without id"}, {"id": 7},
        ]});
        assert_eq!(listing.add(&Page::default(), &answer(&page.to_string())), Ok(None));
        let kept = listing.take_entries();
        let text = |id: &str| kept.get(&ClientId(id.into())).map(|text| serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(text("a"), Some(json!({"id": "a", "displayName": "A", "createdAt": 1})));
        assert_eq!(text("b"), Some(json!({"clientId": "b"})));
        assert_eq!(kept.len(), 2);
    }

    #[test]
    fn of_an_app_that_is_shown_too_large_only_that_it_is_there_is_kept() {
        let mut listing = listing(&["large", "small"]);
        let page = json!({"results": [{"id": "large", "description": "x".repeat(LARGEST_ENTRY)}, {"id": "small"}]});
        assert_eq!(listing.add(&Page::default(), &answer(&page.to_string())), Ok(None));
        let kept = listing.take_entries();
        let text = |id: &str| kept[&ClientId(id.into())].to_string();
        assert_eq!((text("large"), text("small")), ("{}".into(), r#"{"id":"small"}"#.into()));
    }

    #[test]
    fn a_list_is_kept_within_its_budget_however_many_apps_are_managed() {
        let ids: Vec<String> = (0..200).map(|n| n.to_string()).collect();
        let mut listing = listing(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        for id in &ids {
            let page = json!({"results": [{"id": id, "description": "x".repeat(60_000)}]});
            listing.add(&Page::default(), &answer(&page.to_string())).unwrap();
        }
        let kept: usize = listing.take_entries().values().map(|text| text.len()).sum();
        assert!((LARGEST_LIST - 70_000..=LARGEST_LIST + 1000).contains(&kept), "{kept}");
    }

    #[test]
    fn a_list_without_an_end_ends() {
        let endless = |results: &str| {
            let mut listing = listing(&[]);
            (1..=MOST_PAGES + 1).find_map(|n| {
                let page = format!(r#"{{"results":{results},"nextLink":"/?pageStart={n}"}}"#);
                listing.add(&Page::default(), &answer(&page)).err().map(|error| (n, error.to_string()))
            })
        };
        let said = "list apps: 200: the answer cannot be used: the list does not end".to_owned();
        assert_eq!(endless("[{}]"), Some((MOST_PAGES + 1, said.clone())));
        let many = format!("[{}{{}}]", "{},".repeat(999));
        assert_eq!(endless(&many), Some((101, said.clone())));
        let large = format!(r#"[{{"x":"{}"}}]"#, "x".repeat(4 << 20));
        assert_eq!(endless(&large), Some((32, said)));
    }

    #[test]
    fn a_list_ends_without_a_link_with_an_empty_page_or_with_the_last_of_all_entries() {
        let goes_on = |rest: &str| {
            let mut listing = listing(&[]);
            let first = r#"{"results":[{},{}],"totalResults":4,"nextLink":"/?pageStart=2"}"#;
            assert!(listing.add(&Page::default(), &answer(first)).unwrap().is_some());
            listing.add(&Page::default(), &answer(&format!("{{{rest}}}"))).unwrap().is_some()
        };
        let link = r#""nextLink":"/?pageStart=4""#;
        assert!(!goes_on(r#""results":[{}],"totalResults":4"#));
        assert!(!goes_on(&format!(r#""results":[],"totalResults":4,{link}"#)));
        assert!(!goes_on(&format!(r#""results":[{{}},{{}}],"totalResults":4,{link}"#)));
        for total in ["5", "null", "-1", r#""4""#, "4.5", "1e99"] {
            assert!(goes_on(&format!(r#""results":[{{}},{{}}],"totalResults":{total},{link}"#)), "{total}");
        }
    }

    #[test]
    fn of_a_link_to_the_next_page_only_the_numbers_are_taken() {
        let page = |start: &str, limit: Option<&str>| {
            Ok(Some(Page { start: Some(start.into()), limit: limit.map(Into::into) }))
        };
        assert_eq!(next(r#""/orgs/o/oauth-apps?pageStart=60&pageLimit=15""#), page("60", Some("15")));
        assert_eq!(next(r#""https://elsewhere.example.com/?a=b&pageStart=2""#), page("2", None));
        assert_eq!([next("null"), next(r#""""#), next("7")], [Ok(None), Ok(None), Ok(None)]);
        let long = format!(r#""/?pageStart={}""#, "1".repeat(1000));
        assert!(next(&long).is_err(), "a text that is no number is not repeated");
    }

    #[test]
    fn an_answer_that_is_no_list_is_unavailable() {
        for body in
            ["[]", "{}", r#"{"results":[1]}"#, r#"{"results":{}}"#, r#"{"results":[{}"#, "", r#"{"results":[]}x"#]
        {
            assert!(matches!(listing(&[]).add(&Page::default(), &answer(body)), Err(Error::Unavailable(_))), "{body}");
        }
    }

    #[test]
    fn values_without_end_in_depth_or_number_are_skipped() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let many = format!("[{}0]", "0,".repeat(1_000_000));
        for value in [deep, many] {
            let mut listing = listing(&["a"]);
            let page = format!(r#"{{"results":[{{"id":"a","news":{value},"description":"x"}}],"x":{value}}}"#);
            assert_eq!(listing.add(&Page::default(), &answer(&page)), Ok(None));
            assert_eq!(&**listing.take_entries().values().next().unwrap(), r#"{"id":"a","description":"x"}"#);
        }
    }

    proptest! {
        #[test]
        fn whatever_a_page_holds_is_read_or_refused(body in "[\\[\\]{}\":,a-z0-9\\\\ ]{0,200}") {
            let _ = listing(&["a"]).add(&Page::default(), &answer(&format!(r#"{{"results":[{body}],"nextLink":{body}}}"#)));
            let _ = listing(&["a"]).add(&Page::default(), &answer(&body));
        }
    }
}
