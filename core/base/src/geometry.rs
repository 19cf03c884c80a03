//! Sizes of pieces and blocks, and where they lie in a torrent's byte space.

use core::fmt;
use core::ops::Range;

/// The request unit of the wire (BEP 3): every block but a torrent's last has this length.
pub const BLOCK_BYTES: u32 = 16 * 1024;

/// Number of a piece, the hash unit of a torrent (BEP 3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PieceIndex(pub u32);

/// Number of a 16 KiB block inside its piece.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlockIndex(pub u32);

impl fmt::Display for PieceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl BlockIndex {
    /// Offset of the block's first byte in its piece.
    #[must_use]
    pub const fn begin(self) -> u32 {
        self.0 * BLOCK_BYTES
    }
}

/// A torrent's byte space cut into pieces and blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    total_bytes: u64,
    piece_bytes: u32,
    piece_count: u32,
}

/// Sizes that no torrent can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GeometryError {
    /// The piece length is zero or over [`crate::limits::PIECE_BYTES_MAX`].
    #[error("piece length {0} is outside 1..={max}", max = crate::limits::PIECE_BYTES_MAX)]
    PieceLength(u64),
    /// The torrent would have over [`crate::limits::PIECES_MAX`] pieces.
    #[error("{0} pieces are more than {max}", max = crate::limits::PIECES_MAX)]
    PieceCount(u64),
}

impl Geometry {
    /// The geometry of `total_bytes` in pieces of `piece_bytes`.
    ///
    /// # Errors
    /// When the piece length or the number of pieces is out of bounds.
    pub fn new(total_bytes: u64, piece_bytes: u64) -> Result<Self, GeometryError> {
        if piece_bytes == 0 || piece_bytes > u64::from(crate::limits::PIECE_BYTES_MAX) {
            return Err(GeometryError::PieceLength(piece_bytes));
        }
        let piece_count = total_bytes.div_ceil(piece_bytes);
        if piece_count > u64::from(crate::limits::PIECES_MAX) {
            return Err(GeometryError::PieceCount(piece_count));
        }
        Ok(Self {
            total_bytes,
            piece_bytes: piece_bytes as u32,
            piece_count: piece_count as u32,
        })
    }

    /// Bytes of the whole torrent, padding included.
    #[must_use]
    pub const fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Nominal piece length in bytes; the last piece may be shorter.
    #[must_use]
    pub const fn piece_bytes(&self) -> u32 {
        self.piece_bytes
    }

    /// Number of pieces.
    #[must_use]
    pub const fn piece_count(&self) -> u32 {
        self.piece_count
    }

    /// Every piece, in order.
    pub fn pieces(&self) -> impl DoubleEndedIterator<Item = PieceIndex> + use<> {
        (0..self.piece_count).map(PieceIndex)
    }

    /// `index` as a piece of this torrent, when there is one.
    #[must_use]
    pub const fn piece(&self, index: u32) -> Option<PieceIndex> {
        if index < self.piece_count {
            Some(PieceIndex(index))
        } else {
            None
        }
    }

    /// Length of a piece in bytes.
    ///
    /// # Panics
    /// When the piece is not of this torrent: indexes are checked where they enter.
    #[must_use]
    pub fn piece_len(&self, piece: PieceIndex) -> u32 {
        let start = self.piece_start(piece);
        (self.total_bytes - start).min(u64::from(self.piece_bytes)) as u32
    }

    /// Offset of a piece's first byte in the torrent.
    ///
    /// # Panics
    /// When the piece is not of this torrent.
    #[must_use]
    pub fn piece_start(&self, piece: PieceIndex) -> u64 {
        assert!(
            piece.0 < self.piece_count,
            "piece {piece} of {}",
            self.piece_count
        );
        u64::from(piece.0) * u64::from(self.piece_bytes)
    }

    /// Number of blocks of a piece that is as long as all but the last; of a torrent without content too.
    #[must_use]
    pub const fn blocks_per_piece(&self) -> u32 {
        self.piece_bytes.div_ceil(BLOCK_BYTES)
    }

    /// Number of blocks of a piece.
    #[must_use]
    pub fn block_count(&self, piece: PieceIndex) -> u32 {
        self.piece_len(piece).div_ceil(BLOCK_BYTES)
    }

    /// Length of a block in bytes.
    ///
    /// # Panics
    /// When the block is not of that piece.
    #[must_use]
    pub fn block_len(&self, piece: PieceIndex, block: BlockIndex) -> u32 {
        let len = self.piece_len(piece);
        assert!(
            block.0 < len.div_ceil(BLOCK_BYTES),
            "block {} of piece {piece}",
            block.0
        );
        (len - block.begin()).min(BLOCK_BYTES)
    }

    /// The block that a wire message means, when `begin` and `len` are exactly one of ours.
    #[must_use]
    pub fn block_at(&self, piece: PieceIndex, begin: u32, len: u32) -> Option<BlockIndex> {
        if !begin.is_multiple_of(BLOCK_BYTES) || begin >= self.piece_len(piece) {
            return None;
        }
        let block = BlockIndex(begin / BLOCK_BYTES);
        (self.block_len(piece, block) == len).then_some(block)
    }

    /// Whether `begin..begin + len` is a non-empty part of the piece.
    #[must_use]
    pub fn contains(&self, piece: PieceIndex, begin: u32, len: u32) -> bool {
        len > 0 && u64::from(begin) + u64::from(len) <= u64::from(self.piece_len(piece))
    }

    /// The pieces that hold any byte of `range` (offsets in the torrent).
    #[must_use]
    pub fn pieces_of(&self, range: Range<u64>) -> Range<u32> {
        if range.start >= range.end || range.start >= self.total_bytes {
            return 0..0;
        }
        let piece_bytes = u64::from(self.piece_bytes);
        let end = range.end.min(self.total_bytes).div_ceil(piece_bytes);
        (range.start / piece_bytes) as u32..end as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_piece_and_last_block_are_short() {
        let geometry = Geometry::new(100_000, 65_536).unwrap();
        assert_eq!(geometry.piece_count(), 2);
        assert_eq!(geometry.piece_len(PieceIndex(1)), 34_464);
        assert_eq!(geometry.block_count(PieceIndex(1)), 3);
        assert_eq!(
            geometry.block_len(PieceIndex(1), BlockIndex(2)),
            34_464 - 2 * BLOCK_BYTES
        );
        assert_eq!(
            geometry.block_at(PieceIndex(1), 2 * BLOCK_BYTES, 1696),
            Some(BlockIndex(2))
        );
        assert_eq!(
            geometry.block_at(PieceIndex(1), 2 * BLOCK_BYTES, BLOCK_BYTES),
            None
        );
        assert_eq!(geometry.block_at(PieceIndex(0), 1, BLOCK_BYTES), None);
    }

    #[test]
    fn ranges_map_to_the_pieces_that_hold_them() {
        let geometry = Geometry::new(100, 10).unwrap();
        assert_eq!(geometry.pieces_of(0..0), 0..0);
        assert_eq!(geometry.pieces_of(9..11), 0..2);
        assert_eq!(geometry.pieces_of(10..20), 1..2);
        assert_eq!(geometry.pieces_of(95..1000), 9..10);
    }

    #[test]
    fn sizes_out_of_bounds_are_refused() {
        assert_eq!(Geometry::new(1, 0), Err(GeometryError::PieceLength(0)));
        assert!(matches!(
            Geometry::new(u64::MAX, 16_384),
            Err(GeometryError::PieceCount(_))
        ));
        assert_eq!(Geometry::new(0, 16_384).unwrap().piece_count(), 0);
    }
}
