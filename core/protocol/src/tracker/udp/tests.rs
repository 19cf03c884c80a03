//! Goal: both sides of BEP 15 understand each other, and the client keeps its times. Method:
//! round trips, arbitrary datagrams, and a client driven through virtual time.

use core::time::Duration;
use std::net::{Ipv4Addr, SocketAddr};

use dunlin_base::{EngineTime, InfoHash, NodeKey, PeerId, RngStream, StreamName};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::tracker::{
    AddressFamily, AnnounceEvent, AnnounceReply, AnnounceRequest, Retry, SwarmCounts,
    TrackerFailure,
};

fn request(seed: u8, numbers: [u64; 3], numwant: Option<u32>) -> AnnounceRequest {
    let [uploaded, downloaded, left] = numbers;
    AnnounceRequest {
        info_hash: InfoHash([seed; 20]),
        peer_id: PeerId([seed ^ 0xff; 20]),
        port: 6881,
        uploaded,
        downloaded,
        left,
        event: match seed % 4 {
            0 => AnnounceEvent::None,
            1 => AnnounceEvent::Started,
            2 => AnnounceEvent::Stopped,
            _ => AnnounceEvent::Completed,
        },
        numwant,
        key: 0x0102_0304,
        ipv4: (seed > 9).then_some(Ipv4Addr::new(1, 2, 3, 4)),
        ipv6: None,
        tracker_id: None,
        compact: true,
    }
}

fn round_trip(request: UdpRequest) {
    assert_eq!(UdpRequest::decode(&request.encode()), Ok(request));
}

proptest! {
    #[test]
    fn requests_round_trip(
        seed: u8, numbers: [u64; 3], numwant in proptest::option::of(0..=i32::MAX as u32),
        connection: u64, transaction: u32, url_data in vec(any::<u8>(), 0..=1020), hashes in 0..=74_u8,
    ) {
        round_trip(UdpRequest::Connect { transaction });
        round_trip(UdpRequest::Announce {
            connection,
            transaction,
            request: request(seed, numbers, numwant),
            url_data: url_data.into(),
        });
        round_trip(UdpRequest::Scrape {
            connection,
            transaction,
            info_hashes: (0..hashes).map(|n| InfoHash([n; 20])).collect(),
        });
    }

    #[test]
    fn responses_round_trip(
        transaction: u32, connection: u64, numbers: [u32; 3], reason in "[ -~é]{0,40}",
        v4 in vec(any::<(Ipv4Addr, u16)>(), 0..50),
        v6 in vec(any::<(std::net::Ipv6Addr, u16)>(), 0..50),
    ) {
        let [interval_secs, leechers, seeders] = numbers;
        let v4: Vec<SocketAddr> = v4.into_iter().map(SocketAddr::from).collect();
        let v6 = v6.into_iter().map(SocketAddr::from);
        let v6: Vec<SocketAddr> = v6.filter(|peer| peer.ip() == peer.ip().to_canonical()).collect();
        for (family, peers) in [(AddressFamily::V4, v4), (AddressFamily::V6, v6)] {
            for response in [
                UdpResponse::Connect { transaction, connection },
                UdpResponse::Announce { transaction, interval_secs, leechers, seeders, peers },
                UdpResponse::Scrape {
                    transaction,
                    swarms: vec![SwarmCounts { seeders, leechers, completed: 5 }; 3],
                },
                UdpResponse::Error { transaction, reason: reason.clone() },
            ] {
                prop_assert_eq!(UdpResponse::decode(&response.encode(family), family), Ok(response));
            }
        }
    }

    #[test]
    fn arbitrary_datagrams_never_panic(action in 0..5_u32, rest in vec(any::<u8>(), 0..200)) {
        let mut packet = action.to_be_bytes().to_vec();
        packet.extend(&rest);
        for family in [AddressFamily::V4, AddressFamily::V6] {
            drop(UdpResponse::decode(&packet, family));
        }
        let mut packet = rest.clone();
        packet.splice(0..0, PROTOCOL_ID.to_be_bytes().into_iter().chain(action.to_be_bytes()));
        drop(UdpRequest::decode(&packet));
        drop(UdpRequest::decode(&rest));
    }
}

#[test]
fn packets_have_the_lengths_of_bep_15() {
    let request = request(0, [0; 3], None);
    let announce = |url_data: &[u8]| UdpRequest::Announce {
        connection: 1,
        transaction: 2,
        request: request.clone(),
        url_data: url_data.into(),
    };
    assert_eq!(UdpRequest::Connect { transaction: 1 }.encode().len(), 16);
    assert_eq!(announce(b"").encode().len(), 98);
    let with_options = announce(b"/dir?a=b").encode();
    assert_eq!(&with_options[98..], b"\x02\x08/dir?a=b\x00");
    // A URL that does not fit is left out whole.
    assert_eq!(announce(&[b'a'; 2000]).encode().len(), 98);
}

