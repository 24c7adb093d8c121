//! How a list ends: without a link, with an empty page, or with links that go on growing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::*;
use iam_simulator::types::{CpnOffers, Flavor, LastPage};
use serde_json::{Value, json};

const LISTS: [(Flavor, &str); 3] = [(CSP, "oauth-apps"), (CPN, "oauth-apps"), (CSP, "clients")];

/// A simulator with four apps and clients in each API, and lists that end so.
async fn ending(last_page: LastPage) -> TestEnv {
    let env = TestEnv::new().await;
    env.set(|s| {
        s.last_page = last_page;
        s.cpn_offers = CpnOffers { list: true, ..CpnOffers::default() };
    })
    .await;
    for flavor in [CSP, CPN] {
        let ids: Vec<String> = (1..=4).map(|n| format!("app-{n}")).collect();
        for id in &ids {
            env.create(flavor, id).await;
        }
        env.org_call(flavor, "POST", "clients", json!({ "ids": ids })).await.ok(200);
    }
    env
}

/// The number of entries of each page and whether it has a link, for at most `most` pages.
async fn pages(env: &TestEnv, flavor: Flavor, list: &str, most: usize) -> Vec<(usize, bool)> {
    let base = env.url(flavor, "");
    let mut next = Some(env.url(flavor, &in_org(flavor, ORG, &format!("{list}?pageLimit=2"))));
    let mut seen = Vec::new();
    while let Some(url) = next.filter(|_| seen.len() < most) {
        let page = env.call(flavor, "GET", url.strip_prefix(&base).unwrap(), Value::Null).await.ok(200);
        assert_eq!(page["totalResults"], 4, "the number of all entries, on every page");
        next = page["nextLink"].as_str().map(|link| format!("{}{link}", env.simulator.url()));
        seen.push((page["results"].as_array().unwrap().len(), next.is_some()));
    }
    seen
}

#[tokio::test]
async fn the_page_with_the_last_entry_has_no_link() {
    let env = ending(LastPage::NoLink).await;
    for (flavor, list) in LISTS {
        assert_eq!(pages(&env, flavor, list, 9).await, [(2, true), (2, false)], "{flavor:?} {list}");
    }
}

#[tokio::test]
async fn the_last_page_can_be_empty() {
    let env = ending(LastPage::Empty).await;
    for (flavor, list) in LISTS {
        assert_eq!(pages(&env, flavor, list, 9).await, [(2, true), (2, true), (0, false)], "{flavor:?} {list}");
    }
}

#[tokio::test]
async fn the_link_can_go_on_growing_past_the_empty_page() {
    let env = ending(LastPage::Growing).await;
    for (flavor, list) in LISTS {
        let seen = pages(&env, flavor, list, 4).await;
        assert_eq!(seen, [(2, true), (2, true), (0, true), (0, true)], "{flavor:?} {list}");
    }
}

#[tokio::test]
async fn an_empty_list_ends_on_its_first_page() {
    for (last_page, link) in [(LastPage::NoLink, false), (LastPage::Empty, false), (LastPage::Growing, true)] {
        let env = TestEnv::new().await;
        env.set(|s| s.last_page = last_page).await;
        let page = env.csp("GET", "oauth-apps", Value::Null).await.ok(200);
        assert_eq!((&page["totalResults"], page["nextLink"].is_string()), (&json!(0), link));
    }
}

#[tokio::test]
async fn a_page_can_leave_out_how_many_entries_there_are() {
    let env = ending(LastPage::NoLink).await;
    env.set(|s| s.shows_total = false).await;
    for (flavor, list) in LISTS {
        let page = env.org_call(flavor, "GET", &format!("{list}?pageLimit=2"), Value::Null).await.ok(200);
        assert_eq!((page["results"].as_array().unwrap().len(), page.get("totalResults")), (2, None));
    }
}
