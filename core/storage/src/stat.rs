//! Length and time of every file: whether somebody touched them since we last looked.

use std::fs::Metadata;
use std::time::UNIX_EPOCH;

use dunlin_base::{Bitfield, PieceIndex};

use crate::FileLayout;

/// What one file looked like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileStat {
    /// Its length in bytes.
    pub len: u64,
    /// When it was last written, in nanoseconds since 1970 (UTC).
    pub mtime_nanos: i64,
}

impl From<&Metadata> for FileStat {
    fn from(metadata: &Metadata) -> Self {
        let mtime_nanos =
            metadata
                .modified()
                .map_or(0, |time| match time.duration_since(UNIX_EPOCH) {
                    Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
                    Err(before) => {
                        i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos)
                    }
                });
        Self {
            len: metadata.len(),
            mtime_nanos,
        }
    }
}

/// The same without a descriptor of the file.
#[cfg(unix)]
impl From<&rustix::fs::Stat> for FileStat {
    fn from(stat: &rustix::fs::Stat) -> Self {
        // How wide they are differs between systems.
        let (secs, nanos) = (stat.st_mtime, stat.st_mtime_nsec as i64);
        Self {
            len: stat.st_size as u64,
            mtime_nanos: secs.saturating_mul(1_000_000_000).saturating_add(nanos),
        }
    }
}

/// What a torrent's files looked like.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StatSnapshot {
    /// For each file of the layout; `None` when it is not there (pads never are).
    pub files: Vec<Option<FileStat>>,
    /// The file that holds what pieces carry of unwanted files, when there is one.
    pub part: Option<FileStat>,
}

/// The pieces that overlap a file whose looks differ between two snapshots: the ones that a torrent
/// closed cleanly has to hash again. Everything when the snapshots are not of one layout.
#[must_use]
pub fn pieces_of_changed_files(
    layout: &FileLayout,
    before: &StatSnapshot,
    now: &StatSnapshot,
) -> Bitfield {
    let files = layout.files().len();
    if before.files.len() != files || now.files.len() != files {
        return Bitfield::full(layout.geometry().piece_count());
    }
    changed(layout, |index| {
        let (was, is) = (before.files[index], now.files[index]);
        // What is not in its own file may be in the part file.
        was != is || (is.is_none() && before.part != now.part)
    })
}

/// The pieces of `have` that reach beyond what is there of their files. After a crash the times are
/// of no use, because we ourselves wrote since they were noted; but committed bytes cannot be where
/// a file has already ended.
pub(crate) fn pieces_beyond_files(
    layout: &FileLayout,
    have: &Bitfield,
    now: &StatSnapshot,
) -> Bitfield {
    let geometry = layout.geometry();
    let mut pieces = Bitfield::empty(geometry.piece_count());
    let part_len = now.part.map_or(0, |part| part.len);
    for (index, spec) in layout.iter().filter(|(_, spec)| !spec.pad) {
        let range = layout.range_of(index);
        // Offset in the torrent up to which bytes are there.
        let there = match now.files.get(index.0 as usize).copied().flatten() {
            Some(stat) => range.start.saturating_add(stat.len.min(spec.length)),
            None => part_len.clamp(range.start, range.end),
        };
        for piece in geometry.pieces_of(there..range.end).map(PieceIndex) {
            if have.has(piece) {
                pieces.set(piece);
            }
        }
    }
    pieces
}

/// The pieces that overlap a file for which `differs` holds.
fn changed(layout: &FileLayout, differs: impl Fn(usize) -> bool) -> Bitfield {
    let mut pieces = Bitfield::empty(layout.geometry().piece_count());
    for (index, spec) in layout.iter() {
        if !spec.pad && differs(index.0 as usize) {
            for piece in layout.pieces_of(index) {
                pieces.set(PieceIndex(piece));
            }
        }
    }
    pieces
}
