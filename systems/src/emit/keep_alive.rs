//! Silence: ours is broken before the other end gives us up, theirs ends the connection.

use core::time::Duration;

use bevy_ecs::prelude::*;
use dunlin_components::peer::{Peer, PeerTraffic, Phase};
use dunlin_components::world::{Now, PortOutbox};
use dunlin_port::net::NetCommand;
use dunlin_protocol::wire::Message;

use crate::connect::{Drop, drop_peer};
use crate::ingest::Sweep;

/// BEP 3: keep-alives are sent about every two minutes.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(100);
/// Twice the keep-alive interval and some.
const SILENCE_MAX: Duration = Duration::from_secs(240);
/// A connection that stands must shake hands at once.
const HANDSHAKE_MAX: Duration = Duration::from_secs(20);

pub(super) fn keep_alive(world: &mut World) {
    if !world.resource::<Sweep>().due {
        return;
    }
    let now = world.resource::<Now>().0;
    let mut silent = Vec::new();
    let mut quiet = Vec::new();
    let mut peers = world.query::<(&Peer, &Phase, &mut PeerTraffic)>();
    for (peer, phase, mut traffic) in peers.iter_mut(world) {
        match phase {
            Phase::Handshaking if now - traffic.heard_at >= HANDSHAKE_MAX => {
                silent.push((peer.0, "no handshake came"));
            }
            Phase::Established if now - traffic.heard_at >= SILENCE_MAX => {
                silent.push((peer.0, "nothing was heard for minutes"));
            }
            Phase::Established if now - traffic.spoke_at >= KEEP_ALIVE_AFTER => {
                traffic.spoke_at = now;
                quiet.push(peer.0);
            }
            // Connection attempts are given up by the network itself.
            Phase::Connecting | Phase::Handshaking | Phase::Established => {}
        }
    }
    silent.sort_unstable();
    quiet.sort_unstable();
    let outbox = &mut world.resource_mut::<PortOutbox>().into_inner().0.net;
    outbox.extend(quiet.into_iter().map(|peer| NetCommand::Send {
        peer,
        message: Message::KeepAlive,
    }));
    for (peer, why) in silent {
        drop_peer(world, peer, Drop::lost_silent(why));
    }
}
