//! The pieces that may be opened, rarest first, kept sorted while copies come and go.

use core::hash::{Hash, Hasher};

use bevy_ecs::prelude::Component;
use dunlin_base::{Bitfield, PieceIndex, PieceSet, RngStream};
use dunlin_port::user::FilePriority;

use super::{FreeBlocks, LastBlocks};

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

/// Where a piece is in the order: those of a lower place come first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PickPlace(PieceRank, u32);

const NOWHERE: u32 = u32::MAX;

/// Numbers of priorities.
const PRIORITIES: usize = 4;

/// What is known of one piece.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Its place in its bucket, [`NOWHERE`] when it is in none.
    place: u32,
    rank: PieceRank,
}

/// The pieces that are wanted, missing and not in motion, in buckets of equal rank.
///
/// Each change costs the logarithm of the number of buckets, which is at most the number of
/// peers, and a move of their heads when one comes or goes; it never depends on the number of
/// pieces. The order inside a bucket is random, drawn when a piece comes in, so that equals are
/// chosen at random without a draw at choosing time.
/// Beside the order there is a set of the pieces of each priority, to be intersected with what a peer
/// has: it changes only when a piece comes or goes, not with its copies.
/// There is one only while a torrent downloads: twelve bytes a piece, and a bit for each priority.
#[derive(Component, Clone, Debug)]
#[require(FreeBlocks, LastBlocks)]
pub struct PickOrder {
    /// Sorted by rank; none is empty.
    buckets: Vec<(PieceRank, Vec<u32>)>,
    slots: Box<[Slot]>,
    /// The pieces of each priority, as far as there were any.
    sets: [Option<PieceSet>; PRIORITIES],
    count: u32,
    /// The piece that round-robin opened last.
    pub last_opened: Option<PieceIndex>,
}

/// The sets follow from the rest.
impl Hash for PickOrder {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let places: Vec<_> = self.slots.iter().map(|slot| slot.place).collect();
        let ranks: Vec<_> = self.slots.iter().map(|slot| slot.rank).collect();
        (&self.buckets, places, ranks, self.count, self.last_opened).hash(state);
    }
}

impl PickOrder {
    /// An order of a torrent with `pieces` pieces, none of which may be opened yet.
    #[must_use]
    pub fn new(pieces: u32) -> Self {
        Self {
            buckets: Vec::new(),
            slots: vec![
                Slot {
                    place: NOWHERE,
                    rank: PieceRank::new(FilePriority::Skip, 0),
                };
                pieces as usize
            ]
            .into(),
            sets: [const { None }; PRIORITIES],
            count: 0,
            last_opened: None,
        }
    }

    /// Where the bucket of a rank is, or would be.
    fn bucket_of(&self, rank: PieceRank) -> Result<usize, usize> {
        self.buckets.binary_search_by_key(&rank, |(rank, _)| *rank)
    }

    /// As [`Self::bucket_of`], and looks first at the place `near` and behind it: there the bucket is of a
    /// piece that had one copy more or less.
    fn bucket_near(&self, rank: PieceRank, near: usize) -> Result<usize, usize> {
        for at in near..=near + 1 {
            let follows =
                at == 0 || (self.buckets.get(at - 1)).is_some_and(|(before, _)| *before < rank);
            match self.buckets.get(at) {
                Some((there, _)) if *there == rank => return Ok(at),
                Some((there, _)) if follows && *there > rank => return Err(at),
                None if follows => return Err(at),
                Some(_) | None => {}
            }
        }
        self.bucket_of(rank)
    }

    /// Pieces that may be opened.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Whether a piece may be opened.
    #[must_use]
    pub fn contains(&self, piece: PieceIndex) -> bool {
        self.slots
            .get(piece.0 as usize)
            .is_some_and(|slot| slot.place != NOWHERE)
    }

