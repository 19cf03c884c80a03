//! Fills the request queues of peers that have room.

use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemParam;
use dunlin_base::{BLOCK_BYTES, BlockIndex, EngineTime, PeerKey, PieceIndex, TokenBucket};
use dunlin_components::node::{Luck, NodeBuckets, Rules};
use dunlin_components::peer::{
    AllowedFast, AmInterested, PeerBuckets, PeerChoking, PeerOf, RemoteHave, Requests,
};
use dunlin_components::piece::Blocks;
use dunlin_components::torrent::{
    ActivePieces, Availability, Content, Deadlines, Have, Lifecycle, NodeOf, Peers, PickOrder,
    Selection, TorrentBuckets,
};
use dunlin_components::world::{MemoryBudget, Now, PeerIndex, PortOutbox, Wake, Work};
use dunlin_port::net::NetCommand;
use dunlin_protocol::wire::Message;

use super::active::{Opened, PieceRows, Room, room, take_block};
use super::policy::{Offer, choose, partials_max};
use crate::receive::request_of;

type PeerRow<'a> = (
    &'a PeerOf,
    &'a RemoteHave,
    &'a mut Requests,
    Option<&'a mut PeerBuckets>,
);
type PeerFlags<'a> = (&'a AmInterested, &'a PeerChoking);
type TorrentRow<'a> = (
    &'a NodeOf,
    &'a Lifecycle,
    &'a Content,
    &'a Have,
    &'a Selection,
    &'a Deadlines,
    &'a mut TorrentBuckets,
    &'a mut ActivePieces,
    Option<&'a mut PickOrder>,
    Option<&'a Availability>,
    &'a Peers,
);

/// The tables that picking touches.
#[derive(SystemParam)]
pub(super) struct Tables<'w, 's> {
    now: Res<'w, Now>,
    index: Res<'w, PeerIndex>,
    peers: Query<'w, 's, PeerRow<'static>>,
    flags: Query<'w, 's, PeerFlags<'static>>,
    allowed: Query<'w, 's, &'static AllowedFast>,
    haves: Query<'w, 's, &'static Have>,
    torrents: Query<'w, 's, TorrentRow<'static>>,
    nodes: Query<'w, 's, (&'static Rules, &'static mut NodeBuckets, &'static mut Luck)>,
    pieces: PieceRows<'w, 's>,
    budget: ResMut<'w, MemoryBudget>,
    work: ResMut<'w, Work>,
    wake: ResMut<'w, Wake>,
    outbox: ResMut<'w, PortOutbox>,
    commands: Commands<'w, 's>,
}

/// What ended the filling of a queue before it was full.
enum End {
    /// Everything that the peer has is asked for: endgame may ask twice.
    Exhausted,
    /// No memory for another piece.
    NoMemory,
    /// No download rate left until this instant.
    NoRate(EngineTime),
}

pub(super) fn fill_requests(mut tables: Tables<'_, '_>) {
    let mut opened = Opened::default();
    for (_, peer, row) in tables.by_turn() {
        match tables.fill(peer, row, &mut opened) {
            None => {}
            Some(End::Exhausted) => {
                tables.work.endgame.insert(peer);
            }
            Some(End::NoMemory) => {
                tables.work.starved.insert(peer);
            }
            Some(End::NoRate(until)) => {
                tables.work.limited.insert((until, peer));
            }
        }
    }
    if let Some(&(until, _)) = tables.work.limited.first() {
        tables.wake.by(until);
    }
    opened.insert(&mut tables.commands);
}

impl Tables<'_, '_> {
    /// Peers that may be asked and have room, those first that were asked longest ago: what is left of
    /// a limit goes round, and no torrent waits behind another one for ever.
    fn by_turn(&mut self) -> Vec<(EngineTime, PeerKey, Entity)> {
        let peers = self.work.pick.take();
        let turn = |peer: PeerKey| {
            let row = self.index.get(peer)?;
            let (interested, choking) = self.flags.get(row).ok()?;
            if !interested.0 {
                return None;
            }
            let (of, remote, requests, _) = self.peers.get(row).ok()?;
            if requests.room() == 0 {
                return None;
            }
            // Most that choke us have no allowed-fast piece that we lack.
            if choking.0 {
                let (allowed, have) = (self.allowed.get(row).ok()?, self.haves.get(of.0).ok()?);
                if !allowed.gives(&remote.bits, &have.0) {
                    return None;
                }
            }
            Some((requests.asked_at, peer, row))
        };
        let mut turns: Vec<_> = peers.into_iter().filter_map(turn).collect();
        turns.sort_unstable_by_key(|&(asked_at, peer, _)| (asked_at, peer));
        turns
    }

