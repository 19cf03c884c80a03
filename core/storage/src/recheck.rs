//! Hashes what is on disk: all pieces of a torrent, or those in doubt.
//!
//! Each of a few threads takes as many pieces as the widest hasher has lanes, and reads and hashes
//! them side by side, a stripe of each at a time, mapped or just read and in the core's cache still. A
//! check takes half a megabyte a thread, and windows of eight, however large the pieces are.

use std::fs::File;
use std::io::IoSliceMut;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use dunlin_base::{Bitfield, PieceIndex};
use dunlin_hash::{Sha1Digest, Sha1Lanes, Stripes, sha1_striped};

use crate::{ErrorKind, Pieces, Storage, StorageError, StripeRoom};

/// Threads that one check takes at most.
const THREADS_MAX: usize = 4;
/// Bytes that are worth a thread.
const THREAD_BYTES: u64 = 1 << 20;

/// Why pieces are not read on.
#[derive(Debug)]
pub enum Halt {
    /// None of them is there.
    NothingThere,
    /// The disk failed.
    Storage(StorageError),
}

/// What the pieces of a torrent should hash to.
pub trait PieceHashes: Sync {
    /// Says for each of `pieces`, which are of `len` bytes and at most [`Sha1Lanes::MAX`], whether
    /// it is good.
    ///
    /// # Errors
    /// What `stripes` returns.
    fn judge(
        &self,
        pieces: &[PieceIndex],
        len: usize,
        stripes: &mut dyn Stripes<Error = Halt>,
    ) -> Result<Vec<bool>, Halt>;
}

/// The SHA-1 of each piece (BEP 3).
impl PieceHashes for [Sha1Digest] {
    fn judge(
        &self,
        pieces: &[PieceIndex],
        len: usize,
        stripes: &mut dyn Stripes<Error = Halt>,
    ) -> Result<Vec<bool>, Halt> {
        let digests = sha1_striped(pieces.len(), len, stripes)?;
        let good = |(piece, digest): (&PieceIndex, _)| self[piece.0 as usize] == digest;
        Ok(pieces.iter().zip(digests).map(good).collect())
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

/// Why a check did not end.
#[derive(Debug, thiserror::Error)]
pub enum RecheckError {
    /// Somebody asked to stop.
    #[error("the check was stopped")]
    Cancelled,
    /// The disk failed in another way than by a file that is missing or short.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The system gave no thread to check with.
    #[error("cannot start a thread to check pieces with: {0}")]
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
) -> Result<Bitfield, RecheckError> {
    let all = Bitfield::full(storage.layout().geometry().piece_count());
    recheck_pieces(storage, hashes, &all, cancelled, progress)
}

/// Hashes the pieces of `which` and returns the good ones. A piece in a file that is missing or short is not
/// good, which is no error. As many threads do it as there are cores, up to four; progress is told on
/// this one.
///
/// Nothing is flushed: what was found may be in memory only. Who commits it calls
/// [`Storage::flush_all`] before.
///
/// # Errors
/// When the disk fails in another way, or `cancelled` becomes true, which is seen after each group
/// of pieces.
///
/// # Panics
/// When `which` has not one bit for each piece of the torrent.
pub fn recheck_pieces<H: PieceHashes + ?Sized>(
    storage: &dyn Storage,
    hashes: &H,
    which: &Bitfield,
    cancelled: &AtomicBool,
    progress: &mut dyn FnMut(RecheckProgress),
) -> Result<Bitfield, RecheckError> {
    let pieces = storage.layout().geometry().piece_count();
    assert_eq!(which.len(), pieces, "one bit for each piece");
    let check = Check::new(storage, hashes, which);
    let mut found = Found {
        good: Bitfield::empty(pieces),
        progress: RecheckProgress {
            checked: 0,
            of: which.count(),
            good: 0,
        },
    };
    let mut take = |verdicts: Verdicts| {
        found.take(&verdicts);
        progress(found.progress);
        match cancelled.load(Ordering::Relaxed) {
            true => Err(RecheckError::Cancelled),
            false => Ok(()),
        }
    };
    if check.threads() <= 1 {
        let mut room = StripeRoom::new();
        while let Some(verdicts) = check.next(&mut room) {
            take(verdicts?)?;
        }
    } else {
        thread::scope(|scope| {
            let (sender, arriving) = sync_channel(2 * THREADS_MAX);
            for _ in 0..check.threads() {
                let (check, sender) = (&check, sender.clone());
                thread::Builder::new()
                    .name("recheck".into())
                    .spawn_scoped(scope, move || check.work(&sender))
                    .map_err(RecheckError::Thread)?;
            }
            drop(sender);
            // When this ends early, the others see that nobody listens any more.
            arriving
                .into_iter()
                .try_for_each(|verdicts| take(verdicts?))
        })?;
    }
    Ok(found.good)
}

/// Pieces that were judged, and whether each is good.
type Verdicts = Vec<(PieceIndex, bool)>;

/// What is to be checked, for all threads.
struct Check<'a, H: ?Sized> {
    storage: &'a dyn Storage,
    hashes: &'a H,
    pieces: Vec<PieceIndex>,
    /// How many of the pieces are of full length; a short one is the last.
    full: usize,
    /// Pieces that are hashed side by side.
    group: usize,
    /// The first piece that no thread has taken.
    next: AtomicUsize,
}

impl<'a, H: PieceHashes + ?Sized> Check<'a, H> {
    fn new(storage: &'a dyn Storage, hashes: &'a H, which: &Bitfield) -> Self {
        let geometry = storage.layout().geometry();
        let pieces: Vec<_> = which.iter().collect();
        let short = pieces
            .last()
            .is_some_and(|&last| geometry.piece_len(last) < geometry.piece_bytes());
        Self {
            storage,
            hashes,
            full: pieces.len() - usize::from(short),
            group: pieces.len().div_ceil(cores()).clamp(1, Sha1Lanes::MAX),
            pieces,
            next: AtomicUsize::new(0),
        }
    }

