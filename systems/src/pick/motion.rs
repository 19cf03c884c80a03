//! One torrent's pieces in motion, and what to ask one peer for: a piece that it can add to, or one to open.

use core::cell::LazyCell;
use core::cmp::Reverse;
use core::ops::Range;
use std::collections::BinaryHeap;

use bevy_ecs::prelude::*;
use dunlin_base::{BlockIndex, EngineTime, PeerKey, PieceIndex, RngStream};
use dunlin_components::piece::Blocks;
use dunlin_components::torrent::{
    ActivePieces, Availability, Content, FreeBlocks, LastBlocks, Peers, PickOrder, PieceRank,
};
use dunlin_components::world::MemoryBudget;

use super::active::{Opened, PieceRows, Taken, take_block};
use super::policy::{Offer, Seen, choose, partials_max};

/// What ended the filling of a queue before it was full.
pub(super) enum End {
    /// Everything that the peer has is asked for: endgame may ask twice.
    Exhausted,
    /// No memory: neither for a piece of so many blocks, nor, when none is said, in the windows of those in
    /// motion.
    NoMemory(u32),
    /// No download rate left until this instant.
    NoRate(EngineTime),
}

/// Pieces in motion that a peer can add to, the one first that comes first.
type Partials = BinaryHeap<Reverse<(Option<PieceRank>, PieceIndex)>>;

/// Room for what one filling looks at, kept for the next one.
#[derive(Default)]
pub(super) struct Scratch {
    partials: Partials,
    seen: Seen,
}

/// How far the filling of one peer's queue has come. Nothing gets free while it runs: neither a block nor
/// a piece comes back, and no copies are counted. So what was found to have nothing for the peer is not
/// looked at again, and all looking costs one walk over the pieces in motion with free blocks and one over
/// the order for a filling, not for a request.
pub(super) struct Search<'a> {
    /// The pieces to add to that are left.
    partials: &'a mut Partials,
    /// What of the order was looked at.
    seen: &'a mut Seen,
    /// Whether `partials` was filled.
    is_filled: bool,
    /// The rarest piece to open, if that was looked for since the last one was opened.
    new: Option<Option<PieceIndex>>,
    /// What a reader waits for and has not been looked at.
    reader: Range<u32>,
    /// Whether a piece in motion has something for the peer but no memory: how many blocks the budget
    /// has to admit for the least of them.
    narrow: Option<u32>,
}

impl<'a> Search<'a> {
    pub(super) fn new(scratch: &'a mut Scratch, reader: Option<&Range<u32>>) -> Self {
        let Scratch { partials, seen } = scratch;
        partials.clear();
        seen.clear();
        Self {
            partials,
            seen,
            is_filled: false,
            new: None,
            reader: reader.cloned().unwrap_or_default(),
            narrow: None,
        }
    }
}

/// One torrent's pieces in motion, and what it takes to open more.
pub(super) struct Motion<'a, 'w, 's> {
    pub(super) torrent: Entity,
    pub(super) content: &'a Content,
    pub(super) active: &'a mut ActivePieces,
    pub(super) free: &'a mut FreeBlocks,
    pub(super) last: &'a mut LastBlocks,
    pub(super) order: &'a mut PickOrder,
    pub(super) availability: &'a mut Availability,
    pub(super) peers: &'a Peers,
    pub(super) opened: &'a mut Opened,
    pub(super) rows: &'a mut PieceRows<'w, 's>,
    pub(super) budget: &'a mut MemoryBudget,
    pub(super) commands: &'a mut Commands<'w, 's>,
    pub(super) search: Search<'a>,
}

