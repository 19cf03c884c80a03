//! Goal: whatever happens to datagrams, a node takes no answer but the tracker's to what it asked.

use std::sync::Arc;

use dunlin_base::{InfoHash, PeerId};
use dunlin_hash::Sha1Digest;
use dunlin_port::tracker::{AnnounceReply, AnnounceRequest};
use dunlin_port::{Inbox, Outbox};
use dunlin_protocol::metainfo::MetainfoBuilder;

use super::super::{Content, Host};
use super::*;

const URL: &str = "udp://tracker.example:6969/announce";

/// Three nodes that do nothing but ask.
struct Askers {
    ports: BytePorts,
    asked: u64,
}

impl Askers {
    fn new(seed: u64, faults: DatagramFaults) -> Self {
        let hashes = [Sha1Digest::default()];
        let built = MetainfoBuilder::single_file("tiny", 5, 16_384).build(&hashes);
        let content = Content {
            info: built.expect("a small torrent").info,
            payload: Arc::from(*b"12345"),
        };
        let mut ports = BytePorts::new(content, seed);
        for _ in 0..3 {
            let line = Host {
                delay: Duration::from_millis(30),
                bytes_per_sec: 100_000,
                spoils_one_in: 0,
            };
            let node = ports.add_node(line, false);
            ports.start(node);
        }
        ports.set_datagram_faults(faults);
        Self { ports, asked: 0 }
    }

    /// Lets a node announce, with a number by which its swarm is known.
    fn announce(&mut self, node: u32, swarm: u8) {
        let mut outbox = Outbox::default();
        self.asked += 1;
        outbox.tracker.push(TrackerCommand::Announce {
            node: NodeKey(node),
            torrent: TorrentKey(node),
            tracker: 0,
            url: URL.to_owned(),
            request: AnnounceRequest {
                info_hash: InfoHash([swarm; 20]),
                peer_id: PeerId([node as u8; 20]),
                port: addr_of(NodeKey(node)).port(),
                uploaded: 0,
                downloaded: 0,
                left: 5,
                event: AnnounceEvent::Started,
                numwant: None,
                key: node,
                ipv4: None,
                ipv6: None,
                tracker_id: None,
                compact: true,
            },
        });
        self.ports.carry_out(NodeKey(node), &mut outbox);
    }

    fn scrape(&mut self, node: u32, swarm: u8) {
        let mut outbox = Outbox::default();
        self.asked += 1;
        outbox.tracker.push(TrackerCommand::Scrape {
            torrent: TorrentKey(node),
            tracker: 0,
            url: URL.to_owned(),
            info_hash: InfoHash([swarm; 20]),
        });
        self.ports.carry_out(NodeKey(node), &mut outbox);
    }

    /// What the nodes hear in so many seconds.
    fn hear(&mut self, secs: u64) -> Vec<(u32, TrackerEvent)> {
        let end = self.ports.now + Duration::from_secs(secs);
        let mut heard = Vec::new();
        loop {
            let next = self.ports.next_at().max(self.ports.now).min(end);
            self.ports.advance(next);
            for node in 0..3 {
                let mut inbox = Inbox::default();
                self.ports.deliver(NodeKey(node), &mut inbox);
                heard.extend(inbox.tracker.drain(..).map(|event| (node, event)));
            }
            if next == end {
                return heard;
            }
        }
    }
}

fn reply(event: &TrackerEvent) -> Result<&AnnounceReply, &TrackerError> {
    match event {
        TrackerEvent::Announced { result, .. } => result.as_ref(),
        TrackerEvent::Scraped { .. } => panic!("nobody scraped"),
    }
}

#[test]
fn who_announces_hears_of_those_before() {
    let mut askers = Askers::new(1, DatagramFaults::default());
    for node in 0..3 {
        askers.announce(node, 7);
        let heard = askers.hear(1);
        let [(to, event)] = &heard[..] else {
            panic!("{heard:?}");
        };
        let mut peers = reply(event).expect("nothing goes wrong").peers.clone();
        peers.sort();
        let before: Vec<_> = (0..node).map(|node| addr_of(NodeKey(node))).collect();
        assert_eq!((*to, peers), (node, before));
    }
    askers.scrape(0, 7);
    let heard = askers.hear(1);
    let Some((0, TrackerEvent::Scraped { result, .. })) = heard.first() else {
        panic!("{heard:?}");
    };
    assert_eq!(result.as_ref().map(|counts| counts.leechers), Ok(3));
}

