//! Bounds on what a report takes: tenants decide how many objects there are, and how large each one is. What is left out for it is
//! said in the report.

use super::Bundle;
use crate::commands::CommandError;
use crate::commands::cluster::each_page;
use futures::{AsyncRead, AsyncReadExt};
use kube::Api;
use kube::api::ListParams;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::io;

/// So many objects of a kind are included.
const MOST_OBJECTS: usize = 1000;
/// So many bytes of objects of a kind are included, as JSON.
const MOST_BYTES: usize = 8 << 20;
/// So many objects are read at once.
const PAGE: u32 = 50;
/// So many bytes of the metrics of a pod are included.
pub(super) const LARGEST_METRICS: u64 = 4 << 20;

/// The objects of a list, up to the bounds.
pub(super) struct Bounded<K> {
    pub(super) items: Vec<K>,
    bytes: usize,
    is_cut: bool,
}

impl<K: Serialize> Bounded<K> {
    fn new() -> Self {
        Self { items: Vec::new(), bytes: 0, is_cut: false }
    }

    pub(super) async fn list(api: &Api<K>, params: ListParams) -> kube::Result<Self>
    where
        K: Clone + Debug + DeserializeOwned,
    {
        let mut list = Self::new();
        each_page(api, params.limit(PAGE), |page| {
            page.into_iter().for_each(|item| list.add(item));
            !list.is_cut
        })
        .await?;
        Ok(list)
    }

    fn add(&mut self, item: K) {
        let bytes = serde_json::to_vec(&item).map_or(0, |json| json.len());
        self.is_cut |= self.items.len() == MOST_OBJECTS || self.bytes + bytes > MOST_BYTES;
        if !self.is_cut {
            self.bytes += bytes;
            self.items.push(item);
        }
    }

    pub(super) fn note_cut(&self, what: &str, bundle: &mut Bundle) {
        if self.is_cut {
            let why = format!("only the first {} are included, since there are more or larger ones", self.items.len());
            bundle.lacks(what, &CommandError::message(why));
        }
    }
}

/// The beginning of a text, and whether there is more of it.
pub(super) async fn text(stream: impl AsyncRead + Unpin, most_bytes: u64) -> io::Result<(String, bool)> {
    let mut bytes = Vec::new();
    stream.take(most_bytes + 1).read_to_end(&mut bytes).await?;
    let is_cut = bytes.len() as u64 > most_bytes;
    bytes.truncate(bytes.len() - usize::from(is_cut));
    Ok((String::from_utf8_lossy(&bytes).into_owned(), is_cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounded(count: usize, bytes: usize) -> (usize, Vec<String>) {
        let mut list = Bounded::new();
        (0..count).for_each(|_| list.add("x".repeat(bytes)));
        let mut bundle = Bundle::default();
        list.note_cut("the Things", &mut bundle);
        (
            list.items.len(),
            bundle.not_read.into_iter().map(|lacked| format!("{}: {}", lacked.what, lacked.why)).collect(),
        )
    }

    #[test]
    fn objects_are_included_up_to_a_number_and_a_size_and_what_is_cut_is_said() {
        assert_eq!(bounded(MOST_OBJECTS, 10), (MOST_OBJECTS, vec![]));
        let said =
            |n| vec![format!("the Things: only the first {n} are included, since there are more or larger ones")];
        assert_eq!(bounded(MOST_OBJECTS + 5, 10), (MOST_OBJECTS, said(MOST_OBJECTS)));
        assert_eq!(bounded(20, MOST_BYTES / 4), (3, said(3)));
    }

    #[tokio::test]
    async fn a_longer_text_is_cut() {
        assert_eq!(text(&b"1234"[..], 4).await.unwrap(), ("1234".into(), false));
        assert_eq!(text(&b"12345"[..], 4).await.unwrap(), ("1234".into(), true));
    }
}
