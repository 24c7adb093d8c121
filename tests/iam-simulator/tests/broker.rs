//! OAuth 2.0 clients of VCF Identity Broker: requests, responses, lists, updates, and the rules on their fields.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::*;
use iam_simulator::client::Error;
use iam_simulator::sha256_hex;
use iam_simulator::types::Human;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

const FORM: &str = "application/vnd.vmware.horizon.manager.accesscontrol.broker.oauth2client";
const CLIENTS: &str = "org-1/broker/oauth2-clients";

/// The client with these fields on top of the least.
fn fields(id: &str, extra: Value) -> Value {
    let mut fields = client();
    fields["client_id"] = json!(id);
    for (name, value) in extra.as_object().unwrap() {
        fields[name] = value.clone();
    }
    fields
}

async fn read(env: &TestEnv, id: &str) -> Value {
    env.broker("GET", &format!("oauth-apps/{id}"), Value::Null).await.ok(200)
}

async fn update(env: &TestEnv, id: &str, fields: Value) -> Reply {
    env.broker("PATCH", &format!("oauth-apps/{id}"), fields).await
}

#[tokio::test]
async fn a_generated_secret_is_shown_by_the_create_alone() {
    let env = TestEnv::new().await;
    let made = env.broker("POST", "oauth-apps", fields("my.app@site", json!({}))).await.ok(201);
    let secret = made["secret"].as_str().unwrap();
    assert!(env.works(BROKER, "my.app@site", secret).await);
    let shown = read(&env, "my.app@site").await;
    let updated = update(&env, "my.app@site", json!({"description": "d"})).await.ok(200);
    for body in [&shown, &updated] {
        assert_eq!(body.get("secret"), None);
        assert!(!body.to_string().contains(secret));
    }
    let view = env.control.app(BROKER, "my.app@site").await.unwrap().unwrap();
    assert_eq!((view.secret_sha256, view.org_id, view.created_by), (sha256_hex(secret), ORG.into(), "operator".into()));
    assert_eq!(view.roles, None);
}

#[tokio::test]
async fn a_secret_that_the_request_names_is_not_repeated_unless_that_is_switched_on() {
    let env = TestEnv::new().await;
    let body = |id: &str| fields(id, json!({ "secret": SECRET }));
    assert_eq!(env.broker("POST", "oauth-apps", body("quiet")).await.ok(201).get("secret"), None);
    assert!(env.works(BROKER, "quiet", SECRET).await);
    env.set(|s| s.broker.repeats_secret = true).await;
    assert_eq!(env.broker("POST", "oauth-apps", body("loud")).await.ok(201)["secret"], SECRET);
    assert_eq!(read(&env, "loud").await.get("secret"), None);
}

#[tokio::test]
async fn a_client_is_shown_with_its_defaults_and_what_can_only_be_read() {
    let env = TestEnv::new().await;
    env.create(BROKER, "an-app").await;
    let shown = read(&env, "an-app").await;
    let view = env.control.app(BROKER, "an-app").await.unwrap().unwrap();
    assert_eq!(shown["client_id"], "an-app");
    assert_eq!(shown["id"].as_str().unwrap().len(), 36);
    assert_eq!(shown["created_date"], view.created_at / 1000, "seconds, as in the example");
    assert_eq!(shown["_links"]["self"]["href"], env.url(BROKER, &format!("{CLIENTS}/an-app")));
    for flag in ["pkce_enforced", "public_client", "rotate_secret"] {
        assert_eq!(shown[flag], false, "{flag}");
    }
    for absent in ["primary_secret_auto_retires_at", "last_secret_rotated_at", "access_token_ttl", "redirect_uris"] {
        assert_eq!(shown.get(absent), None, "{absent}");
    }
}