#[test]
fn options_are_joined_and_unknown_ones_skipped() {
    let mut packet = UdpRequest::Announce {
        connection: 1,
        transaction: 2,
        request: request(0, [0; 3], None),
        url_data: Box::default(),
    }
    .encode();
    packet.extend(b"\x01\x02\x02/a\x09\x03xyz\x02\x01b\x00\x02\x01c");
    let Ok(UdpRequest::Announce { url_data, .. }) = UdpRequest::decode(&packet) else {
        panic!("not an announce");
    };
    assert_eq!(&*url_data, b"/ab");
}

/// A client, its clock and its luck.
struct Rig {
    client: UdpTrackerClient,
    now: EngineTime,
    rng: RngStream,
}

impl Rig {
    fn new() -> Self {
        Self {
            client: UdpTrackerClient::new(AddressFamily::V4),
            now: EngineTime::from_secs(1000),
            rng: RngStream::new(1, NodeKey(0), StreamName::Discover),
        }
    }

    fn announce(&mut self, key: u64) {
        let job = UdpJob::Announce {
            request: request(key as u8, [0; 3], None),
            url_data: Box::default(),
        };
        self.client.begin(self.now, UdpJobKey(key), job);
    }

    fn sent(&mut self) -> Option<UdpRequest> {
        let packet = self.client.poll_transmit(self.now, &mut self.rng)?;
        Some(UdpRequest::decode(&packet).unwrap())
    }

    fn sent_connect(&mut self) -> u32 {
        match self.sent() {
            Some(UdpRequest::Connect { transaction }) => transaction,
            other => panic!("expected a connect, got {other:?}"),
        }
    }

    fn sent_announce(&mut self) -> (u64, u32) {
        match self.sent() {
            Some(UdpRequest::Announce {
                connection,
                transaction,
                ..
            }) => (connection, transaction),
            other => panic!("expected an announce, got {other:?}"),
        }
    }

    fn receive(&mut self, response: &UdpResponse) -> Result<(), UdpPacketError> {
        self.client
            .receive(self.now, &response.encode(AddressFamily::V4))
    }

    fn outcome(&mut self) -> Option<(u64, Result<UdpReply, UdpJobError>)> {
        let (key, outcome) = self.client.poll_outcome(self.now)?;
        Some((key.0, outcome))
    }

    fn open(&mut self, connection: u64) {
        let transaction = self.sent_connect();
        let answer = UdpResponse::Connect {
            transaction,
            connection,
        };
        self.receive(&answer).unwrap();
    }

    fn announced(transaction: u32) -> UdpResponse {
        UdpResponse::Announce {
            transaction,
            interval_secs: 900,
            leechers: 1,
            seeders: 2,
            peers: vec!["192.0.2.1:6881".parse().unwrap()],
        }
    }
}

#[test]
fn jobs_share_a_connection_for_a_minute() {
    let mut rig = Rig::new();
    rig.announce(1);
    rig.announce(2);
    rig.open(77);
    let (first, second) = (rig.sent_announce(), rig.sent_announce());
    assert_eq!((first.0, second.0), (77, 77));
    assert_ne!(first.1, second.1);
    assert_eq!(rig.sent(), None);
    rig.receive(&Rig::announced(second.1)).unwrap();
    let expected = AnnounceReply {
        interval_secs: 900,
        leechers: Some(1),
        seeders: Some(2),
        peers: vec!["192.0.2.1:6881".parse().unwrap()],
        ..AnnounceReply::default()
    };
    assert_eq!(rig.outcome(), Some((2, Ok(UdpReply::Announce(expected)))));
    rig.receive(&Rig::announced(first.1)).unwrap();
    assert_eq!(rig.outcome().unwrap().0, 1);
    assert!(rig.client.is_idle());
    assert_eq!(rig.client.deadline(), EngineTime::NEVER);

    rig.now += Duration::from_secs(59);
    rig.announce(3);
    assert_eq!(rig.sent_announce().0, 77);
    rig.now += Duration::from_secs(1);
    rig.announce(4);
    rig.sent_connect();
}

#[test]
fn tries_are_15_seconds_apart_and_double() {
    let mut rig = Rig::new();
    let start = rig.now;
    rig.announce(1);
    let mut sent_at = Vec::new();
    let transaction = rig.sent_connect();
    let outcome = loop {
        sent_at.push(rig.now.since(start).as_secs());
        assert_eq!(rig.sent(), None);
        assert!(rig.client.deadline() > rig.now);
        rig.now = rig.client.deadline();
        match rig.sent() {
            Some(request) => assert_eq!(request, UdpRequest::Connect { transaction }),
            None => break rig.outcome(),
        }
    };
    assert_eq!(sent_at, [0, 15, 45, 105, 225, 465, 945, 1905, 3825]);
    assert_eq!(rig.now.since(start).as_secs(), 15 * 511);
    assert_eq!(outcome, Some((1, Err(UdpJobError::Timeout))));
    assert!(rig.client.is_idle());
}

