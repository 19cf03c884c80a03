//! The receiving half alone: every fragmentation of a stream means the same.

use std::io::{self, ErrorKind, IoSliceMut, Read};

use super::super::inflow::{INBOX_EVENTS_MAX, Inflow, Pulled};
use super::super::landing::Landing;
use super::*;

/// Gives a stream in parts of random lengths, or all that fits at once.
struct Dribble {
    bytes: Vec<u8>,
    at: usize,
    rng: RngStream,
    whole: bool,
    reads: usize,
}

impl Dribble {
    fn new(bytes: Vec<u8>, seed: u64) -> Self {
        Self {
            bytes,
            at: 0,
            rng: luck(seed ^ 0xd41b),
            whole: seed.is_multiple_of(4),
            reads: 0,
        }
    }

    fn limit(&mut self) -> usize {
        match self.rng.below(8) {
            _ if self.whole => usize::MAX,
            0 => 0,
            1 => 1,
            2 | 3 => self.rng.below(100) as usize + 1,
            4 | 5 => self.rng.below(40_000) as usize + 1,
            _ => usize::MAX,
        }
    }
}

impl Read for Dribble {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(room)])
    }

    fn read_vectored(&mut self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.reads += 1;
        let mut left = self.limit();
        if left == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let before = self.at;
        for slice in slices {
            let rest = &self.bytes[self.at..];
            let step = left.min(slice.len()).min(rest.len());
            slice[..step].copy_from_slice(&rest[..step]);
            self.at += step;
            left -= step;
        }
        Ok(self.at - before)
    }
}

fn encode(items: &[Item]) -> Vec<u8> {
    let mut bytes = handshake(1).encode().to_vec();
    items.iter().for_each(|item| item.encode(&mut bytes));
    bytes
}

/// Pulls a stream to its end, taking events out of the inbox now and then.
fn receive(stream: Vec<u8>, seed: u64, pool: &BlockPool) -> (Vec<Item>, CloseReason, Dribble) {
    receive_asked(stream, seed, pool, 1000)
}

/// As [`receive`] from one that was asked for so many blocks.
fn receive_asked(
    stream: Vec<u8>,
    seed: u64,
    pool: &BlockPool,
    asked: u32,
) -> (Vec<Item>, CloseReason, Dribble) {
    let mut rng = luck(seed ^ 0x1b0c);
    let mut source = Dribble::new(stream, seed);
    let mut landing = Landing::new(pool.clone());
    let mut inflow = Inflow::new(PeerKey::outgoing(seed));
    (0..asked).for_each(|_| inflow.ask());
    let (mut inbox, mut items, mut greeted) = (VecDeque::new(), Vec::new(), false);
    let mut drain = |inbox: &mut VecDeque<NetEvent>| {
        for event in inbox.drain(..) {
            if let NetEvent::Handshake { handshake: got, .. } = event {
                assert_eq!(got, handshake(1));
                assert!(!greeted && items.is_empty());
                greeted = true;
            } else {
                items.extend(Item::of(event));
            }
        }
    };
    let reason = loop {
        match inflow.pull(&mut source, &mut landing, &mut inbox) {
            Ok(Pulled::Full | Pulled::NoBuffer) => drain(&mut inbox),
            Ok(Pulled::Bytes(_) | Pulled::Last(_)) => {}
            Err(reason) => break reason,
        }
        assert!(inbox.len() <= INBOX_EVENTS_MAX + 10);
        if rng.below(4) == 0 {
            landing.release();
            drain(&mut inbox);
        }
    };
    drain(&mut inbox);
    (items, reason, source)
}

#[test]
fn any_fragmentation_means_the_same() {
    for seed in 0..300 {
        let mut rng = luck(seed);
        let blocks_of_ten = rng.below(11);
        let items: Vec<_> = (0..rng.below(60))
            .map(|_| Item::random(&mut rng, blocks_of_ten))
            .collect();
        let pool = BlockPool::new(16_384 * (rng.below(20) as usize + 1));
        let (got, reason, source) = receive(encode(&items), seed, &pool);
        assert_eq!(reason, CloseReason::Remote, "seed {seed}");
        assert!(
            got == items,
            "seed {seed}: {} of {}",
            got.len(),
            items.len()
        );
        assert_eq!(source.at, source.bytes.len());
        assert_eq!(pool.in_use(), 0, "seed {seed}");
    }
}

#[test]
fn a_flood_of_small_messages_waits_for_the_inbox() {
    let items = vec![Item::Message(Message::KeepAlive); 3 * INBOX_EVENTS_MAX];
    let pool = BlockPool::new(1 << 20);
    let (got, reason, _) = receive(encode(&items), 0, &pool);
    assert_eq!(reason, CloseReason::Remote);
    assert_eq!(got.len(), items.len());
}

