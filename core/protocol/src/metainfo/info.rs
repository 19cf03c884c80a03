//! The info dictionary: what the content is and what it hashes to.

use core::ops::Range;

use dunlin_base::{Geometry, InfoHash, InfoHashV2, PieceIndex};

use super::error::MetainfoError;
use super::file::FileEntry;

/// Which hashes a torrent has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// SHA-1 piece hashes (BEP 3).
    V1,
    /// SHA-256 merkle trees (BEP 52).
    V2,
    /// Both, over the same files (BEP 52, "upgrade path").
    Hybrid,
}

impl Version {
    /// Whether pieces have SHA-1 hashes.
    #[must_use]
    pub const fn has_v1(self) -> bool {
        matches!(self, Self::V1 | Self::Hybrid)
    }

    /// Whether files have merkle trees.
    #[must_use]
    pub const fn has_v2(self) -> bool {
        matches!(self, Self::V2 | Self::Hybrid)
    }
}

/// A checked info dictionary (BEP 3, BEP 52): immutable, and named by its hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Info {
    pub(super) raw: Box<[u8]>,
    pub(super) name: String,
    pub(super) version: Version,
    pub(super) geometry: Geometry,
    /// Where the SHA-1 piece hashes lie in `raw`.
    pub(super) pieces: Range<usize>,
    pub(super) files: Vec<FileEntry>,
    pub(super) single_file: bool,
    pub(super) private: bool,
    pub(super) source: Option<String>,
    pub(super) info_hash: InfoHash,
    pub(super) info_hash_v2: Option<InfoHashV2>,
}

impl Info {
    /// Reads an info dictionary alone, as peers send it (BEP 9).
    ///
    /// # Errors
    /// When it is malformed, ambiguous or out of bounds.
    pub fn parse(bytes: &[u8]) -> Result<Self, MetainfoError> {
        Ok(Self {
            raw: bytes.into(),
            ..super::info_reader::read(bytes)?
        })
    }

    /// As [`Self::parse`], and keeps the bytes in the memory that they are in: nearly all of those of
    /// a torrent of many pieces are their hashes.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_vec(bytes: Vec<u8>) -> Result<Self, MetainfoError> {
        let info = super::info_reader::read(&bytes)?;
        let raw = bytes.into();
        Ok(Self { raw, ..info })
    }

    /// The v1 info hash that these bytes have, whatever they are: to be compared before they are
    /// [parsed](Self::parse) when they come from peers.
    #[must_use]
    pub fn hash_v1(bytes: &[u8]) -> InfoHash {
        super::info_reader::hash_v1(bytes)
    }

    /// The exact bytes that the info hash is the hash of.
    #[must_use]
    pub const fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The torrent's name, made safe: the file, or the folder of the files.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which hashes the torrent has.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The byte space and its pieces. In a v2 torrent each file begins on a piece (BEP 52).
    #[must_use]
    pub const fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The SHA-1 hash of a piece, unless the torrent is v2 alone or has no such piece.
    #[must_use]
    pub fn piece_hash(&self, piece: PieceIndex) -> Option<&[u8; 20]> {
        let hashes = self.raw.get(self.pieces.clone())?;
        let start = (piece.0 as usize).checked_mul(20)?;
        hashes.get(start..)?.first_chunk()
    }

    /// The files in the order of the byte space and without gaps, padding included. There is at
    /// least one.
    #[must_use]
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// Whether the torrent is one file without a folder of its own.
    #[must_use]
    pub const fn is_single_file(&self) -> bool {
        self.single_file
    }

    /// Whether peers may come from the torrent's trackers alone (BEP 27).
    #[must_use]
    pub const fn is_private(&self) -> bool {
        self.private
    }

    /// The tracker that the torrent was made for, which gives it an info hash of its own.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The hash that trackers, peers and the DHT know the torrent by: SHA-1 (BEP 3), or the start
    /// of the SHA-256 hash when the torrent is v2 alone (BEP 52).
    #[must_use]
    pub const fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// The SHA-256 hash of a v2 or hybrid torrent (BEP 52).
    #[must_use]
    pub const fn info_hash_v2(&self) -> Option<InfoHashV2> {
        self.info_hash_v2
    }
}
