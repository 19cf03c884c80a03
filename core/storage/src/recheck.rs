//! Hashes what is on disk: all pieces of a torrent, or those in doubt.

use std::io::IoSliceMut;
use std::iter::Peekable;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use dunlin_base::{Bitfield, Geometry, PieceIndex};
use dunlin_hash::{Sha1Digest, Sha1Stream, sha1_batch};

use crate::{ErrorKind, Flushed, Storage, StorageError};

/// Bytes that are read while as many are hashed: 16 pieces of 1 MiB, to fill the widest hasher.
const BATCH_BYTES: usize = 16 << 20;
/// Batches in flight: one is read while the other is hashed.
const BATCHES: usize = 2;

/// What the pieces of a torrent should hash to.
pub trait PieceHashes: Sync {
    /// State of a piece that is too large for memory and is hashed as it is read.
    type Stream;

    /// Sets for each of these whole pieces whether it is good.
    fn check(&self, pieces: &[(PieceIndex, &[u8])], good: &mut [bool]);

    /// Begins a piece that comes in parts.
    fn begin(&self, piece: PieceIndex) -> Self::Stream;

    /// Takes the next part. All parts but the last are multiples of 16 KiB.
    fn update(&self, stream: &mut Self::Stream, part: &[u8]);

    /// Whether the piece was good.
    fn finish(&self, piece: PieceIndex, stream: Self::Stream) -> bool;
}

/// The SHA-1 of each piece (BEP 3).
impl PieceHashes for [Sha1Digest] {
    type Stream = Sha1Stream;

    fn check(&self, pieces: &[(PieceIndex, &[u8])], good: &mut [bool]) {
        let messages: Vec<_> = pieces.iter().map(|&(_, bytes)| [bytes]).collect();
        let mut digests = vec![[0; 20]; pieces.len()];
        sha1_batch(&messages, &mut digests);
        for ((good, digest), (piece, _)) in good.iter_mut().zip(digests).zip(pieces) {
            *good = self[piece.0 as usize] == digest;
        }
    }

    fn begin(&self, _piece: PieceIndex) -> Sha1Stream {
        Sha1Stream::new()
    }

    fn update(&self, stream: &mut Sha1Stream, part: &[u8]) {
        stream.update(part);
    }

    fn finish(&self, piece: PieceIndex, stream: Sha1Stream) -> bool {
        self[piece.0 as usize] == stream.finish()
    }
}

/// How far a check has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecheckProgress {
    /// Pieces that were looked at.
    pub checked: u32,
    /// Pieces to look at.
    pub of: u32,
    /// Pieces of those looked at that are good.
    pub good: u32,
}

/// What a check found.
#[derive(Debug)]
pub struct Rechecked {
    /// Pieces that are there and good; others that were looked at are not.
    pub good: Bitfield,
    /// Vouches for the good pieces, to commit them.
    pub flushed: Flushed,
}

