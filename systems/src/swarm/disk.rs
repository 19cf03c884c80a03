//! Disks that are memory, and hashers that are at once done.

use std::sync::Arc;

use dunlin_base::{Bitfield, PieceIndex, TorrentKey};
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
                let have = self.disks[&torrent].have.clone();
                DiskEvent::Opened {
                    torrent,
                    have,
                    checked: 0,
                    totals: Totals::default(),
                }
            }
            DiskCommand::Recheck { torrent } => self.recheck(torrent),
            DiskCommand::Write {
                torrent,
                piece,
                blocks,
            } => self.write(torrent, piece, blocks),
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
            DiskCommand::Commit { torrent, have, .. } => {
                let written = self.disks.get(&torrent).map(|disk| &disk.have);
                assert!(
                    written.is_none_or(|written| !have.has_any_not_in(written)),
                    "claims what is not there"
                );
                self.commits.push((self.now, torrent));
                self.committed.insert(torrent, have);
                DiskEvent::Committed { torrent }
            }
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
            totals: Totals::default(),
        }
    }

    fn write(
        &mut self,
        torrent: TorrentKey,
        piece: PieceIndex,
        blocks: Vec<BlockBuffer>,
    ) -> DiskEvent {
        if self.full.contains(&torrent) {
            let error = DiskError {
                kind: DiskErrorKind::Full,
                message: "no space left".to_owned(),
            };
            return DiskEvent::WriteFailed {
                torrent,
                piece,
                blocks,
                error,
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

pub(super) fn judge(job: HashJob) -> HashDone {
    let HashJob {
        torrent,
        piece,
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
        blocks,
        good,
        block_digests: digests,
    }
}
