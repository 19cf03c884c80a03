//! What the person or program in charge can tell the engine.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dunlin_base::{InfoHash, NodeKey, TorrentKey};
use dunlin_protocol::magnet::FileSelection;
use dunlin_protocol::metainfo::Info;

use crate::config::{EngineConfig, PickStrategy, Preallocation};
use crate::disk::Check;

/// A command to the engine.
#[derive(Debug)]
pub enum UserCommand {
    /// Start a torrent.
    Add(Box<AddTorrent>),
    /// Start a torrent of which only the info hash is known: peers are asked for the rest (BEP 9).
    AddMagnet(Box<AddMagnet>),
    /// Stop a torrent and forget it.
    Remove {
        /// Which torrent.
        torrent: TorrentKey,
        /// Whether its files go too.
        delete_files: bool,
    },
    /// Let a torrent rest: no connections, no announces.
    Pause {
        /// Which torrent.
        torrent: TorrentKey,
    },
    /// Wake a paused torrent, or one that stopped with an error.
    Resume {
        /// Which torrent.
        torrent: TorrentKey,
    },
    /// Hash all data again.
    Recheck {
        /// Which torrent.
        torrent: TorrentKey,
    },
    /// Change the priority of each file.
    SetFilePriorities {
        /// Which torrent.
        torrent: TorrentKey,
        /// One for each file.
        priorities: Vec<FilePriority>,
    },
    /// Change the priority of some pieces.
    SetPiecePriorities {
        /// Which torrent.
        torrent: TorrentKey,
        /// Which pieces; those that the torrent does not have are ignored.
        pieces: Range<u32>,
        /// What goes over the priority of their files; [`FilePriority::Skip`] for nothing.
        priority: FilePriority,
    },
    /// Change a torrent's limits.
    SetLimits {
        /// Which torrent.
        torrent: TorrentKey,
        /// The new limits.
        limits: TorrentLimits,
    },
    /// Change how pieces are chosen.
    SetStrategy {
        /// Which torrent.
        torrent: TorrentKey,
        /// The new strategy.
        strategy: PickStrategy,
    },
    /// A range is about to be read: its pieces come first, in order.
    SetDeadlines {
        /// Which torrent.
        torrent: TorrentKey,
        /// First byte in the torrent.
        start: u64,
        /// Bytes that the reader wants next; zero takes the wish back.
        len: u64,
    },
    /// Try these addresses.
    AddPeers {
        /// Which torrent.
        torrent: TorrentKey,
        /// Where peers may be.
        addresses: Vec<SocketAddr>,
    },
    /// Announce as soon as the trackers' minimum intervals allow.
    Reannounce {
        /// Which torrent.
        torrent: TorrentKey,
    },
    /// Move the files to another folder.
    Move {
        /// Which torrent.
        torrent: TorrentKey,
        /// To where.
        root: PathBuf,
    },
    /// New settings for a node, from this tick on.
    Configure {
        /// Which node.
        node: NodeKey,
        /// The settings.
        config: Box<EngineConfig>,
    },
    /// The address on which a node can be reached changed.
    Listening {
        /// Which node.
        node: NodeKey,
        /// TCP port to announce.
        port: u16,
    },
    /// Say goodbye to trackers and peers, commit everything. The engine is idle when
    /// [`crate::snapshot::SessionEvent::Stopped`] was emitted.
    Stop,
}

/// A torrent to add.
#[derive(Clone, Debug)]
pub struct AddTorrent {
    /// Its key, chosen by the caller, never used before in this world.
    pub torrent: TorrentKey,
    /// Whose torrent it is.
    pub node: NodeKey,
    /// What it contains.
    pub info: Arc<Info>,
    /// Tiers of announce URLs (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// The folder that its files are, or come to be, in.
    pub root: Arc<Path>,
    /// Priority of each file; empty for all normal.
    pub file_priorities: Vec<FilePriority>,
    /// How pieces are chosen.
    pub strategy: PickStrategy,
    /// How to reserve space.
    pub preallocation: Preallocation,
    /// How far to trust what is on disk.
    pub check: Check,
    /// Whether it is only seeded, and its files stay as they are: when anything is missing, it
    /// stops and says so.
    pub as_is: bool,
    /// Whether it rests until resumed.
    pub paused: bool,
    /// Its limits.
    pub limits: TorrentLimits,
    /// Addresses to try first.
    pub peers: Vec<SocketAddr>,
}

/// A torrent to add by its info hash alone.
#[derive(Clone, Debug)]
pub struct AddMagnet {
    /// Its key, chosen by the caller, never used before in this world.
    pub torrent: TorrentKey,
    /// Whose torrent it is.
    pub node: NodeKey,
    /// The SHA-1 hash of its info dictionary.
    pub info_hash: InfoHash,
    /// What to call it until its own name is known.
    pub name: Option<String>,
    /// Tiers of announce URLs (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// The folder that its files are, or come to be, in.
    pub root: Arc<Path>,
    /// Which files are wanted.
    pub files: MagnetFiles,
    /// How pieces are chosen.
    pub strategy: PickStrategy,
    /// How to reserve space.
    pub preallocation: Preallocation,
    /// How far to trust what is on disk.
    pub check: Check,
    /// Whether it rests until resumed.
    pub paused: bool,
    /// Its limits.
    pub limits: TorrentLimits,
    /// Addresses to try first.
    pub peers: Vec<SocketAddr>,
}

/// Which files of a torrent are wanted whose files are not known yet.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub enum MagnetFiles {
    /// All.
    #[default]
    All,
    /// Those of these numbers (BEP 53); all when the torrent has none of them.
    Only(FileSelection),
    /// None, until somebody has seen which there are: once they are known, the torrent rests until
    /// [`UserCommand::SetFilePriorities`] and [`UserCommand::Resume`].
    Undecided,
}

/// How much a file is wanted.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum FilePriority {
    /// Not at all.
    Skip,
    /// After the others.
    Low,
    /// As usual.
    #[default]
    Normal,
    /// Before the others.
    High,
}

/// Limits of one torrent, `None` for none of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct TorrentLimits {
    /// Payload bytes per second from peers.
    pub down_bytes_per_sec: Option<u64>,
    /// Payload bytes per second to peers.
    pub up_bytes_per_sec: Option<u64>,
    /// Payload bytes per second from each peer.
    pub peer_down_bytes_per_sec: Option<u64>,
    /// Payload bytes per second to each peer.
    pub peer_up_bytes_per_sec: Option<u64>,
    /// Connections.
    pub connections: Option<u32>,
}
