//! What must hold after every tick, whatever happened.

use std::collections::BTreeMap;

use bevy_ecs::prelude::*;
use dunlin_base::BlockIndex;
use dunlin_components::node::{Connections, Node, Rules};
use dunlin_components::peer::{Peer, PeerOf, Phase, Remote, RemoteHave, Requests};
use dunlin_components::piece::{BlockState, Blocks, Piece, PieceOf};
use dunlin_components::torrent::{ActivePieces, Availability, Content, Peers, PickOrder, Torrent};
use dunlin_components::world::{MemoryBudget, PeerIndex};

use super::Swarm;

impl Swarm {
    pub(super) fn check(&mut self) {
        let world = self.engine.world();
        check_connections(world);
        check_copies(world);
        check_memory(world);
        check_requests(world);
        super::magnet::check_metadata(world);
    }
}

/// Counters of connections are what a count of the rows gives, and within their limits.
fn check_connections(world: &mut World) {
    let mut counted: BTreeMap<_, Connections> = BTreeMap::new();
    let mut peers = world.query::<(&Peer, &Remote, &Phase)>();
    for (peer, remote, phase) in peers.iter(world) {
        let count = counted.entry(remote.node).or_default();
        count.total += 1;
        count.half_open += u32::from(*phase == Phase::Connecting);
        if peer.0.is_incoming() && *phase == Phase::Handshaking {
            *count.pending.entry(remote.addr.ip()).or_default() += 1;
        }
    }
    let rows = peers.iter(world).count();
    assert_eq!(
        rows,
        world.resource::<PeerIndex>().len(),
        "every peer row is in the index"
    );
    let mut nodes = world.query::<(&Node, &Rules, &Connections)>();
    for (node, rules, connections) in nodes.iter(world) {
        let count = counted.remove(&node.0).unwrap_or_default();
        assert_eq!(connections.total, count.total, "connections of {node:?}");
        assert_eq!(
            connections.half_open, count.half_open,
            "attempts of {node:?}"
        );
        assert_eq!(
            connections.pending, count.pending,
            "handshakes that {node:?} waits for"
        );
        assert!(
            count.total <= rules.0.limits.connections,
            "{node:?} has too many connections"
        );
        assert!(
            count.half_open <= rules.0.limits.half_open,
            "{node:?} has too many attempts"
        );
    }
}

/// Availability is the sum of what the connected peers have, and pieces are ranked by it.
fn check_copies(world: &mut World) {
    let mut torrents = world.query::<(
        &Torrent,
        &Content,
        &Peers,
        &Availability,
        Option<&PickOrder>,
    )>();
    for (torrent, content, peers, availability, order) in torrents.iter(world) {
        let have = |peer: &Entity| {
            world
                .get::<RemoteHave>(*peer)
                .expect("an established peer has bits")
        };
        let seeds = peers
            .0
            .values()
            .filter(|peer| have(peer).counted_as_seed)
            .count();
        assert_eq!(availability.seeds() as usize, seeds, "seeds of {torrent:?}");
        for piece in content.0.geometry().pieces() {
            let copies = peers
                .0
                .values()
                .filter(|peer| have(peer).bits.has(piece))
                .count();
            assert_eq!(
                availability.copies(piece) as usize,
                copies,
                "copies of {piece:?} of {torrent:?}"
            );
        }
        let ranks: Vec<_> = order
            .iter()
            .flat_map(|order| order.iter())
            .map(|p| availability.partial(p))
            .collect();
        let plain = same_priority(order);
        assert!(
            !plain || ranks.is_sorted(),
            "{torrent:?} ranks by copies that are not: {ranks:?}"
        );
    }
}

/// Whether all pieces of an order are wanted alike, so that copies alone rank them.
fn same_priority(order: Option<&PickOrder>) -> bool {
    order.is_some_and(|order| order.iter().all(|piece| order.is_of_top_priority(piece)))
}

/// The budget is what the pieces in motion take, each of which is in its torrent's map.
fn check_memory(world: &mut World) {
    let mut sum = 0;
    let mut longest = 0;
    let mut pieces = world.query::<(Entity, &Piece, &PieceOf)>();
    for (entity, piece, of) in pieces.iter(world) {
        let content = world
            .get::<Content>(of.0)
            .expect("a piece in motion has a torrent");
        let len = u64::from(content.0.geometry().piece_len(piece.0));
        sum += len;
        longest = longest.max(len);
        let active = world
            .get::<ActivePieces>(of.0)
            .and_then(|active| active.0.get(&piece.0));
        assert_eq!(active, Some(&entity), "{piece:?} is in its torrent's map");
    }
    let budget = world.resource::<MemoryBudget>();
    assert_eq!(
        budget.bytes, sum,
        "the budget is what pieces in motion take"
    );
    assert!(
        sum <= budget.bytes_max.max(longest),
        "{sum} bytes are in motion"
    );
}

/// Every outstanding request is noted at its block, and every note is an outstanding request.
fn check_requests(world: &mut World) {
    let mut noted = 0;
    let mut pieces = world.query::<&Blocks>();
    for blocks in pieces.iter(world) {
        for block in (0..blocks.len()).map(BlockIndex) {
            if let BlockState::Requested(holders) = blocks.state(block) {
                noted += holders.count();
            }
        }
    }
    let mut out = 0;
    let mut peers = world.query::<(&Peer, &PeerOf, &Requests)>();
    for (peer, of, requests) in peers.iter(world) {
        for request in &requests.out {
            let active = world
                .get::<ActivePieces>(of.0)
                .and_then(|active| active.0.get(&request.piece));
            let blocks = active.and_then(|piece| world.get::<Blocks>(*piece));
            let state = blocks.map(|blocks| blocks.state(request.block));
            let held =
                matches!(state, Some(BlockState::Requested(holders)) if holders.contains(peer.0));
            assert!(
                held,
                "{peer:?} is asked for {request:?}, which is {state:?}"
            );
            out += 1;
        }
    }
    assert_eq!(noted, out, "each holder of a block is asked for it");
}
