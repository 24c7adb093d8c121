//! A second rotation while the overlap of one still runs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::*;
use iam_simulator::sha256_hex;
use iam_simulator::types::Flavor;

const SECOND: &str = "S3cond-one!";
const THIRD: &str = "Th1rd-one!";

/// A simulator with an app in each API whose first rotation runs.
async fn rotating(conflict: bool) -> TestEnv {
    let env = TestEnv::new().await;
    env.set(|s| {
        s.rotation_conflict = conflict;
        s.cpn_rotation_conflict = conflict;
    })
    .await;
    for flavor in Flavor::ALL {
        env.create(flavor, "an-app").await;
        env.rotate(flavor, "an-app", SECOND, 600).await.done();
    }
    env
}

async fn valid(env: &TestEnv, flavor: Flavor) -> [bool; 3] {
    let mut valid = [false; 3];
    for (at, secret) in [SECRET, SECOND, THIRD].into_iter().enumerate() {
        valid[at] = env.works(flavor, "an-app", secret).await;
    }
    valid
}

#[tokio::test]
async fn a_second_rotation_is_refused() {
    let env = rotating(true).await;
    for (flavor, status) in [(CSP, 409), (CPN, 409), (BROKER, 400)] {
        env.rotate(flavor, "an-app", THIRD, 600).await.ok(status);
        assert_eq!(valid(&env, flavor).await, [true, true, false]);
    }
}

#[tokio::test]
async fn the_overlap_is_over_before_a_rotation_that_is_accepted_again() {
    let env = rotating(true).await;
    env.control.advance_clock(Duration::from_secs(600)).await.unwrap();
    for flavor in Flavor::ALL {
        assert_eq!(valid(&env, flavor).await, [false, true, false]);
        env.rotate(flavor, "an-app", THIRD, 600).await.done();
        assert_eq!(valid(&env, flavor).await, [false, true, true]);
    }
}

#[tokio::test]
async fn a_second_rotation_that_is_accepted_ends_the_previous_secret() {
    let env = rotating(false).await;
    for flavor in [CSP, CPN] {
        env.rotate(flavor, "an-app", THIRD, 600).await.ok(200);
        assert_eq!(valid(&env, flavor).await, [false, true, true]);
        let app = env.control.app(flavor, "an-app").await.unwrap().unwrap();
        assert_eq!(app.previous_secret_sha256, Some(sha256_hex(SECOND)));
    }
}
