//! Whole swarms with faults: they complete, every invariant holds, and runs repeat.

use core::time::Duration;

use dunlin_base::{NodeKey, RngStream, StreamName, TorrentKey};
use dunlin_components::torrent::Lifecycle;
use dunlin_components::world::{MemoryBudget, TorrentIndex};
use dunlin_port::config::{ByteSize, EngineConfig};
use dunlin_port::user::{FilePriority, TorrentLimits, UserCommand};

use super::{Sample, Swarm, addr_of};

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
    let done = swarm.run_until(Duration::from_secs(3600), |swarm| {
        (3..8).all(|node| swarm.is_complete(node))
    });
    (swarm, done)
}

#[test]
fn a_swarm_with_a_poisoner_a_mute_one_and_pauses_completes_with_any_luck() {
    for seed in 0..6 {
        let (swarm, done) = run(seed);
        assert!(done, "seed {seed}: {:?}", swarm.events);
    }
}

#[test]
fn a_swarm_with_faults_repeats_to_the_message() {
    let log = |(swarm, _): (Swarm, bool)| {
        (
            swarm.now,
            format!("{:?}", swarm.wire),
            format!("{:?}", swarm.events),
            swarm.dials,
            swarm.commits,
        )
    };
    assert!(log(run(3)) == log(run(3)));
    assert!(log(run(3)).1 != log(run(4)).1, "luck is in the seed");
}

/// What a person and the disk may do to a torrent, at any time and in any order.
fn disturb(swarm: &mut Swarm, luck: &mut RngStream) {
    let node = 1 + luck.below(3) as u32;
    let torrent = TorrentKey(node);
    let priority = |luck: &mut RngStream| match luck.below(4) {
        0 => FilePriority::Skip,
        1 => FilePriority::Low,
        2 => FilePriority::Normal,
        _ => FilePriority::High,
    };
    match luck.below(12) {
        0 => swarm.tell(UserCommand::Pause { torrent }),
        1 | 2 => swarm.tell(UserCommand::Resume { torrent }),
        // Of two checks at once the answer to the first would be believed before the second.
        3 if !is_opening(swarm, torrent) => swarm.tell(UserCommand::Recheck { torrent }),
        4 => {
            let priorities = (0..3).map(|_| priority(luck)).collect();
            swarm.tell(UserCommand::SetFilePriorities {
                torrent,
                priorities,
            });
        }
        5 => swarm.damage(node, luck.below(19) as u32),
        6 => swarm.hashers_rest = !swarm.hashers_rest,
        7 => swarm.disk_rests = !swarm.disk_rests,
        8 => {
            if !swarm.full.remove(&torrent) {
                swarm.full.insert(torrent);
            }
        }
        9 => {
            let rate = |luck: &mut RngStream| (luck.below(3) > 0).then(|| 1000 * luck.below(300));
            let limits = TorrentLimits {
                down_bytes_per_sec: rate(luck),
                up_bytes_per_sec: rate(luck),
                peer_down_bytes_per_sec: rate(luck),
                peer_up_bytes_per_sec: rate(luck),
                connections: None,
            };
            swarm.tell(UserCommand::SetLimits { torrent, limits });
        }
        10 => {
            let (start, len) = (luck.below(1_200_000), luck.below(300_000));
            swarm.tell(UserCommand::SetDeadlines {
                torrent,
                start,
                len,
            });
        }
        _ => {
            let others = (0..4).filter(|other| *other != node).map(addr_of).collect();
            swarm.tell(UserCommand::AddPeers {
                torrent,
                addresses: others,
            });
        }
    }
}

fn is_opening(swarm: &mut Swarm, torrent: TorrentKey) -> bool {
    let world = swarm.engine.world();
    let entity = world.resource::<TorrentIndex>().get(torrent);
    let state = entity.and_then(|entity| world.get::<Lifecycle>(entity));
    matches!(state, None | Some(Lifecycle::Opening { .. }))
}

/// Everything is as it should be again.
fn calm(swarm: &mut Swarm) {
    (swarm.hashers_rest, swarm.disk_rests) = (false, false);
    swarm.full.clear();
    for torrent in (1..4).map(TorrentKey) {
        let limits = TorrentLimits::default();
        swarm.tell(UserCommand::SetLimits { torrent, limits });
        let priorities = vec![FilePriority::Normal; 3];
        swarm.tell(UserCommand::SetFilePriorities {
            torrent,
            priorities,
        });
        swarm.tell(UserCommand::Resume { torrent });
        // What was damaged behind the disk's back is found.
        swarm.tell(UserCommand::Recheck { torrent });
    }
}

#[test]
fn whatever_is_done_to_torrents_they_complete_when_it_ends() {
    for seed in 0..16 {
        let mut luck = RngStream::new(seed, NodeKey(0), StreamName::Identity);
        let sample = Sample::folder(&[400_000, 410_000, 420_000], 65_536);
        let mut swarm = Swarm::with_seed(seed, 4, &EngineConfig::default());
        let bytes_max = [100_000, 500_000, 64 << 20][luck.below(3) as usize];
        swarm
            .engine
            .world()
            .resource_mut::<MemoryBudget>()
            .bytes_max = bytes_max;
        swarm.lines.insert(NodeKey(0), 300_000);
        (0..4).for_each(|node| swarm.add(node, &sample, node == 0, &[0, 1, 2, 3]));
        for _ in 0..60 {
            swarm.run_for(Duration::from_millis(luck.below(400)));
            disturb(&mut swarm, &mut luck);
        }
        calm(&mut swarm);
        let all = |swarm: &mut Swarm| (1..4).all(|node| swarm.is_complete(node));
        let done = swarm.run_until(Duration::from_secs(3600), all);
        let have: Vec<_> = (1..4).map(|node| swarm.on_disk(node)).collect();
        assert!(
            done,
            "seed {seed}: {have:?} {:?}",
            swarm.engine.snapshot().torrents[1].why
        );
    }
}
