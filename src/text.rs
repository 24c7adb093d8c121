//! Cleans texts from outside before a log, a status or an Event shows them.

/// Without control characters, and cut to so many bytes at the boundary of a character.
pub fn clean(text: &str, most_bytes: usize) -> String {
    let mut cleaned = String::new();
    for character in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if cleaned.len() + character.len_utf8() > most_bytes {
            break;
        }
        cleaned.push(character);
    }
    cleaned
}
