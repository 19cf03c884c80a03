//! Dunlin itself, as its users run it: the binary, its flags and its JSON.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::lab::{Host, skip};
use crate::support::payload::Payload;
use crate::support::process::Process;
use crate::support::wait::{START, STOP, TRANSFER, wait_for};

/// The binary under test: `DUNLIN_BIN`, or the one that Cargo built for this test.
pub(crate) fn program() -> Option<PathBuf> {
    let named = std::env::var_os("DUNLIN_BIN").map(PathBuf::from);
    let program = named.or_else(|| option_env!("CARGO_BIN_EXE_dunlin").map(PathBuf::from));
    if program.is_none() {
        skip("the binary dunlin is not built");
    }
    program
}

/// A command line in the making.
pub(crate) struct Dunlin {
    host: Host,
    verb: &'static str,
    arguments: Vec<String>,
}

impl Dunlin {
    fn new(host: &Host, verb: &'static str) -> Self {
        Self {
            host: host.clone(),
            verb,
            arguments: vec![verb.to_owned()],
        }
    }

    /// `dunlin get` of these torrents into `folder`, without trackers unless asked.
    pub(crate) fn get(host: &Host, payloads: &[&Payload], folder: &Path) -> Self {
        let files = payloads
            .iter()
            .map(|payload| payload.torrent.file.display());
        Self::get_all(host, files, folder)
    }

    /// `dunlin get` of these torrents by their magnet links.
    pub(crate) fn get_by_link(host: &Host, payloads: &[&Payload], folder: &Path) -> Self {
        let links = payloads.iter().map(|payload| payload.torrent.link());
        Self::get_all(host, links, folder)
    }

    fn get_all(host: &Host, what: impl Iterator<Item = impl ToString>, folder: &Path) -> Self {
        let mut command = Self::new(host, "get").arg("--json");
        command.arguments.extend(what.map(|what| what.to_string()));
        let state = host.folder().join("get-state");
        command
            .option("-o", folder.display())
            .option("--state-dir", state.display())
    }

    /// `dunlin seed` of a copy of this payload, at this port.
    pub(crate) fn seed(host: &Host, payload: &Payload, port: u16) -> Self {
        let folder = host.folder().join(format!("seed-{port}"));
        std::fs::create_dir_all(&folder).expect("a folder");
        payload.place(&folder);
        let state = host.folder().join(format!("seed-{port}-state"));
        Self::new(host, "seed")
            .arg(folder.join(&payload.torrent.name).display())
            .arg("--json")
            .option("--torrent", payload.torrent.file.display())
            .option("--listen", host.at(port))
            .option("--state-dir", state.display())
    }

    pub(crate) fn tracker(host: &Host, port: u16) -> Self {
        Self::new(host, "tracker")
            .option("--http", host.at(port))
            .option("--udp", host.at(port))
    }

    pub(crate) fn verify(host: &Host, payload: &Payload, folder: &Path) -> Self {
        Self::new(host, "verify")
            .arg(payload.torrent.file.display())
            .option("-d", folder.display())
            .arg("--json")
    }

    pub(crate) fn run(host: &Host, verb: &'static str) -> Self {
        Self::new(host, verb)
    }

    pub(crate) fn arg(mut self, argument: impl ToString) -> Self {
        self.arguments.push(argument.to_string());
        self
    }

    pub(crate) fn option(self, name: &str, value: impl ToString) -> Self {
        self.arg(name).arg(value)
    }

    pub(crate) fn peer(self, address: SocketAddr) -> Self {
        self.option("--peer", address)
    }

    pub(crate) fn start(mut self) -> Process {
        let program = program().expect("asked for before");
        // Why a peer was dropped, for the log that a failing test prints.
        self.arguments
            .push("--log=info,dunlin_systems::connect=debug".to_owned());
        Process::start(
            &self.host,
            &format!("dunlin-{}", self.verb),
            &program,
            &self.arguments,
        )
    }

    /// Starts a `seed` and waits until it seeds; its address as it says itself.
    pub(crate) fn start_seeding(self) -> (Process, SocketAddr) {
        let mut process = self.start();
        let address = wait_for("dunlin to listen", START, || {
            process.assert_running();
            let line = process.events("listening").pop()?;
            line["addr"].as_str()?.parse().ok()
        });
        wait_for("dunlin to seed", START, || {
            process.assert_running();
            process.events("seeding").pop()
        });
        (process, address)
    }

    /// Starts a `get`, waits for its end with success, and checks what it left.
    pub(crate) fn finish(self, payloads: &[&Payload], folder: &Path) -> Process {
        let mut process = self.start();
        process.wait_success(TRANSFER);
        payloads
            .iter()
            .for_each(|payload| payload.assert_downloaded(folder));
        process
    }
}

/// The last line of a `get` that ended.
pub(crate) fn summary(process: &Process) -> Value {
    let summary = process.events("summary").pop();
    summary.unwrap_or_else(|| panic!("{} printed no summary\n{}", process.name(), process.tail()))
}

/// How many pieces it found on disk when it started; `None` until it has looked.
pub(crate) fn have_pieces(process: &Process) -> Option<u64> {
    process.events("checked").first()?["have_pieces"].as_u64()
}

/// Whether a `get` that goes on seeding has everything.
pub(crate) fn is_complete(process: &mut Process) -> bool {
    process.assert_running();
    !process.events("completed").is_empty()
}

/// Ends it as a user would, with ^C, and waits until it has saved its state.
pub(crate) fn interrupt(process: &mut Process) {
    process.signal(Signal::INT);
    process.wait(STOP);
}
