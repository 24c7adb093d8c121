use super::*;
use crate::crd::{Api, Role, Roles, ServiceRoles};
use crate::iam::flavor::flavor;
use serde_json::json;

fn answer(status: u16, body: &str) -> Answer {
    let known = KnownSecrets::default().with("Hidden-Value-1");
    Answer { known, ..Answer::of(Operation::CreateApp, status, body) }
}

fn cloud_services() -> &'static dyn ApiFlavor {
    flavor(Api::CloudServices)
}

fn id() -> ClientId {
    ClientId("billing-export".into())
}

#[test]
fn each_status_has_its_error() {
    let body = r#"{"message":"not so","statusCode":1,"moduleCode":"540","requestId":"4f1a"}"#;
    let said = |status: u16| format!("create app: {status}: not so");
    for (status, error) in [
        (400, Error::Rejected(said(400))),
        (402, Error::Rejected(said(402))),
        (403, Error::Forbidden(said(403))),
        (404, Error::NotFound(said(404))),
        (405, Error::Rejected(said(405))),
        (408, Error::Unavailable(said(408))),
        (409, Error::Conflict(said(409))),
        (422, Error::Rejected(said(422))),
        (425, Error::Unavailable(said(425))),
        (302, Error::Unavailable(said(302))),
        (500, Error::Unavailable(said(500))),
        (503, Error::Unavailable(said(503))),
        (599, Error::Unavailable(said(599))),
    ] {
        assert_eq!(answer(status, body).error(), error, "{status}");
    }
}

