//! What peers say, honest or not. After every tick the swarm compares availability with what the
//! connected peers have, and outstanding requests with the blocks that they are noted at.

mod answers;
mod haves;
mod parole;
mod requests;

use dunlin_base::{PeerKey, TorrentKey};
use dunlin_components::torrent::Traffic;
use dunlin_components::world::TorrentIndex;
use dunlin_port::config::EngineConfig;
use dunlin_protocol::wire::{Message, Reserved};

use crate::swarm::{Sample, Swarm};

/// Ten pieces of two blocks, the last one shorter.
fn sample() -> Sample {
    Sample::new(9 * 32_768 + 20_000, 32_768)
}

/// A node with the sample, complete or empty.
fn node(complete: bool) -> (Swarm, Sample) {
    let (mut swarm, sample) = (Swarm::new(1, &EngineConfig::default()), sample());
    swarm.add(0, &sample, complete, &[]);
    swarm.step();
    swarm.step();
    (swarm, sample)
}

/// A puppet that has everything and lets the node download.
fn seed(swarm: &mut Swarm, sample: &Sample, n: u8, able: Reserved) -> PeerKey {
    let peer = swarm.join(0, sample, n, able);
    swarm.say(peer, Message::Bitfield(vec![0xff, 0xc0].into()));
    swarm.say(peer, Message::Unchoke);
    peer
}

fn wasted(swarm: &mut Swarm) -> u64 {
    let world = swarm.engine.world();
    let entity = world
        .resource::<TorrentIndex>()
        .get(TorrentKey(0))
        .expect("it was added");
    world
        .get::<Traffic>(entity)
        .map_or(0, |traffic| traffic.wasted_bytes)
}
