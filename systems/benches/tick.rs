//! A tick of a seed with so many peers: when nothing happened, and when a hundred of them said
//! something. The first must cost next to nothing and the second must follow the hundred.

use core::time::Duration;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use dunlin_base::{Bitfield, EngineTime, InfoHash, NodeKey, PeerId, PeerKey, TorrentKey};
use dunlin_port::config::{EngineConfig, PickStrategy, Preallocation};
use dunlin_port::disk::{Check, DiskEvent, Totals};
use dunlin_port::net::NetEvent;
use dunlin_port::user::{AddTorrent, TorrentLimits, UserCommand};
use dunlin_protocol::metainfo::MetainfoBuilder;
use dunlin_protocol::wire::{Handshake, Message, Reserved};
use dunlin_systems::{Engine, NodeSettings};

const NODE: NodeKey = NodeKey(0);
const TORRENT: TorrentKey = TorrentKey(1);
const PIECES: u32 = 4_000;
/// Peers that say something in a busy tick.
const BUSY: u32 = 100;

/// A seed and when it was last ticked.
struct Seed {
    engine: Engine,
    now: EngineTime,
    peers: u32,
    said: u32,
}

impl Seed {
    fn new(peers: u32) -> Self {
        let mut config = EngineConfig::default();
        config.limits.connections = peers + 1;
        config.limits.connections_per_torrent = peers + 1;
        let mut engine = Engine::new(1, 1 << 30);
        engine.add_node(NodeSettings {
            node: NODE,
            peer_id: PeerId([b'-'; 20]),
            config,
        });
        let builder = MetainfoBuilder::single_file("bench", u64::from(PIECES) << 18, 1 << 18);
        let hashes = vec![[7; 20]; PIECES as usize];
        let info = builder.build(&hashes).expect("a torrent").info;
        let info_hash = info.info_hash();
        let add = UserCommand::Add(Box::new(AddTorrent {
            torrent: TORRENT,
            node: NODE,
            info,
            trackers: Vec::new(),
            root: Arc::from(Path::new("bench")),
            file_priorities: Vec::new(),
            strategy: PickStrategy::RarestFirst,
            preallocation: Preallocation::Sparse,
            check: Check::Trusted,
            as_is: true,
            paused: false,
            limits: TorrentLimits::default(),
            peers: Vec::new(),
        }));
        let (now, said) = (EngineTime::START, 0);
        let mut seed = Self {
            engine,
            now,
            peers,
            said,
        };
        seed.engine.inbox().user.push_back(add);
        seed.tick();
        seed.engine.inbox().disk.push_back(DiskEvent::Opened {
            torrent: TORRENT,
            have: Bitfield::full(PIECES),
            checked: 0,
            totals: Totals::default(),
        });
        seed.tick();
        for n in 0..peers {
            seed.join(n, info_hash);
            if n % 100 == 0 {
                seed.tick();
            }
        }
        for _ in 0..50 {
            seed.tick();
        }
        assert_eq!(seed.engine.connections(), peers as usize, "all are in");
        seed
    }

    /// A peer that has nothing connects and is interested.
    fn join(&mut self, n: u32, info_hash: InfoHash) {
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
        let net = &mut self.engine.inbox().net;
        let node = NODE;
        net.push_back(NetEvent::Accepted { peer, node, addr });
        net.push_back(NetEvent::Handshake { peer, handshake });
        let messages = [Message::HaveNone, Message::Interested];
        net.extend(messages.map(|message| NetEvent::Message { peer, message }));
    }

    /// In a benchmark's million ticks nobody shall be silent for so long that it is dropped.
    fn tick(&mut self) {
        self.now += Duration::from_micros(50);
        self.engine.tick(self.now);
        let outbox = self.engine.outbox();
        outbox.net.clear();
        outbox.disk.clear();
        outbox.session.clear();
    }

    /// The next peers lose interest, or find it again.
    fn hear(&mut self) {
        for _ in 0..BUSY.min(self.peers) {
            let peer = PeerKey::incoming((self.said % self.peers).into());
            let message = match self.said / self.peers % 2 {
                0 => Message::NotInterested,
                _ => Message::Interested,
            };
            self.said += 1;
            let net = &mut self.engine.inbox().net;
            net.push_back(NetEvent::Message { peer, message });
        }
    }
}

fn ticks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tick");
    for peers in [10, 1_000, 10_000] {
        let mut seed = Seed::new(peers);
        group.bench_function(BenchmarkId::new("nothing happened", peers), |bencher| {
            bencher.iter(|| seed.tick());
        });
        assert_eq!(seed.engine.connections(), peers as usize, "all stay");
        let mut seed = Seed::new(peers);
        group.bench_function(BenchmarkId::new("up to 100 messages", peers), |bencher| {
            bencher.iter(|| {
                seed.hear();
                seed.tick();
            });
        });
        assert_eq!(seed.engine.connections(), peers as usize, "all stay");
    }
    group.finish();
}

criterion_group!(benches, ticks);
criterion_main!(benches);
