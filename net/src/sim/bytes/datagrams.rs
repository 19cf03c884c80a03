//! Datagrams between nodes and a UDP tracker (BEP 15): lost, doubled, late, out of order, spoiled,
//! forged.
//!
//! What asks is the code that asks for real sockets, what answers is the tracker of `dunlin tracker`; each
//! request and answer is encoded, and goes as a datagram of its own. An answer that a node takes must be
//! one that the tracker gave it since it asked: that is asserted of each.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use dunlin_base::{EngineTime, NodeKey, RngStream, StreamName, TorrentKey};
use dunlin_port::tracker::{TrackerCommand, TrackerError, TrackerEvent};
use dunlin_protocol::tracker::udp::{UdpJob, UdpJobError, UdpReply, UdpResponse};
use dunlin_protocol::tracker::{AddressFamily, AnnounceEvent, TrackerUrl};

use super::super::addr_of;
use super::ports::{BytePorts, Kind, Late, Lies};
use crate::real::tracker::errands::{
    Answer, Errands, GOODBYE_PATIENCE, PATIENCE, UdpError, nonsense,
};
use crate::tracker_server::{SECRET_BYTES, answer_datagram};

/// Answers of the tracker that are remembered for each node, to compare with what it takes.
const GIVEN_MAX: usize = 64;

/// What datagrams suffer: one of so many, 0 for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DatagramFaults {
    /// Are lost.
    pub loses_one_in: u64,
    /// Arrive twice, each at a time of its own.
    pub doubles_one_in: u64,
    /// Arrive with a byte that is not as it was. Their checksums tell, as those of UDP do.
    pub spoils_one_in: u64,
    /// Are followed by one that claims to be of the tracker, and is not: with another number, or noise.
    pub forges_one_in: u64,
    /// Up to how much later than its line takes each arrives, so that what is sent last may come first.
    pub late_by: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum To {
    Tracker,
    Node,
}

/// A datagram between a node's socket and the tracker.
#[derive(Clone, Debug)]
struct Datagram {
    node: NodeKey,
    /// Of the node's socket.
    port: u16,
    to: To,
    bytes: Vec<u8>,
    checksum: u16,
}

/// The network of datagrams, and the tracker at its end.
pub(super) struct Datagrams {
    faults: DatagramFaults,
    under_way: BTreeMap<(EngineTime, u64), Datagram>,
    /// What the tracker's connection ids are made with.
    secret: [u8; SECRET_BYTES],
    /// A stream of its own: swarms whose tracker is asked over HTTP do not depend on it.
    luck: RngStream,
    struck: u64,
}

impl Datagrams {
    pub(super) fn new(seed: u64) -> Self {
        let mut luck = RngStream::new(seed, NodeKey(0), StreamName::Discover);
        Self {
            faults: DatagramFaults::default(),
            under_way: BTreeMap::new(),
            secret: secret(&mut luck),
            luck,
            struck: 0,
        }
    }

    /// A socket of its own for a process.
    pub(super) fn socket(&mut self) -> Desk {
        Desk {
            errands: Errands::new(AddressFamily::V4),
            port: 50_000 + self.luck.below(10_000) as u16,
            given: VecDeque::new(),
        }
    }

    pub(super) fn next_at(&self) -> Option<EngineTime> {
        self.under_way.first_key_value().map(|((at, _), _)| *at)
    }

    /// Whether it is the turn of a fault; counts those that it is.
    fn strikes(&mut self, one_in: u64) -> bool {
        let strikes = one_in > 0 && self.luck.below(one_in) == 0;
        self.struck += u64::from(strikes);
        strikes
    }
}

/// A node's process at its UDP socket.
pub(super) struct Desk {
    errands: Errands<Asked>,
    port: u16,
    /// What the tracker answered to this socket, and when.
    given: VecDeque<(EngineTime, UdpResponse)>,
}

/// What the engine waits for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    torrent: TorrentKey,
    tracker: u32,
    announces: bool,
    at: EngineTime,
}

impl Desk {
    pub(super) fn next_at(&self) -> EngineTime {
        self.errands.deadline()
    }

    /// Notes what the tracker answers, as it can be read from the datagram.
    fn gives(&mut self, now: EngineTime, datagram: &[u8]) {
        let response = UdpResponse::decode(datagram, AddressFamily::V4);
        let response = response.expect("the tracker writes what can be read");
        self.given.push_back((now, response));
        if self.given.len() > GIVEN_MAX {
            self.given.pop_front();
        }
    }

