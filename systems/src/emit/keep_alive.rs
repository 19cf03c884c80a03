//! Silence: ours is broken before the other end gives us up, theirs ends the connection.

use core::time::Duration;

use bevy_ecs::prelude::*;
use dunlin_components::peer::{PeerTraffic, Phase};
use dunlin_components::world::{Now, PeerIndex, PortOutbox, Wake, Work};
use dunlin_port::net::NetCommand;
use dunlin_protocol::wire::Message;

use crate::connect::{Drop, drop_peer};

/// BEP 3: keep-alives are sent about every two minutes.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(100);
/// Twice the keep-alive interval and some.
const SILENCE_MAX: Duration = Duration::from_secs(240);
/// A connection that stands must shake hands at once.
const HANDSHAKE_MAX: Duration = Duration::from_secs(20);

/// Each connection is looked at when its silence may have become too long, and not before.
pub(super) fn keep_alive(world: &mut World) {
    let now = world.resource::<Now>().0;
    let Some(&(next_at, _)) = world.resource::<Work>().silence.first() else {
        return;
    };
    if next_at > now {
        return world.resource_mut::<Wake>().by(next_at);
    }
    let mut peers = world.query::<(&Phase, &mut PeerTraffic)>();
    let (mut silent, mut spoken) = (Vec::new(), Vec::new());
    while let Some(&(at, peer)) = world.resource::<Work>().silence.first()
        && at <= now
    {
        world.resource_mut::<Work>().silence.remove(&(at, peer));
        let index = world.resource::<PeerIndex>();
        let (row, heard_at) = (index.get(peer), index.heard_at(peer));
        let Some(Ok((phase, mut traffic))) = row.map(|row| peers.get_mut(world, row)) else {
            continue;
        };
        let again_at = match phase {
            // Connection attempts are given up by the network itself.
            Phase::Connecting => now + HANDSHAKE_MAX,
            Phase::Handshaking => heard_at + HANDSHAKE_MAX,
            Phase::Established => {
                let lost_at = heard_at + SILENCE_MAX;
                if traffic.spoke_at + KEEP_ALIVE_AFTER <= now && now < lost_at {
                    traffic.spoke_at = now;
                    spoken.push(peer);
                }
                lost_at.min(traffic.spoke_at + KEEP_ALIVE_AFTER)
            }
        };
        match phase {
            _ if again_at > now => {
                let mut work = world.resource_mut::<Work>();
                work.silence.insert((again_at, peer));
            }
            Phase::Handshaking => silent.push((peer, "no handshake came")),
            Phase::Connecting | Phase::Established => {
                silent.push((peer, "nothing was heard for minutes"));
            }
        }
    }
    let outbox = &mut world.resource_mut::<PortOutbox>().into_inner().0.net;
    outbox.extend(spoken.into_iter().map(|peer| NetCommand::Send {
        peer,
        message: Message::KeepAlive,
    }));
    for (peer, why) in silent {
        drop_peer(world, peer, Drop::lost_silent(why));
    }
    if let Some(&(at, _)) = world.resource::<Work>().silence.first() {
        world.resource_mut::<Wake>().by(at);
    }
}
