//! Texts one behind the other in rows of a width, as a legend has them.

use super::style::SIZE;

const ROW_HEIGHT: i32 = SIZE + 9;

/// Where the texts are: the left end and the middle of each, and the height of all rows.
pub(super) struct Flow {
    pub positions: Vec<(i32, i32)>,
    pub height: i32,
}

/// Lays the texts out, with room for a mark of a width before it.
pub(super) fn layout(texts: &[impl AsRef<str>], width: i32, mark: i32) -> Flow {
    let (mut x, mut row) = (0, 0);
    let mut positions = Vec::new();
    for text in texts {
        let needed = mark + text_width(text.as_ref());
        if x > 0 && x + needed > width {
            x = 0;
            row += 1;
        }
        positions.push((x + mark, row * ROW_HEIGHT + ROW_HEIGHT / 2));
        x += needed + SIZE;
    }
    let height = if texts.is_empty() { 0 } else { (row + 1) * ROW_HEIGHT };
    Flow { positions, height }
}

/// About as wide as most fonts are; SVG leaves it to its reader which one there is.
fn text_width(text: &str) -> i32 {
    text.chars().count() as i32 * SIZE * 3 / 5
}
