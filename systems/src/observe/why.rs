//! Why a torrent is as fast as it is: the chain of reasons, most important first.
//!
//! [`gather`] takes the facts from the tables, [`reasons`] weighs them. The first reason is what
//! holds the torrent up now; those behind it would hold it up next, or explain it.

use bevy_ecs::prelude::*;
use dunlin_base::{BLOCK_BYTES, EngineTime, TokenBucket};
use dunlin_components::node::NodeBuckets;
use dunlin_components::peer::PeerTraffic;
use dunlin_components::piece::PieceState;
use dunlin_components::torrent::{
    ActivePieces, CandidateState, Candidates, Content, Lifecycle, NodeOf, Peers, TorrentBuckets,
    Trackers, Traffic,
};
use dunlin_components::world::{MemoryBudget, Now};
use dunlin_port::snapshot::{Reason, TorrentState};

use super::{metadata, peers, snapshot};

/// What reasons follow from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Facts {
    pub(super) state: TorrentState,
    /// Whether the torrent is being removed, or the engine stops.
    pub(super) closing: bool,
    /// Peers that shook hands.
    pub(super) peers: u32,
    /// Connections that have not come so far.
    pub(super) attempts: u32,
    /// Addresses that are not in use.
    pub(super) candidates: u32,
    /// Peers that have something we need.
    pub(super) offering: u32,
    /// Of those, peers that choke us.
    pub(super) choking: u32,
    /// Peers that owe us blocks for too long.
    pub(super) snubbed: u32,
    /// Peers from whom payload comes.
    pub(super) sending: u32,
    /// Peers that want something of us.
    pub(super) asking: u32,
    /// The download limit, when it is reached.
    pub(super) down_cap: Option<u64>,
    /// The upload limit, when it is reached.
    pub(super) up_cap: Option<u64>,
    /// Whether no further piece may be opened for want of memory.
    pub(super) memory_full: bool,
    /// Bytes of pieces that are being written.
    pub(super) writing_bytes: u64,
    /// Bytes of pieces that are being hashed.
    pub(super) hashing_bytes: u64,
    /// What the tracker in use says, or the first one if none works.
    pub(super) tracker: Option<Reason>,
}

/// The reasons, most important first; at least one.
pub(super) fn reasons(facts: &Facts) -> Vec<Reason> {
    match &facts.state {
        _ if facts.closing => vec![Reason::Stopped("its files are being closed".into())],
        TorrentState::Paused => vec![Reason::Paused],
        TorrentState::Checking { .. } => vec![Reason::Checking],
        TorrentState::Stopped { reason } => vec![Reason::Stopped(reason.clone())],
        TorrentState::Metadata { .. } => of_metadata(facts),
        TorrentState::Seeding => of_seeding(facts),
        TorrentState::Downloading => of_downloading(facts),
    }
}

fn of_seeding(facts: &Facts) -> Vec<Reason> {
    let nobody = (facts.asking == 0).then_some(Reason::NobodyInterested);
    let tracker = facts.tracker.clone().filter(|_| facts.peers == 0);
    let more = [facts.up_cap.map(Reason::UploadCap), nobody, tracker];
    // Viewers keep this for each of thousands: it has the room that it needs and no more.
    let mut why = Vec::with_capacity(1 + more.iter().flatten().count());
    why.push(Reason::Complete);
    why.extend(more.into_iter().flatten());
    why
}

fn of_downloading(facts: &Facts) -> Vec<Reason> {
    let mut why = Vec::new();
    why.extend(facts.down_cap.map(Reason::DownloadCap));
    why.extend(of_machine(facts));
    if facts.peers == 0 {
        why.push(of_nobody(facts));
    } else if facts.offering == 0 {
        why.push(Reason::NothingOffered { peers: facts.peers });
    } else {
        why.extend(of_peers(facts));
    }
    if facts.sending == 0 {
        why.extend(facts.tracker.clone());
    }
    why
}

