//! A temporary directory that is removed with this process, even when that is killed with SIGKILL.
//! It is for what supervised processes leave: data, logs, kubeconfigs.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Waits for a line (nothing left to do) or the end of the pipe. Tries again for a while, since the processes that
/// write there are killed at the same moment.
const JANITOR: &str = r#"trap '' HUP INT TERM
read -r _ && exit
for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2; rm -rf "$1" && exit; done"#;

/// A directory readable by this user only; removed when dropped, and when this process ends in any way.
#[derive(Debug)]
pub struct Scratch {
    directory: Option<TempDir>,
    janitor: Child,
}

impl Scratch {
    /// Makes a directory beneath the system's temporary directory.
    ///
    /// # Errors
    /// When the directory cannot be made or the shell not started.
    pub fn new() -> io::Result<Self> {
        // Short, because the path of a Unix socket within may have some 100 bytes at most.
        let directory = tempfile::Builder::new().prefix("cp-").tempdir()?;
        let janitor = Command::new("sh")
            .args(["-c", JANITOR, "sh"])
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { directory: Some(directory), janitor })
    }

    pub fn path(&self) -> &Path {
        self.directory.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.directory.take());
        if let Some(mut leash) = self.janitor.stdin.take() {
            let _gone_already = leash.write_all(b"\n");
        }
        let _gone_already = self.janitor.wait();
    }
}
