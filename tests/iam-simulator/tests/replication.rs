//! Reads, lists and the token endpoint hear of a write only after their lag; the clock is put forward, not waited for.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::*;
use iam_simulator::types::{CpnOffers, Flavor, Human, Replication, Settings};
use serde_json::{Value, json};

const NEW: &str = "N3w-secret!";
const MINUTE: u64 = 60_000;

fn lists_offered(settings: &mut Settings) {
    settings.cpn_offers = CpnOffers { list: true, delete: true, end_overlap: true };
    settings.broker.full_summaries = true;
}

/// A simulator with an app in each API, and then that lag.
async fn lagging(replication: Replication) -> TestEnv {
    let env = TestEnv::new().await;
    env.set(lists_offered).await;
    for flavor in Flavor::ALL {
        env.create(flavor, "an-app").await;
    }
    env.set(|s| s.replication = replication).await;
    env
}

fn reads() -> Replication {
    Replication { reads_ms: MINUTE, ..Replication::default() }
}

fn lists() -> Replication {
    Replication { lists_ms: MINUTE, ..Replication::default() }
}

fn tokens() -> Replication {
    Replication { tokens_ms: MINUTE, ..Replication::default() }
}

impl TestEnv {
    async fn a_minute_later(&self) {
        self.control.advance_clock(Duration::from_millis(MINUTE)).await.unwrap();
    }

    async fn read(&self, flavor: Flavor) -> Reply {
        self.org_call(flavor, "GET", "oauth-apps/an-app", Value::Null).await
    }

    async fn listed(&self, flavor: Flavor) -> Vec<Value> {
        let page = self.org_call(flavor, "GET", "oauth-apps", Value::Null).await.ok(200);
        let entries = if flavor == BROKER { "items" } else { "results" };
        page[entries].as_array().unwrap().clone()
    }

    async fn describe(&self, flavor: Flavor, description: &str) -> Value {
        let mut body = json!({ "description": description });
        if flavor == CSP {
            body = with(&body, "displayName", json!("App"), "grantTypes", json!(["client_credentials"]));
        }
        self.org_call(flavor, "PATCH", "oauth-apps/an-app", body).await.ok(200)
    }

    async fn listed_ids(&self, flavor: Flavor) -> Vec<Value> {
        let id = if flavor == BROKER { "client_id" } else { "id" };
        self.listed(flavor).await.iter().map(|app| app[id].clone()).collect()
    }

    /// Whether the first and the new secret of the app are accepted.
    async fn secrets(&self, flavor: Flavor) -> [bool; 2] {
        [self.works(flavor, "an-app", SECRET).await, self.works(flavor, "an-app", NEW).await]
    }
}

#[tokio::test]
async fn without_a_lag_every_write_shows_at_once() {
    let env = lagging(Replication::default()).await;
    for flavor in Flavor::ALL {
        env.describe(flavor, "new").await;
        assert_eq!(env.read(flavor).await.ok(200)["description"], "new");
        assert_eq!(env.listed(flavor).await[0]["description"], "new");
    }
}

#[tokio::test]
async fn a_read_misses_a_new_app_until_its_lag_is_over() {
    let env = TestEnv::new().await;
    env.set(|s| s.replication = reads()).await;
    for flavor in Flavor::ALL {
        env.create(flavor, "an-app").await;
        env.read(flavor).await.ok(404);
    }
    env.a_minute_later().await;
    for flavor in Flavor::ALL {
        env.read(flavor).await.ok(200);
    }
}

#[tokio::test]
async fn a_read_shows_the_fields_of_before_until_its_lag_is_over() {
    let env = lagging(reads()).await;
    for flavor in Flavor::ALL {
        let before = env.read(flavor).await.ok(200);
        env.describe(flavor, "new").await;
        assert_eq!(env.read(flavor).await.ok(200), before);
    }
    env.a_minute_later().await;
    for flavor in Flavor::ALL {
        assert_eq!(env.read(flavor).await.ok(200)["description"], "new");
    }
}

