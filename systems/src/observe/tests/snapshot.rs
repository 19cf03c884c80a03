//! Goal: the copy says what the tables say.
//! Method: hand-made rows, looked at once.

use std::net::SocketAddr;

use bevy_ecs::prelude::*;
use dunlin_base::{
    Bitfield, EngineTime, NodeKey, PeerId, PeerKey, PieceIndex, TokenBucket, TorrentKey,
};
use dunlin_components::node::{Node, NodeBuckets};
use dunlin_components::peer::{
    AmInterested, Hello, Peer, PeerChoking, PeerInterested, PeerOf, PeerTraffic, Phase, Remote,
    RemoteHave,
};
use dunlin_components::piece::PieceState;
use dunlin_components::torrent::{
    ActivePieces, Availability, Candidates, Content, Have, Lifecycle, NodeOf, Peers, Selection,
    SwarmHash, Torrent, Tracker, Trackers, Traffic,
};
use dunlin_components::world::{MemoryBudget, Now, TorrentIndex};
use dunlin_port::config::PickStrategy;
use dunlin_port::snapshot::{Reason, TorrentState, TorrentView};
use dunlin_port::user::FilePriority;
use dunlin_protocol::metainfo::{MetainfoBuilder, NewFile};
use dunlin_protocol::wire::Reserved;

use crate::observe::changes::changes;
use crate::observe::snapshot::{Detail, copy, snapshot};

const KEY: TorrentKey = TorrentKey(4);

struct Bench {
    world: World,
    torrent: Entity,
}

impl Bench {
    /// Files of 10,000, 30,000 and 5,000 bytes in pieces of 16 KiB; the last one is not wanted.
    fn new(lifecycle: Lifecycle, have: &[u32]) -> Self {
        let mut world = World::new();
        world.insert_resource(Now(EngineTime::from_secs(100)));
        world.insert_resource(MemoryBudget {
            bytes_max: 1,
            ..MemoryBudget::default()
        });
        let file = |name: &str, length| NewFile {
            path: vec![name.into()],
            length,
            ..NewFile::default()
        };
        let files = vec![file("a", 10_000), file("b", 30_000), file("c", 5000)];
        let info = MetainfoBuilder::folder("some", files, 16384)
            .build(&[[0; 20]; 3])
            .unwrap()
            .info;
        let mut bits = Bitfield::empty(3);
        for &piece in have {
            bits.set(PieceIndex(piece));
        }
        let buckets = NodeBuckets {
            down: TokenBucket::new(None, 16384),
            up: TokenBucket::new(None, 16384),
        };
        let node = world.spawn((Node(NodeKey(0)), buckets)).id();
        let torrent = world
            .spawn((
                Torrent(KEY),
                NodeOf(node),
                SwarmHash(info.info_hash()),
                Content(info),
                Have(bits),
                lifecycle,
                Selection {
                    files: vec![FilePriority::Normal, FilePriority::High, FilePriority::Skip],
                    pieces: std::collections::BTreeMap::new(),
                    strategy: PickStrategy::RarestFirst,
                },
                Trackers::default(),
            ))
            .id();
        let mut index = TorrentIndex::default();
        index.by_key.insert(KEY, torrent);
        world.insert_resource(index);
        Self { world, torrent }
    }

    fn peer(&mut self, n: u64, have: Bitfield) -> Entity {
        let key = PeerKey::incoming(n);
        let remote = Remote {
            node: NodeKey(0),
            addr: SocketAddr::from(([10, 0, 0, 1], 1000)),
        };
        let hello = Hello {
            peer_id: PeerId(*b"-TR4060-abcdefghijkl"),
            reserved: Reserved::default(),
        };
        let have = RemoteHave {
            bits: have,
            counted_as_seed: false,
            told: true,
        };
        let row = (
            Peer(key),
            PeerOf(self.torrent),
            Phase::Established,
            remote,
            hello,
            have,
        );
        let entity = self.world.spawn(row).id();
        let mut peers = self.world.get_mut::<Peers>(self.torrent).unwrap();
        peers.0.insert(key, entity);
        entity
    }

    fn look(&mut self) -> TorrentView {
        let mut snapshot = snapshot(&mut self.world);
        assert_eq!(snapshot.at, EngineTime::from_secs(100));
        assert_eq!(snapshot.torrents.len(), 1);
        snapshot.torrents.remove(0)
    }
}

