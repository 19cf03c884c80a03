//! A torrent begins: its row, and the disk's first look at its files.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bevy_ecs::prelude::*;
use dunlin_base::{BLOCK_BYTES, Bitfield, InfoHash, NodeKey, TokenBucket, TorrentKey};
use dunlin_components::peer::PeerBuckets;
use dunlin_components::torrent::{
    Candidates, Content, Have, Lifecycle, NodeOf, Place, Selection, SwarmHash, Torrent,
    TorrentBuckets, Wanted,
};
use dunlin_components::world::{NodeIndex, Now, PortOutbox, TorrentIndex};
use dunlin_port::disk::DiskCommand;
use dunlin_port::user::{AddTorrent, FilePriority, TorrentLimits};

/// Adds a torrent. One that the node has already only gains the new peers' addresses; its caller
/// looks info hashes up first, so this is the last fence.
pub(super) fn add(world: &mut World, add: AddTorrent) {
    let pieces = add.info.geometry().piece_count();
    let files = normalise(&add.file_priorities, add.info.files().len());
    let open = DiskCommand::Open {
        torrent: add.torrent,
        info: add.info.clone(),
        root: add.root.clone(),
        preallocation: add.preallocation,
        wanted: files
            .iter()
            .map(|priority| *priority != FilePriority::Skip)
            .collect(),
        check: add.check,
        as_is: add.as_is,
    };
    let entity = enter(
        world,
        Newcomer {
            torrent: add.torrent,
            node: add.node,
            info_hash: add.info.info_hash(),
            peers: &add.peers,
            trackers: &add.trackers,
            selection: Selection {
                files,
                pieces: BTreeMap::new(),
                strategy: add.strategy,
            },
            place: Place {
                root: add.root,
                preallocation: add.preallocation,
                as_is: add.as_is,
            },
            limits: add.limits,
            lifecycle: Lifecycle::Opening {
                done: 0,
                of: 0,
                paused: add.paused,
            },
        },
    );
    let Some(entity) = entity else { return };
    world.entity_mut(entity).insert((
        Content(add.info),
        Have(Bitfield::empty(pieces)),
        Wanted(Bitfield::empty(pieces)),
    ));
    world.resource_mut::<PortOutbox>().0.disk.push(open);
}

/// What every torrent begins with, whether its content is known or not.
pub(super) struct Newcomer<'a> {
    pub(super) torrent: TorrentKey,
    pub(super) node: NodeKey,
    pub(super) info_hash: InfoHash,
    pub(super) peers: &'a [SocketAddr],
    pub(super) trackers: &'a [Vec<String>],
    pub(super) selection: Selection,
    pub(super) place: Place,
    pub(super) limits: TorrentLimits,
    pub(super) lifecycle: Lifecycle,
}

/// Makes a torrent's row and notes it in the indexes; `None` when its node is not there, or it is
/// there already.
pub(super) fn enter(world: &mut World, newcomer: Newcomer<'_>) -> Option<Entity> {
    let hash_key = (newcomer.node, newcomer.info_hash);
    let node = world
        .resource::<NodeIndex>()
        .0
        .get(&newcomer.node)
        .copied()?;
    let index = world.resource::<TorrentIndex>();
    if index.by_hash.contains_key(&hash_key) || index.by_key.contains_key(&newcomer.torrent) {
        tracing::warn!(info_hash = %newcomer.info_hash, "torrent is there already");
        return None;
    }
    let now = world.resource::<Now>().0;
    let mut candidates = Candidates::default();
    for addr in newcomer.peers {
        candidates.add(*addr, now);
    }
    let row = (
        Torrent(newcomer.torrent),
        NodeOf(node),
        SwarmHash(newcomer.info_hash),
        newcomer.selection,
        newcomer.place,
        TorrentBuckets::new(newcomer.limits),
        candidates,
        crate::discover::trackers(newcomer.trackers),
        newcomer.lifecycle,
    );
    let entity = world.spawn(row).id();
    let mut index = world.resource_mut::<TorrentIndex>();
    index.by_key.insert(newcomer.torrent, entity);
    index.by_hash.insert(hash_key, newcomer.torrent);
    Some(entity)
}

/// One priority for each file, however many were given.
pub(super) fn normalise(priorities: &[FilePriority], files: usize) -> Vec<FilePriority> {
    let rest = core::iter::repeat(FilePriority::Normal);
    priorities.iter().copied().chain(rest).take(files).collect()
}

/// The buckets of one peer's own limits, if there are any.
pub(crate) fn peer_buckets(limits: &TorrentLimits) -> Option<PeerBuckets> {
    let (down, up) = (limits.peer_down_bytes_per_sec, limits.peer_up_bytes_per_sec);
    let bucket = |rate| TokenBucket::new(rate, u64::from(BLOCK_BYTES));
    (down.is_some() || up.is_some()).then(|| PeerBuckets {
        down: bucket(down),
        up: bucket(up),
    })
}