/// Why a check did not end.
#[derive(Debug, thiserror::Error)]
pub enum RecheckError {
    /// Somebody asked to stop.
    #[error("the check was stopped")]
    Cancelled,
    /// The disk failed in another way than by a file that is missing or short.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The system gave no thread to read ahead.
    #[error("cannot start a thread to read ahead: {0}")]
    Thread(#[source] std::io::Error),
}

/// Hashes every piece; see [`recheck_pieces`].
///
/// # Errors
/// As [`recheck_pieces`].
pub fn recheck<H: PieceHashes + ?Sized>(
    storage: &dyn Storage,
    hashes: &H,
    cancelled: &AtomicBool,
    progress: &mut dyn FnMut(RecheckProgress),
) -> Result<Rechecked, RecheckError> {
    let all = Bitfield::full(storage.layout().geometry().piece_count());
    recheck_pieces(storage, hashes, &all, cancelled, progress)
}

/// Hashes the pieces of `which`. A piece in a file that is missing or short is not good, which is
/// no error. Takes two buffers of 16 MiB however large the pieces are: one is read by a second
/// thread while the other is hashed, unless one is enough.
///
/// # Errors
/// When the disk fails in another way, or `cancelled` becomes true, which is seen after each buffer.
///
/// # Panics
/// When `which` has not one bit for each piece of the torrent.
pub fn recheck_pieces<H: PieceHashes + ?Sized>(
    storage: &dyn Storage,
    hashes: &H,
    which: &Bitfield,
    cancelled: &AtomicBool,
    progress: &mut dyn FnMut(RecheckProgress),
) -> Result<Rechecked, RecheckError> {
    let pieces = storage.layout().geometry().piece_count();
    assert_eq!(which.len(), pieces, "one bit for each piece");
    let mut verdicts = Verdicts {
        hashes,
        good: Bitfield::empty(pieces),
        large: None,
        progress: RecheckProgress {
            checked: 0,
            of: which.count(),
            good: 0,
        },
    };
    let bytes = u64::from(which.count()) * u64::from(storage.layout().geometry().piece_bytes());
    if bytes <= BATCH_BYTES as u64 {
        judge_at_once(storage, which, &mut verdicts, progress)?;
    } else {
        judge_read_ahead(storage, which, cancelled, &mut verdicts, progress)?;
    }
    Ok(Rechecked {
        flushed: storage.flush_all()?,
        good: verdicts.good,
    })
}

/// Checks what fits into one batch.
fn judge_at_once<H: PieceHashes + ?Sized>(
    storage: &dyn Storage,
    which: &Bitfield,
    verdicts: &mut Verdicts<'_, H>,
    progress: &mut dyn FnMut(RecheckProgress),
) -> Result<(), RecheckError> {
    let mut pieces = which.iter().peekable();
    let mut batch = Batch::default();
    batch.fill(storage.layout().geometry(), &mut pieces, &mut 0);
    assert!(pieces.peek().is_none(), "one batch is enough");
    batch.read(storage)?;
    verdicts.judge(&batch);
    progress(verdicts.progress);
    Ok(())
}

/// Checks batch by batch, while the next one is read.
fn judge_read_ahead<H: PieceHashes + ?Sized>(
    storage: &dyn Storage,
    which: &Bitfield,
    cancelled: &AtomicBool,
    verdicts: &mut Verdicts<'_, H>,
    progress: &mut dyn FnMut(RecheckProgress),
) -> Result<(), RecheckError> {
    thread::scope(|scope| {
        // The reader ends when either channel is closed, so both live in this scope.
        let (empty_in, empty_out) = sync_channel(BATCHES);
        let (full_in, full_out) = sync_channel(BATCHES);
        for _ in 0..BATCHES {
            // The channel holds as many, so this never waits, and its end is two lines above.
            _ = empty_in.send(Batch::default());
        }
        thread::Builder::new()
            .name("recheck-read".into())
            .spawn_scoped(scope, move || {
                read_ahead(storage, which, &empty_out, &full_in);
            })
            .map_err(RecheckError::Thread)?;
        for batch in full_out {
            let batch: Batch = batch?;
            verdicts.judge(&batch);
            progress(verdicts.progress);
            if cancelled.load(Ordering::Relaxed) {
                return Err(RecheckError::Cancelled);
            }
            // The reader may have ended; then nobody needs the buffer.
            _ = empty_in.send(batch);
        }
        Ok(())
    })
}

/// A buffer, and what was read into it.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    runs: Vec<Run>,
}

/// Bytes of one piece in a batch.
struct Run {
    piece: PieceIndex,
    /// Offset of the first byte in the torrent.
    offset: u64,
    /// The first byte in the batch's buffer.
    start: usize,
    len: usize,
    /// Whether the piece goes on in the next batch.
    continues: bool,
    /// Whether the bytes could be read.
    there: bool,
}

