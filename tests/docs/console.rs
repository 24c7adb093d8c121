//! What a document shows of a command's output, compared with what it prints: word by word, loosely.

/// Whether the lines that are shown are printed in this order. A word with a digit in it, such as an id or an age, stands
/// for any; a line `...` for whatever is left out.
pub(crate) fn fits(shown: &[&str], printed: &str) -> bool {
    let mut printed = printed.lines();
    let shown = shown.iter().filter(|line| !line.trim().is_empty() && line.trim() != "...");
    shown.copied().all(|shown| printed.any(|line| same(shown, line)))
}

fn same(shown: &str, printed: &str) -> bool {
    let (mut shown, mut printed) = (shown.split_whitespace(), printed.split_whitespace());
    loop {
        match (shown.next(), printed.next()) {
            (None, None) => return true,
            (Some(shown), Some(printed)) if shown == printed || shown.contains(|c: char| c.is_ascii_digit()) => {}
            (_, _) => return false,
        }
    }
}

/// The commands of a block and what is shown beneath each.
pub(crate) fn dialogue(content: &str) -> Vec<(&str, Vec<&str>)> {
    let mut dialogue: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in content.lines() {
        match (line.strip_prefix("$ "), dialogue.last_mut()) {
            (Some(command), _) => dialogue.push((command, Vec::new())),
            (None, Some((_, shown))) => shown.push(line),
            (None, None) => panic!("a console block begins with a command: {line}"),
        }
    }
    dialogue
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_fits_when_its_words_do() {
        let printed = "NAME  READY  AGE\na     True   5s\nb     False  6s\n";
        assert!(fits(&["NAME READY   AGE", "a True 99s"], printed));
        assert!(fits(&["NAME READY AGE", "...", "b False 1s"], printed));
        assert!(!fits(&["NAME READY AGE", "b True 1s"], printed), "another word");
        assert!(!fits(&["NAME READY"], printed), "a column too few");
        assert!(!fits(&["b False 1s", "a True 1s"], printed), "another order");
    }

    #[test]
    fn each_command_has_its_output() {
        assert_eq!(dialogue("$ a\n1\n$ b\n"), [("a", vec!["1"]), ("b", vec![])]);
    }
}
