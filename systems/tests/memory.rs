//! What a torrent of many pieces takes, by the piece: counted by the allocator, from the bytes of its file
//! to a download with a peer that has a part of it.

use core::alloc::Layout;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::alloc::{GlobalAlloc, System};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use dunlin_base::{Bitfield, EngineTime, NodeKey, PeerId, PeerKey, PieceIndex, TorrentKey};
use dunlin_port::config::{EngineConfig, PickStrategy, Preallocation};
use dunlin_port::disk::{Check, DiskEvent, Totals};
use dunlin_port::net::{NetCommand, NetEvent};
use dunlin_port::user::{AddTorrent, TorrentLimits, UserCommand};
use dunlin_protocol::metainfo::{Info, Metainfo};
use dunlin_protocol::wire::{Handshake, Message, Reserved};
use dunlin_systems::{Engine, NodeSettings};

const NODE: NodeKey = NodeKey(0);
const TORRENT: TorrentKey = TorrentKey(1);
const PEER: PeerKey = PeerKey::incoming(0);
const PIECE_BYTES: u32 = 16 * 1024;

/// The system's allocator; counts the bytes that are asked for.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn take(bytes: usize) {
    let held = HELD.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(held, Relaxed);
}

#[expect(unsafe_code, reason = "nobody else knows what is allocated")]
// SAFETY: every call is the system allocator's with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller's promises are those that it asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    /// What is large moves without a second copy: its pages go along.
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        HELD.fetch_sub(layout.size(), Relaxed);
        take(size);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The bytes of a .torrent file of so many pieces.
fn torrent(pieces: u32) -> Vec<u8> {
    let length = u64::from(pieces) * u64::from(PIECE_BYTES);
    let mut head = format!(
        "d4:infod6:lengthi{length}e4:name4:many12:piece lengthi{PIECE_BYTES}e6:pieces{}:",
        20 * pieces
    )
    .into_bytes();
    let hashes = 20 * pieces as usize;
    head.reserve_exact(hashes + 2);
    head.resize(head.len() + hashes, 7);
    head.extend_from_slice(b"ee");
    head
}

/// Bytes that are held now, and the most there were meanwhile.
#[derive(Clone, Copy, Debug)]
struct Taken {
    held: usize,
    peak: usize,
}

/// What `work` takes until it ends, and what it returns.
fn taken<T>(work: impl FnOnce() -> T) -> (Taken, T) {
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let done = work();
    let since = |counter: &AtomicUsize| counter.load(Relaxed) - before;
    let (held, peak) = (since(&HELD), since(&PEAK));
    (Taken { held, peak }, done)
}

fn engine() -> Engine {
    let mut engine = Engine::new(1, 1 << 20);
    engine.add_node(NodeSettings {
        node: NODE,
        peer_id: PeerId([b'-'; 20]),
        config: EngineConfig::default(),
    });
    engine
}

/// Downloads from a peer that has all pieces but each hundredth.
fn download(bytes: Vec<u8>) -> Engine {
    let info = Metainfo::parse_vec(bytes).expect("a torrent").info;
    let (mut engine, info_hash) = (engine(), info.info_hash());
    let pieces = info.geometry().piece_count();
    add(&mut engine, info);
    let mut bits = Bitfield::full(pieces);
    (0..pieces)
        .step_by(100)
        .for_each(|piece| _ = bits.clear(PieceIndex(piece)));
    let (addr, peer_id) = (SocketAddr::from(([10, 0, 0, 1], 6881)), PeerId([b'x'; 20]));
    let handshake = Handshake {
        reserved: Reserved::default().with_fast(),
        info_hash,
        peer_id,
    };
    let message = |message| NetEvent::Message {
        peer: PEER,
        message,
    };
    engine.inbox().net.extend([
        NetEvent::Accepted {
            peer: PEER,
            node: NODE,
            addr,
        },
        NetEvent::Handshake {
            peer: PEER,
            handshake,
        },
        message(Message::Bitfield(bits.as_bytes().into())),
        message(Message::Unchoke),
    ]);
    drop(bits);
    for millis in 0..10 {
        engine.tick(EngineTime::from_secs(1) + core::time::Duration::from_millis(millis));
    }
    engine
}

fn add(engine: &mut Engine, info: Arc<Info>) {
    let pieces = info.geometry().piece_count();
    let add = AddTorrent {
        torrent: TORRENT,
        node: NODE,
        info,
        trackers: Vec::new(),
        root: Arc::from(Path::new("many")),
        file_priorities: Vec::new(),
        strategy: PickStrategy::RarestFirst,
        preallocation: Preallocation::Sparse,
        check: Check::Quick,
        as_is: false,
        paused: false,
        limits: TorrentLimits::default(),
        peers: Vec::new(),
    };
    engine
        .inbox()
        .user
        .push_back(UserCommand::Add(Box::new(add)));
    engine.tick(EngineTime::START);
    // Its files are open elsewhere, which is not counted here.
    engine.outbox().disk.clear();
    engine.inbox().disk.push_back(DiskEvent::Opened {
        torrent: TORRENT,
        have: Bitfield::empty(pieces),
        checked: 0,
        totals: Totals::default(),
    });
    engine.tick(EngineTime::START);
}

fn asks(engine: &mut Engine) -> bool {
    let asks = |command: &NetCommand| {
        matches!(
            command,
            NetCommand::Send {
                message: Message::Request(_),
                ..
            }
        )
    };
    engine.outbox().net.iter().any(asks)
}

/// 20 bytes of a piece are its hash, 8 its place in the order, 2 the number of its copies, and some bits
/// say whether it is there, wanted, of which priority, and at a peer. What is needed for a moment only is
/// its priority, a byte.
#[test]
fn a_piece_takes_little_more_than_its_hash_and_its_place() {
    let [few, many] = [100_000, 400_000].map(|pieces| {
        let bytes = torrent(pieces);
        let file = bytes.len();
        let (taken, mut engine) = taken(|| download(bytes));
        assert!(asks(&mut engine), "the download is under way");
        // The bytes of the file were there before.
        Taken {
            held: taken.held + file,
            peak: taken.peak + file,
        }
    });
    let by_piece = |few: usize, many: usize| (many - few) as f64 / 300_000.0;
    let (held, peak) = (by_piece(few.held, many.held), by_piece(few.peak, many.peak));
    println!("{held:.2} bytes a piece, {peak:.2} at most");
    assert!((30.0..=31.0).contains(&held), "{held:.2} bytes a piece");
    assert!(peak <= 32.0, "{peak:.2} bytes a piece at most");
}
