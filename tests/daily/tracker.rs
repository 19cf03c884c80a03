//! `dunlin tracker`, asked by clients that are written by hand after BEP 3, 7, 15, 23 and 48.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};

use crate::program::{Desk, PATIENCE, Program};

const HASH: [u8; 20] = [0xab; 20];

/// A tracker of both kinds and both families: HTTP over IPv4 and IPv6, UDP over IPv4 and IPv6.
fn start(desk: &Desk) -> (Program, [SocketAddr; 4]) {
    let args = "tracker --http 127.0.0.1:0 --http [::1]:0 --udp 127.0.0.1:0 --udp [::1]:0";
    let program = desk.start(&args.split(' ').collect::<Vec<_>>());
    let addrs = [(); 4].map(|()| program.addr());
    (program, addrs)
}

fn http(addr: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(addr).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    stream.write_all(request).expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    answer
}

/// The body of the answer to a GET.
fn get(addr: SocketAddr, target: &str) -> Vec<u8> {
    let request = format!("GET {target} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    let answer = http(addr, request.as_bytes());
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
    answer[head.expect("a head") + 4..].to_vec()
}

fn announce(addr: SocketAddr, peer: char, port: u16, left: u64, more: &str) -> Vec<u8> {
    let (hash, id) = ("%ab".repeat(20), peer.to_string().repeat(20));
    let target = format!(
        "/announce?info_hash={hash}&peer_id={id}&port={port}&uploaded=0&downloaded=0&left={left}&{more}"
    );
    get(addr, &target)
}

fn holds(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[track_caller]
fn assert_holds(body: &[u8], part: &[u8]) {
    assert!(
        holds(body, part),
        "no {} in {}",
        part.escape_ascii(),
        body.escape_ascii()
    );
}

/// A UDP client of one tracker.
struct Udp {
    socket: UdpSocket,
    connection: [u8; 8],
}

impl Udp {
    fn connect(addr: SocketAddr) -> Self {
        let local = if addr.is_ipv4() {
            "127.0.0.1:0"
        } else {
            "[::1]:0"
        };
        let socket = UdpSocket::bind(local).expect("a port");
        socket.connect(addr).expect("an address");
        socket.set_read_timeout(Some(PATIENCE)).expect("an option");
        let mut udp = Self {
            socket,
            connection: 0x0417_2710_1980_u64.to_be_bytes(),
        };
        let answer = udp.ask(0, &[]);
        assert_eq!(answer.len(), 8);
        udp.connection.copy_from_slice(&answer);
        udp
    }

    /// What comes behind action and transaction of the answer.
    fn ask(&self, action: u32, body: &[u8]) -> Vec<u8> {
        let head = [action.to_be_bytes(), *b"tran"].concat();
        let packet = [&self.connection[..], &head, body].concat();
        self.socket.send(&packet).expect("it is there");
        let mut answer = [0; 2048];
        let len = self.socket.recv(&mut answer).expect("it answers");
        assert_eq!(answer[..8], head, "{}", answer[..len].escape_ascii());
        answer[8..len].to_vec()
    }

    fn announce(&self, peer: u8, port: u16, left: u64) -> Vec<u8> {
        let body = [
            &HASH[..],
            &[peer; 20],
            &0_u64.to_be_bytes(),
            &left.to_be_bytes(),
            &0_u64.to_be_bytes(),
            &2_u32.to_be_bytes(),
            &[0; 4],
            &[peer; 4],
            &u32::MAX.to_be_bytes(),
            &port.to_be_bytes(),
        ];
        self.ask(1, &body.concat())
    }

    /// Seeds, completed downloads, leechers.
    fn scrape(&self) -> [u32; 3] {
        let answer = self.ask(2, &HASH);
        assert_eq!(answer.len(), 12);
        [0, 4, 8].map(|at| u32::from_be_bytes(answer[at..at + 4].try_into().expect("four")))
    }
}

/// IPv4 compact (BEP 23), IPv6 compact (BEP 7).
fn compact(addr: &str) -> Vec<u8> {
    let addr: SocketAddr = addr.parse().expect("an address");
    let ip = match addr.ip() {
        std::net::IpAddr::V4(v4) => v4.octets().to_vec(),
        std::net::IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    [ip, addr.port().to_be_bytes().to_vec()].concat()
}

#[test]
fn peers_of_four_transports_are_one_swarm() {
    let desk = Desk::new();
    let (mut program, [http4, http6, udp4, udp6]) = start(&desk);
    let first = announce(http4, 'a', 7001, 0, "compact=1&event=started");
    assert_holds(&first, b"8:intervali1800e");
    assert!(
        !holds(&first, &compact("127.0.0.1:7001")),
        "not its own address"
    );
    let second = announce(http4, 'b', 7002, 5, "compact=1&event=started");
    assert_holds(
        &second,
        &[b"5:peers6:", &compact("127.0.0.1:7001")[..]].concat(),
    );
    let sixth = announce(http6, 'c', 7003, 5, "compact=1&event=started");
    announce(http6, 'd', 7004, 5, "compact=1&event=started");
    assert_holds(&sixth, b"8:completei1e");
    let again = announce(http6, 'c', 7003, 5, "compact=1");
    assert_holds(
        &again,
        &[b"6:peers618:", &compact("[::1]:7004")[..]].concat(),
    );
    // Who wants no compact form gets dictionaries.
    let wordy = announce(http4, 'b', 7002, 5, "compact=0");
    assert_holds(&wordy, b"2:ip9:127.0.0.1");
    assert_holds(&wordy, b"4:porti7001e");

    // Interval, leechers, seeds, then the peers of the tracker's own family.
    let udp = Udp::connect(udp4);
    let reply = udp.announce(b'e', 7005, 5);
    assert_eq!(reply[..4], 1800_u32.to_be_bytes());
    assert!(reply[12..].len().is_multiple_of(6));
    assert_holds(&reply[12..], &compact("127.0.0.1:7001"));
    let udp_six = Udp::connect(udp6);
    let reply = udp_six.announce(b'f', 7006, 0);
    assert!(reply[12..].len().is_multiple_of(18));
    assert_holds(&reply[12..], &compact("[::1]:7003"));

    let scraped = get(http4, &format!("/scrape?info_hash={}", "%ab".repeat(20)));
    assert_holds(&scraped, b"8:completei2e10:downloadedi0e10:incompletei4e");
    assert_eq!((udp.scrape(), udp_six.scrape()), ([2, 0, 4], [2, 0, 4]));
    announce(http4, 'b', 7002, 0, "event=completed");
    announce(http4, 'a', 7001, 0, "event=stopped");
    assert_eq!(udp.scrape(), [2, 1, 3]);

    assert_eq!(program.interrupt(), Some(0));
    let summary = program.wait_for("summary");
    assert_eq!(
        (&summary["announces"], &summary["scrapes"]),
        (&10.into(), &4.into())
    );
    assert_eq!(
        (&summary["peers"], &summary["torrents"]),
        (&5.into(), &1.into())
    );
}

#[test]
fn nonsense_is_refused_in_words_and_forgotten() {
    let desk = Desk::new();
    let (mut program, [http4, _, udp4, _]) = start(&desk);
    for target in [
        "/announce",
        "/announce?info_hash=short&peer_id=short&port=1",
        "/announce?%%%&&&===",
        "/scrape",
    ] {
        assert_holds(&get(http4, target), b"14:failure reason");
    }
    let hash = "%ab".repeat(20);
    for wrong in ["port=0", "port=65536", "port=-1", "port=7001&left=-5"] {
        let target = format!(
            "/announce?info_hash={hash}&peer_id={}&{wrong}",
            "a".repeat(20)
        );
        assert_holds(&get(http4, &target), b"14:failure reason");
    }
    for bytes in [
        &b"\x16\x03\x01 no HTTP at all\r\n\r\n"[..],
        b"POST /announce HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
    ] {
        assert!(http(http4, bytes).starts_with(b"HTTP/1.1 4"));
    }
    // A forged connection id, packets cut short, packets of nothing.
    let udp = Udp::connect(udp4);
    let forged = UdpSocket::bind("127.0.0.1:0").expect("a port");
    forged.connect(udp4).expect("an address");
    let scrape = [&[7; 8][..], &2_u32.to_be_bytes(), b"tran", &HASH].concat();
    for packet in [&scrape[..], &scrape[..15], b"", &[0xff; 1500]] {
        forged.send(packet).expect("it is there");
    }
    assert_eq!(udp.scrape(), [0, 0, 0]);
    assert_eq!(program.interrupt(), Some(0));
    assert_eq!(program.wait_for("summary")["announces"], 0);
}

#[test]
fn its_log_names_announces() {
    let desk = Desk::new();
    let args = "tracker --http 127.0.0.1:0 --log debug";
    let mut program = desk.start(&args.split(' ').collect::<Vec<_>>());
    let addr = program.addr();
    announce(addr, 'a', 7001, 5, "event=started");
    let hash = format!("info_hash={}", "ab".repeat(20));
    program.wait_until(|fact| {
        let line = fact["line"].as_str().unwrap_or_default();
        ["announce answered", "from=127.0.0.1", "port=7001", &hash]
            .iter()
            .all(|part| line.contains(part))
    });
    assert_eq!(program.interrupt(), Some(0));
}
