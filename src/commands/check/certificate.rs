//! Reads two facts of a certificate for people: its issuer, and when it expires. The TLS library has checked it before, so what
//! cannot be read here is left out. [RFC 5280]

use crate::text::clean;
use k8s_openapi::jiff::Timestamp;

/// The longest name of an issuer, in bytes.
const LONGEST: usize = 200;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const OBJECT_ID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The attributes of a name that identify an authority, the common name first.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
const ORGANIZATION: [u8; 3] = [0x55, 0x04, 0x0a];

/// What a person wants to know of a certificate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) issuer: Option<String>,
    pub(super) expires_at: Option<Timestamp>,
}

/// One element of DER: its tag and its content.
type Element<'a> = (u8, &'a [u8]);

/// Reads DER; `None` when it is no certificate.
pub(super) fn read(der: &[u8]) -> Option<Certificate> {
    let (certificate, _) = sequence(der)?;
    let (to_be_signed, _) = sequence(certificate)?;
    let (first, rest) = element(to_be_signed)?;
    // The serial number, behind an optional version.
    let rest = if first.0 == VERSION { element(rest)?.1 } else { rest };
    let (_algorithm, rest) = sequence(rest)?;
    let (issuer, rest) = sequence(rest)?;
    let (validity, _) = sequence(rest)?;
    let (_not_before, not_after) = element(validity)?;
    let expires_at = element(not_after).and_then(|(element, _)| time(element));
    let issuer = attribute(issuer, COMMON_NAME).or_else(|| attribute(issuer, ORGANIZATION));
    Some(Certificate { issuer, expires_at })
}

/// The first element, and what follows it.
fn element(der: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some(((tag, content), rest))
}

/// The content of a sequence, and what follows it.
fn sequence(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let ((tag, content), rest) = element(der)?;
    (tag == SEQUENCE).then_some((content, rest))
}

/// An attribute of a name, which is a sequence of sets of pairs.
fn attribute(mut name: &[u8], wanted: [u8; 3]) -> Option<String> {
    while let Some(((_set, set), rest)) = element(name) {
        name = rest;
        let (pair, _) = sequence(set)?;
        let ((tag, id), value) = element(pair)?;
        if tag == OBJECT_ID && id == wanted {
            let ((_, text), _) = element(value)?;
            return std::str::from_utf8(text).ok().map(|text| clean(text, LONGEST)).filter(|text| !text.is_empty());
        }
    }
    None
}

/// A time in UTC; of a year with two digits, 50 to 99 are in the last century.
fn time((tag, text): Element<'_>) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let text = match tag {
        UTC_TIME if text >= "50" => format!("19{text}"),
        UTC_TIME => format!("20{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let [year, month, day, hour, minute, second] =
        [(0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14)].map(|(from, to)| text.get(from..to));
    format!("{}-{}-{}T{}:{}:{}Z", year?, month?, day?, hour?, minute?, second?).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    fn der(pem: &str) -> Vec<u8> {
        let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        STANDARD.decode(base64).unwrap()
    }

    #[test]
    fn a_real_certificate_shows_its_issuer_and_its_end() {
        let pem = iam_simulator::Simulator::spawn().ca_pem().to_owned();
        let read = read(&der(&pem)).unwrap();
        assert!(read.issuer.is_some_and(|issuer| !issuer.is_empty()));
        assert!(read.expires_at.unwrap() > Timestamp::now());
    }

    #[test]
    fn both_forms_of_a_time_are_read() {
        for (tag, text, read) in [
            (UTC_TIME, "491231235959Z", Some("2049-12-31T23:59:59Z")),
            (UTC_TIME, "500101000000Z", Some("1950-01-01T00:00:00Z")),
            (GENERALIZED_TIME, "20500101000000Z", Some("2050-01-01T00:00:00Z")),
            (GENERALIZED_TIME, "20501301000000Z", None),
            (UTC_TIME, "49", None),
        ] {
            assert_eq!(time((tag, text.as_bytes())), read.map(|read| read.parse().unwrap()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_there_is_read_or_left_out(der in any::<Vec<u8>>()) {
            let _ = read(&der);
        }
    }
}
