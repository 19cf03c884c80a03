//! Disks that keep no data: they know which pieces were written and answer at once.

use std::collections::BTreeMap;

use dunlin_base::{Bitfield, TorrentKey};
use dunlin_port::BlockBuffer;
use dunlin_port::disk::{DiskCommand, DiskEvent, Totals};

/// What a torrent's disk knows.
struct Row {
    have: Bitfield,
    totals: Totals,
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
}

fn opened(torrent: TorrentKey, row: &Row) -> DiskEvent {
    DiskEvent::Opened {
        torrent,
        have: row.have.clone(),
        checked: 0,
        totals: row.totals,
    }
}
