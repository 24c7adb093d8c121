use super::*;
use crate::crd::OrgOAuthApp;
use kube::CustomResourceExt;
use proptest::prelude::*;

fn fill_all(templates: &[(&str, &str)], secret: Option<&str>) -> Result<BTreeMap<String, ClientSecret>, String> {
    let (id, org) = (ClientId("id-1".into()), OrgId("org-1".into()));
    let secret = secret.map(|secret| ClientSecret::new(secret.into()));
    let token_url = "https://iam.example.com/auth/v1/authn/accounts/org-1/accesstoken".to_owned();
    let values = Values { client_id: &id, client_secret: secret.as_ref(), org_id: &org, token_url };
    let templates = templates.iter().map(|(key, template)| (key.to_string(), template.to_string())).collect();
    fill(&templates, &values).map_err(|error| error.to_string())
}

fn filled(template: &str, secret: Option<&str>) -> Result<String, String> {
    fill_all(&[("key", template)], secret).map(|values| values["key"].expose().to_owned())
}

#[test]
fn every_value_can_be_used_and_encoded() {
    let all = "{{ clientId }} {{clientSecret}} {{\n\torgId\r\n}} {{ tokenUrl }}";
    let url = "https://iam.example.com/auth/v1/authn/accounts/org-1/accesstoken";
    assert_eq!(filled(all, Some("a&b")), Ok(format!("id-1 a&b org-1 {url}")));
    let encoded = r#"{"s": {{ clientSecret | json }}} {{ clientSecret|base64 }} {{ clientSecret | urlencode }}"#;
    assert_eq!(filled(encoded, Some("a&\"")), Ok(r#"{"s": "a&\""} YSYi a%26%22"#.into()));
    assert_eq!(filled("{{ clientSecret | base64 | json }}", Some("a")), Ok("\"YQ==\"".into()));
}

#[test]
fn everything_but_two_braces_stands_for_itself() {
    for text in ["", "{", "}", "}}", "{ {x} }", "{#x#}", "a\r\nb", "100 %}", "日本 {"] {
        assert_eq!(filled(text, None).as_deref(), Ok(text));
    }
    assert_eq!(filled("{x{{ orgId }}}{", None).as_deref(), Ok("{xorg-1}{"));
}

#[test]
fn an_error_has_key_line_column_and_cause_and_no_value() {
    let names = "there are clientId, clientSecret, orgId and tokenUrl";
    let functions = "there are json, base64 and urlencode";
    let grammar = "a template is text and {{ name | function }}";
    for (template, place, said) in [
        ("a\nö {{ clientid }}", "line 2, column 6", format!("no value has the name clientid: {names}")),
        ("{{ clientId", "line 1, column 1", format!("{{{{ has no }}}}: {grammar}")),
        ("{{ clientId | nothing }}", "line 1, column 15", format!("no function has the name nothing: {functions}")),
        ("x {% include \"/etc/passwd\" %}", "line 1, column 3", format!("{{% begins nothing here: {grammar}")),
        ("{{ clientSecret.x }}", "line 1, column 4", format!("no value has the name clientSecret.x: {names}")),
        ("{{ (clientSecret) }}", "line 1, column 4", format!("no value has the name (clientSecret): {names}")),
        ("{{ \"text\" }}", "line 1, column 4", format!("no value has the name \"text\": {names}")),
        ("{{}}", "line 1, column 3", format!("a name is missing: {names}")),
        ("{{{ orgId }}", "line 1, column 3", format!("no value has the name {{ orgId: {names}")),
        ("{{ orgId | }}", "line 1, column 12", format!("a function is missing: {functions}")),
        ("{{ a\n\u{202e}b }}", "line 1, column 4", format!("no value has the name a b: {names}")),
    ] {
        let error = filled(template, Some("hidden")).unwrap_err();
        assert_eq!(error, format!("spec.secret.template.key {place}: {said}"), "{template}");
    }
    let error = filled("\n {{ clientSecret }}", None).unwrap_err();
    assert_eq!(error, "spec.secret.template.key line 2, column 5: a public client has no clientSecret: remove it");
}

#[test]
fn no_template_makes_more_than_a_secret_can_hold() {
    let chain = |functions: usize| format!("{{{{ clientId {}}}}}", "| base64 ".repeat(functions));
    assert!(filled(&chain(8), None).is_ok());
    let many = filled(&chain(1000), None).unwrap_err();
    assert!(many.ends_with("a value passes through at most 8 functions"), "{many}");
    let long = "\"".repeat(1000);
    let escaped = filled("{{ clientSecret | json | json | json | json | json | json | json }}", Some(&long));
    assert_eq!(escaped.unwrap_err(), "spec.secret.template.key makes more than 65536 bytes: shorten it");
    assert!(filled(&"{{ tokenUrl }}".repeat(2000), None).unwrap_err().contains("65536 bytes"));
}

/// The regular expression of the admission rule, as the CRD has it.
fn admitted() -> String {
    let schema = serde_json::to_value(OrgOAuthApp::crd()).unwrap();
    let template = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/secret/properties/template";
    let rules = schema.pointer(template).unwrap()["x-kubernetes-validations"].as_array().unwrap().clone();
    let rule = rules.iter().filter_map(|rule| rule["rule"].as_str()).find(|rule| rule.contains("clientSecret"));
    let (_, expression) = rule.unwrap().split_once("matches(r'").unwrap();
    expression.strip_suffix("'))").unwrap().to_owned()
}

proptest! {
    #[test]
    fn what_admission_lets_through_is_filled(
        template in proptest::string::string_regex(admitted().trim_start_matches('^').trim_end_matches('$')).unwrap()
    ) {
        prop_assert!(filled(&template, Some("s3cr3t")).is_ok(), "{template}");
    }

    #[test]
    fn any_text_is_filled_within_the_limit_or_refused_without_a_value(
        pieces in proptest::collection::vec(prop_oneof![
            Just("{{".to_owned()), Just("}}".to_owned()), Just("|".to_owned()), Just("{%".to_owned()),
            Just(" clientSecret ".to_owned()), Just("json".to_owned()), Just("{{ orgId | base64 }}".to_owned()),
            any::<String>(),
        ], 0..20)
    ) {
        let template = pieces.concat();
        match filled(&template, Some("hidden-value")) {
            Ok(text) => prop_assert!(text.len() <= LONGEST),
            Err(said) => prop_assert!(said.len() < 300 && !said.contains("hidden-value"), "{said}"),
        }
    }
}
