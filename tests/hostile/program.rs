//! The program under attack, and a folder for it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Far longer than anything takes; who waits that long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A folder to work in, which is also the home of what runs in it.
pub(crate) struct Desk(TempDir);

impl Desk {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below the desk")).expect("a folder");
        fs::write(&path, content).expect("a file");
        path
    }

    /// Dunlin in at most this much address space, where the shell can hold it to that.
    pub(crate) fn dunlin_within(&self, kib: u32) -> Command {
        let mut command = self.command(Path::new("/bin/sh"));
        let script = format!("ulimit -v {kib}; exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_dunlin")]);
        command
    }

    pub(crate) fn start(&self, args: &[&str]) -> Program {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_dunlin")));
        Program::start(command.args(args).arg("--json"))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.0.path())
            .stdin(Stdio::null());
        command
    }
}

/// A running program and the JSON lines that it prints. Dropped, it is killed.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<Value>,
}

impl Program {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let fact = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(fact).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The next fact of this type.
    pub(crate) fn wait_for(&self, kind: &str) -> Value {
        let end = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while let Ok(fact) = self
            .lines
            .recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            if fact["type"] == kind {
                return fact;
            }
            seen.push(fact);
        }
        panic!("no {kind} in {seen:#?}");
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        let fact = self.wait_for("listening");
        fact["addr"]
            .as_str()
            .expect("text")
            .parse()
            .expect("an address")
    }

    /// Its exit code, when it ends by itself.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end");
    }

    /// Its exit code after ^C. A program that had crashed has another.
    pub(crate) fn interrupt(&mut self) -> Option<i32> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::INT).expect("it still runs");
        self.end()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
