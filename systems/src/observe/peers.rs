//! A torrent's peers as viewers see them.

use bevy_ecs::prelude::*;
use dunlin_base::{EngineTime, PeerKey};
use dunlin_components::peer::{
    AmChoking, AmInterested, Extensions, Hello, PeerChoking, PeerInterested, PeerTraffic, Remote,
    RemoteHave, Requests,
};
use dunlin_components::torrent::Peers;
use dunlin_port::snapshot::{PeerFlags, PeerView};

use super::client;

/// The peers that shook hands, by key.
pub(super) fn of_torrent(world: &World, torrent: Entity, now: EngineTime) -> Vec<PeerView> {
    let Some(peers) = world.get::<Peers>(torrent) else {
        return Vec::new();
    };
    let rows = peers.0.iter();
    rows.filter_map(|(&peer, &entity)| view(world, peer, entity, now))
        .collect()
}

fn view(world: &World, peer: PeerKey, entity: Entity, now: EngineTime) -> Option<PeerView> {
    let row = world.get_entity(entity).ok()?;
    let traffic = row.get::<PeerTraffic>()?;
    let have = row.get::<RemoteHave>();
    let named = row
        .get::<Extensions>()
        .and_then(|extensions| extensions.client.as_deref());
    let hello = row.get::<Hello>();
    Some(PeerView {
        peer,
        addr: row.get::<Remote>()?.addr,
        client: client::name(named, hello.map(|hello| &hello.peer_id)),
        have_pieces: have.map_or(0, |have| have.bits.count()),
        down_bytes_per_sec: traffic.down.bytes_per_sec(now),
        up_bytes_per_sec: traffic.up.bytes_per_sec(now),
        downloaded_bytes: traffic.down.total_bytes(),
        uploaded_bytes: traffic.up.total_bytes(),
        flags: flags(world, entity, peer)?,
        requests: u32::try_from(row.get::<Requests>()?.out.len()).unwrap_or(u32::MAX),
    })
}

pub(super) fn flags(world: &World, entity: Entity, peer: PeerKey) -> Option<PeerFlags> {
    let row = world.get_entity(entity).ok()?;
    Some(PeerFlags {
        am_choking: row.get::<AmChoking>()?.0,
        am_interested: row.get::<AmInterested>()?.0,
        peer_choking: row.get::<PeerChoking>()?.0,
        peer_interested: row.get::<PeerInterested>()?.0,
        snubbed: row.get::<Requests>()?.snubbed,
        incoming: peer.is_incoming(),
    })
}