#[tokio::test]
async fn every_field_of_the_documentation_travels_and_lists_have_no_order() {
    let env = TestEnv::new().await;
    let sent = json!({
        "scope": ["admin", "user", "profile", "email", "openid", "group"],
        "grant_types": ["authorization_code", "refresh_token", "client_credentials", "password", "token", "id_token"],
        "redirect_uris": ["https://*.a/auth/*", "https://b"], "post_logout_redirect_uris": ["https://c", "http://d"],
        "access_token_ttl": 10, "refresh_token_ttl": 100, "refresh_token_idle_ttl": 99,
        "rule_set_names": ["TENANT_ADMIN", "IDP_AND_DIRECTORY_ADMIN", "READ_ONLY_TENANT_ADMIN"],
        "pkce_enforced": true, "public_client": false, "vcf_app": true, "display_name": "Ünion / 1",
        "description": "all", "client_type": "API_CLIENT", "secret_ttl": 1000, "token_overflow_threshold": 4096,
        "metadata": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}],
    });
    env.broker("POST", "oauth-apps", fields("every-field", sent.clone())).await.ok(201);
    let shown = read(&env, "every-field").await;
    for (name, value) in sent.as_object().unwrap() {
        let reversed = value.as_array().map(|list| Value::Array(list.iter().rev().cloned().collect()));
        assert_eq!(&shown[name], reversed.as_ref().unwrap_or(value), "{name}");
    }
    env.set(|s| s.reverse_lists = false).await;
    let shown = read(&env, "every-field").await;
    assert!(sent.as_object().unwrap().iter().all(|(name, value)| &shown[name] == value), "{shown}");
}

#[tokio::test]
async fn an_id_is_taken_once_in_a_tenant() {
    let env = TestEnv::new().await;
    env.create(BROKER, "same-id").await;
    let again = env.broker("POST", "oauth-apps", fields("same-id", json!({}))).await;
    assert_eq!(again.body["errors"][0]["code"], "oauth2.client.with.client.id.already.exists");
    again.ok(409);
    env.broker("POST", "oauth-apps", fields("operator", json!({}))).await.ok(409);
    env.set(|s| s.existing_id_status = 400).await;
    let again = env.broker("POST", "oauth-apps", fields("same-id", json!({}))).await;
    assert_eq!(again.ok(400)["errors"][0]["code"], "oauth2.client.with.client.id.already.exists");
    env.delete(BROKER, "same-id").await.ok(204);
    env.create(BROKER, "same-id").await;
    assert_eq!(env.control.stats().await.unwrap().creations["same-id"], 2);
}

#[tokio::test]
async fn what_does_not_exist_is_404_without_a_body() {
    let env = TestEnv::new().await;
    let rotation = json!({ "secondary_secret": SECRET });
    for (method, path, body) in [
        ("GET", "oauth-apps/nobody", Value::Null),
        ("PATCH", "oauth-apps/nobody", json!({"description": "d"})),
        ("DELETE", "oauth-apps/nobody", Value::Null),
        ("POST", "oauth-apps/nobody?action=start-rotate-secret", rotation),
        ("POST", "oauth-apps/nobody?action=retire-primary-secret", Value::Null),
        ("POST", "oauth-apps/search", json!({})),
        ("GET", "oauth-apps/", Value::Null),
        ("GET", "oauth-apps/nobody/secret", Value::Null),
    ] {
        assert_eq!(env.broker(method, path, body).await.ok(404), "", "{method} {path}");
    }
    env.broker("PUT", "oauth-apps/nobody", json!({})).await.ok(405);
    env.broker("DELETE", "oauth-apps", json!({"clientIdsToDelete": ["nobody"]})).await.ok(405);
}

#[tokio::test]
async fn a_deletion_can_run_on() {
    let env = TestEnv::new().await;
    env.create(BROKER, "going").await;
    env.set(|s| s.deletion_runs_ms = 60_000).await;
    env.delete(BROKER, "going").await.ok(204);
    read(&env, "going").await;
    assert!(!env.works(BROKER, "going", SECRET).await);
    env.broker("POST", "oauth-apps", fields("going", json!({}))).await.ok(409);
    update(&env, "going", json!({"description": "d"})).await.ok(409);
    env.control.advance_clock(std::time::Duration::from_secs(60)).await.unwrap();
    env.broker("GET", "oauth-apps/going", Value::Null).await.ok(404);
}

