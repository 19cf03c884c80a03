//! Our requests that a peer has not answered yet.

use std::collections::VecDeque;

use bevy_ecs::prelude::Component;
use dunlin_base::{BlockIndex, EngineTime, PieceIndex, prefetch};

/// One request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Request {
    /// Of which piece.
    pub piece: PieceIndex,
    /// Which block.
    pub block: BlockIndex,
    /// When it was sent.
    pub sent_at: EngineTime,
}

/// Requests that a peer queues when it does not say: what old clients kept.
pub const REQUESTS_UNSAID: u16 = 250;

/// A peer's pipeline: what is asked, and how much may be. Every block that comes and every second looks at
/// all of it, so it is one line of a cache.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug)]
#[repr(align(64))]
pub struct Requests {
    /// Requests in the order in which they were sent.
    pub out: VecDeque<Request>,
    /// When the last block came, or the first request went out after a pause.
    pub progress_at: EngineTime,
    /// When it was last asked: who waited longest for a limited rate is asked first.
    pub asked_at: EngineTime,
    /// How many to keep out.
    pub target: u32,
    /// Rate at the last look, bytes per second, to see whether slow start still helps. What is faster than
    /// can be said counts as that.
    pub rate_before: u32,
    /// The piece that it was last asked for, or [`NO_PIECE`].
    current: u32,
    /// How many the peer queues, as it says: more it would lose.
    limit: u16,
    /// Whether the target still grows with every block that comes.
    pub slow_start: bool,
    /// Whether the peer owes us blocks for too long.
    pub snubbed: bool,
}

const _: () = assert!(size_of::<Requests>() == 64, "a line of a cache");

/// The number of no piece: a torrent has at most so many, and they are counted from 0.
const NO_PIECE: u32 = u32::MAX;

impl Default for Requests {
    fn default() -> Self {
        Self {
            out: VecDeque::new(),
            progress_at: EngineTime::START,
            asked_at: EngineTime::START,
            target: 4,
            rate_before: 0,
            current: NO_PIECE,
            limit: REQUESTS_UNSAID,
            slow_start: true,
            snubbed: false,
        }
    }
}

impl Requests {
    /// Asks for the requests, which will be needed soon.
    pub fn prefetch(&self) {
        self.out.front().into_iter().for_each(prefetch);
    }

    /// Takes a request out, when it is there. Answers come mostly in order, so the search begins
    /// at the oldest.
    pub fn take(&mut self, piece: PieceIndex, block: BlockIndex) -> Option<Request> {
        let at = self
            .out
            .iter()
            .position(|out| out.piece == piece && out.block == block)?;
        self.out.remove(at)
    }

    /// Notes a request that goes out now.
    pub fn note(&mut self, piece: PieceIndex, block: BlockIndex, now: EngineTime) {
        if self.out.is_empty() {
            self.progress_at = now;
        }
        self.out.push_back(Request {
            piece,
            block,
            sent_at: now,
        });
    }

    /// The piece that it was last asked for, and has: it stays with it, so that pieces become whole soon and
    /// have few senders.
    #[must_use]
    pub fn current(&self) -> Option<PieceIndex> {
        (self.current != NO_PIECE).then_some(PieceIndex(self.current))
    }

    /// Notes the piece that it is asked for.
    pub const fn set_current(&mut self, piece: PieceIndex) {
        self.current = piece.0;
    }

    /// The peer lost a piece: it is not asked for that again.
    pub const fn lost(&mut self, piece: PieceIndex) {
        if self.current == piece.0 {
            self.current = NO_PIECE;
        }
    }

    /// How many the peer queues, as it says.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit as u32
    }

    /// Notes how many the peer queues, 65,535 at most.
    pub fn set_limit(&mut self, requests: u32) {
        self.limit = u16::try_from(requests).unwrap_or(u16::MAX);
    }

    /// How many more may go out.
    #[must_use]
    pub fn room(&self) -> u32 {
        self.target
            .min(self.limit())
            .saturating_sub(self.out.len() as u32)
    }
}