#[tokio::test]
async fn each_write_shows_after_its_own_lag() {
    let env = lagging(reads()).await;
    env.describe(CSP, "first").await;
    env.control.advance_clock(Duration::from_millis(MINUTE / 2)).await.unwrap();
    env.describe(CSP, "second").await;
    env.control.advance_clock(Duration::from_millis(MINUTE / 2)).await.unwrap();
    assert_eq!(env.read(CSP).await.ok(200)["description"], "first");
    env.control.advance_clock(Duration::from_millis(MINUTE / 2)).await.unwrap();
    assert_eq!(env.read(CSP).await.ok(200)["description"], "second");
}

#[tokio::test]
async fn a_read_shows_a_deleted_app_until_its_lag_is_over() {
    let env = lagging(reads()).await;
    for flavor in Flavor::ALL {
        env.delete(flavor, "an-app").await.done();
        env.read(flavor).await.ok(200);
    }
    env.a_minute_later().await;
    for flavor in Flavor::ALL {
        env.read(flavor).await.ok(404);
    }
}

#[tokio::test]
async fn the_answer_to_an_update_shows_the_update() {
    let env = lagging(reads()).await;
    for flavor in Flavor::ALL {
        assert_eq!(env.describe(flavor, "new").await["description"], "new");
    }
}

#[tokio::test]
async fn a_create_finds_an_id_that_reads_do_not_show_yet() {
    let env = TestEnv::new().await;
    env.set(|s| s.replication = reads()).await;
    env.create(CPN, "an-app").await;
    env.read(CPN).await.ok(404);
    env.cpn("POST", "oauth-apps", json!({"id": "an-app"})).await.ok(409);
}

#[tokio::test]
async fn a_list_shows_what_was_there_before_until_its_lag_is_over() {
    let env = lagging(lists()).await;
    for flavor in Flavor::ALL {
        env.create(flavor, "later").await;
        env.delete(flavor, "an-app").await.done();
        assert_eq!(env.listed_ids(flavor).await, ["an-app"]);
        env.read(flavor).await.ok(404);
    }
    env.a_minute_later().await;
    for flavor in Flavor::ALL {
        assert_eq!(env.listed_ids(flavor).await, ["later"]);
    }
}

#[tokio::test]
async fn the_search_lags_with_the_lists() {
    let env = lagging(lists()).await;
    env.create(CSP, "later").await;
    let found = async || env.csp("POST", "oauth-apps/search", json!({})).await.ok(200)["totalResults"].clone();
    assert_eq!(found().await, 1);
    env.a_minute_later().await;
    assert_eq!(found().await, 2);
}

#[tokio::test]
async fn members_lag_with_reads_and_lists() {
    let env = lagging(Replication { reads_ms: MINUTE, lists_ms: 2 * MINUTE, tokens_ms: 0 }).await;
    env.csp("POST", "clients", json!({"ids": ["an-app"]})).await.ok(200);
    env.cpn("POST", "clients", json!({"ids": ["an-app"]})).await.ok(200);
    let members = async || env.csp("GET", "clients", Value::Null).await.ok(200)["totalResults"].clone();
    let member = async || env.cpn("GET", "clients/an-app", Value::Null).await.status;
    assert_eq!((members().await, member().await), (json!(0), 404));
    env.a_minute_later().await;
    assert_eq!((members().await, member().await), (json!(0), 200));
    env.a_minute_later().await;
    assert_eq!((members().await, member().await), (json!(1), 200));
}

#[tokio::test]
async fn the_token_endpoint_learns_of_a_new_app_after_its_lag() {
    let env = TestEnv::new().await;
    env.set(|s| s.replication = tokens()).await;
    for flavor in Flavor::ALL {
        env.create(flavor, "an-app").await;
        env.read(flavor).await.ok(200);
        assert!(!env.works(flavor, "an-app", SECRET).await);
    }
    env.a_minute_later().await;
    for flavor in Flavor::ALL {
        assert!(env.works(flavor, "an-app", SECRET).await);
    }
}

#[tokio::test]
async fn the_token_endpoint_learns_of_a_rotation_after_its_lag() {
    let env = lagging(tokens()).await;
    for flavor in Flavor::ALL {
        env.rotate(flavor, "an-app", NEW, 3600).await.done();
        assert_eq!(env.secrets(flavor).await, [true, false]);
    }
    env.a_minute_later().await;
    for flavor in Flavor::ALL {
        assert_eq!(env.secrets(flavor).await, [true, true]);
    }
}