    /// Whether the tracker gave this answer since then; silence is nobody's.
    fn gave(&self, since: EngineTime, answer: &Answer) -> bool {
        let is_it = |response: &UdpResponse| match (response, answer) {
            (
                UdpResponse::Announce {
                    interval_secs,
                    leechers,
                    seeders,
                    peers,
                    ..
                },
                Ok(UdpReply::Announce(reply)),
            ) => {
                reply.interval_secs == *interval_secs
                    && reply.leechers == Some(*leechers)
                    && reply.seeders == Some(*seeders)
                    && reply.peers == *peers
            }
            (UdpResponse::Scrape { swarms, .. }, Ok(UdpReply::Scrape(counts))) => counts == swarms,
            (
                UdpResponse::Error { reason, .. },
                Err(UdpError::Job(UdpJobError::Refused(failure))),
            ) => failure.reason == *reason,
            _ => false,
        };
        let is_silence = matches!(
            answer,
            Err(UdpError::TimedOut(_) | UdpError::Job(UdpJobError::Timeout))
        );
        let given = self.given.iter().filter(|(at, _)| *at >= since);
        is_silence || given.map(|(_, response)| response).any(is_it)
    }
}

impl BytePorts {
    /// What datagrams suffer from now on.
    pub const fn set_datagram_faults(&mut self, faults: DatagramFaults) {
        self.datagrams.faults = faults;
    }

    /// Datagrams that were lost, doubled, spoiled or forged until now.
    #[must_use]
    pub const fn datagrams_struck(&self) -> u64 {
        self.datagrams.struck
    }

    /// The tracker starts anew: it has forgotten everybody, and the connection ids that it gave.
    pub fn restart_tracker(&mut self) {
        self.datagrams.secret = secret(&mut self.datagrams.luck);
        self.forget_swarms();
    }

    /// Asks the tracker by datagrams.
    pub(super) fn ask_by_datagrams(&mut self, node: NodeKey, command: TrackerCommand) {
        let at = self.now;
        let asked = |torrent, tracker, announces| Asked {
            torrent,
            tracker,
            announces,
            at,
        };
        let (job, patience, who) = match command {
            TrackerCommand::Announce {
                torrent,
                tracker,
                url,
                request,
                ..
            } => {
                let patience = match request.event {
                    AnnounceEvent::Stopped => GOODBYE_PATIENCE,
                    _ => PATIENCE,
                };
                let url = TrackerUrl::parse(&url).expect("a URL of our own");
                let url_data = url.url_data().into_bytes().into();
                let job = UdpJob::Announce { request, url_data };
                (job, patience, asked(torrent, tracker, true))
            }
            TrackerCommand::Scrape {
                torrent,
                tracker,
                info_hash,
                ..
            } => {
                let info_hashes = vec![info_hash];
                let job = UdpJob::Scrape { info_hashes };
                (job, PATIENCE, asked(torrent, tracker, false))
            }
        };
        self.node(node).desk.errands.begin(at, job, patience, who);
        self.transmit(node);
    }

    /// Lets datagrams arrive, and hands out what has come of it.
    pub(super) fn move_datagrams(&mut self) {
        while let Some(first) = self.datagrams.under_way.first_entry()
            && first.key().0 <= self.now
        {
            let datagram = first.remove();
            if checksum(&datagram.bytes) != datagram.checksum {
                continue;
            }
            match datagram.to {
                To::Tracker => self.tracker_hears(&datagram),
                To::Node => self.node_hears(&datagram),
            }
        }
        for number in 0..self.hosts.len() as u32 {
            let node = NodeKey(number);
            let kind = &self.hosts[number as usize].kind;
            if matches!(kind, Kind::Node(row) if row.alive && row.desk.next_at() <= self.now) {
                self.settle(node);
                self.transmit(node);
            }
        }
    }

    /// Sends what a node wants to be sent.
    fn transmit(&mut self, node: NodeKey) {
        loop {
            let now = self.now;
            let Kind::Node(row) = &mut self.hosts[node.0 as usize].kind else {
                return;
            };
            let Some(bytes) = row
                .desk
                .errands
                .poll_transmit(now, &mut self.datagrams.luck)
            else {
                return;
            };
            let port = row.desk.port;
            if self.hosts[node.0 as usize].stalled_until <= now {
                self.send(node, port, To::Tracker, bytes);
            }
        }
    }

    fn send(&mut self, node: NodeKey, port: u16, to: To, bytes: Vec<u8>) {
        let delay = self.hosts[node.0 as usize].line.delay;
        let net = &mut self.datagrams;
        let faults = net.faults;
        let checksum = checksum(&bytes);
        let datagram = Datagram {
            node,
            port,
            to,
            bytes,
            checksum,
        };
        let mut copies = Vec::new();
        if to == To::Node && net.strikes(faults.forges_one_in) {
            copies.push(forged(&datagram, &mut net.luck));
        }
        if !net.strikes(faults.loses_one_in) {
            let twice = net.strikes(faults.doubles_one_in);
            copies.extend(twice.then(|| datagram.clone()));
            copies.push(datagram);
        }
        for mut copy in copies {
            if net.strikes(faults.spoils_one_in) {
                let at = net.luck.below(copy.bytes.len() as u64) as usize;
                copy.bytes[at] ^= 1 + net.luck.below(255) as u8;
            }
            let late = net.luck.below(faults.late_by.as_millis() as u64 + 1);
            let at = self.now + delay + Duration::from_millis(late);
            self.planned += 1;
            net.under_way.insert((at, self.planned), copy);
        }
    }

