//! Lists in pages, with links that are relative and repeat start and limit `[csp-paged]`.
//! Apps are counted from 0 and clients from 1, and how a list ends is a setting.

use serde_json::{Value, json};

use crate::call::{Answer, Call, Refusal};
use crate::types::{LastPage, Settings};

/// The part of a list that is asked for.
pub struct Window {
    /// The number of the list's first entry.
    first: usize,
    start: usize,
    limit: usize,
}

impl Window {
    /// A 0-based offset; a limit that is too large is cut `[csp-list]`, `[py-page]`.
    pub fn of_apps(settings: &Settings, call: &Call) -> Result<Self, Refusal> {
        let start = call.query_number("pageStart")?.unwrap_or(0);
        let limit = call.query_number("pageLimit")?.unwrap_or(settings.default_page_limit);
        if limit == 0 {
            return Err(Refusal::bad("pageLimit must be at least 1"));
        }
        Ok(Self { first: 0, start, limit: limit.min(settings.max_page_limit) })
    }

    /// From 1, with a limit of 1 to 200 that is 200 by default `[csp-clients]`.
    pub fn of_clients(settings: &Settings, call: &Call) -> Result<Self, Refusal> {
        let start = call.query_number("pageStart")?.unwrap_or(1);
        let limit = call.query_number("pageLimit")?.unwrap_or(200);
        if start < 1 || !(1..=200).contains(&limit) {
            return Err(Refusal::bad("pageStart must be at least 1 and pageLimit 1 to 200"));
        }
        Ok(Self { first: 1, start, limit: limit.min(settings.max_page_limit) })
    }

    /// The page of `all`.
    pub fn page<T>(&self, settings: &Settings, call: &Call, all: &[T], render: impl Fn(&T) -> Value) -> Answer {
        let Self { first, start, limit } = *self;
        let offset = start - first;
        let results: Vec<Value> = all.iter().skip(offset).take(limit).map(render).collect();
        let goes_on = match settings.last_page {
            LastPage::NoLink => offset + limit < all.len(),
            LastPage::Empty => !results.is_empty(),
            LastPage::Growing => true,
        };
        let mut body = json!({ "results": results });
        if settings.shows_total {
            body["totalResults"] = json!(all.len());
        }
        if goes_on {
            body["nextLink"] = json!(self.link(call, start + limit));
        }
        if start > first {
            body["prevLink"] = json!(self.link(call, start.saturating_sub(limit).max(first)));
        }
        Answer::ok(body)
    }

    fn link(&self, call: &Call, start: usize) -> String {
        let mut link = format!("{}?pageStart={start}&pageLimit={}", call.path, self.limit);
        if let Some(term) = call.query("searchTerm") {
            link.push_str("&searchTerm=");
            link.extend(form_urlencoded::byte_serialize(term.as_bytes()));
        }
        link
    }
}