/// The status of a call with these headers; an empty one is left out.
async fn status(env: &TestEnv, method: &str, path: &str, accept: &str, content_type: &str, body: &Value) -> u16 {
    let mut request = env.request(BROKER, method, path);
    for (name, value) in [("accept", accept), ("content-type", content_type)] {
        if !value.is_empty() {
            request = request.header(name, value);
        }
    }
    let body = if body.is_null() { String::new() } else { body.to_string() };
    request.body(body).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn each_request_names_its_own_media_type() {
    let env = TestEnv::new().await;
    env.create(BROKER, "an-app").await;
    let (one, list) = (format!("{FORM}.with.rule.sets+json"), format!("{FORM}.list+json"));
    let rotation = format!("{FORM}.secret.rotation+json");
    let (app, rotate) = (format!("{CLIENTS}/an-app"), format!("{CLIENTS}/an-app?action=start-rotate-secret"));
    let retire = format!("{CLIENTS}/an-app?action=retire-primary-secret");
    let (patch, secret) = (json!({"description": "d"}), json!({"secondary_secret": "new"}));
    let json = "application/json";
    for (method, path, accept, content_type, body, expected) in [
        ("PATCH", &app, &*one, json, &patch, 415),
        ("PATCH", &app, &one, "", &patch, 415),
        ("PATCH", &app, json, &one, &patch, 406),
        ("PATCH", &app, &one, &one, &patch, 200),
        ("GET", &app, "", "", &Value::Null, 406),
        ("GET", &app, "*/*", "", &Value::Null, 406),
        ("GET", &app, &list, "", &Value::Null, 406),
        ("GET", &app, &format!("text/html, {one};q=0.9"), "", &Value::Null, 200),
        ("GET", &CLIENTS.to_string(), &one, "", &Value::Null, 406),
        ("GET", &CLIENTS.to_string(), &list, "", &Value::Null, 200),
        ("POST", &rotate, "", &one, &secret, 415),
        ("POST", &rotate, "", &rotation, &secret, 204),
        ("POST", &retire, "", "", &Value::Null, 415),
        ("POST", &retire, "", &rotation, &Value::Null, 204),
    ] {
        let seen = status(&env, method, path, accept, content_type, body).await;
        assert_eq!(seen, expected, "{method} {path} {accept} {content_type}");
    }
    env.set(|s| s.broker.wildcard_accept = true).await;
    for (accept, expected) in [("", 200), ("*/*", 200), ("application/*", 200), (json, 406)] {
        assert_eq!(status(&env, "GET", &app, accept, "", &Value::Null).await, expected, "{accept}");
    }
}

#[tokio::test]
async fn each_response_has_its_own_media_type() {
    let env = TestEnv::new().await;
    env.create(BROKER, "an-app").await;
    for (path, form) in [(format!("{CLIENTS}/an-app"), "with.rule.sets"), (CLIENTS.to_string(), "list")] {
        let media_type = format!("{FORM}.{form}+json");
        let response = env.request(BROKER, "GET", &path).header("accept", &media_type).send().await.unwrap();
        assert_eq!(response.headers()[CONTENT_TYPE], media_type);
    }
}

#[tokio::test]
async fn pages_of_a_list_are_numbered() {
    let env = TestEnv::new().await;
    for n in 1..=5 {
        env.create(BROKER, &format!("app-{n}")).await;
    }
    let mut seen = Vec::new();
    for number in 1..=3 {
        let page =
            env.broker("GET", &format!("oauth-apps?start_index={number}&page_size=2"), Value::Null).await.ok(200);
        let numbers = ["totalCount", "pageNumber", "totalPages", "pageSize"].map(|name| page[name].as_u64().unwrap());
        assert_eq!(numbers, [5, number, 3, 2]);
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["client_id"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(seen, ["app-1", "app-2", "app-3", "app-4", "app-5"]);
    let whole = env.broker("GET", "oauth-apps", Value::Null).await.ok(200);
    assert_eq!((&whole["pageNumber"], &whole["pageSize"]), (&json!(1), &json!(20)));
    for wrong in ["start_index=0", "page_size=0", "page_size=201", "start_index=-1", "start_index=2", "pageLimit=2"] {
        env.broker("GET", &format!("oauth-apps?{wrong}"), Value::Null).await.ok(400);
    }
    env.set(|s| s.broker.empty_page_after_last = true).await;
    assert_eq!(env.broker("GET", "oauth-apps?start_index=2", Value::Null).await.ok(200)["items"], json!([]));
}

#[tokio::test]
async fn an_empty_list_has_one_empty_page() {
    let env = TestEnv::new().await;
    let page = env.broker("GET", "oauth-apps", Value::Null).await.ok(200);
    assert_eq!((&page["items"], &page["totalPages"]), (&json!([]), &json!(0)));
}

#[tokio::test]
async fn a_list_shows_a_summary_of_each_client() {
    let env = TestEnv::new().await;
    let extra = json!({"display_name": "Nightly job", "description": "d", "client_type": "API_CLIENT"});
    env.broker("POST", "oauth-apps", fields("an-app", extra)).await.ok(201);
    env.create(BROKER, "other").await;
    let found = async |term: &str| {
        let page = env.broker("GET", &format!("oauth-apps?searchTerm={term}"), Value::Null).await.ok(200);
        page["items"].as_array().unwrap().clone()
    };
    assert_eq!((found("Nightly").await, found("nobody").await.len()), (found("an-a").await, 0));
    let short = &found("an-a").await[0];
    let names: Vec<&String> = short.as_object().unwrap().keys().collect();
    assert_eq!(names, ["_links", "client_id", "scope"]);
    env.set(|s| s.broker.full_summaries = true).await;
    let full = &found("an-a").await[0];
    assert_eq!((&full["display_name"], &full["client_type"]), (&json!("Nightly job"), &json!("API_CLIENT")));
    assert_eq!(full["client_uuid"], read(&env, "an-app").await["id"]);
    assert!(full["modified_date"].as_str().unwrap().ends_with('Z') && full.get("grant_types").is_none());
}

#[tokio::test]
async fn an_update_keeps_replaces_and_clears() {
    let env = TestEnv::new().await;
    let extra = json!({
        "display_name": "Name", "description": "d", "access_token_ttl": 10, "rule_set_names": ["TENANT_ADMIN"],
        "grant_types": ["authorization_code", "refresh_token"], "refresh_token_ttl": 100, "refresh_token_idle_ttl": 50,
        "redirect_uris": ["https://a", "https://b"], "post_logout_redirect_uris": ["https://c"], "pkce_enforced": true,
    });
    env.broker("POST", "oauth-apps", fields("an-app", extra)).await.ok(201);
    let before = read(&env, "an-app").await;
    let mut expected = before.clone();
    expected["redirect_uris"] = json!(["https://z"]);
    let shown = update(&env, "an-app", json!({"redirect_uris": ["https://z"]})).await.ok(200);
    assert_eq!(shown, expected, "the array is replaced whole, everything else is kept");

    let cleared = json!({"display_name": "", "rule_set_names": [], "post_logout_redirect_uris": []});
    let shown = update(&env, "an-app", cleared).await.ok(200);
    for name in ["display_name", "rule_set_names", "post_logout_redirect_uris"] {
        assert_eq!(shown.get(name), None, "{name}");
    }
    assert_eq!((&shown["description"], &shown["pkce_enforced"]), (&json!("d"), &json!(true)));
    let grant = json!({"grant_types": ["authorization_code"], "refresh_token_ttl": 0, "refresh_token_idle_ttl": 0});
    let shown = update(&env, "an-app", grant).await.ok(200);
    assert_eq!((shown.get("refresh_token_ttl"), shown.get("refresh_token_idle_ttl")), (None, None));
    assert_eq!(shown, read(&env, "an-app").await);
}

#[tokio::test]
async fn an_update_is_judged_by_its_result() {
    let env = TestEnv::new().await;
    let refresh = json!({"grant_types": ["refresh_token"], "refresh_token_ttl": 100, "refresh_token_idle_ttl": 50});
    env.broker("POST", "oauth-apps", fields("an-app", refresh)).await.ok(201);
    for (wrong, message) in [
        (json!({"scope": []}), "scope"),
        (json!({"grant_types": []}), "grant_types"),
        (json!({"client_id": "an-app"}), "'client_id'"),
        (json!({"public_client": true}), "'public_client'"),
        (json!({"client_type": "API_CLIENT"}), "'client_type'"),
        (json!({"rotate_secret": true}), "'rotate_secret'"),
        (json!({"display_name": null}), "null"),
        (json!({"refresh_token_ttl": 0}), "required"),
        (json!({"refresh_token_ttl": 50}), "below"),
        (json!({"access_token_ttl": 0}), "positive"),
        (json!({"grant_types": ["authorization_code"]}), "redirect_uris"),
        (json!({"secret": ""}), "secret"),
    ] {
        let refused = update(&env, "an-app", wrong.clone()).await;
        assert!(refused.status == 400 && refused.message().contains(message), "{wrong}: {}", refused.body);
    }
    assert!(update(&env, "an-app", json!({})).await.ok(200)["grant_types"].is_array());
    env.broker("PATCH", "oauth-apps/an-app?revoke_token_on_rule_set_removal=true", json!({})).await.ok(400);
}

#[tokio::test]
async fn a_rule_that_a_create_breaks_is_named() {
    let env = TestEnv::new().await;
    let code = |extra: Value| {
        let mut value = json!({"grant_types": ["authorization_code"], "redirect_uris": ["https://a"]});
        value.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        value
    };
    let long = "s".repeat(4097);
    for (wrong, message, twin) in [
        (json!({"client_id": "a b"}), "client_id", json!({"client_id": "a.b_c-d@e"})),
        (json!({"client_id": ""}), "client_id", json!({"client_id": "x"})),
        (json!({"client_id": "i".repeat(257)}), "client_id", json!({"client_id": "i".repeat(256)})),
        (json!({"colour": 1}), "'colour'", json!({"vcf_app": false})),
        (json!({"id": "d24afa39-05a1-433f-8aa9-ad41c9a3d394"}), "'id'", json!({})),
        (json!({"scope": []}), "scope", json!({"scope": ["user"]})),
        (json!({"scope": ["root"]}), "scope[0]", json!({"scope": ["group"]})),
        (json!({"grant_types": ["implicit"]}), "grant_types[0]", json!({"grant_types": ["password"]})),
        (json!({"secret": ""}), "printable", json!({"secret": "weak"})),
        (json!({"secret": "pässword"}), "printable", json!({"secret": "p ssword~"})),
        (json!({"secret": long}), "4096", json!({"secret": long[1..]})),
        (json!({"access_token_ttl": 0}), "positive", json!({"access_token_ttl": 1})),
        (json!({"rule_set_names": ["ADMIN"]}), "rule_set_names[0]", json!({"rule_set_names": []})),
        (json!({"client_type": "OTHER"}), "client_type", json!({"client_type": "API_CLIENT"})),
        (json!({"metadata": [{"key": "a"}]}), "metadata[0].value", json!({"metadata": [{"key": "a", "value": "b"}]})),
        (json!({"grant_types": ["authorization_code"]}), "redirect_uris", code(json!({}))),
        (code(json!({"redirect_uris": ["/path"]})), "absolute", code(json!({"redirect_uris": ["app://x"]}))),
        (
            code(json!({"public_client": true, "post_logout_redirect_uris": ["http://a"]})),
            "https",
            code(json!({"post_logout_redirect_uris": ["http://a"]})),
        ),
        (code(json!({"public_client": true, "secret": "s"})), "secret", code(json!({"public_client": true}))),
        (json!({"public_client": true}), "client_credentials", json!({"public_client": false})),
        (
            json!({"grant_types": ["refresh_token"], "refresh_token_ttl": 10}),
            "required",
            json!({"grant_types": ["refresh_token"], "refresh_token_ttl": 10, "refresh_token_idle_ttl": 9}),
        ),
    ] {
        let id = format!("app-{}", env.control.apps().await.unwrap().len());
        let refused = env.broker("POST", "oauth-apps", fields(&id, wrong.clone())).await;
        assert!(refused.status == 400 && refused.message().contains(message), "{wrong}: {}", refused.body);
        let accepted = env.broker("POST", "oauth-apps", fields(&id, twin.clone())).await;
        assert_eq!(accepted.status, 201, "{twin}: {}", accepted.body);
    }
    for absent in ["client_id", "scope", "grant_types"] {
        let mut least = fields("least", json!({}));
        least.as_object_mut().unwrap().remove(absent);
        assert!(env.broker("POST", "oauth-apps", least).await.message().contains(absent));
    }
}

#[tokio::test]
async fn a_public_client_has_no_secret() {
    let env = TestEnv::new().await;
    let public = json!({"public_client": true, "grant_types": ["authorization_code"], "redirect_uris": ["https://a"]});
    let made = env.broker("POST", "oauth-apps", fields("public", public)).await.ok(201);
    assert_eq!(made.get("secret"), None);
    assert!(!env.works(BROKER, "public", "").await);
    env.rotate(BROKER, "public", SECRET, 60).await.ok(400);
    update(&env, "public", json!({ "secret": SECRET })).await.ok(400);
}

#[tokio::test]
async fn tenants_share_nothing() {
    let env = TestEnv::new().await;
    env.control.seed_org(BROKER, "other", false).await.unwrap();
    env.control.seed_client(BROKER, "other", "admin", "Adm1n-secret").await.unwrap();
    let other = env.control.token(BROKER, "other", "admin", "Adm1n-secret").await.unwrap();
    let call = async |token: &str, tenant: &str| env.status_with(token, BROKER, tenant).await;
    assert_eq!((call(&other, "other").await, call(&other, ORG).await), (406, 401), "a token of one tenant");
    assert_eq!(call(env.token(BROKER), "other").await, 401);
    assert_eq!(call(env.token(BROKER), "nowhere").await, 404);
    let refused = env.control.token(BROKER, "nowhere", "operator", "Oper@t0r").await.unwrap_err();
    assert!(matches!(&refused, Error::Status { status: 404, body } if body.is_empty()), "{refused}");

    env.create(BROKER, "same-id").await;
    let media_type = format!("{FORM}.with.rule.sets+json");
    let create = env.request_with(&other, BROKER, "POST", "other/broker/oauth2-clients");
    let create = create.header("accept", &media_type).header("content-type", &media_type);
    let made = create.json(&fields("same-id", json!({"secret": "other"}))).send().await.unwrap();
    assert_eq!(made.status(), 201);
    assert!(env.works(BROKER, "same-id", SECRET).await && !env.works(BROKER, "same-id", "other").await);
    env.control.token(BROKER, "other", "same-id", "other").await.unwrap();
    env.delete(BROKER, "same-id").await.ok(204);
    env.control.token(BROKER, "other", "same-id", "other").await.unwrap();
}

#[tokio::test]
async fn a_person_works_past_the_rules() {
    let env = TestEnv::new().await;
    let fields = json!({"client_id": "by-hand", "scope": ["root"], "grant_types": ["client_credentials"]});
    let fields = fields.as_object().unwrap().clone();
    let made = Human::Create { flavor: BROKER, org_id: ORG.into(), fields: fields.clone() };
    let made = env.control.human(made).await.unwrap();
    assert!(env.works(BROKER, "by-hand", made["clientSecret"].as_str().unwrap()).await);
    let edited = json!({"display_name": "Edited", "scope": null}).as_object().unwrap().clone();
    env.control.human(Human::Edit { flavor: BROKER, id: "by-hand".into(), fields: edited }).await.unwrap();
    let shown = read(&env, "by-hand").await;
    assert_eq!((&shown["display_name"], shown.get("scope")), (&json!("Edited"), None));

    let nowhere = Human::Create { flavor: BROKER, org_id: "nowhere".into(), fields: fields.clone() };
    assert!(env.control.human(nowhere).await.is_err());
    env.control.seed_org(BROKER, "other", false).await.unwrap();
    env.control.human(Human::Create { flavor: BROKER, org_id: "other".into(), fields }).await.unwrap();
    let ambiguous = env.control.human(Human::Regenerate { flavor: BROKER, id: "by-hand".into() }).await;
    assert!(ambiguous.unwrap_err().to_string().contains("several tenants"));
    let roles = Human::GrantRoles { flavor: BROKER, id: "by-hand".into(), roles: vec!["developer".into()] };
    assert!(env.control.human(roles).await.is_err());
}
