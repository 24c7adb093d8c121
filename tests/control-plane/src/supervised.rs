//! Child processes that end with this process, even when it is killed with SIGKILL.
//! A small shell beside each child holds a pipe from this process and kills the child when the pipe closes.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Becomes the program itself (so that its pid and exit status are ours to see) after leaving a watchdog behind.
/// The watchdog reads the pipe: a line means that the program has ended, the end of the pipe that we have.
const WATCHDOG: &str = r#"exec 3<&0 </dev/null
(trap '' HUP INT TERM; read -r _ <&3 || kill -KILL $$) >/dev/null 2>&1 &
exec 3<&-
exec "$@""#;

/// How often a wait looks whether the process has ended.
const POLL: Duration = Duration::from_millis(10);

/// A running program with its output in a log file; killed when dropped, and when this process ends in any way.
#[derive(Debug)]
pub struct Supervised {
    name: String,
    log: PathBuf,
    child: Child,
    // Outside of `child`, because `Child::wait` closes the standard input that it finds there.
    leash: Option<ChildStdin>,
}

impl Supervised {
    /// Starts `command` (its program, arguments, environment changes and directory count; its standard streams do
    /// not) and appends both its output streams to the file `log`.
    ///
    /// # Errors
    /// When the log cannot be opened or the shell not started. A program that does not exist ends with status 127.
    pub fn spawn(command: &Command, log: impl Into<PathBuf>) -> io::Result<Self> {
        let log = log.into();
        let output = File::options().create(true).append(true).open(&log)?;
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCHDOG, "sh"]).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(key, value),
                None => shell.env_remove(key),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            shell.current_dir(directory);
        }
        // Its own process group: Ctrl-C reaches this process only, which then ends the children in its own order.
        shell.stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output).process_group(0);
        let mut child = shell.spawn()?;
        let leash = child.stdin.take();
        let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
        Ok(Self { name: name.to_string_lossy().into_owned(), log, child, leash })
    }

    /// The file name of the program.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id of the program itself.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file with everything that the program wrote.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last `lines` lines of the log; empty when it cannot be read.
    pub fn log_tail(&self, lines: usize) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// The exit status if the program has ended; does not wait.
    ///
    /// # Errors
    /// As [`Child::try_wait`].
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            self.release();
        }
        Ok(status)
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.try_wait(), Ok(None))
    }

    /// Waits until the program ends, at most `limit`; `None` when it still runs. Blocks the thread: within an async
    /// test whose other tasks must go on, poll [`Self::try_wait`] instead.
    ///
    /// # Errors
    /// As [`Child::try_wait`].
    pub fn wait(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            let status = self.try_wait()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            std::thread::sleep(POLL);
        }
    }

    /// Sends a signal by its name without `SIG`, as the command `kill` does: `TERM`, `KILL`, `STOP`, ...
    ///
    /// # Errors
    /// When the program has ended already, or `kill` fails.
    pub fn signal(&mut self, name: &str) -> io::Result<()> {
        if self.try_wait()?.is_some() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{} has ended", self.name)));
        }
        let pid = self.pid().to_string();
        let output = Command::new("sh").args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid]).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }

    /// Kills the program with SIGKILL and waits for its end.
    ///
    /// # Errors
    /// As [`Child::wait`].
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        let status = self.child.wait()?;
        self.release();
        Ok(status)
    }

    /// Sends SIGTERM, waits at most `grace`, then kills.
    ///
    /// # Errors
    /// As [`Self::signal`] and [`Self::kill`].
    pub fn stop(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        self.signal("TERM")?;
        match self.wait(grace)? {
            Some(status) => Ok(status),
            None => self.kill(),
        }
    }

    /// Tells the watchdog that there is nothing left to kill, since the pid may soon be somebody else's.
    fn release(&mut self) {
        if let Some(mut leash) = self.leash.take() {
            let _gone_already = leash.write_all(b"\n");
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let _ended_already = self.kill();
    }
}
