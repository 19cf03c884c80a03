//! Fills the request queues of peers that have room.

use core::cell::LazyCell;

use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemParam;
use dunlin_base::{
    Ahead, BLOCK_BYTES, EngineTime, PeerKey, TokenBucket, groups, look_ahead, prefetch,
};
use dunlin_components::node::{Luck, NodeBuckets, Rules};
use dunlin_components::peer::{
    AllowedFast, AmInterested, PeerBuckets, PeerChoking, PeerOf, RemoteHave, Requests,
};
use dunlin_components::torrent::{
    ActivePieces, Availability, Content, Deadlines, FreeBlocks, Have, LastBlocks, Lifecycle,
    NodeOf, Peers, PickOrder, Selection, TorrentBuckets,
};
use dunlin_components::world::{MemoryBudget, Now, PeerIndex, PortOutbox, Starved, Wake, Work};
use dunlin_port::net::NetCommand;
use dunlin_protocol::wire::Message;

use super::active::{Opened, PieceRows};
use super::motion::{End, Motion, Scratch, Search};
use super::policy::Offer;
use crate::ahead::{find, find_peer};
use crate::receive::request_of;

type PeerRow<'a> = (
    &'a PeerOf,
    &'a AmInterested,
    &'a PeerChoking,
    &'a RemoteHave,
    &'a mut Requests,
    Option<&'a mut PeerBuckets>,
);
type TorrentRow<'a> = (
    &'a NodeOf,
    &'a Lifecycle,
    &'a Content,
    &'a Have,
    &'a Selection,
    &'a Deadlines,
    &'a mut TorrentBuckets,
    &'a mut ActivePieces,
    Option<(&'a mut PickOrder, &'a mut FreeBlocks, &'a mut LastBlocks)>,
    Option<&'a mut Availability>,
    &'a Peers,
);

/// The tables that picking touches.
#[derive(SystemParam)]
pub(super) struct Tables<'w, 's> {
    now: Res<'w, Now>,
    index: Res<'w, PeerIndex>,
    peers: Query<'w, 's, PeerRow<'static>>,
    allowed: Query<'w, 's, &'static mut AllowedFast>,
    haves: Query<'w, 's, &'static Have>,
    torrents: Query<'w, 's, TorrentRow<'static>>,
    nodes: Query<'w, 's, (&'static Rules, &'static mut NodeBuckets, &'static mut Luck)>,
    pieces: PieceRows<'w, 's>,
    budget: ResMut<'w, MemoryBudget>,
    work: ResMut<'w, Work>,
    wake: ResMut<'w, Wake>,
    outbox: ResMut<'w, PortOutbox>,
    commands: Commands<'w, 's>,
    scratch: Local<'s, Scratch>,
}

/// A peer's turn to be asked for something.
struct Turn {
    /// Those come first that were asked longest ago.
    asked_at: EngineTime,
    peer: PeerKey,
    waits_for: WaitsFor,
}

enum WaitsFor {
    /// Nothing: it may be asked, and this is its row.
    Nothing(Entity),
    /// Memory; whether it may be asked is looked at when that is there.
    Memory(Starved),
}

pub(super) fn fill_requests(mut tables: Tables<'_, '_>) {
    let mut opened = Opened::default();
    let mut ahead = Ahead::default();
    let turns = tables.by_turn();
    for (rest, group) in groups(&turns) {
        tables.look(&mut ahead, rest);
        for turn in group {
            tables.take_turn(turn, &mut opened);
        }
    }
    if let Some(&(until, _)) = tables.work.limited.first() {
        tables.wake.by(until);
    }
    opened.insert(&mut tables.commands);
}

/// The torrent of a peer whose turn comes, its node, and the piece that it is at.
type TurnOf = (Option<Entity>, Option<Entity>, Option<Entity>);

impl Tables<'_, '_> {
    fn take_turn(&mut self, turn: &Turn, opened: &mut Opened) {
        let peer = turn.peer;
        let row = match turn.waits_for {
            WaitsFor::Nothing(row) => row,
            WaitsFor::Memory(starved) if starved.is_short(&self.budget) => {
                self.work.starved.insert(peer, starved);
                return;
            }
            WaitsFor::Memory(_) => match self.ready(peer) {
                Some((_, row)) => row,
                None => return,
            },
        };
        match self.fill(peer, row, opened) {
            None => {}
            Some(End::Exhausted) => {
                self.work.endgame.insert(peer);
            }
            Some(End::NoMemory(blocks)) => {
                let asked_at = self.peers.get(row).map(|(.., row, _)| row.asked_at);
                self.starve(peer, asked_at.unwrap_or(turn.asked_at), blocks);
            }
            Some(End::NoRate(until)) => {
                self.work.limited.insert((until, peer));
            }
        }
    }

