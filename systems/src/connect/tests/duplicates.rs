//! One connection to a peer, none to ourselves.

use core::time::Duration;

use dunlin_port::config::EngineConfig;

use super::peers_of;
use crate::swarm::puppet::{able, puppet_addr, puppet_id};
use crate::swarm::{Sample, Swarm, addr_of};

const SECONDS: Duration = Duration::from_secs(3);

fn sample() -> Sample {
    Sample::new(400_000, 32_768)
}

/// Both tie-breaks are tried: node 0 has the lower peer id.
#[test]
fn two_that_call_each_other_at_once_keep_one_connection() {
    for complete in [0, 1] {
        let mut swarm = Swarm::new(2, &EngineConfig::default());
        let sample = sample();
        swarm.add(0, &sample, complete == 0, &[1]);
        swarm.add(1, &sample, complete == 1, &[0]);
        swarm.run_for(SECONDS);
        assert_eq!(swarm.dials.len(), 2, "both called, once");
        assert!(swarm.is_complete(1 - complete), "{:?}", swarm.events);
    }
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    let sample = sample();
    swarm.add(0, &sample, false, &[1]);
    swarm.add(1, &sample, false, &[0]);
    swarm.run_for(SECONDS);
    assert_eq!((peers_of(&mut swarm, 0), peers_of(&mut swarm, 1)), (1, 1));
}

/// Calls that cross by less than a round trip, at every offset.
#[test]
fn calls_that_nearly_cross_keep_one_connection() {
    for millis in 0..45 {
        for first in [0, 1] {
            let mut swarm = Swarm::new(2, &EngineConfig::default());
            let sample = sample();
            swarm.add(first, &sample, false, &[]);
            swarm.add(1 - first, &sample, false, &[]);
            swarm.run_for(SECONDS);
            for (node, other) in [(first, 1 - first), (1 - first, first)] {
                let torrent = dunlin_base::TorrentKey(node);
                let addresses = vec![addr_of(other)];
                swarm.tell(dunlin_port::user::UserCommand::AddPeers { torrent, addresses });
                swarm.run_for(Duration::from_millis(millis) + Duration::from_micros(1));
            }
            swarm.run_for(SECONDS);
            let peers = (peers_of(&mut swarm, 0), peers_of(&mut swarm, 1));
            assert_eq!(peers, (1, 1), "{millis} ms apart, {first} first");
        }
    }
}

#[test]
fn a_connection_that_has_stood_for_long_is_not_given_up_for_another() {
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    let sample = sample();
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let old = swarm.join(0, &sample, 1, able());
    swarm.run_for(Duration::from_secs(30));
    let new = swarm.join(0, &sample, 1, able());
    assert!(swarm.closed.contains(&new) && !swarm.closed.contains(&old));
    assert_eq!(peers_of(&mut swarm, 0), 1);
}

#[test]
fn a_second_peer_from_one_address_is_dropped_unless_the_rules_allow_it() {
    for several in [false, true] {
        let mut config = EngineConfig::default();
        config.limits.several_connections_per_address = several;
        let mut swarm = Swarm::new(1, &config);
        let sample = sample();
        swarm.add(0, &sample, false, &[]);
        swarm.step();
        swarm.join(0, &sample, 1, able());
        let peer = swarm.knock(0, puppet_addr(1));
        swarm.shake(peer, &sample, puppet_id(2), able());
        swarm.step();
        assert_eq!(swarm.closed.contains(&peer), !several);
    }
}

#[test]
fn who_calls_itself_hangs_up_and_does_not_call_again() {
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    swarm.add(0, &sample(), false, &[0]);
    swarm.run_for(Duration::from_secs(3 * 3600));
    assert_eq!(swarm.dials.len(), 1, "{:?}", swarm.dials);
    assert_eq!(peers_of(&mut swarm, 0), 0);
}

#[test]
fn a_second_handshake_on_one_connection_ends_it() {
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    let sample = sample();
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let peer = swarm.join(0, &sample, 1, able());
    swarm.shake(peer, &sample, puppet_id(1), able());
    swarm.step();
    assert!(swarm.closed.contains(&peer));
}
