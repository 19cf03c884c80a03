//! How many requests are out, and what becomes of those that are not answered.

use core::time::Duration;

use dunlin_base::NodeKey;
use dunlin_port::config::EngineConfig;
use dunlin_protocol::wire::Message;

use super::{requests_of, seed};
use crate::swarm::{Sample, Swarm};

const PIECE: u32 = 262_144;

/// Answers what a puppet is asked, round by round; returns how many requests each round had.
fn rounds(
    swarm: &mut Swarm,
    sample: &Sample,
    peer: dunlin_base::PeerKey,
    count: usize,
) -> Vec<usize> {
    let mut sizes = Vec::new();
    for _ in 0..count {
        let asked = swarm.asked_of(peer);
        asked
            .iter()
            .for_each(|block| swarm.give(peer, sample, *block));
        sizes.push(asked.len());
        swarm.run_for(Duration::from_millis(50));
    }
    sizes
}

#[test]
fn a_pipeline_doubles_until_it_holds_what_the_peer_queues() {
    for reqq in [1, 3, 60, 500] {
        let sample = Sample::new(160 * PIECE as usize, PIECE);
        let mut swarm = Swarm::new(1, &EngineConfig::default());
        swarm.add(0, &sample, false, &[]);
        swarm.step();
        let peer = swarm.join(0, &sample, 1, crate::swarm::puppet::able());
        swarm.say_reqq(peer, reqq);
        swarm.say(peer, Message::HaveAll);
        swarm.say(peer, Message::Unchoke);
        let mut most = 0;
        for _ in 0..10 {
            rounds(&mut swarm, &sample, peer, 1);
            most = most.max(requests_of(&mut swarm, peer).out.len());
        }
        assert_eq!(
            most, reqq as usize,
            "requests out at a peer that queues {reqq}"
        );
    }
}

#[test]
fn a_peer_that_does_not_say_is_asked_for_no_more_than_old_clients_queue() {
    let sample = Sample::new(120 * PIECE as usize, PIECE);
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let peer = seed(&mut swarm, &sample, 1);
    let mut most = 0;
    for _ in 0..9 {
        rounds(&mut swarm, &sample, peer, 1);
        most = most.max(requests_of(&mut swarm, peer).out.len());
    }
    assert_eq!(most, 250);
}

/// The mute peer is asked first, since it is there first.
#[test]
fn a_mute_peer_is_snubbed_and_others_take_over() {
    let sample = Sample::new(8 * PIECE as usize, PIECE);
    let mut config = EngineConfig::default();
    config.pick.request_timeout_secs = 20;
    let mut swarm = Swarm::new(3, &config);
    swarm.mute.insert(NodeKey(0));
    swarm.add(0, &sample, true, &[]);
    swarm.add(1, &sample, true, &[]);
    swarm.add(2, &sample, false, &[0]);
    swarm.run_for(Duration::from_secs(19));
    let addresses = vec![crate::swarm::addr_of(1)];
    let torrent = dunlin_base::TorrentKey(2);
    swarm.tell(dunlin_port::user::UserCommand::AddPeers { torrent, addresses });
    assert!(
        swarm.run_until(Duration::from_secs(10), |swarm| swarm.is_complete(2)),
        "{:?}",
        swarm.events
    );
}

#[test]
fn a_peer_that_owes_blocks_is_asked_for_one_at_a_time_until_it_sends_again() {
    let sample = Sample::new(8 * PIECE as usize, PIECE);
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let peer = seed(&mut swarm, &sample, 1);
    assert_eq!(swarm.asked_of(peer).len(), 4);
    swarm.run_for(Duration::from_secs(62));
    assert!(requests_of(&mut swarm, peer).snubbed);
    let asked = swarm.asked_of(peer);
    assert_eq!(asked.len(), 1);
    swarm.give(peer, &sample, asked[0]);
    assert!(!requests_of(&mut swarm, peer).snubbed);
    swarm.run_for(Duration::from_secs(2));
    assert!(requests_of(&mut swarm, peer).out.len() > 1);
}

#[test]
fn blocks_that_nobody_asked_for_put_off_no_timeout() {
    let sample = Sample::new(8 * PIECE as usize, PIECE);
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let peer = seed(&mut swarm, &sample, 1);
    let mut junk = swarm.asked_of(peer)[0];
    junk.piece = (junk.piece + 1) % 8;
    for _ in 0..4 {
        swarm.give(peer, &sample, junk);
        swarm.run_for(Duration::from_secs(20));
    }
    assert!(requests_of(&mut swarm, peer).snubbed);
}
