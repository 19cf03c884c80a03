//! The disk port: a torrent's files and its row in the resume database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dunlin_base::{Bitfield, BlockIndex, PeerKey, PieceIndex, TorrentKey};
use dunlin_protocol::metainfo::Info;
use dunlin_protocol::wire::BlockRequest;

use crate::BlockBuffer;
use crate::config::Preallocation;
use crate::hash::HashDone;

/// What the engine asks of the disk. Commands of one torrent are carried out so that a command
/// sees the effects of those before it.
#[derive(Debug)]
pub enum DiskCommand {
    /// Open a torrent's files, find out which pieces are there, answer [`DiskEvent::Opened`].
    Open {
        /// Which torrent.
        torrent: TorrentKey,
        /// What it contains.
        info: Arc<Info>,
        /// The folder that its files are, or come to be, in.
        root: Arc<Path>,
        /// How to reserve space.
        preallocation: Preallocation,
        /// For each file, whether it is wanted; unwanted files are not created.
        wanted: Vec<bool>,
        /// How far to trust what the resume database says.
        check: Check,
        /// Whether the files stay as they are: none is created, written or cut.
        as_is: bool,
    },
    /// Write a verified piece.
    Write {
        /// Which torrent.
        torrent: TorrentKey,
        /// Which piece.
        piece: PieceIndex,
        /// Its blocks, in order.
        blocks: Vec<BlockBuffer>,
    },
    /// Write some blocks of a piece in motion, unverified, to make room in memory; answer
    /// [`DiskEvent::Spilled`] or [`DiskEvent::SpillFailed`].
    Spill {
        /// Which torrent.
        torrent: TorrentKey,
        /// Which piece.
        piece: PieceIndex,
        /// The number by which the answer is known.
        spill: u64,
        /// The blocks with their payload, in order.
        blocks: Vec<(BlockIndex, BlockBuffer)>,
    },
    /// Hash a piece all of which was spilled, from its files; answer [`DiskEvent::Hashed`] or
    /// [`DiskEvent::HashFailed`].
    Hash {
        /// Which torrent.
        torrent: TorrentKey,
        /// Which piece.
        piece: PieceIndex,
        /// The number by which the answer is known.
        number: u64,
        /// The hash that the torrent says it has.
        expected: [u8; 20],
        /// Whether block digests are wanted even of a good piece, to compare with an earlier bad copy.
        digest_blocks: bool,
    },
    /// Read blocks that a peer asked for, answer one [`DiskEvent::Read`] for each.
    Read {
        /// Which torrent.
        torrent: TorrentKey,
        /// For whom.
        peer: PeerKey,
        /// What; each lies inside its piece and is at most one block long.
        blocks: Vec<BlockRequest>,
    },
    /// Flush what was written, then commit these facts to the resume database.
    Commit {
        /// Which torrent.
        torrent: TorrentKey,
        /// Pieces that are written.
        have: Bitfield,
        /// Payload bytes ever downloaded and uploaded.
        totals: Totals,
        /// Whether a person paused it.
        paused: bool,
    },
    /// Change which files are wanted.
    Select {
        /// Which torrent.
        torrent: TorrentKey,
        /// For each file, whether it is wanted.
        wanted: Vec<bool>,
    },
    /// Move the files to another folder, answer [`DiskEvent::Moved`].
    Move {
        /// Which torrent.
        torrent: TorrentKey,
        /// To where.
        root: PathBuf,
    },
    /// Hash everything again, answer [`DiskEvent::Opened`].
    Recheck {
        /// Which torrent.
        torrent: TorrentKey,
    },
    /// Close the files, answer [`DiskEvent::ClosedFiles`].
    Close {
        /// Which torrent.
        torrent: TorrentKey,
        /// What happens to what is on disk.
        keep: Keep,
    },
}

/// How far to trust the resume database when a torrent is opened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Check {
    /// Trust committed pieces whose files did not change, hash the pieces in doubt.
    Quick,
    /// Hash everything.
    Full,
    /// The caller has just made the torrent from these files and knows that they are complete.
    Trusted,
}

