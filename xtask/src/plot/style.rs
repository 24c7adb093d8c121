//! Colors and texts of a picture.

use std::error::Error;

use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, RGBColor, TextStyle};

use super::Area;

/// The size of ordinary text.
pub(super) const SIZE: i32 = 21;
pub(super) const BACKGROUND: RGBColor = RGBColor(0xf4, 0xf5, 0xf8);
pub(super) const PANEL: RGBColor = RGBColor(0xff, 0xff, 0xff);
pub(super) const BORDER: RGBColor = RGBColor(0xdc, 0xdf, 0xe6);
pub(super) const MESH: RGBColor = RGBColor(0xea, 0xec, 0xf2);
pub(super) const MARK: RGBColor = RGBColor(0xb4, 0xb8, 0xc8);
pub(super) const TEXT: RGBColor = RGBColor(0x2b, 0x2f, 0x38);
pub(super) const MUTED: RGBColor = RGBColor(0x6a, 0x70, 0x7f);

const LINES: [RGBColor; 10] = [
    RGBColor(0x32, 0x74, 0xd9),
    RGBColor(0xe0, 0x75, 0x2d),
    RGBColor(0x29, 0x9c, 0x46),
    RGBColor(0xc4, 0x16, 0x2a),
    RGBColor(0x8f, 0x3b, 0xb8),
    RGBColor(0xb0, 0x89, 0x2f),
    RGBColor(0x1f, 0x9a, 0xa8),
    RGBColor(0xd1, 0x5c, 0x9a),
    RGBColor(0x6b, 0x72, 0x80),
    RGBColor(0x7a, 0x9a, 0x01),
];

/// The color of the n-th line of a panel.
pub(super) fn of_line(n: usize) -> RGBColor {
    LINES[n % LINES.len()]
}

pub(super) fn plain(size: i32, color: RGBColor) -> TextStyle<'static> {
    text(size, color, FontStyle::Normal)
}

pub(super) fn bold(size: i32, color: RGBColor) -> TextStyle<'static> {
    text(size, color, FontStyle::Bold)
}

fn text(size: i32, color: RGBColor, style: FontStyle) -> TextStyle<'static> {
    // plotters takes the height of a line for the size, 1.24 of what SVG takes.
    let font = FontDesc::new(FontFamily::SansSerif, f64::from(size) * 1.24, style);
    font.color(&color.to_rgba()).pos(Pos::new(HPos::Left, VPos::Center))
}

/// Writes from a place to the right.
pub(super) fn write(area: &Area, words: &str, style: TextStyle, at: (i32, i32)) -> Result<(), Box<dyn Error>> {
    Ok(area.draw_text(words, &style, at)?)
}
