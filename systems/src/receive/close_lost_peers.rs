//! Who was heard, and who is gone.

use bevy_ecs::prelude::*;
use dunlin_components::peer::PeerTraffic;
use dunlin_components::world::{Now, PeerIndex, RoutedEvents, Work};

use crate::connect::{Drop, drop_peer};

pub(super) fn note_heard(
    now: Res<'_, Now>,
    index: Res<'_, PeerIndex>,
    mut routed: ResMut<'_, RoutedEvents>,
    mut peers: Query<'_, '_, &mut PeerTraffic>,
) {
    for peer in routed.heard.drain(..) {
        if let Some(mut traffic) = index
            .get(peer)
            .and_then(|entity| peers.get_mut(entity).ok())
        {
            traffic.heard_at = now.0;
        }
    }
}

/// Runs last in Receive, so that what a peer said before it went still counts.
pub(super) fn close_lost_peers(world: &mut World) {
    let mut closed = core::mem::take(&mut world.resource_mut::<RoutedEvents>().closed);
    for (peer, reason) in closed.drain(..) {
        drop_peer(world, peer, Drop::lost(reason.to_string()));
    }
    world.resource_mut::<RoutedEvents>().closed = closed;
    let mut condemned = core::mem::take(&mut world.resource_mut::<Work>().drop);
    for (peer, why) in condemned.drain(..) {
        drop_peer(world, peer, Drop::fault(why));
    }
    world.resource_mut::<Work>().drop = condemned;
}
