//! Judges whole pieces: all that wait are hashed side by side on helper threads.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use dunlin_hash::{Sha1Digest, sha1_batch};
use dunlin_port::hash::{HashDone, HashJob};

use super::mailbox::{Mailbox, Wake};

#[cfg(test)]
mod tests;

/// Pieces that one thread hashes before it reports: enough to fill the widest vectors.
const BATCH_PIECES_MIN: usize = 16;
/// Pieces after which a thread reports whatever waits, so verdicts do not come in one late flood.
const BATCH_PIECES_MAX: usize = 64;

/// The hashing port on helper threads.
///
/// The queue has no bound of its own: jobs hold blocks of a pool, which is bounded. Dropping the
/// port drops what waits and ends the threads after their present batch.
pub struct HashPort {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    done: Mailbox<HashDone>,
    threads: usize,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<HashJob>,
    stop: bool,
}

impl HashPort {
    /// Starts `threads` helper threads (at least one); `wake` is called when verdicts are ready.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(wake: Wake, threads: usize) -> io::Result<Self> {
        let threads = threads.max(1);
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            done: Mailbox::new(wake),
            threads,
        });
        let mut port = Self {
            shared: Arc::clone(&shared),
            threads: Vec::with_capacity(threads),
        };
        for n in 0..threads {
            let shared = Arc::clone(&shared);
            let name = format!("dunlin-hash-{n}");
            port.threads.push(
                thread::Builder::new()
                    .name(name)
                    .spawn(move || shared.work())?,
            );
        }
        Ok(port)
    }

    /// Takes all jobs; they and those that wait already are one batch.
    pub fn submit(&self, jobs: &mut Vec<HashJob>) {
        if jobs.is_empty() {
            return;
        }
        self.shared.lock().jobs.extend(jobs.drain(..));
        self.shared.changed.notify_all();
    }

    /// Moves all verdicts that are ready to the end of `done`.
    pub fn drain(&self, done: &mut VecDeque<HashDone>) {
        self.shared.done.take(done);
    }
}

impl Drop for HashPort {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.stop = true;
        queue.jobs.clear();
        drop(queue);
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a hash thread had panicked");
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(jobs) = self.next_batch() {
            self.done.put(judge(jobs));
        }
    }

    /// Waits for jobs and takes this thread's share of them; `None` when the port stops.
    fn next_batch(&self) -> Option<Vec<HashJob>> {
        let mut queue = self
            .changed
            .wait_while(self.lock(), |queue| queue.jobs.is_empty() && !queue.stop)
            .unwrap_or_else(PoisonError::into_inner);
        if queue.stop {
            return None;
        }
        let count = share(queue.jobs.len(), self.threads);
        Some(queue.jobs.drain(..count).collect())
    }
}

/// How many of `waiting` jobs one of `threads` threads takes at a time.
fn share(waiting: usize, threads: usize) -> usize {
    waiting
        .div_ceil(threads)
        .clamp(BATCH_PIECES_MIN, BATCH_PIECES_MAX)
        .min(waiting)
}

/// Hashes and compares.
pub(crate) fn judge(jobs: Vec<HashJob>) -> Vec<HashDone> {
    let pieces: Vec<Vec<&[u8]>> = jobs
        .iter()
        .map(|job| job.blocks.iter().map(|block| &**block).collect())
        .collect();
    let mut digests = vec![Sha1Digest::default(); jobs.len()];
    sha1_batch(&pieces, &mut digests);

    let good: Vec<bool> = jobs
        .iter()
        .zip(&digests)
        .map(|(job, digest)| job.expected == *digest)
        .collect();
    let wants_blocks = |n: usize| jobs[n].digest_blocks || !good[n];
    let blocks: Vec<[&[u8]; 1]> = (0..jobs.len())
        .filter(|&n| wants_blocks(n))
        .flat_map(|n| pieces[n].iter().map(|block| [*block]))
        .collect();
    let mut digests = vec![Sha1Digest::default(); blocks.len()];
    sha1_batch(&blocks, &mut digests);

    let mut digests = digests.into_iter();
    let block_digests: Vec<Vec<Sha1Digest>> = (0..jobs.len())
        .map(|n| {
            let count = if wants_blocks(n) { pieces[n].len() } else { 0 };
            digests.by_ref().take(count).collect()
        })
        .collect();
    let verdicts = good.into_iter().zip(block_digests);
    jobs.into_iter()
        .zip(verdicts)
        .map(|(job, (good, block_digests))| HashDone {
            torrent: job.torrent,
            piece: job.piece,
            blocks: job.blocks,
            good,
            block_digests,
        })
        .collect()
}
