//! What happens at each bound: memory, time, strangers, ports.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::thread;

use super::super::OpenError;
use super::super::deadlines::Deadlines;
use super::super::inflow::INBOX_EVENTS_MAX;
use super::super::send::UNREAD_BYTES_MAX;
use super::super::socket::Binding;
use super::loopback::raw_peer;
use super::*;

#[test]
fn an_empty_pool_leaves_the_bytes_in_the_kernel() {
    let blocks = 400_u32;
    let mut side = Side::with(&["127.0.0.1:0"], 3 * 16_384, |_, _| {});
    let (mut raw, peer) = raw_peer(&mut side);
    side.ask(peer, blocks as usize);
    let writer = thread::spawn(move || {
        for piece in 0..blocks {
            raw.write_all(&piece_header(piece, 0, 16_384)).unwrap();
            raw.write_all(&[piece as u8; 16_384]).unwrap();
        }
    });
    let mut next = 0;
    for _ in 0..100_000 {
        // The engine keeps all buffers for a few polls, then gives them back at once.
        for _ in 0..3 {
            side.step(5);
            assert!(side.pool.in_use() <= 3);
        }
        for event in side.events.drain(..) {
            if let NetEvent::Block { piece, payload, .. } = event {
                assert_eq!(piece, next);
                assert!(payload.iter().all(|&byte| byte == piece as u8));
                next += 1;
            }
        }
        if next == blocks {
            break;
        }
    }
    assert_eq!(next, blocks);
    writer.join().unwrap();
}

#[test]
fn a_full_inbox_stops_the_reading() {
    let mut side = Side::new(&["127.0.0.1:0"]);
    let mut raw = TcpStream::connect(side.addresses[0]).unwrap();
    let mut bytes = handshake(9).encode().to_vec();
    let count = 20_000;
    (0..count).for_each(|piece| Message::Have(piece).encode(&mut bytes));
    let writer = thread::spawn(move || {
        raw.write_all(&bytes).unwrap();
        raw
    });
    let timeout = Some(Duration::from_millis(5));
    for _ in 0..50 {
        side.reactor.poll(timeout, &mut side.inbox);
        assert!(side.inbox.len() <= INBOX_EVENTS_MAX + 2);
    }
    side.step_until(|side| side.messages().len() == count as usize);
    let expected: Vec<_> = (0..count).map(Message::Have).collect();
    assert!(side.messages().into_iter().eq(&expected));
    drop(writer.join().unwrap());
}

#[test]
fn a_peer_that_never_reads_is_closed() {
    let mut side = Side::new(&["127.0.0.1:0"]);
    let mut raw = TcpStream::connect(side.addresses[0]).unwrap();
    raw.write_all(&handshake(9).encode()).unwrap();
    side.step_until(Side::greeted);
    let peer = side.accepted().unwrap();
    let payload = vec![0; 60_000].into_boxed_slice();
    // The kernel's buffers take a few MiB, then our own limit is reached.
    for sent in 0.. {
        assert!(sent < 64 * UNREAD_BYTES_MAX);
        let message = Message::Extended {
            id: 1,
            payload: payload.clone(),
        };
        side.tell([NetCommand::Send { peer, message }]);
        side.step(0);
        if let Some(reason) = side.closed(peer) {
            assert!(reason.to_string().contains("unread"), "{reason}");
            break;
        }
    }
    // Commands for it are dropped from now on.
    side.tell([NetCommand::Send {
        peer,
        message: Message::Choke,
    }]);
    side.events.clear();
    side.step(0);
    assert!(side.events.is_empty());
}

