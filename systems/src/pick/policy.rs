//! The pure decisions of picking.

use dunlin_base::{BLOCK_BYTES, Bitfield, PieceIndex, RngStream};
use dunlin_components::torrent::PickOrder;
use dunlin_port::config::PickStrategy;

/// Fewest requests to keep out at a peer that answers.
pub(crate) const REQUESTS_MIN: u32 = 2;

/// Random probes for a first piece before the rarest is taken after all.
const RANDOM_PROBES: u32 = 32;

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

    pub(crate) fn admits(&self, piece: PieceIndex) -> bool {
        self.remote.has(piece) && self.only.is_none_or(|only| only.contains(&piece))
    }
}

/// The piece to open for a peer.
pub(crate) fn choose(
    order: &PickOrder,
    offer: &Offer<'_>,
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
        PickStrategy::RarestFirst if offer.random_first => random(order, offer, luck),
        PickStrategy::RarestFirst => rarest(order, offer),
        PickStrategy::Sequential => sequential(order, offer, 0),
        PickStrategy::RoundRobin => {
            let next = order.last_opened.map_or(0, |piece| piece.0 + 1);
            sequential(order, offer, next).or_else(|| sequential(order, offer, 0))
        }
    }
}

/// BEP 3: the first pieces are chosen at random, since a rare piece comes slowly and there is
/// nothing to trade before one is complete.
fn random(order: &PickOrder, offer: &Offer<'_>, luck: &mut RngStream) -> Option<PieceIndex> {
    for _ in 0..RANDOM_PROBES {
        let piece = order.nth(luck.below(u64::from(order.count())) as usize)?;
        if offer.admits(piece) && order.is_of_top_priority(piece) {
            return Some(piece);
        }
    }
    rarest(order, offer)
}

/// The first of the order that the peer has. What only those have who have everything comes first in
/// the order, and may be nearly all of it: for a peer that lacks something it is passed over at once.
fn rarest(order: &PickOrder, offer: &Offer<'_>) -> Option<PieceIndex> {
    let admits = |piece: &PieceIndex| offer.admits(*piece);
    match offer.remote.is_full() {
        true => order.iter().find(admits),
        false => order.iter_with_copies().find(admits),
    }
}

/// The lowest index from `from` on, of the highest priority that the peer can serve.
fn sequential(order: &PickOrder, offer: &Offer<'_>, from: u32) -> Option<PieceIndex> {
    let mut fallback = None;
    let end = offer.remote.len();
    #[cfg(feature = "planted-bugs")]
    let end = end - u32::from(crate::planted::is(crate::planted::Bug::Picking));
    for index in from..end {
        let piece = PieceIndex(index);
        if order.contains(piece) && offer.admits(piece) {
            if order.is_of_top_priority(piece) {
                return Some(piece);
            }
            fallback = fallback.or(Some(piece));
        }
    }
    fallback
}
