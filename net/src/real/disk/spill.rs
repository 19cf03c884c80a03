//! Parts of pieces that leave memory before their piece is whole, and their way back for hashing.

use std::io::{IoSlice, IoSliceMut};

use dunlin_base::{BLOCK_BYTES, BlockIndex, Geometry, PieceIndex, TorrentKey};
use dunlin_hash::{Sha1Digest, Sha1Stream, sha1_batch};
use dunlin_port::BlockBuffer;
use dunlin_port::disk::{DiskError, DiskEvent};
use dunlin_port::hash::HashDone;
use dunlin_storage::{ResumeDb, Storage, StorageError};

use super::torrent::OpenTorrent;
use super::trouble;

/// Blocks of a spilled piece that are read together: as many as fill the widest hash lanes.
const BLOCKS_TOGETHER: usize = 16;

/// A piece of which a part is, or comes to be, in its files before it is verified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spilled {
    /// Of which torrent.
    pub(crate) torrent: TorrentKey,
    /// Which piece.
    pub(crate) piece: PieceIndex,
}

impl Spilled {
    /// Writes blocks that leave memory.
    pub(super) fn write(
        self,
        torrent: Option<&OpenTorrent>,
        resume: Option<&ResumeDb>,
        spill: u64,
        blocks: Vec<(BlockIndex, BlockBuffer)>,
    ) -> DiskEvent {
        let written = self.open(torrent, resume).and_then(|torrent| {
            torrent.ledger().wrote = true;
            let written = self.write_blocks(&torrent.files, &blocks);
            written.map_err(|error| trouble::of_storage(&error))
        });
        self.told_of_write((spill, blocks), written)
    }

    /// What is told of a spill. When it is written its blocks have gone home before anybody is told that
    /// there is room.
    pub(crate) fn told_of_write(
        self,
        (spill, blocks): (u64, Vec<(BlockIndex, BlockBuffer)>),
        written: Result<(), DiskError>,
    ) -> DiskEvent {
        let Self { torrent, piece } = self;
        match written {
            Ok(()) => DiskEvent::Spilled {
                torrent,
                piece,
                spill,
            },
            Err(error) => DiskEvent::SpillFailed {
                torrent,
                piece,
                spill,
                blocks: blocks.into_iter().map(|(_, payload)| payload).collect(),
                error,
            },
        }
    }

    /// Hashes the piece from its files.
    pub(super) fn hash(
        self,
        torrent: Option<&OpenTorrent>,
        resume: Option<&ResumeDb>,
        number: u64,
        expected: Sha1Digest,
        digest_blocks: bool,
    ) -> DiskEvent {
        // Noted once more: a commit since may have ended the doubt about it.
        let judged = self.open(torrent, resume).and_then(|torrent| {
            let judged = self.judge(&torrent.files, number, expected, digest_blocks);
            judged.map_err(|error| trouble::of_storage(&error))
        });
        self.told_of_hash(number, judged)
    }

    /// What is told of a piece that was hashed from its files.
    pub(crate) fn told_of_hash(
        self,
        number: u64,
        judged: Result<HashDone, DiskError>,
    ) -> DiskEvent {
        let Self { torrent, piece } = self;
        match judged {
            Ok(done) => DiskEvent::Hashed(done),
            Err(error) => DiskEvent::HashFailed {
                torrent,
                piece,
                number,
                error,
            },
        }
    }

    /// The torrent, after the piece is noted as one in doubt.
    fn open<'a>(
        self,
        torrent: Option<&'a OpenTorrent>,
        resume: Option<&ResumeDb>,
    ) -> Result<&'a OpenTorrent, DiskError> {
        let torrent = torrent.ok_or_else(trouble::not_open)?;
        if let Some(resume) = resume {
            let noted = resume.intend(torrent.info_hash(), &[self.piece]);
            noted.map_err(|error| trouble::of_resume(&error))?;
        }
        Ok(torrent)
    }

    /// Writes blocks of the piece, neighbours with one call.
    pub(crate) fn write_blocks(
        self,
        files: &impl Storage,
        blocks: &[(BlockIndex, BlockBuffer)],
    ) -> Result<(), StorageError> {
        let geometry = files.layout().geometry();
        for run in blocks.chunk_by(|(a, _), (b, _)| a.0 + 1 == b.0) {
            for (block, payload) in run {
                let expected = geometry.block_len(self.piece, *block) as usize;
                assert_eq!(payload.len(), expected, "{block:?} is written whole");
            }
            let parts: Vec<_> = run.iter().map(|(_, block)| IoSlice::new(block)).collect();
            let start = geometry.piece_start(self.piece) + u64::from(run[0].0.begin());
            files.write_vectored_at(start, &parts)?;
        }
        Ok(())
    }

    /// Reads the piece, in portions, and judges it; once more for the digests of its blocks, when
    /// they are wanted or it is bad. No flush may run meanwhile: one that fails could lose what was
    /// just found good.
    pub(crate) fn judge(
        self,
        files: &impl Storage,
        number: u64,
        expected: Sha1Digest,
        digest_blocks: bool,
    ) -> Result<HashDone, StorageError> {
        let mut whole = Sha1Stream::new();
        self.read(files, |portion| {
            portion.iter().for_each(|block| whole.update(block));
        })?;
        let good = whole.finish() == expected;
        if good {
            let geometry = files.layout().geometry();
            let len = geometry.piece_len(self.piece);
            files.note_good(geometry.piece_start(self.piece), len.into());
        }
        let mut block_digests = Vec::new();
        if digest_blocks || !good {
            self.read(files, |portion| {
                let messages: Vec<_> = portion.iter().map(|block| [*block]).collect();
                let mut digests = vec![Sha1Digest::default(); messages.len()];
                sha1_batch(&messages, &mut digests);
                block_digests.extend(digests);
            })?;
        }
        Ok(HashDone {
            torrent: self.torrent,
            piece: self.piece,
            number,
            blocks: Vec::new(),
            good,
            block_digests,
        })
    }

    /// Reads the piece, some blocks at a time.
    fn read(
        self,
        files: &impl Storage,
        mut take: impl FnMut(&[&[u8]]),
    ) -> Result<(), StorageError> {
        let geometry: &Geometry = files.layout().geometry();
        let start = geometry.piece_start(self.piece);
        let end = start + u64::from(geometry.piece_len(self.piece));
        let mut portion = vec![0; BLOCKS_TOGETHER * BLOCK_BYTES as usize];
        let mut at = start;
        while at < end {
            let len = (end - at).min(portion.len() as u64);
            let bytes = &mut portion[..len as usize];
            files.read_vectored_at(at, &mut [IoSliceMut::new(bytes)])?;
            let blocks: Vec<&[u8]> = bytes.chunks(BLOCK_BYTES as usize).collect();
            take(&blocks);
            at += len;
        }
        Ok(())
    }
}