impl Motion<'_, '_, '_> {
    /// What to ask a peer for: pieces that a reader waits for, then the piece that it is at and may be asked
    /// for, then others in motion, so that they become whole, or a new one that is rarer than those.
    ///
    /// Mostly it is the piece that it is at: then nobody looks at the offer.
    pub(super) fn next_block<'o>(
        &mut self,
        peer: PeerKey,
        offer: &LazyCell<Offer<'o>, impl FnOnce() -> Offer<'o>>,
        current: Option<PieceIndex>,
        luck: &mut RngStream,
    ) -> Result<(PieceIndex, BlockIndex), End> {
        if !self.search.reader.is_empty()
            && let Some(found) = self.for_reader(peer, offer)?
        {
            return Ok(found);
        }
        if let Some(found) = current.and_then(|piece| self.take(piece, peer)) {
            return Ok(found);
        }
        let rarer_first = offer.rarest_first() && self.may_open_more();
        let mut new = None;
        if rarer_first {
            new = self.rarest(offer, luck);
        }
        if let Some(found) = self.take_partial(peer, offer, new) {
            return Ok(found);
        }
        if !rarer_first {
            new = match offer.rarest_first() {
                true => self.rarest(offer, luck),
                false => self.choose(offer, luck),
            };
        }
        let piece = new.ok_or(self.search.narrow.map_or(End::Exhausted, End::NoMemory))?;
        self.open(piece, offer)?;
        self.take(piece, peer).ok_or(End::Exhausted)
    }

    /// The first of the pieces that a reader waits for of which this peer has a block to give.
    fn for_reader(
        &mut self,
        peer: PeerKey,
        offer: &Offer<'_>,
    ) -> Result<Option<(PieceIndex, BlockIndex)>, End> {
        while !self.search.reader.is_empty() {
            let range = &self.search.reader;
            let unopened = offer.lowest(self.order, range);
            let mut in_motion = self.free.pieces_in(range).iter().copied();
            let partial = in_motion.find(|piece| offer.admits(*piece));
            let Some(piece) = unopened.into_iter().chain(partial).min() else {
                self.search.reader = 0..0;
                break;
            };
            if unopened == Some(piece) {
                self.open(piece, offer)?;
            }
            if let Some(found) = self.take(piece, peer) {
                self.search.reader.start = piece.0;
                return Ok(Some(found));
            }
            // On parole at somebody else, or without memory.
            self.search.reader.start = piece.0 + 1;
        }
        Ok(None)
    }

    /// The piece to open where rarity decides.
    fn rarest(&mut self, offer: &Offer<'_>, luck: &mut RngStream) -> Option<PieceIndex> {
        if self.search.new.is_none() {
            self.search.new = Some(self.choose(offer, luck));
        }
        self.search.new.flatten()
    }

    fn choose(&mut self, offer: &Offer<'_>, luck: &mut RngStream) -> Option<PieceIndex> {
        self.order.follow(self.availability, luck);
        choose(self.order, offer, self.search.seen, luck)
    }

    /// Whether there are so few pieces in motion that another may be begun before they are whole.
    fn may_open_more(&self) -> bool {
        let in_motion = self.active.0.len() as u32;
        in_motion < partials_max(self.peers.0.len() as u32, self.order.count())
            && (self.budget).admits(self.content.0.geometry().blocks_per_piece())
    }

    /// A block of the piece in motion that a peer can add to: the first one, or, where rarity decides, the
    /// rarest of the most wanted, unless `new` comes before it. A peer that has something rare is not to
    /// spend its time on what others have too.
    fn take_partial(
        &mut self,
        peer: PeerKey,
        offer: &Offer<'_>,
        new: Option<PieceIndex>,
    ) -> Option<(PieceIndex, BlockIndex)> {
        let (order, availability) = (&*self.order, &*self.availability);
        let rank = |piece| {
            let rank = |piece| order.rank(piece, availability.partial(piece));
            offer.rarest_first().then(|| rank(piece))
        };
        if !self.search.is_filled {
            let admitted = self.free.pieces().iter().copied();
            let admitted = admitted.filter(|piece| offer.admits(*piece));
            let ranked = admitted.map(|piece| Reverse((rank(piece), piece)));
            self.search.partials.extend(ranked);
            self.search.is_filled = true;
        }
        let bound = new.map(rank);
        while let Some(&Reverse((rank, piece))) = self.search.partials.peek() {
            if bound.is_some_and(|bound| rank > bound) {
                return None;
            }
            if let Some(found) = self.take(piece, peer) {
                return Some(found);
            }
            self.search.partials.pop();
        }
        None
    }

    fn take(&mut self, piece: PieceIndex, peer: PeerKey) -> Option<(PieceIndex, BlockIndex)> {
        let entity = *self.active.0.get(&piece)?;
        match take_block(self.opened, self.rows, self.budget, entity, peer) {
            Taken::Block { block, was_last } => {
                if was_last {
                    self.free.note(piece, false);
                }
                self.last.note(piece, block, 1);
                Some((piece, block))
            }
            Taken::NoMemory(blocks) => {
                let least = self.search.narrow.map_or(blocks, |least| least.min(blocks));
                self.search.narrow = Some(least);
                None
            }
            Taken::Nothing => None,
        }
    }

    fn open(&mut self, piece: PieceIndex, offer: &Offer<'_>) -> Result<(), End> {
        let blocks = self.content.0.geometry().block_count(piece);
        let Some(window) = self.budget.reserve(blocks) else {
            let least = self.search.narrow.map_or(blocks, |least| least.min(blocks));
            return Err(End::NoMemory(least));
        };
        self.search.seen.note_opening(self.order, offer, piece);
        let removed = self.order.remove(piece);
        assert!(removed, "only a piece of the order is opened");
        if self.order.count() == 0 {
            tracing::debug!(info_hash = %self.content.0.info_hash(), "endgame begins");
        }
        self.order.last_opened = Some(piece);
        self.search.new = None;
        let entity = self.commands.spawn_empty().id();
        self.active.0.insert(piece, entity);
        self.free.note(piece, true);
        self.opened
            .open(entity, self.torrent, piece, Blocks::new(blocks, window));
        Ok(())
    }
}
