//! The certificate authorities that a connection trusts, as PEM. [RFC 7468]
//! A bundle is either read completely or refused with the line of the error: no certificate is skipped silently.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Certificate;

/// The largest bundle, in bytes: as much as a ConfigMap holds.
const LARGEST: usize = 1 << 20;
const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
const CERTIFICATE: &str = "CERTIFICATE";

/// Why a bundle cannot be trusted: the line if it is about one, what is wrong there, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    #[error("it is larger than 1 MiB: leave the certificates out that are not needed")]
    TooLarge,
    #[error("it is not text: certificates must be in PEM form")]
    NotText,
    #[error("it holds no certificate in PEM form: put at least one there")]
    Empty,
    #[error("line {line}: {why}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what to do.
        why: &'static str,
    },
}

/// All certificates of a bundle, of which there is at least one. Between them may be white space, and lines that begin with
/// `#`; two may also follow each other without a line break.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, BundleError> {
    if pem.len() > LARGEST {
        return Err(BundleError::TooLarge);
    }
    let bundle = Bundle(std::str::from_utf8(pem).map_err(|_| BundleError::NotText)?);
    let mut certificates = Vec::new();
    let mut at = 0;
    while let Some(begin) = bundle.next_block(at)? {
        let (der, end) = bundle.certificate(begin)?;
        certificates
            .push(Certificate::from_der(&der).map_err(|_| bundle.error(begin, "a certificate cannot be read"))?);
        at = end;
    }
    if certificates.is_empty() {
        return Err(BundleError::Empty);
    }
    Ok(certificates)
}

/// The text of a bundle; positions are in bytes.
struct Bundle<'a>(&'a str);

impl<'a> Bundle<'a> {
    /// The position of the next block. Any other text could be a damaged certificate, so it is refused.
    fn next_block(&self, at: usize) -> Result<Option<usize>, BundleError> {
        let rest = &self.0[at..];
        let begin = rest.find(BEGIN).unwrap_or(rest.len());
        let mut line_at = at;
        for line in rest[..begin].split('\n') {
            if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
                let why = "there is text outside of the certificates: remove it, or begin the line with #";
                return Err(self.error(line_at, why));
            }
            line_at += line.len() + 1;
        }
        Ok((begin < rest.len()).then_some(at + begin))
    }

    /// The certificate of the block that begins there, and where the block ends.
    fn certificate(&self, begin: usize) -> Result<(Vec<u8>, usize), BundleError> {
        let rest = &self.0[begin + BEGIN.len()..];
        let label = rest.find(DASHES).map(|end| &rest[..end]).filter(|label| !label.contains('\n'));
        match label {
            Some(CERTIFICATE) => {}
            Some(label) if label.ends_with("PRIVATE KEY") => {
                let why = "there is a private key: take it out, and replace it, since others may have read it";
                return Err(self.error(begin, why));
            }
            Some(_) | None => return Err(self.error(begin, "there is something else than a certificate: remove it")),
        }
        let body_at = begin + BEGIN.len() + CERTIFICATE.len() + DASHES.len();
        let body = &self.0[body_at..];
        let length = body.find(DASHES).ok_or_else(|| self.error(begin, "the certificate has no end"))?;
        let end = format!("{DASHES}END {CERTIFICATE}{DASHES}");
        if !body[length..].starts_with(&end) {
            return Err(self.error(begin, "the certificate has no end"));
        }
        let base64: String = body[..length].split_ascii_whitespace().collect();
        let der = STANDARD.decode(base64).ok().filter(|der| is_whole(der));
        let der = der.ok_or_else(|| self.error(begin, "a certificate is damaged: put it there again as a whole"))?;
        Ok((der, body_at + length + end.len()))
    }

    fn error(&self, at: usize, why: &'static str) -> BundleError {
        let line = self.0[..at].bytes().filter(|byte| *byte == b'\n').count() + 1;
        BundleError::Line { line, why }
    }
}

