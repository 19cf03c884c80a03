//! What a peer asked of us and how far the answers are.

use core::hash::{Hash, Hasher};
use std::collections::VecDeque;

use bevy_ecs::prelude::Component;
use dunlin_base::{EngineTime, prefetch};
use dunlin_protocol::wire::BlockRequest;

/// Requests up to which a walk along all of them is no dearer than keeping them sorted as well.
const WALK_MAX: usize = 32;

/// A peer's requests to us. Most peers have a few: then one line of a cache holds the row and another one
/// or two what they ask for.
#[derive(Component, Clone, Debug, Default)]
#[repr(align(64))]
pub struct UploadQueue {
    /// Those that the disk is reading, and behind them those that wait, in order.
    all: VecDeque<BlockRequest>,
    /// The same, sorted, when there were many: whether a request is there already is asked for each that
    /// comes, of hundreds.
    sorted: Option<Box<Sorted>>,
    /// How many the disk is reading.
    reading: u32,
    /// Payload bytes that were handed to the network and have not left.
    pub unsent_bytes: u64,
    /// When a block was last read for it: who waited longest for a limited rate is served first.
    pub served_at: EngineTime,
}

const _: () = assert!(size_of::<UploadQueue>() == 64, "a line of a cache");

#[derive(Clone, Debug)]
struct Sorted(Vec<BlockRequest>);

impl Sorted {
    fn new(requests: &VecDeque<BlockRequest>) -> Self {
        let mut sorted: Vec<_> = requests.iter().copied().collect();
        sorted.sort_unstable();
        Self(sorted)
    }
}

/// What is sorted says nothing that the rest does not.
impl Hash for UploadQueue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let in_flight = (self.reading, self.unsent_bytes, self.served_at);
        (&self.all, in_flight).hash(state);
    }
}

impl UploadQueue {
    /// Asks for the requests, which will be needed soon.
    pub fn prefetch(&self) {
        self.all.front().into_iter().for_each(prefetch);
    }

    /// Requests that the disk is reading, and behind them those that wait, in order.
    pub fn all(&self) -> impl Iterator<Item = &BlockRequest> {
        self.all.iter()
    }

    /// Number of requests that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.all.len() - self.reading as usize
    }

    /// The first request that waits.
    #[must_use]
    pub fn first(&self) -> Option<BlockRequest> {
        self.all.get(self.reading as usize).copied()
    }

    /// Whether a request waits or is being read: of many, a search by halves.
    #[must_use]
    pub fn contains(&self, request: &BlockRequest) -> bool {
        match &self.sorted {
            Some(sorted) => sorted.0.binary_search(request).is_ok(),
            None => self.all.contains(request),
        }
    }

    /// Puts a request behind the others; says whether it was not there.
    pub fn push(&mut self, request: BlockRequest) -> bool {
        match &mut self.sorted {
            Some(sorted) => {
                let Err(at) = sorted.0.binary_search(&request) else {
                    return false;
                };
                sorted.0.insert(at, request);
            }
            None if self.all.contains(&request) => return false,
            None => {}
        }
        self.all.push_back(request);
        if self.sorted.is_none() && self.all.len() > WALK_MAX {
            self.sorted = Some(Box::new(Sorted::new(&self.all)));
        }
        true
    }

    /// Lets the disk read the first request that waits.
    pub fn read_first(&mut self, now: EngineTime) -> Option<BlockRequest> {
        let request = self.first()?;
        self.reading += 1;
        self.served_at = now;
        Some(request)
    }

    /// Takes a request out that was read; says whether it was still there.
    pub fn take_read(&mut self, request: &BlockRequest) -> bool {
        let mut reading = self.all.iter().take(self.reading as usize);
        let Some(at) = reading.position(|reading| reading == request) else {
            return false;
        };
        self.remove(at);
        true
    }

    /// Takes a request out, if it is there.
    pub fn cancel(&mut self, request: &BlockRequest) {
        if self.contains(request)
            && let Some(at) = self.all.iter().position(|one| one == request)
        {
            self.remove(at);
        }
    }

    /// Takes all requests out that are not to stay; those that wait come first.
    pub fn take_unless(&mut self, stays: impl Fn(&BlockRequest) -> bool) -> Vec<BlockRequest> {
        let reading = self.reading as usize;
        let waiting = self.all.iter().skip(reading);
        let all = waiting.chain(self.all.iter().take(reading)).copied();
        let gone: Vec<_> = all.filter(|request| !stays(request)).collect();
        let read_on = self.all.iter().take(reading).filter(|one| stays(one));
        self.reading = read_on.count() as u32;
        self.all.retain(&stays);
        self.sorted = (self.all.len() > WALK_MAX).then(|| Box::new(Sorted::new(&self.all)));
        gone
    }

    fn remove(&mut self, at: usize) {
        let Some(request) = self.all.remove(at) else {
            return;
        };
        self.reading -= u32::from(at < self.reading as usize);
        if self.all.is_empty() {
            self.sorted = None;
        } else if let Some(sorted) = &mut self.sorted
            && let Ok(at) = sorted.0.binary_search(&request)
        {
            sorted.0.remove(at);
        }
    }

    /// Whether nothing waits or is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.all.is_empty() && self.unsent_bytes == 0
    }

    /// Payload bytes between the disk's reading and the kernel.
    #[must_use]
    pub fn in_flight_bytes(&self) -> u64 {
        let reading = self.all.iter().take(self.reading as usize);
        self.unsent_bytes + reading.map(|block| u64::from(block.len)).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against plain lists that are looked through, over any history; with few and with many requests.
        #[test]
        fn agrees_with_plain_lists(
            pieces in prop_oneof![Just(4_u32), Just(40)],
            steps in prop::collection::vec((0..1000_u32, 0..3_u32, 1..3_u32, 0..12_u8), 0..600),
        ) {
            let mut queue = UploadQueue::default();
            let (mut waiting, mut reading) = (Vec::new(), Vec::new());
            for (piece, begin, len, step) in steps {
                let request = BlockRequest { piece: piece % pieces, begin, len };
                match step {
                    0 => {
                        let first = (!waiting.is_empty()).then(|| waiting.remove(0));
                        reading.extend(first);
                        prop_assert_eq!(queue.read_first(EngineTime::START), first);
                    }
                    1 => {
                        let at = reading.iter().position(|reading| *reading == request);
                        at.map(|at| reading.remove(at));
                        prop_assert_eq!(queue.take_read(&request), at.is_some());
                    }
                    2 => {
                        waiting.retain(|waiting| *waiting != request);
                        reading.retain(|reading| *reading != request);
                        queue.cancel(&request);
                    }
                    3 if len == 1 => {
                        let stays = |one: &BlockRequest| one.piece != request.piece;
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
                let all = reading.iter().chain(&waiting);
                prop_assert!(queue.all().eq(all.clone()));
                prop_assert_eq!(queue.waiting(), waiting.len());
                prop_assert_eq!(queue.first(), waiting.first().copied());
                let bytes: u64 = reading.iter().map(|block| u64::from(block.len)).sum();
                prop_assert_eq!(queue.in_flight_bytes(), bytes);
                let mut known: Vec<_> = all.copied().collect();
                known.sort_unstable();
                prop_assert!(queue.sorted.as_ref().is_none_or(|sorted| sorted.0 == known));
                prop_assert!(queue.sorted.is_some() || known.len() <= WALK_MAX);
                prop_assert_eq!(queue.is_idle(), known.is_empty());
            }
        }
    }
}