/// Fills every empty batch with the next pieces and sends it on.
fn read_ahead(
    storage: &dyn Storage,
    which: &Bitfield,
    empty: &Receiver<Batch>,
    full: &SyncSender<Result<Batch, StorageError>>,
) {
    let geometry = storage.layout().geometry();
    let mut pieces = which.iter().peekable();
    let mut done_of_piece = 0;
    while pieces.peek().is_some() {
        let Ok(mut batch) = empty.recv() else { return };
        batch.fill(geometry, &mut pieces, &mut done_of_piece);
        let read = batch.read(storage).map(|()| batch);
        let failed = read.is_err();
        if full.send(read).is_err() || failed {
            return;
        }
    }
}

impl Batch {
    /// Takes the next pieces, as many as fit. `done_of_piece` bytes of the first one were in the
    /// batch before.
    fn fill(
        &mut self,
        geometry: &Geometry,
        pieces: &mut Peekable<impl Iterator<Item = PieceIndex>>,
        done_of_piece: &mut usize,
    ) {
        self.runs.clear();
        let mut room = BATCH_BYTES;
        while let Some(&piece) = pieces.peek() {
            let rest = geometry.piece_len(piece) as usize - *done_of_piece;
            if rest > room && room < BATCH_BYTES {
                break;
            }
            let len = rest.min(room);
            let continues = len < rest;
            self.runs.push(Run {
                piece,
                offset: geometry.piece_start(piece) + *done_of_piece as u64,
                start: BATCH_BYTES - room,
                len,
                continues,
                there: false,
            });
            room -= len;
            *done_of_piece = if continues { *done_of_piece + len } else { 0 };
            if !continues {
                pieces.next();
            }
        }
    }

    /// Reads every run; bytes that are not there are no error.
    fn read(&mut self, storage: &dyn Storage) -> Result<(), StorageError> {
        let len = self.runs.last().map_or(0, |run| run.start + run.len);
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
        for run in &mut self.runs {
            let bytes = &mut self.bytes[run.start..run.start + run.len];
            match storage.read_vectored_at(run.offset, &mut [IoSliceMut::new(bytes)]) {
                Ok(()) => run.there = true,
                Err(error) if matches!(error.kind, ErrorKind::Missing | ErrorKind::Short) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The pieces that were judged so far, and the one that is half read.
struct Verdicts<'a, H: PieceHashes + ?Sized> {
    hashes: &'a H,
    good: Bitfield,
    /// A piece larger than a batch; `None` inside when a part of it is not there.
    large: Option<Option<H::Stream>>,
    progress: RecheckProgress,
}

impl<H: PieceHashes + ?Sized> Verdicts<'_, H> {
    fn judge(&mut self, batch: &Batch) {
        let mut whole = Vec::with_capacity(batch.runs.len());
        for run in &batch.runs {
            let bytes = &batch.bytes[run.start..run.start + run.len];
            if run.continues || self.large.is_some() {
                self.judge_part(run, bytes);
            } else if run.there {
                whole.push((run.piece, bytes));
            } else {
                self.note(run.piece, false);
            }
        }
        let mut good = vec![false; whole.len()];
        self.hashes.check(&whole, &mut good);
        for ((piece, _), good) in whole.into_iter().zip(good) {
            self.note(piece, good);
        }
    }

    fn judge_part(&mut self, run: &Run, bytes: &[u8]) {
        let begun = self.large.take();
        let mut stream = begun.unwrap_or_else(|| Some(self.hashes.begin(run.piece)));
        match &mut stream {
            Some(stream) if run.there => self.hashes.update(stream, bytes),
            _ => stream = None,
        }
        if run.continues {
            self.large = Some(stream);
            return;
        }
        let good = stream.is_some_and(|stream| self.hashes.finish(run.piece, stream));
        self.note(run.piece, good);
    }

    fn note(&mut self, piece: PieceIndex, good: bool) {
        self.progress.checked += 1;
        if good {
            self.good.set(piece);
            self.progress.good += 1;
        }
    }
}