    fn tracker_hears(&mut self, datagram: &Datagram) {
        let Datagram {
            node, port, bytes, ..
        } = datagram;
        let lies = self.lies_now();
        if lies == Some(Lies::Down) {
            return;
        }
        let from = SocketAddr::new(addr_of(*node).ip(), *port);
        let (now, clock) = (self.now, self.now.since(EngineTime::START));
        let (secret, swarms) = (&self.datagrams.secret, self.tracker.swarms(now));
        let (Some(mut answer), _) = answer_datagram(bytes, from, secret, clock, swarms) else {
            return;
        };
        if let Some(lies) = lies {
            self.lie_in(&mut answer, lies, addr_of(*node));
        }
        let bytes = answer.encode(AddressFamily::V4);
        let row = self.node(*node);
        if row.desk.port == *port {
            row.desk.gives(now, &bytes);
        }
        self.send(*node, *port, To::Node, bytes);
    }

    /// As [`Self::lied`], over UDP.
    fn lie_in(&mut self, answer: &mut UdpResponse, lies: Lies, own: SocketAddr) {
        let UdpResponse::Announce {
            transaction,
            interval_secs,
            peers,
            ..
        } = answer
        else {
            return;
        };
        match lies {
            Lies::Down => {}
            Lies::Refuses => {
                *answer = UdpResponse::Error {
                    transaction: *transaction,
                    reason: "go away".to_owned(),
                };
            }
            Lies::Strangers => *peers = self.strangers(own),
            Lies::Always => *interval_secs = 0,
            Lies::Hardly => *interval_secs = u32::MAX,
        }
    }

    fn node_hears(&mut self, datagram: &Datagram) {
        let Datagram {
            node, port, bytes, ..
        } = datagram;
        let now = self.now;
        let row = self.node(*node);
        if row.alive && row.desk.port == *port {
            // What is not of the protocol is dropped, by the real socket's task too.
            _ = row.desk.errands.receive(now, bytes);
            self.settle(*node);
            self.transmit(*node);
        }
    }

    /// Hands out what has ended.
    ///
    /// # Panics
    /// When a node took an answer that the tracker did not give it since it asked.
    fn settle(&mut self, node: NodeKey) {
        let now = self.now;
        let row = self.node(node);
        for (asked, answer) in row.desk.errands.settle(now, |_| false) {
            assert!(
                self.node(node).desk.gave(asked.at, &answer),
                "{node:?} took an answer that the tracker never gave: {answer:?}"
            );
            self.later(node, now, Late::Tracker(event_of(asked, answer)));
        }
    }
}

fn event_of(asked: Asked, answer: Answer) -> TrackerEvent {
    let Asked {
        torrent, tracker, ..
    } = asked;
    let reply = answer.map_err(TrackerError::from);
    if asked.announces {
        let result = reply.and_then(|reply| match reply {
            UdpReply::Announce(reply) => Ok(reply),
            UdpReply::Scrape(_) => Err(nonsense()),
        });
        TrackerEvent::Announced {
            torrent,
            tracker,
            result,
        }
    } else {
        let result = reply.and_then(|reply| match reply {
            UdpReply::Scrape(swarms) => swarms.first().copied().ok_or_else(nonsense),
            UdpReply::Announce(_) => Err(nonsense()),
        });
        TrackerEvent::Scraped {
            torrent,
            tracker,
            result,
        }
    }
}

/// What somebody sends in the tracker's name who has seen one of its answers, but knows of no request that
/// is open: an answer to another request that tells of other peers, or noise.
fn forged(datagram: &Datagram, luck: &mut RngStream) -> Datagram {
    let mut bytes = datagram.bytes.clone();
    if luck.below(2) == 0 {
        // Action and transaction are the first two numbers.
        let (head, rest) = bytes.split_at_mut(8.min(datagram.bytes.len()));
        let number = luck.below(u32::MAX.into()) as u32 + 1;
        for (byte, other) in head.iter_mut().skip(4).zip(number.to_be_bytes()) {
            *byte ^= other;
        }
        luck.fill(rest);
    } else {
        bytes.resize(luck.below(80) as usize + 1, 0);
        luck.fill(&mut bytes);
    }
    Datagram {
        checksum: checksum(&bytes),
        bytes,
        ..*datagram
    }
}

fn secret(luck: &mut RngStream) -> [u8; SECRET_BYTES] {
    let mut secret = [0; SECRET_BYTES];
    luck.fill(&mut secret);
    secret
}

/// The checksum of UDP (RFC 768, RFC 1071) without its pseudo-header: a wrong byte never escapes it.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| match *word {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests;
