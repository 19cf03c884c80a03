//! How much of a torrent is there, file by file, and how often it is in the swarm.

use bevy_ecs::prelude::*;
use dunlin_base::{Bitfield, PieceIndex};
use dunlin_components::peer::RemoteHave;
use dunlin_components::torrent::{Availability, Peers};
use dunlin_port::user::FilePriority;
use dunlin_protocol::metainfo::{FileEntry, Info};

/// Bytes that are wanted and bytes that are there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Progress {
    /// Bytes of the files that are wanted. Padding is no file to anybody who looks.
    pub(super) wanted_bytes: u64,
    /// Of those, bytes in verified pieces.
    pub(super) done_bytes: u64,
    /// Bytes in verified pieces, for each file.
    pub(super) file_done_bytes: Vec<u64>,
}

/// The progress of each file. A file without a priority is wanted.
pub(super) fn of_files(info: &Info, have: &Bitfield, priorities: &[FilePriority]) -> Progress {
    let mut progress = Progress::default();
    for (at, file) in info.files().iter().enumerate() {
        let done = done_bytes(info, have, file);
        progress.file_done_bytes.push(done);
        let skipped = priorities.get(at) == Some(&FilePriority::Skip);
        if !skipped && !file.attributes.padding {
            progress.wanted_bytes += file.length;
            progress.done_bytes += done;
        }
    }
    progress
}

fn done_bytes(info: &Info, have: &Bitfield, file: &FileEntry) -> u64 {
    // Most torrents have all or nothing, and then their pieces need not be walked.
    if have.is_full() {
        return file.length;
    }
    if have.count() == 0 {
        return 0;
    }
    let geometry = info.geometry();
    let range = file.range();
    let overlap = |piece: PieceIndex| {
        let start = geometry.piece_start(piece);
        let end = start + u64::from(geometry.piece_len(piece));
        end.min(range.end) - start.max(range.start)
    };
    let pieces = geometry.pieces_of(range.clone()).map(PieceIndex);
    pieces.filter(|&piece| have.has(piece)).map(overlap).sum()
}

/// Copies of the rarest piece among the connected peers, and us.
pub(super) fn copies(world: &World, torrent: Entity, have: &Bitfield) -> u32 {
    let mut counts: Vec<u32> = vec![0; have.len() as usize];
    if let Some(availability) = world.get::<Availability>(torrent) {
        for (piece, count) in (0..).map(PieceIndex).zip(&mut counts) {
            *count = availability.copies(piece);
        }
    } else {
        // Who has everything counts no copies for itself.
        let peers = world.get::<Peers>(torrent).into_iter();
        let rows = peers.flat_map(|peers| peers.0.values());
        for row in rows.filter_map(|&peer| world.get::<RemoteHave>(peer)) {
            for piece in row.bits.iter() {
                counts[piece.0 as usize] += 1;
            }
        }
    }
    for piece in have.iter() {
        counts[piece.0 as usize] += 1;
    }
    counts.into_iter().min().unwrap_or(0)
}
