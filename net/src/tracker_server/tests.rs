//! The tracker, asked by our own clients and by hand.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, sync_channel};

use dunlin_base::{InfoHash, NodeKey, PeerId, TorrentKey};
use dunlin_port::tracker::{TrackerCommand, TrackerError, TrackerEvent};
use dunlin_protocol::tracker::udp::{UdpRequest, UdpResponse};
use dunlin_protocol::tracker::{
    AddressFamily, AnnounceEvent, AnnounceReply, AnnounceRequest, SwarmCounts,
};

use super::swarms::{Families, RefuseError};
use super::*;
use crate::real::{TrackerPort, Wake};

const SWARM: InfoHash = InfoHash([0xab; 20]);

fn options() -> TrackerServerOptions {
    TrackerServerOptions {
        interval: Duration::from_secs(90),
        ..TrackerServerOptions::default()
    }
}

fn request(peer: u8, left: u64, event: AnnounceEvent) -> AnnounceRequest {
    AnnounceRequest {
        info_hash: SWARM,
        peer_id: PeerId([peer; 20]),
        port: 7000 + u16::from(peer),
        uploaded: 0,
        downloaded: 0,
        left,
        event,
        numwant: None,
        key: u32::from(peer) + 1,
        ipv4: None,
        ipv6: None,
        tracker_id: None,
        compact: true,
    }
}

/// Our own clients.
struct Client {
    port: TrackerPort,
    woken: Receiver<()>,
}

impl Client {
    fn new() -> Self {
        let (wake, woken) = sync_channel(1);
        let wake: Wake = Arc::new(move || _ = wake.try_send(()));
        Self {
            port: TrackerPort::new(wake, None, None).unwrap(),
            woken,
        }
    }

    fn ask(&self, command: TrackerCommand) -> TrackerEvent {
        self.port.submit(&mut vec![command]);
        let mut events = VecDeque::new();
        while events.is_empty() {
            self.woken
                .recv_timeout(Duration::from_secs(20))
                .expect("an answer");
            self.port.drain(&mut events);
        }
        events.pop_front().unwrap()
    }

    fn announce(&self, url: &str, request: AnnounceRequest) -> Result<AnnounceReply, TrackerError> {
        let (node, torrent, url) = (NodeKey(0), TorrentKey(0), url.to_owned());
        match self.ask(TrackerCommand::Announce {
            node,
            torrent,
            tracker: 0,
            url,
            request,
        }) {
            TrackerEvent::Announced { result, .. } => result,
            other => panic!("{other:?}"),
        }
    }

