//! The pieces that may be opened, rarest first, kept sorted while copies come and go.

mod buckets;

use core::hash::{Hash, Hasher};

use bevy_ecs::prelude::Component;
use dunlin_base::{Bitfield, PieceIndex, PieceSet, RngStream, prefetch};
use dunlin_port::user::FilePriority;

use self::buckets::{Buckets, Spot};
use super::{Availability, FreeBlocks, LastBlocks};

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

/// Numbers of priorities.
const PRIORITIES: usize = 4;

/// Where a piece is: the number of its [`Spot`], or, of a piece that is in no bucket, [`OUT`] and the
/// priority that it had.
#[derive(Clone, Copy, Debug)]
struct Slot(u32);

/// More than any spot is.
const OUT: u32 = u32::MAX - (PRIORITIES as u32 - 1);

impl Slot {
    const fn out(priority: u8) -> Self {
        Self(OUT + priority as u32)
    }

    fn spot(self) -> Option<Spot> {
        (self.0 < OUT).then_some(Spot(self.0))
    }
}

impl From<Spot> for Slot {
    fn from(spot: Spot) -> Self {
        Self(spot.0)
    }
}

/// The pieces that are wanted, missing and not in motion, in buckets of equal rank.
///
/// Each change costs the logarithm of the number of buckets, which is at most the number of
/// peers, and a move of their heads when one comes or goes; it never depends on the number of
/// pieces. The order inside a bucket is random, drawn when a piece comes in, so that equals are
/// chosen at random without a draw at choosing time.
/// Beside the order there is a set of the pieces of each priority, to be intersected with what a peer
/// has: it changes only when a piece comes or goes, not with its copies.
/// Most changes are copies that come, many of them of the same pieces: those wait in [`Availability`] until the order
/// has to [follow](Self::follow).
/// There is one only while a torrent downloads: eight bytes a piece, and a bit for each priority.
#[derive(Component, Clone, Debug)]
#[require(FreeBlocks, LastBlocks)]
pub struct PickOrder {
    buckets: Buckets,
    slots: Box<[Slot]>,
    /// The pieces of each priority, as far as there were any.
    sets: [Option<PieceSet>; PRIORITIES],
    count: u32,
    /// The piece that round-robin opened last.
    pub last_opened: Option<PieceIndex>,
}

/// The sets follow from the rest. Of pieces that are in no bucket, their priority is all there is.
impl Hash for PickOrder {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let slots: Vec<_> = self.slots.iter().map(|slot| self.seen_in(*slot)).collect();
        (&self.buckets, slots, self.count, self.last_opened).hash(state);
    }
}

impl PickOrder {
    /// An order of a torrent with `pieces` pieces, none of which may be opened yet.
    #[must_use]
    pub fn new(pieces: u32) -> Self {
        let skipped = PieceRank::new(FilePriority::Skip, 0);
        Self {
            buckets: Buckets::default(),
            slots: vec![Slot::out(skipped.priority); pieces as usize].into(),
            sets: [const { None }; PRIORITIES],
            count: 0,
            last_opened: None,
        }
    }

    /// The place of a piece, or its priority.
    fn seen_in(&self, slot: Slot) -> Result<(PieceRank, u32), u32> {
        slot.spot()
            .map(|spot| self.buckets.place(spot))
            .ok_or(slot.0)
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
            .is_some_and(|slot| slot.spot().is_some())
    }

