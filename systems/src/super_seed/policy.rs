//! Which piece to show next: pure functions.

use std::collections::BTreeMap;

use dunlin_base::{Bitfield, PeerKey, PieceIndex};
use dunlin_components::torrent::{Availability, Shown};

/// How often a piece is in the swarm or on its way into it.
pub(super) struct Spread<'a> {
    availability: &'a Availability,
    /// Peers that were shown a piece and have not said that they have it.
    under_way: Vec<u32>,
    /// Whether there are pieces that nobody but us is known to have.
    new_left: bool,
}

impl<'a> Spread<'a> {
    /// Counts what was shown. `has` says whether a peer is known to have a piece.
    pub(super) fn new(
        availability: &'a Availability,
        pieces: u32,
        shown: &BTreeMap<PeerKey, Shown>,
        has: impl Fn(PeerKey, PieceIndex) -> bool,
    ) -> Self {
        let mut under_way = vec![0; pieces as usize];
        for (&peer, shown) in shown {
            for piece in shown.pieces.iter().filter(|&piece| !has(peer, piece)) {
                under_way[piece.0 as usize] += 1;
            }
        }
        let new_left = (0..pieces).any(|piece| availability.copies(PieceIndex(piece)) == 0);
        Self {
            availability,
            under_way,
            new_left,
        }
    }

    /// The piece to show to a peer that has `bits` and was shown `shown`: one that is nowhere yet, or
    /// that fewest have. While there are new pieces, all of them on their way, there is none for
    /// this peer, unless `anything` is better than nothing.
    pub(super) fn choose(
        &mut self,
        bits: &Bitfield,
        shown: Option<&Bitfield>,
        anything: bool,
    ) -> Option<PieceIndex> {
        let copies =
            |piece: PieceIndex| self.availability.copies(piece) + self.under_way[piece.0 as usize];
        let is_shown = |piece| shown.is_some_and(|shown| shown.has(piece));
        let (copies, piece) = (0..bits.len())
            .map(PieceIndex)
            .filter(|piece| !bits.has(*piece) && !is_shown(*piece))
            .map(|piece| (copies(piece), piece))
            .min()?;
        if copies > 0 && self.new_left && !anything {
            return None;
        }
        self.under_way[piece.0 as usize] += 1;
        Some(piece)
    }
}

/// Whether a piece that a peer was shown is passed on: others have it too, or the peer `got` it and is
/// the only one of `peers`.
pub(super) fn has_spread(others: u32, got: bool, peers: u32) -> bool {
    others > 0 || (got && peers <= 1)
}
