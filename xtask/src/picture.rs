//! `cargo xtask picture`: draws the dashboard as it looks over a story of two minutes and a half.
//! The operator runs against the simulator, a real Prometheus scrapes it and answers the queries of the dashboard.

mod dashboard;
mod drawing;
mod prometheus;
mod story;

use std::error::Error;
use std::path::Path;

use control_plane::binaries::{self, Tool};

use crate::demo::{Binaries, Narrator, Stage};
use prometheus::Prometheus;

const DASHBOARD: &str = "deploy/monitoring/dashboard.json";
const PICTURE: &str = "docs/dashboard.svg";

/// Nothing to choose.
#[derive(clap::Args)]
pub struct Args {}

/// Builds the binaries, starts everything, lets the story happen and draws.
pub fn run(_: &Args) -> Result<(), Box<dyn Error>> {
    std::env::set_current_dir(crate::repository())?;
    let narrator = Narrator::new();
    let binaries = Binaries::build(&narrator)?;
    let programs = binaries::provide(&[&Tool::CONTROL_PLANE[..], &[Tool::Prometheus]].concat())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stage = Stage::set(&narrator, &binaries).await?;
        let drawn = draw(&narrator, &stage, programs.path(Tool::Prometheus)).await;
        stage.clear(&narrator, drawn)
    })
}

async fn draw(narrator: &Narrator, stage: &Stage, program: &Path) -> Result<(), Box<dyn Error>> {
    let mut prometheus = Prometheus::start(program, &stage.plane.directory().join("prometheus"), &stage.address()?)?;
    prometheus.until_ready().await?;
    let chapters = story::happens(narrator, stage).await?;
    let mut panels = Vec::new();
    for panel in dashboard::panels(&std::fs::read_to_string(DASHBOARD)?)? {
        let mut lines = Vec::new();
        for target in &panel.targets {
            lines.extend(prometheus.range(&target.query, &target.legend).await?);
        }
        panels.push((panel, lines));
    }
    std::fs::write(PICTURE, drawing::svg(&panels, &chapters, prometheus.elapsed()))?;
    narrator.say("picture", format!("{PICTURE} is drawn"));
    Ok(())
}
