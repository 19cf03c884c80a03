//! A piece that failed its hash, and the peer that alone may fill it.

use core::time::Duration;

use bevy_ecs::prelude::Component;
use dunlin_base::{EngineTime, PeerKey};

/// How long a peer that fills a piece on parole is watched before it has to have sent some of it.
const TURN: Duration = Duration::from_secs(60);
/// Turns that a piece on parole may take: slower than that, others are let in.
const TURNS_MAX: u32 = 30;
/// Blocks that have to come in each turn, of short pieces as well.
const BLOCKS_MIN: u32 = 4;

/// The peer that alone may fill this piece: after a bad copy of it by several senders, one
/// sender at a time makes the next failure, or the next success, conclusive. Most pieces never fail, and
/// every request asks, so there is one word for them.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Parole(Option<Box<Terms>>);

/// Of a piece that failed before.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Terms {
    /// Who fills it now.
    peer: Option<PeerKey>,
    /// When its present turn began, and how many blocks had arrived by then.
    turn: Option<(EngineTime, u32)>,
    /// Who filled it before and did not go on: others come first.
    left_by: Option<PeerKey>,
    /// The last one who ever did so.
    deserter: Option<PeerKey>,
}

impl Parole {
    /// The piece has just failed, perhaps once more; nobody fills it yet. Who left it to another the last time
    /// comes behind the others now: with a bad block each time it would spoil what they fill, and as they filled
    /// the rest nobody would be found guilty.
    pub fn begin(&mut self) {
        let terms = self.0.get_or_insert_default();
        (terms.peer, terms.turn) = (None, None);
        terms.left_by = terms.deserter.take();
    }

    /// Whether the piece failed before.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.0.is_some()
    }

    /// Whether a peer may be asked for a block of the piece.
    #[must_use]
    pub fn lets(&self, peer: PeerKey) -> bool {
        self.0.as_ref().is_none_or(|terms| match terms.peer {
            Some(owner) => owner == peer,
            None => terms.left_by != Some(peer),
        })
    }

    /// A peer was asked for a block of a piece on parole: from now on it fills the piece.
    pub fn ask(&mut self, peer: PeerKey) {
        if let Some(terms) = self.0.as_mut().filter(|terms| terms.peer.is_none()) {
            (terms.peer, terms.turn, terms.left_by) = (Some(peer), None, None);
        }
    }

    /// Who fills it.
    #[must_use]
    pub fn owner(&self) -> Option<PeerKey> {
        self.0.as_ref()?.peer
    }

    /// Lets others fill it, before the one that does now may again.
    pub fn leave(&mut self) {
        if let Some(terms) = &mut self.0
            && let Some(peer) = terms.peer.take()
        {
            (terms.left_by, terms.deserter) = (Some(peer), Some(peer));
            terms.turn = None;
        }
    }

    /// Lets whoever had left it fill it again, since nobody else does. Says whether there is such a peer.
    pub fn forgive(&mut self) -> bool {
        let terms = self.0.as_mut().filter(|terms| terms.peer.is_none());
        terms.is_some_and(|terms| terms.left_by.take().is_some())
    }

    /// Notes how many of a piece's `len` blocks have arrived. Says whether too few came in the turn that ends
    /// now: one that chokes and unchokes us is asked again and again, and one that sends a block now and then
    /// never times out.
    pub fn is_slow(&mut self, now: EngineTime, arrived: u32, len: u32) -> bool {
        let Some(terms) = &mut self.0 else {
            return false;
        };
        let (began, before) = *terms.turn.get_or_insert((now, arrived));
        if now - began < TURN {
            return false;
        }
        terms.turn = Some((now, arrived));
        arrived.saturating_sub(before) < len.div_ceil(TURNS_MAX).max(BLOCKS_MIN)
    }
}
