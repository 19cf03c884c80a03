//! Limits of connections, attempts and handshakes; the swarm checks counters after every tick.

use core::time::Duration;

use dunlin_base::TorrentKey;
use dunlin_port::config::EngineConfig;
use dunlin_port::user::UserCommand;

use super::peers_of;
use crate::swarm::puppet::{Puppet, able, puppet_addr, puppet_id};
use crate::swarm::{Sample, Swarm};

fn sample() -> Sample {
    Sample::new(100_000, 32_768)
}

#[test]
fn no_more_connections_are_accepted_than_the_limit() {
    let mut config = EngineConfig::default();
    config.limits.connections = 3;
    let mut swarm = Swarm::new(1, &config);
    let sample = sample();
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let peers: Vec<_> = (1..=5).map(|n| swarm.join(0, &sample, n, able())).collect();
    assert_eq!(peers_of(&mut swarm, 0), 3);
    assert!(swarm.closed.contains(&peers[3]) && swarm.closed.contains(&peers[4]));
    swarm.hang_up(peers[0]);
    swarm.join(0, &sample, 6, able());
    assert_eq!(
        peers_of(&mut swarm, 0),
        3,
        "a slot that is free is given again"
    );
}

#[test]
fn a_torrent_has_no_more_peers_than_its_own_limit() {
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    let sample = sample();
    swarm.add_with(0, &sample, false, &[], |add| {
        add.limits.connections = Some(2);
    });
    swarm.step();
    (1..=4).for_each(|n| {
        swarm.join(0, &sample, n, able());
    });
    assert_eq!(peers_of(&mut swarm, 0), 2);
}

#[test]
fn attempts_under_way_hold_their_limit_and_go_on_when_one_ends() {
    let mut config = EngineConfig::default();
    config.limits.half_open = 2;
    let mut swarm = Swarm::new(1, &config);
    // Nobody is there: each attempt ends after the delay of the link.
    swarm.add(0, &sample(), false, &[11, 12, 13, 14, 15, 16]);
    swarm.step();
    swarm.step();
    assert_eq!(swarm.dials.len(), 2);
    swarm.run_for(Duration::from_secs(1));
    let mut tried: Vec<_> = swarm.dials.iter().map(|dial| dial.2).collect();
    tried.sort_unstable();
    tried.dedup();
    assert_eq!(
        (swarm.dials.len(), tried.len()),
        (6, 6),
        "each is tried once"
    );
}

#[test]
fn attempts_that_never_end_leave_room_for_incoming_peers() {
    let mut config = EngineConfig::default();
    config.limits.half_open = 2;
    let mut swarm = Swarm::new(1, &config);
    let sample = sample();
    (1..=4).for_each(|n| swarm.place_puppet(puppet_addr(n), Puppet::Unreachable));
    swarm.add_with(0, &sample, false, &[], |add| {
        add.peers = (1..=4).map(puppet_addr).collect();
    });
    swarm.run_for(Duration::from_secs(60));
    assert_eq!(swarm.dials.len(), 2);
    swarm.join(0, &sample, 9, able());
    assert_eq!(peers_of(&mut swarm, 0), 1);
}

#[test]
fn handshakes_awaited_from_one_address_hold_their_limit() {
    let mut config = EngineConfig::default();
    config.limits.pending_handshakes_per_address = 2;
    config.limits.several_connections_per_address = true;
    let mut swarm = Swarm::new(1, &config);
    let sample = sample();
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let flood: Vec<_> = (0..4).map(|_| swarm.knock(0, puppet_addr(1))).collect();
    let honest = swarm.knock(0, puppet_addr(2));
    swarm.step();
    assert_eq!(
        swarm.closed.iter().copied().collect::<Vec<_>>(),
        flood[2..],
        "the third and fourth"
    );
    swarm.shake(honest, &sample, puppet_id(2), able());
    swarm.step();
    assert_eq!(peers_of(&mut swarm, 0), 1);
    swarm.run_for(Duration::from_secs(22));
    assert!(
        flood.iter().all(|peer| swarm.closed.contains(peer)),
        "who says nothing is closed"
    );
    let late = swarm.knock(0, puppet_addr(1));
    swarm.step();
    assert!(!swarm.closed.contains(&late), "their places are free again");
}

#[test]
fn who_asks_for_a_torrent_that_is_not_there_or_rests_is_dropped() {
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    let (sample, other) = (sample(), Sample::new(50_000, 16_384));
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let stranger = swarm.join(0, &other, 1, able());
    assert!(swarm.closed.contains(&stranger));
    swarm.step();
    swarm.tell(UserCommand::Pause {
        torrent: TorrentKey(0),
    });
    swarm.step();
    let early = swarm.join(0, &sample, 2, able());
    assert!(swarm.closed.contains(&early));
}
