//! Which outstanding blocks to ask a second or third peer for.

use bevy_ecs::prelude::*;
use dunlin_base::{BLOCK_BYTES, BlockIndex, PeerKey, PieceIndex};
use dunlin_components::node::{NodeBuckets, Rules};
use dunlin_components::peer::{
    AmInterested, PeerBuckets, PeerChoking, PeerOf, RemoteHave, Requests,
};
use dunlin_components::piece::{BlockState, Blocks, HOLDERS_MAX, Parole, PieceState};
use dunlin_components::torrent::{
    ActivePieces, Content, Lifecycle, NodeOf, PickOrder, TorrentBuckets,
};
use dunlin_components::world::{Now, PeerIndex, PortOutbox, Work};
use dunlin_port::net::NetCommand;
use dunlin_protocol::wire::Message;

use crate::pick::lacking;
use crate::receive::request_of;

type PeerRow<'a> = (
    &'a PeerOf,
    &'a RemoteHave,
    &'a AmInterested,
    &'a PeerChoking,
    &'a mut Requests,
    Option<&'a mut PeerBuckets>,
);
type TorrentRow<'a> = (
    &'a NodeOf,
    &'a Lifecycle,
    &'a Content,
    &'a ActivePieces,
    &'a PickOrder,
    &'a mut TorrentBuckets,
);

pub(super) fn duplicate_last_blocks(
    now: Res<'_, Now>,
    index: Res<'_, PeerIndex>,
    mut work: ResMut<'_, Work>,
    mut outbox: ResMut<'_, PortOutbox>,
    mut peers: Query<'_, '_, PeerRow<'_>>,
    mut torrents: Query<'_, '_, TorrentRow<'_>>,
    mut nodes: Query<'_, '_, (&Rules, &mut NodeBuckets)>,
    mut pieces: Query<'_, '_, (&mut Blocks, &Parole, &PieceState)>,
) {
    for peer in work.endgame.take() {
        let Some(entity) = index.get(peer) else {
            continue;
        };
        let Ok((of, remote, interested, choking, mut requests, mut own)) = peers.get_mut(entity)
        else {
            continue;
        };
        let Ok((node, lifecycle, content, active, order, mut buckets)) = torrents.get_mut(of.0)
        else {
            continue;
        };
        let Ok((rules, mut node_buckets)) = nodes.get_mut(node.0) else {
            continue;
        };
        // While a piece is left to open, somebody can be asked for something new.
        let over = order.count() > 0 || *lifecycle != Lifecycle::Downloading;
        if over || !interested.0 || choking.0 || requests.snubbed {
            continue;
        }
        let most = rules.0.pick.endgame_requests as usize;
        let free = most.saturating_sub(requests.out.len());
        let room = (requests.room() as usize).min(free);
        let own = own.as_mut().map(|own| &mut own.down);
        let mut rates = [Some(&mut node_buckets.down), buckets.down(), own];
        for (piece, entity, block) in candidates(active, &pieces, remote, peer, room) {
            if lacking(now.0, BLOCK_BYTES.into(), &mut rates).is_some() {
                break;
            }
            let Ok((mut blocks, ..)) = pieces.get_mut(entity) else {
                continue;
            };
            if !blocks.request(block, peer) {
                continue;
            }
            let request = request_of(content, piece, block);
            for bucket in rates.iter_mut().flatten() {
                bucket.take(request.len.into());
            }
            work.pipelines.insert(peer);
            requests.note(piece, block, now.0);
            tracing::trace!(%peer, piece = piece.0, begin = request.begin, "asks for it once more");
            let message = Message::Request(request);
            outbox.0.net.push(NetCommand::Send { peer, message });
        }
    }
}

/// Blocks that others are asked for and this peer could send, those with the fewest askers first;
/// none while any block of a piece that it has is free, since that is to be asked for alone.
fn candidates(
    active: &ActivePieces,
    pieces: &Query<'_, '_, (&mut Blocks, &Parole, &PieceState)>,
    remote: &RemoteHave,
    peer: PeerKey,
    room: usize,
) -> Vec<(PieceIndex, Entity, BlockIndex)> {
    let mut found = Vec::new();
    for (&piece, &entity) in &active.0 {
        let Ok((blocks, parole, state)) = pieces.get(entity) else {
            continue;
        };
        if *state != PieceState::Fetching || parole.active || !remote.bits.has(piece) {
            continue;
        }
        for block in (0..blocks.len()).map(BlockIndex) {
            if let BlockState::Requested(holders) = blocks.state(block)
                && !holders.contains(peer)
                && holders.count() < HOLDERS_MAX
            {
                found.push((holders.count(), piece, entity, block));
            }
        }
    }
    found.sort_by_key(|&(holders, piece, _, block)| (holders, piece, block));
    found.truncate(room);
    found
        .into_iter()
        .map(|(_, piece, entity, block)| (piece, entity, block))
        .collect()
}
