//! What a person does in the vendor's console, ordered through the control API.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::*;
use iam_simulator::types::{Flavor, Human};
use serde_json::{Value, json};

/// A simulator with an app in each API that was last touched a minute ago.
async fn with_apps() -> TestEnv {
    let env = TestEnv::new().await;
    for flavor in Flavor::ALL {
        env.create(flavor, "an-app").await;
    }
    env.control.advance_clock(Duration::from_secs(60)).await.unwrap();
    env
}

impl TestEnv {
    async fn shown(&self, flavor: Flavor) -> Reply {
        self.org_call(flavor, "GET", "oauth-apps/an-app", Value::Null).await
    }

    async fn last_updated_at(&self, flavor: Flavor) -> u64 {
        self.shown(flavor).await.ok(200)["lastUpdatedAt"].as_u64().unwrap()
    }

    async fn regenerate(&self, flavor: Flavor) -> String {
        let made = self.control.human(Human::Regenerate { flavor, id: "an-app".into() }).await.unwrap();
        made["clientSecret"].as_str().unwrap().to_string()
    }
}

#[tokio::test]
async fn a_regenerated_secret_replaces_the_old_one_at_once() {
    let env = with_apps().await;
    for flavor in Flavor::ALL {
        let secret = env.regenerate(flavor).await;
        assert!(!env.works(flavor, "an-app", SECRET).await);
        assert!(env.works(flavor, "an-app", &secret).await);
    }
}

#[tokio::test]
async fn a_regeneration_ends_both_secrets_of_a_rotation() {
    let env = with_apps().await;
    for flavor in Flavor::ALL {
        env.rotate(flavor, "an-app", "N3w-secret!", 600).await.done();
        env.regenerate(flavor).await;
        assert!(!env.works(flavor, "an-app", SECRET).await);
        assert!(!env.works(flavor, "an-app", "N3w-secret!").await);
    }
}

#[tokio::test]
async fn a_regeneration_moves_last_updated_at() {
    let env = with_apps().await;
    for flavor in [CSP, CPN] {
        let before = env.last_updated_at(flavor).await;
        env.regenerate(flavor).await;
        assert!(env.last_updated_at(flavor).await >= before + 60_000);
    }
}

#[tokio::test]
async fn a_deleted_app_is_gone_with_its_secret() {
    let env = with_apps().await;
    for flavor in Flavor::ALL {
        env.control.human(Human::Delete { flavor, id: "an-app".into() }).await.unwrap();
        env.shown(flavor).await.ok(404);
        assert!(!env.works(flavor, "an-app", SECRET).await);
    }
}

#[tokio::test]
async fn a_changed_field_shows_and_moves_last_updated_at() {
    let env = with_apps().await;
    for flavor in [CSP, CPN] {
        let before = env.last_updated_at(flavor).await;
        let fields = json!({"displayName": "Renamed", "accessTokenTTL": 77}).as_object().unwrap().clone();
        env.control.human(Human::Edit { flavor, id: "an-app".into(), fields }).await.unwrap();
        let shown = env.shown(flavor).await.ok(200);
        assert_eq!((&shown["displayName"], &shown["accessTokenTTL"]), (&json!("Renamed"), &json!(77)));
        assert!(env.last_updated_at(flavor).await >= before + 60_000);
    }
}

#[tokio::test]
async fn an_act_on_an_app_that_does_not_exist_is_an_error_of_the_control_api() {
    let env = TestEnv::new().await;
    for flavor in Flavor::ALL {
        assert!(env.control.human(Human::Regenerate { flavor, id: "nobody".into() }).await.is_err());
    }
}
