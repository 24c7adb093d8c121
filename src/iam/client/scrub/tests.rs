use super::*;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::Value;
use url::form_urlencoded::byte_serialize;

fn shown(message: &str, secret: &str) -> String {
    scrub(message, &KnownSecrets::default().with(secret), &[])
}

/// Every byte as `%XX`, as no encoder has to do and any may.
fn percent_all(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// Every character as `\uXXXX`.
fn json_all(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect()
}

fn json(text: &str) -> String {
    Value::from(text).to_string()
}

fn form(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

/// The ways in which a service may write what it was sent.
fn spellings(id: &str, secret: &str) -> Vec<String> {
    let pair = format!("{id}:{secret}");
    vec![
        secret.into(),
        json(secret),
        json(&json(secret)),
        json_all(secret),
        form(secret),
        form(&json(secret)),
        json(&form(secret)),
        percent_all(secret),
        STANDARD.encode(secret),
        URL_SAFE.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        form(&STANDARD.encode(secret)),
        STANDARD.encode(&pair),
        URL_SAFE_NO_PAD.encode(&pair),
        STANDARD
            .encode(&pair)
            .as_bytes()
            .chunks(7)
            .map(|line| format!("{}\r\n", String::from_utf8_lossy(line)))
            .collect(),
        secret.chars().flat_map(|character| [character, '\u{200b}']).collect(),
        secret.to_ascii_uppercase(),
    ]
}

#[test]
fn an_answer_that_repeats_a_secret_is_not_shown() {
    assert_eq!(shown("token s3cr3t! refused", "s3cr3t!"), NOT_SHOWN);
    let long = "aHR0cHM6Ly9leGFtcGxl.abcdefghijklmnop";
    assert_eq!(shown(&format!("invalid_grant: '{long}'"), long), NOT_SHOWN);
    assert_eq!(shown("invalid: Ly9leGFtcGxl…", long), NOT_SHOWN, "twelve characters out of it");
    assert_eq!(shown("ends with ijklmnop", long), "ends with ijklmnop");
    assert_eq!(shown("nothing to hide", ""), "nothing to hide");
    assert_eq!(shown("", "s3cr3t!"), "");
}

#[test]
fn a_secret_is_found_however_it_is_written() {
    for secret in ["s3c&r=t!", "a\"b\\c/d", "Long-Enough_to+be/cut=1234567890", "schlüssel \u{1f511} wort", "!$&#*?%25"]
    {
        for id in ["", "o", "op", "ope", "billing-export"] {
            for spelling in spellings(id, secret) {
                assert_eq!(shown(&format!("cannot read [{spelling}], sorry"), secret), NOT_SHOWN, "{spelling}");
            }
        }
    }
    let known = KnownSecrets::of(&ConnectionCredentials::Client {
        id: "operator".into(),
        secret: "s3c&r=t!".to_owned().into(),
    });
    assert_eq!(scrub("client operator is not known", &known, &[]), "client operator is not known");
    assert!(!format!("{known:?}").contains("s3c"));
}

#[test]
fn a_secret_is_found_around_what_is_taken_out() {
    let known = KnownSecrets::default().with("Hidden-Value-1");
    assert_eq!(scrub("Hidden4f1a-Value-1", &known, &["4f1a".into()]), NOT_SHOWN);
}

#[test]
fn a_token_of_any_kind_is_masked() {
    assert_eq!(shown("bad eyJhbGciOiJSUzI1NiJ9.e30.c2ln-_x, eyJhbGciOiJ", "x-secret"), "bad ***, eyJhbGciOiJ");
}

#[test]
fn control_characters_and_line_breaks_go() {
    assert_eq!(shown("a\r\n\tb\u{1b}[31mc\0\u{202e}d", "x-secret"), "a b [31mc d");
}

#[test]
fn request_ids_go() {
    let cases = [
        ("failed (requestId: 4f-1)", "failed ()"),
        ("failed, traceId=\"4f-1\", sorry", "failed, , sorry"),
        ("{\"requestId\":\"4f-1\",\"a\":1}", "{\",\"a\":1}"),
        ("Request-ID 4f-1 and trace id 5a", "and"),
        ("requestId", ""),
    ];
    for (message, left) in cases {
        assert_eq!(shown(message, "x-secret"), left, "{message}");
    }
    assert_eq!(scrub("see 4f-1 there", &KnownSecrets::default(), &["4f-1".into()]), "see there");
}

#[test]
fn long_messages_are_cut_at_characters() {
    let cut = shown(&"ä".repeat(5000), "x-secret");
    assert!(cut.len() <= LONGEST && cut.ends_with("ä…"), "{cut}");
    let secret = "0123456789abcdef";
    assert_eq!(shown(&format!("{}{secret}", "z".repeat(LONGEST - 4)), secret), NOT_SHOWN);
}

proptest! {
    #[test]
    fn no_spelling_of_any_secret_is_shown(
        // White space and plus signs are not compared, so a secret of nothing else could not be found; of one that is
        // shorter than any policy allows, too little is left in Base64 to tell it from words.
        secret in "[^ \\p{C}\\p{Z}+]{8,40}",
        id in "[A-Za-z0-9_-]{0,20}",
        // A backslash before an escape is an escape itself, and what follows is none then.
        before in any::<String>().prop_map(|before| before + " "),
        after in any::<String>(),
    ) {
        for spelling in spellings(&id, &secret) {
            let said = shown(&format!("{before}{spelling}{after}"), &secret);
            prop_assert_eq!(&said, NOT_SHOWN, "{}", spelling);
        }
    }

    #[test]
    fn any_message_becomes_one_line_within_the_limit(
        message in any::<String>(), secret in any::<String>(), ids in proptest::collection::vec(any::<String>(), 0..4)
    ) {
        let said = scrub(&message, &KnownSecrets::default().with(&secret), &ids);
        prop_assert!(said.len() <= LONGEST && !said.chars().any(char::is_control));
    }
}
