//! How many connected peers have each piece.

use core::hash::{Hash, Hasher};

use bevy_ecs::prelude::Component;
use dunlin_base::{Bitfield, PieceIndex, PieceSet, prefetch};

/// Counts that may have changed before the pick order has to follow them: enough that most torrents choose
/// before, and few enough to follow in passing.
const UNRANKED_MAX: usize = 64;

/// Copies of each piece among the connected peers. Peers that have everything are one number, so
/// that a seed's coming and going does not touch every piece. Every have looks at it, so it is one line of a
/// cache.
#[derive(Component, Clone, PartialEq, Eq, Debug)]
#[repr(align(64))]
pub struct Availability {
    counts: Box<[u16]>,
    /// Pieces whose count changed since the pick order followed, some of them more than once.
    unranked: Vec<PieceIndex>,
    /// The pieces whose count is zero, where somebody asks for them.
    zeros: Option<Box<PieceSet>>,
    seeds: u32,
}

const _: () = assert!(size_of::<Availability>() == 64, "a line of a cache");

/// The zeros follow from the counts.
impl Hash for Availability {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.counts, &self.unranked, self.seeds).hash(state);
    }
}

impl Availability {
    /// No copies of `pieces` pieces.
    #[must_use]
    pub fn new(pieces: u32) -> Self {
        Self {
            counts: vec![0; pieces as usize].into(),
            unranked: Vec::new(),
            zeros: None,
            seeds: 0,
        }
    }

    /// The same, and it keeps the pieces of which there is no copy, to be asked for by
    /// [`Self::nowhere`].
    #[must_use]
    pub fn with_nowhere(mut self) -> Self {
        let mut zeros = PieceSet::new(self.counts.len() as u32);
        for (piece, count) in (0..).map(PieceIndex).zip(&self.counts) {
            if *count == 0 {
                zeros.insert(piece);
            }
        }
        self.zeros = Some(Box::new(zeros));
        self
    }

    /// The pieces from index `from` on of which no connected peer has a copy, ascending.
    ///
    /// # Panics
    /// When it does not keep them.
    pub fn nowhere(&self, from: u32) -> impl Iterator<Item = PieceIndex> + '_ {
        let zeros = self.zeros.as_ref().expect("made by `with_nowhere`");
        let zeros = (self.seeds == 0).then(|| zeros.iter_from(from));
        zeros.into_iter().flatten()
    }

    /// Asks for what one more copy of a piece is noted in, which will be soon.
    pub fn prefetch(&self, piece: PieceIndex) {
        let count = self.counts.get(piece.0 as usize);
        count.into_iter().for_each(prefetch);
        self.unranked.last().into_iter().for_each(prefetch);
    }

    /// Notes that the count of a piece changed and the pick order did not follow. Says whether it has to now,
    /// since so many wait already.
    #[must_use]
    pub fn note_unranked(&mut self, piece: PieceIndex) -> bool {
        if self.unranked.is_empty() {
            self.unranked.reserve_exact(UNRANKED_MAX);
        }
        self.unranked.push(piece);
        self.unranked.len() >= UNRANKED_MAX
    }

    /// The pieces that were noted since the pick order followed, the first one first.
    #[must_use]
    pub fn unranked(&self) -> &[PieceIndex] {
        &self.unranked
    }

    /// The pick order has followed.
    pub fn clear_unranked(&mut self) {
        self.unranked.clear();
    }

    /// Copies of a piece at peers that do not have everything.
    ///
    /// # Panics
    /// When the piece is not of this torrent.
    #[must_use]
    pub fn partial(&self, piece: PieceIndex) -> u16 {
        self.counts[piece.0 as usize]
    }

    /// Copies of a piece at all connected peers.
    ///
    /// # Panics
    /// When the piece is not of this torrent.
    #[must_use]
    pub fn copies(&self, piece: PieceIndex) -> u32 {
        u32::from(self.partial(piece)) + self.seeds
    }

    /// Connected peers that have everything.
    #[must_use]
    pub const fn seeds(&self) -> u32 {
        self.seeds
    }

    /// One more copy of a piece.
    pub fn add(&mut self, piece: PieceIndex) {
        let count = &mut self.counts[piece.0 as usize];
        if *count == 0
            && let Some(zeros) = &mut self.zeros
        {
            zeros.remove(piece);
        }
        *count = count
            .checked_add(1)
            .expect("a torrent has fewer than 65,536 connections");
    }

    /// One copy of a piece less.
    pub fn remove(&mut self, piece: PieceIndex) {
        let count = &mut self.counts[piece.0 as usize];
        *count = count
            .checked_sub(1)
            .expect("a copy that goes was counted when it came");
        if *count == 0
            && let Some(zeros) = &mut self.zeros
        {
            zeros.insert(piece);
        }
    }

    /// A peer that has everything came.
    pub const fn add_seed(&mut self) {
        self.seeds += 1;
    }

    /// A peer that has everything went.
    pub const fn remove_seed(&mut self) {
        assert!(self.seeds > 0, "a seed that goes was counted when it came");
        self.seeds -= 1;
    }

    /// A peer that was counted piece by piece has everything now.
    pub fn promote(&mut self, had: &Bitfield) {
        had.iter().for_each(|piece| self.remove(piece));
        self.add_seed();
    }

    /// A peer that was counted as having everything is counted piece by piece again.
    pub fn demote(&mut self, has: &Bitfield) {
        self.remove_seed();
        has.iter().for_each(|piece| self.add(piece));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PIECES: u32 = 20;

    proptest! {
        /// What is nowhere, against the counts, over any history of copies and seeds.
        #[test]
        fn nowhere_is_what_nobody_has(
            before in prop::collection::vec(0..PIECES, 0..10),
            steps in prop::collection::vec((0..PIECES, 0..6_u8), 0..100),
            from in 0..PIECES + 1,
        ) {
            let mut availability = Availability::new(PIECES);
            before.into_iter().for_each(|piece| availability.add(PieceIndex(piece)));
            let mut availability = availability.with_nowhere();
            for (piece, step) in steps {
                let piece = PieceIndex(piece);
                match step {
                    0 => availability.add_seed(),
                    1 if availability.seeds() > 0 => availability.remove_seed(),
                    2 | 3 if availability.partial(piece) > 0 => availability.remove(piece),
                    _ => availability.add(piece),
                }
                let nowhere = (from..PIECES).map(PieceIndex);
                let nowhere = nowhere.filter(|piece| availability.copies(*piece) == 0);
                prop_assert!(availability.nowhere(from).eq(nowhere));
            }
        }
    }
}
