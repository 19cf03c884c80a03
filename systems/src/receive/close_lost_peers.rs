//! Who is gone.

use bevy_ecs::prelude::*;
use dunlin_components::world::{RoutedEvents, Work};

use crate::connect::{Drop, drop_peer};

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
