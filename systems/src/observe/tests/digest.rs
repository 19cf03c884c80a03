//! Goal: digests are equal for equal tables, name the row that differs, and leave nothing out.
//! Method: the same swarm twice, then one row of one of them changed by hand; and what is digested compared with
//! all that a world knows.

use core::any::TypeId;
use core::time::Duration;
use std::collections::BTreeSet;

use bevy_ecs::prelude::*;
use dunlin_base::{
    BlockIndex, EngineTime, InfoHash, NodeKey, PeerKey, PieceIndex, TokenBucket, TorrentKey,
};
use dunlin_components::node::{Rules, SlotHolders};
use dunlin_components::peer::{
    EarlyHaves, MetadataRequests, MetadataUploads, Peer, PeerOf, Remote,
};
use dunlin_components::piece::Unwritten;
use dunlin_components::torrent::{
    ActivePieces, Content, CopyKey, FreeBlocks, LastBlocks, MetadataCopy, MetadataFetch, NodeOf,
    PartSender, Peers, Place, SwarmHash, Traffic,
};
use dunlin_components::world::{
    HaveFamily, NodeIndex, Now, PeerIndex, PortInbox, PortOutbox, RoutedEvents, TimerKind, Timers,
    TorrentIndex, Wake, Work,
};
use dunlin_port::BlockBuffer;
use dunlin_port::config::{EngineConfig, SlotCount};
use dunlin_port::disk::Check;
use dunlin_port::net::NetEvent;
use dunlin_port::user::MagnetFiles;

use crate::ingest::Sweep;
use crate::lifecycle::Stopping;
use crate::observe::digest::digested;
use crate::swarm::{Sample, Swarm};

fn swarm() -> Swarm {
    let sample = Sample::new(600_000, 65_536);
    let mut swarm = Swarm::new(3, &EngineConfig::default());
    swarm.add(0, &sample, true, &[]);
    swarm.add(1, &sample, false, &[0]);
    swarm.add(2, &sample, false, &[0, 1]);
    swarm.run_for(Duration::from_millis(55));
    swarm
}

#[test]
fn equal_tables_have_equal_digests_and_a_row_that_differs_is_named() {
    let (mut one, mut other) = (swarm(), swarm());
    assert_eq!(one.engine.digest(), other.engine.digest());
    let rows = one.engine.row_digests();
    assert_eq!(rows, other.engine.row_digests());
    for table in ["Luck", "Have", "Requests", "Blocks", "MemoryBudget"] {
        assert!(rows.iter().any(|row| row.table == table), "{table}");
    }

    let world = other.engine.world();
    let torrent = world.resource::<TorrentIndex>().get(TorrentKey(2));
    let mut traffic = world
        .get_mut::<Traffic>(torrent.expect("it was added"))
        .expect("every torrent has it");
    traffic.wasted_bytes += 1;
    assert_ne!(one.engine.digest(), other.engine.digest());
    assert_eq!(differing(&mut one, &mut other), ["Traffic of torrent 2"]);
}

/// Tables and rows that differ, or are there in one alone.
fn differing(one: &mut Swarm, other: &mut Swarm) -> Vec<String> {
    let rows = |swarm: &mut Swarm| BTreeSet::from_iter(swarm.engine.row_digests());
    let (one, other) = (rows(one), rows(other));
    let names = one.symmetric_difference(&other);
    let names = names.map(|row| format!("{} of {}", row.table, row.row));
    let names = BTreeSet::from_iter(names);
    names.into_iter().collect()
}

/// Rows of a swarm that a test changes.
struct Rows {
    node: Entity,
    torrent: Entity,
    other_torrent: Entity,
    peer: Entity,
    key: PeerKey,
    piece: Entity,
}

/// A row of each kind, with what it has in special states alone.
fn prepare(world: &mut World) -> Rows {
    let torrents = world.resource::<TorrentIndex>();
    let [other_torrent, torrent] = [1, 2].map(|key| torrents.get(TorrentKey(key)).unwrap());
    let node = world.resource::<NodeIndex>().0[&NodeKey(2)];
    let mut peers = world.query::<(Entity, &Peer, &PeerOf)>();
    let mut peers = peers.iter(world).filter(|(.., of)| of.0 == torrent);
    let (peer, key) = peers.next().map(|(row, key, _)| (row, key.0)).unwrap();
    let pieces = world.get::<ActivePieces>(torrent).unwrap();
    let piece = *pieces.0.values().next().unwrap();
    let mut fetch = MetadataFetch {
        name: None,
        files: MagnetFiles::All,
        check: Check::Quick,
        one_sender: false,
        copies: [].into(),
    };
    let copy = CopyKey {
        size: 5,
        only: None,
    };
    let empty = MetadataCopy::new(copy.size, EngineTime::START);
    fetch.copies.insert(copy, empty);
    world.entity_mut(torrent).insert(fetch);
    let bucket = TokenBucket::new(None, 0);
    world.entity_mut(peer).insert((
        EarlyHaves::default(),
        MetadataRequests::default(),
        MetadataUploads {
            bucket,
            waiting: [].into(),
            rejects: 0,
        },
    ));
    world.entity_mut(piece).insert(Unwritten(Vec::new()));
    Rows {
        node,
        torrent,
        other_torrent,
        peer,
        key,
        piece,
    }
}

