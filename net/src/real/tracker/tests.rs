//! The tracker clients against doubles on loopback that misbehave, and against our own tracker.

mod double;
mod forgery;
mod http;
mod udp;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use dunlin_base::{InfoHash, NodeKey, PeerId, TorrentKey};
use dunlin_protocol::tracker::{AnnounceEvent, AnnounceReply, AnnounceRequest, SwarmCounts};

use super::clients::Patience;
use super::tls::Tls;
use super::*;

const SHORT: Duration = Duration::from_millis(400);

/// A port whose thread wakes the test.
struct Bench {
    port: TrackerPort,
    woken: Receiver<()>,
}

impl Bench {
    fn new() -> Self {
        Self::with(Patience::default(), Tls::default())
    }

    fn impatient() -> Self {
        Self::with(
            Patience {
                http: SHORT,
                udp: SHORT,
                stopped: SHORT,
            },
            Tls::default(),
        )
    }

    fn with(patience: Patience, tls: Tls) -> Self {
        let (wake, woken) = sync_channel(1);
        let wake: Wake = Arc::new(move || _ = wake.try_send(()));
        let clients = Clients::with(Outlet::new(None, None), tls, patience);
        Self {
            port: TrackerPort::with_clients(wake, clients).unwrap(),
            woken,
        }
    }

    fn next(&self) -> TrackerEvent {
        let mut events = VecDeque::new();
        while events.is_empty() {
            self.woken
                .recv_timeout(Duration::from_secs(20))
                .expect("an event");
            self.port.drain(&mut events);
        }
        assert_eq!(events.len(), 1);
        events.pop_front().unwrap()
    }

    fn announce(&self, url: &str, request: AnnounceRequest) -> Result<AnnounceReply, TrackerError> {
        let (node, torrent, tracker) = (NodeKey(0), TorrentKey(5), 3);
        let url = url.to_owned();
        let command = TrackerCommand::Announce {
            node,
            torrent,
            tracker,
            url,
            request,
        };
        self.port.submit(&mut vec![command]);
        match self.next() {
            TrackerEvent::Announced {
                torrent: TorrentKey(5),
                tracker: 3,
                result,
            } => result,
            other => panic!("{other:?}"),
        }
    }

    fn scrape(&self, url: &str, info_hash: InfoHash) -> Result<SwarmCounts, TrackerError> {
        let (torrent, tracker) = (TorrentKey(5), 3);
        let url = url.to_owned();
        self.port.submit(&mut vec![TrackerCommand::Scrape {
            torrent,
            tracker,
            url,
            info_hash,
        }]);
        match self.next() {
            TrackerEvent::Scraped {
                torrent: TorrentKey(5),
                tracker: 3,
                result,
            } => result,
            other => panic!("{other:?}"),
        }
    }
}

fn request(peer: u8, left: u64, event: AnnounceEvent) -> AnnounceRequest {
    AnnounceRequest {
        info_hash: InfoHash([0xab; 20]),
        peer_id: PeerId([peer; 20]),
        port: 7000 + u16::from(peer),
        uploaded: 0,
        downloaded: 0,
        left,
        event,
        numwant: None,
        key: u32::from(peer) * 7,
        ipv4: None,
        ipv6: None,
        tracker_id: None,
        compact: true,
    }
}

fn started() -> AnnounceRequest {
    request(1, 10, AnnounceEvent::Started)
}

fn unreachable(result: Result<AnnounceReply, TrackerError>) -> String {
    match result {
        Err(TrackerError::Unreachable(why)) => why,
        other => panic!("expected no usable answer, got {other:?}"),
    }
}

fn forbidden(result: Result<AnnounceReply, TrackerError>) -> String {
    match result {
        Err(TrackerError::Forbidden(why)) => why,
        other => panic!("expected a refusal of ours, got {other:?}"),
    }
}

#[test]
fn trackers_are_told_apart_by_scheme_host_and_port() {
    assert_eq!(
        &*tracker_of("http://Tracker.Example:80/announce?x"),
        "http://tracker.example:80"
    );
    assert_eq!(&*tracker_of("udp://a.example:1337"), "udp://a.example:1337");
    assert_eq!(&*tracker_of("nonsense"), "://");
}

#[test]
fn what_may_not_be_asked_is_not_asked() {
    let bench = Bench::new();
    for url in [
        "ftp://127.0.0.1/announce",
        "http://127.0.0.1:1/admin",
        "http://169.254.169.254/announce",
        "http://[::ffff:169.254.169.254]/announce",
        "http://0.0.0.0/announce",
        "udp://224.0.0.1:6969",
        "nonsense",
    ] {
        forbidden(bench.announce(url, started()));
    }
}

#[test]
fn a_busy_tracker_leaves_places_to_others() {
    let silent = double::Double::start(|_, _| double::Act::Hang);
    let good = double::Double::start(|_, _| double::Act::bencoded(b"d8:intervali60e5:peers0:e"));
    let bench = Bench::new();
    let command = |url: String| TrackerCommand::Announce {
        node: NodeKey(0),
        torrent: TorrentKey(5),
        tracker: 3,
        url,
        request: started(),
    };
    let mut commands: Vec<_> = (0..200).map(|_| command(silent.url("/announce"))).collect();
    commands.push(command(good.url("/announce")));
    bench.port.submit(&mut commands);
    match bench.next() {
        TrackerEvent::Announced {
            result: Ok(reply), ..
        } => assert_eq!(reply.interval_secs, 60),
        other => panic!("{other:?}"),
    }
}
