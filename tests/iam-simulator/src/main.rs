//! The simulator as a process: starts, prints one line of JSON that says where, and runs until it is stopped.
//! See the library for what it simulates.

use std::error::Error;
use std::io::{Read, Write};
use std::path::PathBuf;

use clap::Parser;
use iam_simulator::types::{Flavor, Listening, Seed};
use iam_simulator::{Options, Simulator};

/// A strict stand-in for the IAM APIs of Cloud Partner Navigator, Cloud Services and VCF Identity Broker.
#[derive(Parser)]
struct Flags {
    /// Port on 127.0.0.1; 0 lets the system choose.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Directory into which the CA's certificate is written, as ca.crt.
    #[arg(long)]
    dir: PathBuf,
    /// JSON file with organizations, API tokens and clients to start with.
    #[arg(long)]
    seed: Option<PathBuf>,
    /// Ends when standard input ends, so that it does not outlive who started it.
    #[arg(long)]
    exit_with_stdin: bool,
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let flags = Flags::parse();
    let seed = match &flags.seed {
        Some(file) => serde_json::from_slice(&std::fs::read(file)?)?,
        None => Seed::default(),
    };
    let simulator = Simulator::start(Options { port: flags.port, seed })?;
    std::fs::create_dir_all(&flags.dir)?;
    let ca_file = flags.dir.join("ca.crt");
    std::fs::write(&ca_file, simulator.ca_pem())?;
    let listening = Listening {
        url: simulator.url().to_string(),
        csp_endpoint: simulator.endpoint(Flavor::Csp),
        cpn_endpoint: simulator.endpoint(Flavor::Cpn),
        broker_endpoint: simulator.endpoint(Flavor::Broker),
        ca_file: ca_file.display().to_string(),
    };
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", serde_json::to_string(&listening)?)?;
    stdout.flush()?;
    if flags.exit_with_stdin {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        return Ok(());
    }
    simulator.wait();
    Ok(())
}
