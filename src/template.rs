//! Fills the templates of further keys in the Secret. There is nothing in reach but the values given: no file, no
//! environment, no loop without an end, and a limit of size for every value on the way.

use crate::crd::Api;
use crate::remote::{ClientId, ClientSecret, OrgId};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::collections::BTreeMap;
use url::form_urlencoded;

/// The longest value that a template may make, in bytes; a Secret holds 1 MiB in all.
const LONGEST: usize = 64 << 10;

/// What templates can use.
pub struct Values<'a> {
    /// The app's client id.
    pub client_id: &'a ClientId,
    /// Its secret; none for a public client.
    pub client_secret: Option<&'a ClientSecret>,
    /// The organization that owns the app.
    pub org_id: &'a OrgId,
    /// Where a token can be had for the credential.
    pub token_url: String,
}

/// The URL of the token exchange for an app's own credentials. [vmc-org, cpn-account-token]
pub fn token_url(api: Api, endpoint: &str, org: &OrgId) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    match api {
        Api::CloudServices => format!("{endpoint}/csp/gateway/am/api/auth/authorize"),
        Api::CloudPartnerNavigator => format!("{endpoint}/v1/authn/accounts/{org}/accesstoken"),
    }
}

/// The value of each key.
///
/// # Errors
/// A sentence with the key, the line and the cause; it holds no value.
pub fn fill(
    templates: &BTreeMap<String, String>,
    values: &Values<'_>,
) -> Result<BTreeMap<String, ClientSecret>, String> {
    let mut engine = upon::Engine::new();
    engine.add_function("json", |text: String| bounded(serde_json::Value::String(text).to_string()));
    engine.add_function("base64", |text: String| bounded(STANDARD.encode(text)));
    engine.add_function("urlencode", |text: String| {
        bounded(form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>())
    });
    let context = context(values);
    let known = known(&context);
    let given = upon::Value::from(context);
    let fill = |(key, source): (&String, &String)| {
        let filled =
            engine.compile(source.as_str()).and_then(|template| template.render_from(&engine, &given).to_string());
        match filled.map_err(|error| (place(&error, source), error.to_string())) {
            Ok(text) if text.len() <= LONGEST => Ok((key.clone(), ClientSecret::new(text))),
            Ok(_) => Err(format!("spec.secret.template.{key} makes more than {LONGEST} bytes")),
            Err((place, cause)) => Err(format!("spec.secret.template.{key}{place}: {cause}; {known}")),
        }
    };
    templates.iter().map(fill).collect()
}

fn context(values: &Values<'_>) -> BTreeMap<String, upon::Value> {
    let text = |text: &str| upon::Value::from(text);
    let mut context = BTreeMap::from([
        ("clientId".to_owned(), text(&values.client_id.0)),
        ("orgId".to_owned(), text(&values.org_id.0)),
        ("tokenUrl".to_owned(), text(&values.token_url)),
    ]);
    context.extend(values.client_secret.map(|secret| ("clientSecret".to_owned(), text(secret.expose()))));
    context
}

fn known(context: &BTreeMap<String, upon::Value>) -> String {
    let values: Vec<&str> = context.keys().map(String::as_str).collect();
    format!("there are {} and the functions json, base64, urlencode", values.join(", "))
}

/// A function that is applied to its own result over and over must not fill the memory.
fn bounded(text: String) -> Result<String, String> {
    if text.len() <= LONGEST { Ok(text) } else { Err(format!("a value of more than {LONGEST} bytes")) }
}

/// The line, and the word of the template in it. Of the detailed form of the error only the place is taken, which stands
/// after an arrow as `name:line:column`.
fn place(error: &upon::Error, source: &str) -> String {
    let detail = format!("{error:#}");
    let place = detail.lines().find_map(|line| line.trim_start().strip_prefix("--> ")).unwrap_or_default();
    let mut numbers = place.rsplit(':').map(|number| number.parse::<usize>().ok());
    let (Some(column), Some(line)) = (numbers.next().flatten(), numbers.next().flatten()) else { return String::new() };
    let rest = source.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let rest: String = rest.chars().skip(column.saturating_sub(1)).collect();
    match rest.split(|c: char| c.is_whitespace() || "|}".contains(c)).next().filter(|word| !word.is_empty()) {
        Some(word) => format!(" line {line} at {word}"),
        None => format!(" line {line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill_one(template: &str, secret: Option<&str>) -> Result<String, String> {
        let (id, org) = (ClientId("id-1".into()), OrgId("org-1".into()));
        let secret = secret.map(|secret| ClientSecret::new(secret.into()));
        let token_url = token_url(Api::CloudPartnerNavigator, "https://iam.example.com/auth/", &org);
        let values = Values { client_id: &id, client_secret: secret.as_ref(), org_id: &org, token_url };
        let templates = BTreeMap::from([("key".to_owned(), template.to_owned())]);
        fill(&templates, &values).map(|filled| filled["key"].expose().to_owned())
    }

    #[test]
    fn every_value_can_be_used_and_encoded() {
        let all = "{{ clientId }} {{ clientSecret }} {{ orgId }} {{ tokenUrl }}";
        let url = "https://iam.example.com/auth/v1/authn/accounts/org-1/accesstoken";
        assert_eq!(fill_one(all, Some("a&b")), Ok(format!("id-1 a&b org-1 {url}")));
        let encoded = r#"{"s": {{ clientSecret | json }} } {{ clientSecret | base64 }} {{ clientSecret | urlencode }}"#;
        assert_eq!(fill_one(encoded, Some("a&\"")), Ok(r#"{"s": "a&\"" } YSYi a%26%22"#.into()));
        assert_eq!(
            token_url(Api::CloudServices, "https://iam.example.com", &OrgId("o".into())),
            "https://iam.example.com/csp/gateway/am/api/auth/authorize"
        );
    }

    #[test]
    fn an_error_has_key_line_and_cause_and_no_value() {
        for (template, said) in [
            ("a\n{{ clientid }}", "spec.secret.template.key line 2 at clientid: "),
            ("{{ clientId", "spec.secret.template.key line 1"),
            ("{{ clientId | nothing }}", "spec.secret.template.key line 1 at nothing: "),
            ("{% include \"/etc/passwd\" %}", "spec.secret.template.key line 1"),
            ("{{ clientSecret.x }}", "spec.secret.template.key line 1"),
        ] {
            let error = fill_one(template, Some("hidden")).unwrap_err();
            assert!(error.starts_with(said) && error.len() > said.len() && !error.contains("hidden"), "{error}");
            let known = "; there are clientId, clientSecret, orgId, tokenUrl and the functions json, base64, urlencode";
            assert!(error.ends_with(known), "{error}");
        }
        assert!(fill_one("{{ clientSecret }}", None).is_err(), "a public client has none");
    }

    #[test]
    fn no_template_makes_more_than_a_secret_can_hold() {
        let again = format!("{{{{ clientId {} }}}}", "| base64".repeat(100));
        assert!(fill_one(&again, None).unwrap_err().contains("65536 bytes"));
        assert!(fill_one(&"{{ tokenUrl }}".repeat(2000), None).unwrap_err().contains("65536 bytes"));
    }
}