    /// Asks for what turns to come will need: the rows of the torrent, and of the piece that the peer is at.
    fn look(&self, ahead: &mut Ahead<TurnOf>, rest: &[Turn]) {
        let peer = |turn: &Turn| match turn.waits_for {
            WaitsFor::Nothing(row) => self.peers.get(row).ok(),
            WaitsFor::Memory(_) => None,
        };
        ahead.look(
            rest,
            &[
                &|turn, of| {
                    *of = TurnOf::default();
                    if let Some((torrent, ..)) = peer(turn) {
                        of.0 = Some(torrent.0);
                        find(&self.torrents, torrent.0);
                    }
                },
                &|_, of| {
                    if let Some(Ok(row)) = of.0.map(|row| self.torrents.get(row)) {
                        let (node, lifecycle, content, _, _, deadlines, buckets, active, order, ..) =
                            row;
                        prefetch(node);
                        prefetch(lifecycle);
                        prefetch(content);
                        prefetch(deadlines);
                        prefetch(buckets);
                        prefetch(active);
                        if let Some((_, free, last)) = order {
                            prefetch(free);
                            prefetch(last);
                        }
                    }
                },
                &|turn, of| {
                    if let Some((.., requests, _)) = peer(turn)
                        && let Some(Ok(row)) = of.0.map(|row| self.torrents.get(row))
                    {
                        let (node, _, _, _, _, _, _, active, ..) = row;
                        find(&self.nodes, node.0);
                        of.1 = Some(node.0);
                        let piece = requests.current().and_then(|piece| active.0.get(&piece));
                        of.2 = piece.copied();
                    }
                },
                &|_, of| {
                    of.2.into_iter().for_each(|row| find(&self.pieces, row));
                    if let Some(Ok((_, buckets, _))) = of.1.map(|row| self.nodes.get(row)) {
                        prefetch(&buckets.down);
                    }
                },
                &|_, of| {
                    if let Some(Ok((blocks, parole, state))) = of.2.map(|row| self.pieces.get(row)) {
                        prefetch(blocks);
                        prefetch(parole);
                        prefetch(state);
                    }
                },
                &|_, of| {
                    if let Some(Ok((blocks, ..))) = of.2.map(|row| self.pieces.get(row)) {
                        blocks.prefetch_free();
                    }
                },
            ],
        );
    }

    /// Asks for what it will take to see whether peers to come are ready.
    fn look_ready(&self, rest: &[PeerKey]) {
        look_ahead(
            rest,
            &[
                &|peer| self.index.prefetch(*peer),
                &|peer| find_peer(&self.index, &self.peers, *peer),
                &|peer| {
                    if let Some(row) = self.index.get(*peer)
                        && let Ok((of, interested, choking, _, requests, _)) = self.peers.get(row)
                    {
                        prefetch(interested);
                        prefetch(choking);
                        prefetch(of);
                        prefetch(requests);
                    }
                },
            ],
        );
    }