/// What it contains is not known yet.
fn of_metadata(facts: &Facts) -> Vec<Reason> {
    let mut why = vec![match (facts.peers, facts.offering) {
        (0, _) => of_nobody(facts),
        (peers, 0) => Reason::MetadataNotOffered { peers },
        (_, peers) => Reason::MetadataAsked { peers },
    }];
    if facts.offering == 0 {
        why.extend(facts.tracker.clone());
    }
    why
}

/// Nobody is connected.
const fn of_nobody(facts: &Facts) -> Reason {
    match (facts.attempts, facts.candidates) {
        (0, 0) => Reason::NoPeersKnown,
        (attempts, candidates) => Reason::Connecting {
            attempts,
            candidates,
        },
    }
}

/// Our own hashers and disk are to blame only when they keep us from opening pieces.
fn of_machine(facts: &Facts) -> Vec<Reason> {
    let (writing, hashing) = (facts.writing_bytes, facts.hashing_bytes);
    if !facts.memory_full {
        return Vec::new();
    }
    let mut why = Vec::new();
    if writing > 0 {
        why.push((writing, Reason::DiskBusy { bytes: writing }));
    }
    if hashing > 0 {
        why.push((hashing, Reason::HashBusy { bytes: hashing }));
    }
    why.sort_by_key(|(bytes, _)| core::cmp::Reverse(*bytes));
    why.into_iter().map(|(_, reason)| reason).collect()
}

fn of_peers(facts: &Facts) -> Vec<Reason> {
    let mut why = Vec::new();
    if facts.choking > 0 {
        why.push(Reason::Choked {
            by: facts.choking,
            of: facts.offering,
        });
        // Who gives little is given little.
        why.extend(facts.up_cap.map(Reason::UploadCap));
    }
    if facts.snubbed > 0 {
        why.push(Reason::Snubbed { by: facts.snubbed });
    }
    let give = Reason::PeersGive {
        peers: facts.sending,
    };
    if facts.sending > facts.choking {
        why.insert(0, give);
    } else if facts.sending > 0 {
        why.push(give);
    } else if why.is_empty() {
        let peers = facts.offering;
        why.push(Reason::AwaitingBlocks { peers });
    }
    why
}

/// The facts of a torrent; `attempts` are its connections that have not come so far.
pub(super) fn gather(world: &World, torrent: Entity, attempts: u32) -> Option<Facts> {
    let lifecycle = world.get::<Lifecycle>(torrent)?;
    let content = world.get::<Content>(torrent);
    let (writing_bytes, hashing_bytes) = bytes_in_motion(world, torrent);
    let budget = world.get_resource::<MemoryBudget>();
    let mut facts = Facts {
        state: match lifecycle {
            Lifecycle::Metadata => metadata::state(world, torrent),
            lifecycle => snapshot::state(lifecycle),
        },
        closing: *lifecycle == Lifecycle::Closing,
        peers: 0,
        attempts,
        candidates: candidates(world, torrent),
        offering: 0,
        choking: 0,
        snubbed: 0,
        sending: 0,
        asking: 0,
        down_cap: None,
        up_cap: None,
        memory_full: budget.zip(content).is_some_and(|(budget, content)| {
            let geometry = content.0.geometry();
            !budget.admits(geometry.blocks_per_piece())
        }),
        writing_bytes,
        hashing_bytes,
        tracker: world
            .get::<Trackers>(torrent)
            .and_then(|trackers| tracker(trackers, world.resource::<Now>().0)),
    };
    count_peers(world, torrent, &mut facts);
    (facts.down_cap, facts.up_cap) = caps(world, torrent, facts.asking > 0)?;
    if content.is_none() {
        facts.offering = metadata::offering(world, torrent);
    }
    Some(facts)
}