    /// Lets a piece be opened, or changes its rank if it may be already.
    pub fn insert(&mut self, piece: PieceIndex, rank: PieceRank, luck: &mut RngStream) {
        let old = self.priority(piece);
        let taken = self.take_out(piece);
        if taken.is_none() || old != rank.priority {
            if taken.is_some() {
                self.take_out_of_set(piece, old);
            }
            let pieces = self.slots.len() as u32;
            let set = &mut self.sets[usize::from(rank.priority)];
            set.get_or_insert_with(|| PieceSet::new(pieces))
                .insert(piece);
        }
        let found = match taken {
            Some(near) => self.buckets.find_near(rank, near),
            None => self.buckets.find(rank),
        };
        let at = found.unwrap_or_else(|at| {
            self.buckets.open(at, rank);
            at
        });
        let last = self.buckets.len(at);
        let place = luck.below(u64::from(last) + 1) as u32;
        let (spot, moved) = self.buckets.put(at, place, piece);
        self.slots[piece.0 as usize] = spot.into();
        if let Some((moved, to)) = moved {
            self.slots[moved.0 as usize] = to.into();
        }
        self.count += 1;
    }

    /// Takes a piece out; says whether it was in.
    pub fn remove(&mut self, piece: PieceIndex) -> bool {
        if self.take_out(piece).is_none() {
            return false;
        }
        self.take_out_of_set(piece, self.priority(piece));
        true
    }

    fn take_out_of_set(&mut self, piece: PieceIndex, priority: u8) {
        let set = self.sets[usize::from(priority)].as_mut();
        let removed = set.is_some_and(|set| set.remove(piece));
        assert!(
            removed,
            "a piece of the order is in the set of its priority"
        );
    }

