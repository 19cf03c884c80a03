//! The pure decisions of picking.

use core::cmp::Reverse;
use core::ops::Range;
use std::collections::BinaryHeap;

use dunlin_base::{BLOCK_BYTES, Bitfield, PieceIndex, RngStream};
use dunlin_components::torrent::{PickOrder, PickPlace};
use dunlin_port::config::PickStrategy;

/// Fewest requests to keep out at a peer that answers.
pub(crate) const REQUESTS_MIN: u32 = 2;

/// Random probes for a first piece before the rarest is taken after all.
const RANDOM_PROBES: u32 = 32;

/// Steps in the order of rarity before what the peer has is looked through instead: one for each 64
/// pieces of the torrent, which is what that costs, within these.
const STEPS_MIN: u32 = 16;
/// Most of them: in a large torrent with many peers the first that a peer has is found in some dozen.
const STEPS_MAX: u32 = 256;

/// Pieces that a peer has and we lack of which the rarest is taken, when the rarest of all are not among
/// them: all of them in most torrents and of most peers.
const SAMPLE_PIECES: usize = 1024;

/// How many requests keep a peer busy for `queue_secs` at its present rate, within what it queues.
pub(crate) fn pipeline(rate_bytes_per_sec: u64, queue_secs: u64, reqq: u32) -> u32 {
    let requests = rate_bytes_per_sec.saturating_mul(queue_secs) / u64::from(BLOCK_BYTES);
    u32::try_from(requests)
        .unwrap_or(u32::MAX)
        .max(REQUESTS_MIN)
        .min(reqq.max(1))
}

/// How many pieces may be in motion before they come before new ones, however rare those are.
/// Strict priority of partial pieces (BEP 3) makes pieces whole soon, but makes the few that have
/// something rare, a new swarm's seed before all, send what everybody has: then the swarm starves
/// on a handful of common pieces. Half of the peers at most send at a time; and towards the end,
/// wholeness is what counts.
pub(crate) const fn partials_max(peers: u32, unopened: u32) -> u32 {
    let (by_peers, by_pieces) = (peers / 2, unopened / 4);
    if by_peers < by_pieces {
        by_peers
    } else {
        by_pieces
    }
}

/// What a peer that wants a new piece to be opened is offered.
pub(crate) struct Offer<'a> {
    /// What the peer has.
    pub(crate) remote: &'a Bitfield,
    /// Only these, when it chokes us (BEP 6).
    pub(crate) only: Option<&'a std::collections::BTreeSet<PieceIndex>>,
    /// How pieces are chosen.
    pub(crate) strategy: PickStrategy,
    /// Whether the torrent is so new that any piece is better than the rarest.
    pub(crate) random_first: bool,
}

impl Offer<'_> {
    /// Whether rarity decides. Who has next to nothing needs whole pieces first, to trade.
    pub(crate) fn rarest_first(&self) -> bool {
        self.strategy == PickStrategy::RarestFirst && !self.random_first
    }

    /// The piece of the lowest index in `range` that may be opened.
    pub(crate) fn lowest(&self, order: &PickOrder, range: &Range<u32>) -> Option<PieceIndex> {
        let Some(only) = self.only else {
            let lowest = order.lowest_in(self.remote, range.start);
            return lowest.filter(|piece| piece.0 < range.end);
        };
        let only = only.range(PieceIndex(range.start)..PieceIndex(range.end));
        let mut only = only.copied();
        only.find(|piece| order.contains(*piece) && self.remote.has(*piece))
    }

    pub(crate) fn admits(&self, piece: PieceIndex) -> bool {
        self.remote.has(piece) && self.only.is_none_or(|only| only.contains(&piece))
    }
}

/// What earlier choices for one peer have seen, while nothing comes into the order, no copies are counted
/// and the offer stays: what had nothing for it then has nothing now. So all of its choices together look
/// through the order once.
#[derive(Default)]
pub(crate) struct Seen {
    /// What it has of what we lack, where the rarest were not among it; pieces that were opened or changed
    /// their place since have another place now.
    rarest: BinaryHeap<Reverse<(PickPlace, PieceIndex)>>,
    /// Before this index it has nothing of this priority, the most wanted one.
    top: Option<(u8, u32)>,
    /// Before this index it has nothing.
    lowest: u32,
}

impl Seen {
    /// Begins anew.
    pub(crate) fn clear(&mut self) {
        self.rarest.clear();
        (self.top, self.lowest) = (None, 0);
    }

    /// A piece is about to be taken out of the order: another one comes to its place.
    pub(crate) fn note_opening(&mut self, order: &PickOrder, offer: &Offer<'_>, piece: PieceIndex) {
        if !self.rarest.is_empty()
            && let Some(place) = order.place(piece)
            && let Some(next) = order.successor(piece)
            && offer.admits(next)
        {
            self.rarest.push(Reverse((place, next)));
        }
    }
}

