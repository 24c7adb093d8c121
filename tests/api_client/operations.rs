//! Every operation in each API, as the simulator's own reading of the documentation allows it.
//! The simulator refuses whatever is not documented, so a success proves the request's form.

use crate::env::{ALL, BROKER, CPN, CSP, TestEnv, app, id, least, map, org};
use iam_simulator::sha256_hex;
use iam_simulator::types::{Action, FailedForm, Fault as Ordered, Flavor, MissingOnDelete, Operation};
use oauth_app_operator::crd::Context;
use oauth_app_operator::iam::{self, ClientSecret, Deletion, Iam, Lookup, OrgId, Update, Verification};
use serde_json::json;
use std::time::Duration;

/// A secret that replaces the present one at once.
fn replacement(flavor: Flavor, secret: &str) -> Update {
    Update { context: None, fields: least(flavor), secret: Some(ClientSecret::new(secret.into())) }
}

#[tokio::test]
async fn an_app_lives_and_its_credentials_work() {
    let env = TestEnv::new().await;
    for flavor in ALL {
        let iam = env.iam(flavor);
        let created = iam.create(&org(), &app(flavor, "billing-export")).await.unwrap();
        assert_eq!(created.client_id, id("billing-export"));
        let secret = created.client_secret.unwrap();
        let works = async |secret: &str| env.control.token(flavor, "org-1", "billing-export", secret).await.is_ok();
        assert!(works(secret.expose()).await, "{flavor:?}");

        let shown = iam.read(&org(), &id("billing-export")).await.unwrap().unwrap();
        let stored = env.control.app(flavor, "billing-export").await.unwrap().unwrap();
        // The broker shows whole seconds.
        let seconds = i64::try_from(stored.created_at / 1000).unwrap();
        assert_eq!(shown.created_at.unwrap().as_second(), seconds, "{flavor:?}");
        assert_eq!(shown.fields["id"], "billing-export");

        let new = ClientSecret::new("Replaced_secret_1".into());
        let update = replacement(flavor, "Replaced_secret_1");
        iam.update(&org(), &id("billing-export"), &update).await.unwrap();
        assert!(works(new.expose()).await && !works(secret.expose()).await, "{flavor:?}");
        let stored = env.control.app(flavor, "billing-export").await.unwrap().unwrap();
        assert_eq!(stored.secret_sha256, sha256_hex(new.expose()));
    }
}

#[tokio::test]
async fn absent_apps_are_not_found() {
    let env = TestEnv::new().await;
    for flavor in ALL {
        let iam = env.iam(flavor);
        assert_eq!(iam.read(&org(), &id("absent-app")).await, Ok(None), "{flavor:?}");
        let fault = iam.update(&org(), &id("absent-app"), &replacement(flavor, "Replaced_secret_1")).await.unwrap_err();
        // There a rotation in progress is ended first.
        let said_first = if flavor == BROKER { "end rotation: 404" } else { "update app: 404: " };
        assert!(matches!(&fault, iam::Error::NotFound(said) if said.starts_with(said_first)), "{fault}");
    }
}

#[tokio::test]
async fn an_unknown_organization_is_refused() {
    let env = TestEnv::new().await;
    // So that a token is given, and the organization is found out to be unknown by the call.
    env.control.set(|s| s.org_scoped_tokens = false).await.unwrap();
    let create = async |flavor| {
        let iam = env.iam(flavor);
        iam.create(&OrgId("org-9".into()), &app(flavor, "billing-export")).await.unwrap_err()
    };
    let (csp, cpn) = (create(CSP).await, create(CPN).await);
    assert!(matches!(csp, iam::Error::NotFound(_)), "{csp}");
    assert!(matches!(cpn, iam::Error::Forbidden(_)), "{cpn}");
}

