//! The operator as a process that can be started, killed, paused and started again, into one log.
//! What it says of itself is read from that log: it is JSON, a line for each entry.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use control_plane::Supervised;
use serde_json::Value;

use crate::{Error, Wait};

/// What a pod gets to end.
const GRACE: Duration = Duration::from_secs(30);
const LOG_LINES: usize = 20;

/// The program as the user of this kubeconfig, serving on a port that is free.
#[must_use]
pub fn command(program: &Path, kubeconfig: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("KUBECONFIG", kubeconfig).env("HTTP_ADDR", "127.0.0.1:0");
    command
}

/// One replica; killed when dropped.
pub struct Operator {
    command: Mutex<Command>,
    log: PathBuf,
    process: Mutex<Option<Supervised>>,
}

impl Operator {
    /// Not yet started.
    #[must_use]
    pub fn new(command: Command, log: PathBuf) -> Self {
        Self { command: Mutex::new(command), log, process: Mutex::new(None) }
    }

    /// Sets a flag, by its name in the environment, from the next start on.
    pub fn set(&self, variable: &str, value: &str) {
        lock(&self.command).env(variable, value);
    }

    /// Starts it; one that was running is killed.
    ///
    /// # Errors
    /// When the log cannot be opened.
    pub fn start(&self) -> io::Result<()> {
        *lock(&self.process) = Some(Supervised::spawn(&lock(&self.command), &self.log)?);
        Ok(())
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&self) -> io::Result<()> {
        self.take()?.kill().map(drop)
    }

    /// SIGTERM, as when a pod is deleted, and how it ended.
    ///
    /// # Errors
    /// When it does not run.
    pub fn stop(&self) -> io::Result<ExitStatus> {
        self.take()?.stop(GRACE)
    }

    fn take(&self) -> io::Result<Supervised> {
        lock(&self.process).take().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the operator does not run"))
    }

    /// Sends a signal by its name: `TERM`, `KILL`, `STOP`, `CONT`.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        match lock(&self.process).as_mut() {
            Some(process) => process.signal(name),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "the operator does not run")),
        }
    }

    /// How it ended by itself, or by a signal; `None` while it runs, and when it was not started.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn ended(&self) -> io::Result<Option<ExitStatus>> {
        lock(&self.process).as_mut().map_or(Ok(None), Supervised::try_wait)
    }

    /// The process id, once it was started.
    pub fn pid(&self) -> Option<u32> {
        lock(&self.process).as_ref().map(Supervised::pid)
    }

    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// Everything that it ever logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The end of it.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// A field of the last entry with this message.
    pub fn logged(&self, message: &str, field: &str) -> Option<String> {
        let is_it = |entry: &Value| entry["message"] == message;
        self.last_entry(is_it)?[field].as_str().map(str::to_owned)
    }

    /// Where it serves its probes and metrics.
    pub fn address(&self) -> Option<String> {
        self.last_entry(|entry| entry["address"].is_string())?["address"].as_str().map(str::to_owned)
    }

    fn last_entry(&self, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        let log = self.log();
        let mut entries = log.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        entries.find(wanted)
    }

    /// Its response to a GET of a path, if there is one.
    pub async fn get(&self, path: &str) -> Option<reqwest::Response> {
        reqwest::get(format!("http://{}{path}", self.address()?)).await.ok()
    }

    /// The status of that response; 0 for none.
    pub async fn status(&self, path: &str) -> u16 {
        self.get(path).await.map(|response| response.status().as_u16()).unwrap_or_default()
    }

    /// Waits until its readiness probe succeeds.
    ///
    /// # Errors
    /// When it ends before, or does not within the limit.
    pub async fn until_ready(&self, limit: Duration) -> Result<(), Error> {
        let probe = async || match self.ended() {
            Ok(None) => (self.status("/readyz").await == 200).then_some(Ok(())),
            Ok(Some(_)) => Some(Err(Error::Ended { log: self.log_tail() })),
            Err(error) => Some(Err(error.into())),
        };
        let timed_out =
            || Error::TimedOut { what: "the operator is ready".into(), after: limit, report: self.log_tail() };
        Wait::up_to(limit).value(probe).await.unwrap_or_else(|| Err(timed_out()))
    }
}

/// A test that failed while it held the lock says so itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
