//! The binary as a child process, for tests and the demo.
//! The child ends with its standard input, so it does not outlive a parent that was killed.

use std::io::{BufRead, BufReader, Error};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::client::Control;
use crate::types::{Flavor, Listening};

/// A running binary; killed when dropped.
pub struct Process {
    child: Child,
    listening: Listening,
    ca_pem: String,
}

impl Process {
    /// Starts `binary`, which writes `ca.crt` into `dir`, and waits until it listens.
    ///
    /// # Errors
    /// When it cannot be started or ends before it listens.
    pub fn start(binary: &Path, dir: &Path) -> Result<Self, Error> {
        let mut child = Command::new(binary)
            .args(["--port", "0", "--exit-with-stdin", "--dir"])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C reaches the parent only, which may have use for the simulator to the end.
            .process_group(0)
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let listening: Listening = serde_json::from_str(&line)
            .map_err(|e| Error::other(format!("{} did not say where it listens: {e}", binary.display())))?;
        let ca_pem = std::fs::read_to_string(&listening.ca_file)?;
        Ok(Self { child, listening, ca_pem })
    }

    /// Where it listens.
    #[must_use]
    pub fn listening(&self) -> &Listening {
        &self.listening
    }

    /// The base URL as an `IamConnection` wants it.
    #[must_use]
    pub fn endpoint(&self, flavor: Flavor) -> &str {
        match flavor {
            Flavor::Csp => &self.listening.csp_endpoint,
            Flavor::Cpn => &self.listening.cpn_endpoint,
            Flavor::Broker => &self.listening.broker_endpoint,
        }
    }

    /// The certificate of its CA, as PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A client of its control API.
    ///
    /// # Panics
    /// When the binary wrote something else than a certificate.
    #[must_use]
    pub fn control(&self) -> Control {
        Control::new(&self.listening.url, &self.ca_pem).expect("the certificate is valid")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
