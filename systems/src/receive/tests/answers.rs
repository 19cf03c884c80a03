//! Answers to our requests.

use core::time::Duration;

use dunlin_base::{PeerKey, PieceIndex};
use dunlin_port::config::EngineConfig;
use dunlin_protocol::wire::extension::DontHave;
use dunlin_protocol::wire::{BlockRequest, Message, Reserved};

use super::{node, sample, seed, wasted};
use crate::swarm::puppet::able;
use crate::swarm::{Sample, Swarm};

const BLOCK: u32 = 16_384;

/// A block that is not among these.
fn another(asked: &[BlockRequest]) -> BlockRequest {
    let blocks = (0..9).flat_map(|piece| {
        [0, BLOCK].map(|begin| BlockRequest {
            piece,
            begin,
            len: BLOCK,
        })
    });
    blocks
        .into_iter()
        .find(|block| !asked.contains(block))
        .expect("not all are asked for")
}

#[test]
fn a_block_that_nobody_asked_for_is_wasted() {
    let (mut swarm, sample) = node(false);
    let peer = seed(&mut swarm, &sample, 1, able());
    let asked = swarm.asked_of(peer);
    assert!(!asked.is_empty());
    swarm.give(peer, &sample, another(&asked));
    assert_eq!(wasted(&mut swarm), u64::from(BLOCK));
    swarm.give(peer, &sample, asked[0]);
    swarm.give(peer, &sample, asked[0]);
    assert_eq!(
        wasted(&mut swarm),
        2 * u64::from(BLOCK),
        "a second copy too"
    );
    assert!(
        !swarm.closed.contains(&peer),
        "a few are honest: cancels cross blocks"
    );
}

#[test]
fn blocks_without_end_that_nobody_asked_for_end_a_connection() {
    let (mut swarm, sample) = node(false);
    let peer = seed(&mut swarm, &sample, 1, able());
    let unasked = another(&swarm.asked_of(peer));
    (0..2000).for_each(|_| swarm.give(peer, &sample, unasked));
    assert!(!swarm.closed.contains(&peer));
    swarm.give(peer, &sample, unasked);
    assert!(swarm.closed.contains(&peer));
}

#[test]
fn bytes_that_are_no_block_end_a_connection() {
    let cases = [
        (0, 1, BLOCK),
        (0, BLOCK, BLOCK - 1),
        (0, 32_768, BLOCK),
        (9, BLOCK, BLOCK),
        (10, 0, BLOCK),
        (u32::MAX, 0, BLOCK),
        (0, u32::MAX - 5, BLOCK),
        (0, 0, 1),
    ];
    for (piece, begin, len) in cases {
        let (mut swarm, sample) = node(false);
        let peer = seed(&mut swarm, &sample, 1, able());
        swarm.give(peer, &sample, BlockRequest { piece, begin, len });
        assert!(swarm.closed.contains(&peer), "{piece} {begin} {len}");
    }
}

/// Answers everything that was asked of a puppet until nothing is.
fn serve(swarm: &mut Swarm, peer: PeerKey) {
    let sample = sample();
    loop {
        let asked = swarm.asked_of(peer);
        if asked.is_empty() {
            return;
        }
        asked
            .into_iter()
            .for_each(|block| swarm.give(peer, &sample, block));
    }
}

#[test]
fn what_a_choke_voids_is_asked_of_others() {
    for able in [able(), Reserved::default()] {
        let (mut swarm, sample) = node(false);
        let first = seed(&mut swarm, &sample, 1, able);
        let asked = swarm.asked_of(first);
        swarm.say(first, Message::Choke);
        let second = seed(&mut swarm, &sample, 2, able);
        assert!(swarm.asked_of(second).contains(&asked[0]), "free again");
        assert_eq!(swarm.asked_of(first), []);
    }
}

