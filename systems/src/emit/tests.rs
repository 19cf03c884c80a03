//! What the wire is told.

use core::time::Duration;

use bevy_ecs::prelude::*;
use dunlin_base::{PeerKey, PieceIndex};
use dunlin_components::peer::{AllowedFast, AmChoking};
use dunlin_components::world::{PeerIndex, Work};
use dunlin_port::config::{ByteSize, EngineConfig};
use dunlin_protocol::wire::{BlockRequest, Message, Reserved};

use crate::swarm::puppet::able;
use crate::swarm::{Sample, Swarm};

const BLOCK: u32 = 16_384;

fn sample() -> Sample {
    Sample::new((40 * BLOCK) as usize, BLOCK)
}

fn row(swarm: &mut Swarm, peer: PeerKey) -> (&mut World, Entity) {
    let world = swarm.engine.world();
    let entity = world
        .resource::<PeerIndex>()
        .get(peer)
        .expect("it is connected");
    (world, entity)
}

/// Chokes a peer as a choke round would.
fn choke(swarm: &mut Swarm, peer: PeerKey) {
    let (world, entity) = row(swarm, peer);
    world.entity_mut(entity).insert(AmChoking(true));
    world.resource_mut::<Work>().flags.insert(peer);
    swarm.step();
}

#[test]
fn a_choke_voids_what_waits_and_says_so_to_who_understands() {
    for able in [able(), Reserved::default()] {
        let mut config = EngineConfig::default();
        config.limits.up = Some(ByteSize(1));
        let mut swarm = Swarm::new(1, &config);
        let sample = sample();
        swarm.add(0, &sample, true, &[]);
        swarm.step();
        swarm.step();
        let peer = swarm.join(0, &sample, 1, able);
        let (world, entity) = row(&mut swarm, peer);
        let free = world
            .get::<AllowedFast>(entity)
            .expect("every peer has them")
            .to_it
            .clone();
        assert_eq!(free.len(), if able.fast() { 5 } else { 0 });
        swarm.say(peer, Message::Interested);
        let block = |piece| BlockRequest {
            piece,
            begin: 0,
            len: BLOCK,
        };
        (0..40).for_each(|piece| swarm.say(peer, Message::Request(block(piece))));
        swarm.heard_by(peer);
        // The first went into the first burst.
        let sent = swarm.blocks.len() as u32;
        choke(&mut swarm, peer);
        let said = swarm.heard_by(peer);
        assert_eq!(said[0], Message::Choke);
        let void = (sent..40).filter(|piece| !free.contains(&PieceIndex(*piece)));
        let rejects: Vec<_> = void
            .filter(|_| able.fast())
            .map(|piece| Message::Reject(block(piece)))
            .collect();
        assert_eq!(said[1..], rejects);
        swarm.run_for(Duration::from_secs(5));
        assert_eq!(swarm.blocks.len() as u32, sent, "nothing is sent any more");
    }
}

#[test]
fn a_piece_is_told_to_those_who_lack_it_and_to_nobody_twice() {
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    let sample = sample();
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let seed = swarm.join(0, &sample, 1, able());
    let empty = swarm.join(0, &sample, 2, able());
    let half = swarm.join(0, &sample, 3, able());
    swarm.say(half, Message::Bitfield(vec![0xff, 0xff, 0xf0, 0, 0].into()));
    swarm.say(empty, Message::HaveNone);
    swarm.say(seed, Message::HaveAll);
    swarm.say(seed, Message::Unchoke);
    let mut told = [Vec::new(), Vec::new()];
    while !swarm.is_complete(0) {
        let asked = swarm.asked_of(seed);
        assert!(
            swarm
                .heard
                .iter()
                .all(|(to, message)| *to != seed || !matches!(message, Message::Have(_)))
        );
        asked
            .iter()
            .for_each(|block| swarm.give(seed, &sample, *block));
        swarm.run_for(Duration::from_millis(10));
        for (peer, told) in [empty, half].into_iter().zip(&mut told) {
            let haves = swarm
                .heard_by(peer)
                .into_iter()
                .filter_map(|message| match message {
                    Message::Have(piece) => Some(piece),
                    _ => None,
                });
            told.extend(haves);
        }
    }
    told.iter_mut().for_each(|told| told.sort_unstable());
    assert!(
        told[0].iter().copied().eq(0..40) && told[1].iter().copied().eq(20..40),
        "{told:?}"
    );
}

#[test]
fn silence_is_broken_after_a_hundred_seconds_and_ends_after_four_minutes() {
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    let sample = sample();
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let silent = swarm.join(0, &sample, 1, able());
    let alive = swarm.join(0, &sample, 2, able());
    swarm.heard_by(silent);
    swarm.run_for(Duration::from_secs(99));
    assert_eq!(swarm.heard_by(silent), []);
    swarm.run_for(Duration::from_secs(3));
    assert_eq!(swarm.heard_by(silent), [Message::KeepAlive]);
    swarm.say(alive, Message::KeepAlive);
    swarm.run_for(Duration::from_secs(100));
    assert_eq!(swarm.heard_by(silent), [Message::KeepAlive]);
    assert!(swarm.closed.is_empty());
    swarm.run_for(Duration::from_secs(41));
    assert!(swarm.closed.contains(&silent) && !swarm.closed.contains(&alive));
}

#[test]
fn two_idle_nodes_keep_their_connection_for_hours() {
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    let sample = sample();
    swarm.add(0, &sample, false, &[1]);
    swarm.add(1, &sample, false, &[]);
    swarm.run_for(Duration::from_secs(4 * 3600));
    assert_eq!(swarm.dials.len(), 1);
    assert!(swarm.closed.is_empty());
}

#[test]
fn interest_is_told_when_it_begins_and_when_it_ends() {
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    let sample = sample();
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let peer = swarm.join(0, &sample, 1, able());
    swarm.say(peer, Message::HaveNone);
    swarm.heard_by(peer);
    swarm.say(peer, Message::Have(3));
    assert_eq!(swarm.heard_by(peer), [Message::Interested]);
    swarm.say(peer, Message::Unchoke);
    for block in swarm.asked_of(peer) {
        swarm.give(peer, &sample, block);
    }
    swarm.run_for(Duration::from_millis(50));
    assert_eq!(swarm.heard_by(peer), [Message::NotInterested]);
}
