//! Disks that are memory, and hashers that are at once done.

use std::sync::Arc;

use dunlin_base::{BLOCK_BYTES, Bitfield, BlockIndex, PieceIndex, TorrentKey};
use dunlin_port::BlockBuffer;
use dunlin_port::disk::{DiskCommand, DiskError, DiskErrorKind, DiskEvent, Totals};
use dunlin_port::hash::{HashDone, HashJob};
use dunlin_protocol::metainfo::Info;
use dunlin_protocol::wire::BlockRequest;
use sha1::{Digest as _, Sha1};

use super::Swarm;

/// One torrent's memory disk.
pub(super) struct Disk {
    pub(super) info: Arc<Info>,
    pub(super) data: Vec<u8>,
    pub(super) have: Bitfield,
    /// Those of the last commit.
    pub(super) totals: Totals,
}

impl Disk {
    /// The pieces that match their hashes.
    pub(super) fn good(&self) -> Bitfield {
        let geometry = self.info.geometry();
        let mut good = Bitfield::empty(geometry.piece_count());
        for piece in geometry.pieces() {
            let start = geometry.piece_start(piece) as usize;
            let bytes = &self.data[start..start + geometry.piece_len(piece) as usize];
            if self
                .info
                .piece_hash(piece)
                .is_some_and(|hash| Sha1::digest(bytes).as_slice() == hash)
            {
                good.set(piece);
            }
        }
        good
    }
}

impl Swarm {
    pub(super) fn disk(&mut self, command: DiskCommand) {
        let event = match command {
            DiskCommand::Open { torrent, .. } if self.locked.contains(&torrent) => {
                let error = DiskError {
                    kind: DiskErrorKind::Missing,
                    message: "the folder is gone".to_owned(),
                };
                DiskEvent::Failed { torrent, error }
            }
            DiskCommand::Open { torrent, .. } => {
                let disk = &self.disks[&torrent];
                DiskEvent::Opened {
                    torrent,
                    have: disk.have.clone(),
                    checked: 0,
                    totals: disk.totals,
                }
            }
            DiskCommand::Recheck { torrent } => self.recheck(torrent),
            DiskCommand::Write {
                torrent,
                piece,
                blocks,
            } => self.write(torrent, piece, blocks),
            DiskCommand::Spill {
                torrent,
                piece,
                spill,
                blocks,
            } => self.spill((torrent, piece), spill, blocks),
            DiskCommand::Hash {
                torrent,
                piece,
                number,
                expected,
                digest_blocks,
            } => self.judge_spilled((torrent, piece, number), expected, digest_blocks),
            DiskCommand::Read {
                torrent,
                peer,
                blocks,
            } => {
                for block in blocks {
                    let result = Ok(self.read(torrent, block));
                    self.engine.inbox().disk.push_back(DiskEvent::Read {
                        torrent,
                        peer,
                        block,
                        result,
                    });
                }
                return;
            }
            DiskCommand::Commit {
                torrent,
                have,
                totals,
                ..
            } => self.commit(torrent, have, totals),
            DiskCommand::Select { .. } => return,
            DiskCommand::Move { torrent, root } => DiskEvent::Moved {
                torrent,
                root,
                error: None,
            },
            DiskCommand::Close { torrent, .. } => DiskEvent::ClosedFiles { torrent },
        };
        self.engine.inbox().disk.push_back(event);
    }

    fn commit(&mut self, torrent: TorrentKey, have: Bitfield, totals: Totals) -> DiskEvent {
        if let Some(disk) = self.disks.get_mut(&torrent) {
            let is_there = !have.has_any_not_in(&disk.have);
            assert!(is_there, "claims what is not there");
            disk.totals = totals;
        }
        self.commits.push((self.now, torrent));
        self.committed.insert(torrent, have);
        DiskEvent::Committed { torrent }
    }

    fn recheck(&mut self, torrent: TorrentKey) -> DiskEvent {
        let disk = self
            .disks
            .get_mut(&torrent)
            .expect("a torrent that is checked was added");
        disk.have = disk.good();
        let checked = disk.have.len();
        DiskEvent::Opened {
            torrent,
            have: disk.have.clone(),
            checked,
            totals: disk.totals,
        }
    }