    /// How many threads have something to do.
    fn threads(&self) -> usize {
        let bytes =
            self.pieces.len() as u64 * u64::from(self.storage.layout().geometry().piece_bytes());
        // A thread costs more than a few pieces.
        let worth = usize::try_from(bytes / THREAD_BYTES).unwrap_or(usize::MAX);
        cores()
            .min(worth)
            .min(self.pieces.len().div_ceil(self.group))
    }

    fn work(&self, sender: &SyncSender<Result<Verdicts, StorageError>>) {
        let mut room = StripeRoom::new();
        while let Some(verdicts) = self.next(&mut room) {
            let failed = verdicts.is_err();
            if sender.send(verdicts).is_err() || failed {
                return;
            }
        }
    }

    /// Judges the next pieces that nobody has taken.
    fn next(&self, room: &mut StripeRoom) -> Option<Result<Verdicts, StorageError>> {
        let taken = |at: usize| (at < self.pieces.len()).then(|| self.group_at(at).end);
        let begin = self
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken)
            .ok()?;
        Some(self.judge(&self.pieces[self.group_at(begin)], room))
    }

    /// The group that begins with a piece: pieces of one length.
    fn group_at(&self, begin: usize) -> Range<usize> {
        let end = begin + self.group;
        begin..if begin < self.full {
            end.min(self.full)
        } else {
            end.min(self.pieces.len())
        }
    }

    fn judge(
        &self,
        pieces: &[PieceIndex],
        room: &mut StripeRoom,
    ) -> Result<Verdicts, StorageError> {
        let geometry = self.storage.layout().geometry();
        let len = geometry.piece_len(pieces[0]) as usize;
        let starts: Vec<u64> = pieces
            .iter()
            .map(|&piece| geometry.piece_start(piece))
            .collect();
        let mut group = Group {
            storage: self.storage,
            there: vec![true; pieces.len()],
            starts,
            len,
        };
        let judged = room.look(pieces.len(), len, &mut group, |stripes| {
            self.hashes.judge(pieces, len, stripes)
        });
        let good = match judged {
            Ok(good) => good,
            Err(Halt::NothingThere) => vec![false; pieces.len()],
            Err(Halt::Storage(error)) => return Err(error),
        };
        let verdict = |((piece, good), there): ((&PieceIndex, bool), bool)| (*piece, good && there);
        Ok(pieces
            .iter()
            .zip(good)
            .zip(group.there)
            .map(verdict)
            .collect())
    }
}

/// Pieces that are judged together.
struct Group<'a> {
    storage: &'a dyn Storage,
    /// Where in the torrent each begins.
    starts: Vec<u64>,
    /// Bytes of each.
    len: usize,
    /// Whether each is there, as far as was seen.
    there: Vec<bool>,
}

impl Group<'_> {
    /// Reads from the n-th piece on; says whether it is there.
    fn read(&self, n: usize, begin: usize, into: &mut [u8]) -> Result<bool, Halt> {
        let part = &mut [IoSliceMut::new(into)];
        let start = self.starts[n] + begin as u64;
        match self.storage.read_vectored_at(start, part) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.kind, ErrorKind::Missing | ErrorKind::Short) => Ok(false),
            Err(error) => Err(Halt::Storage(error)),
        }
    }
}

impl Pieces for Group<'_> {
    type Error = Halt;

    fn will_read(&mut self, n: usize, begin: usize, len: usize) {
        let start = self.starts[n] + begin as u64;
        self.storage.will_read(start, len as u64);
    }

    fn file(&mut self, n: usize, begin: usize, len: usize) -> Option<(Arc<File>, u64)> {
        self.storage
            .file_at(self.starts[n] + begin as u64, len as u64)
    }

    fn run(&self, n: usize) -> usize {
        let follows = |pair: &&[u64]| pair[0] + self.len as u64 == pair[1];
        1 + self.starts[n..].windows(2).take_while(follows).count()
    }

    fn copy(&mut self, n: usize, begin: usize, into: &mut [u8]) -> Result<(), Halt> {
        if into.len() > self.len {
            if self.read(n, 0, into)? {
                return Ok(());
            }
            // Some of them may be there.
            let mut pieces = (n..).zip(into.chunks_mut(self.len));
            return pieces.try_for_each(|(n, into)| self.copy(n, 0, into));
        }
        if self.there[n] {
            self.there[n] = self.read(n, begin, into)?;
            if self.there[n] {
                return Ok(());
            }
        }
        match self.there.contains(&true) {
            true => Ok(()),
            false => Err(Halt::NothingThere),
        }
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get().min(THREADS_MAX))
}

/// What was found so far.
struct Found {
    good: Bitfield,
    progress: RecheckProgress,
}

impl Found {
    fn take(&mut self, verdicts: &[(PieceIndex, bool)]) {
        for &(piece, good) in verdicts {
            self.progress.checked += 1;
            if good {
                self.good.set(piece);
                self.progress.good += 1;
            }
        }
    }
}