    /// `None` when there is nothing to ask this peer for.
    fn fill(&mut self, peer: PeerKey, row: Entity, opened: &mut Opened) -> Option<End> {
        let (_, choking) = self.flags.get(row).ok()?;
        let allowed = match choking.0 {
            true => Some(&self.allowed.get(row).ok()?.to_us),
            false => None,
        };
        let (of, remote, mut requests, mut own) = self.peers.get_mut(row).ok()?;
        let row = self.torrents.get_mut(of.0).ok()?;
        let (node, lifecycle, content, have, selection, deadlines, ..) = row;
        let (.., mut buckets, mut active, order, availability, peers) = row;
        let (rules, mut node_buckets, mut luck) = self.nodes.get_mut(node.0).ok()?;
        if *lifecycle != Lifecycle::Downloading {
            return None;
        }
        let offer = Offer {
            remote: &remote.bits,
            only: allowed,
            strategy: selection.strategy,
            random_first: have.0.count() < rules.0.pick.random_first_pieces,
        };
        let own = own.as_mut().map(|own| &mut own.down);
        let mut rates = [Some(&mut node_buckets.down), buckets.down(), own];
        let mut motion = Motion {
            torrent: of.0,
            content,
            active: &mut active,
            order: &mut *order?,
            availability: availability?,
            peers: peers.0.len() as u32,
            opened,
            rows: &mut self.pieces,
            budget: &mut self.budget,
            narrow: false,
            commands: &mut self.commands,
        };
        while requests.room() > 0 {
            if let Some(until) = lacking(self.now.0, BLOCK_BYTES.into(), &mut rates) {
                return Some(End::NoRate(until));
            }
            let current = requests.current;
            let next = motion.next_block(peer, &offer, &deadlines.0, current, &mut luck.pick);
            let (piece, block) = match next {
                Ok(next) => next,
                Err(end) => return Some(end),
            };
            let request = request_of(content, piece, block);
            for bucket in rates.iter_mut().flatten() {
                bucket.take(request.len.into());
            }
            if requests.out.is_empty() {
                self.work.pipelines.insert(peer);
            }
            requests.current = Some(piece);
            requests.asked_at = self.now.0;
            requests.note(piece, block, self.now.0);
            let message = Message::Request(request);
            self.outbox.0.net.push(NetCommand::Send { peer, message });
        }
        None
    }
}

/// When the slowest of the buckets has `need` bytes, if not now.
pub(crate) fn lacking(
    now: EngineTime,
    need: u64,
    buckets: &mut [Option<&mut TokenBucket>; 3],
) -> Option<EngineTime> {
    let mut until = None;
    for bucket in buckets.iter_mut().flatten() {
        if bucket.available(now) < need {
            until = until.max(Some(bucket.available_at(need)));
        }
    }
    until
}

/// One torrent's pieces in motion, and what it takes to open more.
struct Motion<'a, 'w, 's> {
    torrent: Entity,
    content: &'a Content,
    active: &'a mut ActivePieces,
    order: &'a mut PickOrder,
    availability: &'a Availability,
    peers: u32,
    opened: &'a mut Opened,
    rows: &'a mut PieceRows<'w, 's>,
    budget: &'a mut MemoryBudget,
    /// Whether a piece in motion has something for the peer but no memory.
    narrow: bool,
    commands: &'a mut Commands<'w, 's>,
}

