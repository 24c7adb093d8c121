//! `cargo xtask control-plane`: provides the programs for tests and demo, or starts a control plane by hand.
//! The first run may take minutes, and shows its progress.

use std::error::Error;
use std::time::Instant;

use control_plane::ControlPlane;
use control_plane::binaries::{self, Kubernetes, Origin, Tool};

/// What to provide or start.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Version of Kubernetes, such as 1.31
    #[arg(long, value_name = "MINOR", env = Kubernetes::VARIABLE, default_value_t = Kubernetes::NEWEST)]
    kubernetes: Kubernetes,
    /// Provide helm too, version 3 and 4
    #[arg(long)]
    helm: bool,
    /// Provide promtool too
    #[arg(long)]
    promtool: bool,
    /// Start a control plane, print its KUBECONFIG and keep it until Ctrl-C
    #[arg(long)]
    start: bool,
}

/// Provides the programs and prints their paths.
pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let mut tools = Tool::CONTROL_PLANE.to_vec();
    tools.extend(args.helm.then_some([Tool::Helm, Tool::Helm4]).into_iter().flatten());
    tools.extend(args.promtool.then_some(Tool::Promtool));
    let programs = binaries::provide_for(args.kubernetes, &tools)?;
    for (tool, path, origin) in programs.iter() {
        let origin = match origin {
            Origin::Assets => "KUBEBUILDER_ASSETS",
            Origin::Cache => "cache",
            Origin::Download => "downloaded",
            Origin::Build => "built",
        };
        eprintln!("{:<24} {origin:<19} {}", tool.name(), path.display());
    }
    if args.start {
        return start(args.kubernetes);
    }
    if let Some(directory) = programs.path(Tool::KubeApiserver).parent() {
        println!("{}", directory.display());
    }
    Ok(())
}

fn start(kubernetes: Kubernetes) -> Result<(), Box<dyn Error>> {
    let begin = Instant::now();
    let plane = ControlPlane::start_version(kubernetes)?;
    eprintln!("Kubernetes {kubernetes} started in {:.1} s; Ctrl-C stops it", begin.elapsed().as_secs_f32());
    println!("export KUBECONFIG={}", plane.admin_kubeconfig().display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tokio::signal::ctrl_c())?;
    Ok(())
}
