//! What viewers read: a copy of the tables at an instant, and the events between two of them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dunlin_base::{EngineTime, InfoHash, PeerKey, TorrentKey};
use dunlin_protocol::metainfo::Info;

use crate::disk::Totals;

/// The state of everything at one instant.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Snapshot {
    /// When.
    pub at: EngineTime,
    /// Every torrent, by key.
    pub torrents: Vec<TorrentView>,
}

/// A torrent as a viewer sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct TorrentView {
    /// Its key.
    pub torrent: TorrentKey,
    /// Its info hash.
    pub info_hash: InfoHash,
    /// Its name, made safe.
    pub name: String,
    /// What it is doing.
    pub state: TorrentState,
    /// Where its files are.
    pub root: Arc<Path>,
    /// Bytes of the files that are wanted.
    pub wanted_bytes: u64,
    /// Of those, bytes in verified pieces that are on disk.
    pub done_bytes: u64,
    /// Pieces on disk.
    pub have_pieces: u32,
    /// All pieces.
    pub pieces: u32,
    /// Payload over its whole life.
    pub totals: Totals,
    /// Payload bytes per second that come.
    pub down_bytes_per_sec: u64,
    /// Payload bytes per second that go.
    pub up_bytes_per_sec: u64,
    /// Bytes that came and were of no use: duplicates, unrequested.
    pub wasted_bytes: u64,
    /// Bytes that came and failed their hash.
    pub corrupt_bytes: u64,
    /// Connected peers, by key.
    pub peers: Vec<PeerView>,
    /// Bytes done of each file.
    pub file_done_bytes: Vec<u64>,
    /// Copies of the rarest piece among the connected peers, and us.
    pub copies: u32,
    /// Its trackers, tier by tier.
    pub trackers: Vec<TrackerView>,
    /// Why it is as fast as it is, most important first.
    pub why: Vec<Reason>,
}

/// What a torrent is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TorrentState {
    /// Asking peers what the torrent contains (BEP 9): of its info dictionary so many bytes of so
    /// many have come. Both are 0 before a peer has offered it.
    Metadata {
        /// Bytes of the copy that is furthest.
        done_bytes: u32,
        /// Its length, as a peer says.
        of_bytes: u32,
    },
    /// Looking at what is on disk.
    Checking {
        /// Pieces hashed so far.
        done: u32,
        /// Pieces to hash.
        of: u32,
    },
    /// Fetching what is missing.
    Downloading,
    /// Everything that is wanted is there.
    Seeding,
    /// Resting until resumed.
    Paused,
    /// Stopped by its surroundings; it tries again by itself.
    Stopped {
        /// What happened, in words for a person.
        reason: String,
    },
}

/// A connected peer as a viewer sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct PeerView {
    /// Its key.
    pub peer: PeerKey,
    /// Where it is.
    pub addr: SocketAddr,
    /// What it calls itself (BEP 10 `v`), or its peer id's client code.
    pub client: String,
    /// Pieces it has, of all.
    pub have_pieces: u32,
    /// Payload bytes per second from it.
    pub down_bytes_per_sec: u64,
    /// Payload bytes per second to it.
    pub up_bytes_per_sec: u64,
    /// Payload bytes from it.
    pub downloaded_bytes: u64,
    /// Payload bytes to it.
    pub uploaded_bytes: u64,
    /// The four flags of BEP 3.
    pub flags: PeerFlags,
    /// Our requests that it has not answered yet.
    pub requests: u32,
}

/// Choke and interest in both directions (BEP 3), and what follows from them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PeerFlags {
    /// We choke it.
    pub am_choking: bool,
    /// It has what we want.
    pub am_interested: bool,
    /// It chokes us.
    pub peer_choking: bool,
    /// It wants what we have.
    pub peer_interested: bool,
    /// It owes us blocks for too long.
    pub snubbed: bool,
    /// It connected to us.
    pub incoming: bool,
}

/// A tracker as a viewer sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackerView {
    /// Its announce URL.
    pub url: String,
    /// Its tier, from 0 (BEP 12).
    pub tier: u32,
    /// What it last said: `None` before the first answer.
    pub last: Option<Result<TrackerCounts, String>>,
    /// When it is asked next.
    pub next_announce: EngineTime,
}

/// What a tracker answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TrackerCounts {
    /// Peers with everything.
    pub seeders: Option<u32>,
    /// Peers without.
    pub leechers: Option<u32>,
    /// Addresses that it gave.
    pub peers: u32,
}

/// One link in the chain of reasons for a torrent's present speed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A person paused it.
    Paused,
    /// Its data is being checked.
    Checking,
    /// Its surroundings stopped it.
    Stopped(String),
    /// Everything is there.
    Complete,
    /// There is no address left to try, and nobody is connected.
    NoPeersKnown,
    /// Nobody is connected, but attempts are under way.
    Connecting {
        /// Attempts under way.
        attempts: u32,
        /// Addresses still to try.
        candidates: u32,
    },
    /// What the torrent contains is being asked of peers.
    MetadataAsked {
        /// Peers that offer it.
        peers: u32,
    },
    /// No connected peer says that it knows what the torrent contains.
    MetadataNotOffered {
        /// Connected peers.
        peers: u32,
    },
    /// Peers that have what we need choke us.
    Choked {
        /// How many.
        by: u32,
        /// Of how many that have something we need.
        of: u32,
    },
    /// No connected peer has what we need.
    NothingOffered {
        /// Connected peers.
        peers: u32,
    },
    /// Peers owe us blocks for too long.
    Snubbed {
        /// How many.
        by: u32,
    },
    /// Our own download limit is reached, bytes per second.
    DownloadCap(u64),
    /// Our own upload limit is reached, bytes per second.
    UploadCap(u64),
    /// The disk is behind: bytes that wait to be written.
    DiskBusy {
        /// Bytes in whole pieces that are not written yet.
        bytes: u64,
    },
    /// The hashers are behind: bytes that wait to be hashed.
    HashBusy {
        /// Bytes in whole pieces that are not hashed yet.
        bytes: u64,
    },
    /// A tracker does not want to be asked yet.
    TrackerWait {
        /// Its URL.
        url: String,
        /// Seconds until it is asked.
        secs: u64,
    },
    /// A tracker does not answer, or refuses.
    TrackerFailed {
        /// Its URL.
        url: String,
        /// What happened.
        error: String,
    },
    /// Nobody asks us for anything.
    NobodyInterested,
    /// The peers give what they can.
    PeersGive {
        /// Peers that send.
        peers: u32,
    },
    /// Peers let us download, and nothing has come from them yet.
    AwaitingBlocks {
        /// Peers that we may ask.
        peers: u32,
    },
}

