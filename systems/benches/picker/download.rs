//! A download without sockets, disk and hashing: an engine whose peers give whatever they are asked for.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use dunlin_base::{
    Bitfield, EngineTime, InfoHash, NodeKey, PeerId, PeerKey, PieceIndex, RngStream, StreamName,
    TorrentKey,
};
use dunlin_port::BlockPool;
use dunlin_port::config::{EngineConfig, PickStrategy, Preallocation};
use dunlin_port::disk::{Check, DiskCommand, DiskEvent, Totals};
use dunlin_port::hash::HashDone;
use dunlin_port::net::{NetCommand, NetEvent};
use dunlin_port::user::{AddTorrent, TorrentLimits, UserCommand};
use dunlin_protocol::metainfo::{Info, MetainfoBuilder};
use dunlin_protocol::wire::{BlockRequest, Handshake, Message, Reserved};
use dunlin_systems::{Engine, NodeSettings};

const NODE: NodeKey = NodeKey(0);
const TORRENT: TorrentKey = TorrentKey(1);
/// A block each: every request opens a piece, and as many pieces are in motion as requests are out.
const PIECE_BYTES: u32 = 16 * 1024;
/// Requests that are kept out at each peer.
pub(crate) const QUEUE: usize = 64;

/// What is downloaded from whom.
#[derive(Clone, Copy)]
pub(crate) struct Swarm {
    pub(crate) what: &'static str,
    pub(crate) strategy: PickStrategy,
    pub(crate) peers: u32,
    /// The first so many of them answer nothing any more when every piece was asked for.
    pub(crate) mute: u32,
    /// What the `n`-th of them has.
    pub(crate) has: fn(n: u32, piece: u32, pieces: u32, luck: &mut RngStream) -> bool,
}

/// A torrent of so many pieces. Its hashes are never looked at.
pub(crate) fn torrent(pieces: u32) -> Arc<Info> {
    let bytes = u64::from(pieces) * u64::from(PIECE_BYTES);
    let builder = MetainfoBuilder::single_file("bench", bytes, PIECE_BYTES);
    let hashes = vec![[7; 20]; pieces as usize];
    builder.build(&hashes).expect("a torrent").info
}

/// What each peer of a swarm has.
pub(crate) fn peers_of(swarm: &Swarm, pieces: u32) -> Vec<Bitfield> {
    let mut luck = RngStream::new(1, NODE, StreamName::Identity);
    let bits = |n: u32| {
        let mut bits = Bitfield::empty(pieces);
        for piece in 0..pieces {
            if (swarm.has)(n, piece, pieces, &mut luck) {
                bits.set(PieceIndex(piece));
            }
        }
        bits
    };
    (0..swarm.peers).map(bits).collect()
}

/// A download from its first request on.
pub(crate) struct Download {
    engine: Engine,
    now: EngineTime,
    pool: BlockPool,
    /// Requests that are out, by peer.
    asked: BTreeMap<PeerKey, Vec<BlockRequest>>,
    /// Whose turn it is to answer.
    turn: PeerKey,
    /// The first peer that answers.
    first: PeerKey,
    /// Requests so far.
    requests: u32,
}

impl Download {
    pub(crate) fn new(info: &Arc<Info>, swarm: &Swarm, peers: &[Bitfield]) -> Self {
        let mut config = EngineConfig::default();
        config.pick.random_first_pieces = 0;
        config.pick.requests_max = QUEUE as u32;
        config.limits.connections = 1000;
        config.limits.connections_per_torrent = 1000;
        let mut engine = Engine::new(1, 1 << 30);
        engine.add_node(NodeSettings {
            node: NODE,
            peer_id: PeerId([b'-'; 20]),
            config,
        });
        let mut download = Self {
            engine,
            now: EngineTime::START,
            pool: BlockPool::new(1 << 30),
            asked: BTreeMap::new(),
            turn: PeerKey::incoming(0),
            first: PeerKey::incoming(0),
            requests: 0,
        };
        download.add(info, swarm.strategy);
        for (n, bits) in (0..).zip(peers) {
            download.join(n, info.info_hash(), bits);
        }
        download.tick();
        if swarm.mute > 0 {
            // Queues grow while they are answered.
            while download.requests < info.geometry().piece_count() {
                download.round();
            }
            download.first = PeerKey::incoming(swarm.mute.into());
        }
        download
    }

