//! Cleans text from outside before it is written to a log, a status, an Event or a metric: one visible line, within a limit.
//! Such a text cannot forge a line, and it cannot hide or reorder characters.

use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;

/// Marks a truncated text.
const ELLIPSIS: char = '…';

/// The text without control characters, format characters (Unicode category Cf, which includes those that change the direction
/// of writing) and repeated white space, at most `max_bytes` long. A truncated text ends with `…` where that fits.
pub(crate) fn clean(text: &str, max_bytes: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(max_bytes));
    let mut space = false;
    for character in text.chars() {
        if is_space(character) {
            space = !clean.is_empty();
        } else if !is_hidden(character) {
            if clean.len() + usize::from(space) + character.len_utf8() > max_bytes {
                return truncated(clean, max_bytes);
            }
            if std::mem::take(&mut space) {
                clean.push(' ');
            }
            clean.push(character);
        }
    }
    clean
}

/// The text as one line of any length: what would begin a line or a column, or control a terminal, is a space, and what is hidden is
/// left out.
pub(crate) fn one_line(text: &str) -> String {
    let visible = |character| match character {
        character if is_space(character) => Some(' '),
        character => (!is_hidden(character)).then_some(character),
    };
    text.chars().filter_map(visible).collect()
}

/// White space, or a control character, which separates words too.
pub(crate) fn is_space(character: char) -> bool {
    character.is_whitespace() || character.is_control()
}

/// An invisible character that changes how others are displayed.
pub(crate) fn is_hidden(character: char) -> bool {
    !character.is_ascii() && general_category(character) == GeneralCategory::Format
}

/// The Unicode category of a character.
pub(crate) fn general_category(character: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(character)
}

fn truncated(mut text: String, max_bytes: usize) -> String {
    let Some(max) = max_bytes.checked_sub(ELLIPSIS.len_utf8()) else { return text };
    while text.len() > max || text.ends_with(' ') {
        text.pop();
    }
    text.push(ELLIPSIS);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_break_or_an_escape_sequence_cannot_forge_a_line() {
        assert_eq!(clean("no such app\n2026-01-01 ERROR forged", 100), "no such app 2026-01-01 ERROR forged");
        assert_eq!(clean(" a\r\n\tb\u{1b}[31mc\0\u{85}\u{2028}d ", 100), "a b [31mc d");
    }

    #[test]
    fn hidden_characters_are_removed() {
        assert_eq!(clean("user\u{202e}nimda\u{2066}\u{200b}\u{feff}\u{ad}\u{e0041} x", 100), "usernimda x");
        assert_eq!(
            clean("Büro \u{1f469}\u{200d}\u{1f680} e\u{301} 漢字", 100),
            "Büro \u{1f469}\u{1f680} e\u{301} 漢字"
        );
    }

    #[test]
    fn a_long_text_is_truncated_between_characters() {
        assert_eq!(clean("abcdef", 6), "abcdef");
        assert_eq!(clean("abcdefg", 6), "abc…");
        assert_eq!(clean("ab cdefg", 6), "ab…");
        assert_eq!(clean("ääää", 7), "ää…");
        assert_eq!(clean("ää", 3), "…");
        assert_eq!([clean("ää", 2), clean("ää", 0)], ["ä".to_owned(), String::new()]);
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_visible_line_within_its_limit(text in any::<String>(), most in 0usize..64) {
            let clean = clean(&text, most);
            prop_assert!(clean.len() <= most);
            prop_assert!(!clean.chars().any(|c| c.is_control() || is_hidden(c) || (c.is_whitespace() && c != ' ')));
            prop_assert!(!clean.contains("  ") && clean.trim() == clean);
        }

        #[test]
        fn every_format_character_is_hidden(character in proptest::string::string_regex(r"\p{Cf}").unwrap()) {
            prop_assert_eq!(clean(&character, 8), "");
        }
    }
}
