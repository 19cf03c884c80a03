//! Goal: no peer keeps us from metadata that another one has, and who sends bad metadata is found.
//! Method: puppets.

use core::time::Duration;

use dunlin_base::PeerKey;
use dunlin_components::torrent::Lifecycle;
use dunlin_port::snapshot::SessionEvent;
use dunlin_protocol::metainfo::Info;
use dunlin_protocol::wire::extension::MetadataMessage;

use super::{bans, knows, node, size, state};
use crate::swarm::puppet::able;
use crate::swarm::{Sample, Swarm};

/// A puppet that offers metadata of this length.
fn offering(swarm: &mut Swarm, sample: &Sample, n: u8, size: u32) -> PeerKey {
    let peer = swarm.join(0, sample, n, able());
    swarm.offer_metadata(peer, Some(size));
    peer
}

/// A puppet answers all that it was asked, from these bytes; says how much that was.
fn answer(swarm: &mut Swarm, peer: PeerKey, bytes: &[u8]) -> usize {
    let (asked, ..) = swarm.metadata_heard_by(peer);
    for part in &asked {
        swarm.give_part(peer, bytes, *part);
    }
    asked.len()
}

/// The sample's metadata with a bit flipped in this part.
fn spoilt(sample: &Sample, part: usize) -> Vec<u8> {
    let mut bytes = sample.info.raw().to_vec();
    bytes[part * 16_384] ^= 1;
    bytes
}

#[test]
fn who_alone_sends_a_bad_copy_is_banned() {
    let (mut swarm, sample) = node();
    let bad = offering(&mut swarm, &sample, 1, size(&sample));
    assert_eq!(answer(&mut swarm, bad, &spoilt(&sample, 1)), 3);
    assert!(swarm.closed.contains(&bad));
    assert_eq!((bans(&swarm), knows(&swarm, 0, &sample)), (1, false));
    let good = offering(&mut swarm, &sample, 2, size(&sample));
    assert_eq!(answer(&mut swarm, good, sample.info.raw()), 3);
    assert!(knows(&swarm, 0, &sample));
}

#[test]
fn a_bad_part_among_good_ones_is_found_by_asking_each_for_all() {
    let (mut swarm, sample) = node();
    let [good, bad] = [1, 2].map(|n| offering(&mut swarm, &sample, n, size(&sample)));
    let spoilt = spoilt(&sample, 0);
    swarm.give_part(bad, &spoilt, 0);
    swarm.give_part(good, sample.info.raw(), 1);
    swarm.give_part(good, sample.info.raw(), 2);
    assert_eq!(bans(&swarm), 0, "either may have been it");
    // From now on each has a copy of its own: what was asked before is asked again.
    for peer in [good, bad] {
        let (asked, ..) = swarm.metadata_heard_by(peer);
        assert_eq!(asked, [0, 1, 2, 0, 1, 2]);
    }
    for part in 0..3 {
        swarm.give_part(bad, &spoilt, part);
    }
    assert!(swarm.closed.contains(&bad));
    assert_eq!(bans(&swarm), 1);
    for part in 0..3 {
        swarm.give_part(good, sample.info.raw(), part);
    }
    assert!(knows(&swarm, 0, &sample) && !swarm.closed.contains(&good));
}

#[test]
fn peers_that_disagree_on_the_length_do_not_spoil_each_other() {
    let (mut swarm, sample) = node();
    let short = offering(&mut swarm, &sample, 1, 100);
    let long = offering(&mut swarm, &sample, 2, 10 << 20);
    let right = offering(&mut swarm, &sample, 3, size(&sample));
    assert_eq!(swarm.metadata_heard_by(long).0.len(), 8);
    assert_eq!(answer(&mut swarm, short, &[b'x'; 100]), 1);
    assert!(swarm.closed.contains(&short));
    assert_eq!(answer(&mut swarm, right, sample.info.raw()), 3);
    assert!(knows(&swarm, 0, &sample));
}

/// Three claim the greatest length and send a part now and then: there is no room for more.
#[test]
fn who_claims_much_and_sends_little_makes_room_in_the_end() {
    let (mut swarm, sample) = node();
    let huge = vec![0; 10 << 20];
    let slow = [1, 2, 3].map(|n| offering(&mut swarm, &sample, n, (10 << 20) - u32::from(n)));
    let other = vec![0; (10 << 20) - 4];
    let waits = offering(&mut swarm, &sample, 4, other.len() as u32);
    assert_eq!(swarm.metadata_heard_by(waits).0.len(), 0);
    let mut sent = 0;
    while swarm.metadata_heard_by(waits).0.is_empty() {
        for (n, peer) in (1..).zip(slow) {
            swarm.give_part(peer, &huge[n..], sent);
        }
        sent += 1;
        assert!(sent < 50, "it never got its turn");
        swarm.run_for(Duration::from_secs(5));
    }
    assert!(sent > 30, "the slow had their time");
}

