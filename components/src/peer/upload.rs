//! What a peer asked of us and how far the answers are.

use core::hash::{Hash, Hasher};
use std::collections::VecDeque;

use bevy_ecs::prelude::Component;
use dunlin_base::EngineTime;
use dunlin_protocol::wire::BlockRequest;

/// A peer's requests to us.
#[derive(Component, Clone, PartialEq, Eq, Debug, Default)]
pub struct UploadQueue {
    /// Requests that wait, in order.
    waiting: VecDeque<BlockRequest>,
    /// Requests that the disk is reading.
    reading: Vec<BlockRequest>,
    /// Both, sorted: whether a request is there already is asked for each that comes, of hundreds.
    known: Vec<BlockRequest>,
    /// Payload bytes that were handed to the network and have not left.
    pub unsent_bytes: u64,
    /// When a block was last read for it: who waited longest for a limited rate is served first.
    pub served_at: EngineTime,
}

/// What is known follows from the rest.
impl Hash for UploadQueue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let in_flight = (self.unsent_bytes, self.served_at);
        (&self.waiting, &self.reading, in_flight).hash(state);
    }
}

impl UploadQueue {
    /// Requests that wait, in order.
    #[must_use]
    pub const fn waiting(&self) -> &VecDeque<BlockRequest> {
        &self.waiting
    }

    /// Requests that the disk is reading.
    #[must_use]
    pub fn reading(&self) -> &[BlockRequest] {
        &self.reading
    }

    /// Requests that wait or are being read, sorted.
    #[must_use]
    pub fn known(&self) -> &[BlockRequest] {
        &self.known
    }

    /// Whether a request waits or is being read: a search by halves.
    #[must_use]
    pub fn contains(&self, request: &BlockRequest) -> bool {
        self.known.binary_search(request).is_ok()
    }

    /// Puts a request behind the others; says whether it was not there.
    pub fn push(&mut self, request: BlockRequest) -> bool {
        let Err(at) = self.known.binary_search(&request) else {
            return false;
        };
        self.known.insert(at, request);
        self.waiting.push_back(request);
        true
    }

    /// Lets the disk read the first request that waits.
    pub fn read_first(&mut self, now: EngineTime) -> Option<BlockRequest> {
        let request = self.waiting.pop_front()?;
        self.reading.push(request);
        self.served_at = now;
        Some(request)
    }

    /// Takes a request out that was read; says whether it was still there.
    pub fn take_read(&mut self, request: &BlockRequest) -> bool {
        let Some(at) = self.reading.iter().position(|reading| reading == request) else {
            return false;
        };
        self.reading.swap_remove(at);
        self.forget(request);
        true
    }

    /// Takes a request out, if it is there.
    pub fn cancel(&mut self, request: &BlockRequest) {
        if !self.forget(request) {
            return;
        }
        match self.waiting.iter().position(|waiting| waiting == request) {
            Some(at) => {
                self.waiting.remove(at);
            }
            None => self.reading.retain(|reading| reading != request),
        }
    }

    /// Takes all requests out that are not to stay; those that wait come first.
    pub fn take_unless(&mut self, stays: impl Fn(&BlockRequest) -> bool) -> Vec<BlockRequest> {
        let all = self.waiting.iter().chain(&self.reading).copied();
        let gone = all.filter(|request| !stays(request)).collect();
        self.waiting.retain(&stays);
        self.reading.retain(&stays);
        self.known.retain(&stays);
        gone
    }

    fn forget(&mut self, request: &BlockRequest) -> bool {
        let found = self.known.binary_search(request);
        found.is_ok_and(|at| {
            self.known.remove(at);
            true
        })
    }

    /// Whether nothing waits or is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.known.is_empty() && self.unsent_bytes == 0
    }

    /// Payload bytes between the disk's reading and the kernel.
    #[must_use]
    pub fn in_flight_bytes(&self) -> u64 {
        self.unsent_bytes
            + self
                .reading
                .iter()
                .map(|block| u64::from(block.len))
                .sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against plain lists that are looked through, over any history.
        #[test]
        fn agrees_with_plain_lists(
            steps in prop::collection::vec((0..4_u32, 0..3_u32, 1..3_u32, 0..6_u8), 0..200),
        ) {
            let mut queue = UploadQueue::default();
            let (mut waiting, mut reading) = (Vec::new(), Vec::new());
            for (piece, begin, len, step) in steps {
                let request = BlockRequest { piece, begin, len };
                match step {
                    0 => {
                        let first = (!waiting.is_empty()).then(|| waiting.remove(0));
                        reading.extend(first);
                        prop_assert_eq!(queue.read_first(EngineTime::START), first);
                    }
                    1 => {
                        let at = reading.iter().position(|reading| *reading == request);
                        at.map(|at| reading.swap_remove(at));
                        prop_assert_eq!(queue.take_read(&request), at.is_some());
                    }
                    2 => {
                        waiting.retain(|waiting| *waiting != request);
                        reading.retain(|reading| *reading != request);
                        queue.cancel(&request);
                    }
                    3 if len == 1 => {
                        let stays = |request: &BlockRequest| request.piece == piece;
                        let all = waiting.iter().chain(&reading).copied();
                        let gone: Vec<_> = all.filter(|request| !stays(request)).collect();
                        waiting.retain(stays);
                        reading.retain(stays);
                        prop_assert_eq!(queue.take_unless(stays), gone);
                    }
                    _ => {
                        let known = waiting.contains(&request) || reading.contains(&request);
                        prop_assert_eq!(queue.contains(&request), known);
                        prop_assert_eq!(queue.push(request), !known);
                        waiting.extend((!known).then_some(request));
                    }
                }
                prop_assert!(queue.waiting().iter().eq(&waiting));
                prop_assert_eq!(queue.reading(), &reading[..]);
                let mut known: Vec<_> = waiting.iter().chain(&reading).copied().collect();
                known.sort_unstable();
                prop_assert_eq!(queue.known(), &known[..]);
                prop_assert_eq!(queue.is_idle(), known.is_empty());
            }
        }
    }
}
