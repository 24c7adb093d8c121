//! Processes and directories end with the process that made them, however that one ends.
//! The process to kill is this test binary itself, run again for the one test that then only starts a child and waits.

// A test fails by panicking.
#![allow(clippy::expect_used)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use control_plane::{Scratch, Supervised};

const PARENT: &str = "SUPERVISED_TEST_BEAT";
const LIMIT: Duration = Duration::from_secs(10);

/// Writes into `file` ten times a second, for ever: what it writes shows whether it lives.
fn beating(file: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", r#"while :; do echo beat >>"$1"; sleep 0.1; done"#, "sh"]).arg(file);
    command
}

fn beats(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |metadata| metadata.len())
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LIMIT, "not within {} s: {what}", LIMIT.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn assert_ended(file: &Path) {
    std::thread::sleep(Duration::from_millis(300));
    let before = beats(file);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(beats(file), before, "the child still writes");
}

/// What the process does that [`everything_ends_when_the_parent_is_killed`] kills: that test, run once more.
fn be_the_parent(file: &Path) {
    let scratch = Scratch::new().expect("a directory");
    let _child = Supervised::spawn(&beating(file), scratch.path().join("log")).expect("a child");
    println!("directory={}", scratch.path().display());
    std::thread::sleep(Duration::from_secs(600));
}

#[test]
fn everything_ends_when_the_parent_is_killed() {
    if let Some(file) = std::env::var_os(PARENT) {
        return be_the_parent(Path::new(&file));
    }
    let scratch = Scratch::new().expect("a directory");
    let file = scratch.path().join("beats");
    let mut parent = Command::new(std::env::current_exe().expect("this binary"));
    parent
        .args(["--exact", "everything_ends_when_the_parent_is_killed", "--nocapture"])
        .env(PARENT, &file)
        .stdout(Stdio::piped());
    let mut parent = parent.spawn().expect("the parent");
    let lines = BufReader::new(parent.stdout.take().expect("its output")).lines();
    let directory = lines.map_while(Result::ok).find_map(|line| Some(PathBuf::from(line.split_once("directory=")?.1)));
    let directory = directory.expect("the parent's directory");
    until("the child beats", || beats(&file) > 0);

    parent.kill().expect("SIGKILL");
    parent.wait().expect("its end");

    until("the directory is removed", || !directory.exists());
    assert_ended(&file);
}

#[test]
fn a_child_ends_when_dropped() {
    let scratch = Scratch::new().expect("a directory");
    let file = scratch.path().join("beats");
    let mut child = Supervised::spawn(&beating(&file), scratch.path().join("log")).expect("a child");
    until("the child beats", || beats(&file) > 0);
    assert!(child.is_running());
    drop(child);
    assert_ended(&file);
}

#[test]
fn signals_reach_the_program_and_its_status_and_output_are_seen() {
    let scratch = Scratch::new().expect("a directory");
    let mut command = Command::new("sh");
    command.args(["-c", r#"trap 'echo bye; exit 7' TERM; echo "hello $WHO"; while :; do sleep 0.05; done"#]);
    command.env("WHO", "world");
    let mut child = Supervised::spawn(&command, scratch.path().join("log")).expect("a child");
    until("it has set its trap", || child.log_tail(1) == "hello world");
    let status = child.stop(LIMIT).expect("its end");
    assert_eq!(status.code(), Some(7));
    assert_eq!(child.log_tail(9), "hello world\nbye");
    assert!(child.signal("TERM").is_err(), "its pid may be somebody else's now");
}

#[test]
fn missing_program_ends_at_once() {
    let scratch = Scratch::new().expect("a directory");
    let command = Command::new("/nowhere/program");
    let mut child = Supervised::spawn(&command, scratch.path().join("log")).expect("a shell");
    let status = child.wait(LIMIT).expect("its end").expect("an end in time");
    assert_eq!(status.code(), Some(127));
    assert!(child.log_tail(1).contains("/nowhere/program"));
}
