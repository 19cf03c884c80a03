//! Judges whole pieces: all that wait are hashed side by side on helper threads.
//!
//! A piece that is alone waits for company as long as others keep coming, which at full speed is a
//! few milliseconds and halves the cost of a download where vectors are much faster than one
//! message at a time; at a trickle it waits for a few milliseconds only.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use dunlin_hash::{Sha1Digest, sha1_batch};
use dunlin_port::BlockBuffer;
use dunlin_port::hash::{HashDone, HashJob};

use super::mailbox::{Mailbox, Wake};

#[cfg(test)]
mod tests;

/// Pieces that one thread hashes before it reports: enough to fill the widest vectors.
const BATCH_PIECES_MIN: usize = 16;
/// Company that does not come for so long is not waited for.
const GAP: Duration = Duration::from_millis(8);
/// No piece waits longer for company.
///
/// A tick has no length of its own: under load there is one each time the reactor has let a stream gather,
/// which is at most a millisecond. That is too short to be the bound: pieces of 1 MiB come one in 1.4 ms
/// over loopback, and one or two are no company. User CPU seconds per GB of a download of 1 GiB in such
/// pieces, by the wait in milliseconds (medians of 5 and of 7 in turn; two cores, AVX-512):
/// 0: 0.63, 1: 0.59, 2: 0.60, 5: 0.51, 10: 0.49, 25: 0.44; 8: 0.53, 12: 0.50, 16: 0.48, 20: 0.48, 25: 0.49.
/// This is the shortest that is no dearer than longer ones.
const WAIT_MAX: Duration = Duration::from_millis(16);
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
    /// Bytes that may wait for company: they are taken from the pieces that could come meanwhile.
    waiting_bytes_max: usize,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<HashJob>,
    /// What the jobs hold.
    bytes: usize,
    /// When there were none before, and when the last one came.
    came: Option<(Instant, Instant)>,
    stop: bool,
}

impl HashPort {
    /// Starts `threads` helper threads (at least one); `wake` is called when verdicts are ready.
    /// Pieces of `waiting_bytes_max` together are not kept waiting for more.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(wake: Wake, threads: usize, waiting_bytes_max: usize) -> io::Result<Self> {
        let threads = threads.max(1);
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            done: Mailbox::new(wake),
            threads,
            waiting_bytes_max,
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
        let mut queue = self.shared.lock();
        let now = Instant::now();
        let first = queue.came.map_or(now, |(first, _)| first);
        let begins = queue.jobs.is_empty();
        queue.came = Some((first, now));
        queue.bytes += jobs.iter().map(bytes_of).sum::<usize>();
        queue.jobs.extend(jobs.drain(..));
        // Who waits for company needs no word of each that comes.
        let tell = begins || self.shared.is_full(&queue);
        drop(queue);
        if tell {
            self.shared.changed.notify_one();
        }
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
        let mut queue = self.lock();
        loop {
            if queue.stop {
                return None;
            }
            queue = match self.wait_of(&queue) {
                None => self
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => break,
                Some(wait) => {
                    let waited = self.changed.wait_timeout(queue, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        let count = share(queue.jobs.len(), self.threads);
        let jobs: Vec<_> = queue.jobs.drain(..count).collect();
        queue.bytes -= jobs.iter().map(bytes_of).sum::<usize>();
        if queue.jobs.is_empty() {
            queue.came = None;
        } else {
            drop(queue);
            self.changed.notify_one();
        }
        Some(jobs)
    }

    /// How long what is in the queue shall still wait for company; `None` when there is nothing.
    fn wait_of(&self, queue: &Queue) -> Option<Duration> {
        let (first, last) = queue.came?;
        if self.is_full(queue) {
            return Some(Duration::ZERO);
        }
        let until = (first + WAIT_MAX).min(last + GAP);
        Some(until.saturating_duration_since(Instant::now()))
    }

    /// Whether a batch would be no better for waiting.
    fn is_full(&self, queue: &Queue) -> bool {
        queue.jobs.len() >= BATCH_PIECES_MIN || queue.bytes >= self.waiting_bytes_max
    }
}

fn bytes_of(job: &HashJob) -> usize {
    job.blocks.iter().map(BlockBuffer::len).sum()
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
            number: job.number,
            blocks: job.blocks,
            good,
            block_digests,
        })
        .collect()
}
