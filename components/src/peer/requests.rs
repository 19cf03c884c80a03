//! Our requests that a peer has not answered yet.

use std::collections::VecDeque;

use bevy_ecs::prelude::Component;
use dunlin_base::{BlockIndex, EngineTime, PieceIndex};

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
pub const REQUESTS_UNSAID: u32 = 250;

/// A peer's pipeline: what is asked, and how much may be.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Requests {
    /// Requests in the order in which they were sent.
    pub out: VecDeque<Request>,
    /// How many to keep out.
    pub target: u32,
    /// How many the peer queues, as it says: more it would lose.
    pub limit: u32,
    /// Whether the target still grows with every block that comes.
    pub slow_start: bool,
    /// Rate at the last look, bytes per second, to see whether slow start still helps.
    pub rate_before: u64,
    /// Whether the peer owes us blocks for too long.
    pub snubbed: bool,
    /// The piece that it was last asked for: it stays with it, so that pieces become whole soon
    /// and have few senders.
    pub current: Option<PieceIndex>,
    /// When the last block came, or the first request went out after a pause.
    pub progress_at: EngineTime,
    /// When it was last asked: who waited longest for a limited rate is asked first.
    pub asked_at: EngineTime,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            out: VecDeque::new(),
            target: 4,
            limit: REQUESTS_UNSAID,
            slow_start: true,
            rate_before: 0,
            snubbed: false,
            current: None,
            progress_at: EngineTime::START,
            asked_at: EngineTime::START,
        }
    }
}

impl Requests {
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

    /// How many more may go out.
    #[must_use]
    pub fn room(&self) -> u32 {
        self.target
            .min(self.limit)
            .saturating_sub(self.out.len() as u32)
    }
}
