//! A torrent begins: its row, and the disk's first look at its files.

use bevy_ecs::prelude::*;
use dunlin_base::{BLOCK_BYTES, Bitfield, NodeKey, TokenBucket};
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
    let hash_key = (add.node, add.info.info_hash());
    let Some(node) = node_of(world, add.node) else {
        return;
    };
    let index = world.resource::<TorrentIndex>();
    if index.by_hash.contains_key(&hash_key) || index.by_key.contains_key(&add.torrent) {
        tracing::warn!(info_hash = %add.info.info_hash(), "torrent is there already");
        return;
    }
    let now = world.resource::<Now>().0;
    let pieces = add.info.geometry().piece_count();
    let files = normalise(&add.file_priorities, add.info.files().len());
    let mut candidates = Candidates::default();
    for addr in &add.peers {
        candidates.add(*addr, now);
    }
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
    };
    let entity = world
        .spawn((
            Torrent(add.torrent),
            NodeOf(node),
            SwarmHash(hash_key.1),
            Content(add.info),
            Have(Bitfield::empty(pieces)),
            Wanted(Bitfield::empty(pieces)),
            Selection {
                files,
                strategy: add.strategy,
            },
            Place {
                root: add.root,
                preallocation: add.preallocation,
            },
            buckets(add.limits),
            candidates,
            crate::discover::trackers(&add.trackers),
            Lifecycle::Opening {
                done: 0,
                of: 0,
                paused: add.paused,
            },
        ))
        .id();
    let mut index = world.resource_mut::<TorrentIndex>();
    index.by_key.insert(add.torrent, entity);
    index.by_hash.insert(hash_key, add.torrent);
    world.resource_mut::<PortOutbox>().0.disk.push(open);
}

pub(super) fn node_of(world: &World, node: NodeKey) -> Option<Entity> {
    world.resource::<NodeIndex>().0.get(&node).copied()
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

pub(super) fn buckets(limits: TorrentLimits) -> TorrentBuckets {
    let bucket = |rate| TokenBucket::new(rate, u64::from(BLOCK_BYTES));
    TorrentBuckets {
        down: bucket(limits.down_bytes_per_sec),
        up: bucket(limits.up_bytes_per_sec),
        limits,
    }
}
