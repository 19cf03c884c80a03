//! What must hold between any two ticks, whatever happened: accounts are exact, lists are bounded.
//!
//! Nothing in a tick needs this. Whoever drives an engine through hard times calls it after each: the
//! swarms of the tests and the fault campaign.

use std::collections::{BTreeMap, BTreeSet};

use bevy_ecs::prelude::*;
use dunlin_base::limits::{
    CANDIDATES_MAX, METADATA_COPIES_BYTES_MAX, METADATA_REQUESTS_OUT_MAX, PEER_REQUESTS_IN_MAX,
    PEER_REQUESTS_OUT_MAX,
};
use dunlin_base::{BLOCK_BYTES, BlockIndex, PeerKey, PieceIndex};
use dunlin_components::node::{Connections, Node, Rules};
use dunlin_components::peer::{
    AllowedFast, AmChoking, ChokeTold, EarlyHaves, Hello, MetadataRequests, Peer, PeerOf, Phase,
    Remote, RemoteHave, Requests, UploadQueue,
};
use dunlin_components::piece::{BlockState, Blocks, Piece, PieceOf, PieceState};
use dunlin_components::torrent::{
    ActivePieces, Availability, Candidates, Content, FreeBlocks, Have, LastBlocks, MetadataFetch,
    Peers, PickOrder, SuperSeeding, Torrent, Wanted,
};
use dunlin_components::world::{MemoryBudget, PeerIndex, Work};

/// Peers that are gone and may still be in a list.
const GONE_MAX: usize = 1000;

/// Checks all of it.
pub(crate) fn audit(world: &mut World) {
    check_connections(world);
    check_copies(world);
    check_memory(world);
    check_requests(world);
    check_free_blocks(world);
    check_last_blocks(world);
    check_metadata(world);
    check_told(world);
    check_bounds(world);
    check_work(world);
}

/// What is so is what the wire was told, and whom we choke we owe nothing but what BEP 6 allows.
fn check_told(world: &mut World) {
    type Row<'a> = (
        &'a Peer,
        &'a AmChoking,
        &'a ChokeTold,
        &'a UploadQueue,
        &'a AllowedFast,
    );
    let mut peers = world.query_filtered::<Row<'_>, With<Hello>>();
    for (peer, choking, told, uploads, allowed) in peers.iter(world) {
        assert_eq!(
            told.choking, choking.0,
            "what {peer:?} was told of our choking"
        );
        let owed = uploads.all();
        let mut owed = owed.map(|block| PieceIndex(block.piece));
        let may = |piece: &PieceIndex| !choking.0 || allowed.to_it.contains(piece);
        assert!(
            owed.all(|piece| may(&piece)),
            "{peer:?} is choked and served"
        );
    }
}

/// Payload that was handed to the network and of which it has not said that it left, by peer.
pub(crate) fn unsent(world: &mut World) -> BTreeMap<PeerKey, u64> {
    let mut peers = world.query::<(&Peer, &UploadQueue)>();
    let queues = peers
        .iter(world)
        .map(|(peer, queue)| (peer.0, queue.unsent_bytes));
    queues.filter(|(_, bytes)| *bytes > 0).collect()
}

/// What others can make us remember is limited.
fn check_bounds(world: &mut World) {
    let mut peers = world.query::<(&Peer, &Requests, &UploadQueue)>();
    for (peer, requests, uploads) in peers.iter(world) {
        let [out, waiting] = [requests.out.len(), uploads.waiting()];
        let all: BTreeSet<_> = uploads.all().collect();
        assert_eq!(all.len(), uploads.all().count(), "requests of {peer:?}");
        let is_known = all.iter().all(|request| uploads.contains(request));
        assert!(is_known, "requests of {peer:?}");
        assert!(out <= PEER_REQUESTS_OUT_MAX, "{out} requests to {peer:?}");
        assert!(
            waiting <= PEER_REQUESTS_IN_MAX,
            "{waiting} requests of {peer:?}"
        );
    }
    let mut torrents = world.query::<(&Torrent, &Candidates)>();
    for (torrent, candidates) in torrents.iter(world) {
        let known = candidates.0.len();
        assert!(known <= CANDIDATES_MAX, "{known} addresses of {torrent:?}");
    }
}

