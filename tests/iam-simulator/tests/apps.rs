//! Apps from creation to deletion in each API.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::*;
use iam_simulator::sha256_hex;
use iam_simulator::types::{CallFilter, Human, MissingOnDelete, Operation};
use serde_json::{Value, json};

#[tokio::test]
async fn csp_creates_and_shows_with_defaults() {
    let env = TestEnv::new().await;
    let mut body = app();
    body["grantTypes"] = json!(["client_credentials", "refresh_token"]);
    let made = env.csp("POST", "oauth-apps", body).await.ok(200);
    let (id, secret) = (made["clientId"].as_str().unwrap(), made["clientSecret"].as_str().unwrap());
    assert_eq!(made.as_object().unwrap().len(), 2);
    assert!(env.works(CSP, id, secret).await);
    assert!(!env.works(CSP, id, "Wr0ng!!!!").await);

    let shown = env.csp("GET", &format!("oauth-apps/{id}"), Value::Null).await.ok(200);
    assert_eq!(shown["id"], id);
    assert_eq!(shown["organizationId"], ORG);
    assert_eq!(shown["accessTokenTTL"], 600);
    assert_eq!(shown["refreshTokenTTL"], 7_776_000);
    assert_eq!(shown["secretRotationExpirationInSeconds"], 172_800);
    assert_eq!(shown["grantTypes"], json!(["refresh_token", "client_credentials"]), "no order is promised");
    assert!(shown["createdAt"].is_i64() && shown["immutable"] == false);
    assert!(!shown.to_string().contains(secret));

    let view = env.control.app(CSP, id).await.unwrap().unwrap();
    assert_eq!(view.secret_sha256, sha256_hex(secret));
    assert_eq!(view.created_by, "operator");
}

#[tokio::test]
async fn cpn_creates_with_and_without_a_body() {
    let env = TestEnv::new().await;
    let made = env.cpn("POST", "oauth-apps?context=PROVIDER", Value::Null).await.ok(200);
    let id = made["clientId"].as_str().unwrap();
    assert!(env.works(CPN, id, made["clientSecret"].as_str().unwrap()).await);
    let body = json!({"id": "x", "secret": SECRET, "displayName": "Any! thing"});
    env.cpn("POST", "oauth-apps", body).await.ok(200);
    let shown = env.cpn("GET", "oauth-apps/x", Value::Null).await.ok(200);
    assert_eq!(shown["grantTypes"], json!(["client_credentials"]));
    assert_eq!(shown["displayName"], "Any! thing");
    assert_eq!(shown.get("secret"), None);
    let changed = env.cpn("PATCH", "oauth-apps/x?context=TENANT", json!({"description": "new"})).await.ok(200);
    assert_eq!((&changed["description"], &changed["displayName"]), (&json!("new"), &json!("Any! thing")));
}

#[tokio::test]
async fn an_id_is_taken_once() {
    let env = TestEnv::new().await;
    env.set(|s| s.org_scoped_tokens = false).await;
    for flavor in [CSP, CPN] {
        env.create(flavor, "same-id").await;
    }
    let again = with(&app(), "id", json!("same-id"), "description", json!("x"));
    env.csp("POST", "oauth-apps", again.clone()).await.ok(409);
    env.cpn("POST", "oauth-apps", json!({"id": "same-id"})).await.ok(409);
    env.control.seed_org(CSP, "org-2", false).await.unwrap();
    env.call(CSP, "POST", "orgs/org-2/oauth-apps", again.clone()).await.ok(409);
    env.call(CSP, "GET", "orgs/org-2/oauth-apps/same-id", Value::Null).await.ok(404);
    env.control.set(|s| s.existing_id_status = 400).await.unwrap();
    env.csp("POST", "oauth-apps", again).await.ok(400);
    assert_eq!(env.control.stats().await.unwrap().creations["same-id"], 2, "once in each API");
}

#[tokio::test]
async fn ids_are_decoded_from_paths() {
    let env = TestEnv::new().await;
    env.create(CSP, "a_b-c").await;
    env.csp("GET", "oauth-apps/%61%5Fb%2Dc", Value::Null).await.ok(200);
    env.csp("GET", "oauth-apps/a%2Fb", Value::Null).await.ok(404);
    let calls = env.control.calls(&CallFilter::operation(Operation::GetApp)).await.unwrap();
    assert_eq!(calls[0].client_ids, ["a_b-c"]);
    assert_eq!(calls[1].client_ids, ["a/b"]);
}

#[tokio::test]
async fn lists_are_paged_by_relative_links() {
    let env = TestEnv::new().await;
    for n in 0..7 {
        env.create(CSP, &format!("app-{n}")).await;
    }
    let mut next = format!("/csp/gateway/am/api/orgs/{ORG}/oauth-apps?pageLimit=3");
    let mut seen = Vec::new();
    loop {
        let path = next.strip_prefix("/csp/gateway/am/api/").unwrap();
        let page = env.call(CSP, "GET", path, Value::Null).await.ok(200);
        assert_eq!(page["totalResults"], 7);
        seen.extend(page["results"].as_array().unwrap().iter().map(|a| a["id"].as_str().unwrap().to_string()));
        match page["nextLink"].as_str() {
            Some(link) => next = link.to_string(),
            None => break,
        }
    }
    assert!(next.contains("pageStart=9&pageLimit=3"), "the last page is empty: {next}");
    assert_eq!(seen, (0..7).map(|n| format!("app-{n}")).collect::<Vec<_>>());
    let found = env.csp("GET", "oauth-apps?searchTerm=app-5", Value::Null).await.ok(200);
    assert_eq!(found["totalResults"], 1);
    let search = json!({"resource": "app-", "searchType": "STARTS_WITH", "pageLimit": 5, "pageStart": 6});
    let found = env.csp("POST", "oauth-apps/search", search).await.ok(200);
    assert_eq!((found["totalResults"].as_u64(), found["results"].as_array().unwrap().len()), (Some(7), 2));
}