    fn scrape(&self, url: &str) -> SwarmCounts {
        let (torrent, url) = (TorrentKey(0), url.to_owned());
        match self.ask(TrackerCommand::Scrape {
            torrent,
            tracker: 0,
            url,
            info_hash: SWARM,
        }) {
            TrackerEvent::Scraped { result, .. } => result.unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

/// A tracker on loopback, and its URLs of all kinds.
fn start() -> (TrackerServer, Vec<String>) {
    let mut addrs: Vec<SocketAddr> = vec!["127.0.0.1:0".parse().unwrap()];
    // Some build machines have no IPv6.
    if UdpSocket::bind("[::1]:0").is_ok() {
        addrs.push("[::1]:0".parse().unwrap());
    }
    let server = TrackerServer::start(addrs.clone(), addrs, options()).unwrap();
    let http = server
        .local_addrs()
        .http
        .iter()
        .map(|addr| format!("http://{addr}/announce"));
    let udp = server
        .local_addrs()
        .udp
        .iter()
        .map(|addr| format!("udp://{addr}/announce"));
    let urls = http.chain(udp).collect();
    (server, urls)
}

#[test]
fn swarms_meet_over_every_transport() {
    let client = Client::new();
    let (_, kinds) = start();
    for kind in 0..kinds.len() {
        let (server, urls) = start();
        let url = &urls[kind];
        let first = client
            .announce(url, request(1, 0, AnnounceEvent::Started))
            .unwrap();
        assert_eq!((first.seeders, first.leechers), (Some(1), Some(0)), "{url}");
        assert_eq!(first.interval_secs, 90);
        assert!(first.peers.is_empty(), "nobody is told of himself");

        let ip = if url.contains("[::1]") {
            "[::1]"
        } else {
            "127.0.0.1"
        };
        for compact in [true, false] {
            let asks = AnnounceRequest {
                compact,
                ..request(2, 5, AnnounceEvent::Started)
            };
            let second = client.announce(url, asks).unwrap();
            assert_eq!(
                second.peers,
                [format!("{ip}:7001").parse().unwrap()],
                "{url}"
            );
        }
        let seed = client
            .announce(url, request(3, 0, AnnounceEvent::None))
            .unwrap();
        assert_eq!(
            seed.peers,
            [format!("{ip}:7002").parse().unwrap()],
            "a seed needs no seed"
        );
        assert_eq!(server.stats().peers, 3);

        client
            .announce(url, request(2, 0, AnnounceEvent::Completed))
            .unwrap();
        let counts = SwarmCounts {
            seeders: 3,
            leechers: 0,
            completed: 1,
        };
        assert_eq!(client.scrape(url), counts, "{url}");
        let bye = client
            .announce(url, request(1, 0, AnnounceEvent::Stopped))
            .unwrap();
        assert!(bye.peers.is_empty());
        assert_eq!(client.scrape(url).seeders, 2);
        let stats = server.stats();
        assert_eq!(
            (stats.torrents, stats.peers, stats.announces, stats.scrapes),
            (1, 2, 6, 2)
        );
    }
}

#[test]
fn only_who_knows_the_key_may_change_a_peer() {
    let mut swarms = Swarms::new(options(), 1);
    let now = Duration::ZERO;
    let mut announce = |request: &AnnounceRequest, from: &str| {
        swarms.announce(request, from.parse().unwrap(), Families::Both, now)
    };
    let asks = request(1, 5, AnnounceEvent::Started);
    announce(&asks, "9.9.9.9").unwrap();
    // The same client behind a new address.
    announce(&asks, "9.9.9.8").unwrap();
    let forged = AnnounceRequest {
        key: 99,
        ..asks.clone()
    };
    assert_eq!(
        announce(&forged, "9.9.9.7").unwrap_err(),
        RefuseError::PeerIdTaken
    );
    let goodbye = AnnounceRequest {
        event: AnnounceEvent::Stopped,
        ..forged
    };
    assert_eq!(
        announce(&goodbye, "9.9.9.7").unwrap_err(),
        RefuseError::PeerIdTaken
    );
    let no_port = AnnounceRequest {
        port: 0,
        ..asks.clone()
    };
    assert_eq!(
        announce(&no_port, "9.9.9.8").unwrap_err(),
        RefuseError::NoPort
    );

    // An address in a request is believed from this machine only.
    let told = AnnounceRequest {
        ipv4: Some([8, 8, 8, 8].into()),
        ..request(2, 5, AnnounceEvent::Started)
    };
    announce(&told, "9.9.9.1").unwrap();
    let told = AnnounceRequest {
        ipv4: Some([7, 7, 7, 7].into()),
        ..request(3, 5, AnnounceEvent::Started)
    };
    announce(&told, "127.0.0.1").unwrap();
    let mut peers = announce(&request(4, 5, AnnounceEvent::Started), "9.9.9.2")
        .unwrap()
        .peers;
    peers.sort_unstable();
    let expected: [SocketAddr; 3] =
        ["7.7.7.7:7003", "9.9.9.1:7002", "9.9.9.8:7001"].map(|addr| addr.parse().unwrap());
    assert_eq!(peers, expected);
}

#[test]
fn memory_is_bounded_and_the_silent_expire() {
    let limits = TrackerServerOptions {
        torrents_max: 2,
        peers_max: 3,
        ..options()
    };
    let mut swarms = Swarms::new(limits, 1);
    let announce = |swarms: &mut Swarms, swarm: u8, peer: u8, secs: u64| {
        let asks = AnnounceRequest {
            info_hash: InfoHash([swarm; 20]),
            ..request(peer, 5, AnnounceEvent::None)
        };
        let from = "9.9.9.9".parse().unwrap();
        swarms
            .announce(&asks, from, Families::Both, Duration::from_secs(secs))
            .map(|_| ())
    };
    announce(&mut swarms, 1, 1, 0).unwrap();
    announce(&mut swarms, 2, 1, 0).unwrap();
    assert_eq!(announce(&mut swarms, 3, 1, 0), Err(RefuseError::Full));
    announce(&mut swarms, 1, 2, 100).unwrap();
    assert_eq!(announce(&mut swarms, 1, 3, 100), Err(RefuseError::Full));
    announce(&mut swarms, 1, 2, 150).unwrap();
    swarms.expire(Duration::from_secs(211));
    assert_eq!((swarms.torrents(), swarms.peers()), (1, 1));
    announce(&mut swarms, 3, 1, 211).unwrap();
    assert_eq!(swarms.counts(InfoHash([1; 20])).leechers, 1);
}

#[test]
fn answers_are_random_choices_of_bounded_size() {
    let mut swarms = Swarms::new(options(), 1);
    let now = Duration::ZERO;
    for peer in 0..=255_u8 {
        for ip in ["9.9.9.9", "2001:db8::9"] {
            let from = ip.parse().unwrap();
            let asks = request(peer, 5, AnnounceEvent::Started);
            swarms.announce(&asks, from, Families::Both, now).unwrap();
        }
    }
    let mut pick = |numwant, families| {
        let asks = AnnounceRequest {
            numwant,
            ..request(0, 5, AnnounceEvent::None)
        };
        swarms
            .announce(&asks, "9.9.9.9".parse().unwrap(), families, now)
            .unwrap()
            .peers
    };
    assert_eq!(pick(None, Families::Both).len(), 50);
    assert_eq!(pick(Some(10_000), Families::Both).len(), 200);
    assert_eq!(pick(Some(0), Families::Both).len(), 0);
    let first = pick(Some(20), Families::Both);
    assert!(first.iter().any(SocketAddr::is_ipv6) && first.iter().any(SocketAddr::is_ipv4));
    assert_ne!(first, pick(Some(20), Families::Both));
    let same = pick(Some(100), Families::Same { peers_max: 40 });
    assert!(
        same.len() == 40 && same.iter().all(SocketAddr::is_ipv4),
        "{same:?}"
    );
}

#[test]
fn forged_udp_senders_get_nothing() {
    let (server, _) = start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.local_addrs().udp[0]).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut packet = [0; 2000];
    let mut ask = |request: UdpRequest| {
        socket.send(&request.encode()).unwrap();
        let len = socket.recv(&mut packet).unwrap();
        UdpResponse::decode(&packet[..len], AddressFamily::V4).unwrap()
    };
    let url_data: Box<[u8]> = Box::default();
    let asks = request(1, 5, AnnounceEvent::Started);
    let forged = UdpRequest::Announce {
        connection: 7,
        transaction: 1,
        request: asks,
        url_data,
    };
    assert!(matches!(
        ask(forged),
        UdpResponse::Error { transaction: 1, .. }
    ));
    socket.send(b"garbage").unwrap();
    let blind = UdpRequest::Scrape {
        connection: 7,
        transaction: 2,
        info_hashes: vec![SWARM],
    };
    socket.send(&blind.encode()).unwrap();
    // Neither was answered: the next answer is to the next question.
    let UdpResponse::Connect {
        transaction: 3,
        connection,
    } = ask(UdpRequest::Connect { transaction: 3 })
    else {
        panic!("no connection id");
    };
    let scrape = UdpRequest::Scrape {
        connection,
        transaction: 4,
        info_hashes: vec![SWARM],
    };
    assert!(matches!(
        ask(scrape),
        UdpResponse::Scrape { transaction: 4, .. }
    ));
    assert_eq!((server.stats().peers, server.stats().refused), (0, 3));
}

#[test]
fn strange_http_requests_are_answered_in_kind() {
    let (server, _) = start();
    let get = |request: &str| {
        let mut stream = TcpStream::connect(server.local_addrs().http[0]).unwrap();
        stream
            .write_all(format!("{request}\r\nConnection: close\r\n\r\n").as_bytes())
            .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    assert!(get("GET /announce HTTP/1.1\r\nHost: x").contains("failure reason"));
    assert!(get("GET /announce?info_hash=short HTTP/1.1\r\nHost: x").contains("failure reason"));
    assert!(get("GET /scrape HTTP/1.1\r\nHost: x").contains("failure reason"));
    assert!(get("GET /other HTTP/1.1\r\nHost: x").starts_with("HTTP/1.1 404"));
    assert!(get("POST /announce HTTP/1.1\r\nHost: x").starts_with("HTTP/1.1 405"));
    assert!(get("GET / HTTP/1.1\r\nHost: x").contains("0 peers in 0 swarms"));
    let long = format!("GET /announce?{} HTTP/1.1\r\nHost: x", "y".repeat(20_000));
    assert!(get(&long).starts_with("HTTP/1.1 4"));
}

#[test]
fn a_taken_address_is_an_error_and_dropping_frees_it() {
    let (server, _) = start();
    let addr = server.local_addrs().http[0];
    let again = || TrackerServer::start(vec![addr], Vec::new(), options());
    assert!(matches!(again(), Err(TrackerServerError::Listen { .. })));
    drop(server);
    again().unwrap();
}
