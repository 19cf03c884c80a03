//! What a super-seed shows, to puppets and over small swarms.

use core::time::Duration;

use dunlin_base::{PeerKey, TorrentKey};
use dunlin_components::torrent::Traffic;
use dunlin_components::world::TorrentIndex;
use dunlin_port::config::{ByteSize, EngineConfig};
use dunlin_protocol::wire::{Message, Reserved};

use super::policy::has_spread;
use crate::swarm::puppet::able;
use crate::swarm::{Sample, Swarm};

const PIECE: u32 = 32_768;
const PIECES: u32 = 40;

fn sample() -> Sample {
    Sample::new((PIECES * PIECE) as usize, PIECE)
}

fn rules(super_seed: bool) -> EngineConfig {
    let mut config = EngineConfig::default();
    config.choke.super_seed = super_seed;
    config
}

/// A super-seed and what puppets heard that came to it.
fn seed_with(puppets: u8, able: Reserved) -> (Swarm, Vec<PeerKey>) {
    let sample = sample();
    let mut swarm = Swarm::new(1, &rules(true));
    swarm.add(0, &sample, true, &[]);
    swarm.step();
    swarm.step();
    let peers = (1..=puppets).map(|n| swarm.join(0, &sample, n, able));
    let peers = peers.collect();
    (swarm, peers)
}

/// Pieces that a puppet was shown since the last look.
fn shown(swarm: &mut Swarm, peer: PeerKey) -> Vec<u32> {
    let said = swarm.heard_by(peer).into_iter();
    let piece = |message| match message {
        Message::Have(piece) => Some(piece),
        _ => None,
    };
    said.filter_map(piece).collect()
}

#[test]
fn it_poses_as_a_peer_without_pieces() {
    for able in [able(), Reserved::default()] {
        let (mut swarm, peers) = seed_with(1, able);
        if able.fast() {
            swarm.say(peers[0], Message::HaveNone);
        }
        swarm.step();
        let said = swarm.heard_by(peers[0]);
        let tells = |message: &Message| {
            matches!(
                message,
                Message::HaveAll | Message::Bitfield(_) | Message::AllowedFast(_)
            )
        };
        assert!(!said.iter().any(tells), "{said:?}");
        assert_eq!(said.contains(&Message::HaveNone), able.fast());
        let haves = said.iter().filter(|said| matches!(said, Message::Have(_)));
        assert_eq!(haves.count(), 1, "{said:?}");
    }
}

#[test]
fn each_is_shown_another_piece_and_the_next_one_when_the_last_was_passed_on() {
    let (mut swarm, peers) = seed_with(3, Reserved::default());
    swarm.step();
    let first: Vec<u32> = peers
        .iter()
        .flat_map(|&peer| shown(&mut swarm, peer))
        .collect();
    assert_eq!(first, [0, 1, 2]);
    swarm.say(peers[0], Message::Have(0));
    swarm.step();
    assert_eq!(shown(&mut swarm, peers[0]), [], "it has not passed it on");
    swarm.say(peers[1], Message::Have(0));
    swarm.step();
    assert_eq!(shown(&mut swarm, peers[0]), [3]);
    assert_eq!(shown(&mut swarm, peers[1]), []);
    // What others have already is not worth waiting for.
    swarm.say(peers[0], Message::Have(1));
    swarm.step();
    assert_eq!(shown(&mut swarm, peers[1]), [4]);
}

#[test]
fn who_cannot_pass_it_on_is_shown_more_when_nothing_leaves() {
    let (mut swarm, peers) = seed_with(2, Reserved::default());
    swarm.step();
    assert_eq!(shown(&mut swarm, peers[0]), [0]);
    swarm.say(peers[0], Message::Have(0));
    swarm.run_for(Duration::from_secs(3));
    assert_eq!(shown(&mut swarm, peers[0])[..], [2]);
}

#[test]
fn a_single_leecher_is_shown_piece_after_piece() {
    let config = rules(true);
    let sample = sample();
    let mut swarm = Swarm::new(2, &config);
    swarm.add(0, &sample, true, &[]);
    swarm.add(1, &sample, false, &[0]);
    let done = swarm.run_until(Duration::from_secs(30), |swarm| swarm.is_complete(1));
    assert!(done, "{} of {PIECES} pieces", swarm.on_disk(1));
}

fn uploaded(swarm: &mut Swarm) -> u64 {
    let world = swarm.engine.world();
    let seed = world.resource::<TorrentIndex>().get(TorrentKey(0));
    let traffic = seed.and_then(|seed| world.get::<Traffic>(seed));
    traffic.expect("it is there").up.total_bytes()
}

/// Bytes that the seed sends until the first of ten leechers is complete.
fn sent_until_first(super_seed: bool) -> u64 {
    let mut config = rules(super_seed);
    config.limits.up = Some(ByteSize(200_000));
    let sample = sample();
    let mut swarm = Swarm::new(11, &config);
    swarm.add(0, &sample, true, &[]);
    for node in 1..=10 {
        let known: Vec<u32> = (0..node).collect();
        swarm.add(node, &sample, false, &known);
    }
    let first = |swarm: &mut Swarm| (1..=10).any(|node| swarm.is_complete(node));
    let done = swarm.run_until(Duration::from_secs(600), first);
    assert!(done, "nobody is complete");
    let sent = uploaded(&mut swarm);
    let all = |swarm: &mut Swarm| (1..=10).all(|node| swarm.is_complete(node));
    assert!(
        swarm.run_until(Duration::from_secs(600), all),
        "not all complete"
    );
    sent
}

#[test]
fn little_is_sent_twice() {
    let content = u64::from(PIECES * PIECE);
    let (plain, posing) = (sent_until_first(false), sent_until_first(true));
    assert!(posing * 100 <= content * 125, "{posing} of {content}");
    assert!(posing < plain, "{posing}, {plain} without");
}

#[test]
fn passed_on_is_what_others_have() {
    // Others that have it, whether the peer got it itself, peers.
    for (others, got, peers, expected) in [
        (0, false, 5, false),
        (0, true, 5, false),
        (1, false, 5, true),
        (0, true, 1, true),
        (0, false, 1, false),
    ] {
        assert_eq!(has_spread(others, got, peers), expected, "{others} {got}");
    }
}