#[test]
fn progress_is_counted_by_file() {
    // Piece 0 holds all of a and 6,384 bytes of b; piece 2 the last 7,232 bytes of b and all of c.
    for (have, files, done) in [
        (&[][..], [0, 0, 0], 0),
        (&[0], [10_000, 6384, 0], 16_384),
        (&[0, 2], [10_000, 6384 + 7232, 5000], 10_000 + 6384 + 7232),
        (&[0, 1, 2], [10_000, 30_000, 5000], 40_000),
    ] {
        let view = Bench::new(Lifecycle::Downloading, have).look();
        assert_eq!(view.file_done_bytes, files, "{have:?}");
        assert_eq!(
            (view.wanted_bytes, view.done_bytes),
            (40_000, done),
            "{have:?}"
        );
        assert_eq!((view.have_pieces as usize, view.pieces), (have.len(), 3));
        assert_eq!(view.name, "some");
    }
}

#[test]
fn copies_are_those_of_the_rarest_piece() {
    let mut seed = Bench::new(Lifecycle::Seeding, &[0, 1, 2]);
    assert_eq!(seed.look().copies, 1);
    seed.peer(1, Bitfield::full(3));
    seed.peer(2, Bitfield::empty(3));
    assert_eq!(seed.look().copies, 2);
    let mut leecher = Bench::new(Lifecycle::Downloading, &[0]);
    let mut availability = Availability::new(3);
    availability.add_seed();
    availability.add(PieceIndex(1));
    leecher
        .world
        .entity_mut(leecher.torrent)
        .insert(availability);
    assert_eq!(leecher.look().copies, 1);
}

#[test]
fn a_peer_is_shown_as_it_is() {
    let mut bench = Bench::new(Lifecycle::Downloading, &[]);
    let entity = bench.peer(1, Bitfield::full(3));
    bench.world.entity_mut(entity).insert((
        AmInterested(true),
        PeerChoking(false),
        PeerInterested(true),
    ));
    let now = EngineTime::from_secs(99);
    let mut traffic = bench.world.get_mut::<PeerTraffic>(entity).unwrap();
    traffic.down.add(now, 50_000);
    traffic.up.add(now, 7);
    let view = bench.look();
    let peer = &view.peers[0];
    assert_eq!(peer.client, "Transmission 4.0.6");
    assert_eq!(
        (peer.have_pieces, peer.downloaded_bytes, peer.uploaded_bytes),
        (3, 50_000, 7)
    );
    assert!(peer.down_bytes_per_sec > 0);
    let flags = peer.flags;
    assert!(flags.am_choking && flags.am_interested && flags.peer_interested && flags.incoming);
    assert!(!flags.peer_choking && !flags.snubbed);
    assert_eq!(view.why, [Reason::PeersGive { peers: 1 }]);
}

#[test]
fn a_row_alone_is_cheap_and_says_the_same() {
    let mut bench = Bench::new(Lifecycle::Downloading, &[0]);
    bench.peer(1, Bitfield::full(3));
    let full = bench.look();
    let row = copy(&mut bench.world, Detail::Of(None), &|_| true)
        .torrents
        .remove(0);
    assert!(row.peers.is_empty() && row.file_done_bytes.is_empty());
    assert_eq!((row.done_bytes, &row.why), (full.done_bytes, &full.why));
    let chosen = copy(&mut bench.world, Detail::Of(Some(KEY)), &|_| true);
    assert_eq!(chosen.torrents[0], full);
}

#[test]
fn attempts_and_addresses_are_counted() {
    let mut bench = Bench::new(Lifecycle::Downloading, &[]);
    bench.world.spawn((
        Peer(PeerKey::outgoing(1)),
        PeerOf(bench.torrent),
        Phase::Connecting,
    ));
    let mut candidates = bench.world.get_mut::<Candidates>(bench.torrent).unwrap();
    candidates.add(SocketAddr::from(([10, 0, 0, 9], 99)), EngineTime::START);
    let expected = Reason::Connecting {
        attempts: 1,
        candidates: 1,
    };
    assert_eq!(bench.look().why, [expected]);
}