#[tokio::test]
async fn an_existing_id_is_a_conflict_and_a_bad_field_a_rejection() {
    let env = TestEnv::new().await;
    for flavor in ALL {
        let iam = env.iam(flavor);
        iam.create(&org(), &app(flavor, "billing-export")).await.unwrap();
        let fault = iam.create(&org(), &app(flavor, "billing-export")).await.unwrap_err();
        assert!(matches!(&fault, iam::Error::Conflict(said) if said.starts_with("create app: 409: ")), "{fault}");
        let mut bad = app(flavor, "billing-import");
        bad.fields.insert("accessTokenTTL".into(), json!("long"));
        let fault = iam.create(&org(), &bad).await.unwrap_err();
        assert!(matches!(&fault, iam::Error::Rejected(said) if said.starts_with("create app: 400: ")), "{fault}");
    }
}

#[tokio::test]
async fn a_public_client_has_no_secret() {
    let env = TestEnv::new().await;
    let mut public = app(CSP, "public-app");
    public.fields.extend(map(json!({
        "publicClient": true, "grantTypes": ["authorization_code"], "redirectUris": ["https://app.example.com"],
    })));
    let created = env.iam(CSP).create(&org(), &public).await.unwrap();
    assert!(created.client_secret.is_none());
}

#[tokio::test]
async fn deletion_in_every_form() {
    let env = TestEnv::new().await;
    let iam = env.iam(CSP);
    for name in ["billing-export", "billing-import"] {
        iam.create(&org(), &app(CSP, name)).await.unwrap();
    }
    assert_eq!(iam.delete(&org(), &id("billing-export")).await, Ok(Deletion::Accepted));
    assert_eq!(iam.read(&org(), &id("billing-export")).await, Ok(None));
    assert_eq!(iam.delete(&org(), &id("billing-export")).await, Ok(Deletion::NotFound));
    for form in [FailedForm::Ids, FailedForm::Objects] {
        let missing = MissingOnDelete::Failed;
        env.control
            .set(|s| {
                s.missing_on_delete = missing;
                s.failed_form = form;
            })
            .await
            .unwrap();
        assert_eq!(iam.delete(&org(), &id("billing-export")).await, Ok(Deletion::Failed), "{form:?}");
    }
    env.control.set(|s| s.deletion_runs_ms = 60_000).await.unwrap();
    assert_eq!(iam.delete(&org(), &id("billing-import")).await, Ok(Deletion::Accepted));
    let fault = iam.create(&org(), &app(CSP, "billing-import")).await.unwrap_err();
    assert!(matches!(fault, iam::Error::Conflict(_)), "{fault}");
}

#[tokio::test]
async fn deletion_where_it_is_not_documented() {
    let env = TestEnv::new().await;
    let iam = env.iam(CPN);
    iam.create(&org(), &app(CPN, "billing-export")).await.unwrap();
    for status in [404, 405, 501] {
        env.control.set(|s| s.not_offered_status = status).await.unwrap();
        assert_eq!(iam.delete(&org(), &id("billing-export")).await, Ok(Deletion::NotOffered), "{status}");
    }
    env.control.set(|s| s.cpn_offers.delete = true).await.unwrap();
    assert_eq!(iam.delete(&org(), &id("billing-export")).await, Ok(Deletion::Accepted));
    assert_eq!(iam.read(&org(), &id("billing-export")).await, Ok(None));
}

#[tokio::test]
async fn what_the_documentation_asks_for_beside_the_body_is_there() {
    let env = TestEnv::new().await;
    for context in [Context::Operator, Context::Provider, Context::Tenant] {
        let name = format!("app-{context:?}");
        let new = oauth_app_operator::iam::NewApp { context: Some(context), ..app(CPN, &name) };
        env.iam(CPN).create(&org(), &new).await.unwrap();
    }
    let queries: Vec<String> = env.calls(Operation::CreateApp).await.into_iter().map(|call| call.query).collect();
    assert_eq!(queries, ["context=OPERATOR", "context=PROVIDER", "context=TENANT"]);
}

