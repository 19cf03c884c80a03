//! Who has something to do in this tick, so that its cost follows what happened, not what exists.

use std::collections::BTreeSet;

use bevy_ecs::prelude::Resource;
use dunlin_base::{PeerKey, PieceIndex, TorrentKey};

/// Work lists that systems fill for systems behind them. Sets: doing a thing twice is no use.
#[derive(Resource, Default, Debug)]
pub struct Work {
    /// Peers whose request queue may have room.
    pub pick: BTreeSet<PeerKey>,
    /// Peers with requests that may be answered.
    pub serve: BTreeSet<PeerKey>,
    /// Peers of whom our interest may have changed.
    pub interest: BTreeSet<PeerKey>,
    /// Pieces whose last block has come.
    pub whole: Vec<(TorrentKey, PieceIndex)>,
    /// Pieces that are on disk since this tick, to be told to all peers.
    pub have: Vec<(TorrentKey, PieceIndex)>,
    /// Torrents that may connect to somebody.
    pub connect: BTreeSet<TorrentKey>,
    /// Torrents that may have a tracker to ask.
    pub announce: BTreeSet<TorrentKey>,
    /// Torrents whose commit is due.
    pub commit: BTreeSet<TorrentKey>,
    /// Torrents whose completeness may have changed.
    pub completion: BTreeSet<TorrentKey>,
    /// Peers to drop at the end of Receive, with the reason.
    pub drop: Vec<(PeerKey, String)>,
}

/// Memory for pieces in motion, in bytes. Near the budget no new piece is opened.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryBudget {
    /// What pieces in motion may take.
    pub bytes_max: u64,
    /// What they take: full lengths, from the first request until the piece is written.
    pub bytes: u64,
}

impl MemoryBudget {
    /// Whether a piece of `len` bytes may be opened. One always may, however long.
    #[must_use]
    pub const fn admits(&self, len: u32) -> bool {
        self.bytes == 0 || self.bytes + len as u64 <= self.bytes_max
    }
}
