//! Which outstanding blocks to ask a second or third peer for.

use bevy_ecs::prelude::*;
use dunlin_base::{BLOCK_BYTES, BlockIndex, PeerKey, PieceIndex};
use dunlin_components::node::{NodeBuckets, Rules};
use dunlin_components::peer::{
    AmInterested, PeerBuckets, PeerChoking, PeerOf, RemoteHave, Requests,
};
use dunlin_components::piece::{BlockState, Blocks, Parole, PieceState};
use dunlin_components::torrent::{
    ActivePieces, Content, LastBlocks, Lifecycle, NodeOf, PickOrder, TorrentBuckets,
};
use dunlin_components::world::{Now, PeerIndex, PortOutbox, Wake, Work};
use dunlin_port::net::NetCommand;
use dunlin_protocol::wire::Message;

use super::policy::candidates;
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
    &'a mut LastBlocks,
    &'a mut TorrentBuckets,
);
type PieceRows<'w, 's> = Query<'w, 's, (&'static mut Blocks, &'static Parole, &'static PieceState)>;

pub(super) fn duplicate_last_blocks(
    now: Res<'_, Now>,
    index: Res<'_, PeerIndex>,
    mut work: ResMut<'_, Work>,
    mut wake: ResMut<'_, Wake>,
    mut outbox: ResMut<'_, PortOutbox>,
    mut peers: Query<'_, '_, PeerRow<'_>>,
    mut torrents: Query<'_, '_, TorrentRow<'_>>,
    mut nodes: Query<'_, '_, (&Rules, &mut NodeBuckets)>,
    mut pieces: PieceRows<'_, '_>,
) {
    for peer in work.endgame.take() {
        let Some(entity) = index.get(peer) else {
            continue;
        };
        let Ok((of, remote, interested, choking, mut requests, mut own)) = peers.get_mut(entity)
        else {
            continue;
        };
        let Ok(row) = torrents.get_mut(of.0) else {
            continue;
        };
        let (node, lifecycle, content, active, order, mut last, mut buckets) = row;
        let Ok((rules, mut node_buckets)) = nodes.get_mut(node.0) else {
            continue;
        };
        // While a piece is left to open, somebody can be asked for something new.
        let over = order.count() > 0 || *lifecycle != Lifecycle::Downloading;
        if over {
            last.end();
        }
        if over || !interested.0 || choking.0 || requests.snubbed {
            continue;
        }
        let most = rules.0.pick.endgame_requests as usize;
        let free = most.saturating_sub(requests.out.len());
        let room = (requests.room() as usize).min(free);
        if room == 0 {
            continue;
        }
        if !last.is_kept() {
            last.keep(outstanding(active, &pieces));
        }
        let found = candidates(
            &last,
            &remote.bits,
            room,
            |piece| is_open(active, &pieces, piece),
            |piece, block| is_asked(active, &pieces, piece, block, peer),
        );
        let own = own.as_mut().map(|own| &mut own.down);
        let mut rates = [Some(&mut node_buckets.down), buckets.down(), own];
        for (piece, block) in found {
            if let Some(until) = lacking(now.0, BLOCK_BYTES.into(), &mut rates) {
                work.limited.insert((until, peer));
                wake.by(until);
                break;
            }
            let row = active.0.get(&piece);
            let row = row.and_then(|row| pieces.get_mut(*row).ok());
            let Some((mut blocks, ..)) = row else {
                continue;
            };
            if !blocks.request(block, peer) {
                continue;
            }
            last.note(piece, block, blocks.askers(block));
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

/// Blocks that peers are asked for, each with how many these are.
fn outstanding(
    active: &ActivePieces,
    pieces: &PieceRows<'_, '_>,
) -> Vec<(PieceIndex, BlockIndex, usize)> {
    let rows = active.0.iter();
    let rows = rows.filter_map(|(&piece, &entity)| Some((piece, pieces.get(entity).ok()?.0)));
    let blocks = rows.flat_map(|(piece, blocks)| {
        let all = (0..blocks.len()).map(BlockIndex);
        all.map(move |block| (piece, block, blocks.askers(block)))
    });
    blocks.collect()
}

/// Whether endgame may ask for blocks of a piece: not of one that is on parole, which one peer alone fills.
fn is_open(active: &ActivePieces, pieces: &PieceRows<'_, '_>, piece: PieceIndex) -> bool {
    let row = active.0.get(&piece).and_then(|row| pieces.get(*row).ok());
    row.is_some_and(|(_, parole, state)| *state == PieceState::Fetching && !parole.is_active())
}

fn is_asked(
    active: &ActivePieces,
    pieces: &PieceRows<'_, '_>,
    piece: PieceIndex,
    block: BlockIndex,
    peer: PeerKey,
) -> bool {
    let row = active.0.get(&piece).and_then(|row| pieces.get(*row).ok());
    row.is_some_and(|(blocks, ..)| {
        matches!(blocks.state(block), BlockState::Requested(holders) if holders.contains(peer))
    })
}