impl Motion<'_, '_, '_> {
    /// What to ask a peer for: pieces that a reader waits for, then the piece that it is at, then
    /// others in motion, so that they become whole, or a new one that is rarer than those.
    fn next_block(
        &mut self,
        peer: PeerKey,
        offer: &Offer<'_>,
        deadlines: &[PieceIndex],
        current: Option<PieceIndex>,
        luck: &mut dunlin_base::RngStream,
    ) -> Result<(PieceIndex, BlockIndex), End> {
        for &piece in deadlines {
            if !offer.admits(piece) {
                continue;
            }
            if self.order.contains(piece) {
                self.open(piece)?;
            }
            if let Some(found) = self.take(piece, peer) {
                return Ok(found);
            }
        }
        let current = current.filter(|piece| offer.admits(*piece));
        if let Some(found) = current.and_then(|piece| self.take(piece, peer)) {
            return Ok(found);
        }
        let rarer_first = offer.rarest_first() && self.may_open_more();
        let mut new = None;
        if rarer_first {
            new = choose(self.order, offer, luck);
        }
        if let Some(piece) = self.best_in_motion(peer, offer, new)
            && let Some(found) = self.take(piece, peer)
        {
            return Ok(found);
        }
        if !rarer_first {
            new = choose(self.order, offer, luck);
        }
        let piece = new.ok_or(match self.narrow {
            true => End::NoMemory,
            false => End::Exhausted,
        })?;
        self.open(piece)?;
        self.take(piece, peer).ok_or(End::Exhausted)
    }

    /// Whether there are so few pieces in motion that another may be begun before they are whole.
    fn may_open_more(&self) -> bool {
        let in_motion = self.active.0.len() as u32;
        in_motion < partials_max(self.peers, self.order.count())
            && (self.budget).admits(self.content.0.geometry().block_count(PieceIndex(0)))
    }

    /// The piece in motion that a peer can add to: the first one, or, where rarity decides, the rarest
    /// of the most wanted, unless `new` comes before it. A peer that has something rare is not to spend its time on what others have too.
    fn best_in_motion(
        &mut self,
        peer: PeerKey,
        offer: &Offer<'_>,
        new: Option<PieceIndex>,
    ) -> Option<PieceIndex> {
        let copies = |piece| self.availability.partial(piece);
        let rank = |piece| (offer.rarest_first()).then(|| self.order.rank(piece, copies(piece)));
        let bound = new.map(rank);
        let mut best = None;
        for (&piece, &entity) in &self.active.0 {
            let place = (rank(piece), piece);
            // Whether it has a block left is the dearest question, so it comes last.
            if bound.is_none_or(|bound| place.0 <= bound)
                && best.is_none_or(|best| place < best)
                && offer.admits(piece)
            {
                match room(self.opened, self.rows, self.budget, entity, peer) {
                    Room::Some => best = Some(place),
                    Room::NoMemory => self.narrow = true,
                    Room::None => {}
                }
            }
        }
        best.map(|(_, piece)| piece)
    }

    fn take(&mut self, piece: PieceIndex, peer: PeerKey) -> Option<(PieceIndex, BlockIndex)> {
        let entity = *self.active.0.get(&piece)?;
        let block = take_block(self.opened, self.rows, self.budget, entity, peer)?;
        Some((piece, block))
    }

    fn open(&mut self, piece: PieceIndex) -> Result<(), End> {
        let blocks = self.content.0.geometry().block_count(piece);
        let window = self.budget.reserve(blocks).ok_or(End::NoMemory)?;
        let removed = self.order.remove(piece);
        assert!(removed, "only a piece of the order is opened");
        if self.order.count() == 0 {
            tracing::debug!(info_hash = %self.content.0.info_hash(), "endgame begins");
        }
        self.order.last_opened = Some(piece);
        let entity = self.commands.spawn_empty().id();
        self.active.0.insert(piece, entity);
        self.opened
            .open(entity, self.torrent, piece, Blocks::new(blocks, window));
        Ok(())
    }
}
