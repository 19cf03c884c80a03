//! What peers say that they have.

use dunlin_base::{PeerKey, PieceIndex, TorrentKey};
use dunlin_components::torrent::Availability;
use dunlin_components::world::TorrentIndex;
use dunlin_port::config::EngineConfig;
use dunlin_protocol::wire::extension::DontHave;
use dunlin_protocol::wire::{Message, Reserved};

use super::node;
use crate::swarm::puppet::able;
use crate::swarm::{Sample, Swarm};

fn copies(swarm: &mut Swarm) -> Vec<u32> {
    let world = swarm.engine.world();
    let entity = world
        .resource::<TorrentIndex>()
        .get(TorrentKey(0))
        .expect("it was added");
    let availability = world.get::<Availability>(entity).expect("it downloads");
    (0..10)
        .map(|piece| availability.copies(PieceIndex(piece)))
        .collect()
}

fn bits(bytes: &[u8]) -> Message {
    Message::Bitfield(bytes.into())
}

/// Each is one violation; the copies that the peer was counted with before are given back.
#[test]
fn false_words_on_what_it_has_end_a_connection_and_its_copies_are_forgotten() {
    let cases: [(&str, Vec<Message>); 7] = [
        (
            "have of a piece that does not exist",
            vec![Message::Have(3), Message::Have(10)],
        ),
        ("have of the last number", vec![Message::Have(u32::MAX)]),
        ("short bitfield", vec![bits(&[0xff])]),
        ("long bitfield", vec![bits(&[0xff, 0xc0, 0])]),
        ("spare bits", vec![bits(&[0xff, 0xe0])]),
        (
            "bitfield after have-all",
            vec![Message::HaveAll, bits(&[0xf0, 0])],
        ),
        (
            "have-none after have",
            vec![Message::Have(1), Message::HaveNone],
        ),
    ];
    for (what, said) in cases {
        let (mut swarm, sample) = node(false);
        let honest = swarm.join(0, &sample, 1, able());
        swarm.say(honest, bits(&[0xaa, 0x80]));
        let before = copies(&mut swarm);
        let peer = swarm.join(0, &sample, 2, able());
        said.into_iter()
            .for_each(|message| swarm.say(peer, message));
        assert!(swarm.closed.contains(&peer), "{what}");
        assert!(!swarm.closed.contains(&honest), "{what}");
        assert_eq!(copies(&mut swarm), before, "{what}");
    }
}

/// aria2 sends a bitfield where others send many haves.
#[test]
fn a_later_bitfield_adds_what_is_new_in_it() {
    let (mut swarm, sample) = node(false);
    let peer = swarm.join(0, &sample, 1, able());
    for message in [Message::HaveNone, bits(&[0xc0, 0]), bits(&[0xe0, 0x40])] {
        swarm.say(peer, message);
    }
    assert_eq!(copies(&mut swarm), [1, 1, 1, 0, 0, 0, 0, 0, 0, 1]);
    swarm.say(peer, Message::HaveAll);
    assert_eq!(copies(&mut swarm), [1; 10]);
    assert!(!swarm.closed.contains(&peer));
    swarm.hang_up(peer);
    assert_eq!(copies(&mut swarm), [0; 10]);
}

#[test]
fn several_messages_of_one_tick_count_in_their_order() {
    let (mut swarm, sample) = node(false);
    let peer = swarm.join(0, &sample, 1, able());
    for message in [bits(&[0x80, 0]), Message::Have(9), Message::Have(9)] {
        let event = dunlin_port::net::NetEvent::Message { peer, message };
        swarm.engine.inbox().net.push_back(event);
    }
    swarm.step();
    assert_eq!(copies(&mut swarm), [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
}

fn dont_have(swarm: &mut Swarm, peer: PeerKey, piece: u32) {
    let payload = DontHave { piece }.encode();
    swarm.say(
        peer,
        Message::Extended {
            id: crate::connect::DONT_HAVE_ID,
            payload: payload.into(),
        },
    );
}

#[test]
fn a_seed_that_loses_a_piece_is_counted_by_pieces_until_it_has_all_again() {
    let (mut swarm, sample) = node(false);
    let peer = swarm.join(0, &sample, 1, able());
    swarm.say(peer, Message::HaveAll);
    assert_eq!(copies(&mut swarm), [1; 10]);
    dont_have(&mut swarm, peer, 4);
    dont_have(&mut swarm, peer, 4);
    assert_eq!(copies(&mut swarm), [1, 1, 1, 1, 0, 1, 1, 1, 1, 1]);
    swarm.say(peer, Message::Have(4));
    assert_eq!(copies(&mut swarm), [1; 10]);
    swarm.hang_up(peer);
    assert_eq!(copies(&mut swarm), [0; 10]);
}

#[test]
fn a_piece_that_a_peer_does_not_have_any_more_may_be_beyond_the_end() {
    let (mut swarm, sample) = node(false);
    let peer = swarm.join(0, &sample, 1, able());
    swarm.say(peer, Message::HaveAll);
    dont_have(&mut swarm, peer, 4000);
    assert_eq!(copies(&mut swarm), [1; 10]);
}

#[test]
fn haves_one_by_one_make_a_seed() {
    let (mut swarm, sample) = node(false);
    let peer = swarm.join(0, &sample, 1, Reserved::default());
    (0..10).for_each(|piece| swarm.say(peer, Message::Have(piece)));
    assert_eq!(copies(&mut swarm), [1; 10]);
    swarm.hang_up(peer);
    assert_eq!(copies(&mut swarm), [0; 10]);
}

/// Fewer copies than the order is made to follow for: it follows when it is asked.
#[test]
fn the_rarest_is_chosen_by_the_copies_that_are_there() {
    let (sample, mut rules) = (Sample::new(40 * 32_768, 32_768), EngineConfig::default());
    rules.pick.random_first_pieces = 0;
    let mut swarm = Swarm::new(1, &rules);
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let [first, second] = [1, 2].map(|number| swarm.join(0, &sample, number, able()));
    swarm.say(first, bits(&[0xff, 0xff, 0xf0, 0, 0]));
    swarm.say(second, bits(&[0xff, 0xff, 0xe0, 0, 0]));
    swarm.say(first, Message::Unchoke);
    assert_eq!(swarm.asked_of(first)[0].piece, 19);
}
