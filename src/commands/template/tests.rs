use super::*;
use crate::cli::{Cli, Command};
use clap::Parser;
use std::fs;
use tempfile::NamedTempFile;

const MANIFEST: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
---
apiVersion: oauth-apps.dev/v1alpha1
kind: OrgOAuthApp
metadata: {name: billing, namespace: team}
spec:
  orgId: org-1
  secret:
    name: credentials
    labels: {team: a}
    template:
      url: "https://{{ clientId | urlencode }}@x/{{ orgId }}"
      two.txt: "id={{ clientId }}\nsecret={{ clientSecret }}\n"
"#;

fn previews(manifest: &str, more: &[&str]) -> Result<Vec<SecretPreview>, CommandError> {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), manifest).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let arguments = [&["oauth-app-operator", "template", "-f", &path], more].concat();
    let Some(Command::Template(arguments)) = Cli::parse_from(arguments).command else { panic!("another command") };
    arguments.previews()
}

#[test]
fn a_manifest_is_filled_with_placeholders() {
    let all = previews(MANIFEST, &[]).unwrap();
    let [preview] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((preview.app.as_str(), preview.name.as_str()), ("billing", "credentials"));
    assert_eq!(preview.labels["team"], "a");
    let data: Vec<_> = preview.data.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(
        data,
        [
            ("client-id", "<client-id>"),
            ("client-secret", "<client-secret>"),
            ("token-url", "<token-url>"),
            ("two.txt", "id=<client-id>\nsecret=<client-secret>\n"),
            ("url", "https://%3Cclient-id%3E@x/org-1"),
        ]
    );
}

#[test]
fn values_can_be_given_and_a_chosen_id_is_known() {
    let set = previews(MANIFEST, &["--set", "client-id=abcde", "--set", "token-url=https://x"]).unwrap();
    assert_eq!((set[0].data["client-id"].as_str(), set[0].data["token-url"].as_str()), ("abcde", "https://x"));
    let chosen = MANIFEST.replace("orgId: org-1", "orgId: org-1\n  id: chosen-id");
    assert_eq!(previews(&chosen, &[]).unwrap()[0].data["client-id"], "chosen-id");
    let wrong = Cli::try_parse_from(["oauth-app-operator", "template", "-f", "x", "--set", "orgId=x"]).unwrap_err();
    assert!(wrong.to_string().contains("the names are client-id, client-secret and token-url"), "{wrong}");
}

#[test]
fn an_error_names_the_app_the_key_and_the_position() {
    let wrong = previews(&MANIFEST.replace("| urlencode", "| urlencod"), &[]).unwrap_err().to_string();
    assert_eq!(
        wrong,
        "OrgOAuthApp billing: spec.secret.template.url line 1, column 23: no function has the name urlencod: there are json, base64 and urlencode"
    );
    let public = MANIFEST.replace("orgId: org-1", "orgId: org-1\n  publicClient: true");
    let public = previews(&public, &[]).unwrap_err().to_string();
    assert!(
        public.contains("spec.secret.template.two.txt line 2, column 11: a public client has no clientSecret"),
        "{public}"
    );
    let field = previews(&MANIFEST.replace("orgId: org-1", "orgId: [1]"), &[]).unwrap_err().to_string();
    assert!(field.starts_with("OrgOAuthApp billing: spec.orgId: invalid type"), "{field}");
    let other = "{apiVersion: oauth-apps.dev/v1alpha1, kind: IamConnection, metadata: {name: x}}";
    assert_eq!(previews(other, &[]).unwrap_err().to_string(), "no OrgOAuthApp in these manifests");
}

#[test]
fn a_control_character_reaches_no_terminal() {
    assert_eq!(visible("a\tb\u{1b}[31mä\u{202e}"), "a\\tb\\u{1b}[31mä\\u{202e}");
}
