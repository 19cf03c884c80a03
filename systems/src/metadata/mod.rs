//! Decides whom to ask for the metadata of a torrent that has none, what to believe of it, and who
//! gets ours.
//!
//! Reads:   routed metadata events, `Extensions`, `Peers`, `Lifecycle`, `SwarmHash`, `Content`
//! Writes:  `MetadataFetch`, `MetadataRequests`, `MetadataUploads`, `Timers`; what `lifecycle::adopt` does
//! Emits:   requests, parts and rejects; bans
//! Cadence: when a message came or a timer is due; nothing for a torrent that has its metadata
//! Spec:    BEP 9 (ut_metadata), BEP 10
//!
//! All peers that say the same length fill one copy together. If it is bad and had several senders,
//! each peer is asked for a copy of its own from then on, and who sends a bad one alone is banned.
//! What comes from trackers and from the person in charge is all that there is of peers, so nothing
//! changes when a torrent turns out to be private (BEP 27).

mod fetch;
mod judge;
mod policy;
mod serve;
#[cfg(test)]
mod tests;

use bevy_ecs::prelude::*;
use dunlin_base::PeerKey;
use dunlin_components::peer::PeerOf;
use dunlin_components::torrent::{MetadataFetch, Torrent};
use dunlin_components::world::{MetadataFamily, PeerIndex, RoutedEvents, TorrentIndex, Work};
use dunlin_protocol::wire::extension::MetadataMessage;

/// Runs in Receive, between the handshakes that offer metadata and the messages whose meaning
/// depends on it. Over the world at once: it is rare, and what follows from it touches many tables.
pub(crate) fn exchange_metadata(world: &mut World) {
    let events = core::mem::take(&mut world.resource_mut::<RoutedEvents>().metadata);
    for (peer, event) in events {
        let Some(entity) = world.resource::<PeerIndex>().get(peer) else {
            continue;
        };
        let Some(&PeerOf(torrent)) = world.get::<PeerOf>(entity) else {
            continue;
        };
        match event {
            MetadataFamily::Greeted if world.get::<MetadataFetch>(torrent).is_none() => continue,
            MetadataFamily::Greeted => {}
            MetadataFamily::Message(payload) => {
                hear(
                    world,
                    Party {
                        peer,
                        entity,
                        torrent,
                    },
                    &payload,
                );
            }
        }
        // A ban may have ended the torrent's last peer, never the torrent.
        let Some(key) = world.get::<Torrent>(torrent).map(|row| row.0) else {
            continue;
        };
        world.resource_mut::<Work>().metadata.insert(key);
    }
    for key in core::mem::take(&mut world.resource_mut::<Work>().metadata) {
        let Some(torrent) = world.resource::<TorrentIndex>().get(key) else {
            continue;
        };
        if world.get::<MetadataFetch>(torrent).is_some() {
            fetch::ask(world, key, torrent);
        } else {
            serve::send_on(world, key, torrent);
        }
    }
}

/// A peer and its torrent.
#[derive(Clone, Copy)]
struct Party {
    peer: PeerKey,
    entity: Entity,
    torrent: Entity,
}

fn hear(world: &mut World, from: Party, payload: &[u8]) {
    match MetadataMessage::decode(payload) {
        Ok(MetadataMessage::Request { piece }) => serve::queue(world, from, piece),
        Ok(MetadataMessage::Data {
            piece,
            total_size,
            data,
        }) => fetch::take(world, from, piece, total_size, data),
        Ok(MetadataMessage::Reject { piece }) => fetch::refused(world, from, piece),
        Ok(MetadataMessage::Unknown) => {}
        Err(error) => fault(world, from.peer, error.to_string()),
    }
}

fn fault(world: &mut World, peer: PeerKey, why: String) {
    world.resource_mut::<Work>().drop.push((peer, why));
}
