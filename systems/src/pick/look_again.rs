//! Peers that may be asked for what somebody else was asked for.

use bevy_ecs::prelude::*;
use dunlin_components::peer::{AllowedFast, AmInterested, PeerChoking};
use dunlin_components::torrent::Peers;
use dunlin_components::world::Work;

/// What decides whether it is of use to look at what a peer can be asked for. Most of a torrent's peers choke us,
/// and each is looked at anyway when it unchokes us or begins to have something that we want.
type Openness<'a> = (&'a AmInterested, &'a PeerChoking, &'a AllowedFast);

/// Whether a peer may let us have anything that we want.
pub(crate) fn is_open((interested, choking, allowed): Openness<'_>) -> bool {
    interested.0 && (!choking.0 || !allowed.to_us.is_empty())
}

/// Whether the peer of a row may let us have anything that we want.
pub(crate) fn is_open_row(world: &World, row: Entity) -> bool {
    let row = world.get_entity(row).ok();
    let openness = row.and_then(|row| row.get_components::<Openness<'static>>().ok());
    openness.is_some_and(is_open)
}

/// Looks again what to ask a torrent's peers for.
pub(crate) fn look_again(world: &mut World, torrent: Entity) {
    let Some(peers) = world.get::<Peers>(torrent) else {
        return;
    };
    let open = peers.0.iter().filter(|&(_, &row)| is_open_row(world, row));
    let open: Vec<_> = open.map(|(&peer, _)| peer).collect();
    world.resource_mut::<Work>().pick.extend(open);
}
