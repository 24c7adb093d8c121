//! What only the VCF Identity Broker has: a list of summaries, rotations in minutes, two actions for them, and no roles.

use crate::env::{ALL, BROKER, OWN_SECRET, TestEnv, app, id, map, org};
use iam_simulator::types::{Action, Fault as Order, Operation};
use oauth_app_operator::iam::{self, ClientSecret, HeldRoles, Iam, Lookup, Update, Verification};
use serde_json::json;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn secret(value: &str) -> ClientSecret {
    ClientSecret::new(value.into())
}

fn change(fields: serde_json::Value) -> Update {
    Update { context: None, fields: map(fields), secret: None }
}

#[tokio::test]
async fn an_unchanged_app_is_read_once_and_then_found_in_the_list() {
    let env = TestEnv::new().await;
    env.control.set(|s| s.broker.full_summaries = true).await.unwrap();
    let iam = env.iam_managing(BROKER, &[id("billing-export")]);
    let created = iam.create(&org(), &app(BROKER, "billing-export")).await.unwrap();
    assert_eq!(created.client_secret, Some(secret(OWN_SECRET)));
    env.control.clear_calls().await.unwrap();
    for round in 0..3 {
        let found = iam.find(&org(), &id("billing-export"), Duration::ZERO).await.unwrap();
        let shown = match found {
            Lookup::Read(Some(shown)) if round == 0 => shown,
            Lookup::Listed(shown) if round > 0 => shown,
            other => panic!("{round}: {other:?}"),
        };
        assert_eq!(shown.fields["grantTypes"], json!(["client_credentials"]), "whole, in either case");
    }
    assert_eq!((env.count(Operation::ListApps).await, env.count(Operation::GetApp).await), (3, 1));
}

#[tokio::test]
async fn an_app_is_read_each_time_where_the_list_does_not_show_when_it_was_changed() {
    let env = TestEnv::new().await;
    let iam = env.iam_managing(BROKER, &[id("billing-export")]);
    iam.create(&org(), &app(BROKER, "billing-export")).await.unwrap();
    env.control.clear_calls().await.unwrap();
    for _ in 0..3 {
        let found = iam.find(&org(), &id("billing-export"), MINUTE).await.unwrap();
        assert!(matches!(found, Lookup::Read(Some(_))), "{found:?}");
    }
    assert_eq!((env.count(Operation::ListApps).await, env.count(Operation::GetApp).await), (1, 3));
}

#[tokio::test]
async fn an_app_that_was_changed_is_read_again() {
    let env = TestEnv::new().await;
    env.control.set(|s| s.broker.full_summaries = true).await.unwrap();
    let (iam, other) = (env.iam_managing(BROKER, &[id("billing-export")]), env.iam(BROKER));
    iam.create(&org(), &app(BROKER, "billing-export")).await.unwrap();
    iam.find(&org(), &id("billing-export"), Duration::ZERO).await.unwrap();
    other.update(&org(), &id("billing-export"), &change(json!({"accessTokenTTL": 1800}))).await.unwrap();
    let Lookup::Read(Some(shown)) = iam.find(&org(), &id("billing-export"), Duration::ZERO).await.unwrap() else {
        panic!("not read");
    };
    assert_eq!(shown.fields["accessTokenTTL"], 1800);
}

#[tokio::test]
async fn a_running_rotation_is_a_conflict_and_a_bad_one_a_rejection() {
    let env = TestEnv::new().await;
    let iam = env.iam(BROKER);
    iam.create(&org(), &app(BROKER, "billing-export")).await.unwrap();
    let rotate = async |value: &str| iam.rotate_secret(&org(), &id("billing-export"), &secret(value), MINUTE).await;
    env.control.fault(Order::once(Action::refused(400)).on(Operation::RotateSecret)).await.unwrap();
    let bad = rotate("Rotated_secret_1").await;
    assert!(matches!(bad, Err(iam::Error::Rejected(_))), "{bad:?}");
    assert_eq!(rotate("Rotated_secret_1").await, Ok(()));
    let running = rotate("Rotated_secret_2").await;
    assert!(matches!(running, Err(iam::Error::Conflict(_))), "{running:?}");
}

