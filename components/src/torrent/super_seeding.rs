//! A seed that shows itself piece by piece.

use std::collections::BTreeMap;

use bevy_ecs::prelude::Component;
use dunlin_base::{Bitfield, EngineTime, PeerKey, PieceIndex};

/// Super-seeding (BEP 16): what peers were shown of a torrent that we have all of. It is there while
/// we pose as a peer without pieces.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct SuperSeeding {
    /// By peer.
    pub shown: BTreeMap<PeerKey, Shown>,
    /// When to look next whether anything leaves; [`EngineTime::START`] while there are no peers.
    pub look_at: EngineTime,
    /// Payload that had been sent at the last look.
    pub up_at_look: u64,
}

/// What a peer was shown.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Shown {
    /// The pieces that it was told we have.
    pub pieces: Bitfield,
    /// The last one of them.
    pub last: PieceIndex,
    /// Payload that had been sent to it by then. Clients that tell nobody of a piece who has it
    /// himself, as ours, do not tell us of this one either.
    pub up_at_last: u64,
}
