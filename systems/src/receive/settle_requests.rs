//! Answers to our requests: blocks, rejects, and chokes that void them.

use bevy_ecs::prelude::*;
use dunlin_base::{
    Ahead, BLOCK_BYTES, BlockIndex, EngineTime, LOOK, PeerKey, PieceIndex, prefetch,
};
use dunlin_components::node::Node;
use dunlin_components::peer::{
    AllowedFast, AmInterested, Hello, PeerChoking, PeerOf, PeerTraffic, Requests, Strikes,
};
use dunlin_components::piece::{Blocks, PieceState};
use dunlin_components::torrent::{
    ActivePieces, Content, FreeBlocks, LastBlocks, Peers, Torrent, Traffic,
};
use dunlin_components::world::{ChokeFamily, Now, PeerIndex, PortOutbox, RoutedEvents, Work};
use dunlin_port::BlockBuffer;
use dunlin_port::net::NetCommand;
use dunlin_protocol::wire::{BlockRequest, Message};

use crate::ahead::{find, find_peer};
use crate::pick::is_open;

/// Blocks that nobody asked for after which a peer is dropped. Honest peers send some: our cancel
/// or timeout crosses their block.
const UNREQUESTED_MAX: u32 = 2000;

/// Allowed-fast pieces of one peer that we remember; BEP 6 speaks of ten.
const ALLOWED_FAST_MAX: usize = 128;

type PeerRow<'a> = (&'a PeerOf, &'a mut Requests, &'a mut PeerTraffic);
/// What [`is_open`] looks at, to change it.
type ChokeRow<'a> = (&'a AmInterested, &'a mut PeerChoking, &'a mut AllowedFast);
type TorrentRow<'a> = (
    &'a Content,
    &'a ActivePieces,
    &'a mut Traffic,
    Option<&'a mut LastBlocks>,
);

/// The tables that answers touch. What only the seldom ones need is apart from what every block needs.
#[derive(bevy_ecs::system::SystemParam)]
pub(super) struct Tables<'w, 's> {
    index: ResMut<'w, PeerIndex>,
    peers: Query<'w, 's, PeerRow<'static>>,
    chokes: Query<'w, 's, ChokeRow<'static>>,
    hellos: Query<'w, 's, &'static Hello>,
    strikes: Query<'w, 's, &'static mut Strikes>,
    torrents: Query<'w, 's, TorrentRow<'static>, Without<Node>>,
    keys: Query<'w, 's, &'static Torrent>,
    members: Query<'w, 's, &'static Peers>,
    free: Query<'w, 's, &'static mut FreeBlocks>,
    pieces: Query<'w, 's, (&'static mut Blocks, &'static PieceState)>,
    work: ResMut<'w, Work>,
    outbox: ResMut<'w, PortOutbox>,
}

pub(super) fn settle_requests(
    now: Res<'_, Now>,
    mut routed: ResMut<'_, RoutedEvents>,
    mut tables: Tables<'_, '_>,
) {
    let mut ahead = Ahead::default();
    let mut chokes = routed.chokes.drain(..);
    while !chokes.as_slice().is_empty() {
        tables.look(&mut ahead, chokes.as_slice());
        for (peer, event) in chokes.by_ref().take(LOOK) {
            let Some(entity) = tables.index.hear(peer, now.0) else {
                continue;
            };
            match event {
                ChokeFamily::Block {
                    piece,
                    begin,
                    payload,
                } => {
                    tables.block(now.0, peer, entity, piece, begin, payload);
                }
                ChokeFamily::Choke => tables.choke(peer, entity),
                ChokeFamily::Unchoke => {
                    if let Ok((_, mut choking, _)) = tables.chokes.get_mut(entity) {
                        choking.0 = false;
                        tables.work.pick.insert(peer);
                    }
                }
                ChokeFamily::Reject(block) => tables.reject(peer, entity, &block),
                ChokeFamily::AllowedFast(piece) => {
                    let Ok((of, ..)) = tables.peers.get(entity) else {
                        continue;
                    };
                    let count = tables
                        .torrents
                        .get(of.0)
                        .map_or(0, |row| row.0.0.geometry().piece_count());
                    let Ok((.., mut allowed)) = tables.chokes.get_mut(entity) else {
                        continue;
                    };
                    if piece < count && allowed.to_us.len() < ALLOWED_FAST_MAX {
                        allowed.to_us.insert(PieceIndex(piece));
                        tables.work.pick.insert(peer);
                    }
                }
            }
        }
    }
}

/// The torrent, and the row of the piece, of a block to come.
type BlockOf = (Option<Entity>, Option<Entity>);

