//! What a peer asked of us and how far the answers are.

use std::collections::VecDeque;

use bevy_ecs::prelude::Component;
use dunlin_base::EngineTime;
use dunlin_protocol::wire::BlockRequest;

/// A peer's requests to us.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct UploadQueue {
    /// Requests that wait, in order.
    pub waiting: VecDeque<BlockRequest>,
    /// Requests that the disk is reading.
    pub reading: Vec<BlockRequest>,
    /// Payload bytes that were handed to the network and have not left.
    pub unsent_bytes: u64,
    /// When a block was last read for it: who waited longest for a limited rate is served first.
    pub served_at: EngineTime,
}

impl UploadQueue {
    /// Whether nothing waits or is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.reading.is_empty() && self.unsent_bytes == 0
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
