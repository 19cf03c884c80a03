//! The copy of the tables that viewers read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bevy_ecs::prelude::*;
use dunlin_base::{EngineTime, TorrentKey};
use dunlin_components::peer::{PeerOf, Phase};
use dunlin_components::torrent::{
    Content, Have, Lifecycle, Place, Selection, SwarmHash, Tracker, Trackers, Traffic,
};
use dunlin_components::world::{Now, TorrentIndex};
use dunlin_port::snapshot::{Snapshot, TorrentState, TorrentView, TrackerView};

use super::{metadata, peers, progress, why};

/// Of which torrents to copy peers, files and trackers too. All others have a row only: with
/// thousands of torrents a list needs no more, and no more is paid for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Detail {
    /// Of all.
    All,
    /// Of this one, if it exists.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for viewers of thousands of torrents")
    )]
    Of(Option<TorrentKey>),
}

impl Detail {
    fn covers(self, torrent: TorrentKey) -> bool {
        match self {
            Self::All => true,
            Self::Of(chosen) => chosen == Some(torrent),
        }
    }
}

/// Everything.
pub(crate) fn snapshot(world: &mut World) -> Snapshot {
    copy(world, Detail::All, &|_| true)
}

/// Every row of `which` torrents, and the details that are asked for.
pub(super) fn copy(world: &mut World, detail: Detail, which: &dyn Fn(&Entity) -> bool) -> Snapshot {
    let attempts = count_attempts(world);
    let at = world.resource::<Now>().0;
    let torrents = world.resource::<TorrentIndex>().by_key.iter();
    let torrents = torrents
        .filter(|(_, entity)| which(entity))
        .filter_map(|(&key, &entity)| {
            let attempts = attempts.get(&entity).copied().unwrap_or(0);
            view(world, key, entity, attempts, detail.covers(key))
        })
        .collect();
    Snapshot { at, torrents }
}

/// Connections of each torrent that did not shake hands yet.
fn count_attempts(world: &mut World) -> BTreeMap<Entity, u32> {
    let mut attempts = BTreeMap::new();
    let mut query = world.query::<(&PeerOf, &Phase)>();
    for (of, phase) in query.iter(world) {
        if *phase != Phase::Established {
            *attempts.entry(of.0).or_default() += 1;
        }
    }
    attempts
}

fn view(
    world: &World,
    key: TorrentKey,
    entity: Entity,
    attempts: u32,
    in_detail: bool,
) -> Option<TorrentView> {
    let Some(Content(info)) = world.get::<Content>(entity) else {
        return metadata::view(world, key, entity, attempts, in_detail);
    };
    let have = &world.get::<Have>(entity)?.0;
    let lifecycle = world.get::<Lifecycle>(entity)?;
    let priorities: &[_] = world
        .get::<Selection>(entity)
        .map_or(&[], |selection| &selection.files);
    let progress = progress::of_files(info, have, priorities);
    let facts = why::gather(world, entity, attempts)?;
    let mut view = TorrentView {
        name: info.name().to_owned(),
        state: state(lifecycle),
        wanted_bytes: progress.wanted_bytes,
        done_bytes: progress.done_bytes,
        have_pieces: have.count(),
        pieces: have.len(),
        ..bare(world, key, entity, &facts, in_detail)?
    };
    if in_detail {
        view.file_done_bytes = progress.file_done_bytes;
        view.copies = progress::copies(world, entity, have);
    }
    Some(view)
}

/// What can be said of a torrent without knowing its content; it is called by its info hash.
pub(super) fn bare(
    world: &World,
    key: TorrentKey,
    entity: Entity,
    facts: &why::Facts,
    in_detail: bool,
) -> Option<TorrentView> {
    let now = world.resource::<Now>().0;
    let &SwarmHash(info_hash) = world.get::<SwarmHash>(entity)?;
    let traffic = world.get::<Traffic>(entity)?;
    let place = world.get::<Place>(entity);
    let mut view = TorrentView {
        torrent: key,
        info_hash,
        name: info_hash.to_string(),
        state: facts.state.clone(),
        root: place.map_or_else(|| Path::new("").into(), |place| Arc::clone(&place.root)),
        wanted_bytes: 0,
        done_bytes: 0,
        have_pieces: 0,
        pieces: 0,
        totals: traffic.totals(),
        down_bytes_per_sec: traffic.down.bytes_per_sec(now),
        up_bytes_per_sec: traffic.up.bytes_per_sec(now),
        wasted_bytes: traffic.wasted_bytes,
        corrupt_bytes: traffic.corrupt_bytes,
        peers: Vec::new(),
        file_done_bytes: Vec::new(),
        copies: 0,
        trackers: Vec::new(),
        why: why::reasons(facts),
    };
    if in_detail {
        view.peers = peers::of_torrent(world, entity, now);
        view.trackers = trackers(world.get::<Trackers>(entity), now);
    }
    Some(view)
}

pub(super) fn state(lifecycle: &Lifecycle) -> TorrentState {
    match lifecycle {
        Lifecycle::Metadata => TorrentState::Metadata {
            done_bytes: 0,
            of_bytes: 0,
        },
        Lifecycle::Opening { done, of, .. } => TorrentState::Checking {
            done: *done,
            of: *of,
        },
        Lifecycle::Downloading => TorrentState::Downloading,
        Lifecycle::Seeding => TorrentState::Seeding,
        Lifecycle::Paused | Lifecycle::Closing => TorrentState::Paused,
        Lifecycle::Stopped { reason, .. } => TorrentState::Stopped {
            reason: reason.clone(),
        },
    }
}

/// Trackers in the order in which they are tried.
pub(super) fn trackers(trackers: Option<&Trackers>, now: EngineTime) -> Vec<TrackerView> {
    let mut list: Vec<&Tracker> = trackers.map_or_else(Vec::new, |row| row.list.iter().collect());
    list.sort_by_key(|tracker| (tracker.tier, tracker.turn));
    let view = |tracker: &Tracker| TrackerView {
        url: tracker.url.clone(),
        tier: tracker.tier,
        last: tracker.last.clone(),
        next_announce: if tracker.never {
            EngineTime::NEVER
        } else {
            tracker.next_at.max(now)
        },
    };
    list.into_iter().map(view).collect()
}