#[test]
fn a_limit_is_named_while_it_binds() {
    let mut bench = Bench::new(Lifecycle::Seeding, &[0, 1, 2]);
    let node = bench.world.get::<NodeOf>(bench.torrent).unwrap().0;
    let (before, now) = (EngineTime::from_secs(99), EngineTime::from_secs(100));
    let mut bucket = TokenBucket::new(Some(1 << 20), 16384);
    let all = bucket.available(now);
    bucket.take(all);
    bench.world.get_mut::<NodeBuckets>(node).unwrap().up = bucket;
    let capped = Reason::UploadCap(1 << 20);
    assert!(!bench.look().why.contains(&capped), "nothing moves");
    let mut traffic = bench.world.get_mut::<Traffic>(bench.torrent).unwrap();
    traffic.up.add(before, 1 << 20);
    assert!(bench.look().why.contains(&capped));
    bench.world.insert_resource(Now(EngineTime::from_secs(101)));
    let late = snapshot(&mut bench.world).torrents.remove(0);
    assert!(!late.why.contains(&capped), "a second's worth is saved up");
}

#[test]
fn a_slow_disk_is_named_when_memory_is_full() {
    let mut bench = Bench::new(Lifecycle::Downloading, &[]);
    let piece = bench.world.spawn(PieceState::Writing).id();
    let mut active = bench.world.get_mut::<ActivePieces>(bench.torrent).unwrap();
    active.0.insert(PieceIndex(2), piece);
    let disk = Reason::DiskBusy {
        bytes: 45_000 - 2 * 16384,
    };
    assert!(!bench.look().why.contains(&disk));
    bench.world.resource_mut::<MemoryBudget>().bytes = 20_000;
    assert_eq!(bench.look().why[0], disk);
}

#[test]
fn trackers_are_shown_in_the_order_in_which_they_are_tried() {
    let mut bench = Bench::new(Lifecycle::Downloading, &[]);
    let mut list = vec![
        Tracker::new("b".into(), 1, 0),
        Tracker::new("c".into(), 0, 1),
        Tracker::new("a".into(), 0, 0),
    ];
    list[0].never = true;
    list[1].next_at = EngineTime::from_secs(160);
    list[1].asked_at = Some(EngineTime::START);
    list[2].failures = 1;
    bench.world.get_mut::<Trackers>(bench.torrent).unwrap().list = list;
    let view = bench.look();
    let shown: Vec<_> = view
        .trackers
        .iter()
        .map(|tracker| (tracker.url.as_str(), tracker.next_announce))
        .collect();
    let at = EngineTime::from_secs;
    assert_eq!(
        shown,
        [("a", at(100)), ("c", at(160)), ("b", EngineTime::NEVER)]
    );
    let wait = Reason::TrackerWait {
        url: "c".into(),
        secs: 60,
    };
    assert_eq!(view.why, [Reason::NoPeersKnown, wait]);
}

#[test]
fn states_are_those_of_the_torrent() {
    for (lifecycle, state) in [
        (
            Lifecycle::Opening {
                done: 3,
                of: 9,
                paused: false,
            },
            TorrentState::Checking { done: 3, of: 9 },
        ),
        (Lifecycle::Paused, TorrentState::Paused),
        (
            Lifecycle::Stopped {
                reason: "full".into(),
                retry_at: EngineTime::NEVER,
            },
            TorrentState::Stopped {
                reason: "full".into(),
            },
        ),
    ] {
        assert_eq!(Bench::new(lifecycle, &[]).look().state, state);
    }
}

#[test]
fn a_torrent_at_rest_is_copied_when_it_changes_and_when_the_mark_is_old() {
    let mut bench = Bench::new(Lifecycle::Seeding, &[0, 1, 2]);
    let (all, mark) = changes(&mut bench.world, None);
    assert_eq!(all, snapshot(&mut bench.world));
    assert_eq!(all.torrents.len(), 1);
    let (nothing, mark) = changes(&mut bench.world, Some(mark));
    assert_eq!(nothing.torrents, []);

    *bench.world.get_mut::<Lifecycle>(bench.torrent).unwrap() = Lifecycle::Paused;
    let (paused, mark) = changes(&mut bench.world, Some(mark));
    assert_eq!(paused.torrents[0].state, TorrentState::Paused);
    assert_eq!(changes(&mut bench.world, Some(mark)).0.torrents, []);

    bench.world.resource_mut::<Now>().0 = EngineTime::from_secs(161);
    assert_eq!(changes(&mut bench.world, Some(mark)).0.torrents.len(), 1);
}

#[test]
fn a_torrent_that_moves_is_copied_every_time() {
    let mut bench = Bench::new(Lifecycle::Downloading, &[0]);
    let (_, mark) = changes(&mut bench.world, None);
    let (copied, _) = changes(&mut bench.world, Some(mark));
    assert_eq!(copied, snapshot(&mut bench.world));
}
