//! The fields of a client of the Identity Broker, one by one.

use super::*;

fn spec(more: Value) -> OrgOAuthAppSpec {
    let mut spec = json!({"orgId": "CUSTOMER", "allowedScopes": {"generalScopes": ["user"]}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn values(value: Value) -> Values {
    value.as_object().unwrap().clone()
}

#[test]
fn fields_keep_their_values_on_the_way_to_the_api_and_back() {
    let fields = values(json!({
        "displayName": "Billing", "description": "Nightly", "grantTypes": ["client_credentials"],
        "allowedScopes": {"generalScopes": ["user", "openid"]}, "accessTokenTTL": 1800, "refreshTokenTTL": 86400,
        "refreshTokenIdleTTL": 3600, "redirectUris": ["https://a.example.com"],
        "postLogoutRedirectUris": ["https://b.example.com"], "publicClient": false, "forcePkce": true,
        "ruleSetNames": ["READ_ONLY_TENANT_ADMIN"],
    }));
    let sent = to_api(&fields);
    assert_eq!(
        sent,
        values(json!({
            "display_name": "Billing", "description": "Nightly", "grant_types": ["client_credentials"],
            "scope": ["user", "openid"], "access_token_ttl": 30, "refresh_token_ttl": 1440,
            "refresh_token_idle_ttl": 60, "redirect_uris": ["https://a.example.com"],
            "post_logout_redirect_uris": ["https://b.example.com"], "public_client": false, "pkce_enforced": true,
            "rule_set_names": ["READ_ONLY_TENANT_ADMIN"],
        }))
    );
    assert_eq!(from_api(sent), fields);
}

#[test]
fn what_is_cleared_is_sent_blank_and_what_is_absent_is_not_sent() {
    let cleared = values(json!({"description": "", "redirectUris": [], "allowedScopes": {}}));
    assert_eq!(to_api(&cleared), values(json!({"description": "", "redirect_uris": [], "scope": []})));
    assert_eq!(to_api(&Values::new()), Values::new());
}

#[test]
fn what_the_api_shows_in_another_form_is_not_taken_for_the_documented_one() {
    let odd = from_api(values(json!({"access_token_ttl": "30", "scope": "user", "refresh_token_ttl": u64::MAX})));
    assert_eq!(odd["accessTokenTTL"], json!("30"));
    assert_eq!(odd["allowedScopes"], json!("user"));
    assert_eq!(odd["refreshTokenTTL"], json!(u64::MAX));
}

#[test]
fn the_id_the_dates_and_the_rotation_are_kept_beside_the_fields() {
    let shown = json!({"client_id": "a", "created_date": 1_716_224_522, "modified_date": "2026-11-01T00:00:00Z",
        "rotate_secret": true, "id": "uuid", "secret": "x", "vcf_app": true});
    let kept = json!({"id": "a", "createdAt": 1_716_224_522, "lastUpdatedAt": "2026-11-01T00:00:00Z", ROTATION_IN_PROGRESS: true});
    assert_eq!(from_api(values(shown)), values(kept));
}

#[test]
fn a_lifetime_that_is_no_whole_minute_is_refused_with_the_nearest_two() {
    for (seconds, near) in [(90, "60 or 120"), (119, "60 or 120"), (59, "60"), (3601, "3600 or 3660")] {
        let refused = invalid_values(&spec(json!({"accessTokenTTL": seconds})));
        let message =
            format!("accessTokenTTL is whole minutes with IdentityBroker; set it to {near} instead of {seconds}");
        assert_eq!(refused, [message]);
    }
    let whole = json!({"accessTokenTTL": 60, "refreshTokenTTL": 120, "refreshTokenIdleTTL": 180});
    assert_eq!(invalid_values(&spec(whole)), Vec::<String>::new());
}

#[test]
fn an_overlap_is_whole_minutes_and_at_most_7_days() {
    let refused = |overlap: &str| invalid_values(&spec(json!({"rotation": {"overlap": overlap}})));
    let message = |rest: &str| vec![format!("rotation.overlap is {rest}")];
    assert_eq!(refused("168h"), Vec::<String>::new());
    assert_eq!(refused("169h"), message("at most 168h with IdentityBroker, which is 7 days; shorten it"));
    assert_eq!(refused("90s"), message("whole minutes with IdentityBroker; set it to 1m or 2m"));
    assert_eq!(refused("1s"), message("whole minutes with IdentityBroker; set it to 1m"));
    assert_eq!(overlap_minutes(Duration::from_secs(48 * 3600)), Ok(2880));
}

#[test]
fn a_client_needs_a_scope_unless_one_is_adopted_that_keeps_its_own() {
    let message = ["allowedScopes.generalScopes needs at least one scope with IdentityBroker, such as user"];
    for scopes in [json!(null), json!({}), json!({"generalScopes": []})] {
        assert_eq!(invalid_values(&spec(json!({"allowedScopes": scopes}))), message);
    }
    let adopted = json!({"allowedScopes": null, "id": "billing", "adoptionPolicy": "Adopt"});
    assert_eq!(invalid_values(&spec(adopted)), Vec::<String>::new());
}
