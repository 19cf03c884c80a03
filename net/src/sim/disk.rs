//! Disks that keep no data: they know which pieces were written and answer at once.

use std::collections::BTreeMap;

use dunlin_base::{Bitfield, BlockIndex, PieceIndex, TorrentKey};
use dunlin_port::BlockBuffer;
use dunlin_port::disk::{DiskCommand, DiskEvent, Totals};

use super::hash::judge_marks;

/// What a torrent's disk knows.
struct Row {
    have: Bitfield,
    totals: Totals,
    /// The marks of blocks that were spilled, of pieces that were not hashed since.
    spilled: BTreeMap<PieceIndex, BTreeMap<BlockIndex, u32>>,
}

/// The disks of all torrents.
#[derive(Default)]
pub(super) struct Disks {
    rows: BTreeMap<TorrentKey, Row>,
    full: BTreeMap<TorrentKey, Bitfield>,
}

impl Disks {
    /// Says what is on a torrent's disk before it is first opened.
    pub(super) fn place(&mut self, torrent: TorrentKey, have: Bitfield) {
        self.full.insert(torrent, have);
    }

    /// Carries a command out; answers go to `answer` in order.
    pub(super) fn carry_out(&mut self, command: DiskCommand, answer: &mut impl Extend<DiskEvent>) {
        let event = match command {
            DiskCommand::Open { torrent, info, .. } => {
                let pieces = info.geometry().piece_count();
                let placed = self.full.remove(&torrent);
                let row = self.rows.entry(torrent).or_insert_with(|| Row {
                    have: placed.unwrap_or_else(|| Bitfield::empty(pieces)),
                    totals: Totals::default(),
                    spilled: BTreeMap::new(),
                });
                opened(torrent, row)
            }
            DiskCommand::Recheck { torrent } => match self.rows.get(&torrent) {
                Some(row) => opened(torrent, row),
                None => return,
            },
            DiskCommand::Write { torrent, piece, .. } => {
                if let Some(row) = self.rows.get_mut(&torrent) {
                    row.have.set(piece);
                }
                DiskEvent::Written { torrent, piece }
            }
            DiskCommand::Spill {
                torrent,
                piece,
                spill,
                blocks,
            } => self.spill((torrent, piece), spill, &blocks),
            DiskCommand::Hash {
                torrent,
                piece,
                number,
                digest_blocks,
                ..
            } => self.judge_spilled((torrent, piece, number), digest_blocks),
            DiskCommand::Read {
                torrent,
                peer,
                blocks,
            } => {
                return answer.extend(blocks.into_iter().map(|block| DiskEvent::Read {
                    torrent,
                    peer,
                    block,
                    result: Ok(BlockBuffer::declared(block.len, 0)),
                }));
            }
            DiskCommand::Commit {
                torrent, totals, ..
            } => {
                if let Some(row) = self.rows.get_mut(&torrent) {
                    row.totals = totals;
                }
                DiskEvent::Committed { torrent }
            }
            DiskCommand::Select { .. } => return,
            DiskCommand::Move { torrent, root } => DiskEvent::Moved {
                torrent,
                root,
                error: None,
            },
            DiskCommand::Close { torrent, .. } => {
                self.rows.remove(&torrent);
                DiskEvent::ClosedFiles { torrent }
            }
        };
        answer.extend([event]);
    }

    fn spill(
        &mut self,
        (torrent, piece): (TorrentKey, PieceIndex),
        spill: u64,
        blocks: &[(BlockIndex, BlockBuffer)],
    ) -> DiskEvent {
        if let Some(row) = self.rows.get_mut(&torrent) {
            let marks = row.spilled.entry(piece).or_default();
            let mark = |payload: &BlockBuffer| payload.mark().unwrap_or(u32::MAX);
            marks.extend(
                blocks
                    .iter()
                    .map(|(block, payload)| (*block, mark(payload))),
            );
        }
        DiskEvent::Spilled {
            torrent,
            piece,
            spill,
        }
    }

    fn judge_spilled(
        &mut self,
        (torrent, piece, number): (TorrentKey, PieceIndex, u64),
        digest_blocks: bool,
    ) -> DiskEvent {
        let mut row = self.rows.get_mut(&torrent);
        let marks = row.as_mut().and_then(|row| row.spilled.remove(&piece));
        let marks: Vec<u32> = marks.unwrap_or_default().into_values().collect();
        let done = judge_marks((torrent, piece, number), &marks, digest_blocks);
        if done.good
            && let Some(row) = row
        {
            row.have.set(piece);
        }
        DiskEvent::Hashed(done)
    }
}

fn opened(torrent: TorrentKey, row: &Row) -> DiskEvent {
    DiskEvent::Opened {
        torrent,
        have: row.have.clone(),
        checked: 0,
        totals: row.totals,
    }
}
