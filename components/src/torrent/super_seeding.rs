//! A seed that shows itself piece by piece.

use std::collections::BTreeMap;

use bevy_ecs::prelude::Component;
use dunlin_base::{Bitfield, EngineTime, PeerKey, PieceIndex, PieceSet};

/// Super-seeding (BEP 16): what peers were shown of a torrent that we have all of. It is there while
/// we pose as a peer without pieces: two bytes a piece, and a bit a piece for each peer.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug)]
pub struct SuperSeeding {
    /// By peer.
    shown: BTreeMap<PeerKey, Shown>,
    /// For each piece, peers that were shown it and have not said that they have it.
    under_way: Box<[u16]>,
    /// The piece that was shown last to anybody.
    last: Option<PieceIndex>,
    /// When to look next whether anything leaves; [`EngineTime::START`] while there are no peers.
    pub look_at: EngineTime,
    /// Payload that had been sent at the last look.
    pub up_at_look: u64,
}

/// What a peer was shown.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Shown {
    /// The pieces that it was told we have, without those of which it has said since that it has them.
    pub under_way: PieceSet,
    /// The last one that it was told of.
    pub last: PieceIndex,
    /// Payload that had been sent to it by then. Clients that tell nobody of a piece who has it
    /// himself, as ours, do not tell us of this one either.
    pub up_at_last: u64,
}

impl SuperSeeding {
    /// Nobody was shown any of `pieces` pieces.
    #[must_use]
    pub fn new(pieces: u32) -> Self {
        Self {
            shown: BTreeMap::new(),
            under_way: vec![0; pieces as usize].into(),
            last: None,
            look_at: EngineTime::START,
            up_at_look: 0,
        }
    }

    /// What a peer was shown, if anything.
    #[must_use]
    pub fn shown(&self, peer: PeerKey) -> Option<&Shown> {
        self.shown.get(&peer)
    }

    /// Peers that were shown anything, and what.
    pub fn all_shown(&self) -> impl Iterator<Item = (PeerKey, &Shown)> {
        self.shown.iter().map(|(&peer, shown)| (peer, shown))
    }

    /// Peers that were shown a piece and have not said that they have it.
    ///
    /// # Panics
    /// When the piece is not of this torrent.
    #[must_use]
    pub fn under_way(&self, piece: PieceIndex) -> u32 {
        self.under_way[piece.0 as usize].into()
    }

    /// The piece that was shown last to anybody.
    #[must_use]
    pub const fn last(&self) -> Option<PieceIndex> {
        self.last
    }

    /// Shows a piece to a peer that was sent `up` bytes so far.
    ///
    /// # Panics
    /// When the piece is not of this torrent.
    pub fn show(&mut self, peer: PeerKey, piece: PieceIndex, up: u64) {
        let pieces = self.under_way.len() as u32;
        let shown = self.shown.entry(peer).or_insert_with(|| Shown {
            under_way: PieceSet::new(pieces),
            last: piece,
            up_at_last: 0,
        });
        (shown.last, shown.up_at_last) = (piece, up);
        if shown.under_way.insert(piece) {
            let count = &mut self.under_way[piece.0 as usize];
            *count = count
                .checked_add(1)
                .expect("a torrent has fewer than 65,536 connections");
        }
        self.last = Some(piece);
    }

    /// A peer says that it has a piece.
    pub fn arrived(&mut self, peer: PeerKey, piece: PieceIndex) {
        if let Some(shown) = self.shown.get_mut(&peer)
            && shown.under_way.remove(piece)
        {
            self.under_way[piece.0 as usize] -= 1;
        }
    }

    /// A peer says all that it has.
    pub fn arrived_all(&mut self, peer: PeerKey, bits: &Bitfield) {
        let shown = self.shown.get(&peer);
        let arrived = shown.map(|shown| shown.under_way.iter_common(bits, 0).collect());
        let arrived: Vec<_> = arrived.unwrap_or_default();
        arrived
            .into_iter()
            .for_each(|piece| self.arrived(peer, piece));
    }

    /// Forgets what was shown to peers that do not stay.
    pub fn retain(&mut self, stays: impl Fn(PeerKey) -> bool) {
        for (_, gone) in self.shown.extract_if(.., |&peer, _| !stays(peer)) {
            for piece in gone.under_way.iter() {
                self.under_way[piece.0 as usize] -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const PIECES: u32 = 70;

    proptest! {
        /// Against a set of what is under way, over any history.
        #[test]
        fn what_is_under_way_is_counted(
            steps in prop::collection::vec((0..4_u64, 0..PIECES, 0..8_u8), 0..300),
        ) {
            let mut seeding = SuperSeeding::new(PIECES);
            let mut model = BTreeSet::new();
            for (number, piece, step) in steps {
                let (peer, piece) = (PeerKey::incoming(number), PieceIndex(piece));
                match step {
                    0 => {
                        seeding.retain(|other| other != peer);
                        model.retain(|(other, _)| *other != peer);
                    }
                    1 => {
                        let mut bits = Bitfield::empty(PIECES);
                        (piece.0..PIECES).step_by(3).for_each(|piece| {
                            bits.set(PieceIndex(piece));
                        });
                        seeding.arrived_all(peer, &bits);
                        model.retain(|&(other, piece)| other != peer || !bits.has(piece));
                    }
                    2 | 3 => {
                        seeding.arrived(peer, piece);
                        model.remove(&(peer, piece));
                    }
                    _ => {
                        seeding.show(peer, piece, number);
                        model.insert((peer, piece));
                        let shown = seeding.shown(peer).expect("it was shown one");
                        prop_assert_eq!((shown.last, shown.up_at_last), (piece, number));
                        prop_assert_eq!(seeding.last(), Some(piece));
                    }
                }
                for piece in (0..PIECES).map(PieceIndex) {
                    let count = model.iter().filter(|(_, other)| *other == piece).count();
                    prop_assert_eq!(seeding.under_way(piece) as usize, count);
                }
                let shown = seeding.all_shown();
                let all = shown.flat_map(|(peer, shown)| shown.under_way.iter().map(move |piece| (peer, piece)));
                prop_assert!(all.eq(model.iter().copied()));
            }
        }
    }
}