#[tokio::test]
async fn an_expired_secret_is_accepted_until_the_lag_is_over() {
    let env = lagging(tokens()).await;
    for flavor in Flavor::ALL {
        env.rotate(flavor, "an-app", NEW, 60).await.done();
    }
    env.a_minute_later().await;
    for flavor in Flavor::ALL {
        let app = env.control.app(flavor, "an-app").await.unwrap().unwrap();
        assert_eq!(app.previous_secret_sha256, None, "the overlap is over");
        assert_eq!(env.secrets(flavor).await, [true, true]);
    }
    env.a_minute_later().await;
    for flavor in Flavor::ALL {
        assert_eq!(env.secrets(flavor).await, [false, true]);
    }
}

#[tokio::test]
async fn a_removed_secret_is_accepted_until_the_lag_is_over() {
    let env = lagging(Replication::default()).await;
    for flavor in Flavor::ALL {
        env.rotate(flavor, "an-app", NEW, 3600).await.done();
    }
    env.set(|s| s.replication = tokens()).await;
    for flavor in Flavor::ALL {
        env.end_overlap(flavor, "an-app").await.done();
        assert_eq!(env.secrets(flavor).await, [true, true]);
    }
    env.a_minute_later().await;
    for flavor in Flavor::ALL {
        assert_eq!(env.secrets(flavor).await, [false, true]);
    }
}

#[tokio::test]
async fn the_secret_of_a_deleted_app_is_accepted_until_the_lag_is_over() {
    let env = lagging(tokens()).await;
    for flavor in Flavor::ALL {
        env.delete(flavor, "an-app").await.done();
        env.read(flavor).await.ok(404);
        assert!(env.works(flavor, "an-app", SECRET).await);
    }
    env.a_minute_later().await;
    for flavor in Flavor::ALL {
        assert!(!env.works(flavor, "an-app", SECRET).await);
    }
}

#[tokio::test]
async fn a_deletion_that_runs_on_lags_from_its_end() {
    let env = lagging(reads()).await;
    env.set(|s| s.deletion_runs_ms = MINUTE).await;
    env.delete(CSP, "an-app").await.done();
    env.control.advance_clock(Duration::from_millis(2 * MINUTE - 5000)).await.unwrap();
    env.read(CSP).await.ok(200);
    env.control.advance_clock(Duration::from_millis(5000)).await.unwrap();
    env.read(CSP).await.ok(404);
}

#[tokio::test]
async fn what_a_person_does_lags_too() {
    let env = lagging(reads()).await;
    for flavor in Flavor::ALL {
        env.control.human(Human::Delete { flavor, id: "an-app".into() }).await.unwrap();
        env.read(flavor).await.ok(200);
    }
    env.a_minute_later().await;
    for flavor in Flavor::ALL {
        env.read(flavor).await.ok(404);
    }
}

#[tokio::test]
async fn a_lag_that_is_taken_back_ends_at_once() {
    let env = lagging(reads()).await;
    env.describe(CSP, "new").await;
    env.set(|s| s.replication = Replication::default()).await;
    assert_eq!(env.read(CSP).await.ok(200)["description"], "new");
}

#[tokio::test]
async fn a_rotation_by_the_app_itself_knows_what_the_token_endpoint_knows() {
    let env = lagging(tokens()).await;
    env.rotate(CPN, "an-app", NEW, 3600).await.done();
    let rotate_itself = async |secret: &str| {
        let body = json!({"newClientSecret": "Th1rd-one!", "secretExpirationTimeInSeconds": 60});
        let request = env.http.post(env.url(CPN, "v2/clients/an-app/secret"));
        request.basic_auth("an-app", Some(secret)).json(&body).send().await.unwrap().status().as_u16()
    };
    assert_eq!(rotate_itself(NEW).await, 401);
    env.a_minute_later().await;
    assert_eq!(rotate_itself(NEW).await, 200);
}
