//! Choke flags that differ from what the wire was told. Interest is told in Pick, before the first
//! request that follows from it.

use bevy_ecs::prelude::*;
use dunlin_base::PieceIndex;
use dunlin_components::peer::{AllowedFast, AmChoking, ChokeTold, Hello, UploadQueue};
use dunlin_components::world::{PeerIndex, PortOutbox, Work};
use dunlin_port::net::NetCommand;
use dunlin_protocol::wire::{BlockRequest, Message};

type PeerRow<'a> = (
    &'a Hello,
    &'a AmChoking,
    &'a AllowedFast,
    &'a mut ChokeTold,
    &'a mut UploadQueue,
);

pub(super) fn tell_flags(
    index: Res<'_, PeerIndex>,
    mut work: ResMut<'_, Work>,
    mut outbox: ResMut<'_, PortOutbox>,
    mut peers: Query<'_, '_, PeerRow<'_>>,
) {
    let outbox = &mut outbox.0.net;
    for peer in work.flags.take() {
        let row = index
            .get(peer)
            .and_then(|entity| peers.get_mut(entity).ok());
        let Some((hello, choking, allowed, mut told, mut queue)) = row else {
            continue;
        };
        if told.choking == choking.0 {
            continue;
        }
        told.choking = choking.0;
        let message = if choking.0 {
            Message::Choke
        } else {
            Message::Unchoke
        };
        outbox.push(NetCommand::Send { peer, message });
        if choking.0 {
            // BEP 6: what a choke voids is rejected, allowed-fast pieces excepted.
            let stays = |block: &BlockRequest| allowed.to_it.contains(&PieceIndex(block.piece));
            let void = queue.take_unless(stays);
            if hello.reserved.fast() {
                outbox.extend(void.into_iter().map(|block| NetCommand::Send {
                    peer,
                    message: Message::Reject(block),
                }));
            }
        }
    }
}
