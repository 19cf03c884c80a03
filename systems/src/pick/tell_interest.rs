//! Interest that differs from what the wire was told. It goes out before the requests of the same
//! tick: peers call a request without interest a fault.

use bevy_ecs::prelude::*;
use dunlin_components::peer::{AmInterested, ChokeTold};
use dunlin_components::world::{PeerIndex, PortOutbox, Work};
use dunlin_port::net::NetCommand;
use dunlin_protocol::wire::Message;

pub(super) fn tell_interest(
    index: Res<'_, PeerIndex>,
    mut work: ResMut<'_, Work>,
    mut outbox: ResMut<'_, PortOutbox>,
    mut peers: Query<'_, '_, (&AmInterested, &mut ChokeTold)>,
) {
    for &peer in work.flags.settle() {
        let row = index
            .get(peer)
            .and_then(|entity| peers.get_mut(entity).ok());
        let Some((interested, mut told)) = row else {
            continue;
        };
        if told.interested == interested.0 {
            continue;
        }
        told.interested = interested.0;
        let message = if interested.0 {
            Message::Interested
        } else {
            Message::NotInterested
        };
        outbox.0.net.push(NetCommand::Send { peer, message });
    }
}