    /// Peers that may be asked and have room, those first that were asked longest ago: what is left of
    /// a limit goes round, and no torrent waits behind another one for ever. Those that wait for memory
    /// come along when some was given back, in their turn too; while it is not enough they cost no look
    /// at their rows.
    fn by_turn(&mut self) -> Vec<Turn> {
        let peers = self.work.pick.take();
        let mut turns = Vec::with_capacity(peers.len());
        for (rest, group) in groups(&peers) {
            self.look_ready(rest);
            for &peer in group {
                self.work.starved.remove(&peer);
                let ready = self.ready(peer);
                turns.extend(ready.map(|(asked_at, row)| Turn {
                    asked_at,
                    peer,
                    waits_for: WaitsFor::Nothing(row),
                }));
            }
        }
        if core::mem::take(&mut self.work.memory_freed) {
            let starved = core::mem::take(&mut self.work.starved);
            turns.extend(starved.into_iter().map(|(peer, starved)| Turn {
                asked_at: starved.asked_at,
                peer,
                waits_for: WaitsFor::Memory(starved),
            }));
        }
        turns.sort_unstable_by_key(|turn| (turn.asked_at, turn.peer));
        turns
    }

    /// When a peer was last asked and its row, if it may be asked and has room.
    fn ready(&mut self, peer: PeerKey) -> Option<(EngineTime, Entity)> {
        let row = self.index.get(peer)?;
        let (of, interested, choking, remote, requests, _) = self.peers.get(row).ok()?;
        if !interested.0 || requests.room() == 0 {
            return None;
        }
        // Most that choke us have no allowed-fast piece that we lack.
        if choking.0 {
            let (mut allowed, have) = (self.allowed.get_mut(row).ok()?, self.haves.get(of.0).ok()?);
            if !allowed.gives(&remote.bits, &have.0) {
                allowed.forget(&have.0);
                return None;
            }
        }
        Some((requests.asked_at, row))
    }

    fn starve(&mut self, peer: PeerKey, asked_at: EngineTime, blocks: u32) {
        let starved = Starved { asked_at, blocks };
        self.work.starved.insert(peer, starved);
    }

    /// `None` when there is nothing to ask this peer for.
    fn fill(&mut self, peer: PeerKey, row: Entity, opened: &mut Opened) -> Option<End> {
        let (of, _, choking, remote, mut requests, mut own) = self.peers.get_mut(row).ok()?;
        let allowed = match choking.0 {
            true => Some(&self.allowed.get(row).ok()?.to_us),
            false => None,
        };
        let row = self.torrents.get_mut(of.0).ok()?;
        let (node, lifecycle, content, have, selection, deadlines, ..) = row;
        let (.., mut buckets, mut active, order, availability, peers) = row;
        let ((mut order, mut free, mut last), mut availability) = (order?, availability?);
        let (rules, mut node_buckets, mut luck) = self.nodes.get_mut(node.0).ok()?;
        if *lifecycle != Lifecycle::Downloading {
            return None;
        }
        let offer = LazyCell::new(|| Offer {
            remote: &remote.bits,
            only: allowed,
            strategy: selection.strategy,
            random_first: have.0.count() < rules.0.pick.random_first_pieces,
        });
        let own = own.as_mut().map(|own| &mut own.down);
        let mut rates = [Some(&mut node_buckets.down), buckets.down(), own];
        let mut motion = Motion {
            torrent: of.0,
            content,
            active: &mut active,
            free: &mut free,
            last: &mut last,
            order: &mut order,
            availability: &mut availability,
            peers,
            opened,
            rows: &mut self.pieces,
            budget: &mut self.budget,
            commands: &mut self.commands,
            search: Search::new(&mut self.scratch, deadlines.0.as_ref()),
        };
        while requests.room() > 0 {
            if let Some(until) = lacking(self.now.0, BLOCK_BYTES.into(), &mut rates) {
                return Some(End::NoRate(until));
            }
            let current = requests
                .current()
                .filter(|piece| allowed.is_none_or(|allowed| allowed.contains(piece)));
            let next = motion.next_block(peer, &offer, current, &mut luck.pick);
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
            requests.set_current(piece);
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
