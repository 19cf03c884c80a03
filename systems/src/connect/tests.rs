//! Which connections come to be and which stay.

mod candidates;
mod duplicates;
mod limits;

use dunlin_base::TorrentKey;
use dunlin_components::torrent::Peers;

use crate::swarm::Swarm;

/// Peers of a torrent that shook hands.
fn peers_of(swarm: &mut Swarm, torrent: u32) -> usize {
    let world = swarm.engine.world();
    let index = world.resource::<dunlin_components::world::TorrentIndex>();
    let entity = index
        .get(TorrentKey(torrent))
        .expect("a torrent that was added");
    world.get::<Peers>(entity).map_or(0, |peers| peers.0.len())
}
