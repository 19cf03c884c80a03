//! What the engine needs of one torrent's files, on disk or in memory.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::ops::Range;
use std::sync::Arc;

use dunlin_base::{Geometry, InfoHash, PieceIndex};

use crate::ranges::Ranges;
use crate::{FileLayout, StatSnapshot, StorageError};

/// One torrent's bytes. Every method may be called from any thread, and may block.
pub trait Storage: Send + Sync {
    /// Whose bytes they are.
    fn torrent(&self) -> InfoHash;

    /// How they are cut into files and pieces.
    fn layout(&self) -> &FileLayout;

    /// Writes `parts` one after the other from `offset` in the torrent; adjacent pieces are best
    /// written in one call. Returns when the system has taken all of them; nothing is durable
    /// before [`Self::flush`].
    ///
    /// # Errors
    /// When any byte could not be written; some may have been.
    ///
    /// # Panics
    /// When the bytes are not all of this torrent.
    fn write_vectored_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> Result<(), StorageError>;

    /// Fills `parts` one after the other from `offset` in the torrent.
    ///
    /// # Errors
    /// When any byte is not there ([`crate::ErrorKind::Missing`], [`crate::ErrorKind::Short`]) or
    /// cannot be read; the buffers then hold anything.
    ///
    /// # Panics
    /// When the bytes are not all of this torrent.
    fn read_vectored_at(
        &self,
        offset: u64,
        parts: &mut [IoSliceMut<'_>],
    ) -> Result<(), StorageError>;

    /// Fills `buffer` from `offset` in the torrent.
    ///
    /// # Errors
    /// As [`Self::read_vectored_at`].
    ///
    /// # Panics
    /// As [`Self::read_vectored_at`].
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        self.read_vectored_at(offset, &mut [IoSliceMut::new(buffer)])
    }

    /// Says that `len` bytes from `offset` will be read soon and in small parts, so that a disk can
    /// fetch them in a row. A hint: nothing is told of what cannot be read.
    fn will_read(&self, _offset: u64, _len: u64) {}

    /// The open file that holds `len` bytes from `offset`, and where in it they are, so that they can be
    /// looked at without being copied; `None` when they are in several files, in none or in memory.
    fn file_at(&self, _offset: u64, _len: u64) -> Option<(Arc<File>, u64)> {
        None
    }

    /// Counts `len` bytes from `offset` as written now: they are good by their hash, and parts of them
    /// were written so early that a flush before that has vouched for them. The next flush vouches
    /// for all of them. Not to be called while another flush runs.
    fn note_good(&self, offset: u64, len: u64);

    /// Makes everything durable that was written before the call and since the last flush, and
    /// vouches for it.
    ///
    /// # Errors
    /// When a file could not be flushed. What was written to that file since the last flush is
    /// never vouched for: write it again, or hash it again and call [`Self::flush_all`].
    fn flush(&self) -> Result<Flushed, StorageError>;

    /// Makes every file that is there durable, whoever wrote it, and vouches for all of it: for
    /// bytes that were found on disk and are good by their hashes.
    ///
    /// # Errors
    /// When a file could not be flushed.
    fn flush_all(&self) -> Result<Flushed, StorageError>;

    /// Length and time of every file, to see later whether somebody changed it.
    ///
    /// # Errors
    /// When the download folder or a file cannot be looked at; a missing file is no error.
    fn stat(&self) -> Result<StatSnapshot, StorageError>;
}

/// Proof that bytes of a torrent were written and are durable. Only a flush makes it, and
/// [`crate::ResumeDb::commit`] takes it, so no bit can be committed before its data.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "the pieces that it vouches for are not in the resume database yet"]
pub struct Flushed {
    torrent: InfoHash,
    ranges: Ranges,
}

impl Flushed {
    pub(crate) const fn new(torrent: InfoHash, ranges: Ranges) -> Self {
        Self { torrent, ranges }
    }

    /// Proof of no byte at all, for a commit that claims none.
    #[must_use = "nothing is committed by it"]
    pub fn nothing(torrent: InfoHash) -> Self {
        Self::new(torrent, Ranges::default())
    }

    /// Whose bytes it vouches for.
    #[must_use]
    pub const fn torrent(&self) -> InfoHash {
        self.torrent
    }

    /// Whether every byte of `range` (offsets in the torrent) is durable.
    #[must_use]
    pub fn covers(&self, range: Range<u64>) -> bool {
        self.ranges.covers(range)
    }

    /// Whether every byte of a piece is durable.
    ///
    /// # Panics
    /// When the piece is not of a torrent of that geometry.
    #[must_use]
    pub fn covers_piece(&self, geometry: &Geometry, piece: PieceIndex) -> bool {
        let start = geometry.piece_start(piece);
        self.covers(start..start + u64::from(geometry.piece_len(piece)))
    }

    /// Adds what a later flush of the same torrent vouches for, when nothing was committed between.
    ///
    /// # Panics
    /// When `later` is of another torrent.
    pub fn merge(&mut self, later: &Self) {
        assert_eq!(self.torrent, later.torrent, "one proof is of one torrent");
        self.ranges.merge(&later.ranges);
    }
}
