//! A torrent of a node.

mod availability;
mod candidates;
mod free_blocks;
mod last_blocks;
mod lifecycle;
mod metadata;
mod pick_order;
mod super_seeding;
mod suspects;
mod trackers;
mod traffic;

use core::ops::Range;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bevy_ecs::prelude::{Component, Entity};
use dunlin_base::{Bitfield, EngineTime, InfoHash, PeerKey, PieceIndex, TorrentKey};
use dunlin_port::config::{PickStrategy, Preallocation};
use dunlin_port::user::FilePriority;
use dunlin_protocol::metainfo::Info;

pub use availability::Availability;
pub use candidates::{Candidate, CandidateState, Candidates};
pub use free_blocks::FreeBlocks;
pub use last_blocks::LastBlocks;
pub use lifecycle::Lifecycle;
pub use metadata::{CopyKey, MetadataCopy, MetadataFetch, PartSender};
pub use pick_order::{PickOrder, PickPlace, PieceRank};
pub use super_seeding::{Shown, SuperSeeding};
pub use suspects::{SuspectBlock, Suspects};
pub use trackers::{Announced, Tracker, Trackers};
pub use traffic::{TorrentBuckets, Traffic};

/// What makes an entity a torrent.
#[derive(Component, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[component(immutable)]
#[require(Peers, ActivePieces, Candidates, Suspects, Traffic, Commit, Deadlines)]
pub struct Torrent(pub TorrentKey);

/// The node that a torrent belongs to.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
#[component(immutable)]
pub struct NodeOf(pub Entity);

/// The hash that trackers and peers know a torrent by.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[component(immutable)]
pub struct SwarmHash(pub InfoHash);

/// What a torrent contains. One that was added by its info hash alone has none, nor `Have` and
/// `Wanted`, before its [`MetadataFetch`] is done.
#[derive(Component, Clone, Debug)]
#[component(immutable)]
pub struct Content(pub Arc<Info>);

/// Pieces that are verified and on disk.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Have(pub Bitfield);

/// Pieces that hold any byte of a file that is not skipped.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Wanted(pub Bitfield);

/// How much each file is wanted, and how its pieces are chosen.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Selection {
    /// One for each file.
    pub files: Vec<FilePriority>,
    /// Pieces with a priority over that of their files.
    pub pieces: BTreeMap<PieceIndex, FilePriority>,
    /// How pieces are chosen.
    pub strategy: PickStrategy,
}

/// Where a torrent's files are and how space is reserved for them.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    /// The folder, which torrents share.
    pub root: Arc<Path>,
    /// How to reserve space.
    pub preallocation: Preallocation,
    /// Whether the files stay as they are: the torrent is seeded, never downloaded.
    pub as_is: bool,
}

/// A torrent's peers that shook hands, by key.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Peers(pub BTreeMap<PeerKey, Entity>);

/// How a download's neighbours looked at the last look. Torrents that want nothing have none.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Neighbours {
    /// When to look next.
    pub look_at: EngineTime,
    /// Whether nobody had anything that is wanted.
    pub stranded: bool,
}

/// A torrent's pieces in motion, by index.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ActivePieces(pub BTreeMap<PieceIndex, Entity>);

/// Pieces that a reader wants next, in order, as far as they are missing: they come before all others.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Deadlines(pub Option<Range<u32>>);

/// Where the resume database stands.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Commit {
    /// Whether the disk has said what is there since it was last asked to open the files. Before
    /// that there is nothing to commit: what we have is not known.
    pub opened: bool,
    /// Whether something was written since the last commit was asked for.
    pub dirty: bool,
    /// How many commits are under way: one at a time, but the last one of a torrent that is closed
    /// follows the one before it.
    pub under_way: u8,
    /// When the last commit was asked for.
    pub asked_at: EngineTime,
    /// Whether the next commit holds the last wanted piece.
    pub completes: bool,
    /// Whether one under way does.
    pub under_way_completes: bool,
}