#[test]
fn a_choke_and_its_end_bring_the_same_blocks_back() {
    let (mut swarm, sample) = node(false);
    let peer = seed(&mut swarm, &sample, 1, able());
    let asked = swarm.asked_of(peer);
    swarm.say(peer, Message::Choke);
    asked
        .iter()
        .for_each(|block| swarm.say(peer, Message::Reject(*block)));
    swarm.say(peer, Message::Unchoke);
    let by_place = |block: &BlockRequest| (block.piece, block.begin);
    let (mut before, mut again) = (asked, swarm.asked_of(peer));
    before.sort_by_key(by_place);
    again.sort_by_key(by_place);
    assert_eq!(before, again);
    // The list was taken: choke once more, so that all come again.
    swarm.say(peer, Message::Choke);
    swarm.say(peer, Message::Unchoke);
    serve(&mut swarm, peer);
    swarm.run_for(Duration::from_secs(5));
    serve(&mut swarm, peer);
    assert!(swarm.is_complete(0), "{:?}", swarm.events);
}

/// A partial piece outlives the choke of who sent it.
#[test]
fn what_came_before_a_choke_is_not_asked_for_again() {
    let (mut swarm, sample) = node(false);
    let peer = seed(&mut swarm, &sample, 1, able());
    let asked = swarm.asked_of(peer);
    swarm.give(peer, &sample, asked[0]);
    let asked_since = swarm.asked_of(peer);
    swarm.say(peer, Message::Choke);
    swarm.say(peer, Message::Unchoke);
    let again = swarm.asked_of(peer);
    assert!(!again.contains(&asked[0]), "{again:?}");
    assert!(
        asked[1..].iter().all(|block| again.contains(block)),
        "{again:?}, before {asked:?} and {asked_since:?}"
    );
    assert_eq!(wasted(&mut swarm), 0);
}

#[test]
fn a_rejected_block_is_asked_of_another_at_once_and_of_the_same_peer_after_a_while() {
    let (mut swarm, sample) = node(false);
    let first = seed(&mut swarm, &sample, 1, able());
    let asked = swarm.asked_of(first);
    let second = seed(&mut swarm, &sample, 2, able());
    swarm.heard_by(second);
    swarm.say(second, Message::Choke);
    swarm.say(second, Message::Unchoke);
    swarm.heard_by(second);
    swarm.hang_up(second);
    swarm.say(first, Message::Reject(asked[0]));
    assert!(
        !swarm.asked_of(first).contains(&asked[0]),
        "not of the same peer at once"
    );
    swarm.run_for(Duration::from_secs(5));
    assert!(
        swarm.asked_of(first).len() < 20,
        "a peer that rejects is not flooded"
    );
}

#[test]
fn who_rejects_everything_is_not_asked_without_end() {
    let (mut swarm, sample) = node(false);
    let peer = seed(&mut swarm, &sample, 1, able());
    let mut requests = 0;
    for _ in 0..60 {
        for block in swarm.asked_of(peer) {
            requests += 1;
            swarm.say(peer, Message::Reject(block));
        }
        swarm.run_for(Duration::from_millis(500));
    }
    assert!(requests < 50, "{requests} requests in half a minute");
}

#[test]
fn rejects_of_what_was_not_asked_change_nothing() {
    let (mut swarm, sample) = node(false);
    let peer = seed(&mut swarm, &sample, 1, able());
    let asked = swarm.asked_of(peer);
    swarm.say(peer, Message::Reject(another(&asked)));
    swarm.say(
        peer,
        Message::Reject(BlockRequest {
            piece: 99,
            begin: 7,
            len: 3,
        }),
    );
    assert_eq!(swarm.asked_of(peer), []);
    assert!(!swarm.closed.contains(&peer));
}

