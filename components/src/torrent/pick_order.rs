//! The pieces that may be opened, rarest first, kept sorted while copies come and go.

use bevy_ecs::prelude::Component;
use dunlin_base::{PieceIndex, RngStream};
use dunlin_port::user::FilePriority;

/// What a piece is sorted by: priority first, then rarity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PieceRank {
    /// 0 is opened first.
    priority: u8,
    /// Copies at peers that do not have everything.
    copies: u16,
}

impl PieceRank {
    /// The rank of a piece of this priority with so many copies.
    #[must_use]
    pub const fn new(priority: FilePriority, copies: u16) -> Self {
        let priority = match priority {
            FilePriority::High => 0,
            FilePriority::Normal => 1,
            FilePriority::Low => 2,
            FilePriority::Skip => 3,
        };
        Self { priority, copies }
    }
}

const NOWHERE: u32 = u32::MAX;

/// The pieces that are wanted, missing and not in motion, in buckets of equal rank.
///
/// Each change costs the logarithm of the number of buckets, which is at most the number of
/// peers, and a move of their heads when one comes or goes; it never depends on the number of
/// pieces. The order inside a bucket is random, drawn when a piece comes in, so that equals are
/// chosen at random without a draw at choosing time.
/// There is one only while a torrent downloads: ten bytes a piece.
#[derive(Component, Clone, Hash, Debug)]
pub struct PickOrder {
    /// Sorted by rank; none is empty.
    buckets: Vec<(PieceRank, Vec<u32>)>,
    /// Place of each piece in its bucket, [`NOWHERE`] when it is in none.
    places: Box<[u32]>,
    ranks: Box<[PieceRank]>,
    count: u32,
    /// The piece that round-robin opened last.
    pub last_opened: Option<PieceIndex>,
}

impl PickOrder {
    /// An order of a torrent with `pieces` pieces, none of which may be opened yet.
    #[must_use]
    pub fn new(pieces: u32) -> Self {
        Self {
            buckets: Vec::new(),
            places: vec![NOWHERE; pieces as usize].into(),
            ranks: vec![PieceRank::new(FilePriority::Skip, 0); pieces as usize].into(),
            count: 0,
            last_opened: None,
        }
    }

    /// Where the bucket of a rank is, or would be.
    fn bucket_of(&self, rank: PieceRank) -> Result<usize, usize> {
        self.buckets.binary_search_by_key(&rank, |(rank, _)| *rank)
    }

    /// Pieces that may be opened.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Whether a piece may be opened.
    #[must_use]
    pub fn contains(&self, piece: PieceIndex) -> bool {
        self.places
            .get(piece.0 as usize)
            .is_some_and(|&place| place != NOWHERE)
    }

    /// Lets a piece be opened, or changes its rank if it may be already.
    pub fn insert(&mut self, piece: PieceIndex, rank: PieceRank, luck: &mut RngStream) {
        self.remove(piece);
        let at = self.bucket_of(rank).unwrap_or_else(|at| {
            self.buckets.insert(at, (rank, Vec::new()));
            at
        });
        let bucket = &mut self.buckets[at].1;
        let last = bucket.len() as u32;
        let place = luck.below(u64::from(last) + 1) as u32;
        bucket.push(piece.0);
        bucket.swap(place as usize, last as usize);
        self.places[bucket[last as usize] as usize] = last;
        self.places[piece.0 as usize] = place;
        self.ranks[piece.0 as usize] = rank;
        self.count += 1;
    }

    /// Takes a piece out; says whether it was in.
    pub fn remove(&mut self, piece: PieceIndex) -> bool {
        if !self.contains(piece) {
            return false;
        }
        let place = core::mem::replace(&mut self.places[piece.0 as usize], NOWHERE);
        let rank = self.ranks[piece.0 as usize];
        let at = self
            .bucket_of(rank)
            .expect("a piece with a place is in its bucket");
        let bucket = &mut self.buckets[at].1;
        assert_eq!(
            bucket.swap_remove(place as usize),
            piece.0,
            "places point at their pieces"
        );
        if let Some(&moved) = bucket.get(place as usize) {
            self.places[moved as usize] = place;
        }
        if bucket.is_empty() {
            self.buckets.remove(at);
        }
        self.count -= 1;
        true
    }

    /// Changes the number of copies of a piece, if it may be opened.
    pub fn set_copies(&mut self, piece: PieceIndex, copies: u16, luck: &mut RngStream) {
        if self.contains(piece) {
            self.insert(piece, self.rank(piece, copies), luck);
        }
    }