#[tokio::test]
async fn a_rotation_that_is_ended_leaves_the_newer_secret() {
    let env = TestEnv::new().await;
    let iam = env.iam(BROKER);
    iam.create(&org(), &app(BROKER, "billing-export")).await.unwrap();
    let next = secret("Rotated_secret_1");
    iam.rotate_secret(&org(), &id("billing-export"), &next, MINUTE).await.unwrap();
    for _ in 0..2 {
        assert_eq!(iam.end_rotation(&org(), &id("billing-export")).await, Ok(()), "also when none is in progress");
    }
    let prove = async |value: &ClientSecret| iam.verify_secret(&org(), &id("billing-export"), value).await.unwrap();
    assert_eq!(prove(&next).await, Verification::Accepted);
    assert!(matches!(prove(&secret(OWN_SECRET)).await, Verification::Refused(_)));
}

#[tokio::test]
async fn a_secret_is_replaced_while_a_rotation_is_in_progress() {
    let env = TestEnv::new().await;
    let iam = env.iam(BROKER);
    iam.create(&org(), &app(BROKER, "billing-export")).await.unwrap();
    let (next, replaced) = (secret("Rotated_secret_1"), secret("Replaced_secret_1"));
    iam.rotate_secret(&org(), &id("billing-export"), &next, MINUTE).await.unwrap();
    let update = Update { context: None, fields: map(json!({})), secret: Some(replaced.clone()) };
    iam.update(&org(), &id("billing-export"), &update).await.unwrap();
    let prove = async |value: &ClientSecret| iam.verify_secret(&org(), &id("billing-export"), value).await.unwrap();
    assert_eq!(prove(&replaced).await, Verification::Accepted);
    for before in [secret(OWN_SECRET), next] {
        assert!(matches!(prove(&before).await, Verification::Refused(_)));
    }
}

#[tokio::test]
async fn an_app_belongs_to_its_tenant_without_roles() {
    let env = TestEnv::new().await;
    let iam = env.iam(BROKER);
    iam.create(&org(), &app(BROKER, "billing-export")).await.unwrap();
    env.control.clear_calls().await.unwrap();
    assert_eq!(iam.roles(&org(), &id("billing-export"), MINUTE).await, Ok(Some(HeldRoles::default())));
    assert_eq!(env.control.stats().await.unwrap().calls, 0);
}

#[tokio::test]
async fn a_403_names_what_the_client_of_the_connection_needs() {
    let env = TestEnv::new().await;
    env.control.seed_perms(BROKER, "operator", &[]).await.unwrap();
    let fault = env.iam(BROKER).read(&org(), &id("absent-app")).await.unwrap_err();
    assert!(matches!(&fault, iam::Error::Forbidden(said) if said.contains("needs a rule set")), "{fault}");
}

#[tokio::test]
async fn no_api_reads_a_rotation_where_it_answers_plainly() {
    let env = TestEnv::new().await;
    for flavor in ALL.into_iter().filter(|flavor| *flavor != BROKER) {
        let iam = env.iam(flavor);
        iam.create(&org(), &app(flavor, "billing-export")).await.unwrap();
        env.control.fault(Order::once(Action::refused(400)).on(Operation::RotateSecret)).await.unwrap();
        env.control.clear_calls().await.unwrap();
        let bad = iam.rotate_secret(&org(), &id("billing-export"), &secret("Rotated_secret_1"), MINUTE).await;
        assert!(matches!(bad, Err(iam::Error::Rejected(_))), "{bad:?}");
        assert_eq!(env.count(Operation::GetApp).await, 0, "{flavor:?}");
    }
}
