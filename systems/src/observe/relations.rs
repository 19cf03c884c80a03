//! Who is connected to whom, and how they get on.

use std::net::SocketAddr;

use bevy_ecs::prelude::*;
use dunlin_base::NodeKey;
use dunlin_components::node::ChokeRound;
use dunlin_components::peer::{
    AmChoking, AmInterested, PeerOf, PeerTraffic, Phase, Remote, RemoteHave,
};
use dunlin_components::torrent::{Lifecycle, NodeOf};
use dunlin_components::world::PeerIndex;

/// An established connection, from the side of one of our nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relation {
    /// Our end.
    pub node: NodeKey,
    /// The other end.
    pub addr: SocketAddr,
    /// Whether our end lacks something that it wants.
    pub downloads: bool,
    /// Whether the other end has everything.
    pub other_is_complete: bool,
    /// Whether the other end has something that ours wants.
    pub interested: bool,
    /// Whether our end has the other one unchoked.
    pub unchokes: bool,
    /// Whether that is the optimistic unchoke.
    pub by_luck: bool,
    /// Payload from our end to the other one.
    pub up_bytes: u64,
    /// Payload from the other end to ours.
    pub down_bytes: u64,
}

/// All established connections of all nodes, in the order of their keys.
pub(crate) fn relations(world: &World) -> Vec<Relation> {
    let index = world.resource::<PeerIndex>().iter();
    index
        .filter_map(|(peer, entity)| {
            let row = world.entity(entity);
            if row.get::<Phase>() != Some(&Phase::Established) {
                return None;
            }
            let torrent = row.get::<PeerOf>()?.0;
            let round = world.get::<ChokeRound>(world.get::<NodeOf>(torrent)?.0)?;
            let remote = row.get::<Remote>()?;
            let traffic = row.get::<PeerTraffic>()?;
            Some(Relation {
                node: remote.node,
                addr: remote.addr,
                downloads: world.get::<Lifecycle>(torrent) == Some(&Lifecycle::Downloading),
                other_is_complete: row.get::<RemoteHave>()?.bits.is_full(),
                interested: row.get::<AmInterested>()?.0,
                unchokes: !row.get::<AmChoking>()?.0,
                by_luck: round.optimistic == Some(peer),
                up_bytes: traffic.up.total_bytes(),
                down_bytes: traffic.down.total_bytes(),
            })
        })
        .collect()
}