/// Each swarm has its own two nodes, so an answer to another request would name the wrong ones. Faults are
/// frequent, and datagrams are late for longer than a try waits.
#[test]
fn no_fault_makes_a_wrong_answer_accepted() {
    let faults = DatagramFaults {
        loses_one_in: 6,
        doubles_one_in: 3,
        spoils_one_in: 4,
        forges_one_in: 2,
        late_by: Duration::from_secs(20),
    };
    let (mut accepted, mut silent) = (0, 0);
    for seed in 0..20 {
        let mut askers = Askers::new(seed, faults);
        // Swarm s is of nodes s and s + 1, and each asks for both of its swarms at once.
        for _ in 0..4 {
            for node in 0..3 {
                askers.announce(node, node as u8);
                askers.announce(node, (node as u8 + 2) % 3);
                askers.scrape(node, node as u8);
            }
            for (node, event) in askers.hear(60) {
                askers.asked -= 1;
                match event {
                    TrackerEvent::Announced {
                        result: Ok(reply), ..
                    } => {
                        accepted += 1;
                        assert_eq!(reply.interval_secs, 1800);
                        assert!(reply.peers.len() <= 1, "{reply:?}");
                        let others = (0..3).map(NodeKey).map(addr_of);
                        let others: Vec<_> = others
                            .filter(|addr| *addr != addr_of(NodeKey(node)))
                            .collect();
                        assert!(reply.peers.iter().all(|peer| others.contains(peer)));
                    }
                    TrackerEvent::Scraped { result: Ok(it), .. } => {
                        accepted += 1;
                        assert!(it.seeders == 0 && it.leechers <= 2, "{it:?}");
                    }
                    TrackerEvent::Announced { result: Err(_), .. }
                    | TrackerEvent::Scraped { result: Err(_), .. } => silent += 1,
                }
            }
            assert_eq!(askers.asked, 0, "each is answered once");
        }
        assert!(askers.ports.datagrams_struck() > 50);
    }
    println!("{accepted} answers, {silent} times none");
    assert!(accepted > 100 && silent > 100, "{accepted} {silent}");
}

#[test]
fn what_is_spoiled_is_not_heard_at_all() {
    let faults = DatagramFaults {
        spoils_one_in: 1,
        ..DatagramFaults::default()
    };
    let mut askers = Askers::new(3, faults);
    askers.announce(0, 7);
    let heard = askers.hear(60);
    let [(0, event)] = &heard[..] else {
        panic!("{heard:?}");
    };
    let silence = TrackerError::Unreachable("no answer within 50 s".to_owned());
    assert_eq!(reply(event), Err(&silence));
}

#[test]
fn old_connection_ids_are_refused_and_asked_for_anew() {
    let mut askers = Askers::new(4, DatagramFaults::default());
    askers.announce(0, 7);
    assert!(reply(&askers.hear(1)[0].1).is_ok());
    askers.ports.restart_tracker();
    askers.announce(0, 7);
    let heard = askers.hear(1);
    assert!(matches!(
        reply(&heard[0].1),
        Err(TrackerError::Refused { .. })
    ));
    askers.announce(0, 7);
    assert!(reply(&askers.hear(1)[0].1).is_ok());
}

#[test]
fn an_answer_that_was_not_given_since_is_told_apart() {
    let mut desk = Datagrams::new(1).socket();
    let at = EngineTime::from_secs;
    let answer = UdpResponse::Error {
        transaction: 1,
        reason: "no".to_owned(),
    };
    desk.gives(at(5), &answer.encode(AddressFamily::V4));
    let refused = |reason: &str| {
        let failure = dunlin_protocol::tracker::TrackerFailure {
            reason: reason.to_owned(),
            retry: dunlin_protocol::tracker::Retry::Unspecified,
        };
        Err(UdpError::Job(UdpJobError::Refused(failure)))
    };
    assert!(desk.gave(at(5), &refused("no")));
    assert!(!desk.gave(at(6), &refused("no")), "it was given before");
    assert!(!desk.gave(at(5), &refused("never")));
    let made_up = AnnounceReply {
        interval_secs: 5,
        ..AnnounceReply::default()
    };
    assert!(!desk.gave(at(5), &Ok(UdpReply::Announce(made_up))));
    assert!(desk.gave(at(6), &Err(UdpError::TimedOut(PATIENCE))));
}

#[test]
fn a_wrong_byte_never_escapes_the_checksum() {
    let mut luck = RngStream::new(1, NodeKey(0), StreamName::Stream);
    for len in [1, 2, 15, 16] {
        let mut bytes = vec![0; len];
        for fill in 0..3 {
            match fill {
                0 => {}
                1 => bytes.fill(0xff),
                _ => luck.fill(&mut bytes),
            }
            let right = checksum(&bytes);
            for at in 0..len {
                for flip in 1..=255 {
                    bytes[at] ^= flip;
                    assert_ne!(checksum(&bytes), right, "{flip} at {at} of {bytes:?}");
                    bytes[at] ^= flip;
                }
            }
        }
    }
    // The example of RFC 1071, section 3.
    let sum = !checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
    assert_eq!(sum, 0xddf2);
}