#[test]
fn a_stream_of_blocks_needs_few_reads() {
    let mut rng = luck(1);
    let items: Vec<_> = (0..80)
        .map(|piece| {
            let mut payload = vec![0; 16_384];
            rng.fill(&mut payload);
            Item::Block {
                piece,
                begin: 0,
                payload,
            }
        })
        .collect();
    let pool = BlockPool::new(4 << 20);
    let (got, reason, source) = receive(encode(&items), 0, &pool);
    assert_eq!(reason, CloseReason::Remote);
    assert!(got == items);
    // The guesses grow to eight blocks, so ten reads would be the least.
    assert!(source.reads <= 18, "{} reads", source.reads);
}

#[test]
fn garbage_ends_the_connection_and_nothing_else() {
    let mut rng = luck(2);
    for seed in 0..200 {
        let mut bytes = encode(&[]);
        let start = bytes.len();
        let mut garbage = vec![0; rng.below(5000) as usize];
        rng.fill(&mut garbage);
        bytes.extend_from_slice(&garbage);
        // Small lengths, so that some of the garbage gets further than its first prefix.
        if seed % 2 == 0 && bytes.len() > start + 4 {
            bytes[start..start + 3].fill(0);
        }
        let pool = BlockPool::new(1 << 20);
        let (_, reason, _) = receive(bytes, seed, &pool);
        assert!(matches!(
            reason,
            CloseReason::Protocol(_) | CloseReason::Remote
        ));
        assert_eq!(pool.in_use(), 0);
    }
}

#[test]
fn a_stranger_is_refused_by_the_first_wrong_byte() {
    let pool = BlockPool::new(1 << 20);
    for text in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x13BitTorrent protocoL",
        b"\x00",
    ] {
        let (got, reason, _) = receive(text.to_vec(), 0, &pool);
        assert_eq!(got, []);
        assert!(matches!(reason, CloseReason::Broken(_)), "{reason:?}");
    }
}

#[test]
fn a_block_that_nobody_can_have_asked_for_breaks_the_protocol() {
    let pool = BlockPool::new(1 << 20);
    let mut bytes = encode(&[]);
    bytes.extend_from_slice(&piece_header(0, 0, 16_385));
    let (_, reason, _) = receive(bytes, 0, &pool);
    assert!(matches!(reason, CloseReason::Protocol(_)), "{reason:?}");
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn more_blocks_than_were_asked_for_end_the_connection_and_take_no_buffer() {
    let block = |piece| Item::Block {
        piece,
        begin: 0,
        payload: vec![1; 16_384],
    };
    let pool = BlockPool::new(1 << 20);
    let mut bytes = encode(&[block(0), block(1)]);
    bytes.extend_from_slice(&piece_header(2, 0, 16_384));
    bytes.push(1);
    let (got, reason, _) = receive_asked(bytes.clone(), 0, &pool, 3);
    assert_eq!((got.len(), reason), (2, CloseReason::Remote));
    let (got, reason, _) = receive_asked(bytes, 0, &pool, 2);
    assert_eq!(got.len(), 2);
    assert!(
        matches!(&reason, CloseReason::Broken(why) if why.contains("piece 2")),
        "{reason:?}"
    );
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn who_stays_in_one_block_clings_to_its_buffer() {
    let pool = BlockPool::new(1 << 20);
    let mut landing = Landing::new(pool.clone());
    let mut inflow = Inflow::new(PeerKey::outgoing(0));
    (0..3).for_each(|_| inflow.ask());
    let mut inbox = VecDeque::new();
    let mut send = |inflow: &mut Inflow, bytes: &[u8]| {
        let mut source = bytes;
        while !source.is_empty() {
            inflow.pull(&mut source, &mut landing, &mut inbox).unwrap();
        }
        landing.release();
    };
    send(&mut inflow, &encode(&[]));
    assert!(!inflow.clings(), "it holds nothing");
    let header = piece_header(0, 0, 16_384);
    send(&mut inflow, &header);
    send(&mut inflow, &[0; 10]);
    assert!(!inflow.clings(), "it may have just begun");
    send(&mut inflow, &[0; 10]);
    assert!(inflow.clings(), "a few bytes are no block");
    send(&mut inflow, &[0; 16_364]);
    send(&mut inflow, &header);
    send(&mut inflow, &[0; 10]);
    assert!(!inflow.clings(), "another block");
    drop(inflow);
    inbox.clear();
    assert_eq!(pool.in_use(), 0);
}
