//! What is requested of whom, and when.

mod limits;
mod order;
mod pipelines;
mod policy;

use dunlin_base::{PeerKey, TorrentKey};
use dunlin_components::peer::Requests;
use dunlin_components::world::PeerIndex;
use dunlin_protocol::wire::Message;

use crate::swarm::puppet::able;
use crate::swarm::{Sample, Swarm};

/// The pieces that a node asked for in the order of their first requests.
fn order_of_pieces(swarm: &Swarm) -> Vec<u32> {
    let mut pieces = Vec::new();
    for (_, message) in &swarm.wire {
        if let Message::Request(block) = message
            && !pieces.contains(&block.piece)
        {
            pieces.push(block.piece);
        }
    }
    pieces
}

fn requests_of(swarm: &mut Swarm, peer: PeerKey) -> Requests {
    let world = swarm.engine.world();
    let entity = world
        .resource::<PeerIndex>()
        .get(peer)
        .expect("it is connected");
    world
        .get::<Requests>(entity)
        .expect("every peer has them")
        .clone()
}

/// A puppet that has everything and lets node 0 download.
fn seed(swarm: &mut Swarm, sample: &Sample, n: u8) -> PeerKey {
    let peer = swarm.join(0, sample, n, able());
    swarm.say(peer, Message::HaveAll);
    swarm.say(peer, Message::Unchoke);
    peer
}

const TORRENT: TorrentKey = TorrentKey(0);
