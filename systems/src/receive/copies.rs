//! Availability counted from what peers have.

use bevy_ecs::prelude::*;
use dunlin_components::node::Luck;
use dunlin_components::peer::RemoteHave;
use dunlin_components::torrent::{Availability, Content, NodeOf, Peers, PickOrder};

/// Counts the copies at a torrent's peers anew, for a torrent that begins to want something.
pub(crate) fn count_copies(world: &mut World, torrent: Entity) -> Availability {
    let pieces = world
        .get::<Content>(torrent)
        .map_or(0, |content| content.0.geometry().piece_count());
    let mut availability = Availability::new(pieces);
    let peers: Vec<_> = world
        .get::<Peers>(torrent)
        .map_or_else(Vec::new, |peers| peers.0.values().copied().collect());
    for peer in peers {
        let Some(mut have) = world.get_mut::<RemoteHave>(peer) else {
            continue;
        };
        have.counted_as_seed = have.bits.is_full();
        if have.counted_as_seed {
            availability.add_seed();
        } else {
            have.bits.iter().for_each(|piece| availability.add(piece));
        }
    }
    availability
}

/// A peer goes: its copies are counted no more.
pub(crate) fn forget_copies(world: &mut World, torrent: Entity, have: &RemoteHave) {
    let Some(mut availability) = world.get_mut::<Availability>(torrent) else {
        return;
    };
    if have.counted_as_seed {
        availability.remove_seed();
        return;
    }
    have.bits
        .iter()
        .for_each(|piece| availability.remove(piece));
    let changed: Vec<_> = have
        .bits
        .iter()
        .map(|piece| (piece, availability.partial(piece)))
        .collect();
    let Some(node) = world.get::<NodeOf>(torrent).map(|of| of.0) else {
        return;
    };
    let Some(mut luck) = world.get::<Luck>(node).copied() else {
        return;
    };
    if let Some(mut order) = world.get_mut::<PickOrder>(torrent) {
        for (piece, copies) in changed {
            order.set_copies(piece, copies, &mut luck.pick);
        }
    }
    if let Some(mut row) = world.get_mut::<Luck>(node) {
        *row = luck;
    }
}
