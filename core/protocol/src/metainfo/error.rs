//! Why bytes are no usable torrent, and where.

use dunlin_base::GeometryError;

use crate::bencode::{DecodeError, DecodeErrorKind};

/// Why bytes are no usable torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("byte {offset}: {kind}")]
pub struct MetainfoError {
    /// Offset of the value that is wrong, or that lacks something.
    pub offset: usize,
    /// What is wrong with it.
    pub kind: MetainfoErrorKind,
}

impl MetainfoError {
    pub(super) const fn new(offset: usize, kind: MetainfoErrorKind) -> Self {
        Self { offset, kind }
    }

    pub(super) const fn missing(offset: usize, field: &'static str) -> Self {
        Self::new(offset, MetainfoErrorKind::Missing { field })
    }

    /// The same error in a document in which these bytes begin at `base`.
    #[must_use]
    pub(super) const fn shifted(self, base: usize) -> Self {
        Self {
            offset: self.offset.saturating_add(base),
            kind: self.kind,
        }
    }
}

impl From<DecodeError> for MetainfoError {
    fn from(error: DecodeError) -> Self {
        Self::new(error.offset, MetainfoErrorKind::Bencode(error.kind))
    }
}

/// The kinds of [`MetainfoError`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MetainfoErrorKind {
    /// The bytes are no bencode, or a value is of the wrong kind.
    #[error(transparent)]
    Bencode(DecodeErrorKind),
    /// A field that has to be there is not.
    #[error("no {field:?}")]
    Missing {
        /// The key of the field.
        field: &'static str,
    },
    /// `meta version` is neither 1 nor 2.
    #[error("metadata of version {0} is unknown")]
    UnknownVersion(u64),
    /// The piece length or the number of pieces is out of bounds.
    #[error(transparent)]
    Geometry(GeometryError),
    /// BEP 52 wants a power of two of at least 16 KiB.
    #[error("a v2 piece length of {0} is no power of two of at least 16 KiB")]
    PieceLengthV2(u64),
    /// `pieces` does not hold one hash for each piece.
    #[error("{got} bytes of piece hashes, {expected} expected")]
    PieceHashes {
        /// Bytes that the pieces need.
        expected: usize,
        /// Bytes that were there.
        got: usize,
    },
    /// The torrent has no file.
    #[error("no files")]
    NoFiles,
    /// The lengths of all files overflow.
    #[error("the total length overflows")]
    TotalLength,
    /// The torrent has too many files.
    #[error("more than {max} files")]
    TooManyFiles {
        /// Most files allowed.
        max: usize,
    },
    /// A file lies too deep in folders.
    #[error("folders deeper than {max}")]
    TooDeep {
        /// Deepest path allowed.
        max: usize,
    },
    /// The paths of all files together are too long.
    #[error("paths longer than {max} bytes in total")]
    PathsTooLong {
        /// Most bytes allowed.
        max: usize,
    },
    /// Too many files have the same name.
    #[error("more than {max} files of one name")]
    TooManyDuplicates {
        /// Most files of one name allowed.
        max: usize,
    },
    /// A hash or root is not of its length.
    #[error("{got} bytes of hash, {expected} expected")]
    HashLength {
        /// Bytes that such a hash has.
        expected: usize,
        /// Bytes that were there.
        got: usize,
    },
    /// A node of the `file tree` is both a file and a folder, or has an empty name.
    #[error("a malformed node of the file tree")]
    FileTree,
    /// The v1 and v2 file lists of a hybrid torrent differ.
    #[error("the v1 and v2 file lists differ")]
    HybridMismatch,
    /// A piece layer has another length than its file needs.
    #[error("a piece layer of {got} bytes, {expected} expected")]
    PieceLayerLength {
        /// Bytes that the file's pieces need.
        expected: usize,
        /// Bytes that were there.
        got: usize,
    },
    /// A piece layer does not hash to its file's root.
    #[error("a piece layer does not match its root")]
    PieceLayerRoot,
}
