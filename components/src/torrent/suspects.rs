//! Blocks of pieces that failed their hash, until a good copy shows which of them were bad.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bevy_ecs::prelude::Component;
use dunlin_base::{PeerKey, PieceIndex};

/// A block that came in a bad copy of a piece.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SuspectBlock {
    /// Its number in the piece.
    pub block: u32,
    /// SHA-1 of what came.
    pub digest: [u8; 20],
    /// Who sent it.
    pub peer: PeerKey,
    /// Where that peer was: it may be gone when the truth comes out.
    pub addr: SocketAddr,
}

/// Pieces with at least one bad copy.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Suspects(pub BTreeMap<PieceIndex, Vec<SuspectBlock>>);
