//! Two reactors, or a reactor and raw sockets, over loopback.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use dunlin_base::PieceIndex;

use super::*;

fn block(side: &Side, peer: PeerKey, piece: u32) -> NetCommand {
    let mut payload = side.pool.take(16_384).unwrap();
    luck(u64::from(piece)).fill(&mut payload);
    NetCommand::SendBlock {
        peer,
        piece: PieceIndex(piece),
        begin: piece * 3,
        payload,
    }
}

fn assert_block(event: &NetEvent, expected: u32) {
    let NetEvent::Block {
        piece,
        begin,
        payload,
        ..
    } = event
    else {
        panic!("{event:?}");
    };
    let mut bytes = vec![0; 16_384];
    luck(u64::from(expected)).fill(&mut bytes);
    assert_eq!((*piece, *begin), (expected, expected * 3));
    assert!(**payload == bytes[..]);
}

/// Handshakes and messages both ways, then blocks from the one who was connected to.
fn exchange(listen: &str) {
    let (mut a, mut b) = (Side::new(&[listen]), Side::new(&[]));
    let to_a = b.connect(5, a.addresses[0]);
    both_until(&mut a, &mut b, |a, b| {
        a.accepted().is_some() && !b.events.is_empty()
    });
    assert!(matches!(b.events[0], NetEvent::Connected { peer } if peer == to_a));
    let to_b = a.accepted().unwrap();
    assert_eq!(to_b, PeerKey::incoming(0));

    b.tell([
        NetCommand::Handshake {
            peer: to_a,
            handshake: handshake(2),
        },
        NetCommand::Send {
            peer: to_a,
            message: Message::Interested,
        },
    ]);
    a.tell([NetCommand::Handshake {
        peer: to_b,
        handshake: handshake(1),
    }]);
    both_until(&mut a, &mut b, |a, b| {
        a.messages().len() == 1 && b.greeted()
    });
    assert_eq!(a.messages(), [&Message::Interested]);
    assert!(a.events.iter().any(
        |event| matches!(event, NetEvent::Handshake { handshake: got, .. } if *got == handshake(2))
    ));

    let blocks = 500;
    b.ask(to_a, blocks as usize);
    b.events.clear();
    for piece in 0..blocks {
        let command = block(&a, to_b, piece);
        a.tell([command]);
        a.tell([NetCommand::Send {
            peer: to_b,
            message: Message::Have(piece),
        }]);
    }
    let total = u64::from(blocks) * 16_384;
    both_until(&mut a, &mut b, |a, b| {
        b.events.len() == blocks as usize * 2 && a.sent_bytes() == total
    });
    // A have may go before blocks that wait, but never waits for one that was queued after it.
    let (mut seen_blocks, mut seen_haves) = (0, 0);
    for event in &b.events {
        if let NetEvent::Message {
            message: Message::Have(got),
            ..
        } = event
        {
            assert_eq!(*got, seen_haves);
            seen_haves += 1;
        } else {
            assert_block(event, seen_blocks);
            assert!(seen_haves >= seen_blocks, "a have waited for a later block");
            seen_blocks += 1;
        }
    }

    b.tell([NetCommand::Close { peer: to_a }]);
    a.step_until(|a| a.closed(to_b).is_some());
    assert_eq!(a.closed(to_b), Some(&CloseReason::Remote));
    b.step(0);
    assert_eq!(b.closed(to_a), None);
}

#[test]
fn two_reactors_exchange_over_ipv4() {
    exchange("127.0.0.1:0");
}

#[test]
fn two_reactors_exchange_over_ipv6() {
    exchange("[::1]:0");
}

/// A raw socket that has greeted a side, and the side's key for it.
pub(super) fn raw_peer(side: &mut Side) -> (TcpStream, PeerKey) {
    let mut raw = TcpStream::connect(side.addresses[0]).unwrap();
    raw.write_all(&handshake(9).encode()).unwrap();
    side.step_until(Side::greeted);
    let peer = side.accepted().unwrap();
    (raw, peer)
}

#[test]
fn dribbled_bytes_mean_the_same() {
    for seed in 0..12 {
        let mut side = Side::with(&["127.0.0.1:0"], 4 << 20, |_, _| {});
        let mut rng = luck(seed);
        let items: Vec<_> = (0..60).map(|_| Item::random(&mut rng, 6)).collect();
        let mut bytes = Vec::new();
        items.iter().for_each(|item| item.encode(&mut bytes));
        let (mut raw, peer) = raw_peer(&mut side);
        side.ask(peer, items.len());
        raw.set_nodelay(true).unwrap();
        let writer = thread::spawn(move || {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let longest = [1, 20, 3000, 60_000][rng.below(4) as usize];
                let step = (rng.below(longest) as usize + 1).min(rest.len());
                raw.write_all(&rest[..step]).unwrap();
                rest = &rest[step..];
            }
        });
        let mut got = Vec::new();
        let mut closed = false;
        for _ in 0..100_000 {
            side.step(5);
            for event in side.events.drain(..) {
                closed |= matches!(
                    event,
                    NetEvent::Closed {
                        reason: CloseReason::Remote,
                        ..
                    }
                );
                got.extend(Item::of(event));
            }
            if closed {
                break;
            }
        }
        writer.join().unwrap();
        assert!(
            got == items,
            "seed {seed}: {} of {}",
            got.len(),
            items.len()
        );
        assert_eq!(side.pool.in_use(), 0);
    }
}

