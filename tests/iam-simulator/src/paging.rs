//! Lists in pages. In CSP and CPN links are relative and repeat start and limit `[csp-paged]`; apps are counted from 0
//! and clients from 1, and how a list ends is a setting. Identity Broker numbers its pages `[vib-list]`.

use serde_json::{Value, json};

use crate::call::{Answer, Call, Refusal};
use crate::types::{LastPage, Settings};

/// The part of a list that is asked for.
pub(crate) struct Window {
    /// The number of the list's first entry.
    first: usize,
    start: usize,
    limit: usize,
}

impl Window {
    /// A 0-based offset; a limit that is too large is cut `[csp-list]`, `[py-page]`.
    pub(crate) fn of_apps(settings: &Settings, call: &Call) -> Result<Self, Refusal> {
        let start = call.query_number("pageStart")?.unwrap_or(0);
        let limit = call.query_number("pageLimit")?.unwrap_or(settings.default_page_limit);
        if limit == 0 {
            return Err(Refusal::bad("pageLimit must be at least 1"));
        }
        Ok(Self { first: 0, start, limit: limit.min(settings.max_page_limit) })
    }

    /// From 1, with a limit of 1 to 200 that is 200 by default `[csp-clients]`.
    pub(crate) fn of_clients(settings: &Settings, call: &Call) -> Result<Self, Refusal> {
        let start = call.query_number("pageStart")?.unwrap_or(1);
        let limit = call.query_number("pageLimit")?.unwrap_or(200);
        if start < 1 || !(1..=200).contains(&limit) {
            return Err(Refusal::bad("pageStart must be at least 1 and pageLimit 1 to 200"));
        }
        Ok(Self { first: 1, start, limit: limit.min(settings.max_page_limit) })
    }

    /// The page of `all`.
    pub(crate) fn page<T>(&self, settings: &Settings, call: &Call, all: &[T], render: impl Fn(&T) -> Value) -> Answer {
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

/// A page of a list that has no end, around values that are JSON already.
pub(crate) fn endless(call: &Call, noise: &str) -> (Answer, String) {
    let start: u64 = call.query("pageStart").and_then(|start| start.parse().ok()).unwrap_or_default();
    let next = start + 1;
    let page = format!(
        r#"{{"results":[{{"id":"of-nobody-{start}","noise":{noise}}}],"nextLink":"{}?pageStart={next}"}}"#,
        call.path
    );
    (Answer::ok(Value::Null), page)
}

/// The numbered page that is asked for.
pub(crate) struct NumberedPage {
    number: usize,
    size: usize,
}

impl NumberedPage {
    /// From 1, with 20 entries by default; the largest size is undocumented.
    pub(crate) fn of(settings: &Settings, call: &Call) -> Result<Self, Refusal> {
        let number = call.query_number("start_index")?.unwrap_or(1);
        let size = call.query_number("page_size")?.unwrap_or(20);
        if number < 1 || !(1..=settings.max_page_limit).contains(&size) {
            return Err(invalid_page());
        }
        Ok(Self { number, size })
    }

    /// `BrokerOAuth2ClientList` of that page of `all`.
    pub(crate) fn page<T>(
        &self,
        settings: &Settings,
        all: &[T],
        render: impl Fn(&T) -> Value,
    ) -> Result<Value, Refusal> {
        let Self { number, size } = *self;
        let pages = all.len().div_ceil(size);
        if number > pages.max(1) && !settings.broker.empty_page_after_last {
            return Err(invalid_page());
        }
        let items: Vec<Value> = all.iter().skip((number - 1).saturating_mul(size)).take(size).map(render).collect();
        Ok(json!({
            "items": items, "totalCount": all.len(), "pageNumber": number, "totalPages": pages, "pageSize": size,
        }))
    }
}

fn invalid_page() -> Refusal {
    Refusal::bad("invalid starting index or page size")
}
