//! A copy is whole: it is what the info hash says, or somebody is to blame.

use std::sync::Arc;

use bevy_ecs::prelude::*;
use dunlin_components::peer::MetadataRequests;
use dunlin_components::torrent::{CopyKey, MetadataFetch, Peers, SwarmHash};
use dunlin_protocol::metainfo::Info;

use crate::connect::ban;
use crate::lifecycle::{adopt, condemn};

/// Hashes a whole copy and decides what follows.
pub(super) fn judge(world: &mut World, torrent: Entity, key: CopyKey) {
    let Some(&SwarmHash(expected)) = world.get::<SwarmHash>(torrent) else {
        return;
    };
    let Some(mut fetch) = world.get_mut::<MetadataFetch>(torrent) else {
        return;
    };
    let Some(copy) = fetch.copies.remove(&key) else {
        return;
    };
    let senders = copy.senders();
    let bytes = copy.into_bytes();
    if Info::hash_v1(&bytes) == expected {
        match Info::parse_vec(bytes) {
            Ok(info) if info.version().has_v1() => adopt(world, torrent, &Arc::new(info)),
            Ok(_) => condemn(world, torrent, ONLY_V2.to_owned()),
            Err(error) => {
                let reason = format!("what peers say that it contains cannot be used: {error}");
                condemn(world, torrent, reason);
            }
        }
        return;
    }
    tracing::debug!(
        info_hash = %expected,
        bytes = bytes.len(),
        senders = senders.len(),
        "metadata failed its hash"
    );
    match senders[..] {
        [(_, remote)] => ban(world, torrent, &remote, "sent metadata of another torrent"),
        _ => {
            fetch.one_sender = true;
            fetch.copies.clear();
            forget_requests(world, torrent);
        }
    }
}

const ONLY_V2: &str = "its pieces have hashes of version 2 alone, which cannot be downloaded yet";

/// Answers that are under way belong to copies that are gone.
fn forget_requests(world: &mut World, torrent: Entity) {
    let peers: Vec<_> = world
        .get::<Peers>(torrent)
        .map_or_else(Vec::new, |peers| peers.0.values().copied().collect());
    for peer in peers {
        if let Some(mut requests) = world.get_mut::<MetadataRequests>(peer) {
            requests.asked.clear();
        }
    }
}
