//! The panels of the dashboard, as far as the picture shows them.

use std::error::Error;

use serde_json::Value;

use crate::plot::{GridPosition, Kind, Panel, RGBColor, Unit};

/// A query, and what its lines are called, with labels in double braces.
pub(super) struct Target {
    pub query: String,
    pub legend: String,
}

/// A panel that has no lines yet, and what it asks for them.
pub(super) type EmptyPanel = (Panel, Vec<Target>);

/// The panels of a dashboard, with its variables filled in.
pub(super) fn panels(dashboard: &str) -> Result<Vec<EmptyPanel>, Box<dyn Error>> {
    let dashboard: Value = serde_json::from_str(dashboard)?;
    let panels = dashboard["panels"].as_array().ok_or("the dashboard has no panels")?;
    panels.iter().map(panel).collect()
}

fn panel(panel: &Value) -> Result<EmptyPanel, Box<dyn Error>> {
    let targets = panel["targets"].as_array().into_iter().flatten().map(|target| Target {
        query: text(&target["expr"]).replace("$__rate_interval", "10s").replace("$connection", ".*"),
        legend: text(&target["legendFormat"]),
    });
    let side = |name: &str| panel["gridPos"][name].as_i64().and_then(|side| side.try_into().ok());
    let [column, row, columns, rows] = ["x", "y", "w", "h"].map(|name| side(name).unwrap_or_default());
    let defaults = &panel["fieldConfig"]["defaults"];
    let panel = Panel {
        title: text(&panel["title"]),
        unit: unit(&defaults["unit"])?,
        kind: match (text(&panel["type"]).as_str(), text(&defaults["custom"]["stacking"]["mode"]).as_str()) {
            ("stat", _) => Kind::Number(thresholds(&defaults["thresholds"]["steps"])?),
            (_, "normal") => Kind::Stacked,
            (_, _) => Kind::Lines,
        },
        position: GridPosition { column, row, columns, rows },
        lines: Vec::new(),
    };
    Ok((panel, targets.collect()))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn unit(name: &Value) -> Result<Unit, String> {
    match name.as_str() {
        Some("short") => Ok(Unit::Count),
        Some("percentunit") => Ok(Unit::Percent),
        Some("s") => Ok(Unit::Seconds),
        Some("ops") => Ok(Unit::PerSecond),
        _ => Err(format!("the picture does not know the unit {name}")),
    }
}

/// The first step has no value: it holds below all others.
fn thresholds(steps: &Value) -> Result<Vec<(f64, RGBColor)>, String> {
    let threshold = |step: &Value| {
        let color = match step["color"].as_str() {
            Some("green") => RGBColor(0x29, 0x9c, 0x46),
            Some("orange") => RGBColor(0xe0, 0x75, 0x2d),
            Some("red") => RGBColor(0xc4, 0x16, 0x2a),
            _ => return Err(format!("the picture does not know the color {}", step["color"])),
        };
        Ok((step["value"].as_f64().unwrap_or(f64::NEG_INFINITY), color))
    };
    steps.as_array().into_iter().flatten().map(threshold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_panel_of_the_dashboard_can_be_drawn() {
        let path = crate::repository().join(crate::picture::DASHBOARD);
        let panels = panels(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(panels.len() > 10, "{}", panels.len());
        for (Panel { title, position, .. }, targets) in panels {
            assert!(!targets.is_empty() && targets.iter().all(|target| !target.query.contains('$')), "{title}");
            assert!(position.columns > 0 && position.rows > 0, "{title}");
        }
    }
}