/// The piece to open for a peer.
pub(crate) fn choose(
    order: &PickOrder,
    offer: &Offer<'_>,
    seen: &mut Seen,
    luck: &mut RngStream,
) -> Option<PieceIndex> {
    if let Some(only) = offer.only {
        let mut open = only
            .iter()
            .copied()
            .filter(|piece| order.contains(*piece) && offer.remote.has(*piece));
        let first = open.clone().next();
        return open
            .find(|piece| order.is_of_top_priority(*piece))
            .or(first);
    }
    match offer.strategy {
        PickStrategy::RarestFirst if offer.random_first => random(order, offer, seen, luck),
        PickStrategy::RarestFirst => rarest(order, offer, seen),
        PickStrategy::Sequential => from_first(order, offer, seen),
        PickStrategy::RoundRobin => {
            let next = order.last_opened.map_or(0, |piece| piece.0 + 1);
            sequential(order, offer, next).or_else(|| sequential(order, offer, 0))
        }
    }
}

/// BEP 3: the first pieces are chosen at random, since a rare piece comes slowly and there is
/// nothing to trade before one is complete.
fn random(
    order: &PickOrder,
    offer: &Offer<'_>,
    seen: &mut Seen,
    luck: &mut RngStream,
) -> Option<PieceIndex> {
    for _ in 0..RANDOM_PROBES {
        let piece = order.nth(luck.below(u64::from(order.count())) as usize)?;
        if offer.admits(piece) && order.is_of_top_priority(piece) {
            return Some(piece);
        }
    }
    rarest(order, offer, seen)
}

/// The first of the order that the peer has. What only those have who have everything comes first in
/// the order, and may be nearly all of it: for a peer that lacks something it is passed over at once.
///
/// The rarest may be what only others have, as many as they like to say. So after some steps the
/// other side is walked: what this peer has of what we lack, a word of 64 pieces at a time. That finds the
/// same piece, unless these are more than [`SAMPLE_PIECES`]: then it is the rarest of so many of them,
/// those that follow the piece that was opened last. Hardly one of the rarest is among them, or the
/// first steps had found it.
fn rarest(order: &PickOrder, offer: &Offer<'_>, seen: &mut Seen) -> Option<PieceIndex> {
    if offer.remote.is_full() {
        return order.iter().next();
    }
    if let Some(piece) = rarest_seen(order, seen) {
        return Some(piece);
    }
    let steps = (offer.remote.len() / u64::BITS).clamp(STEPS_MIN, STEPS_MAX);
    let first = order
        .iter_with_copies()
        .take(steps as usize)
        .find(|piece| offer.remote.has(*piece));
    first.or_else(|| {
        let sample = order.sample_in(offer.remote, SAMPLE_PIECES);
        seen.rarest.extend(sample.map(Reverse));
        rarest_seen(order, seen)
    })
}

/// The first of those that were seen and are where they were.
fn rarest_seen(order: &PickOrder, seen: &mut Seen) -> Option<PieceIndex> {
    while let Some(&Reverse((place, piece))) = seen.rarest.peek() {
        if order.place(piece) == Some(place) {
            return Some(piece);
        }
        seen.rarest.pop();
    }
    None
}

/// As [`sequential`] from the first piece on, but past what was seen.
fn from_first(order: &PickOrder, offer: &Offer<'_>, seen: &mut Seen) -> Option<PieceIndex> {
    let top = order.top_priority()?;
    let behind = seen.top.filter(|(priority, _)| *priority == top);
    let of_top = order.lowest_of_top_in(offer.remote, behind.map_or(0, |(_, from)| from));
    let found = of_top.or_else(|| {
        let lowest = order.lowest_in(offer.remote, seen.lowest);
        seen.lowest = lowest.map_or(offer.remote.len(), |piece| piece.0);
        lowest
    });
    let end = offer.remote.len();
    seen.top = Some((top, of_top.map_or(end, |piece| piece.0)));
    served(found, offer)
}

/// The lowest index from `from` on, of the highest priority that the peer can serve.
fn sequential(order: &PickOrder, offer: &Offer<'_>, from: u32) -> Option<PieceIndex> {
    let of_top = order.lowest_of_top_in(offer.remote, from);
    let found = of_top.or_else(|| order.lowest_in(offer.remote, from));
    served(found, offer)
}

/// The piece that was found, but for a planted bug.
#[cfg(feature = "planted-bugs")]
fn served(found: Option<PieceIndex>, offer: &Offer<'_>) -> Option<PieceIndex> {
    let is_planted = crate::planted::is(crate::planted::Bug::Picking);
    found.filter(|piece| piece.0 + 1 < offer.remote.len() || !is_planted)
}

#[cfg(not(feature = "planted-bugs"))]
const fn served(found: Option<PieceIndex>, _: &Offer<'_>) -> Option<PieceIndex> {
    found
}
