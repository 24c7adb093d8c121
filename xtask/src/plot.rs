//! Lines over time as an SVG picture, drawn with plotters: panels on a grid, each with its unit and a legend.
//! What a panel shows is data; nothing here knows where it was measured.

mod bands;
mod flow;
mod panel;
mod style;
#[cfg(test)]
mod tests;
mod unit;

use std::error::Error;

use plotters::prelude::{DrawingArea, IntoDrawingArea, SVGBackend};
use style::{BACKGROUND, MUTED, SIZE, TEXT};

pub(crate) use plotters::style::RGBColor;
pub(crate) use unit::Unit;

/// Columns of the grid.
const COLUMNS: i32 = 24;
/// Sizes have two units for each pixel of a page, since plotters rounds them to whole ones.
const COLUMN: i32 = 100;
const ROW: i32 = 60;
const GAP: i32 = 10;

/// A part of the picture.
type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Panels that show the same time.
pub(crate) struct Figure {
    pub title: String,
    pub seconds: f64,
    pub events: Vec<Event>,
    pub panels: Vec<Panel>,
}

/// A moment that every panel marks, by its number in the list.
pub(crate) struct Event {
    /// Seconds since the start.
    pub at: f64,
    pub name: String,
}

/// Lines with one unit.
pub(crate) struct Panel {
    pub title: String,
    pub unit: Unit,
    pub kind: Kind,
    pub position: GridPosition,
    pub lines: Vec<Line>,
}

/// How a panel shows its lines.
pub(crate) enum Kind {
    /// Each from zero.
    Lines,
    /// Each on top of the ones before.
    Stacked,
    /// The last value of the first line as a number, in the color of the highest threshold that it reaches.
    Number(Vec<(f64, RGBColor)>),
}

/// On the grid.
pub(crate) struct GridPosition {
    pub column: i32,
    pub row: i32,
    pub columns: i32,
    pub rows: i32,
}

/// Points in the order of time: seconds since the start, and values.
pub(crate) struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

impl Figure {
    pub(crate) fn svg(&self) -> Result<String, Box<dyn Error>> {
        let events: Vec<String> = self.events.iter().map(Event::caption).collect();
        let width = COLUMNS * COLUMN + GAP;
        let captions = flow::layout(&events, width - 4 * GAP, SIZE);
        let top = 6 * GAP + captions.height;
        let rows = self.panels.iter().map(|panel| panel.position.row + panel.position.rows).max().unwrap_or_default();
        let mut svg = String::new();
        let size = [width, top + rows * ROW + GAP].map(i32::unsigned_abs);
        let canvas = SVGBackend::with_string(&mut svg, size.into()).into_drawing_area();
        canvas.fill(&BACKGROUND)?;
        style::write(&canvas, &self.title, style::bold(SIZE + 4, TEXT), (2 * GAP, 3 * GAP))?;
        for ((caption, (x, y)), n) in events.iter().zip(captions.positions).zip(1..) {
            let (x, y) = (2 * GAP + x, 5 * GAP + y);
            style::write(&canvas, &n.to_string(), style::bold(SIZE, TEXT), (x - SIZE, y))?;
            style::write(&canvas, caption, style::plain(SIZE, MUTED), (x, y))?;
        }
        for panel in &self.panels {
            let GridPosition { column, row, columns, rows } = panel.position;
            let area = canvas
                .clone()
                .shrink((column * COLUMN + GAP, row * ROW + top), (columns * COLUMN - GAP, rows * ROW - GAP));
            panel.draw(&area, self)?;
        }
        canvas.present()?;
        drop(canvas);
        Ok(svg)
    }
}

impl Event {
    fn caption(&self) -> String {
        format!("{} at {}", self.name, unit::clock(self.at))
    }
}
