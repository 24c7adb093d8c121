//! A Markdown table.
//! It escapes special characters, so that texts in the code do not have to.

use std::fmt;

/// Rows of cells below their headings.
pub(super) struct Table<const N: usize> {
    headings: [&'static str; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(headings: [&'static str; N]) -> Self {
        Self { headings, rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: [&str; N]) {
        self.rows.push(cells.map(|cell| cell.replace('|', "\\|").replace('\n', " ")));
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |\n|{}", self.headings.join(" | "), "---|".repeat(N))?;
        self.rows.iter().try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
    }
}

/// The text of a document with this content between the markers of a section.
pub(super) fn with_section(text: &str, name: &str, content: &str) -> Result<String, String> {
    let (begin, end) =
        (format!("<!-- {name}: written by `cargo xtask generate` -->\n"), format!("<!-- end of {name} -->\n"));
    let parts = text.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("the document lacks the markers {begin}{end}"))?;
    Ok(format!("{before}{begin}\n{content}\n{end}{after}"))
}