    /// Lets a piece be opened, or changes its rank if it may be already.
    pub fn insert(&mut self, piece: PieceIndex, rank: PieceRank, luck: &mut RngStream) {
        let old = self.slots[piece.0 as usize].rank;
        let taken = self.take_out(piece);
        if taken.is_none() || old.priority != rank.priority {
            if taken.is_some() {
                self.take_out_of_set(piece, old);
            }
            let pieces = self.slots.len() as u32;
            let set = &mut self.sets[usize::from(rank.priority)];
            set.get_or_insert_with(|| PieceSet::new(pieces))
                .insert(piece);
        }
        let found = match taken {
            Some(near) => self.bucket_near(rank, near),
            None => self.bucket_of(rank),
        };
        let at = found.unwrap_or_else(|at| {
            self.buckets.insert(at, (rank, Vec::new()));
            at
        });
        let bucket = &mut self.buckets[at].1;
        let last = bucket.len() as u32;
        let place = luck.below(u64::from(last) + 1) as u32;
        bucket.push(piece.0);
        bucket.swap(place as usize, last as usize);
        self.slots[bucket[last as usize] as usize].place = last;
        self.slots[piece.0 as usize] = Slot { place, rank };
        self.count += 1;
    }

    /// Takes a piece out; says whether it was in.
    pub fn remove(&mut self, piece: PieceIndex) -> bool {
        if self.take_out(piece).is_none() {
            return false;
        }
        self.take_out_of_set(piece, self.slots[piece.0 as usize].rank);
        true
    }

    fn take_out_of_set(&mut self, piece: PieceIndex, rank: PieceRank) {
        let set = self.sets[usize::from(rank.priority)].as_mut();
        let removed = set.is_some_and(|set| set.remove(piece));
        assert!(
            removed,
            "a piece of the order is in the set of its priority"
        );
    }