fn count_peers(world: &World, torrent: Entity, facts: &mut Facts) {
    let now = world.resource::<Now>().0;
    let Some(peers) = world.get::<Peers>(torrent) else {
        return;
    };
    for (&peer, &entity) in &peers.0 {
        let (Some(flags), Some(traffic)) = (
            peers::flags(world, entity, peer),
            world.get::<PeerTraffic>(entity),
        ) else {
            continue;
        };
        facts.peers += 1;
        facts.offering += u32::from(flags.am_interested);
        facts.choking += u32::from(flags.am_interested && flags.peer_choking);
        facts.snubbed += u32::from(flags.snubbed && !flags.peer_choking);
        facts.sending += u32::from(traffic.down.bytes_per_sec(now) > 0);
        facts.asking += u32::from(flags.peer_interested);
    }
}

fn candidates(world: &World, torrent: Entity) -> u32 {
    let Some(candidates) = world.get::<Candidates>(torrent) else {
        return 0;
    };
    let idle = candidates
        .0
        .values()
        .filter(|candidate| candidate.state != CandidateState::InUse)
        .count();
    u32::try_from(idle).unwrap_or(u32::MAX)
}

/// The limits that are reached: the torrent's own, or else its node's. What other torrents use up
/// of their node's holds one that gets nothing, and one that is `asked` and gives nothing.
fn caps(world: &World, torrent: Entity, asked: bool) -> Option<(Option<u64>, Option<u64>)> {
    let now = world.resource::<Now>().0;
    let traffic = world.get::<Traffic>(torrent)?;
    let own = world.get::<TorrentBuckets>(torrent).cloned();
    let mut own = own.unwrap_or_default();
    let node = world.get::<NodeBuckets>(world.get::<NodeOf>(torrent)?.0);
    let reached = |own: Option<TokenBucket>, node: Option<TokenBucket>, wanted: bool| {
        let binding = |bucket| binding_limit(bucket, now).filter(|_| wanted);
        own.and_then(binding).or_else(|| node.and_then(binding))
    };
    let (own_down, own_up) = (own.down().copied(), own.up().copied());
    let (node_down, node_up) = (node.map(|row| row.down), node.map(|row| row.up));
    let gives = traffic.up.bytes_per_sec(now) > 0;
    Some((
        reached(own_down, node_down, true),
        reached(own_up, node_up, gives || asked),
    ))
}

/// The limit of a bucket that is all but empty: one that is not the bottleneck fills up to a
/// second's worth.
fn binding_limit(mut bucket: TokenBucket, now: EngineTime) -> Option<u64> {
    let limit = bucket.rate()?;
    let little = (limit / 8).max(u64::from(BLOCK_BYTES));
    (bucket.available(now) < little).then_some(limit)
}

/// Bytes of pieces that are being written, and that are being hashed.
fn bytes_in_motion(world: &World, torrent: Entity) -> (u64, u64) {
    let (mut writing, mut hashing) = (0, 0);
    let (Some(active), Some(content)) = (
        world.get::<ActivePieces>(torrent),
        world.get::<Content>(torrent),
    ) else {
        return (0, 0);
    };
    for (&index, &piece) in &active.0 {
        let bytes = u64::from(content.0.geometry().piece_len(index));
        match world.get::<PieceState>(piece) {
            Some(PieceState::Writing | PieceState::Waiting) => writing += bytes,
            Some(PieceState::Hashing) => hashing += bytes,
            Some(PieceState::Fetching) | None => {}
        }
    }
    (writing, hashing)
}

/// What the tracker in use says: the first that works, or else the first that failed.
fn tracker(trackers: &Trackers, now: EngineTime) -> Option<Reason> {
    let mut list: Vec<_> = trackers.list.iter().collect();
    list.sort_by_key(|tracker| (tracker.tier, tracker.turn));
    let working = list
        .iter()
        .find(|tracker| tracker.failures == 0 && !tracker.never && tracker.asked_at.is_some());
    if let Some(tracker) = working {
        return Some(Reason::TrackerWait {
            url: tracker.url.clone(),
            secs: tracker.next_at.since(now).as_secs(),
        });
    }
    list.iter().find_map(|tracker| match &tracker.last {
        Some(Err(error)) => Some(Reason::TrackerFailed {
            url: tracker.url.clone(),
            error: error.clone(),
        }),
        Some(Ok(_)) | None => None,
    })
}
