//! Whole swarms with faults: they complete, every invariant holds, and runs repeat.

use core::time::Duration;

use dunlin_base::{NodeKey, TorrentKey};
use dunlin_port::config::{ByteSize, EngineConfig};
use dunlin_port::user::UserCommand;

use super::{Sample, Swarm};

/// Eight nodes that all know each other: a seed with a slow line, a poisoner, a mute one, and five
/// that download under limits, two of which pause for a while.
fn run(seed: u64) -> (Swarm, bool) {
    let sample = Sample::new(3_000_000, 65_536);
    let mut config = EngineConfig::default();
    config.limits.up = Some(ByteSize(300_000));
    config.limits.several_connections_per_address = true;
    config.pick.request_timeout_secs = 10;
    let mut swarm = Swarm::with_seed(seed, 8, &config);
    swarm.lines.insert(NodeKey(0), 200_000);
    swarm.corrupt.insert(NodeKey(1));
    swarm.mute.insert(NodeKey(2));
    let all: Vec<u32> = (0..8).collect();
    (0..8).for_each(|node| swarm.add(node, &sample, node < 3, &all));
    for (node, secs) in [(4, 7), (6, 5)] {
        let torrent = TorrentKey(node);
        swarm.run_for(Duration::from_secs(secs));
        swarm.tell(UserCommand::Pause { torrent });
        swarm.run_for(Duration::from_secs(secs));
        swarm.tell(UserCommand::Resume { torrent });
    }
    let done = swarm.run_until(Duration::from_secs(3600), |swarm| (3..8).all(|node| swarm.is_complete(node)));
    (swarm, done)
}

#[test]
fn a_swarm_with_a_poisoner_a_mute_one_and_pauses_completes_with_any_luck() {
    for seed in 0..12 {
        let (swarm, done) = run(seed);
        assert!(done, "seed {seed}: {:?}", swarm.events);
    }
}

#[test]
fn a_swarm_with_faults_repeats_to_the_message() {
    let log = |(swarm, _): (Swarm, bool)| {
        (swarm.now, format!("{:?}", swarm.wire), format!("{:?}", swarm.events), swarm.dials, swarm.commits)
    };
    assert!(log(run(3)) == log(run(3)));
    assert!(log(run(3)).1 != log(run(4)).1, "luck is in the seed");
}
