//! Processes of a test: started in a host of its lab, logged to files, ended by their own id, never by name.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::lab::Host;
use super::wait::wait_for;

/// A running program; dropping it kills and reaps it, and prints the end of its log when the test is failing.
pub(crate) struct Process {
    name: String,
    child: Child,
    ended: Option<ExitStatus>,
    out: PathBuf,
    err: PathBuf,
    /// Bytes of its output that [`Self::news`] has given.
    told: u64,
}

impl Process {
    /// Starts `program` inside `host`. It dies with the test's thread, however that ends.
    pub(crate) fn start<S: AsRef<OsStr>>(
        host: &Host,
        name: &str,
        program: &Path,
        arguments: &[S],
    ) -> Self {
        let serial = host.next_serial();
        let out = host.folder().join(format!("{name}-{serial}.out"));
        let err = host.folder().join(format!("{name}-{serial}.err"));
        let home = host.folder().join("home");
        fs::create_dir_all(&home).expect("a home folder");
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "nsenter"])
            .arg(host.namespace_argument())
            .arg(program)
            .args(arguments)
            .current_dir(host.folder())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home)
            .env("LANG", "C.UTF-8")
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(File::create(&out).expect("a log file"))
            .stderr(File::create(&err).expect("a log file"));
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self {
            name: format!("{name}-{serial}"),
            child,
            ended: None,
            out,
            err,
            told: 0,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("our own child");
        }
        self.ended
    }

    pub(crate) fn assert_running(&mut self) {
        if let Some(status) = self.ended() {
            panic!("{} ended early: {status}\n{}", self.name, self.tail());
        }
    }

    /// Waits for the end that the process comes to by itself.
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("end of {}", self.name);
        wait_for(&what, limit, || self.ended())
    }

    /// Waits for an end with exit code 0.
    pub(crate) fn wait_success(&mut self, limit: Duration) {
        let status = self.wait(limit);
        assert!(
            status.success(),
            "{}: {status} (signal {:?})\n{}",
            self.name,
            status.signal(),
            self.tail()
        );
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            let pid = Pid::from_child(&self.child);
            kill_process(pid, signal)
                .unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.name));
        }
    }

    /// Ends it the hard way (`kill -9`) and reaps it.
    pub(crate) fn kill(&mut self) {
        if self.ended().is_none() {
            self.child.kill().ok();
            self.ended = self.child.wait().ok();
        }
    }

    /// All of its standard output so far.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.out).unwrap_or_default()).into_owned()
    }

    /// The whole lines of JSON that it has printed so far.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        parsed(whole_lines(&fs::read(&self.out).unwrap_or_default()))
    }

    /// The whole lines of JSON that it has printed since this was last asked: for those who ask often.
    pub(crate) fn news(&mut self) -> Vec<Value> {
        let mut text = Vec::new();
        let read = File::open(&self.out).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.told))?;
            file.read_to_end(&mut text)
        });
        read.unwrap_or_else(|error| panic!("{}: {error}", self.out.display()));
        let whole = whole_lines(&text);
        self.told += whole.len() as u64;
        parsed(whole)
    }

    /// Those of them with this `"type"`.
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        self.json_lines()
            .into_iter()
            .filter(|line| line["type"] == kind)
            .collect()
    }

    /// The end of what it printed.
    pub(crate) fn tail(&self) -> String {
        let mut text = String::new();
        for file in [&self.out, &self.err] {
            let content = fs::read(file).unwrap_or_default();
            let content = String::from_utf8_lossy(&content);
            let lines: Vec<&str> = content.lines().collect();
            let skipped = lines.len().saturating_sub(25);
            writeln!(text, "--- {} ({skipped} lines before)", file.display())
                .expect("a string takes text");
            for line in &lines[skipped..] {
                let short: String = line.chars().take(400).collect();
                writeln!(text, "{short}").expect("a string takes text");
            }
        }
        text
    }
}

/// What of a text is whole lines.
fn whole_lines(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte == b'\n');
    &text[..end.map_or(0, |end| end + 1)]
}

/// Those of these lines that are JSON.
fn parsed(lines: &[u8]) -> Vec<Value> {
    lines
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("{}", self.tail());
        }
    }
}
