//! Goal: who asks for our metadata gets it, at a bounded rate. Method: puppets.

use core::time::Duration;

use dunlin_base::limits::{METADATA_REJECTS_MAX, METADATA_REQUESTS_IN_MAX};
use dunlin_port::config::EngineConfig;
use dunlin_protocol::wire::Message;
use dunlin_protocol::wire::extension::{ExtensionHandshake, MetadataMessage};

use super::{node, sample, size};
use crate::swarm::puppet::able;
use crate::swarm::{Sample, Swarm};

/// A node that has the sample and its metadata.
fn seed() -> (Swarm, Sample) {
    let (mut swarm, sample) = (Swarm::new(1, &EngineConfig::default()), sample());
    swarm.add(0, &sample, true, &[]);
    swarm.step();
    swarm.step();
    (swarm, sample)
}

fn ask(swarm: &mut Swarm, peer: dunlin_base::PeerKey, piece: u32) {
    swarm.say_metadata(peer, &MetadataMessage::Request { piece });
}

#[test]
fn we_say_how_long_it_is_and_send_what_is_asked() {
    let (mut swarm, sample) = seed();
    let peer = swarm.join(0, &sample, 1, able());
    let said = swarm.heard_by(peer).into_iter().find_map(|message| {
        let Message::Extended { id: 0, payload } = message else {
            return None;
        };
        ExtensionHandshake::decode(&payload).ok()
    });
    let said = said.expect("a handshake");
    assert_eq!(said.metadata_size, Some(size(&sample)));
    assert!(said.ids.ut_metadata.is_some());
    swarm.offer_metadata(peer, None);
    let mut got = Vec::new();
    for piece in 0..3 {
        ask(&mut swarm, peer, piece);
        for message in swarm.heard_by(peer) {
            let Message::Extended { payload, .. } = message else {
                continue;
            };
            let Ok(MetadataMessage::Data {
                piece: sent,
                total_size,
                data,
            }) = MetadataMessage::decode(&payload)
            else {
                continue;
            };
            assert_eq!((sent, total_size), (piece, size(&sample)));
            got.extend_from_slice(data);
        }
    }
    assert!(got == sample.info.raw());
}

#[test]
fn parts_that_there_are_not_are_refused_and_asking_for_ever_ends() {
    let (mut swarm, sample) = seed();
    let peer = swarm.join(0, &sample, 1, able());
    swarm.offer_metadata(peer, None);
    for n in 0..METADATA_REJECTS_MAX {
        ask(&mut swarm, peer, 3 + n);
    }
    assert_eq!(
        swarm.metadata_heard_by(peer),
        (vec![], 0, METADATA_REJECTS_MAX as usize)
    );
    assert!(swarm.closed.is_empty());
    ask(&mut swarm, peer, u32::MAX);
    assert!(swarm.closed.contains(&peer));
}

#[test]
fn who_has_none_refuses() {
    let (mut swarm, sample) = node();
    let peer = swarm.join(0, &sample, 1, able());
    swarm.offer_metadata(peer, None);
    ask(&mut swarm, peer, 0);
    assert_eq!(swarm.metadata_heard_by(peer), (vec![], 0, 1));
}

#[test]
fn a_flood_of_requests_gets_a_burst_and_then_a_trickle() {
    let (mut swarm, sample) = seed();
    let peer = swarm.join(0, &sample, 1, able());
    swarm.offer_metadata(peer, None);
    let burst = 32;
    for n in 0..burst + METADATA_REQUESTS_IN_MAX as u32 + 100 {
        ask(&mut swarm, peer, n % 3);
    }
    let (_, got, refused) = swarm.metadata_heard_by(peer);
    assert_eq!((got, refused), (burst as usize, 100));
    swarm.run_for(Duration::from_secs(10));
    // 128 KiB a second.
    let (_, got, _) = swarm.metadata_heard_by(peer);
    assert!((79..=80).contains(&got), "{got}");
}

#[test]
fn who_gave_no_number_gets_nothing() {
    let (mut swarm, sample) = seed();
    let peer = swarm.join(0, &sample, 1, able());
    swarm.heard_by(peer);
    ask(&mut swarm, peer, 0);
    assert_eq!(swarm.heard_by(peer), []);
}
