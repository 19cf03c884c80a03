//! What peers ask of us.

use core::time::Duration;

use dunlin_base::PeerKey;
use dunlin_base::limits::{PEER_REJECTS_MAX, PEER_REQUESTS_IN_MAX};
use dunlin_port::config::{ByteSize, EngineConfig};
use dunlin_protocol::wire::{BlockRequest, Message, Reserved};

use crate::swarm::puppet::able;
use crate::swarm::{Sample, Swarm};

const BLOCK: u32 = 16_384;
const PIECES: u32 = 40;

/// A seed of more pieces than are allowed-fast, which sends `up` bytes a second.
fn node(up: Option<u64>) -> (Swarm, Sample) {
    let mut config = EngineConfig::default();
    config.limits.up = up.map(ByteSize);
    let (mut swarm, sample) = (
        Swarm::new(1, &config),
        Sample::new(PIECES as usize * 32_768, 32_768),
    );
    swarm.add(0, &sample, true, &[]);
    swarm.step();
    swarm.step();
    (swarm, sample)
}

fn block(piece: u32) -> BlockRequest {
    BlockRequest {
        piece,
        begin: 0,
        len: BLOCK,
    }
}

/// A piece that the peer may ask for while choked, and one that it may not.
fn free_and_not(swarm: &mut Swarm, peer: PeerKey) -> (u32, u32) {
    let said = swarm.heard_by(peer);
    let is_free = |piece: &u32| said.contains(&Message::AllowedFast(*piece));
    let not = (0..PIECES)
        .find(|piece| !is_free(piece))
        .expect("few are free");
    ((0..PIECES).find(is_free).unwrap_or(not), not)
}

/// A puppet that has nothing, is interested and unchoked.
fn leecher(swarm: &mut Swarm, sample: &Sample, n: u8, able: Reserved) -> PeerKey {
    let peer = swarm.join(0, sample, n, able);
    swarm.say(peer, Message::Interested);
    swarm.step();
    assert!(
        swarm.heard_by(peer).contains(&Message::Unchoke),
        "a free slot is given at once"
    );
    peer
}

#[test]
fn requests_while_choked_are_rejected_and_many_end_the_connection() {
    for able in [able(), Reserved::default()] {
        let (mut swarm, sample) = node(None);
        let peer = swarm.join(0, &sample, 1, able);
        let (_, piece) = free_and_not(&mut swarm, peer);
        let before = PEER_REJECTS_MAX + PEER_REQUESTS_IN_MAX as u32;
        (0..before).for_each(|_| swarm.say(peer, Message::Request(block(piece))));
        assert_eq!(
            swarm.heard_by(peer).len(),
            if able.fast() { before as usize } else { 0 }
        );
        assert!(!swarm.closed.contains(&peer));
        swarm.say(peer, Message::Request(block(piece)));
        assert!(swarm.closed.contains(&peer));
        assert_eq!(swarm.blocks, []);
    }
}

/// Requests cross every choke, so that a peer of many hours collects many rejects.
#[test]
fn rejects_are_forgiven_when_a_request_was_right() {
    let (mut swarm, sample) = node(None);
    let peer = swarm.join(0, &sample, 1, able());
    let (free, not) = free_and_not(&mut swarm, peer);
    for _ in 0..5 {
        (0..1000).for_each(|_| swarm.say(peer, Message::Request(block(not))));
        swarm.say(peer, Message::Request(block(free)));
        swarm.step();
    }
    assert!(!swarm.closed.contains(&peer));
    assert_eq!(
        swarm.blocks.len(),
        5,
        "allowed-fast pieces are served to who is choked"
    );
}

#[test]
fn a_request_out_of_bounds_ends_the_connection() {
    let cases = [
        (PIECES, 0, BLOCK),
        (u32::MAX, 0, BLOCK),
        (0, 32_768, 1),
        (0, BLOCK + 1, BLOCK),
        (0, u32::MAX, BLOCK),
        (0, 0, 0),
        (0, 0, u32::MAX),
    ];
    for (piece, begin, len) in cases {
        let (mut swarm, sample) = node(None);
        let peer = leecher(&mut swarm, &sample, 1, able());
        swarm.say(peer, Message::Request(BlockRequest { piece, begin, len }));
        assert!(swarm.closed.contains(&peer), "{piece} {begin} {len}");
        assert_eq!(swarm.blocks, []);
    }
}

#[test]
fn odd_but_possible_requests_are_answered() {
    let (mut swarm, sample) = node(None);
    let peer = leecher(&mut swarm, &sample, 1, able());
    let odd = BlockRequest {
        piece: 3,
        begin: 5,
        len: 777,
    };
    swarm.say(peer, Message::Request(odd));
    swarm.step();
    assert_eq!(swarm.blocks, [(peer, odd)]);
    let long = BlockRequest {
        piece: 3,
        begin: 0,
        len: 32_768,
    };
    swarm.say(peer, Message::Request(long));
    assert!(
        swarm.heard_by(peer).contains(&Message::Reject(long)),
        "longer than a block"
    );
    assert!(!swarm.closed.contains(&peer));
}

