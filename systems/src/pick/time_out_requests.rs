//! Requests that are not answered in time go to somebody else.

use core::time::Duration;

use bevy_ecs::prelude::*;
use dunlin_components::node::Rules;
use dunlin_components::peer::{PeerOf, Remote, Requests};
use dunlin_components::world::{NodeIndex, Now, PeerIndex, Work};

use crate::connect::release_requests;

/// The shortest timeout that can be configured.
pub(super) const SHORTEST: Duration = Duration::from_secs(5);

/// A peer that owes us blocks for `request_timeout_secs` without sending any is snubbing: its
/// requests are given to others, and it is asked for one block at a time until it sends again.
pub(super) fn time_out_requests(world: &mut World) {
    let overdue = core::mem::take(&mut world.resource_mut::<Work>().overdue);
    if overdue.is_empty() {
        return;
    }
    let now = world.resource::<Now>().0;
    let mut late = Vec::new();
    let mut peers = world.query::<(&PeerOf, &Remote, &mut Requests)>();
    let mut rules = world.query::<&Rules>();
    let waiting = overdue.into_iter().filter_map(|peer| {
        let entity = world.resource::<PeerIndex>().get(peer)?;
        let (of, remote, requests) = peers.get_manual(world, entity).ok()?;
        let since = requests.out.front()?.sent_at.max(requests.progress_at);
        (now - since >= SHORTEST).then_some((peer, entity, of.0, remote.node, now - since))
    });
    let waiting: Vec<_> = waiting.collect();
    for (peer, entity, torrent, node, waited) in waiting {
        let node = world.resource::<NodeIndex>().0.get(&node).copied();
        let rules = node.and_then(|node| rules.get(world, node).ok());
        let timeout = rules.map(|rules| Duration::from_secs(rules.0.pick.request_timeout_secs));
        if timeout.is_none_or(|timeout| waited < timeout) {
            continue;
        }
        if let Ok((.., mut requests)) = peers.get_mut(world, entity) {
            requests.snubbed = true;
            requests.target = 1;
            requests.slow_start = false;
        }
        late.push((peer, entity, torrent));
    }
    for (peer, entity, torrent) in late {
        tracing::debug!(%peer, "requests timed out");
        release_requests(world, peer, entity, torrent);
    }
}
