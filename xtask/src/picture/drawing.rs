//! Panels as SVG: where the dashboard has them, with lines, legends and the chapters of the story.

use std::fmt::Write;

use super::dashboard::Panel;
use super::prometheus::Line;
use super::story::Chapters;

const COLUMN: f64 = 50.0;
const ROW: f64 = 26.0;
const GAP: f64 = 4.0;
const TOP: f64 = 40.0;
const COLOURS: [&str; 10] =
    ["#3274d9", "#e0752d", "#299c46", "#c4162a", "#8f3bb8", "#b0892f", "#1f9aa8", "#d15c9a", "#6b7280", "#7a9a01"];

/// A rectangle.
#[derive(Clone, Copy)]
struct Area {
    x: f64,
    y: f64,
    w: f64,
    h: f64,
}

/// The whole picture of so many seconds.
pub fn svg(panels: &[(Panel, Vec<Line>)], chapters: &Chapters, seconds: f64) -> String {
    let bottom = panels.iter().map(|(panel, _)| panel.place[1] + panel.place[3]).fold(0.0, f64::max);
    let (width, height) = (24.0 * COLUMN + GAP, bottom * ROW + TOP + GAP);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#f4f5f8\"/>\n"
    );
    let story = chapters.iter().enumerate().map(|(n, (at, title))| format!("{}: {title} ({at:.0} s)", n + 1));
    text(&mut out, 8.0, 24.0, "#333", &format!("Numbers above the lines:  {}", story.collect::<Vec<_>>().join("  ")));
    for (panel, lines) in panels {
        let [x, y, w, h] = panel.place;
        let area = Area { x: x * COLUMN + GAP, y: y * ROW + TOP, w: w * COLUMN - GAP, h: h * ROW - GAP };
        draw(&mut out, panel, lines, area, chapters, seconds);
    }
    out + "</svg>\n"
}

fn draw(out: &mut String, panel: &Panel, lines: &[Line], area: Area, chapters: &Chapters, seconds: f64) {
    let Area { x, y, w, h } = area;
    line_out(out, format!("<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"#fff\" stroke=\"#dcdfe6\"/>"));
    text(out, x + 8.0, y + 16.0, "#333", &panel.title);
    let most = lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value).fold(0.0, f64::max);
    let last = lines.first().and_then(|line| line.points.last()).map_or(0.0, |(_, value)| *value);
    let plot = match panel.is_stat {
        true => Area { x: x + w / 2.0, y: y + 24.0, w: w / 2.0 - 8.0, h: h - 34.0 },
        false => Area { x: x + 48.0, y: y + 36.0, w: w - 58.0, h: h - 66.0 },
    };
    if panel.is_stat {
        line_out(out, "<g font-size=\"24\">".into());
        text(out, x + 10.0, y + 62.0, "#333", &shown(last, &panel.unit));
        line_out(out, "</g>".into());
    } else {
        axes(out, panel, plot, most, chapters, seconds);
        legend(out, lines, Area { y: y + h - 10.0, ..area });
    }
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        line_out(
            out,
            format!(
                "<path fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.4\" d=\"{}\"/>",
                path(line, plot, most, seconds)
            ),
        );
    }
}

/// Where there is no value there is no line.
fn path(line: &Line, plot: Area, most: f64, seconds: f64) -> String {
    let (scale, mut before) = (if most > 0.0 { plot.h / most } else { 0.0 }, f64::NEG_INFINITY);
    let points = line.points.iter().map(|(time, value)| {
        let pen = if time - before > 1.5 { 'M' } else { 'L' };
        before = *time;
        format!("{pen}{:.1} {:.1}", plot.x + time / seconds * plot.w, plot.y + plot.h - value * scale)
    });
    points.collect()
}

fn axes(out: &mut String, panel: &Panel, plot: Area, most: f64, chapters: &Chapters, seconds: f64) {
    let Area { x, y, w, h } = plot;
    for (height, value) in [(y, most), (y + h, 0.0)] {
        line_out(out, format!("<path d=\"M{x} {height}h{w}\" stroke=\"#e3e6ee\"/>"));
        text(out, x - 42.0, height + 4.0, "#777", &shown(value, &panel.unit));
    }
    for (n, (at, _)) in chapters.iter().enumerate() {
        let there = x + at / seconds * w;
        line_out(out, format!("<path d=\"M{there:.1} {y}v{h}\" stroke=\"#ccd\" stroke-dasharray=\"2 3\"/>"));
        text(out, there - 3.0, y - 4.0, "#99a", &(n + 1).to_string());
    }
}

/// As many names as fit.
fn legend(out: &mut String, lines: &[Line], area: Area) {
    let mut x = area.x + 8.0;
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let width = 6.2 * line.name.chars().count() as f64 + 12.0;
        if x + width > area.x + area.w {
            return text(out, x, area.y, "#777", "…");
        }
        text(out, x, area.y, colour, &line.name);
        x += width;
    }
}

fn text(out: &mut String, x: f64, y: f64, colour: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    line_out(out, format!("<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{colour}\">{words}</text>"));
}

fn line_out(out: &mut String, line: String) {
    // Writing to a String cannot fail.
    let _infallible = writeln!(out, "{line}");
}

fn shown(value: f64, unit: &str) -> String {
    let number = |value: f64| match value {
        value if value == value.trunc() => format!("{value:.0}"),
        value if value < 0.1 => format!("{value:.3}"),
        value => format!("{value:.1}"),
    };
    match unit {
        "percentunit" => format!("{:.0} %", value * 100.0),
        "s" if value < 1.0 => format!("{:.0} ms", value * 1000.0),
        "s" => format!("{} s", number(value)),
        "ops" => format!("{}/s", number(value)),
        _ => number(value),
    }
}
