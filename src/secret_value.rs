//! Validates credentials from Secrets and from answers of the API: one line of text, within a limit.
//! All credentials from outside are read here, so that the same rules hold for each.

use std::fmt;

/// The longest client id or client secret, in bytes. The longest of either that any of the APIs documents is 256
/// characters. [csp-create] (undocumented for secrets)
pub(crate) const CREDENTIAL: usize = 1 << 10;
/// The longest API token or access token, in bytes; most servers take no more than that in a header. (undocumented)
pub(crate) const TOKEN: usize = 16 << 10;

/// Why a value cannot be used, to be read after the name of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidValue {
    /// Nothing, or a line break only.
    Empty,
    /// Not UTF-8.
    NotText,
    /// More than so many bytes.
    TooLong(usize),
    /// A line break, a tab, or another character that cannot be seen.
    ControlCharacter,
}

impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::NotText => f.write_str("is not UTF-8 text"),
            Self::TooLong(most) => write!(f, "is longer than {} KiB", most >> 10),
            Self::ControlCharacter => {
                f.write_str("holds a control character, such as a tab or a line break that is not at its end")
            }
        }
    }
}

impl std::error::Error for InvalidValue {}

/// The text of a value, without the one line break that editors and `echo` leave at its end. Nothing else is trimmed.
pub(crate) fn read(value: &[u8], most_bytes: usize) -> Result<&str, InvalidValue> {
    let value = value.strip_suffix(b"\n").map_or(value, |line| line.strip_suffix(b"\r").unwrap_or(line));
    if value.len() > most_bytes {
        return Err(InvalidValue::TooLong(most_bytes));
    }
    let text = std::str::from_utf8(value).map_err(|_| InvalidValue::NotText)?;
    check(text, most_bytes).map(|()| text)
}

/// Whether a text can be used as it is.
pub(crate) fn check(text: &str, most_bytes: usize) -> Result<(), InvalidValue> {
    match text {
        "" => Err(InvalidValue::Empty),
        text if text.len() > most_bytes => Err(InvalidValue::TooLong(most_bytes)),
        text if text.chars().any(char::is_control) => Err(InvalidValue::ControlCharacter),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_line_break_at_the_end_is_no_part_of_a_secret_and_everything_else_is() {
        for value in ["s3cr3t", "s3cr3t\n", "s3cr3t\r\n"] {
            assert_eq!(read(value.as_bytes(), CREDENTIAL), Ok("s3cr3t"), "{value:?}");
        }
        assert_eq!(read(b" s3cr3t ", CREDENTIAL), Ok(" s3cr3t "));
        for value in ["s3cr3t\n\n", "s3cr3t\r", "\ns3cr3t", "s3\tcr3t", "s3\0cr3t", "s3\u{9b}cr3t"] {
            assert_eq!(read(value.as_bytes(), CREDENTIAL), Err(InvalidValue::ControlCharacter), "{value:?}");
        }
    }

    #[test]
    fn a_value_that_is_no_credential_is_refused_with_its_cause() {
        for value in ["", "\n", "\r\n"] {
            assert_eq!(read(value.as_bytes(), CREDENTIAL), Err(InvalidValue::Empty), "{value:?}");
        }
        assert_eq!(read(&[0xff], CREDENTIAL), Err(InvalidValue::NotText));
        assert_eq!(read(&[b'x'; CREDENTIAL], CREDENTIAL).map(str::len), Ok(CREDENTIAL));
        let long = read(&[0xff; CREDENTIAL + 1], CREDENTIAL).unwrap_err();
        assert_eq!(long.to_string(), "is longer than 1 KiB");
        assert_eq!(read(&vec![b'x'; TOKEN + 1], TOKEN).unwrap_err().to_string(), "is longer than 16 KiB");
    }

    proptest! {
        #[test]
        fn what_is_read_is_text_of_one_line_within_the_limit(value in any::<Vec<u8>>(), most in 0usize..64) {
            if let Ok(text) = read(&value, most) {
                prop_assert!(!text.is_empty() && text.len() <= most && !text.chars().any(char::is_control));
                prop_assert!(value.starts_with(text.as_bytes()) && value.len() - text.len() <= 2);
            }
        }
    }
}
