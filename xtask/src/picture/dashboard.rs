//! The panels of the dashboard, as far as the picture shows them.

use std::error::Error;

use serde_json::Value;

/// A panel: its place on a grid of 24 columns, and what it asks.
pub struct Panel {
    pub title: String,
    pub is_stat: bool,
    pub unit: String,
    pub place: [f64; 4],
    pub targets: Vec<Target>,
}

/// A query, and what its lines are called, with labels in double braces.
pub struct Target {
    pub query: String,
    pub legend: String,
}

/// The panels of a dashboard, with its variables filled in.
pub fn panels(dashboard: &str) -> Result<Vec<Panel>, Box<dyn Error>> {
    let dashboard: Value = serde_json::from_str(dashboard)?;
    let panels = dashboard["panels"].as_array().ok_or("the dashboard has no panels")?;
    Ok(panels.iter().map(panel).collect())
}

fn panel(panel: &Value) -> Panel {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let targets = panel["targets"].as_array().into_iter().flatten().map(|target| Target {
        query: text(&target["expr"]).replace("$__rate_interval", "10s").replace("$connection", ".*"),
        legend: text(&target["legendFormat"]),
    });
    Panel {
        title: text(&panel["title"]),
        is_stat: panel["type"] == "stat",
        unit: text(&panel["fieldConfig"]["defaults"]["unit"]),
        place: ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_f64().unwrap_or_default()),
        targets: targets.collect(),
    }
}
