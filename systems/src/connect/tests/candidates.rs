//! Addresses: tried, tried again, given up.

use core::time::Duration;

use dunlin_base::{EngineTime, NodeKey, TorrentKey};
use dunlin_port::config::EngineConfig;
use dunlin_port::user::UserCommand;

use super::peers_of;
use crate::swarm::puppet::{Puppet, able, puppet_addr, puppet_id};
use crate::swarm::{Sample, Swarm, addr_of};

fn sample() -> Sample {
    Sample::new(400_000, 32_768)
}

fn dial_secs(swarm: &Swarm) -> Vec<u64> {
    swarm
        .dials
        .iter()
        .map(|(at, ..)| at.since(EngineTime::START).as_secs())
        .collect()
}

#[test]
fn an_address_where_nobody_is_is_tried_more_and_more_rarely() {
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    swarm.add(0, &sample(), false, &[77]);
    swarm.run_for(Duration::from_secs(3000));
    assert_eq!(dial_secs(&swarm), [0, 5, 20, 80, 260, 860, 2660]);
}

#[test]
fn who_takes_a_call_and_says_nothing_is_given_up_and_tried_more_and_more_rarely() {
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    swarm.place_puppet(puppet_addr(1), Puppet::Silent);
    swarm.add_with(0, &sample(), false, &[], |add| {
        add.peers = vec![puppet_addr(1)];
    });
    swarm.run_for(Duration::from_secs(19));
    assert!(swarm.closed.is_empty());
    swarm.run_for(Duration::from_secs(200));
    assert_eq!(swarm.closed.len(), 4);
    let gaps: Vec<_> = dial_secs(&swarm)
        .windows(2)
        .map(|two| two[1] - two[0])
        .collect();
    assert!(
        gaps.iter()
            .zip([25, 35, 80])
            .all(|(gap, at_least)| *gap >= at_least),
        "{gaps:?}"
    );
}

#[test]
fn who_hangs_up_as_soon_as_it_shook_hands_is_tried_more_and_more_rarely() {
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    let (sample, torrent) = (sample(), TorrentKey(1));
    swarm.add(0, &sample, false, &[1]);
    swarm.add(1, &sample, false, &[]);
    for _ in 0..600 {
        swarm.run_for(Duration::from_millis(500));
        if peers_of(&mut swarm, 1) > 0 {
            swarm.tell(UserCommand::Pause { torrent });
            swarm.tell(UserCommand::Resume { torrent });
        }
    }
    assert!(swarm.dials.len() <= 5, "{:?}", dial_secs(&swarm));
}

#[test]
fn an_address_of_another_torrent_is_not_tried_again_soon() {
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    swarm.add(0, &sample(), false, &[1]);
    swarm.add(1, &Sample::new(50_000, 16_384), false, &[]);
    swarm.run_for(Duration::from_secs(60));
    assert!(swarm.dials.len() <= 3, "{:?}", dial_secs(&swarm));
    assert_eq!(peers_of(&mut swarm, 0), 0);
}

#[test]
fn who_is_banned_stays_out_both_ways() {
    let mut config = EngineConfig::default();
    config.limits.several_connections_per_address = true;
    let mut swarm = Swarm::new(2, &config);
    let sample = sample();
    swarm.corrupt.insert(NodeKey(0));
    swarm.add(0, &sample, true, &[]);
    swarm.add(1, &sample, false, &[0]);
    assert!(swarm.run_until(Duration::from_secs(60), |swarm| {
        let is_ban = |event: &_| {
            matches!(
                event,
                dunlin_port::snapshot::SessionEvent::PeerBanned { .. }
            )
        };
        swarm.events.iter().any(is_ban)
    }));
    swarm.dials.clear();
    let addresses = vec![addr_of(0)];
    swarm.tell(UserCommand::AddPeers {
        torrent: TorrentKey(1),
        addresses,
    });
    swarm.run_for(Duration::from_secs(7200));
    assert_eq!(swarm.dials, [], "out");
    let peer = swarm.knock(1, std::net::SocketAddr::new(addr_of(0).ip(), 5));
    swarm.shake(peer, &sample, puppet_id(1), able());
    swarm.step();
    assert!(swarm.closed.contains(&peer), "in");
    let other = swarm.join(1, &sample, 2, able());
    assert!(!swarm.closed.contains(&other), "others are welcome");
}

