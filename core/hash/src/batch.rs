//! Hashes many messages side by side, refilling each lane from the queue as it falls free.

use crate::{
    Sha1Digest, Sha256Digest,
    algorithm::{Algorithm, LANES_MAX, Sha1, Sha256, States},
    cursor::{Cursor, ShaBlock},
    kernel::Kernel,
};

/// Writes the SHA-1 digest of each message to the same place in `digests`.
///
/// A message is the concatenation of its slices, of any sizes; slices that are multiples of 64
/// bytes are read in place. Messages may differ in length. Nothing is allocated.
///
/// # Panics
///
/// When `messages` and `digests` differ in length.
pub fn sha1_batch<'a, M: AsRef<[&'a [u8]]>>(messages: &[M], digests: &mut [Sha1Digest]) {
    run::<Sha1, M, 5, 20>(Sha1::kernel_for, messages, digests);
}

/// Writes the SHA-256 digest of each message to the same place in `digests`; see [`sha1_batch`].
///
/// # Panics
///
/// When `messages` and `digests` differ in length.
pub fn sha256_batch<'a, M: AsRef<[&'a [u8]]>>(messages: &[M], digests: &mut [Sha256Digest]) {
    run::<Sha256, M, 8, 32>(Sha256::kernel_for, messages, digests);
}

/// [`sha1_batch`] by one kernel whatever the batch, for tests and measurements.
///
/// # Panics
///
/// When this processor lacks the kernel, or `messages` and `digests` differ in length.
pub fn sha1_batch_with<'a, M: AsRef<[&'a [u8]]>>(
    kernel: Kernel,
    messages: &[M],
    digests: &mut [Sha1Digest],
) {
    assert!(
        kernel.is_available(),
        "this processor lacks the kernel {kernel}"
    );
    run::<Sha1, M, 5, 20>(|_| kernel, messages, digests);
}

/// [`sha256_batch`] by one kernel whatever the batch, for tests and measurements.
///
/// # Panics
///
/// When this processor lacks the kernel, or `messages` and `digests` differ in length.
pub fn sha256_batch_with<'a, M: AsRef<[&'a [u8]]>>(
    kernel: Kernel,
    messages: &[M],
    digests: &mut [Sha256Digest],
) {
    assert!(
        kernel.is_available(),
        "this processor lacks the kernel {kernel}"
    );
    run::<Sha256, M, 8, 32>(|_| kernel, messages, digests);
}

fn run<'a, A, M, const WORDS: usize, const BYTES: usize>(
    kernel_for: impl Fn(usize) -> Kernel,
    messages: &[M],
    digests: &mut [[u8; BYTES]],
) where
    A: Algorithm<WORDS>,
    M: AsRef<[&'a [u8]]>,
{
    const { assert!(BYTES == 4 * WORDS, "the digest is the state") };
    assert_eq!(messages.len(), digests.len(), "one digest for each message");
    let mut queue = messages.iter().map(AsRef::as_ref).enumerate();
    let mut lanes = Lanes::<WORDS>::new();
    loop {
        // The kernel follows from what is left, so the last few messages of a batch, too few to
        // fill the vectors, move to a narrower kernel halfway.
        let left = lanes.busy + queue.len();
        if left == 0 {
            return;
        }
        let wanted = kernel_for(left).lanes();
        while lanes.busy < wanted
            && let Some((message, slices)) = queue.next()
        {
            lanes.start(message, slices, A::INITIAL);
        }
        lanes.compress::<A>(&kernel_for);
        lanes.retire(digests);
    }
}

/// The messages under way. The first `busy` places of each array are in use.
struct Lanes<'m, const WORDS: usize> {
    busy: usize,
    states: States<WORDS>,
    cursors: [Cursor<'m>; LANES_MAX],
    /// The index of each message in the batch.
    messages: [usize; LANES_MAX],
    finished: [bool; LANES_MAX],
}

impl<'m, const WORDS: usize> Lanes<'m, WORDS> {
    fn new() -> Self {
        Self {
            busy: 0,
            states: [[0; LANES_MAX]; WORDS],
            cursors: [const { Cursor::finished() }; LANES_MAX],
            messages: [0; LANES_MAX],
            finished: [false; LANES_MAX],
        }
    }

    /// Puts a message into the first free lane.
    fn start(&mut self, message: usize, slices: &'m [&'m [u8]], initial: [u32; WORDS]) {
        let lane = self.busy;
        for (word, value) in self.states.iter_mut().zip(initial) {
            word[lane] = value;
        }
        self.cursors[lane] = Cursor::new(slices);
        self.messages[lane] = message;
        self.finished[lane] = false;
        self.busy += 1;
    }

    /// Hashes the next run of blocks of every lane, in groups as wide as the kernel is.
    fn compress<A: Algorithm<WORDS>>(&mut self, kernel_for: &impl Fn(usize) -> Kernel) {
        let mut first = 0;
        while first < self.busy {
            let kernel = kernel_for(self.busy - first);
            let group = first..self.busy.min(first + kernel.lanes());
            let cursors = &mut self.cursors[group.clone()];

            let mut runs: [&[ShaBlock]; LANES_MAX] = [&[]; LANES_MAX];
            let runs = &mut runs[..cursors.len()];
            for (run, cursor) in runs.iter_mut().zip(&*cursors) {
                *run = cursor.run();
            }
            // A group goes as far as its shortest run.
            let blocks = runs.iter().map(|run| run.len()).min().unwrap_or(0);
            for run in runs.iter_mut() {
                *run = &run[..blocks];
            }
            A::compress(kernel, &mut self.states, first, runs);

            for (cursor, finished) in cursors.iter_mut().zip(&mut self.finished[group.clone()]) {
                *finished = cursor.advance(blocks);
            }
            first = group.end;
        }
    }

    /// Delivers the finished messages and closes the gaps they leave.
    fn retire<const BYTES: usize>(&mut self, digests: &mut [[u8; BYTES]]) {
        // Backwards, so that the lane moved into a gap has been looked at already.
        for lane in (0..self.busy).rev() {
            if !self.finished[lane] {
                continue;
            }
            let digest = digests[self.messages[lane]].as_chunks_mut().0;
            for (bytes, word) in digest.iter_mut().zip(&self.states) {
                *bytes = word[lane].to_be_bytes();
            }
            self.busy -= 1;
            for word in &mut self.states {
                word[lane] = word[self.busy];
            }
            self.cursors.swap(lane, self.busy);
            self.messages[lane] = self.messages[self.busy];
        }
    }
}