/// Whether these bytes are one DER sequence with nothing missing and nothing behind it. What is inside is read by the TLS
/// library.
fn is_whole(der: &[u8]) -> bool {
    let (length, header) = match der {
        [0x30, length @ 0..=0x7f, ..] => (usize::from(*length), 2),
        [0x30, 0x81, length, ..] => (usize::from(*length), 3),
        [0x30, 0x82, high, low, ..] => (usize::from(u16::from_be_bytes([*high, *low])), 4),
        _ => return false,
    };
    der.len() == header + length
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    /// Three certificates of different authorities; no authority makes one of 65 KiB or more.
    static PEM: LazyLock<Vec<String>> =
        LazyLock::new(|| (0..3).map(|_| iam_simulator::Simulator::spawn().ca_pem().trim().to_owned()).collect());

    fn count(bundle: &str) -> Result<usize, String> {
        certificates(bundle.as_bytes()).map(|certificates| certificates.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_certificate_of_a_bundle_is_trusted() {
        let [one, two, three] = PEM.as_slice() else { panic!() };
        assert_eq!(count(one), Ok(1));
        assert_eq!(count(&format!("{one}\n{two}\n")), Ok(2));
        assert_eq!(count(&format!("{one}{two}{three}")), Ok(3), "without a line break between them");
        assert_eq!(count(&format!("# one\r\n\t{}\r\n\r\n # two \n{two}#", one.replace('\n', "\r\n\t"))), Ok(2));
    }

    #[test]
    fn a_bundle_of_which_a_certificate_would_be_lost_is_refused_with_its_line() {
        let [one, two, _] = PEM.as_slice() else { panic!() };
        let second = one.lines().count() + 1;
        let lines: Vec<&str> = two.lines().collect();
        let short = [&lines[..2], &lines[3..]].concat().join("\n");
        let bad = two.replacen(lines[1], &format!("!{}", &lines[1][1..]), 1);
        for (damaged, why) in [
            (two.replace("-----BEGIN", "----BEGIN"), "there is text outside of the certificates"),
            (two.replace("-----BEGIN CERTIFICATE-----\n", ""), "there is text outside of the certificates"),
            (two.replace("-----END CERTIFICATE-----", ""), "the certificate has no end"),
            (two.replace("-----END CERTIFICATE-----", "-----END CERTIFICATE----"), "the certificate has no end"),
            (format!("{}\n{two}", two.replace("-----END CERTIFICATE-----", "")), "the certificate has no end"),
            (two.replace("CERTIFICATE", "TRUSTED CERTIFICATE"), "there is something else than a certificate"),
            (two.replace("CERTIFICATE", "EC PRIVATE KEY"), "there is a private key"),
            ("-----BEGIN CERTIFICATE".into(), "there is something else than a certificate"),
            (short, "a certificate is damaged"),
            (bad, "a certificate is damaged"),
            (format!("-----BEGIN CERTIFICATE----------END CERTIFICATE-----\n{two}"), "a certificate is damaged"),
            (format!("Issuer: somebody\n{two}"), "there is text outside of the certificates"),
        ] {
            let said = count(&format!("{one}\n{damaged}\n")).unwrap_err();
            assert!(said.starts_with(&format!("line {second}: {why}")), "{said}\n{damaged}");
        }
    }

    #[test]
    fn a_bundle_without_a_certificate_or_with_too_many_is_refused() {
        for bundle in ["", " \n", "# no certificate"] {
            assert!(count(bundle).unwrap_err().starts_with("it holds no certificate"), "{bundle}");
        }
        assert!(certificates(&[0xff]).unwrap_err().to_string().starts_with("it is not text"));
        assert!(
            count(&format!("{}{}", PEM[0], " ".repeat(LARGEST))).unwrap_err().starts_with("it is larger than 1 MiB")
        );
    }

    proptest! {
        #[test]
        fn any_bundle_is_read_as_a_whole_or_refused(
            pieces in proptest::collection::vec(prop_oneof![
                (0usize..3).prop_map(|index| PEM[index].clone()),
                Just("\n".to_owned()), Just("-----BEGIN CERTIFICATE-----".to_owned()), Just(DASHES.to_owned()),
                Just("-----END CERTIFICATE-----".to_owned()), Just("# comment\n".to_owned()), any::<String>(),
            ], 0..8)
        ) {
            let bundle = pieces.concat();
            match count(&bundle) {
                Ok(read) => prop_assert_eq!(read, bundle.matches("END CERTIFICATE").count()),
                Err(said) => prop_assert!(said.len() < 200, "{said}"),
            }
        }
    }
}