#[test]
fn whoever_dribbles_a_handshake_is_closed_in_time() {
    let mut side = Side::new(&["127.0.0.1:0"]);
    side.reactor.greeting_in = Deadlines::new(Duration::from_millis(100));
    let mut raw = TcpStream::connect(side.addresses[0]).unwrap();
    raw.write_all(&handshake(9).encode()[..67]).unwrap();
    side.step_until(|side| side.accepted().is_some());
    let peer = side.accepted().unwrap();
    side.step_until(|side| side.closed(peer).is_some());
    assert!(side.closed(peer).unwrap().to_string().contains("handshake"));
    assert_eq!(raw.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(
        side.reactor.shorten(None),
        None,
        "nothing is left to wait for"
    );
}

#[test]
fn a_complete_handshake_has_no_deadline() {
    let mut side = Side::new(&["127.0.0.1:0"]);
    let mut raw = TcpStream::connect(side.addresses[0]).unwrap();
    raw.write_all(&handshake(9).encode()).unwrap();
    side.step_until(Side::greeted);
    assert_eq!(side.reactor.shorten(None), None);
}

#[test]
fn nobody_answers_in_time() {
    // A listener whose queue is full drops further attempts, so they stay without an answer.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    socket.listen(0).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    let mut side = Side::new(&[]);
    side.reactor.connecting = Deadlines::new(Duration::from_millis(300));
    for number in 0..8 {
        side.connect(number, addr);
    }
    let timed_out = |event: &NetEvent| {
        matches!(
            event,
            NetEvent::Closed {
                reason: CloseReason::ConnectTimeout,
                ..
            }
        )
    };
    side.step_until(|side| side.events.iter().any(timed_out));
}

#[test]
fn strangers_in_the_door_are_capped() {
    let mut side = Side::new(&["127.0.0.1:0"]);
    side.reactor.admission.total_max = 3;
    let mut raws: Vec<_> = (0..5)
        .map(|_| TcpStream::connect(side.addresses[0]).unwrap())
        .collect();
    side.step_until(|side| side.closed(PeerKey::incoming(1)).is_some());
    // The two that waited longest are out, and the others can still come in.
    assert!(side.closed(PeerKey::incoming(0)).is_some());
    for raw in &mut raws[2..] {
        raw.write_all(&handshake(9).encode()).unwrap();
    }
    let greeted = |event: &&NetEvent| matches!(event, NetEvent::Handshake { .. });
    side.step_until(|side| side.events.iter().filter(greeted).count() == 3);
    let _sixth = TcpStream::connect(side.addresses[0]).unwrap();
    let sixth = PeerKey::incoming(5);
    side.step_until(|side| {
        side.events
            .iter()
            .any(|e| matches!(e, NetEvent::Accepted { peer, .. } if *peer == sixth))
    });
    assert_eq!(side.closed(PeerKey::incoming(2)), None);
}

#[test]
fn garbage_is_told_apart() {
    let mut side = Side::new(&["127.0.0.1:0"]);
    let mut raws: Vec<_> = (0..2)
        .map(|_| TcpStream::connect(side.addresses[0]).unwrap())
        .collect();
    raws[0].write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    raws[1].write_all(&handshake(9).encode()).unwrap();
    raws[1].write_all(&[0xff; 100]).unwrap();
    let [first, second] = [0, 1].map(PeerKey::incoming);
    side.step_until(|side| side.closed(first).is_some() && side.closed(second).is_some());
    assert!(matches!(side.closed(first), Some(CloseReason::Broken(_))));
    assert!(matches!(
        side.closed(second),
        Some(CloseReason::Protocol(_))
    ));
}

#[test]
fn a_taken_port_moves_both_families_to_the_same_next_one() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let addresses = ["127.0.0.1", "::1"].map(|ip| SocketAddr::new(ip.parse().unwrap(), port));
    let binding = Binding::new(&NetworkConfig::default()).unwrap();
    let opened = binding.listen(&addresses, true);
    let found: Vec<_> = opened
        .into_iter()
        .map(|result| result.unwrap().local_addr().unwrap().port())
        .collect();
    assert_eq!(found[0], found[1]);
    assert!((port + 1..=port + 10).contains(&found[0]));
}

#[test]
fn a_port_that_was_chosen_is_not_given_up_for_another() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let chosen = taken.local_addr().unwrap();
    let config = NetworkConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap(), chosen],
        ..NetworkConfig::default()
    };
    assert!(NetworkConfig::default().listen_moves() && !config.listen_moves());
    let mut reactor = Reactor::new(&config, &LimitsConfig::default(), BlockPool::new(1)).unwrap();
    let error = reactor.listen(NODE).unwrap_err();
    assert!(matches!(error, OpenError::PortTaken { address } if address == chosen));
    assert!(error.to_string().contains("--listen"), "{error}");
}

#[test]
fn a_foreign_address_is_refused_with_advice() {
    let foreign: IpAddr = [192, 0, 2, 77].into();
    let config = NetworkConfig {
        listen: vec![SocketAddr::new(foreign, 0)],
        ..NetworkConfig::default()
    };
    let limits = LimitsConfig::default();
    let open = |config: &_| Reactor::new(config, &limits, BlockPool::new(1));
    let error = open(&config).unwrap().listen(NODE).unwrap_err();
    assert!(matches!(error, OpenError::NotOurs { .. }), "{error}");
    assert!(error.to_string().contains("network.listen"));
    let config = NetworkConfig {
        bind_address: Some(foreign),
        ..config
    };
    let error = open(&config).err().unwrap();
    assert!(
        error.to_string().contains("network.bind-address"),
        "{error}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_missing_interface_is_refused_with_advice() {
    let config = NetworkConfig {
        bind_interface: Some("dunlin-none".to_owned()),
        ..NetworkConfig::default()
    };
    let error = Reactor::new(&config, &LimitsConfig::default(), BlockPool::new(1))
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("network.bind-interface"),
        "{error}"
    );
}

/// Runs again in a process that may open few files, where the connections of both ends take all.
#[cfg(unix)]
#[test]
fn without_files_the_listener_rests_and_tries_again() {
    const AGAIN: &str = "DUNLIN_NET_TEST_FEW_FILES";
    if std::env::var_os(AGAIN).is_none() {
        let name = "real::reactor::tests::bounds::without_files_the_listener_rests_and_tries_again";
        let output = std::process::Command::new("sh")
            .args(["-c", "ulimit -n 40 && exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(AGAIN, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{output:?}"
        );
        return;
    }
    let mut side = Side::new(&["127.0.0.1:0"]);
    let addr = side.addresses[0];
    let mut raws: Vec<_> = std::iter::from_fn(|| TcpStream::connect(addr).ok()).collect();
    side.step(100);
    assert_eq!(side.accepted(), None);
    assert!(side.reactor.shorten(None) > Some(Duration::ZERO));
    raws.truncate(raws.len() / 2);
    side.step_until(|side| side.accepted().is_some());
}
