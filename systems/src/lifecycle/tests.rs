//! Torrents as a whole: pausing, resuming, checking, choosing files, removing, stopping. The swarm
//! checks that a commit never claims what is not on disk, and memory after every tick.

mod commands;
mod commits;
mod disk_trouble;

use core::time::Duration;

use dunlin_base::{NodeKey, TorrentKey};
use dunlin_components::torrent::Lifecycle;
use dunlin_components::world::{MemoryBudget, TorrentIndex};
use dunlin_port::config::EngineConfig;
use dunlin_port::snapshot::SessionEvent;

use crate::swarm::{Sample, Swarm};

const MINUTES: Duration = Duration::from_secs(600);
const PIECE: u32 = 65_536;
const TORRENT: TorrentKey = TorrentKey(1);

/// Node 1 downloads 40 pieces from node 0 at 500 kB/s: about five seconds.
fn download() -> (Swarm, Sample) {
    let sample = Sample::new((40 * PIECE) as usize, PIECE);
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    swarm.lines.insert(NodeKey(0), 500_000);
    swarm.add(0, &sample, true, &[]);
    swarm.add(1, &sample, false, &[0]);
    (swarm, sample)
}

fn state(swarm: &mut Swarm) -> Option<Lifecycle> {
    let world = swarm.engine.world();
    let entity = world.resource::<TorrentIndex>().get(TORRENT)?;
    world.get::<Lifecycle>(entity).cloned()
}

fn count(swarm: &Swarm, event: &SessionEvent) -> usize {
    swarm.events.iter().filter(|other| *other == event).count()
}

fn memory(swarm: &mut Swarm) -> u64 {
    swarm.engine.world().resource::<MemoryBudget>().bytes
}