    /// The rank that a piece would have with so many copies, whether it is in the order or in motion.
    ///
    /// # Panics
    /// When the piece is not of this torrent.
    #[must_use]
    pub fn rank(&self, piece: PieceIndex, copies: u16) -> PieceRank {
        PieceRank {
            copies,
            ..self.ranks[piece.0 as usize]
        }
    }

    /// The pieces, highest priority and rarest first.
    pub fn iter(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        self.buckets
            .iter()
            .flat_map(|(_, bucket)| bucket)
            .map(|&piece| PieceIndex(piece))
    }

    /// The `n`-th piece in the order, for random choice; the cost is that of the buckets.
    #[must_use]
    pub fn nth(&self, mut n: usize) -> Option<PieceIndex> {
        for (_, bucket) in &self.buckets {
            match bucket.get(n) {
                Some(&piece) => return Some(PieceIndex(piece)),
                None => n -= bucket.len(),
            }
        }
        None
    }

    /// The lowest priority number in the order, that is the most wanted; and whether the piece
    /// has it.
    #[must_use]
    pub fn is_of_top_priority(&self, piece: PieceIndex) -> bool {
        let top = self.buckets.first().map(|(rank, _)| rank.priority);
        top == Some(self.ranks[piece.0 as usize].priority)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dunlin_base::{NodeKey, StreamName};
    use proptest::prelude::*;

    use super::*;

    fn luck() -> RngStream {
        RngStream::new(1, NodeKey(0), StreamName::Pick)
    }

    #[test]
    fn rarest_of_the_highest_priority_comes_first() {
        let (mut order, mut luck) = (PickOrder::new(4), luck());
        order.insert(
            PieceIndex(0),
            PieceRank::new(FilePriority::Normal, 1),
            &mut luck,
        );
        order.insert(
            PieceIndex(1),
            PieceRank::new(FilePriority::High, 9),
            &mut luck,
        );
        order.insert(
            PieceIndex(2),
            PieceRank::new(FilePriority::Normal, 0),
            &mut luck,
        );
        order.insert(
            PieceIndex(3),
            PieceRank::new(FilePriority::Low, 0),
            &mut luck,
        );
        let pieces: Vec<_> = order.iter().map(|piece| piece.0).collect();
        assert_eq!(pieces, [1, 2, 0, 3]);
        assert!(
            order.is_of_top_priority(PieceIndex(1)) && !order.is_of_top_priority(PieceIndex(2))
        );
        order.set_copies(PieceIndex(2), 5, &mut luck);
        assert_eq!(order.nth(1), Some(PieceIndex(0)));
        assert_eq!(order.nth(4), None);
    }

    #[test]
    fn equals_come_in_random_order() {
        let (mut order, mut luck) = (PickOrder::new(64), luck());
        for piece in 0..64 {
            order.insert(
                PieceIndex(piece),
                PieceRank::new(FilePriority::Normal, 3),
                &mut luck,
            );
        }
        assert!(order.iter().zip(0..).any(|(piece, at)| piece.0 != at));
        let mut pieces: Vec<_> = order.iter().map(|piece| piece.0).collect();
        pieces.sort_unstable();
        assert!(pieces.into_iter().eq(0..64));
    }

    proptest! {
        /// Against a plain sorted map, over any history.
        #[test]
        fn agrees_with_a_model(changes in prop::collection::vec((0..16_u32, 0..4_u16, 0..3_u8), 0..200)) {
            let (mut order, mut luck) = (PickOrder::new(16), luck());
            let mut model = BTreeMap::new();
            for (piece, copies, change) in changes {
                let rank = PieceRank::new(FilePriority::Normal, copies);
                match change {
                    0 => { order.insert(PieceIndex(piece), rank, &mut luck); model.insert(piece, rank); }
                    1 => prop_assert_eq!(order.remove(PieceIndex(piece)), model.remove(&piece).is_some()),
                    _ => {
                        order.set_copies(PieceIndex(piece), copies, &mut luck);
                        model.entry(piece).and_modify(|old| *old = rank);
                    }
                }
                prop_assert_eq!(order.count() as usize, model.len());
                let ranks: Vec<_> = order.iter().map(|piece| model[&piece.0]).collect();
                prop_assert!(ranks.is_sorted());
            }
        }
    }
}
