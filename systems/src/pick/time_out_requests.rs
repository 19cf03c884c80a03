//! Requests that are not answered in time go to somebody else.

use core::time::Duration;

use bevy_ecs::prelude::*;
use dunlin_components::node::Rules;
use dunlin_components::peer::{Peer, PeerOf, Remote, Requests};
use dunlin_components::world::{NodeIndex, Now};

use crate::connect::release_requests;
use crate::ingest::Sweep;

/// A peer that owes us blocks for `request_timeout_secs` without sending any is snubbing: its
/// requests are given to others, and it is asked for one block at a time until it sends again.
pub(super) fn time_out_requests(world: &mut World) {
    if !world.resource::<Sweep>().due {
        return;
    }
    let now = world.resource::<Now>().0;
    let mut late = Vec::new();
    let mut peers = world.query::<(Entity, &Peer, &PeerOf, &Remote, &mut Requests)>();
    let mut rules = world.query::<&Rules>();
    let nodes = world.resource::<NodeIndex>().0.clone();
    for (&key, &node) in &nodes {
        let Ok(rules) = rules.get(world, node) else {
            continue;
        };
        let timeout = Duration::from_secs(rules.0.pick.request_timeout_secs);
        for (entity, peer, of, remote, mut requests) in peers.iter_mut(world) {
            let oldest = requests.out.front().map(|request| request.sent_at);
            let waiting_since = oldest.map(|sent_at| sent_at.max(requests.progress_at));
            if remote.node == key && waiting_since.is_some_and(|since| now - since >= timeout) {
                requests.snubbed = true;
                requests.target = 1;
                requests.slow_start = false;
                late.push((peer.0, entity, of.0));
            }
        }
    }
    late.sort_unstable_by_key(|(peer, ..)| *peer);
    for (peer, entity, torrent) in late {
        tracing::debug!(%peer, "requests timed out");
        release_requests(world, peer, entity, torrent);
    }
}