#[test]
fn lengths_of_nothing_and_of_too_much_are_no_offer() {
    let (mut swarm, sample) = node();
    for (n, size) in (1..).zip([0, (10 << 20) + 1, u32::MAX]) {
        let peer = offering(&mut swarm, &sample, n, size);
        assert_eq!(swarm.metadata_heard_by(peer).0, []);
        // A peer has one guess, but it was none.
        swarm.offer_metadata(peer, Some(100));
        assert_eq!(swarm.metadata_heard_by(peer).0, [0]);
        swarm.offer_metadata(peer, Some(200));
        swarm.give_part(peer, &[0; 200], 0);
        assert!(swarm.closed.contains(&peer), "200 bytes are not 100");
    }
}

#[test]
fn parts_of_the_wrong_length_end_the_connection() {
    let cases: [(u32, usize, u32); 4] = [(0, 16_383, 0), (2, 16_384, 0), (1, 1, 0), (0, 16_384, 1)];
    for (part, bytes, off) in cases {
        let (mut swarm, sample) = node();
        let peer = offering(&mut swarm, &sample, 1, size(&sample));
        let message = MetadataMessage::Data {
            piece: part,
            total_size: size(&sample) + off,
            data: &vec![0; bytes],
        };
        swarm.say_metadata(peer, &message);
        assert!(swarm.closed.contains(&peer), "{part} {bytes} {off}");
    }
}

#[test]
fn parts_that_nobody_asked_for_are_ignored() {
    let (mut swarm, sample) = node();
    let peer = offering(&mut swarm, &sample, 1, size(&sample));
    for part in [3, 700, u32::MAX] {
        let message = MetadataMessage::Data {
            piece: part,
            total_size: 7,
            data: &[1],
        };
        swarm.say_metadata(peer, &message);
        swarm.say_metadata(peer, &MetadataMessage::Reject { piece: part });
    }
    let silent = swarm.join(0, &sample, 2, able());
    swarm.give_part(silent, sample.info.raw(), 0);
    assert!(swarm.closed.is_empty());
    assert_eq!(answer(&mut swarm, peer, sample.info.raw()), 3);
    assert!(knows(&swarm, 0, &sample));
}

#[test]
fn who_refuses_is_asked_again_later() {
    let (mut swarm, sample) = node();
    let peer = offering(&mut swarm, &sample, 1, size(&sample));
    assert_eq!(swarm.metadata_heard_by(peer).0, [0, 1, 2]);
    swarm.say_metadata(peer, &MetadataMessage::Reject { piece: 1 });
    swarm.run_for(Duration::from_secs(14));
    assert_eq!(swarm.metadata_heard_by(peer).0, []);
    swarm.run_for(Duration::from_secs(2));
    assert_eq!(answer(&mut swarm, peer, sample.info.raw()), 3);
    assert!(knows(&swarm, 0, &sample));
}

#[test]
fn three_mute_peers_hold_up_a_fourth_for_ten_seconds() {
    let (mut swarm, sample) = node();
    let mute = [1, 2, 3].map(|n| offering(&mut swarm, &sample, n, size(&sample)));
    let speaks = offering(&mut swarm, &sample, 4, size(&sample));
    for peer in mute {
        assert_eq!(swarm.metadata_heard_by(peer).0.len(), 3);
    }
    assert_eq!(swarm.metadata_heard_by(speaks).0, []);
    swarm.run_for(Duration::from_secs(11));
    assert_eq!(answer(&mut swarm, speaks, sample.info.raw()), 3);
    assert!(knows(&swarm, 0, &sample));
}

#[test]
fn a_peer_that_goes_leaves_its_parts_and_not_its_requests() {
    let (mut swarm, sample) = node();
    let first = offering(&mut swarm, &sample, 1, size(&sample));
    swarm.give_part(first, sample.info.raw(), 2);
    swarm.hang_up(first);
    let second = offering(&mut swarm, &sample, 2, size(&sample));
    assert_eq!(swarm.metadata_heard_by(second).0, [0, 1]);
    swarm.give_part(second, sample.info.raw(), 0);
    swarm.give_part(second, sample.info.raw(), 1);
    assert!(knows(&swarm, 0, &sample));
}

#[test]
fn a_hash_of_what_is_no_torrent_stops_it_for_good() {
    let mut swarm = Swarm::new(1, &dunlin_port::config::EngineConfig::default());
    let junk = b"d4:name1:xe";
    let hash = Info::hash_v1(junk);
    swarm.tell_magnet(0, hash, &[], |_| {});
    swarm.step();
    let peer = swarm.knock(0, crate::swarm::puppet::puppet_addr(1));
    let handshake = dunlin_protocol::wire::Handshake {
        reserved: able(),
        info_hash: hash,
        peer_id: crate::swarm::puppet::puppet_id(1),
    };
    let shook = dunlin_port::net::NetEvent::Handshake { peer, handshake };
    swarm.engine.inbox().net.push_back(shook);
    swarm.step();
    swarm.offer_metadata(peer, Some(junk.len() as u32));
    assert_eq!(answer(&mut swarm, peer, junk), 1);
    assert_eq!(bans(&swarm), 0, "the peer did as it was asked");
    let stopped = swarm.events.iter().any(|event| {
        matches!(event, SessionEvent::TorrentStopped { reason, .. } if reason.contains("cannot be used"))
    });
    assert!(stopped, "{:?}", swarm.events);
    swarm.run_for(Duration::from_secs(3600));
    assert!(matches!(
        state(&mut swarm, 0),
        Some(Lifecycle::Stopped { .. })
    ));
}