#[test]
fn two_seeds_do_not_stay_connected() {
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    let sample = sample();
    swarm.add(0, &sample, true, &[1]);
    swarm.add(1, &sample, true, &[]);
    swarm.run_for(Duration::from_secs(600));
    assert_eq!((peers_of(&mut swarm, 0), peers_of(&mut swarm, 1)), (0, 0));
    assert!(swarm.dials.len() <= 2, "{:?}", dial_secs(&swarm));
}

#[test]
fn a_leecher_that_completes_leaves_its_seed() {
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    let sample = sample();
    swarm.add(0, &sample, true, &[]);
    swarm.add(1, &sample, false, &[0]);
    assert!(swarm.run_until(Duration::from_secs(60), |swarm| swarm.is_complete(1)));
    swarm.run_for(Duration::from_secs(5));
    assert_eq!((peers_of(&mut swarm, 0), peers_of(&mut swarm, 1)), (0, 0));
}

#[test]
fn a_paused_torrent_drops_its_peers_and_comes_back_at_once() {
    let mut config = EngineConfig::default();
    config.limits.up = Some(dunlin_port::config::ByteSize(20_000));
    let mut swarm = Swarm::new(2, &config);
    let (sample, torrent) = (sample(), TorrentKey(1));
    swarm.add(0, &sample, true, &[]);
    swarm.add(1, &sample, false, &[0]);
    swarm.run_for(Duration::from_secs(5));
    assert_eq!(peers_of(&mut swarm, 1), 1);
    swarm.tell(UserCommand::Pause { torrent });
    swarm.run_for(Duration::from_secs(600));
    assert_eq!((peers_of(&mut swarm, 0), peers_of(&mut swarm, 1)), (0, 0));
    assert_eq!(swarm.dials.len(), 1);
    swarm.tell(UserCommand::Resume { torrent });
    swarm.run_for(Duration::from_millis(100));
    assert_eq!(peers_of(&mut swarm, 1), 1);
    assert!(swarm.run_until(Duration::from_secs(60), |swarm| swarm.is_complete(1)));
}

#[test]
fn addresses_that_come_later_are_tried_at_once() {
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    swarm.add(0, &sample(), false, &[]);
    swarm.run_for(Duration::from_secs(5));
    let addresses = vec![puppet_addr(1)];
    swarm.tell(UserCommand::AddPeers {
        torrent: TorrentKey(0),
        addresses,
    });
    swarm.step();
    assert_eq!(swarm.dials.len(), 1);
}

/// A node that has all the connections it wants is no dead address: it is tried every few minutes.
#[test]
fn who_hangs_up_for_want_of_room_is_not_given_up() {
    let sample = Sample::new(100_000, 32_768);
    let mut swarm = Swarm::new(3, &EngineConfig::default());
    swarm.add_with(0, &sample, false, &[], |add| {
        add.limits.connections = Some(1);
    });
    swarm.add(1, &sample, false, &[0]);
    swarm.run_for(Duration::from_secs(1));
    swarm.add(2, &sample, false, &[0]);
    swarm.run_for(Duration::from_secs(3600));
    let dials = swarm.dials.iter().filter(|dial| dial.1 == NodeKey(2));
    let dials: Vec<_> = dials.map(|dial| dial.0).collect();
    assert!(dials.len() > 18, "{} in an hour", dials.len());
    let gaps = dials.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(gaps.max() <= Some(Duration::from_secs(182)));
}
