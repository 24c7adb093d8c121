//! A panel: its frame and title, its lines on axes, and below them the legend; or a number above a small line.

use std::error::Error;

use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::{ChartBuilder, ChartContext, PathElement, Polygon, Rectangle, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, RGBColor};

use super::bands::{self, Run};
use super::style::{self, BORDER, MARK, MESH, MUTED, PANEL, SIZE, TEXT};
use super::{Area, Event, Figure, Kind, Panel, flow, unit};

const MARGIN: i32 = 18;
const TITLE: i32 = 48;
const NUMBER: i32 = 52;
const LABELS: (i32, i32) = (104, 34);
/// The numbers of the events, above the lines.
const EVENTS: i32 = 22;
/// The mark of a line in the legend.
const SWATCH: i32 = 26;
/// Of the lines' color.
const FILL: (f64, f64) = (0.07, 0.25);

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Time is in minutes on its axis, so that the steps between labels are whole or halves.
const MINUTE: f64 = 60.0;

impl Panel {
    pub(crate) fn draw(&self, area: &Area, figure: &Figure) -> Result<(), Box<dyn Error>> {
        let (width, height) = size(area);
        area.draw(&Rectangle::new([(0, 0), (width, height)], PANEL.filled()))?;
        area.draw(&Rectangle::new([(0, 0), (width, height)], BORDER.stroke_width(1)))?;
        style::write(area, &self.title, style::bold(SIZE, TEXT), (MARGIN, TITLE / 2 + 2))?;
        let inner = area.clone().shrink((0, TITLE), (width, height - TITLE));
        match &self.kind {
            Kind::Number(thresholds) => self.draw_number(&inner, thresholds, figure.seconds),
            Kind::Lines => self.draw_lines(&inner, figure, false),
            Kind::Stacked => self.draw_lines(&inner, figure, true),
        }
    }

    fn draw_number(&self, area: &Area, thresholds: &[(f64, RGBColor)], seconds: f64) -> Result<(), Box<dyn Error>> {
        let value = self.lines.first().and_then(|line| line.points.last()).map_or(0.0, |(_, value)| *value);
        let reached = thresholds.iter().rfind(|(least, _)| value >= *least);
        let color = reached.map_or(TEXT, |(_, color)| *color);
        let (width, height) = size(area);
        let text = self.unit.format(value);
        style::write(area, &text, style::bold(NUMBER, color), (MARGIN, NUMBER - MARGIN / 2))?;
        let below = area.clone().shrink((MARGIN, 2 * NUMBER), (width - 2 * MARGIN, height - 2 * NUMBER - MARGIN));
        let bands = bands::bands(&self.lines, false);
        let chart = chart(&below, seconds, bands::highest(&bands), false)?;
        draw_bands(&chart, &bands, FILL.1, |_| color)
    }

    fn draw_lines(&self, area: &Area, figure: &Figure, stacked: bool) -> Result<(), Box<dyn Error>> {
        let (width, height) = size(area);
        let names: Vec<&str> = self.lines.iter().map(|line| line.name.as_str()).collect();
        let legend = flow::layout(&names, width - 2 * MARGIN, SWATCH);
        let below = height - legend.height - MARGIN / 2;
        for (n, (name, (x, y))) in names.iter().zip(legend.positions).enumerate() {
            let (x, y) = (MARGIN + x, below + y);
            area.draw(&Rectangle::new([(x - SWATCH, y - 4), (x - 8, y + 4)], style::of_line(n).filled()))?;
            style::write(area, name, style::plain(SIZE, TEXT), (x, y))?;
        }
        let plot = area.clone().shrink((0, 0), (width - 2 * MARGIN, below));
        let bands = bands::bands(&self.lines, stacked);
        let mut chart = chart(&plot, figure.seconds, bands::highest(&bands), true)?;
        self.draw_axes(&mut chart)?;
        draw_events(&chart, &figure.events, area)?;
        draw_bands(&chart, &bands, if stacked { FILL.1 } else { FILL.0 }, style::of_line)
    }

    fn draw_axes(&self, chart: &mut Chart) -> Result<(), Box<dyn Error>> {
        let labels = style::plain(SIZE - 2, MUTED);
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh()
            .x_labels(7)
            .y_labels(5)
            .y_max_light_lines(1)
            .label_style(labels)
            .set_all_tick_mark_size(4);
        mesh.bold_line_style(MESH.stroke_width(2)).light_line_style(PANEL).axis_style(BORDER.stroke_width(2));
        Ok(mesh
            .x_label_formatter(&|minutes| unit::clock(*minutes * MINUTE))
            .y_label_formatter(&|value| self.unit.format(*value))
            .draw()?)
    }
}

fn size(area: &Area) -> (i32, i32) {
    let (width, height) = area.dim_in_pixel();
    (width as i32, height as i32)
}

/// Coordinates with labels, or without.
fn chart<'a, 'b>(
    area: &'a Area<'b>,
    seconds: f64,
    highest: f64,
    labels: bool,
) -> Result<Chart<'a, 'b>, Box<dyn Error>> {
    let ((left, bottom), above) = if labels { (LABELS, EVENTS) } else { ((0, 0), 0) };
    let top = if highest > 0.0 { highest * 1.05 } else { 1.0 };
    let mut builder = ChartBuilder::on(area);
    builder.y_label_area_size(left).x_label_area_size(bottom).margin_top(above);
    Ok(builder.build_cartesian_2d(0.0..seconds / MINUTE, 0.0..top)?)
}

fn draw_events(chart: &Chart, events: &[Event], area: &Area) -> Result<(), Box<dyn Error>> {
    let plot = chart.plotting_area();
    let top = plot.get_y_range().end;
    for (event, n) in events.iter().zip(1..) {
        let time = event.at / MINUTE;
        plot.draw(&PathElement::new(vec![(time, 0.0), (time, top)], MARK.stroke_width(1)))?;
        let (x, y) = plot.map_coordinate(&(time, top));
        let (left, above) = area.get_base_pixel();
        let number = style::plain(SIZE - 4, MUTED).pos(Pos::new(HPos::Center, VPos::Bottom));
        style::write(area, &n.to_string(), number, (x - left, y - above))?;
    }
    Ok(())
}

/// The first line of a panel is on top of those that it meets.
fn draw_bands(
    chart: &Chart,
    bands: &[Vec<Run>],
    fill: f64,
    color: impl Fn(usize) -> RGBColor,
) -> Result<(), Box<dyn Error>> {
    let plot = chart.plotting_area();
    for (n, run) in bands.iter().enumerate().rev().flat_map(|(n, band)| band.iter().map(move |run| (n, run))) {
        let upper: Vec<_> = run.iter().map(|(time, [_, upper])| (time / MINUTE, *upper)).collect();
        let lower = run.iter().rev().map(|(time, [lower, _])| (time / MINUTE, *lower));
        let outline: Vec<_> = upper.iter().copied().chain(lower).collect();
        plot.draw(&Polygon::new(outline, color(n).mix(fill)))?;
        plot.draw(&PathElement::new(upper, color(n).stroke_width(3)))?;
    }
    Ok(())
}
