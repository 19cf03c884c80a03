//! Hashers that judge declared payloads by their marks.

use dunlin_base::{PieceIndex, TorrentKey};
use dunlin_port::hash::{HashDone, HashJob};

/// A piece is good when every block of it is declared to be right.
pub(super) fn judge(job: HashJob) -> HashDone {
    let mark = |block: &dunlin_port::BlockBuffer| block.mark().unwrap_or(u32::MAX);
    let marks: Vec<u32> = job.blocks.iter().map(mark).collect();
    HashDone {
        blocks: job.blocks,
        ..judge_marks(
            (job.torrent, job.piece, job.number),
            &marks,
            job.digest_blocks,
        )
    }
}

/// As above, of the marks of all blocks of a piece.
pub(super) fn judge_marks(
    (torrent, piece, number): (TorrentKey, PieceIndex, u64),
    marks: &[u32],
    digest_blocks: bool,
) -> HashDone {
    let good = marks.iter().all(|mark| *mark == 0);
    let wanted = digest_blocks || !good;
    let digests = marks.iter().filter(|_| wanted).map(|mark| digest(*mark));
    HashDone {
        torrent,
        piece,
        number,
        blocks: Vec::new(),
        good,
        block_digests: digests.collect(),
    }
}

/// Equal for equal marks and for nothing else.
fn digest(mark: u32) -> [u8; 20] {
    let mut digest = [0; 20];
    digest[..4].copy_from_slice(&mark.to_be_bytes());
    digest
}