/// What closing a torrent leaves behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// Files and resume row: the torrent will be opened again.
    All,
    /// Files only: the torrent was removed.
    Files,
    /// Nothing: the torrent was removed with its data.
    Nothing,
}

/// Payload bytes over the whole life of a torrent, verified or not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Totals {
    /// Bytes that came.
    pub downloaded_bytes: u64,
    /// Bytes that went.
    pub uploaded_bytes: u64,
}

/// What the disk tells the engine.
#[derive(Debug)]
pub enum DiskEvent {
    /// How far a check has come.
    Checking {
        /// Which torrent.
        torrent: TorrentKey,
        /// Pieces hashed so far.
        done: u32,
        /// Pieces to hash.
        of: u32,
    },
    /// The files are open and these pieces are there.
    Opened {
        /// Which torrent.
        torrent: TorrentKey,
        /// Pieces that are on disk and good.
        have: Bitfield,
        /// Pieces that were hashed to find out.
        checked: u32,
        /// Totals of earlier runs.
        totals: Totals,
    },
    /// A piece is in its files (not flushed yet).
    Written {
        /// Which torrent.
        torrent: TorrentKey,
        /// Which piece.
        piece: PieceIndex,
    },
    /// A piece could not be written; its blocks come back.
    WriteFailed {
        /// Which torrent.
        torrent: TorrentKey,
        /// Which piece.
        piece: PieceIndex,
        /// Its blocks, in order.
        blocks: Vec<BlockBuffer>,
        /// Why.
        error: DiskError,
    },
    /// A spill is in its files (not flushed yet).
    Spilled {
        /// Which torrent.
        torrent: TorrentKey,
        /// Which piece.
        piece: PieceIndex,
        /// Which spill.
        spill: u64,
    },
    /// A spill could not be written; its blocks come back.
    SpillFailed {
        /// Which torrent.
        torrent: TorrentKey,
        /// Which piece.
        piece: PieceIndex,
        /// Which spill.
        spill: u64,
        /// Its blocks, in order.
        blocks: Vec<BlockBuffer>,
        /// Why.
        error: DiskError,
    },
    /// The verdict on a piece that was spilled; it has no blocks to give back.
    Hashed(HashDone),
    /// A piece that was spilled could not be read again.
    HashFailed {
        /// Which torrent.
        torrent: TorrentKey,
        /// Which piece.
        piece: PieceIndex,
        /// The number of the command.
        number: u64,
        /// Why.
        error: DiskError,
    },
    /// A block that a peer asked for.
    Read {
        /// Which torrent.
        torrent: TorrentKey,
        /// For whom.
        peer: PeerKey,
        /// What was asked for.
        block: BlockRequest,
        /// Its payload, or why there is none.
        result: Result<BlockBuffer, DiskError>,
    },
    /// What was to be committed is safe.
    Committed {
        /// Which torrent.
        torrent: TorrentKey,
    },
    /// The files are in their new folder, or still in the old one.
    Moved {
        /// Which torrent.
        torrent: TorrentKey,
        /// The folder that they are in now.
        root: PathBuf,
        /// Why they are still in the old one.
        error: Option<DiskError>,
    },
    /// The files are closed.
    ClosedFiles {
        /// Which torrent.
        torrent: TorrentKey,
    },
    /// Opening, checking or committing failed.
    Failed {
        /// Which torrent.
        torrent: TorrentKey,
        /// Why.
        error: DiskError,
    },
}

/// Why the disk could not do something: the environment's fault, never a peer's.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct DiskError {
    /// What kind of trouble.
    pub kind: DiskErrorKind,
    /// What happened, to which file, in words for a person.
    pub message: String,
}

/// Kinds of disk trouble, by what helps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DiskErrorKind {
    /// No space, quota, or file size limit: helps to make room.
    Full,
    /// Not allowed: helps to change permissions.
    Permission,
    /// A file or folder is gone or too short: helps to bring it back or to check again.
    Missing,
    /// Anything else: the message says.
    Other,
}
