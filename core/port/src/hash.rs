//! The hashing port: whole pieces in, verdicts out. All jobs of a tick are one batch.

use dunlin_base::{PieceIndex, TorrentKey};

use crate::BlockBuffer;

/// A whole piece to hash (SHA-1, BEP 3) and compare.
#[derive(Debug)]
pub struct HashJob {
    /// Of which torrent.
    pub torrent: TorrentKey,
    /// Which piece.
    pub piece: PieceIndex,
    /// The number by which the verdict is known: a piece that is given up and begun anew has another.
    pub number: u64,
    /// Its blocks, in order; a piece need not be contiguous.
    pub blocks: Vec<BlockBuffer>,
    /// The hash that the torrent says it has.
    pub expected: [u8; 20],
    /// Whether block digests are wanted even of a good piece, to compare with an earlier bad copy.
    pub digest_blocks: bool,
}

/// A verdict.
#[derive(Debug)]
pub struct HashDone {
    /// Of which torrent.
    pub torrent: TorrentKey,
    /// Which piece.
    pub piece: PieceIndex,
    /// The number of the job.
    pub number: u64,
    /// Its blocks, in order, back from the job.
    pub blocks: Vec<BlockBuffer>,
    /// Whether the hash is the expected one.
    pub good: bool,
    /// SHA-1 of each block, when asked for or when the piece is bad; empty otherwise.
    pub block_digests: Vec<[u8; 20]>,
}