    fn write(
        &mut self,
        torrent: TorrentKey,
        piece: PieceIndex,
        blocks: Vec<BlockBuffer>,
    ) -> DiskEvent {
        if self.full.contains(&torrent) {
            return DiskEvent::WriteFailed {
                torrent,
                piece,
                blocks,
                error: no_space(),
            };
        }
        let disk = self
            .disks
            .get_mut(&torrent)
            .expect("a torrent that writes was added");
        let mut at = disk.info.geometry().piece_start(piece) as usize;
        for block in &blocks {
            disk.data[at..at + block.len()].copy_from_slice(block);
            at += block.len();
        }
        disk.have.set(piece);
        DiskEvent::Written { torrent, piece }
    }

    fn spill(
        &mut self,
        (torrent, piece): (TorrentKey, PieceIndex),
        spill: u64,
        blocks: Vec<(BlockIndex, BlockBuffer)>,
    ) -> DiskEvent {
        self.spilled.push((torrent, piece));
        if self.full.contains(&torrent) {
            return DiskEvent::SpillFailed {
                torrent,
                piece,
                spill,
                blocks: blocks.into_iter().map(|(_, payload)| payload).collect(),
                error: no_space(),
            };
        }
        let disk = self
            .disks
            .get_mut(&torrent)
            .expect("a torrent that spills was added");
        let start = disk.info.geometry().piece_start(piece) as usize;
        for (block, payload) in &blocks {
            let at = start + block.begin() as usize;
            disk.data[at..at + payload.len()].copy_from_slice(payload);
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
        expected: [u8; 20],
        digest_blocks: bool,
    ) -> DiskEvent {
        if self.unreadable.contains(&torrent) {
            return DiskEvent::HashFailed {
                torrent,
                piece,
                number,
                error: no_space(),
            };
        }
        let disk = self
            .disks
            .get_mut(&torrent)
            .expect("a torrent that spilled was added");
        let geometry = disk.info.geometry();
        let start = geometry.piece_start(piece) as usize;
        let bytes = &disk.data[start..start + geometry.piece_len(piece) as usize];
        let blocks = bytes.chunks(BLOCK_BYTES as usize).map(|block| {
            let mut copy = self.pool.take(block.len()).expect("a large pool");
            copy.copy_from_slice(block);
            copy
        });
        let done = judge(HashJob {
            torrent,
            piece,
            number,
            blocks: blocks.collect(),
            expected,
            digest_blocks,
        });
        if done.good {
            disk.have.set(piece);
        }
        DiskEvent::Hashed(HashDone {
            blocks: Vec::new(),
            ..done
        })
    }

    fn read(&self, torrent: TorrentKey, block: BlockRequest) -> BlockBuffer {
        let disk = &self.disks[&torrent];
        let piece = PieceIndex(block.piece);
        assert!(disk.have.has(piece), "only pieces on disk are served");
        let start = (disk.info.geometry().piece_start(piece) + u64::from(block.begin)) as usize;
        let mut payload = self.pool.take(block.len as usize).expect("a large pool");
        payload.copy_from_slice(&disk.data[start..start + block.len as usize]);
        payload
    }
}

fn no_space() -> DiskError {
    DiskError {
        kind: DiskErrorKind::Full,
        message: "no space left".to_owned(),
    }
}

pub(super) fn judge(job: HashJob) -> HashDone {
    let HashJob {
        torrent,
        piece,
        number,
        blocks,
        expected,
        digest_blocks,
    } = job;
    let mut whole = Sha1::new();
    blocks.iter().for_each(|block| whole.update(&**block));
    let good = <[u8; 20]>::from(whole.finalize()) == expected;
    let digests = if digest_blocks || !good {
        blocks
            .iter()
            .map(|block| Sha1::digest(&**block).into())
            .collect()
    } else {
        Vec::new()
    };
    HashDone {
        torrent,
        piece,
        number,
        blocks,
        good,
        block_digests: digests,
    }
}