#[test]
fn messages_are_found_in_every_form_of_error() {
    let cases = [
        (r#"{"message":" not so ","error":"Bad Request"}"#, "not so"),
        (r#"{"message":"","error":"Bad Request"}"#, "Bad Request"),
        (r#"{"error":"invalid","error_description":"not so"}"#, "not so"),
        (r#"{"message":{"text":"x"},"detail":"not so"}"#, "not so"),
        ("not so\r\n", "not so"),
    ];
    for (body, words) in cases {
        assert_eq!(answer(400, body).message().as_deref(), Some(words), "{body}");
    }
    for body in ["", "<html><body>Proxy</body></html>", " \n<!doctype html>", "{}", r#"{"message":7}"#, "[1]"] {
        let answer = answer(400, body);
        assert_eq!(answer.message(), None, "{body}");
        assert_eq!(answer.error().to_string(), "create app: 400 (Bad Request)");
    }
    let redirect = Answer { note: Some("a redirect".into()), ..answer(302, "") };
    assert_eq!(redirect.error().to_string(), "create app: 302 (Found); a redirect");
    assert_eq!(answer(599, "").error().to_string(), "create app: 599");
}

#[test]
fn where_a_secret_is_handed_out_only_the_message_is_repeated() {
    let response_is_secret = |body| Answer { disclosure: ErrorDisclosure::MessageOnly, ..answer(500, body) };
    for body in ["New-Secret-1", r#"{"clientSecret":"New-Secret-1","error":"New-Secret-1"}"#, r#""New-Secret-1""#] {
        assert_eq!(response_is_secret(body).error().to_string(), "create app: 500 (Internal Server Error)");
    }
    assert_eq!(response_is_secret(r#"{"message":"not so"}"#).error().to_string(), "create app: 500: not so");
}

#[test]
fn messages_hold_no_secret_and_no_request_id() {
    let body = json!({
        "message": "refused in 4f1a2b of 7c7c7c (requestId: 99)",
        "requestId": "4f1a2b", "metadata": {"traceId": "7c7c7c"},
    });
    let error = answer(400, &body.to_string()).error();
    assert_eq!(error, Error::Rejected("create app: 400: refused in of ()".into()));
    let error = answer(400, r#"{"message":"Hidden-Value-1 was refused"}"#).error();
    let said = "create app: 400 (Bad Request): the answer repeats what was sent and is not shown";
    assert_eq!(error, Error::Rejected(said.into()));
}

#[test]
fn credentials_need_the_id_and_a_secret_unless_public() {
    let read = |body: &str, public| answer(200, body).credentials(&id(), public);
    let full = r#"{"clientId":"billing-export","clientSecret":"s3","ClientCredentials":{"clientId":"..."}}"#;
    let credentials = read(full, false).unwrap();
    assert_eq!(credentials.client_id, id());
    assert_eq!(credentials.client_secret.as_ref().unwrap().expose(), "s3");
    assert!(!format!("{credentials:?}").contains("s3"));
    for body in [r#"{"clientId":"billing-export"}"#, r#"{"clientId":"billing-export","clientSecret":""}"#] {
        assert!(read(body, true).unwrap().client_secret.is_none(), "{body}");
        assert!(matches!(read(body, false), Err(Error::Unavailable(_))), "{body}");
    }
    for body in [
        "",
        "null",
        r#"{"clientId":"billing"#,
        r#"{"clientSecret":"s3cret-value"}"#,
        r#"{"clientId":"other","clientSecret":"s3cret-value"}"#,
        r#"{"clientId":"billing-export","clientSecret":["s3cret-value"]}"#,
        r#"{"clientId":"billing-export","clientSecret":"s3cret-value\n"}"#,
        r#"{"clientId":"billing-export","clientSecret":"s3cret-\u0000value"}"#,
        &format!(r#"{{"clientId":"billing-export","clientSecret":"s3cret{}"}}"#, "x".repeat(1024)),
    ] {
        let Err(Error::Unavailable(said)) = read(body, true) else { panic!("{body}") };
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[test]
fn apps_are_read_without_undocumented_fields_and_with_times_of_any_unit() {
    let second = Timestamp::from_second(1_700_000_000).unwrap();
    let times = [
        (json!(1_700_000_000), Some(second)),
        (json!(1_700_000_000_000_i64), Some(second)),
        (json!("2023-11-14T22:13:20Z"), Some(second)),
        (json!("yesterday"), None),
        (json!(0), None),
        (json!(-1), None),
        (json!(i64::MAX), None),
        (json!(null), None),
        (json!({}), None),
    ];
    for (value, time) in times {
        let mut body = json!({"id": "billing-export", "createdAt": value, "lastUpdatedAt": value, "news": [1]});
        let app = answer(200, &body.to_string()).app(cloud_services(), &id()).unwrap();
        assert_eq!((app.created_at, app.last_updated_at), (time, time), "{value}");
        body.as_object_mut().unwrap().remove("news");
        assert_eq!(json!(app.fields), body);
    }
    assert_eq!(answer(200, "{}").app(cloud_services(), &id()).unwrap().id, id());
    for body in ["", "[]", r#"{"id":"other"}"#, r#"{"id":7}"#, r#"{"id":"bill"#] {
        assert!(matches!(answer(200, body).app(cloud_services(), &id()), Err(Error::Unavailable(_))), "{body}");
    }
}

#[test]
fn a_deletion_is_accepted_unless_it_names_the_app_as_failed() {
    let read = |body: &str| answer(200, body).deletion(&id());
    for body in ["", " ", "{}", r#"{"succeeded":["billing-export"],"failed":[]}"#, r#"{"failed":["other",{"id":"x"}]}"#]
    {
        assert_eq!(read(body), Ok(Deletion::Accepted), "{body}");
    }
    for entry in [r#""billing-export""#, r#"{"id":"billing-export"}"#, r#"{"clientId":"billing-export","message":"m"}"#]
    {
        assert_eq!(read(&format!(r#"{{"failed":[{entry}]}}"#)), Ok(Deletion::Failed), "{entry}");
    }
    assert!(matches!(read(r#"{"failed":["#), Err(Error::Unavailable(_))));
}

#[test]
fn failures_to_add_are_read_out_of_a_success() {
    let added = |body: &str| answer(200, body).added(&id());
    for body in ["", "{}", r#"{"failures":null}"#, r#"{"failures":[{"id":"other","message":"no"}]}"#] {
        assert_eq!(added(body), Ok(()), "{body}");
    }
    let failed = added(r#"{"failures":["other",{"id":"billing-export","message":"no\nHidden-Value-1"}]}"#);
    assert!(
        matches!(&failed, Err(Error::Rejected(said)) if said.ends_with("the answer repeats what was sent and is not shown")),
        "{failed:?}"
    );
    assert!(
        added(r#"{"failures":[{"message":"m"}]}"#).is_err() && added(r#"{"failures":["billing-export"]}"#).is_err()
    );
}

#[test]
fn roles_are_read_in_every_form() {
    let role = |name: &str| Role { name: name.into(), resource: None };
    let read = answer(
        200,
        r#"{"organizationRoles":[{"name":"a"},"b",7],
            "serviceRoles":[{"serviceDefinitionId":"s","serviceRoles":[{"name":"c"}]},{"serviceRoles":["d"]}]}"#,
    );
    let service = ServiceRoles { service_definition_id: "s".into(), service_roles: vec![role("c")] };
    let direct = Roles { organization_roles: vec![role("a"), role("b")], service_roles: vec![service] };
    assert_eq!(read.roles(), Ok(HeldRoles { direct, inherited: Roles::default() }));
    assert_eq!(answer(200, "{}").roles(), Ok(HeldRoles::default()));
}

fn held(body: &str) -> HeldRoles {
    answer(200, body).roles().unwrap()
}

#[test]
fn a_role_is_inherited_when_its_membership_is_anything_but_direct() {
    let entry = |membership: &str| format!(r#"{{"organizationRoles":[{{"name":"a"{membership}}}]}}"#);
    for direct in ["", r#","membershipType":null"#, r#","membershipType":"""#, r#","membershipType":"direct""#] {
        let HeldRoles { direct, inherited } = held(&entry(direct));
        assert_eq!((direct.organization_roles.len(), inherited), (1, Roles::default()));
    }
    for inherited in ["GROUP", "Nested", "BUNDLE", "something-new"] {
        let HeldRoles { direct, inherited } = held(&entry(&format!(r#","membershipType":"{inherited}""#)));
        assert_eq!((direct, inherited.organization_roles.len()), (Roles::default(), 1));
    }
}

#[test]
fn names_of_service_roles_add_what_the_roles_themselves_do_not_show() {
    let names = |roles: &Roles| -> Vec<(String, Option<String>)> {
        let roles = roles.service_roles.iter().flat_map(|service| &service.service_roles);
        roles.map(|role| (role.name.clone(), role.resource.clone())).collect()
    };
    let service = |rest: &str| held(&format!(r#"{{"serviceRoles":[{{"serviceDefinitionId":"s",{rest}}}]}}"#));
    let only_names = service(r#""serviceRoleNames":["a","b"]"#);
    assert_eq!(names(&only_names.direct), [("a".into(), None), ("b".into(), None)]);
    let both = service(
        r#""serviceRoleNames":["a","b","c"],
            "serviceRoles":[{"name":"a","resource":"r"},{"name":"b","membershipType":"GROUP"}]"#,
    );
    assert_eq!(names(&both.direct), [("a".into(), Some("r".into())), ("c".into(), None)]);
    assert_eq!(names(&both.inherited), [("b".into(), None)]);
}

#[test]
fn an_empty_resource_is_none() {
    for none in ["", r#","resource":null"#, r#","resource":"""#] {
        let read = held(&format!(r#"{{"organizationRoles":[{{"name":"a"{none}}}]}}"#));
        assert_eq!(read.direct.organization_roles, [Role { name: "a".into(), resource: None }], "{none}");
    }
}

#[test]
fn an_answer_shows_roles_if_it_has_the_fields_of_the_list() {
    assert!(answer(200, r#"{"organizationRoles":[]}"#).shows_roles());
    assert!(answer(200, r#"{"serviceRoles":[]}"#).shows_roles());
    for (status, body) in [(404, r#"{"organizationRoles":[]}"#), (200, "{}"), (200, r#"{"roles":[]}"#), (200, "[]")] {
        assert!(!answer(status, body).shows_roles(), "{status} {body}");
    }
}

#[test]
fn an_update_brings_the_app_only_if_its_answer_shows_it() {
    let shown = |body: &str| answer(200, body).updated(cloud_services(), &id()).is_some();
    assert!(shown(r#"{"id":"billing-export","displayName":"Billing"}"#));
    for body in ["", "{}", r#"{"id":"billing-export"}"#, r#"{"id":"other","displayName":"x"}"#, "[]"] {
        assert!(!shown(body), "{body}");
    }
}

/// Values of every type but text. What they hold must not be picked up.
const NO_TEXT: [&str; 8] = [
    "null",
    "true",
    "7",
    "-0.5",
    "[]",
    r#"["billing-export"]"#,
    "{}",
    r#"{"id":"billing-export","name":"n","message":"m","clientSecret":"s"}"#,
];

#[test]
fn credentials_of_unexpected_types_are_refused() {
    let read = |body: &str| answer(200, body).credentials(&id(), true);
    for value in NO_TEXT {
        assert!(read(&format!(r#"{{"clientId":{value},"clientSecret":"s3"}}"#)).is_err(), "{value}");
        let secret = read(&format!(r#"{{"clientId":"billing-export","clientSecret":{value}}}"#));
        assert_eq!(secret.is_ok(), value == "null", "{value}");
        let unknown = format!(r#"{{"x":{value},"clientId":"billing-export","clientSecret":"s3","":{value}}}"#);
        assert_eq!(read(&unknown).unwrap().client_secret.unwrap().expose(), "s3", "{value}");
    }
    assert!(read(r#"["billing-export","s3"]"#).is_err(), "an array is no object");
}

#[test]
fn texts_of_unexpected_types_do_not_hide_others() {
    let names = ["message", "error_description", "error", "detail", "title"];
    for value in NO_TEXT {
        for (at, name) in names.iter().enumerate() {
            let hidden: String = names[..at].iter().map(|name| format!(r#""{name}":{value},"#)).collect();
            let body = format!(r#"{{"x":{value},{hidden}"{name}":"not so","clientId":{value}}}"#);
            assert_eq!(answer(400, &body).message().as_deref(), Some("not so"), "{body}");
        }
        assert_eq!(answer(400, &format!(r#"{{"x":{value},"error":{value}}}"#)).message(), None, "{value}");
        assert_eq!(answer(400, value).is_json_object(), value.starts_with('{'), "{value}");
    }
}

#[test]
fn failures_of_unexpected_types_name_no_app() {
    for value in NO_TEXT.into_iter().filter(|value| !value.contains("billing")) {
        let deletion = |body: &str| answer(200, body).deletion(&id());
        assert_eq!(deletion(&format!(r#"{{"x":["billing-export"],"failed":{value}}}"#)), Ok(Deletion::Accepted));
        assert_eq!(deletion(&format!(r#"{{"failed":[{value}]}}"#)), Ok(Deletion::Accepted), "{value}");
        let entry = format!(r#"{{"x":{value},"id":{value},"clientId":"billing-export"}}"#);
        assert_eq!(deletion(&format!(r#"{{"failed":[{value},{entry}]}}"#)), Ok(Deletion::Failed), "{value}");
        let added = |body: &str| answer(200, body).added(&id());
        let failed = |why: &str| Err(Error::Rejected(format!("create app: {why}")));
        assert_eq!(added(&format!(r#"{{"x":[7],"failures":{value}}}"#)), Ok(()), "{value}");
        assert_eq!(added(&format!(r#"{{"failures":["other",{value},{{"error":"no"}}]}}"#)), failed("it failed"));
        let entry = format!(r#"{{"id":{value},"message":{value},"error":"no"}}"#);
        assert_eq!(added(&format!(r#"{{"failures":[{entry},{{"message":"m"}}]}}"#)), failed("no"), "{value}");
    }
    let two_ids = r#"{"failed":[{"clientId":"billing-export","id":"other"}]}"#;
    assert_eq!(answer(200, two_ids).deletion(&id()), Ok(Deletion::Accepted), "the id counts");
    let many = format!(r#"{{"failures":[{}"billing-export"]}}"#, r#"{"id":"other","message":"m"},"#.repeat(8000));
    assert_eq!(answer(200, &many).added(&id()), Err(Error::Rejected("create app: it failed".into())));
}

#[test]
fn roles_of_unexpected_types_are_left_out() {
    let role = |name: &str| Role { name: name.into(), resource: None };
    for value in NO_TEXT.into_iter().filter(|value| !value.contains("name")) {
        let read = |body: &str| answer(200, body).roles().unwrap();
        let no_list = if value.starts_with('[') { "{}" } else { value };
        let body =
            format!(r#"{{"x":{{"organizationRoles":["a"]}},"organizationRoles":{no_list},"serviceRoles":{value}}}"#);
        assert_eq!(read(&body), HeldRoles::default(), "{value}");
        let roles = format!(r#"[{value},{{"name":{value}}},{{"x":{value},"name":"a","resource":{value}}}]"#);
        let body = format!(
            r#"{{"organizationRoles":{roles},"serviceRoles":[{value},{{"serviceDefinitionId":{value},"serviceRoles":["b"]}},
                {{"serviceDefinitionId":"s","serviceRoles":{roles}}}]}}"#
        );
        let service = ServiceRoles { service_definition_id: "s".into(), service_roles: vec![role("a")] };
        let direct = Roles { organization_roles: vec![role("a")], service_roles: vec![service] };
        assert_eq!(read(&body), HeldRoles { direct, inherited: Roles::default() }, "{value}");
    }
    let body = r#"{"organizationRoles":[{"resource":"instance:1","name":"a","displayName":"A"}]}"#;
    let limited = Role { resource: Some("instance:1".into()), ..role("a") };
    assert_eq!(answer(200, body).roles().unwrap().direct.organization_roles, [limited]);
}

#[test]
fn the_last_of_repeated_fields_counts() {
    let credentials = r#"{"clientId":7,"clientSecret":"old","clientId":"billing-export","clientSecret":"new"}"#;
    let credentials = answer(200, credentials).credentials(&id(), false).unwrap();
    assert_eq!(credentials.client_secret.unwrap().expose(), "new");
    let read = |body: &str| answer(200, body);
    assert_eq!(read(r#"{"failed":["billing-export"],"failed":[]}"#).deletion(&id()), Ok(Deletion::Accepted));
    assert_eq!(read(r#"{"failures":["billing-export"],"failures":null}"#).added(&id()), Ok(()));
    assert_eq!(read(r#"{"message":"old","error":"new","message":7}"#).message().as_deref(), Some("new"));
    assert_eq!(read(r#"{"organizationRoles":["a"],"organizationRoles":{}}"#).roles(), Ok(HeldRoles::default()));
}

#[test]
fn an_answer_that_is_nested_too_deep_is_no_json() {
    let nested = |depth: usize| format!(r#"{{"message":"no","x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert_eq!(answer(400, &nested(126)).message().as_deref(), Some("no"));
    for depth in [127, 128 << 10] {
        let answer = answer(400, &nested(depth));
        assert!(!answer.is_json_object() && answer.roles().is_err(), "{depth}");
        assert!(answer.message().is_some_and(|said| said.starts_with(r#"{"message":"no","x":[[["#)), "{depth}");
    }
}

#[test]
fn the_client_is_refused_whatever_organization_the_request_named() {
    for (status, body, is_refused) in [
        (401, "{}", true),
        (400, r#"{"error":"invalid_client"}"#, true),
        (403, r#"{"error":"invalid_client","error_description":"bad"}"#, true),
        (400, r#"{"error":"invalid_grant"}"#, false),
        (403, r#"{"message":"no such organization"}"#, false),
        (404, "", false),
    ] {
        assert_eq!(answer(status, body).refuses_client(), is_refused, "{status} {body}");
    }
}
