//! `cargo xtask picture`: draws the dashboard as it looks over a scenario of two minutes and a half.
//! The operator runs against the simulator, a real Prometheus scrapes it and answers the queries of the dashboard.

mod dashboard;
mod prometheus;
mod scenario;

use std::error::Error;
use std::path::Path;

use control_plane::binaries::{self, Tool};

use crate::demo::{Binaries, Narrator, env};
use crate::plot::Figure;
use prometheus::Prometheus;
use test_environment::TestEnv;

const DASHBOARD: &str = "deploy/monitoring/dashboard.json";
const PICTURE: &str = "docs/dashboard.svg";

/// Nothing to choose.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Builds the binaries, starts everything, runs the scenario and draws.
pub(crate) fn run(_: &Args) -> Result<(), Box<dyn Error>> {
    std::env::set_current_dir(crate::repository())?;
    let narrator = Narrator::new();
    let binaries = Binaries::build(&narrator)?;
    let programs = binaries::provide(&[&Tool::CONTROL_PLANE[..], &[Tool::Prometheus]].concat())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let env = env::start(&narrator, &binaries).await?;
        let drawn = draw(&narrator, &env, programs.path(Tool::Prometheus)).await;
        env::stop(env, &narrator, drawn)
    })
}

async fn draw(narrator: &Narrator, env: &TestEnv, program: &Path) -> Result<(), Box<dyn Error>> {
    let target = env.operator().address().ok_or("the operator does not say where it serves")?;
    let mut prometheus = Prometheus::start(program, &env.cluster.directory().join("prometheus"), &target)?;
    prometheus.until_ready().await?;
    let events = scenario::run(narrator, env).await?;
    let seconds = prometheus.elapsed();
    let mut panels = Vec::new();
    for (mut panel, targets) in dashboard::panels(&std::fs::read_to_string(DASHBOARD)?)? {
        for target in targets {
            panel.lines.extend(prometheus.range(&target.query, &target.legend).await?);
        }
        panels.push(panel);
    }
    let title = "The dashboard of oauth-app-operator over two and a half minutes".into();
    std::fs::write(PICTURE, Figure { title, seconds, events, panels }.svg()?)?;
    narrator.say("picture", format!("{PICTURE} is drawn"));
    Ok(())
}
