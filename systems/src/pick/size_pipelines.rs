//! How many requests to keep out at each peer.

use bevy_ecs::prelude::*;
use dunlin_base::{PeerKey, groups, look_ahead, prefetch};
use dunlin_components::node::Rules;
use dunlin_components::peer::{AllowedFast, PeerChoking, PeerOf, PeerTraffic, Requests};
use dunlin_components::torrent::NodeOf;
use dunlin_components::world::{Now, PeerIndex, Work};

use super::policy::pipeline;
use super::time_out_requests::SHORTEST;
use crate::ahead::{find, find_peer};
use crate::ingest::Sweep;

type PeerRow<'a> = (
    &'a PeerOf,
    &'a PeerTraffic,
    &'a PeerChoking,
    &'a mut Requests,
);

/// Slow start adds a request for every block that comes, so a pipeline doubles in each round trip;
/// when a second of it brings no more than a tenth, the measured rate takes over.
pub(super) fn size_pipelines(
    now: Res<'_, Now>,
    sweep: Res<'_, Sweep>,
    torrents: Query<'_, '_, &NodeOf>,
    rules: Query<'_, '_, &Rules>,
    mut work: ResMut<'_, Work>,
    index: Res<'_, PeerIndex>,
    mut peers: Query<'_, '_, PeerRow<'_>>,
    allowed: Query<'_, '_, &AllowedFast>,
) {
    if !sweep.due {
        return;
    }
    let Work {
        pipelines,
        pick,
        overdue,
        ..
    } = &mut *work;
    let due = pipelines.take();
    for (rest, group) in groups(&due) {
        look(rest, &index, &peers, &allowed, &torrents);
        for &peer in group {
            let Some(entity) = index.get(peer) else {
                continue;
            };
            let Ok((of, traffic, choking, mut requests)) = peers.get_mut(entity) else {
                continue;
            };
            // Who sends nothing and is asked for nothing has no pipeline to size.
            if requests.out.is_empty() && requests.rate_before == 0 && traffic.down.is_idle(now.0) {
                continue;
            }
            // The row is here: to look for it once more would cost as much as all of this.
            if now.0 - requests.progress_at >= SHORTEST {
                overdue.push(peer);
            }
            let rate = traffic.down.bytes_per_sec(now.0);
            if requests.snubbed {
                requests.target = 1;
            } else if requests.slow_start {
                requests.target = requests.target.clamp(1, requests.limit());
                let before = u64::from(requests.rate_before);
                let grew = rate > before + before / 10 + 1024;
                requests.slow_start = grew || rate == 0;
            } else {
                let node = torrents.get(of.0).and_then(|node| rules.get(node.0));
                let Ok(rules) = node else {
                    continue;
                };
                requests.target = pipeline(rate, rules.0.pick.request_queue_secs, requests.limit());
            }
            requests.rate_before = u32::try_from(rate).unwrap_or(u32::MAX);
            // Most that are looked at have choked us within the last minute, in which their rate fades.
            let gives = |allowed: &AllowedFast| !allowed.to_us.is_empty();
            if requests.room() > 0 && (!choking.0 || allowed.get(entity).is_ok_and(gives)) {
                pick.insert(peer);
            }
            pipelines.insert(peer);
        }
    }
}

/// Asks for what peers to come will need.
fn look(
    rest: &[PeerKey],
    index: &PeerIndex,
    peers: &Query<'_, '_, PeerRow<'_>>,
    allowed: &Query<'_, '_, &AllowedFast>,
    torrents: &Query<'_, '_, &NodeOf>,
) {
    let row = |peer: &PeerKey| peers.get(index.get(*peer)?).ok();
    look_ahead(
        rest,
        &[
            &|peer| index.prefetch(*peer),
            &|peer| find_peer(index, peers, *peer),
            &|peer| {
                if let Some((of, traffic, choking, requests)) = row(peer) {
                    prefetch(of);
                    prefetch(traffic);
                    prefetch(choking);
                    prefetch(requests);
                }
                if let Some(Ok(allowed)) = index.get(*peer).map(|row| allowed.get(row)) {
                    prefetch(allowed);
                }
            },
            &|peer| {
                if let Some((of, ..)) = row(peer) {
                    find(torrents, of.0);
                }
            },
        ],
    );
}