#[test]
fn a_request_that_is_cancelled_while_it_waits_is_not_answered() {
    let (mut swarm, sample) = node(Some(BLOCK.into()));
    let peer = leecher(&mut swarm, &sample, 1, able());
    (0..8).for_each(|piece| swarm.say(peer, Message::Request(block(piece))));
    (4..8).for_each(|piece| swarm.say(peer, Message::Cancel(block(piece))));
    swarm.say(
        peer,
        Message::Cancel(BlockRequest {
            piece: 99,
            begin: 1,
            len: 2,
        }),
    );
    swarm.run_for(Duration::from_secs(30));
    let sent: Vec<_> = swarm.blocks.iter().map(|(_, block)| block.piece).collect();
    assert_eq!(sent, [0, 1, 2, 3], "in the order in which they came");
}

#[test]
fn a_request_that_is_cancelled_while_the_disk_reads_is_not_answered() {
    let (mut swarm, sample) = node(None);
    let peer = leecher(&mut swarm, &sample, 1, able());
    swarm.disk_rests = true;
    swarm.say(peer, Message::Request(block(1)));
    swarm.say(peer, Message::Cancel(block(1)));
    swarm.disk_rests = false;
    swarm.run_for(Duration::from_secs(2));
    assert_eq!(swarm.blocks, []);
}

#[test]
fn a_queue_is_not_longer_than_we_said() {
    let (mut swarm, sample) = node(Some(1));
    let peer = leecher(&mut swarm, &sample, 1, able());
    let places = (0..PIECES).flat_map(|piece| (0..64).map(move |at| (piece, at * 256)));
    let all: Vec<_> = places
        .map(|(piece, begin)| BlockRequest {
            piece,
            begin,
            len: 256,
        })
        .collect();
    all.iter()
        .for_each(|block| swarm.say(peer, Message::Request(*block)));
    let rejects = swarm.heard_by(peer).len();
    let served = swarm.blocks.len();
    assert_eq!(
        rejects + served + PEER_REQUESTS_IN_MAX,
        all.len(),
        "{served} were answered"
    );
}

#[test]
fn the_same_request_again_is_answered_once() {
    let (mut swarm, sample) = node(Some(BLOCK.into()));
    let peer = leecher(&mut swarm, &sample, 1, able());
    (0..3).for_each(|_| swarm.say(peer, Message::Request(block(0))));
    (0..3).for_each(|_| swarm.say(peer, Message::Request(block(1))));
    swarm.run_for(Duration::from_secs(30));
    let ones = swarm
        .blocks
        .iter()
        .filter(|(_, block)| block.piece == 1)
        .count();
    assert_eq!(ones, 1);
}

#[test]
fn a_piece_that_we_do_not_have_is_rejected() {
    let (mut swarm, sample) = (
        Swarm::new(1, &EngineConfig::default()),
        Sample::new(80_000, 32_768),
    );
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    swarm.step();
    let peer = leecher(&mut swarm, &sample, 1, able());
    swarm.say(peer, Message::Request(block(0)));
    assert_eq!(swarm.heard_by(peer), [Message::Reject(block(0))]);
}

#[test]
fn who_has_something_to_trade_is_not_given_allowed_fast_pieces_any_more() {
    let (mut swarm, sample) = node(None);
    let peer = swarm.join(0, &sample, 1, able());
    let (free, _) = free_and_not(&mut swarm, peer);
    (0..5).for_each(|piece| swarm.say(peer, Message::Have(piece)));
    swarm.say(peer, Message::Request(block(free)));
    swarm.step();
    assert!(swarm.heard_by(peer).contains(&Message::Reject(block(free))));
    assert_eq!(swarm.blocks, []);
}

#[test]
fn one_choked_newcomer_at_a_time_is_given_allowed_fast_pieces() {
    let (mut swarm, sample) = node(Some(u64::from(BLOCK)));
    let [first, second] = [1, 2].map(|n| swarm.join(0, &sample, n, able()));
    let [one, two] = [first, second].map(|peer| free_and_not(&mut swarm, peer).0);
    // A block a second: the second one waits.
    for begin in [0, BLOCK] {
        let block = BlockRequest {
            begin,
            ..block(one)
        };
        swarm.say(first, Message::Request(block));
    }
    swarm.say(second, Message::Request(block(two)));
    assert_eq!(swarm.heard_by(second), [Message::Reject(block(two))]);
    swarm.run_for(Duration::from_secs(5));
    assert_eq!(swarm.blocks.len(), 2);
    swarm.say(second, Message::Request(block(two)));
    swarm.run_for(Duration::from_secs(5));
    assert_eq!(swarm.blocks.last(), Some(&(second, block(two))));
}
