//! Metadata from honest peers, from others, and to others. The swarm checks its invariants after
//! every tick.

mod hostile;
mod life;
mod serving;

use dunlin_base::{NodeKey, TorrentKey};
use dunlin_components::torrent::Lifecycle;
use dunlin_components::world::TorrentIndex;
use dunlin_port::config::EngineConfig;
use dunlin_port::snapshot::SessionEvent;

use crate::swarm::{Sample, Swarm};

/// A torrent whose info dictionary has three parts: it names many files.
fn sample() -> Sample {
    let sample = Sample::folder(&[300; 1_000], 16_384);
    assert_eq!(sample.info.raw().len().div_ceil(16_384), 3);
    sample
}

fn size(sample: &Sample) -> u32 {
    sample.info.raw().len() as u32
}

/// A node that was given the sample's info hash and knows nobody.
fn node() -> (Swarm, Sample) {
    let (mut swarm, sample) = (Swarm::new(1, &EngineConfig::default()), sample());
    swarm.add_magnet(0, &sample, &[]);
    swarm.step();
    (swarm, sample)
}

fn state(swarm: &mut Swarm, node: u32) -> Option<Lifecycle> {
    let world = swarm.engine.world();
    let entity = world.resource::<TorrentIndex>().get(TorrentKey(node))?;
    world.get::<Lifecycle>(entity).cloned()
}

/// Whether a node was told what its torrent contains.
fn knows(swarm: &Swarm, node: u32, sample: &Sample) -> bool {
    swarm.events.iter().any(|event| {
        matches!(event, SessionEvent::MetadataCame { torrent, info }
            if *torrent == TorrentKey(node) && *info == sample.info)
    })
}

fn bans(swarm: &Swarm) -> usize {
    let events = swarm.events.iter();
    events
        .filter(|event| matches!(event, SessionEvent::PeerBanned { .. }))
        .count()
}

/// The nodes that a node called, in order.
fn dials(swarm: &Swarm, node: u32) -> usize {
    let dials = swarm.dials.iter();
    dials.filter(|(_, who, _)| *who == NodeKey(node)).count()
}
