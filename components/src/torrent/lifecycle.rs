//! What a torrent is doing.

use bevy_ecs::prelude::Component;
use dunlin_base::EngineTime;

/// The state of a torrent. A field and not a marker: it changes rarely, but many systems ask.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Lifecycle {
    /// Peers are asked what it contains (BEP 9): it has no `Content` yet.
    Metadata,
    /// The disk is opening and checking its files.
    Opening {
        /// Pieces hashed so far.
        done: u32,
        /// Pieces to hash.
        of: u32,
        /// Whether a person paused it meanwhile.
        paused: bool,
    },
    /// Something wanted is missing.
    Downloading,
    /// Everything wanted is there.
    Seeding,
    /// A person paused it.
    Paused,
    /// Its surroundings stopped it.
    Stopped {
        /// What happened, in words for a person.
        reason: String,
        /// When it tries again.
        retry_at: EngineTime,
    },
    /// It is being removed; the disk closes its files.
    Closing,
}

impl Lifecycle {
    /// Whether it takes part in its swarm.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self, Self::Metadata | Self::Downloading | Self::Seeding)
    }
}