#[tokio::test]
async fn an_update_keeps_what_is_absent() {
    let env = TestEnv::new().await;
    let body = with(&app(), "id", json!("my-app"), "secret", json!(SECRET));
    env.csp("POST", "oauth-apps", with(&body, "accessTokenTTL", json!(900), "description", json!("d"))).await.ok(200);
    let patch = json!({"displayName": "New", "description": "d", "grantTypes": ["client_credentials"]});
    let shown = env.csp("PATCH", "oauth-apps/my-app", patch.clone()).await.ok(200);
    assert_eq!((&shown["displayName"], &shown["accessTokenTTL"]), (&json!("New"), &json!(900)));
    let secret = "Another1!";
    env.csp("PATCH", "oauth-apps/my-app", with(&patch, "secret", json!(secret), "isHidden", json!(true))).await.ok(200);
    assert!(env.works(CSP, "my-app", secret).await && !env.works(CSP, "my-app", SECRET).await);
}

#[tokio::test]
async fn a_batch_is_deleted_as_far_as_it_exists() {
    let env = TestEnv::new().await;
    env.create(CSP, "first").await;
    env.create(CSP, "second").await;
    let ids = |ids: &[&str]| json!({ "clientIdsToDelete": ids });
    let done = env.csp("DELETE", "oauth-apps", ids(&["first", "nobody", "second"])).await.ok(200);
    assert_eq!(done, json!({"succeeded": ["first", "second"], "failed": ["nobody"]}));
    env.csp("GET", "oauth-apps/first", Value::Null).await.ok(404);
    assert!(!env.works(CSP, "first", SECRET).await);
    let missing = env.csp("DELETE", "oauth-apps", ids(&["first"])).await;
    assert!(missing.status == 404 && missing.message().contains("not found"));
    env.control.set(|s| s.missing_on_delete = MissingOnDelete::Failed).await.unwrap();
    assert_eq!(env.csp("DELETE", "oauth-apps", ids(&["first"])).await.ok(200)["failed"], json!(["first"]));
}

#[tokio::test]
async fn a_deletion_can_run_on() {
    let env = TestEnv::new().await;
    env.create(CSP, "going").await;
    env.control.set(|s| s.deletion_runs_ms = 300).await.unwrap();
    env.csp("DELETE", "oauth-apps", json!({"clientIdsToDelete": ["going"]})).await.ok(200);
    env.csp("GET", "oauth-apps/going", Value::Null).await.ok(200);
    assert!(!env.works(CSP, "going", SECRET).await);
    let again = with(&app(), "id", json!("going"), "description", json!(""));
    let refused = env.csp("POST", "oauth-apps", again.clone()).await;
    assert!(refused.status == 409 && refused.message().contains("in progress"));
    env.control.set(|s| s.deleting_visible = false).await.unwrap();
    env.csp("GET", "oauth-apps/going", Value::Null).await.ok(404);
    tokio::time::sleep(std::time::Duration::from_millis(320)).await;
    env.csp("POST", "oauth-apps", again).await.ok(200);
}

#[tokio::test]
async fn cpn_offers_what_is_switched_on() {
    let env = TestEnv::new().await;
    env.create(CPN, "some-app").await;
    let delete = json!({"clientIdsToDelete": ["some-app"]});
    env.cpn("GET", "oauth-apps", Value::Null).await.ok(405);
    env.cpn("DELETE", "oauth-apps/some-app/secret", Value::Null).await.ok(405);
    env.control.set(|s| s.not_offered_status = 404).await.unwrap();
    env.cpn("DELETE", "oauth-apps", delete.clone()).await.ok(404);
    let all = |s: &mut iam_simulator::types::Settings| {
        s.cpn_offers = iam_simulator::types::CpnOffers { list: true, delete: true, end_overlap: true };
    };
    env.control.set(all).await.unwrap();
    assert_eq!(env.cpn("GET", "oauth-apps", Value::Null).await.ok(200)["totalResults"], 1);
    env.cpn("DELETE", "oauth-apps/some-app/secret", Value::Null).await.ok(200);
    env.cpn("DELETE", "oauth-apps", delete).await.ok(200);
    env.cpn("GET", "oauth-apps/some-app", Value::Null).await.ok(404);
}

#[tokio::test]
async fn a_person_works_past_the_rules() {
    let env = TestEnv::new().await;
    let fields = json!({"id": "by-hand", "displayName": "By hand", "grantTypes": ["client_credentials"]});
    let fields = fields.as_object().unwrap().clone();
    let made = env.control.human(Human::Create { flavor: CSP, org_id: ORG.into(), fields }).await.unwrap();
    assert!(env.works(CSP, "by-hand", made["clientSecret"].as_str().unwrap()).await);
    let fields = json!({"displayName": "Edited", "grantTypes": null}).as_object().unwrap().clone();
    env.control.human(Human::Edit { flavor: CSP, id: "by-hand".into(), fields }).await.unwrap();
    assert_eq!(env.csp("GET", "oauth-apps/by-hand", Value::Null).await.ok(200)["displayName"], "Edited");
    assert!(!env.control.stats().await.unwrap().creations.contains_key("by-hand"));
    env.control.human(Human::Delete { flavor: CSP, id: "by-hand".into() }).await.unwrap();
    env.csp("GET", "oauth-apps/by-hand", Value::Null).await.ok(404);
}