#[tokio::test]
async fn ids_are_escaped_in_paths() {
    let env = TestEnv::new().await;
    for flavor in ALL {
        let iam = env.iam(flavor);
        for name in ["a/secret", "../../orgs", "a?b=c#d", "50% ä"] {
            env.control.clear_calls().await.unwrap();
            assert_eq!(iam.read(&org(), &id(name)).await, Ok(None), "{name}");
            let call = env.calls(Operation::GetApp).await.pop().unwrap();
            assert_eq!((call.client_ids.as_slice(), call.query.as_str()), ([name.to_owned()].as_slice(), ""), "{name}");
        }
        for name in ["", ".", ".."] {
            let fault = iam.read(&org(), &id(name)).await;
            assert!(matches!(fault, Err(iam::Error::Rejected(_))), "{name}: {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_rotated_secret_is_valid_beside_the_one_before_it() {
    let env = TestEnv::new().await;
    for flavor in ALL {
        let iam = env.iam(flavor);
        let first = iam.create(&org(), &app(flavor, "billing-export")).await.unwrap().client_secret.unwrap();
        let (next, other) =
            (ClientSecret::new("Rotated_secret_1".into()), ClientSecret::new("Rotated_secret_2".into()));
        let prove =
            async |secret: &ClientSecret| iam.verify_secret(&org(), &id("billing-export"), secret).await.unwrap();
        assert!(matches!(prove(&next).await, Verification::Refused(_)), "{flavor:?}");
        for status in [400, 403, 404] {
            env.control.fault(Ordered::once(Action::refused(status)).on(Operation::Token)).await.unwrap();
            let answer = iam.verify_secret(&org(), &id("billing-export"), &next).await;
            assert!(matches!(answer, Ok(Verification::NotKnown(_))), "{answer:?}");
        }
        let hour = Duration::from_secs(3600);
        assert_eq!(iam.rotate_secret(&org(), &id("billing-export"), &next, hour).await, Ok(()), "{flavor:?}");
        assert_eq!(
            (prove(&next).await, prove(&first).await),
            (Verification::Accepted, Verification::Accepted),
            "{flavor:?}"
        );
        let again = iam.rotate_secret(&org(), &id("billing-export"), &other, hour).await;
        assert_eq!(matches!(again, Err(iam::Error::Conflict(_))), flavor != CPN, "{again:?}");
    }
}

#[tokio::test]
async fn an_overlap_is_sent_whole_or_not_at_all() {
    let env = TestEnv::new().await;
    for (flavor, field) in [(CSP, "secretRotationExpirationInSeconds"), (CPN, "secretExpirationTimeInSeconds")] {
        let iam = env.iam(flavor);
        let secret = ClientSecret::new("Rotated_secret_1".into());
        let longest = u64::try_from(i32::MAX).unwrap();
        let rotate = async |name: &str, overlap| iam.rotate_secret(&org(), &id(name), &secret, overlap).await;
        for (n, overlap, sent) in [
            (1, Duration::from_secs(longest), longest),
            (2, Duration::from_millis(1500), 2),
            (3, Duration::from_secs(48 * 3600), 48 * 3600),
        ] {
            let name = format!("billing-{n}");
            iam.create(&org(), &app(flavor, &name)).await.unwrap();
            assert_eq!(rotate(&name, overlap).await, Ok(()), "{flavor:?} {overlap:?}");
            assert_eq!(env.calls(Operation::RotateSecret).await.pop().unwrap().body[field], sent, "{flavor:?}");
        }
        env.control.clear_calls().await.unwrap();
        for overlap in [Duration::from_secs(longest + 1), Duration::from_secs(1 << 32), Duration::MAX] {
            let refused = rotate("billing-1", overlap).await;
            assert!(matches!(&refused, Err(iam::Error::Rejected(said)) if said.contains("2147483647")), "{refused:?}");
        }
        assert_eq!(env.count(Operation::RotateSecret).await, 0, "{flavor:?}");
    }
}

#[tokio::test]
async fn update_returns_the_app_where_the_response_has_it() {
    let env = TestEnv::new().await;
    for flavor in ALL {
        let iam = env.iam(flavor);
        iam.create(&org(), &app(flavor, "billing-export")).await.unwrap();
        let mut fields = least(flavor);
        fields.insert("displayName".into(), json!("Other"));
        let update = Update { context: None, fields, secret: None };
        let shown = iam.update(&org(), &id("billing-export"), &update).await.unwrap();
        assert_eq!(shown.unwrap().fields["displayName"], "Other", "{flavor:?}");
    }
}

#[tokio::test]
async fn apps_are_found_in_one_list_with_one_request_per_page() {
    let env = TestEnv::new().await;
    env.control.set(|s| s.max_page_limit = 10).await.unwrap();
    let names: Vec<_> = (0..25).map(|n| id(&format!("billing-{n}"))).collect();
    let iam = env.iam_managing(CSP, &names);
    for name in &names {
        iam.create(&org(), &app(CSP, &name.0)).await.unwrap();
    }
    let minute = Duration::from_secs(60);
    let of = org();
    let looks = names.iter().map(|name| iam.find(&of, name, minute));
    let found = futures::future::join_all(looks).await;
    assert!(found.iter().all(|look| matches!(look, Ok(Lookup::Listed(_)))), "{found:?}");
    assert_eq!(iam.find(&org(), &id("absent-app"), minute).await, Ok(Lookup::NotListed));
    assert_eq!(env.count(Operation::ListApps).await, 3);
    assert_eq!(env.count(Operation::GetApp).await, 0);
}

#[tokio::test]
async fn a_list_that_fails_half_way_decides_nothing() {
    let env = TestEnv::new().await;
    env.control.set(|s| s.max_page_limit = 1).await.unwrap();
    let iam = env.iam(CSP);
    for name in ["billing-1", "billing-2"] {
        iam.create(&org(), &app(CSP, name)).await.unwrap();
    }
    let second = Ordered::once(Action::Status { status: 500, message: String::new(), performed: false });
    env.control.fault(second.on(Operation::ListApps).skip(1)).await.unwrap();
    let fault = iam.find(&org(), &id("billing-1"), Duration::from_secs(60)).await;
    assert!(matches!(fault, Err(iam::Error::Unavailable(_))), "{fault:?}");
}

#[tokio::test]
async fn without_a_list_each_app_is_read_by_itself() {
    let env = TestEnv::new().await;
    for status in [404, 405, 501] {
        env.control.set(|s| s.not_offered_status = status).await.unwrap();
        let (iam, name) = (env.iam(CPN), format!("billing-{status}"));
        iam.create(&org(), &app(CPN, &name)).await.unwrap();
        env.control.clear_calls().await.unwrap();
        for _ in 0..2 {
            let look = iam.find(&org(), &id(&name), Duration::ZERO).await;
            assert!(matches!(look, Ok(Lookup::Read(Some(_)))), "{look:?}");
        }
        assert_eq!((env.count(Operation::ListApps).await, env.count(Operation::GetApp).await), (1, 2));
    }
    env.control.set(|s| s.cpn_offers.list = true).await.unwrap();
    let look = env.iam(CPN).find(&org(), &id("billing-404"), Duration::ZERO).await;
    assert!(matches!(look, Ok(Lookup::Listed(_))), "{look:?}");
}

#[tokio::test]
async fn concurrent_deletions_share_calls_and_isolate_failures() {
    let env = TestEnv::new().await;
    for missing in [MissingOnDelete::NotFound, MissingOnDelete::Failed] {
        env.control.set(|s| s.missing_on_delete = missing).await.unwrap();
        env.control.clear_calls().await.unwrap();
        let iam = env.iam(CSP);
        let names: Vec<_> = (0..40).map(|n| id(&format!("billing-{n}"))).collect();
        for name in names.iter().skip(1) {
            iam.create(&org(), &app(CSP, &name.0)).await.unwrap();
        }
        let of = org();
        let answers = futures::future::join_all(names.iter().map(|name| iam.delete(&of, name))).await;
        assert_eq!(answers.iter().filter(|answer| **answer == Ok(Deletion::Accepted)).count(), 39);
        assert_eq!(answers[0], Ok(Deletion::Failed));
        assert_eq!(env.count(Operation::DeleteApps).await, 3);
    }
}