/// Lists of peers have each peer once, and may name those that are gone until their turn comes.
fn check_work(world: &mut World) {
    let peers = world.resource::<PeerIndex>().len();
    let mut work = world.resource_mut::<Work>();
    let pipelines = work.pipelines.settle().len();
    for (name, len) in [
        ("starved", work.starved.len()),
        ("limited", work.limited.len()),
        ("pipelines", pipelines),
        ("silence", work.silence.len()),
        ("throttled", work.throttled.len()),
    ] {
        assert!(
            len <= 2 * peers + GONE_MAX,
            "{len} peers are {name} of {peers}"
        );
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

/// A number of copies that a torrent's counters have wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Miscount {
    /// Of which piece, among peers that are counted piece by piece; `None` for the number of those that are
    /// counted as having everything.
    pub piece: Option<PieceIndex>,
    /// What the counter says.
    pub counted: u32,
    /// What the bits of the connected peers say.
    pub there: u32,
}

/// The first counter of a torrent's availability that is not the sum over the bits of its connected peers.
/// `None` when all are, or it does not know its pieces yet.
pub(crate) fn miscount(world: &World, torrent: Entity) -> Option<Miscount> {
    let peers = world.get::<Peers>(torrent)?;
    let availability = world.get::<Availability>(torrent)?;
    let geometry = world.get::<Content>(torrent)?.0.geometry();
    let mut copies = vec![0_u32; geometry.piece_count() as usize];
    let mut seeds = 0;
    for peer in peers.0.values() {
        let have = world
            .get::<RemoteHave>(*peer)
            .expect("an established peer has bits");
        if have.counted_as_seed && have.bits.is_full() {
            seeds += 1;
        } else {
            for piece in have.bits.iter() {
                copies[piece.0 as usize] += 1;
            }
        }
    }
    let all = (None, availability.seeds(), seeds);
    let each = geometry.pieces().zip(copies);
    let each = each.map(|(piece, there)| (Some(piece), availability.partial(piece).into(), there));
    let mut wrong = core::iter::once(all)
        .chain(each)
        .filter(|(_, counted, there)| counted != there);
    wrong.next().map(|(piece, counted, there)| Miscount {
        piece,
        counted,
        there,
    })
}

/// Availability is the sum of what the connected peers have, and pieces are ranked by it, but for those
/// whose change waits.
fn check_copies(world: &mut World) {
    let mut torrents = world.query::<(
        Entity,
        &Torrent,
        &Content,
        &Peers,
        &Availability,
        Option<&PickOrder>,
        Option<&SuperSeeding>,
    )>();
    for (row, torrent, content, peers, availability, order, seeding) in torrents.iter(world) {
        assert_eq!(miscount(world, row), None, "copies of {torrent:?}");
        if let Some(seeding) = seeding {
            check_shown(world, content, peers, availability, seeding);
        }
        let unranked: BTreeSet<_> = availability.unranked().iter().collect();
        let ranked = order.iter().flat_map(|order| order.iter());
        let ranked = ranked.filter(|piece| !unranked.contains(piece));
        let ranks: Vec<_> = ranked.map(|piece| availability.partial(piece)).collect();
        let plain = same_priority(order);
        assert!(
            !plain || ranks.is_sorted(),
            "{torrent:?} ranks by copies that are not: {ranks:?}"
        );
    }
}

/// What a super-seed counts of pieces on their way is what its peers were shown and do not have.
fn check_shown(
    world: &World,
    content: &Content,
    peers: &Peers,
    availability: &Availability,
    seeding: &SuperSeeding,
) {
    let mut nowhere = availability.nowhere(0);
    for piece in content.0.geometry().pieces() {
        let shown = seeding.all_shown().filter(|(peer, shown)| {
            let row = peers
                .0
                .get(peer)
                .and_then(|row| world.get::<RemoteHave>(*row));
            let under_way = shown.under_way.contains(piece);
            let has = row.is_some_and(|have| have.bits.has(piece));
            assert!(!under_way || !has, "{peer:?} has {piece:?}");
            under_way
        });
        let under_way = shown.count();
        assert_eq!(seeding.under_way(piece) as usize, under_way, "{piece:?}");
        if availability.copies(piece) == 0 {
            assert_eq!(nowhere.next(), Some(piece), "nobody has it");
        }
    }
    assert_eq!(nowhere.next(), None, "somebody has it");
}

/// Whether all pieces of an order are wanted alike, so that copies alone rank them.
fn same_priority(order: Option<&PickOrder>) -> bool {
    order.is_some_and(|order| order.iter().all(|piece| order.is_of_top_priority(piece)))
}

/// The budget is what the pieces in motion may take, each of which is in its torrent's map and takes
/// no more.
fn check_memory(world: &mut World) {
    let mut sum = 0;
    let mut pieces = world.query::<(Entity, &Piece, &PieceOf, &Blocks, &PieceState)>();
    for (entity, piece, of, blocks, state) in pieces.iter(world) {
        sum += u64::from(blocks.window()) * u64::from(BLOCK_BYTES);
        check_blocks(piece.0, blocks, *state);
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
        sum <= budget.bytes_max.max(BLOCK_BYTES.into()),
        "{sum} bytes are in motion"
    );
}

/// Blocks are in memory within the window of their piece alone.
fn check_blocks(piece: PieceIndex, blocks: &Blocks, state: PieceState) {
    let (mut in_memory, mut held, mut away) = (0, 0, 0);
    for block in (0..blocks.len()).map(BlockIndex) {
        match blocks.state(block) {
            BlockState::Free | BlockState::Filed { .. } => {}
            BlockState::Requested(_) => held += 1,
            BlockState::Arrived { payload, .. } => {
                held += 1;
                in_memory += u32::from(payload.is_some());
                away += u32::from(payload.is_none());
            }
        }
    }
    assert!(
        held == blocks.held() && held <= blocks.window(),
        "{held} blocks of {piece:?} are asked for or here: {blocks:?}"
    );
    if state == PieceState::Fetching || blocks.is_spilled() {
        let out = blocks.spill().map_or(0, |spill| spill.blocks);
        assert_eq!(away, out, "blocks of {piece:?} on their way into the file");
        assert_eq!(in_memory, blocks.in_memory(), "blocks of {piece:?}");
    }
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

/// What picking looks at of the pieces in motion is what a look at all of them gives.
fn check_free_blocks(world: &mut World) {
    let mut torrents = world.query::<(&Torrent, &ActivePieces, &FreeBlocks)>();
    for (torrent, active, free) in torrents.iter(world) {
        let holds_one = |piece: &Entity| {
            let blocks = world.get::<Blocks>(*piece);
            let free = blocks.is_some_and(|blocks| blocks.free() > 0);
            match world.get::<PieceState>(*piece) {
                Some(PieceState::Fetching) => free,
                // Nobody is asked for it before the disk takes what is here.
                Some(PieceState::Waiting) => false,
                _ => {
                    assert!(!free, "a piece with free blocks is fetched");
                    false
                }
            }
        };
        let hold_one = active.0.iter().filter(|(_, piece)| holds_one(piece));
        assert!(
            hold_one.map(|(index, _)| index).eq(free.pieces()),
            "free blocks of {torrent:?} are in {:?}",
            free.pieces()
        );
    }
}

/// What endgame looks at of the blocks that are outstanding is what a look at all of them gives.
fn check_last_blocks(world: &mut World) {
    let mut torrents = world.query::<(&Torrent, &ActivePieces, &LastBlocks)>();
    for (torrent, active, last) in torrents.iter(world) {
        if !last.is_kept() {
            continue;
        }
        let mut all = Vec::new();
        for (&index, &piece) in &active.0 {
            let Some(blocks) = world.get::<Blocks>(piece) else {
                continue;
            };
            let blocks = (0..blocks.len()).map(|block| (blocks, BlockIndex(block)));
            all.extend(blocks.map(|(blocks, block)| (blocks.askers(block), index, block)));
        }
        all.retain(|&(askers, ..)| (1..=LastBlocks::ASKERS_MAX).contains(&askers));
        all.sort_unstable();
        let kept = last.iter();
        assert!(kept.eq(all), "blocks that {torrent:?} waits for");
    }
}

/// A torrent knows what it contains or fetches that, within its bounds; never both, never neither.
fn check_metadata(world: &mut World) {
    let mut torrents = world.query::<(
        &Torrent,
        Option<&MetadataFetch>,
        Option<&Content>,
        Has<Have>,
        Has<Wanted>,
        &Peers,
    )>();
    for (torrent, fetch, content, have, wanted, peers) in torrents.iter(world) {
        let known = content.is_some();
        assert_eq!(
            (fetch.is_some(), have, wanted),
            (!known, known, known),
            "what {torrent:?} knows of itself"
        );
        let copies = fetch.into_iter().flat_map(|fetch| &fetch.copies);
        let claimed: u64 = copies.map(|(key, _)| u64::from(key.size)).sum();
        assert!(claimed <= METADATA_COPIES_BYTES_MAX, "{torrent:?}");
        for peer in peers.0.values() {
            let row = world.entity(*peer);
            assert_eq!(row.contains::<EarlyHaves>(), !known, "{torrent:?}");
            let requests = row.get::<MetadataRequests>();
            assert_eq!(requests.is_some(), !known, "{torrent:?}");
            let asked = requests.map_or(0, |requests| requests.asked.len());
            assert!(asked <= METADATA_REQUESTS_OUT_MAX, "{torrent:?}");
        }
    }
}