#[test]
fn a_job_without_answer_connects_again_when_its_connection_is_old() {
    let mut rig = Rig::new();
    rig.announce(1);
    rig.open(1);
    let (_, transaction) = rig.sent_announce();
    for _ in 0..2 {
        rig.now = rig.client.deadline();
        assert_eq!(rig.sent_announce(), (1, transaction));
    }
    // 45 s have passed and the third wait is 60 s long.
    rig.now = rig.client.deadline();
    rig.open(2);
    assert_eq!(rig.sent_announce(), (2, transaction));
    rig.receive(&Rig::announced(transaction)).unwrap();
    assert!(rig.outcome().unwrap().1.is_ok());
}

#[test]
fn answers_that_nobody_asked_for_change_nothing() {
    let mut rig = Rig::new();
    rig.announce(1);
    let connect = rig.sent_connect();
    let stranger = UdpResponse::Connect {
        transaction: connect ^ 1,
        connection: 666,
    };
    rig.receive(&stranger).unwrap();
    assert_eq!(rig.sent(), None);
    assert_eq!(
        rig.receive(&Rig::announced(connect)),
        Err(UdpPacketError::Mismatch { got: 1 })
    );
    let answer = UdpResponse::Connect {
        transaction: connect,
        connection: 5,
    };
    rig.receive(&answer).unwrap();
    let (connection, transaction) = rig.sent_announce();
    assert_eq!(connection, 5);
    let wrong = UdpResponse::Scrape {
        transaction,
        swarms: Vec::new(),
    };
    assert_eq!(
        rig.receive(&wrong),
        Err(UdpPacketError::Mismatch { got: 2 })
    );
    assert_eq!(rig.outcome(), None);
    assert!(rig.client.receive(rig.now, b"abc").is_err());
}

#[test]
fn a_refusal_ends_the_job_and_the_connection() {
    let mut rig = Rig::new();
    rig.announce(1);
    rig.open(1);
    let (_, transaction) = rig.sent_announce();
    let reason = "unregistered torrent".to_owned();
    let refusal = UdpResponse::Error {
        transaction,
        reason: reason.clone(),
    };
    rig.receive(&refusal).unwrap();
    let failure = TrackerFailure {
        reason,
        retry: Retry::Unspecified,
    };
    assert_eq!(rig.outcome(), Some((1, Err(failure.clone().into()))));

    rig.announce(2);
    rig.announce(3);
    let transaction = rig.sent_connect();
    let refusal = UdpResponse::Error {
        transaction,
        reason: failure.reason.clone(),
    };
    rig.receive(&refusal).unwrap();
    assert_eq!(rig.outcome(), Some((2, Err(failure.clone().into()))));
    assert_eq!(rig.outcome(), Some((3, Err(failure.into()))));
}

#[test]
fn a_cancelled_job_has_no_outcome_and_leaves_no_tries() {
    let mut rig = Rig::new();
    rig.announce(1);
    rig.sent_connect();
    rig.client.cancel(UdpJobKey(1));
    assert!(rig.client.is_idle());
    assert_eq!(rig.client.deadline(), EngineTime::NEVER);
    rig.now += Duration::from_secs(10_000);
    assert_eq!(rig.sent(), None);
    rig.announce(2);
    rig.open(9);
    assert_eq!(rig.sent_announce().0, 9);
}

#[test]
fn scrapes_come_in_the_order_asked() {
    let mut rig = Rig::new();
    let info_hashes = vec![InfoHash([1; 20]), InfoHash([2; 20])];
    let job = UdpJob::Scrape {
        info_hashes: info_hashes.clone(),
    };
    rig.client.begin(rig.now, UdpJobKey(1), job);
    rig.open(1);
    let Some(UdpRequest::Scrape {
        transaction,
        info_hashes: asked,
        ..
    }) = rig.sent()
    else {
        panic!("not a scrape");
    };
    assert_eq!(asked, info_hashes);
    let swarm = |seeders| SwarmCounts {
        seeders,
        leechers: 0,
        completed: 9,
    };
    let swarms = vec![swarm(1), swarm(2)];
    let answer = UdpResponse::Scrape {
        transaction,
        swarms: swarms.clone(),
    };
    rig.receive(&answer).unwrap();
    assert_eq!(rig.outcome(), Some((1, Ok(UdpReply::Scrape(swarms)))));
}
