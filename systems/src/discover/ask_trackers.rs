//! Asks the tracker whose turn it is, or sets a timer for when it will be.

use bevy_ecs::prelude::*;
use bevy_ecs::query::QueryData;
use dunlin_base::BLOCK_BYTES;
use dunlin_components::node::{Identity, Node, Rules};
use dunlin_components::torrent::{
    Content, Have, Lifecycle, Neighbours, NodeOf, Peers, SwarmHash, Torrent, TorrentBuckets,
    Trackers, Traffic,
};
use dunlin_components::world::{Now, PortOutbox, TimerKind, Timers, TorrentIndex, Work};
use dunlin_port::tracker::TrackerCommand;
use dunlin_protocol::tracker::{AnnounceEvent, AnnounceRequest};

use super::policy::{Step, farewells, needs_peers, next_step, peers_wanted};

/// What is missing of a torrent whose length is not known: not nothing, which would make us a seed.
const LEFT_UNKNOWN: u64 = BLOCK_BYTES as u64;

/// What an announce is made of.
#[derive(QueryData)]
#[query_data(mutable)]
pub(super) struct Row {
    torrent: &'static Torrent,
    node: &'static NodeOf,
    hash: &'static SwarmHash,
    content: Option<&'static Content>,
    lifecycle: &'static Lifecycle,
    have: Option<&'static Have>,
    traffic: &'static Traffic,
    peers: &'static Peers,
    neighbours: Option<&'static Neighbours>,
    buckets: Option<&'static TorrentBuckets>,
    trackers: &'static mut Trackers,
}

pub(super) fn ask_trackers(
    now: Res<'_, Now>,
    index: Res<'_, TorrentIndex>,
    nodes: Query<'_, '_, (&Node, &Identity, &Rules)>,
    mut torrents: Query<'_, '_, Row>,
    mut work: ResMut<'_, Work>,
    mut timers: ResMut<'_, Timers>,
    mut outbox: ResMut<'_, PortOutbox>,
) {
    for key in core::mem::take(&mut work.announce) {
        let Some(mut row) = index
            .get(key)
            .and_then(|entity| torrents.get_mut(entity).ok())
        else {
            continue;
        };
        let Ok(node) = nodes.get(row.node.0) else {
            continue;
        };
        let asked = if row.trackers.announced.leaving {
            let due = farewells(&row.trackers.list).into_iter();
            due.map(|at| (at, AnnounceEvent::Stopped)).collect()
        } else if !row.lifecycle.is_active() || node.1.listen_port.is_none() {
            // Nobody could connect to us before the port is known: we are looked at again then.
            Vec::new()
        } else {
            let (connected, connections_max) = connections(&row, node.2);
            let stranded = row.neighbours.is_some_and(|row| row.stranded);
            let few = row.downloading() && (stranded || needs_peers(connected, connections_max));
            let few = few.then_some(connected);
            match next_step(&row.trackers.list, &row.trackers.announced, few, now.0) {
                Step::Ask(at, event) => vec![(at, event)],
                Step::Wait(at) => {
                    timers.set(at, key, TimerKind::Announce);
                    Vec::new()
                }
            }
        };
        for (at, event) in asked {
            let command = announce(&row, node, at, event);
            outbox.0.tracker.push(command);
            let tracker = &mut row.trackers.list[at];
            assert_eq!(tracker.under_way, None, "one announce at a time");
            tracker.under_way = Some(event);
            tracker.asked_at = Some(now.0);
        }
    }
}

impl RowItem<'_, '_> {
    fn downloading(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::Metadata | Lifecycle::Downloading)
    }
}

/// Connections of a torrent, and how many it may have.
fn connections(row: &RowItem<'_, '_>, rules: &Rules) -> (u32, u32) {
    let per_torrent = rules.0.limits.connections_per_torrent;
    let connections_max = row
        .buckets
        .map_or(per_torrent, |buckets| buckets.connections_max(per_torrent));
    let connected = u32::try_from(row.peers.0.len()).unwrap_or(u32::MAX);
    (connected, connections_max)
}

fn announce(
    row: &RowItem<'_, '_>,
    (node, identity, rules): (&Node, &Identity, &Rules),
    at: usize,
    event: AnnounceEvent,
) -> TrackerCommand {
    let Trackers { list, announced } = &*row.trackers;
    let totals = row.traffic.totals();
    let (connected, connections_max) = connections(row, rules);
    let numwant = match event {
        AnnounceEvent::Stopped => 0,
        AnnounceEvent::None | AnnounceEvent::Started | AnnounceEvent::Completed => {
            peers_wanted(row.downloading(), connected, connections_max)
        }
    };
    TrackerCommand::Announce {
        node: node.0,
        torrent: row.torrent.0,
        tracker: u32::try_from(at).expect("a torrent has few trackers"),
        url: list[at].url.clone(),
        request: AnnounceRequest {
            info_hash: row.hash.0,
            peer_id: identity.peer_id,
            // Who leaves without ever having had a port was not told `started` either.
            port: identity.listen_port.unwrap_or(0),
            uploaded: totals
                .uploaded_bytes
                .saturating_sub(announced.uploaded_base),
            downloaded: totals
                .downloaded_bytes
                .saturating_sub(announced.downloaded_base),
            left: match (row.content, row.have) {
                (Some(content), Some(have)) => left_bytes(content, have),
                _ => LEFT_UNKNOWN,
            },
            event,
            numwant: Some(numwant),
            key: identity.tracker_key,
            ipv4: None,
            ipv6: None,
            tracker_id: list[at].tracker_id.clone(),
            compact: true,
        },
    }
}

/// What is missing of the whole torrent, wanted or not: trackers count who lacks nothing as a seed.
fn left_bytes(content: &Content, have: &Have) -> u64 {
    let geometry = content.0.geometry();
    let nominal = u64::from(have.0.count()) * u64::from(geometry.piece_bytes());
    let shortfall = match geometry.pieces().next_back() {
        Some(last) if have.0.has(last) => geometry.piece_bytes() - geometry.piece_len(last),
        _ => 0,
    };
    geometry.total_bytes() - (nominal - u64::from(shortfall))
}