impl Tables<'_, '_> {
    /// Asks for what blocks to come will need: the peer's rows, its torrent's, and those of the piece.
    fn look(&self, ahead: &mut Ahead<BlockOf>, rest: &[(PeerKey, ChokeFamily)]) {
        let peer = |peer: PeerKey| self.peers.get(self.index.get(peer)?).ok();
        let torrent = |of: BlockOf| self.torrents.get(of.0?).ok();
        let piece = |of: BlockOf| self.pieces.get(of.1?).ok();
        ahead.look(
            rest,
            &[
                &|(key, _), _| self.index.prefetch(*key),
                &|(key, _), _| find_peer(&self.index, &self.peers, *key),
                &|(key, _), _| {
                    if let Some((of, requests, traffic)) = peer(*key) {
                        prefetch(of);
                        prefetch(requests);
                        prefetch(traffic);
                    }
                },
                &|(key, _), of| {
                    *of = BlockOf::default();
                    if let Some((torrent, requests, _)) = peer(*key) {
                        requests.prefetch();
                        find(&self.torrents, torrent.0);
                        of.0 = Some(torrent.0);
                    }
                },
                &|_, of| {
                    if let Some((content, active, traffic, last)) = torrent(*of) {
                        prefetch(content);
                        prefetch(active);
                        prefetch(&traffic.down);
                        last.into_iter().for_each(prefetch);
                    }
                },
                &|(_, event), of| {
                    if let ChokeFamily::Block { piece, .. } = event
                        && let Some((_, active, ..)) = torrent(*of)
                    {
                        of.1 = active.0.get(&PieceIndex(*piece)).copied();
                    }
                },
                &|_, of| of.1.into_iter().for_each(|row| find(&self.pieces, row)),
                &|_, of| {
                    if let Some((blocks, state)) = piece(*of) {
                        prefetch(blocks);
                        prefetch(state);
                    }
                },
                &|(_, event), of| {
                    if let ChokeFamily::Block { begin, .. } = event
                        && let Some((blocks, _)) = piece(*of)
                    {
                        blocks.prefetch(BlockIndex(begin / BLOCK_BYTES));
                    }
                },
            ],
        );
    }

    fn block(
        &mut self,
        now: EngineTime,
        peer: PeerKey,
        entity: Entity,
        piece: u32,
        begin: u32,
        payload: BlockBuffer,
    ) {
        let Ok((of, mut requests, mut rates)) = self.peers.get_mut(entity) else {
            return;
        };
        let Ok((content, active, mut traffic, last)) = self.torrents.get_mut(of.0) else {
            return;
        };
        let geometry = content.0.geometry();
        let len = payload.len() as u64;
        rates.down.add(now, len);
        traffic.down.add(now, len);
        let place = geometry.piece(piece).and_then(|piece| {
            Some((
                piece,
                geometry.block_at(piece, begin, payload.len() as u32)?,
            ))
        });
        let Some((piece, block)) = place else {
            traffic.wasted_bytes += len;
            self.work.drop.push((
                peer,
                format!("sent bytes {begin} of piece {piece}, which is no block"),
            ));
            return;
        };
        self.work.pick.insert(peer);
        let asked = requests.take(piece, block).is_some();
        // What nobody asked for is no progress: who sends junk now and then still owes the rest.
        if asked {
            (requests.progress_at, requests.snubbed) = (now, false);
            requests.target += u32::from(requests.slow_start);
        }
        let row = active
            .0
            .get(&piece)
            .and_then(|entity| self.pieces.get_mut(*entity).ok());
        let Some((mut blocks, state)) = row.filter(|_| asked) else {
            // Too late for its request, or never asked for: a peer must not fill pieces unasked.
            traffic.wasted_bytes += len;
            if !asked && let Ok(mut strikes) = self.strikes.get_mut(entity) {
                strike_unrequested(&mut self.work, peer, &mut strikes);
            }
            return;
        };
        if *state != PieceState::Fetching {
            traffic.wasted_bytes += len;
            return;
        }
        match blocks.arrive(block, peer, payload) {
            Err(_copy) => traffic.wasted_bytes += len,
            Ok(others) => {
                if let Some(mut last) = last {
                    last.note(piece, block, 0);
                }
                if blocks.is_whole()
                    && let Ok(torrent) = self.keys.get(of.0)
                {
                    self.work.whole.push((torrent.0, piece));
                } else if blocks.is_crowded()
                    && let Ok(torrent) = self.keys.get(of.0)
                {
                    self.work.crowded.push((torrent.0, piece));
                }
                let request = request_of(content, piece, block);
                others
                    .iter()
                    .for_each(|other| self.cancel(other, piece, block, request));
            }
        }
    }

