//! The last blocks: asked for twice, and not held up by the slowest.

use core::time::Duration;

use dunlin_base::{EngineTime, NodeKey, TorrentKey};
use dunlin_port::config::{ByteSize, EngineConfig};
use dunlin_port::net::NetEvent;
use dunlin_protocol::wire::{BlockRequest, Message};

use crate::swarm::puppet::able;
use crate::swarm::{Sample, Swarm};

const PIECE: u32 = 65_536;

/// Requests for blocks that another peer was asked for and did not send, with their place in the log.
fn duplicates(swarm: &Swarm) -> Vec<(usize, BlockRequest)> {
    let mut seen = Vec::new();
    let mut twice = Vec::new();
    for (at, (_, message)) in swarm.wire.iter().enumerate() {
        match message {
            Message::Request(block) if seen.contains(block) => twice.push((at, *block)),
            Message::Request(block) => seen.push(*block),
            _ => {}
        }
    }
    twice
}

fn wasted(swarm: &mut Swarm, torrent: u32) -> u64 {
    let snapshot = swarm.engine.snapshot();
    let row = snapshot
        .torrents
        .iter()
        .find(|row| row.torrent == TorrentKey(torrent));
    row.map_or(0, |row| row.wasted_bytes)
}

/// Node 0 is slow, node 1 is fast, node 2 downloads from both.
fn swarm(pieces: u32, slow: u64, fast: u64) -> Swarm {
    swarm_by(&EngineConfig::default(), pieces, slow, fast)
}

/// The same with these rules.
fn swarm_by(rules: &EngineConfig, pieces: u32, slow: u64, fast: u64) -> Swarm {
    let sample = Sample::new((pieces * PIECE) as usize, PIECE);
    let mut swarm = Swarm::new(3, rules);
    swarm.lines.extend([(NodeKey(0), slow), (NodeKey(1), fast)]);
    swarm.add(0, &sample, true, &[]);
    swarm.add(1, &sample, true, &[]);
    swarm.add(2, &sample, false, &[0, 1]);
    swarm
}

#[test]
fn blocks_are_asked_for_twice_only_at_the_end_and_little_is_wasted() {
    let mut swarm = swarm(40, 100_000, 500_000);
    assert!(swarm.run_until(Duration::from_secs(60), |swarm| swarm.is_complete(2)));
    let opened: Vec<_> = swarm
        .wire
        .iter()
        .enumerate()
        .filter(|(_, (_, message))| matches!(message, Message::Request(_)))
        .map(|(at, _)| at)
        .collect();
    let twice = duplicates(&swarm);
    assert!(!twice.is_empty(), "the end of two unequal peers");
    let tail = opened[opened.len() - 60];
    assert!(
        twice.iter().all(|(at, _)| *at > tail),
        "{twice:?} of {}",
        opened.len()
    );
    let wasted = wasted(&mut swarm, 2);
    assert!(wasted <= 8 * 16_384, "{wasted} bytes");
}

#[test]
fn nothing_is_asked_for_twice_without_endgame() {
    let mut rules = EngineConfig::default();
    rules.pick.endgame_requests = 0;
    let mut swarm = swarm_by(&rules, 40, 100_000, 500_000);
    assert!(swarm.run_until(Duration::from_secs(60), |swarm| swarm.is_complete(2)));
    assert_eq!(duplicates(&swarm), []);
}

#[test]
fn who_loses_the_race_is_told() {
    let sample = Sample::new(PIECE as usize, PIECE);
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let [first, second] = [1, 2].map(|n| {
        let peer = swarm.join(0, &sample, n, able());
        swarm.say(peer, Message::HaveAll);
        swarm.say(peer, Message::Unchoke);
        peer
    });
    let asked = swarm.asked_of(first);
    assert_eq!(asked.len(), 4);
    let mut again = swarm.asked_of(second);
    again.sort_by_key(|block| block.begin);
    assert_eq!(again, asked, "all that is left is asked for twice");
    swarm.give(second, &sample, asked[0]);
    swarm.give(first, &sample, asked[0]);
    assert!(
        !swarm.closed.contains(&first),
        "its block crossed our cancel"
    );
    assert_eq!(wasted(&mut swarm, 0), 16_384);
    asked[1..]
        .iter()
        .for_each(|block| swarm.give(second, &sample, *block));
    let cancels: Vec<_> = asked.iter().map(|block| Message::Cancel(*block)).collect();
    assert_eq!(swarm.heard_by(first)[..4], cancels);
    swarm.run_for(Duration::from_millis(10));
    assert!(swarm.is_complete(0));
}

#[test]
fn a_slow_holder_does_not_hold_up_the_end() {
    let mut swarm = swarm(40, 2_000, 500_000);
    assert!(swarm.run_until(Duration::from_secs(60), |swarm| swarm.is_complete(2)));
    // 2.6 MB at 500 kB/s are 5.2 s; one block of the slow one is 8 s.
    assert!(swarm.now < EngineTime::from_secs(8), "{}", swarm.now);
}

#[test]
fn a_mute_holder_does_not_hold_up_the_end() {
    let mut swarm = swarm(40, 500_000, 500_000);
    swarm.mute.insert(NodeKey(0));
    assert!(swarm.run_until(Duration::from_secs(60), |swarm| swarm.is_complete(2)));
    assert!(swarm.now < EngineTime::from_secs(8), "{}", swarm.now);
}

#[test]
fn three_peers_at_most_are_asked_for_a_block() {
    let sample = Sample::new(PIECE as usize, PIECE);
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    for n in 1..=6 {
        let peer = swarm.join(0, &sample, n, able());
        swarm.say(peer, Message::HaveAll);
        swarm.say(peer, Message::Unchoke);
    }
    swarm.run_for(Duration::from_secs(3));
    let asked = |block: u32| {
        let begin = block * 16_384;
        let is = |message: &Message| matches!(message, Message::Request(of) if of.begin == begin);
        swarm.wire.iter().filter(|(_, message)| is(message)).count()
    };
    assert_eq!([0, 1, 2, 3].map(asked), [3; 4]);
}

/// Two come at once, and there is rate for one block a second.
#[test]
fn who_found_no_rate_in_the_end_is_asked_later() {
    let block = 16_384;
    let sample = Sample::new(2 * block as usize, block);
    let mut rules = EngineConfig::default();
    rules.limits.down = Some(ByteSize(block.into()));
    let mut swarm = Swarm::new(1, &rules);
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let mute = swarm.join(0, &sample, 1, able());
    swarm.say(mute, Message::HaveAll);
    swarm.say(mute, Message::Unchoke);
    swarm.run_for(Duration::from_secs(4));
    assert_eq!(swarm.asked_of(mute).len(), 2);
    let others = [0, 1].map(|piece| {
        let peer = swarm.join(0, &sample, 2 + piece as u8, able());
        swarm.say(peer, Message::Have(piece));
        peer
    });
    let unchokes = others.map(|peer| NetEvent::Message {
        peer,
        message: Message::Unchoke,
    });
    swarm.engine.inbox().net.extend(unchokes);
    swarm.step();
    let world = swarm.engine.world();
    let limited = &world.resource::<dunlin_components::world::Work>().limited;
    let until = limited.first().expect("one of them found no rate").0;
    assert!(
        swarm.engine.wake_at() <= until,
        "nobody looks when there is some"
    );
    swarm.run_for(Duration::from_secs(5));
    let counts = others.map(|peer| swarm.asked_of(peer).len());
    assert_eq!(counts, [1, 1]);
}