#[test]
fn allowed_fast_pieces_are_fetched_while_choked() {
    let (mut swarm, sample) = node(false);
    let peer = swarm.join(0, &sample, 1, able());
    swarm.say(peer, Message::HaveAll);
    assert_eq!(swarm.asked_of(peer), []);
    swarm.say(peer, Message::AllowedFast(7));
    swarm.say(peer, Message::AllowedFast(4_000_000));
    let asked = swarm.asked_of(peer);
    assert!(
        asked.iter().all(|block| block.piece == 7) && asked.len() == 2,
        "{asked:?}"
    );
    swarm.say(peer, Message::Choke);
    asked
        .iter()
        .for_each(|block| swarm.give(peer, &sample, *block));
    swarm.run_for(Duration::from_millis(10));
    assert_eq!(swarm.on_disk(0), 1);
    assert_eq!(swarm.asked_of(peer), [], "nothing but allowed pieces");
}

#[test]
fn a_peer_that_loses_the_piece_is_not_asked_for_it() {
    let (mut swarm, sample) = node(false);
    let peer = swarm.join(0, &sample, 1, able());
    swarm.say(peer, Message::Bitfield(vec![0x80, 0].into()));
    let payload = DontHave { piece: 0 }.encode();
    swarm.say(
        peer,
        Message::Extended {
            id: crate::connect::DONT_HAVE_ID,
            payload: payload.into(),
        },
    );
    swarm.say(peer, Message::Unchoke);
    assert_eq!(swarm.asked_of(peer), [], "{:?}", PieceIndex(0));
    let said = swarm.heard_by(peer);
    assert!(!said.contains(&Message::Interested), "{said:?}");
}

/// A download of pieces of 32 blocks, and a peer that has the first of them.
fn long_pieces(pieces: u32, has: &[u8]) -> (Swarm, Sample, PeerKey) {
    const PIECE: u32 = 32 * BLOCK;
    let sample = Sample::new((pieces * PIECE) as usize, PIECE);
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let peer = swarm.join(0, &sample, 1, able());
    swarm.say(peer, Message::Bitfield(has.into()));
    (swarm, sample, peer)
}

/// Who is at a piece that has more to ask for, and loses it, is asked for another one.
#[test]
fn a_peer_that_loses_the_piece_that_it_is_at_is_asked_for_another() {
    let (mut swarm, sample, peer) = long_pieces(2, &[0xc0]);
    swarm.say(peer, Message::Unchoke);
    let asked = swarm.asked_of(peer);
    let at = asked[0].piece;
    assert!(asked.iter().all(|block| block.piece == at));
    swarm.say(
        peer,
        Message::Extended {
            id: crate::connect::DONT_HAVE_ID,
            payload: DontHave { piece: at }.encode().into(),
        },
    );
    swarm.give(peer, &sample, asked[0]);
    let more = swarm.asked_of(peer);
    assert!(!more.is_empty(), "it has the other piece");
    assert!(more.iter().all(|block| block.piece != at), "{more:?}");
}

/// Who chokes us amid a piece is asked for what is allowed, not for more of that piece.
#[test]
fn a_peer_that_chokes_amid_a_piece_is_asked_for_allowed_ones_alone() {
    let (mut swarm, _, peer) = long_pieces(20, &[0xff, 0xff, 0xf0]);
    swarm.say(peer, Message::Unchoke);
    let at = swarm.asked_of(peer)[0].piece;
    swarm.say(peer, Message::Choke);
    let other = (at + 1) % 20;
    swarm.say(peer, Message::AllowedFast(other));
    let more = swarm.asked_of(peer);
    assert!(!more.is_empty(), "one is allowed");
    assert!(more.iter().all(|block| block.piece == other), "{more:?}");
}

#[test]
fn an_allowed_piece_is_asked_for_when_the_peer_gets_it() {
    let (mut swarm, _, peer) = long_pieces(20, &[0xf0, 0, 0]);
    swarm.say(peer, Message::AllowedFast(10));
    assert_eq!(swarm.asked_of(peer), []);
    swarm.say(peer, Message::Have(10));
    let more = swarm.asked_of(peer);
    assert!(!more.is_empty(), "it has it now");
    assert!(more.iter().all(|block| block.piece == 10), "{more:?}");
}