    /// Endgame: the block came from somebody else.
    fn cancel(
        &mut self,
        peer: PeerKey,
        piece: PieceIndex,
        block: BlockIndex,
        request: BlockRequest,
    ) {
        let Some(entity) = self.index.get(peer) else {
            return;
        };
        let Ok((_, mut requests, _)) = self.peers.get_mut(entity) else {
            return;
        };
        if requests.take(piece, block).is_some() {
            self.outbox.0.net.push(NetCommand::Send {
                peer,
                message: Message::Cancel(request),
            });
            self.work.pick.insert(peer);
        }
    }

    /// BEP 3: a choke voids what was asked. BEP 6: it does not, the peer rejects what it voids; but
    /// peers that forget to are common, so a choke voids all but allowed-fast pieces.
    fn choke(&mut self, peer: PeerKey, entity: Entity) {
        let Ok((of, mut requests, _)) = self.peers.get_mut(entity) else {
            return;
        };
        let Ok((_, mut choking, allowed)) = self.chokes.get_mut(entity) else {
            return;
        };
        let Ok(hello) = self.hellos.get(entity) else {
            return;
        };
        choking.0 = true;
        let fast = hello.reserved.fast();
        let out = core::mem::take(&mut requests.out);
        let (kept, void): (Vec<_>, Vec<_>) = out
            .into_iter()
            .partition(|request| fast && allowed.to_us.contains(&request.piece));
        requests.out = kept.into();
        let of = *of;
        let Ok((_, active, _, mut last)) = self.torrents.get_mut(of.0) else {
            return;
        };
        for request in &void {
            let Some(&piece) = active.0.get(&request.piece) else {
                continue;
            };
            if let Ok((mut blocks, _)) = self.pieces.get_mut(piece) {
                blocks.release(request.block, peer);
                if let Some(last) = &mut last {
                    last.note(request.piece, request.block, blocks.askers(request.block));
                }
                if blocks.free() > 0
                    && let Ok(mut free) = self.free.get_mut(of.0)
                {
                    free.note(request.piece, true);
                }
            }
        }
        if !void.is_empty() {
            self.ask(of.0, None);
        }
    }

    /// Looks again what to ask a torrent's peers for, all but one.
    fn ask(&mut self, torrent: Entity, except: Option<PeerKey>) {
        if let Ok(peers) = self.members.get(torrent) {
            let others = peers.0.iter().filter(|&(&peer, _)| Some(peer) != except);
            let open = others.filter(|&(_, &row)| self.chokes.get(row).is_ok_and(is_open));
            self.work.pick.extend(open.map(|(&peer, _)| peer));
        }
    }

    fn reject(&mut self, peer: PeerKey, entity: Entity, request: &BlockRequest) {
        let Ok((of, mut requests, _)) = self.peers.get_mut(entity) else {
            return;
        };
        let Ok((_, choking, mut allowed)) = self.chokes.get_mut(entity) else {
            return;
        };
        let of = *of;
        let Ok((content, active, _, last)) = self.torrents.get_mut(of.0) else {
            return;
        };
        let geometry = content.0.geometry();
        let place = geometry
            .piece(request.piece)
            .and_then(|piece| Some((piece, geometry.block_at(piece, request.begin, request.len)?)));
        let Some((piece, block)) = place else { return };
        if requests.take(piece, block).is_none() {
            return;
        }
        // A peer that rejects while it does not choke us would be asked again at once, for ever.
        allowed.to_us.remove(&piece);
        if !choking.0 {
            requests.target = requests.target.saturating_sub(1).max(1);
        }
        if let Some(&row) = active.0.get(&piece)
            && let Ok((mut blocks, _)) = self.pieces.get_mut(row)
        {
            blocks.release(block, peer);
            if let Some(mut last) = last {
                last.note(piece, block, blocks.askers(block));
            }
            if blocks.free() > 0
                && let Ok(mut free) = self.free.get_mut(of.0)
            {
                free.note(piece, true);
            }
            self.ask(of.0, Some(peer));
        }
    }
}

fn strike_unrequested(work: &mut Work, peer: PeerKey, strikes: &mut Strikes) {
    strikes.unrequested += 1;
    tracing::trace!(%peer, strikes = strikes.unrequested, "sent a block unasked, or too late");
    if strikes.unrequested > UNREQUESTED_MAX {
        work.drop.push((
            peer,
            format!("sent {UNREQUESTED_MAX} blocks that we did not ask for"),
        ));
    }
}

/// The wire form of a block's place.
pub(crate) fn request_of(content: &Content, piece: PieceIndex, block: BlockIndex) -> BlockRequest {
    BlockRequest {
        piece: piece.0,
        begin: block.begin(),
        len: content.0.geometry().block_len(piece, block),
    }
}
