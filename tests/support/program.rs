//! The program as people run it, and a folder for it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Bytes that no piece shares with another.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ len as u64;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(step).collect()
}

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

    pub(crate) fn start(&self, args: &[&str]) -> Program {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_dunlin")));
        Program::start(command.args(args).arg("--json"))
    }

    /// A program that knows nothing of the rest of this machine.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.0.path())
            .stdin(Stdio::null());
        command
    }
}

/// A running program and what it prints: JSON lines, and words for people on standard error. Dropped, it is killed.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<Value>,
}

impl Program {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let err = BufReader::new(child.stderr.take().expect("piped"));
        let (sender, lines) = channel();
        let also = sender.clone();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let fact = serde_json::from_str(&line).unwrap_or(Value::String(line));
                // A test that has seen enough listens no more, but the pipe must not fill.
                drop(sender.send(fact));
            }
        });
        std::thread::spawn(move || {
            for line in err.lines().map_while(Result::ok) {
                eprintln!("{line}");
                drop(also.send(json!({ "type": "stderr", "line": line })));
            }
        });
        Self { child, lines }
    }

    /// The next fact of this type.
    pub(crate) fn wait_for(&self, kind: &str) -> Value {
        self.wait_until(|fact| fact["type"] == kind)
    }

    /// The next fact that is wanted; a line on standard error is one of type `stderr`.
    pub(crate) fn wait_until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while let Ok(fact) = self
            .lines
            .recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            if wanted(&fact) {
                return fact;
            }
            seen.push(fact);
        }
        panic!("it did not come; what came: {seen:#?}");
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