    /// Takes a piece out of its bucket; says where its bucket is, or was, if it was in.
    fn take_out(&mut self, piece: PieceIndex) -> Option<usize> {
        let slot = self.slots.get_mut(piece.0 as usize)?;
        let spot = slot.spot()?;
        *slot = Slot::out(self.buckets.rank(spot).priority);
        let (at, moved) = self.buckets.take(spot, piece);
        if let Some(moved) = moved {
            self.slots[moved.0 as usize] = spot.into();
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

    /// Ranks the pieces anew whose copies changed since the last time. To be called before the order is
    /// asked what comes first.
    pub fn follow(&mut self, availability: &mut Availability, luck: &mut RngStream) {
        let unranked = availability.unranked();
        for piece in unranked {
            prefetch(&self.slots[piece.0 as usize]);
            availability.prefetch(*piece);
        }
        let spots = |piece: &PieceIndex| self.slots[piece.0 as usize].spot();
        for spot in unranked.iter().filter_map(spots) {
            self.buckets.prefetch_chunk(spot);
        }
        for spot in unranked.iter().filter_map(spots) {
            self.buckets.prefetch_place(spot);
        }
        for &piece in unranked {
            let copies = availability.partial(piece);
            let spot = self.slots[piece.0 as usize].spot();
            if spot.is_some_and(|spot| self.buckets.rank(spot).copies != copies) {
                self.insert(piece, self.rank(piece, copies), luck);
            }
        }
        availability.clear_unranked();
    }

    /// The number of the priority of a piece, whether it is in the order or in motion.
    fn priority(&self, piece: PieceIndex) -> u8 {
        let slot = self.slots[piece.0 as usize];
        match slot.spot() {
            Some(spot) => self.buckets.rank(spot).priority,
            None => (slot.0 - OUT) as u8,
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
            priority: self.priority(piece),
        }
    }

    /// The pieces, highest priority and rarest first.
    pub fn iter(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        self.buckets.iter_of(|_| true)
    }

    /// The pieces of which there is a copy at a peer that does not have everything, in the same order:
    /// all that such a peer can have.
    pub fn iter_with_copies(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        self.buckets.iter_of(|rank| rank.copies > 0)
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
        let set = self.sets[usize::from(self.top_priority()?)].as_ref()?;
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
        let spot = self.slots[piece.0 as usize].spot()?;
        let (rank, place) = self.buckets.place(spot);
        Some(PickPlace(rank, place))
    }

    /// The piece that comes to a piece's place when that is taken out.
    #[must_use]
    pub fn successor(&self, piece: PieceIndex) -> Option<PieceIndex> {
        let spot = self.slots[piece.0 as usize].spot()?;
        let last = self.buckets.last_beside(spot);
        last.filter(|last| *last != piece)
    }

    /// The `n`-th piece in the order, for random choice; the cost is that of the buckets.
    #[must_use]
    pub fn nth(&self, n: usize) -> Option<PieceIndex> {
        self.buckets.nth(n)
    }

    /// The lowest priority number in the order: that of the most wanted.
    #[must_use]
    pub fn top_priority(&self) -> Option<u8> {
        self.buckets.first_rank().map(|rank| rank.priority)
    }

    /// Whether a piece is of the priority that is the most wanted in the order.
    #[must_use]
    pub fn is_of_top_priority(&self, piece: PieceIndex) -> bool {
        self.top_priority() == Some(self.priority(piece))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

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

    /// So many of one rank that their bucket has several chunks, which empty and fill again.
    #[test]
    fn long_buckets_lose_nothing() {
        const PIECES: u32 = 3000;
        let (mut order, mut luck) = (PickOrder::new(PIECES), luck());
        let mut copies = vec![0; PIECES as usize];
        for piece in 0..PIECES {
            let rank = PieceRank::new(FilePriority::Normal, 0);
            order.insert(PieceIndex(piece), rank, &mut luck);
        }
        for step in 0..40_000 {
            let piece = luck.below(PIECES.into()) as u32;
            // First nearly all come to the second rank, then nearly all go back.
            let often = u64::from(step < 20_000) * 8 + 1;
            let rank = u16::from(luck.below(10) < often);
            order.set_copies(PieceIndex(piece), rank, &mut luck);
            copies[piece as usize] = rank;
        }
        let pieces: Vec<_> = order.iter().collect();
        let ranks: Vec<_> = pieces
            .iter()
            .map(|piece| copies[piece.0 as usize])
            .collect();
        assert!(ranks.is_sorted() && ranks[0] == 0 && ranks.last() == Some(&1));
        for (n, &piece) in pieces.iter().enumerate() {
            assert_eq!(order.nth(n), Some(piece));
            assert_eq!(
                order.place(piece).map(|place| place.0.copies),
                Some(copies[piece.0 as usize])
            );
        }
        let mut all: Vec<_> = pieces.iter().map(|piece| piece.0).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..PIECES));
    }

    proptest! {
        /// Whatever comes and goes meanwhile, who follows is sorted by the counts and has lost nothing.
        #[test]
        fn the_order_follows_the_counts(steps in prop::collection::vec((0..40_u32, 0..10_u8), 0..400)) {
            let (mut order, mut luck) = (PickOrder::new(40), luck());
            let mut availability = Availability::new(40);
            let mut model = BTreeSet::new();
            for (piece, step) in steps {
                let piece = PieceIndex(piece);
                let rank = PieceRank::new(FilePriority::Normal, availability.partial(piece));
                match step {
                    0 => {
                        order.insert(piece, rank, &mut luck);
                        model.insert(piece);
                    }
                    1 => prop_assert_eq!(order.remove(piece), model.remove(&piece)),
                    2 if availability.partial(piece) > 0 => {
                        availability.remove(piece);
                        order.set_copies(piece, availability.partial(piece), &mut luck);
                    }
                    3 => order.follow(&mut availability, &mut luck),
                    _ => {
                        availability.add(piece);
                        if availability.note_unranked(piece) {
                            order.follow(&mut availability, &mut luck);
                        }
                    }
                }
                prop_assert!(availability.unranked().len() < 64);
            }
            order.follow(&mut availability, &mut luck);
            prop_assert!(availability.unranked().is_empty());
            let pieces: Vec<_> = order.iter().collect();
            prop_assert!(pieces.iter().map(|piece| availability.partial(*piece)).is_sorted());
            prop_assert!(pieces.iter().copied().collect::<BTreeSet<_>>() == model);
            prop_assert_eq!(pieces.len(), model.len());
        }
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
