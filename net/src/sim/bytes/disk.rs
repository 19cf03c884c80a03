//! A torrent's disk that holds its bytes and remembers, and that can fail in every way.

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use dunlin_base::{Bitfield, BlockIndex, PieceIndex, TorrentKey};
use dunlin_hash::sha1_batch;
use dunlin_port::disk::{Check, DiskCommand, DiskError, DiskEvent, Totals};
use dunlin_port::{BlockBuffer, BlockPool};
use dunlin_protocol::metainfo::Info;
use dunlin_protocol::wire::BlockRequest;
use dunlin_storage::{ErrorKind, Faults, MemoryFiles, Storage as _, StorageError};

use crate::real::disk::spill::Spilled;
use crate::real::disk::{layout_of, trouble};

/// The disk of one torrent, and its row in a resume database that is memory.
pub(super) struct Disk {
    info: Arc<Info>,
    files: MemoryFiles,
    /// What the last commit made durable.
    committed: Bitfield,
    totals: Totals,
    /// Pieces that were written since: a restart looks at them again.
    doubt: Bitfield,
}

impl Disk {
    /// An empty disk for a torrent.
    ///
    /// # Panics
    /// When the torrent's paths collide.
    pub(super) fn new(info: &Arc<Info>) -> Self {
        let layout = Arc::new(layout_of(info).expect("paths of an info never collide"));
        let pieces = info.geometry().piece_count();
        Self {
            files: MemoryFiles::new(info.info_hash(), layout),
            info: Arc::clone(info),
            committed: Bitfield::empty(pieces),
            totals: Totals::default(),
            doubt: Bitfield::empty(pieces),
        }
    }

    /// Puts all of the payload on it, as an earlier run would have left it.
    pub(super) fn fill(&mut self, payload: &[u8]) {
        let written = self.files.write_vectored_at(0, &[IoSlice::new(payload)]);
        let flushed = written.and_then(|()| self.files.flush());
        flushed.map(drop).expect("a disk without faults");
        self.committed = Bitfield::full(self.info.geometry().piece_count());
    }

    /// What goes wrong from now on.
    pub(super) fn set_faults(&self, faults: Faults) {
        self.files.set_faults(faults);
    }

    /// Loses what is not flushed; what went wrong goes right.
    pub(super) fn crash(&self) {
        self.files.crash();
        self.files.set_faults(Faults::default());
    }

    /// Whether a piece is on it as it should be. Faults do not hide what is there.
    pub(super) fn holds(&self, piece: PieceIndex, payload: &[u8]) -> bool {
        let geometry = self.info.geometry();
        let start = geometry.piece_start(piece) as usize;
        let wanted = &payload[start..start + geometry.piece_len(piece) as usize];
        self.files.peek(start as u64, wanted.len()).as_deref() == Some(wanted)
    }

    /// Carries a command out; what is told of it.
    pub(super) fn carry_out(&mut self, command: DiskCommand, pool: &BlockPool) -> Vec<DiskEvent> {
        match command {
            DiskCommand::Open { torrent, check, .. } => {
                let (have, doubt) = match check {
                    Check::Quick => (self.committed.clone(), self.doubt.clone()),
                    Check::Full => self.nothing_sure(),
                    Check::Trusted => {
                        let all = Bitfield::full(self.committed.len());
                        (all, Bitfield::empty(self.committed.len()))
                    }
                };
                vec![self.opened(torrent, have, &doubt)]
            }
            DiskCommand::Recheck { torrent } => {
                let (have, doubt) = self.nothing_sure();
                vec![self.opened(torrent, have, &doubt)]
            }
            DiskCommand::Write {
                torrent,
                piece,
                blocks,
            } => vec![self.write(torrent, piece, blocks)],
            DiskCommand::Spill {
                torrent,
                piece,
                spill,
                blocks,
            } => {
                self.doubt.set(piece);
                let spilled = Spilled { torrent, piece };
                vec![self.spill(spilled, spill, blocks)]
            }
            DiskCommand::Hash {
                torrent,
                piece,
                number,
                expected,
                digest_blocks,
            } => {
                self.doubt.set(piece);
                let spilled = Spilled { torrent, piece };
                let job = (number, expected, digest_blocks);
                vec![self.hash(spilled, job)]
            }
            DiskCommand::Read {
                torrent,
                peer,
                blocks,
            } => {
                let read = |block| DiskEvent::Read {
                    torrent,
                    peer,
                    block,
                    result: self.read(block, pool),
                };
                blocks.into_iter().map(read).collect()
            }
            DiskCommand::Commit {
                torrent,
                have,
                totals,
                ..
            } => vec![self.commit(torrent, &have, totals)],
            DiskCommand::Select { .. } => Vec::new(),
            DiskCommand::Move { torrent, root } => vec![DiskEvent::Moved {
                torrent,
                root,
                error: None,
            }],
            DiskCommand::Close { torrent, .. } => vec![DiskEvent::ClosedFiles { torrent }],
        }
    }