    /// Takes a piece out of its bucket; says where its bucket is, or was, if it was in.
    fn take_out(&mut self, piece: PieceIndex) -> Option<usize> {
        let slot = self.slots.get_mut(piece.0 as usize)?;
        if slot.place == NOWHERE {
            return None;
        }
        let place = core::mem::replace(&mut slot.place, NOWHERE);
        let rank = slot.rank;
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
            self.slots[moved as usize].place = place;
        }
        if bucket.is_empty() {
            self.buckets.remove(at);
        }
        self.count -= 1;
        Some(at)
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
            ..self.slots[piece.0 as usize].rank
        }
    }

    /// The pieces, highest priority and rarest first.
    pub fn iter(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        self.buckets
            .iter()
            .flat_map(|(_, bucket)| bucket)
            .map(|&piece| PieceIndex(piece))
    }

    /// The pieces of which there is a copy at a peer that does not have everything, in the same order:
    /// all that such a peer can have.
    pub fn iter_with_copies(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        let with_copies = |(rank, _): &&(PieceRank, _)| rank.copies > 0;
        self.buckets
            .iter()
            .filter(with_copies)
            .flat_map(|(_, bucket)| bucket)
            .map(|&piece| PieceIndex(piece))
    }

    /// The piece of the lowest index from `from` on that is in `bits`, of whatever priority.
    ///
    /// This and the next one go through words of 64 pieces, so they take at most as many steps as there
    /// are such words in the torrent, however few pieces match.
    #[must_use]
    pub fn lowest_in(&self, bits: &Bitfield, from: u32) -> Option<PieceIndex> {
        let lowest = |set: &PieceSet| set.iter_common(bits, from).next();
        self.sets.iter().flatten().filter_map(lowest).min()
    }

    /// The piece of the lowest index from `from` on that is in `bits` and of the highest priority in the
    /// order.
    #[must_use]
    pub fn lowest_of_top_in(&self, bits: &Bitfield, from: u32) -> Option<PieceIndex> {
        let (top, _) = self.buckets.first()?;
        let set = self.sets[usize::from(top.priority)].as_ref()?;
        set.iter_common(bits, from).next()
    }

    /// Pieces that are in `bits`, and where each is in the order: all there are of the highest priority
    /// among them, if they are no more than `sample`, or else those that follow `last_opened`. It goes
    /// through words of 64 pieces.
    pub fn sample_in<'a>(
        &'a self,
        bits: &'a Bitfield,
        sample: usize,
    ) -> impl Iterator<Item = (PickPlace, PieceIndex)> + 'a {
        let from = self.last_opened.map_or(0, |piece| piece.0 + 1);
        let mut sets = self.sets.iter().flatten();
        let set = sets.find(|set| set.iter_common(bits, 0).next().is_some());
        let around = set.into_iter().flat_map(move |set| {
            let before = set.iter_common(bits, 0);
            let before = before.take_while(move |piece| piece.0 < from);
            set.iter_common(bits, from).chain(before)
        });
        around
            .take(sample)
            .filter_map(|piece| Some((self.place(piece)?, piece)))
    }

    /// Where a piece is in the order, if it is in.
    #[must_use]
    pub fn place(&self, piece: PieceIndex) -> Option<PickPlace> {
        let slot = self.slots[piece.0 as usize];
        (slot.place != NOWHERE).then_some(PickPlace(slot.rank, slot.place))
    }

    /// The piece that comes to a piece's place when that is taken out.
    #[must_use]
    pub fn successor(&self, piece: PieceIndex) -> Option<PieceIndex> {
        let PickPlace(rank, _) = self.place(piece)?;
        let bucket = &self.buckets[self.bucket_of(rank).ok()?].1;
        let last = bucket.last().map(|&piece| PieceIndex(piece));
        last.filter(|last| *last != piece)
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

    /// The lowest priority number in the order: that of the most wanted.
    #[must_use]
    pub fn top_priority(&self) -> Option<u8> {
        self.buckets.first().map(|(rank, _)| rank.priority)
    }

    /// Whether a piece is of the priority that is the most wanted in the order.
    #[must_use]
    pub fn is_of_top_priority(&self, piece: PieceIndex) -> bool {
        self.top_priority() == Some(self.slots[piece.0 as usize].rank.priority)
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

    fn priority(number: u8) -> FilePriority {
        use FilePriority::{High, Low, Normal, Skip};
        [High, Normal, Low, Skip][usize::from(number)]
    }

    /// What the sets of priorities are asked for, from the order alone.
    fn check_sets(order: &PickOrder, bits: &Bitfield, from: u32) -> Result<(), TestCaseError> {
        let has = |piece: &PieceIndex| bits.has(*piece);
        let behind = |piece: &PieceIndex| has(piece) && piece.0 >= from;
        prop_assert_eq!(
            order.lowest_in(bits, from),
            order.iter().filter(behind).min()
        );
        let is_top = |piece: &PieceIndex| order.is_of_top_priority(*piece);
        let of_top = order.iter().filter(behind).filter(is_top).min();
        prop_assert_eq!(order.lowest_of_top_in(bits, from), of_top);
        let sample = order.sample_in(bits, 16);
        let first = sample.min().map(|(_, piece)| piece);
        prop_assert_eq!(first, order.iter().find(has));
        let one: Vec<_> = order.sample_in(bits, 1).collect();
        prop_assert_eq!(one.is_empty(), first.is_none());
        for (place, piece) in one {
            prop_assert!(has(&piece) && order.place(piece) == Some(place));
        }
        if let Some(piece) = first {
            let (mut after, next) = (order.clone(), order.successor(piece));
            after.remove(piece);
            let moves = |piece: &PieceIndex| after.place(*piece) != order.place(*piece);
            prop_assert!(after.iter().filter(moves).eq(next));
        }
        Ok(())
    }

    proptest! {
        /// Against a plain sorted map, over any history.
        #[test]
        fn agrees_with_a_model(
            changes in prop::collection::vec((0..16_u32, 0..4_u16, 0..3_u8, 0..4_u8), 0..200),
            has in prop::collection::vec(any::<bool>(), 16),
            from in 0..17_u32,
        ) {
            let (mut order, mut luck) = (PickOrder::new(16), luck());
            let mut model = BTreeMap::new();
            let mut bits = Bitfield::empty(16);
            for piece in (0..16).filter(|piece| has[*piece as usize]) {
                bits.set(PieceIndex(piece));
            }
            order.last_opened = from.checked_sub(1).map(PieceIndex);
            for (piece, copies, change, number) in changes {
                let mut rank = PieceRank::new(priority(number), copies);
                match change {
                    0 => { order.insert(PieceIndex(piece), rank, &mut luck); model.insert(piece, rank); }
                    1 => prop_assert_eq!(order.remove(PieceIndex(piece)), model.remove(&piece).is_some()),
                    _ => {
                        order.set_copies(PieceIndex(piece), copies, &mut luck);
                        rank = order.rank(PieceIndex(piece), copies);
                        model.entry(piece).and_modify(|old| *old = rank);
                    }
                }
                prop_assert_eq!(order.count() as usize, model.len());
                let ranks: Vec<_> = order.iter().map(|piece| model[&piece.0]).collect();
                prop_assert!(ranks.is_sorted());
                let with_copies = order.iter().filter(|piece| model[&piece.0].copies > 0);
                prop_assert!(with_copies.eq(order.iter_with_copies()));
                check_sets(&order, &bits, from)?;
            }
        }
    }
}