    fn add(&mut self, info: &Arc<Info>, strategy: PickStrategy) {
        let add = UserCommand::Add(Box::new(AddTorrent {
            torrent: TORRENT,
            node: NODE,
            info: Arc::clone(info),
            trackers: Vec::new(),
            root: Arc::from(Path::new("bench")),
            file_priorities: Vec::new(),
            strategy,
            preallocation: Preallocation::Sparse,
            check: Check::Trusted,
            as_is: false,
            paused: false,
            limits: TorrentLimits::default(),
            peers: Vec::new(),
        }));
        self.engine.inbox().user.push_back(add);
        self.tick();
        self.engine.inbox().disk.push_back(DiskEvent::Opened {
            torrent: TORRENT,
            have: Bitfield::empty(info.geometry().piece_count()),
            checked: 0,
            totals: Totals::default(),
        });
        self.tick();
    }

    /// A peer connects, says what it has and lets us download.
    fn join(&mut self, n: u32, info_hash: InfoHash, bits: &Bitfield) {
        let peer = PeerKey::incoming(n.into());
        let [_, b, c, d] = n.to_be_bytes();
        let addr = SocketAddr::from(([10, b, c, d], 6881));
        let mut peer_id = [b'x'; 20];
        peer_id[..4].copy_from_slice(&n.to_be_bytes());
        let handshake = Handshake {
            reserved: Reserved::default().with_fast(),
            info_hash,
            peer_id: PeerId(peer_id),
        };
        let has = match bits.is_full() {
            true => Message::HaveAll,
            false => Message::Bitfield(bits.as_bytes().into()),
        };
        let net = &mut self.engine.inbox().net;
        let node = NODE;
        net.push_back(NetEvent::Accepted { peer, node, addr });
        net.push_back(NetEvent::Handshake { peer, handshake });
        let messages = [has, Message::Unchoke];
        net.extend(messages.map(|message| NetEvent::Message { peer, message }));
    }

    /// One tick; notes what is asked for and lets the hashers and the disk do their part in the next.
    fn tick(&mut self) -> Duration {
        self.now += Duration::from_micros(50);
        let began = Instant::now();
        self.engine.tick(self.now);
        let took = began.elapsed();
        let outbox = self.engine.outbox();
        let mut done = Vec::new();
        for job in outbox.hash.drain(..) {
            done.push(HashDone {
                torrent: job.torrent,
                piece: job.piece,
                number: job.number,
                blocks: job.blocks,
                good: true,
                block_digests: Vec::new(),
            });
        }
        let mut written = Vec::new();
        for command in outbox.disk.drain(..) {
            if let DiskCommand::Write { torrent, piece, .. } = command {
                written.push(DiskEvent::Written { torrent, piece });
            }
        }
        for command in outbox.net.drain(..) {
            if let NetCommand::Send { peer, message } = command
                && let Message::Request(request) = message
            {
                self.requests += 1;
                self.asked.entry(peer).or_default().push(request);
            }
        }
        outbox.session.clear();
        let inbox = self.engine.inbox();
        inbox.hash.extend(done);
        inbox.disk.extend(written);
        took
    }

    /// The next peer gives all that it was asked for. Returns how long the tick took that took this in
    /// and filled the peer's queue again, and with how many requests.
    pub(crate) fn round(&mut self) -> (Duration, usize) {
        let next = self.asked.range(self.turn.max(self.first)..).next();
        let next = next.or_else(|| self.asked.range(self.first..).next());
        let Some((&peer, _)) = next else {
            return (Duration::ZERO, 0);
        };
        self.turn = PeerKey::incoming(peer.raw() / 2 + 1);
        for request in self.asked.remove(&peer).unwrap_or_default() {
            let payload = self.pool.take(request.len as usize).expect("memory");
            self.engine.inbox().net.push_back(NetEvent::Block {
                peer,
                piece: request.piece,
                begin: request.begin,
                payload,
            });
        }
        let took = self.tick();
        let filled = self.asked.get(&peer).map_or(0, Vec::len);
        // The verdicts come, then the pieces are on disk.
        self.tick();
        self.tick();
        (took, filled)
    }
}