    fn nothing_sure(&self) -> (Bitfield, Bitfield) {
        let pieces = self.committed.len();
        (Bitfield::empty(pieces), Bitfield::full(pieces))
    }

    /// Looks at the pieces in doubt and says what is there.
    fn opened(&mut self, torrent: TorrentKey, mut have: Bitfield, doubt: &Bitfield) -> DiskEvent {
        for piece in doubt.iter() {
            match self.is_good(piece) {
                Ok(true) => have.set(piece),
                Ok(false) => have.clear(piece),
                // What cannot be read now may still be there.
                Err(error) => return failed(torrent, &error),
            };
        }
        // What was found good is vouched for like what was flushed.
        match self.files.flush_all() {
            Ok(flushed) => {
                let geometry = self.info.geometry();
                let sure = have
                    .iter()
                    .filter(|piece| flushed.covers_piece(geometry, *piece));
                let mut committed = Bitfield::empty(have.len());
                sure.for_each(|piece| _ = committed.set(piece));
                self.committed = committed;
                self.doubt = Bitfield::empty(have.len());
            }
            Err(error) => return failed(torrent, &error),
        }
        DiskEvent::Opened {
            torrent,
            have,
            checked: doubt.count(),
            totals: self.totals,
        }
    }

    fn is_good(&self, piece: PieceIndex) -> Result<bool, StorageError> {
        let geometry = self.info.geometry();
        let mut bytes = vec![0; geometry.piece_len(piece) as usize];
        match self.files.read_at(geometry.piece_start(piece), &mut bytes) {
            Ok(()) => {}
            Err(error) if matches!(error.kind, ErrorKind::Missing | ErrorKind::Short) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        let mut digests = [Default::default()];
        sha1_batch(&[[&*bytes]], &mut digests);
        Ok(self.info.piece_hash(piece) == Some(&digests[0]))
    }

    fn write(
        &mut self,
        torrent: TorrentKey,
        piece: PieceIndex,
        blocks: Vec<BlockBuffer>,
    ) -> DiskEvent {
        self.doubt.set(piece);
        let parts: Vec<_> = blocks.iter().map(|block| IoSlice::new(block)).collect();
        let start = self.info.geometry().piece_start(piece);
        match self.files.write_vectored_at(start, &parts) {
            Ok(()) => DiskEvent::Written { torrent, piece },
            Err(error) => DiskEvent::WriteFailed {
                torrent,
                piece,
                error: trouble::of_storage(&error),
                blocks,
            },
        }
    }

    fn spill(
        &self,
        spilled: Spilled,
        spill: u64,
        blocks: Vec<(BlockIndex, BlockBuffer)>,
    ) -> DiskEvent {
        let written = spilled.write_blocks(&self.files, &blocks);
        let written = written.map_err(|error| trouble::of_storage(&error));
        spilled.told_of_write((spill, blocks), written)
    }

    fn hash(
        &self,
        spilled: Spilled,
        (number, expected, digest_blocks): (u64, [u8; 20], bool),
    ) -> DiskEvent {
        let judged = spilled.judge(&self.files, number, expected, digest_blocks);
        let judged = judged.map_err(|error| trouble::of_storage(&error));
        spilled.told_of_hash(number, judged)
    }

    fn read(&self, block: BlockRequest, pool: &BlockPool) -> Result<BlockBuffer, DiskError> {
        let start = self.info.geometry().piece_start(PieceIndex(block.piece));
        let Some(mut buffer) = pool.take(block.len as usize) else {
            return Err(trouble::other("no memory is left"));
        };
        let read = self.files.read_vectored_at(
            start + u64::from(block.begin),
            &mut [IoSliceMut::new(&mut buffer)],
        );
        read.map(|()| buffer)
            .map_err(|error| trouble::of_storage(&error))
    }

    /// Makes durable what was written and remembers it: only what the flush vouches for, or what
    /// was durable before.
    fn commit(&mut self, torrent: TorrentKey, have: &Bitfield, totals: Totals) -> DiskEvent {
        let flushed = match self.files.flush() {
            Ok(flushed) => flushed,
            Err(error) => return failed(torrent, &error),
        };
        let geometry = self.info.geometry();
        let mut committed = Bitfield::empty(have.len());
        for piece in have.iter() {
            if flushed.covers_piece(geometry, piece) || self.committed.has(piece) {
                committed.set(piece);
                self.doubt.clear(piece);
            }
        }
        self.committed = committed;
        self.totals = totals;
        DiskEvent::Committed { torrent }
    }
}

fn failed(torrent: TorrentKey, error: &StorageError) -> DiskEvent {
    DiskEvent::Failed {
        torrent,
        error: trouble::of_storage(error),
    }
}