#[test]
fn the_end_of_a_stream_is_seen_behind_its_last_bytes() {
    let mut side = Side::new(&["127.0.0.1:0"]);
    let mut raw = TcpStream::connect(side.addresses[0]).unwrap();
    let mut bytes = handshake(9).encode().to_vec();
    Message::Unchoke.encode(&mut bytes);
    raw.write_all(&bytes).unwrap();
    raw.shutdown(Shutdown::Write).unwrap();
    side.step_until(|side| side.events.len() == 4);
    assert_eq!(side.messages(), [&Message::Unchoke]);
    assert!(matches!(
        side.events[3],
        NetEvent::Closed {
            reason: CloseReason::Remote,
            ..
        }
    ));
}

#[test]
fn what_a_peer_sent_before_it_hung_up_is_read_though_nothing_can_be_sent() {
    let mut side = Side::new(&["127.0.0.1:0"]);
    let (mut raw, peer) = raw_peer(&mut side);
    let mut bytes = Vec::new();
    (0..1000).for_each(|piece| Message::Have(piece).encode(&mut bytes));
    raw.write_all(&bytes).unwrap();
    drop(raw);
    // The first is answered by a reset, after which the next cannot be written.
    for _ in 0..2 {
        side.tell([NetCommand::Send {
            peer,
            message: Message::Choke,
        }]);
    }
    side.step_until(|side| side.closed(peer).is_some());
    assert_eq!(side.messages().len(), 1000);
    assert!(matches!(side.events.last(), Some(NetEvent::Closed { .. })));
}

#[test]
fn what_is_queued_before_a_close_is_sent() {
    let mut side = Side::new(&["127.0.0.1:0"]);
    let (mut raw, peer) = raw_peer(&mut side);
    side.tell([
        NetCommand::Handshake {
            peer,
            handshake: handshake(1),
        },
        NetCommand::Send {
            peer,
            message: Message::Choke,
        },
        NetCommand::Close { peer },
        NetCommand::Send {
            peer,
            message: Message::Unchoke,
        },
    ]);
    let mut got = Vec::new();
    raw.read_to_end(&mut got).unwrap();
    let mut expected = handshake(1).encode().to_vec();
    Message::Choke.encode(&mut expected);
    assert_eq!(got, expected);
    side.events.clear();
    side.step(0);
    assert!(side.events.is_empty(), "{:?}", side.events);
}

#[test]
fn nothing_is_told_of_a_connection_that_the_engine_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut side = Side::new(&[]);
    let peer = side.connect(0, listener.local_addr().unwrap());
    side.tell([NetCommand::Close { peer }]);
    // An address of the wrong family for the socket that it leaves from fails at once.
    let mut bound = Side::with(&[], 1 << 20, |config, _| {
        config.bind_address = Some([127, 0, 0, 1].into());
    });
    let unborn = bound.connect(1, "[::1]:1".parse().unwrap());
    bound.tell([NetCommand::Close { peer: unborn }]);
    for side in [&mut side, &mut bound] {
        side.step(0);
        assert!(side.events.is_empty(), "{:?}", side.events);
    }
}

#[test]
fn a_refused_connection_is_told_with_the_systems_words() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut side = Side::new(&[]);
    let peer = side.connect(0, free);
    side.step_until(|side| side.closed(peer).is_some());
    assert!(matches!(
        side.closed(peer),
        Some(CloseReason::Unreachable(_))
    ));
    assert_eq!(side.events.len(), 1);
}

#[test]
fn connections_leave_from_the_configured_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut side = Side::with(&[], 1 << 20, |config, _| {
        config.bind_address = Some([127, 0, 0, 3].into());
    });
    side.connect(0, listener.local_addr().unwrap());
    let (_, from) = listener.accept().unwrap();
    assert_eq!(from.ip(), std::net::IpAddr::from([127, 0, 0, 3]));
    let peer = side.connect(1, "[::1]:1".parse().unwrap());
    side.step_until(|side| side.closed(peer).is_some());
}

#[test]
fn two_hundred_connections_at_once() {
    let (mut a, mut b) = (Side::new(&["127.0.0.1:0"]), Side::new(&[]));
    let addr = a.addresses[0];
    let count = 200;
    let peers: Vec<_> = (0..count).map(|number| b.connect(number, addr)).collect();
    b.tell(peers.iter().map(|&peer| NetCommand::Handshake {
        peer,
        handshake: handshake(2),
    }));
    let mut served = 0;
    both_until(&mut a, &mut b, |a, _| {
        let greeted = a
            .events
            .iter()
            .filter(|event| matches!(event, NetEvent::Handshake { .. }));
        served = greeted.count();
        served == count as usize
    });
    peers.iter().for_each(|&peer| b.ask(peer, 2));
    let from: Vec<_> = (0..count).map(PeerKey::incoming).collect();
    for &peer in &from {
        let commands = [
            NetCommand::Handshake {
                peer,
                handshake: handshake(1),
            },
            block(&a, peer, peer.raw() as u32),
            block(&a, peer, peer.raw() as u32 + 1),
        ];
        a.tell(commands);
    }
    let mut blocks = 0;
    both_until(&mut a, &mut b, |a, b| {
        let came = b
            .events
            .iter()
            .filter(|event| matches!(event, NetEvent::Block { .. }));
        blocks = came.count();
        blocks == 2 * count as usize && a.sent_bytes() == 2 * count * 16_384
    });
    b.tell(peers.iter().map(|&peer| NetCommand::Close { peer }));
    a.step_until(|a| from.iter().all(|&peer| a.closed(peer).is_some()));
    a.events.clear();
    b.events.clear();
    assert_eq!((a.pool.in_use(), b.pool.in_use()), (0, 0));
}

#[test]
fn a_waker_ends_a_poll_without_timeout() {
    let mut side = Side::new(&[]);
    let waker = side.reactor.waker();
    let helper = thread::spawn(move || waker.wake().unwrap());
    side.reactor.poll(None, &mut side.inbox);
    helper.join().unwrap();
    assert!(side.inbox.is_empty());
}
