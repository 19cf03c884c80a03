//! Deadlines that all have the same distance from the moment they are set, so a queue is enough.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use dunlin_base::PeerKey;

/// Connections that have to reach their next phase in time.
///
/// A connection that gets there stays in the queue and is passed over when its turn comes: the
/// queue is never searched, and is no longer than what one period brings.
pub(super) struct Deadlines {
    after: Duration,
    queue: VecDeque<(Instant, PeerKey)>,
}

impl Deadlines {
    pub(super) fn new(after: Duration) -> Self {
        Self {
            after,
            queue: VecDeque::new(),
        }
    }

    /// Gives a connection its time from now on.
    pub(super) fn start(&mut self, now: Instant, peer: PeerKey) {
        self.queue.push_back((now + self.after, peer));
    }

    /// The next deadline of a connection that `waits`.
    pub(super) fn next(&mut self, mut waits: impl FnMut(PeerKey) -> bool) -> Option<Instant> {
        while let Some(&(deadline, peer)) = self.queue.front() {
            if waits(peer) {
                return Some(deadline);
            }
            self.queue.pop_front();
        }
        None
    }

    /// Takes a connection whose time is over.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<PeerKey> {
        let (_, peer) = self.queue.pop_front_if(|(deadline, _)| *deadline <= now)?;
        Some(peer)
    }

    /// Takes the connection that has waited longest.
    pub(super) fn pop_oldest(&mut self) -> Option<PeerKey> {
        self.queue.pop_front().map(|(_, peer)| peer)
    }
}
