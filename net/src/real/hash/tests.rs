//! Whole pieces through the hashing port.

use std::sync::mpsc;
use std::time::Duration;

use dunlin_base::{PieceIndex, TorrentKey};
use dunlin_hash::sha1;
use dunlin_port::BlockPool;

use super::*;

fn blocks(pool: &BlockPool, parts: &[&[u8]]) -> Vec<BlockBuffer> {
    let fill = |part: &&[u8]| {
        let mut block = pool.take(part.len()).unwrap();
        block.copy_from_slice(part);
        block
    };
    parts.iter().map(fill).collect()
}

fn port(threads: usize) -> (HashPort, mpsc::Receiver<()>) {
    let (wake, woken) = mpsc::sync_channel(1);
    let wake: Wake = Arc::new(move || _ = wake.try_send(()));
    (HashPort::new(wake, threads, 8 << 20).unwrap(), woken)
}

fn wait_for(port: &HashPort, woken: &mpsc::Receiver<()>, count: usize) -> Vec<HashDone> {
    let mut done = VecDeque::new();
    while done.len() < count {
        woken.recv_timeout(Duration::from_secs(20)).unwrap();
        port.drain(&mut done);
    }
    let mut done: Vec<_> = done.into();
    done.sort_by_key(|done| done.piece);
    done
}

#[test]
fn good_bad_and_asked_for_pieces_are_judged() {
    let pool = BlockPool::new(1 << 20);
    let (port, woken) = port(2);
    let job = |piece, expected: &[u8], digest_blocks| HashJob {
        torrent: TorrentKey(7),
        piece: PieceIndex(piece),
        number: 100 + u64::from(piece),
        blocks: blocks(&pool, &[b"first block", b"second"]),
        expected: sha1(expected),
        digest_blocks,
    };
    let mut jobs = vec![
        job(0, b"first blocksecond", false),
        job(1, b"something else", false),
        job(2, b"first blocksecond", true),
    ];
    port.submit(&mut jobs);
    assert!(jobs.is_empty());
    let done = wait_for(&port, &woken, 3);
    let numbers: Vec<_> = done.iter().map(|done| done.number).collect();
    assert_eq!(numbers, [100, 101, 102]);
    let each_block = vec![sha1(b"first block"), sha1(b"second")];
    assert!(done[0].good && done[0].block_digests.is_empty());
    assert!(!done[1].good);
    assert_eq!(done[1].block_digests, each_block);
    assert!(done[2].good);
    assert_eq!(done[2].block_digests, each_block);
    assert!(
        done.iter()
            .all(|done| done.blocks.len() == 2 && &*done.blocks[1] == b"second")
    );
    drop(done);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_large_batch_is_shared_by_the_threads_and_nothing_is_lost() {
    let pool = BlockPool::new(16 << 20);
    let (port, woken) = port(3);
    let job = |piece: u32| {
        let content = piece.to_be_bytes();
        HashJob {
            torrent: TorrentKey(1),
            piece: PieceIndex(piece),
            number: 0,
            blocks: blocks(&pool, &[&content]),
            expected: sha1(&content),
            digest_blocks: false,
        }
    };
    port.submit(&mut (0..500).map(job).collect());
    let done = wait_for(&port, &woken, 500);
    assert!(done.iter().all(|done| done.good));
    assert!(done.iter().map(|done| done.piece.0).eq(0..500));
}

#[test]
fn shares_fill_the_lanes_before_they_are_split() {
    for (waiting, threads, expected) in [
        (1, 4, 1),
        (16, 4, 16),
        (20, 4, 16),
        (200, 4, 50),
        (200, 1, 64),
        (1000, 4, 64),
    ] {
        assert_eq!(
            share(waiting, threads),
            expected,
            "{waiting} jobs on {threads} threads"
        );
    }
}

#[test]
fn dropping_the_port_gives_the_blocks_back() {
    let pool = BlockPool::new(1 << 20);
    let (port, _woken) = port(1);
    let job = HashJob {
        torrent: TorrentKey(1),
        piece: PieceIndex(0),
        number: 0,
        blocks: blocks(&pool, &[b"x"]),
        expected: [0; 20],
        digest_blocks: true,
    };
    port.submit(&mut vec![job]);
    drop(port);
    assert_eq!(pool.in_use(), 0);
}

/// A piece of its own that holds one block of 16 KiB.
fn small_job(pool: &BlockPool, piece: u32) -> HashJob {
    HashJob {
        torrent: TorrentKey(1),
        piece: PieceIndex(piece),
        number: 0,
        blocks: vec![pool.take(16 * 1024).unwrap()],
        expected: [0; 20],
        digest_blocks: false,
    }
}

#[test]
fn a_piece_waits_for_company_but_not_for_ever() {
    let pool = BlockPool::new(1 << 20);
    let shared = Shared {
        queue: Mutex::default(),
        changed: Condvar::new(),
        done: Mailbox::new(Arc::new(|| {})),
        threads: 1,
        waiting_bytes_max: 4 * 16 * 1024,
    };
    let queue = |count: u32, first_ago: Duration, last_ago: Duration| {
        let now = Instant::now();
        Queue {
            jobs: (0..count).map(|piece| small_job(&pool, piece)).collect(),
            bytes: count as usize * 16 * 1024,
            came: Some((now - first_ago, now - last_ago)),
            stop: false,
        }
    };
    let now = Duration::ZERO;
    assert_eq!(shared.wait_of(&Queue::default()), None);
    let wait = shared.wait_of(&queue(1, now, now)).unwrap();
    assert!(!wait.is_zero() && wait <= GAP, "{wait:?}");
    // Nobody else came, or others came for long enough, or there is no room for more.
    assert_eq!(shared.wait_of(&queue(1, GAP, GAP)), Some(Duration::ZERO));
    assert_eq!(
        shared.wait_of(&queue(3, WAIT_MAX, now)),
        Some(Duration::ZERO)
    );
    assert_eq!(shared.wait_of(&queue(4, now, now)), Some(Duration::ZERO));
}
