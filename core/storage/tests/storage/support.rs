//! Torrents for tests.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use dunlin_base::{Bitfield, Geometry, InfoHash, PieceIndex};
use dunlin_storage::{
    FileLayout, FilePool, FileSpec, Preallocation, Storage, StorageError, TorrentFiles,
};

/// The torrent of all tests.
pub(crate) const TORRENT: InfoHash = InfoHash([0xab; 20]);
/// Name of its part file.
pub(crate) const PART: &str = ".abababababababababababababababababababab.dunlin-part";

/// A plain file.
pub(crate) fn file(path: &str, length: u64) -> FileSpec {
    FileSpec {
        path: path.into(),
        length,
        ..FileSpec::default()
    }
}

/// Padding of `length` bytes.
pub(crate) fn pad(length: u64) -> FileSpec {
    FileSpec {
        pad: true,
        ..file(".pad/x", length)
    }
}

/// These files in pieces of `piece_bytes`.
pub(crate) fn layout(files: Vec<FileSpec>, piece_bytes: u64) -> Arc<FileLayout> {
    let total = files.iter().map(|file| file.length).sum();
    let geometry = Geometry::new(total, piece_bytes).unwrap();
    Arc::new(FileLayout::new(files, geometry).unwrap())
}

/// Opens the files with everything wanted and nothing reserved.
pub(crate) fn open(root: &Path, layout: &Arc<FileLayout>) -> TorrentFiles {
    let wanted = vec![true; layout.files().len()];
    open_wanted(root, layout, wanted).unwrap()
}

/// Opens the files with some wanted and nothing reserved.
pub(crate) fn open_wanted(
    root: &Path,
    layout: &Arc<FileLayout>,
    wanted: Vec<bool>,
) -> Result<TorrentFiles, StorageError> {
    TorrentFiles::open(
        root.into(),
        TORRENT,
        Arc::clone(layout),
        wanted,
        Preallocation::None,
        FilePool::new(8),
    )
}

/// The bytes of a torrent: no two places look the same, padding is zeros.
pub(crate) fn payload(layout: &FileLayout) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..layout.geometry().total_bytes())
        .map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 | 1)
        .collect();
    for (index, spec) in layout.iter().filter(|(_, spec)| spec.pad) {
        let start = layout.range_of(index).start as usize;
        bytes[start..start + spec.length as usize].fill(0);
    }
    bytes
}

/// The bytes of one piece.
pub(crate) fn piece_of<'a>(layout: &FileLayout, bytes: &'a [u8], piece: PieceIndex) -> &'a [u8] {
    let start = layout.geometry().piece_start(piece) as usize;
    &bytes[start..start + layout.geometry().piece_len(piece) as usize]
}

/// Writes one piece of the payload.
pub(crate) fn write_piece(
    storage: &dyn Storage,
    bytes: &[u8],
    piece: PieceIndex,
) -> Result<(), StorageError> {
    let layout = storage.layout();
    let part = IoSlice::new(piece_of(layout, bytes, piece));
    storage.write_vectored_at(layout.geometry().piece_start(piece), &[part])
}

/// The SHA-1 of every piece.
pub(crate) fn hashes(layout: &FileLayout, bytes: &[u8]) -> Vec<[u8; 20]> {
    let pieces = layout.geometry().pieces();
    pieces
        .map(|piece| dunlin_hash::sha1(piece_of(layout, bytes, piece)))
        .collect()
}

/// A set of pieces.
pub(crate) fn bits(layout: &FileLayout, pieces: &[u32]) -> Bitfield {
    let mut bits = Bitfield::empty(layout.geometry().piece_count());
    for &piece in pieces {
        bits.set(PieceIndex(piece));
    }
    bits
}