/// A count of peers, for people.
fn peers_text(peers: u32) -> String {
    match peers {
        1 => "1 peer".to_owned(),
        peers => format!("{peers} peers"),
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Paused => write!(f, "paused"),
            Self::Checking => write!(f, "checking what is on disk"),
            Self::Stopped(reason) => write!(f, "stopped: {reason}"),
            Self::Complete => write!(f, "everything is there"),
            Self::NoPeersKnown => write!(f, "no peer is known"),
            Self::Connecting {
                attempts,
                candidates,
            } => {
                write!(
                    f,
                    "nobody connected yet: {attempts} under way, {candidates} addresses left"
                )
            }
            Self::MetadataAsked { peers } => {
                write!(f, "the metadata is asked of {}", peers_text(*peers))
            }
            Self::MetadataNotOffered { peers } => {
                write!(f, "none of {} has the metadata", peers_text(*peers))
            }
            Self::Choked { by, of } => {
                let of = peers_text(*of);
                write!(f, "choked by {by} of {of} with what we need")
            }
            Self::NothingOffered { peers } => {
                write!(f, "none of {} has what we need", peers_text(*peers))
            }
            Self::Snubbed { by: 1 } => write!(f, "1 peer owes us blocks for too long"),
            Self::Snubbed { by } => write!(f, "{by} peers owe us blocks for too long"),
            Self::DownloadCap(rate) => write!(f, "at our download limit of {rate} bytes/s"),
            Self::UploadCap(rate) => write!(f, "at our upload limit of {rate} bytes/s"),
            Self::DiskBusy { bytes } => {
                write!(f, "the disk is behind: {bytes} bytes wait to be written")
            }
            Self::HashBusy { bytes } => write!(f, "the hashers are behind: {bytes} bytes wait"),
            Self::TrackerWait { url, secs } => write!(f, "{url} will be asked in {secs} s"),
            Self::TrackerFailed { url, error } => write!(f, "{url}: {error}"),
            Self::NobodyInterested => write!(f, "nobody asks for anything"),
            Self::PeersGive { peers: 1 } => write!(f, "1 peer gives what it can"),
            Self::PeersGive { peers } => write!(f, "{peers} peers give what they can"),
            Self::AwaitingBlocks { peers } => {
                write!(f, "waiting for the first blocks of {}", peers_text(*peers))
            }
        }
    }
}

/// Something that happened and that a subscriber may want to know at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SessionEvent {
    /// What a torrent contains has come from peers and is what its info hash says (BEP 9).
    MetadataCame {
        /// Which torrent.
        torrent: TorrentKey,
        /// What it contains.
        info: Arc<Info>,
    },
    /// A torrent's files are open and checked.
    Opened {
        /// Which torrent.
        torrent: TorrentKey,
        /// Pieces that are there.
        have_pieces: u32,
        /// Pieces that were hashed to find out.
        checked_pieces: u32,
    },
    /// A piece was verified and written.
    PieceDone {
        /// Which torrent.
        torrent: TorrentKey,
        /// Which piece.
        piece: u32,
    },
    /// Everything that is wanted is verified, written and committed.
    Completed {
        /// Which torrent.
        torrent: TorrentKey,
    },
    /// A piece failed its hash.
    HashFailed {
        /// Which torrent.
        torrent: TorrentKey,
        /// Which piece.
        piece: u32,
    },
    /// A peer was banned.
    PeerBanned {
        /// Which torrent.
        torrent: TorrentKey,
        /// Where it is.
        addr: SocketAddr,
        /// What it did.
        reason: String,
    },
    /// A tracker answered.
    TrackerReplied {
        /// Which torrent.
        torrent: TorrentKey,
        /// Its announce URL.
        url: String,
        /// Addresses that it gave.
        peers: u32,
    },
    /// A tracker did not answer, or refused.
    TrackerFailed {
        /// Which torrent.
        torrent: TorrentKey,
        /// Its announce URL.
        url: String,
        /// What happened.
        error: String,
    },
    /// A torrent stopped because of its surroundings.
    TorrentStopped {
        /// Which torrent.
        torrent: TorrentKey,
        /// What happened, in words for a person.
        reason: String,
        /// Seconds between the tries to go on; `None` when no try would help.
        retry_secs: Option<u64>,
    },
    /// A torrent that had stopped works again.
    TorrentRecovered {
        /// Which torrent.
        torrent: TorrentKey,
    },
    /// A torrent's files moved, or did not.
    Moved {
        /// Which torrent.
        torrent: TorrentKey,
        /// Where the files are now.
        root: PathBuf,
        /// Why they are still where they were.
        error: Option<String>,
    },
    /// A torrent was removed and its files are closed.
    Removed {
        /// Which torrent.
        torrent: TorrentKey,
    },
    /// Everything is committed and quiet.
    Stopped,
}
