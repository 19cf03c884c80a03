//! The other clients, each behind the same two verbs: seed these torrents, download these torrents.
//!
//! Whatever reaches out of the lab is off in all of them: DHT, local discovery, port mapping. Encryption is optional.

pub(crate) mod aria2;
pub(crate) mod dunlin;
pub(crate) mod libtorrent;
pub(crate) mod opentracker;
pub(crate) mod qbittorrent;
pub(crate) mod rqbit;
pub(crate) mod transmission;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::support::lab::{Host, find_program, skip};
use crate::support::payload::Payload;
use crate::support::process::Process;
use crate::support::torrent::Torrent;
use crate::support::wait::{CHECK, STOP, TRANSFER, wait_until};

/// Someone else's client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    Libtorrent,
    Transmission,
    Aria2,
    Qbittorrent,
    Rqbit,
}

/// What a client is started for.
pub(crate) struct Job<'a> {
    pub(crate) torrents: Vec<&'a Torrent>,
    /// Where the content is or shall be.
    pub(crate) folder: PathBuf,
    /// Peers to dial. Only some clients can be told; the others hear of them from the tracker in the torrents.
    pub(crate) peers: Vec<SocketAddr>,
    pub(crate) up_limit_bytes: Option<u64>,
    pub(crate) down_limit_bytes: Option<u64>,
    /// Peers to serve at a time, for clients that can be told.
    pub(crate) slots: Option<u32>,
    /// Whether it gets magnet links instead of torrent files.
    by_link: bool,
}

/// A running client.
pub(crate) struct Node {
    pub(crate) process: Process,
    /// Where it takes connections.
    pub(crate) address: SocketAddr,
    torrents: usize,
    complete: Box<dyn Fn(&Process) -> usize>,
}

impl Client {
    pub(crate) const ALL: [Self; 5] = [
        Self::Libtorrent,
        Self::Transmission,
        Self::Aria2,
        Self::Qbittorrent,
        Self::Rqbit,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Libtorrent => "libtorrent",
            Self::Transmission => "transmission",
            Self::Aria2 => "aria2",
            Self::Qbittorrent => "qbittorrent",
            Self::Rqbit => "rqbit",
        }
    }

    /// Where its program is; says so when it is nowhere.
    pub(crate) fn find(self) -> Option<PathBuf> {
        let program = match self {
            Self::Libtorrent => libtorrent::python(),
            Self::Transmission => find_program("transmission-daemon"),
            Self::Aria2 => find_program("aria2c"),
            Self::Qbittorrent => find_program("qbittorrent-nox"),
            Self::Rqbit => rqbit::program(),
        };
        if program.is_none() {
            skip(&format!(
                "{} not found (.ci/install-peers installs it)",
                self.name()
            ));
        }
        program
    }

    pub(crate) fn start(self, host: &Host, job: &Job<'_>) -> Node {
        let program = self.find().expect("asked for before");
        match self {
            Self::Libtorrent => libtorrent::start(host, &program, job),
            Self::Transmission => transmission::start(host, &program, job),
            Self::Aria2 => aria2::start(host, &program, job),
            Self::Qbittorrent => qbittorrent::start(host, &program, job),
            Self::Rqbit => rqbit::start(host, &program, job),
        }
    }

    /// Starts it on a copy of the payloads and waits until it has checked them all.
    pub(crate) fn seed(self, host: &Host, payloads: &[&Payload]) -> Node {
        let folder = host.fresh_folder("seed");
        payloads.iter().for_each(|payload| payload.place(&folder));
        let mut node = self.start(host, &Job::of(payloads, &folder));
        node.wait_complete("its check of what it shall seed", CHECK);
        node
    }
}

impl<'a> Job<'a> {
    pub(crate) fn of(payloads: &[&'a Payload], folder: &Path) -> Self {
        let torrents = payloads.iter().map(|payload| &payload.torrent).collect();
        Self {
            torrents,
            folder: folder.to_owned(),
            peers: vec![],
            up_limit_bytes: None,
            down_limit_bytes: None,
            slots: None,
            by_link: false,
        }
    }

    /// By magnet links; for clients that are started with [`Self::sources`].
    pub(crate) fn by_link(mut self) -> Self {
        self.by_link = true;
        self
    }

    /// What names each torrent: its file, or its link.
    fn sources(&self) -> impl Iterator<Item = String> + '_ {
        self.torrents.iter().map(|torrent| match self.by_link {
            true => torrent.link(),
            false => torrent.file.display().to_string(),
        })
    }

    pub(crate) fn from(mut self, peers: &[SocketAddr]) -> Self {
        self.peers = peers.to_vec();
        self
    }

    pub(crate) fn up_limit(mut self, bytes_per_sec: u64) -> Self {
        self.up_limit_bytes = Some(bytes_per_sec);
        self
    }

    pub(crate) fn slots(mut self, slots: u32) -> Self {
        self.slots = Some(slots);
        self
    }

    pub(crate) fn down_limit(mut self, bytes_per_sec: u64) -> Self {
        self.down_limit_bytes = Some(bytes_per_sec);
        self
    }
}

impl Node {
    fn new(
        process: Process,
        address: SocketAddr,
        job: &Job<'_>,
        complete: impl Fn(&Process) -> usize + 'static,
    ) -> Self {
        Self {
            process,
            address,
            torrents: job.torrents.len(),
            complete: Box::new(complete),
        }
    }

    pub(crate) fn is_complete(&mut self) -> bool {
        self.process.assert_running();
        (self.complete)(&self.process) == self.torrents
    }

    pub(crate) fn wait_complete(&mut self, what: &str, limit: std::time::Duration) {
        let what = format!("{} of {}", what, self.process.name());
        wait_until(&what, limit, || self.is_complete());
    }

    /// Waits until it says that it has everything, ends it, and checks what it left on disk.
    pub(crate) fn finish(mut self, payloads: &[&Payload], folder: &Path) {
        self.wait_complete("download", TRANSFER);
        // By a signal and not by force: some write the last pieces only on their way out.
        self.process.signal(Signal::TERM);
        self.process.wait(STOP);
        payloads
            .iter()
            .for_each(|payload| payload.assert_downloaded_by_other(folder));
    }
}