/// A change of the row of an entity, and what it is called.
type Change = (&'static str, fn(&mut World, &Rows));

const CHANGES_OF_ENTITIES: &[Change] = &[
    ("Rules of node 2", |world, rows| {
        let mut rules = world.get_mut::<Rules>(rows.node).unwrap();
        rules.0.choke.slots = SlotCount::Fixed(3);
    }),
    ("SlotHolders of node 2", |world, rows| {
        let mut holders = world.get_mut::<SlotHolders>(rows.node).unwrap();
        holders.0.push(PeerKey::outgoing(99));
    }),
    ("NodeOf of torrent 2", |world, rows| {
        let of = *world.get::<NodeOf>(rows.other_torrent).unwrap();
        world.entity_mut(rows.torrent).insert(of);
    }),
    ("SwarmHash of torrent 2", |world, rows| {
        let hash = SwarmHash(InfoHash([1; 20]));
        world.entity_mut(rows.torrent).insert(hash);
    }),
    ("Content of torrent 2", |world, rows| {
        let content = Content(Sample::new(600_001, 65_536).info);
        world.entity_mut(rows.torrent).insert(content);
    }),
    ("Place of torrent 2", |world, rows| {
        world.get_mut::<Place>(rows.torrent).unwrap().as_is = true;
    }),
    ("MetadataFetch of torrent 2", |world, rows| {
        let mut fetch = world.get_mut::<MetadataFetch>(rows.torrent).unwrap();
        fetch.one_sender = true;
    }),
    ("LastBlocks of torrent 2", |world, rows| {
        let mut last = world.get_mut::<LastBlocks>(rows.torrent).unwrap();
        last.keep([(PieceIndex(0), BlockIndex(0), 1)]);
    }),
    ("PeerOf of ", |world, rows| {
        let of = PeerOf(rows.other_torrent);
        world.entity_mut(rows.peer).insert(of);
    }),
    ("EarlyHaves of ", |world, rows| {
        let mut early = world.get_mut::<EarlyHaves>(rows.peer).unwrap();
        assert!(early.keep(HaveFamily::HaveAll));
    }),
    ("MetadataRequests of ", |world, rows| {
        let mut requests = world.get_mut::<MetadataRequests>(rows.peer).unwrap();
        requests.failures += 1;
    }),
    ("MetadataUploads of ", |world, rows| {
        let mut uploads = world.get_mut::<MetadataUploads>(rows.peer).unwrap();
        uploads.waiting.push_back(1);
    }),
    ("PeerTraffic of ", |world, rows| {
        let mut index = world.resource_mut::<PeerIndex>();
        index.hear(rows.key, EngineTime::NEVER);
    }),
    ("Unwritten of ", |world, rows| {
        let mut unwritten = world.get_mut::<Unwritten>(rows.piece).unwrap();
        unwritten.0.push(BlockBuffer::declared(5, 0));
    }),
];

const CHANGES_OF_RESOURCES: &[Change] = &[
    ("Now of world", |world, _| {
        world.resource_mut::<Now>().0 += Duration::from_nanos(1);
    }),
    ("Wake of world", |world, _| {
        world.resource_mut::<Wake>().by(EngineTime::START);
    }),
    ("Timers of world", |world, _| {
        let mut timers = world.resource_mut::<Timers>();
        timers.set(EngineTime::START, TorrentKey(0), TimerKind::Retry);
    }),
    ("Sweep of world", |world, _| {
        world.resource_mut::<Sweep>().next_at = EngineTime::NEVER;
    }),
    ("Stopping of world", |world, _| {
        world.insert_resource(Stopping { said: false });
    }),
    ("PeerIndex of world", |world, _| {
        world.resource_mut::<PeerIndex>().next_key();
    }),
    ("PortInbox of world", |world, rows| {
        let event = NetEvent::Connected { peer: rows.key };
        world.resource_mut::<PortInbox>().0.net.push_back(event);
    }),
    ("Work of silence", |world, rows| {
        let entry = (EngineTime::NEVER, rows.key);
        world.resource_mut::<Work>().silence.insert(entry);
    }),
    ("Work of pipelines", |world, _| {
        let peer = PeerKey::outgoing(99);
        world.resource_mut::<Work>().pipelines.insert(peer);
    }),
    ("Work of paroles", |world, rows| {
        world.resource_mut::<Work>().paroles.insert(rows.piece);
    }),
];

#[test]
fn a_change_of_any_table_shows() {
    for (name, change) in CHANGES_OF_ENTITIES.iter().chain(CHANGES_OF_RESOURCES) {
        let (mut one, mut other) = (swarm(), swarm());
        prepare(one.engine.world());
        let world = other.engine.world();
        let rows = prepare(world);
        change(world, &rows);
        assert_ne!(one.engine.digest(), other.engine.digest(), "{name}");
        let differing = differing(&mut one, &mut other);
        let [only] = &differing[..] else {
            panic!("{name}: {differing:?}");
        };
        assert!(only.starts_with(name), "{name}: {only}");
    }
}

#[test]
fn bytes_of_metadata_count_and_the_way_in_which_a_list_was_filled_does_not() {
    let (mut one, mut other) = (swarm(), swarm());
    for (swarm, byte) in [(&mut one, 1), (&mut other, 2)] {
        let world = swarm.engine.world();
        let rows = prepare(world);
        let from = PartSender {
            peer: rows.key,
            remote: *world.get::<Remote>(rows.peer).unwrap(),
        };
        let mut fetch = world.get_mut::<MetadataFetch>(rows.torrent).unwrap();
        let copy = fetch.copies.values_mut().next().unwrap();
        copy.put(0, from, &[byte; 5]);
        let mut work = world.resource_mut::<Work>();
        let mut peers = [7, 8, 7].map(PeerKey::outgoing);
        peers.rotate_left(byte.into());
        work.serve.extend(peers);
    }
    assert_eq!(
        differing(&mut one, &mut other),
        ["MetadataFetch of torrent 2"]
    );
}

/// What no digest looks at, and why not.
const LEFT_OUT: &[(fn() -> TypeId, &str)] = &[
    (
        TypeId::of::<NodeIndex>,
        "derived: the nodes, by the keys that they carry",
    ),
    (
        TypeId::of::<TorrentIndex>,
        "derived: the torrents, by key, and by `NodeOf` and `SwarmHash`",
    ),
    (
        TypeId::of::<Peers>,
        "derived: the peers that shook hands, by `PeerOf` and `Phase`",
    ),
    (
        TypeId::of::<ActivePieces>,
        "derived: the pieces in motion, by `PieceOf`",
    ),
    (
        TypeId::of::<FreeBlocks>,
        "derived: the audit finds it equal to what `Blocks` say",
    ),
    (
        TypeId::of::<RoutedEvents>,
        "scratch: every tick fills and empties it",
    ),
    (
        TypeId::of::<PortOutbox>,
        "scratch: what a tick says, not what it becomes; the ports empty it behind every tick",
    ),
];

#[test]
fn nothing_that_a_world_knows_is_forgotten() {
    let mut bevy = World::new();
    let mut schedule = Schedule::default();
    schedule.add_systems(|_: Commands<'_, '_>| {});
    schedule.run(&mut bevy);
    let known = |world: &World| -> BTreeSet<TypeId> {
        let all = world.components().iter_registered();
        all.filter_map(|(_, info)| info.type_id()).collect()
    };
    let of_bevy = known(&bevy);
    let digested = BTreeSet::from_iter(digested());
    let left_out: BTreeSet<TypeId> = LEFT_OUT.iter().map(|(id, _)| id()).collect();
    assert!(digested.is_disjoint(&left_out));

    // The systems make known what they ask for, all of it: the schedule is built with the first tick.
    let mut swarm = swarm();
    let all = known(swarm.engine.world());
    let info = |id: &TypeId| {
        let world = swarm.engine.world();
        let id = world.components().get_id(*id).unwrap();
        let info = world.components().get_info(id).unwrap();
        format!("{:?}, {:?} {id:?}", info.name(), info.layout())
    };
    let of_ours = all.difference(&of_bevy).copied();
    let forgotten = of_ours.filter(|id| !digested.contains(id) && !left_out.contains(id));
    let forgotten: Vec<_> = forgotten.collect();
    let forgotten: Vec<_> = forgotten.iter().map(info).collect();
    assert_eq!(
        forgotten, [""; 0],
        "digest it, or say in `LEFT_OUT` why it does not matter",
    );
    assert!(left_out.is_subset(&all), "there is no such thing any more");
}
