//! The CA certificates of the image: Mozilla's, from the crate `webpki-root-certs`.
//! Those of the build machine would depend on it, and could include a company's own.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// As PEM, in the order of the crate.
#[must_use]
pub fn mozilla() -> String {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|certificate| pem(certificate)).collect()
}

fn pem(der: &[u8]) -> String {
    let encoded = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = encoded.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_pem_of_the_same_bytes() {
        let text = mozilla();
        let blocks: Vec<_> = text.split("-----BEGIN CERTIFICATE-----\n").skip(1).collect();
        assert!(blocks.len() > 100, "{}", blocks.len());
        let encoded: String = blocks[0].lines().take_while(|line| !line.starts_with('-')).collect();
        assert_eq!(BASE64_STANDARD.decode(encoded).unwrap(), webpki_root_certs::TLS_SERVER_ROOT_CERTS[0].as_ref());
        assert!(text.lines().all(|line| line.len() <= 64));
    }
}
