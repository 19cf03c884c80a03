//! Digests of the tables: equal states give equal digests, on any machine of the same build.
//!
//! A row's digest is mixed from its table, its stable key and its contents, never from an entity;
//! a table's is the sum of its rows', so that the order in which they are stored does not matter.
//!
//! A table is a component, or a resource. All that can change what a later tick does is in one; what is left
//! out follows from the rest or lasts no longer than a tick, and is listed with the reason where the tests
//! compare both lists with what a world knows (`tests/digest.rs`).

mod resources;

use core::hash::{Hash, Hasher};

use bevy_ecs::prelude::*;
use dunlin_components::node::{
    Banned, ChokeRound, Connections, Identity, Luck, Node, NodeBuckets, Rules, SlotHolders, Suitors,
};
use dunlin_components::peer::{
    AllowedFast, AmChoking, AmInterested, Bargain, ChokeTold, EarlyHaves, Extensions, Hello,
    MetadataRequests, MetadataUploads, Peer, PeerBuckets, PeerChoking, PeerInterested, PeerOf,
    PeerTraffic, Phase, Remote, RemoteHave, Requests, Strikes, UploadQueue,
};
use dunlin_components::piece::{Blocks, Parole, Piece, PieceOf, PieceState, Unwritten};
use dunlin_components::torrent::{
    Availability, Candidates, Commit, Content, Deadlines, Have, LastBlocks, Lifecycle,
    MetadataFetch, Neighbours, NodeOf, PickOrder, Place, Selection, SuperSeeding, Suspects,
    SwarmHash, Torrent, TorrentBuckets, Trackers, Traffic, Wanted,
};
use dunlin_components::world::PeerIndex;

/// Mixes 64 bits at a time; the same on every platform of one width and byte order.
#[derive(Clone, Copy)]
struct Mixer(u64);

impl Mixer {
    const fn mix(&mut self, word: u64) {
        let mut value = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        value ^= value >> 32;
        self.0 = value.wrapping_mul(0xd6e8_feb8_6659_fd93);
    }
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.mix(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.mix(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
}

/// The digest of one component of one row.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RowDigest {
    /// The component.
    pub table: &'static str,
    /// The row's stable key, as it is shown to people: `node 3`, `peer out7`, `piece 4 of torrent 2`, and
    /// `world` where there is but one; of what is left to do, the list.
    pub row: String,
    /// The digest.
    pub digest: u64,
}

/// What rows are told apart by.
trait Key: Component {
    fn raw(&self, world: &World, row: Entity) -> u64;
    fn show(&self, raw: u64) -> String;
}

impl Key for Node {
    fn raw(&self, _world: &World, _row: Entity) -> u64 {
        self.0.0.into()
    }
    fn show(&self, raw: u64) -> String {
        format!("node {raw}")
    }
}

impl Key for Torrent {
    fn raw(&self, _world: &World, _row: Entity) -> u64 {
        self.0.0.into()
    }
    fn show(&self, raw: u64) -> String {
        format!("torrent {raw}")
    }
}

impl Key for Peer {
    fn raw(&self, _world: &World, _row: Entity) -> u64 {
        self.0.raw()
    }
    fn show(&self, _raw: u64) -> String {
        format!("peer {}", self.0)
    }
}

/// Pieces in motion have the key of their torrent and their index.
impl Key for Piece {
    fn raw(&self, world: &World, row: Entity) -> u64 {
        let torrent = world
            .get::<PieceOf>(row)
            .map_or(u32::MAX, |of| torrent_key(world, of.0));
        u64::from(torrent) << 32 | u64::from(self.0.0)
    }
    fn show(&self, raw: u64) -> String {
        format!("piece {} of torrent {}", self.0.0, raw >> 32)
    }
}

/// The number of the torrent of a row; that of none when it is gone.
fn torrent_key(world: &World, row: Entity) -> u32 {
    world
        .get::<Torrent>(row)
        .map_or(u32::MAX, |torrent| torrent.0.0)
}

/// Gets a row's table, raw key and digest, and how to show the key.
type Visit<'a> = dyn FnMut(&'static str, u64, u64, &dyn Fn() -> String) + 'a;

/// One component of all rows with this kind of key, of which `mix` takes in what counts.
fn walk<K: Key, C: Component>(
    world: &mut World,
    table: &'static str,
    visit: &mut Visit<'_>,
    mix: impl Fn(&World, &K, &C, &mut Mixer),
) {
    let mut rows = world.query::<(Entity, &K, &C)>();
    for (row, key, component) in rows.iter(world) {
        let raw = key.raw(world, row);
        let mut mixer = Mixer(raw);
        mix(world, key, component, &mut mixer);
        visit(table, raw, mixer.finish(), &|| key.show(raw));
    }
}

/// All of it.
fn whole<K, C: Hash>(_world: &World, _key: &K, row: &C, mixer: &mut Mixer) {
    row.hash(mixer);
}

/// The node's key, not its entity.
fn node_of(world: &World, _key: &Torrent, of: &NodeOf, mixer: &mut Mixer) {
    world.get::<Node>(of.0).hash(mixer);
}

/// The torrent's key, not its entity.
fn peer_of(world: &World, _key: &Peer, of: &PeerOf, mixer: &mut Mixer) {
    torrent_key(world, of.0).hash(mixer);
}

/// What a torrent contains follows from its hash.
fn content(_world: &World, _key: &Torrent, Content(info): &Content, mixer: &mut Mixer) {
    info.info_hash().hash(mixer);
}

/// What moved, with when the peer was last heard, which is kept in the index.
fn traffic(world: &World, peer: &Peer, row: &PeerTraffic, mixer: &mut Mixer) {
    let heard_at = world.resource::<PeerIndex>().heard_at(peer.0);
    (row, heard_at).hash(mixer);
}

/// As far as decisions can see it: which blocks are here, not what is in them.
fn unwritten(_world: &World, _key: &Piece, Unwritten(blocks): &Unwritten, mixer: &mut Mixer) {
    blocks.len().hash(mixer);
    for block in blocks {
        block.len().hash(mixer);
    }
}

macro_rules! tables {
    (@how) => { whole };
    (@how $how:ident) => { $how };
    ($($key:ident: $($component:ident $(by $how:ident)?),*;)*) => {
        /// Tables of components, in the order in which they are visited.
        const COMPONENTS: &[&str] = &[$($(stringify!($component),)*)*];

        fn walk_components(world: &mut World, visit: &mut Visit<'_>) {
            $($(walk::<$key, $component>(
                world, stringify!($component), visit, tables!(@how $($how)?),
            );)*)*
        }

        /// What the tables are made of, and what tells their rows apart.
        #[cfg(test)]
        fn component_types() -> Vec<core::any::TypeId> {
            vec![
                $(core::any::TypeId::of::<$key>(), $(core::any::TypeId::of::<$component>(),)*)*
                // It is in the key of a piece.
                core::any::TypeId::of::<PieceOf>(),
            ]
        }
    };
}

tables! {
    Node: Identity, Rules, NodeBuckets, Luck, ChokeRound, Suitors, SlotHolders, Banned, Connections;
    Torrent: NodeOf by node_of, SwarmHash, Content by content, Place, Lifecycle, MetadataFetch, Have,
        Wanted, Selection, Availability, PickOrder, LastBlocks, Candidates, Trackers, Traffic,
        TorrentBuckets, Deadlines, Suspects, Commit, SuperSeeding, Neighbours;
    Peer: PeerOf by peer_of, Remote, Phase, Hello, AmChoking, AmInterested, PeerChoking,
        PeerInterested, ChokeTold, RemoteHave, EarlyHaves, Requests, UploadQueue,
        PeerTraffic by traffic, PeerBuckets, Extensions, MetadataRequests, MetadataUploads, Strikes,
        AllowedFast, Bargain;
    Piece: PieceState, Parole, Blocks, Unwritten by unwritten;
}

const TABLE_COUNT: usize = COMPONENTS.len() + resources::RESOURCES.len();

/// All tables, in the order in which their digests are given.
pub const TABLES: &[&str] = &{
    let mut all = [""; TABLE_COUNT];
    let (components, resources) = all.split_at_mut(COMPONENTS.len());
    components.copy_from_slice(COMPONENTS);
    resources.copy_from_slice(resources::RESOURCES);
    all
};

/// The types of all that a digest tells apart.
#[cfg(test)]
pub(crate) fn digested() -> Vec<core::any::TypeId> {
    let mut all = component_types();
    all.extend(resources::types());
    all
}

/// Visits all rows, table by table in the order of [`TABLES`].
fn walk_all(world: &mut World, visit: &mut Visit<'_>) {
    walk_components(world, visit);
    resources::walk(world, visit);
}

/// The digests of all tables, in the order of [`TABLES`].
pub(crate) fn table_digests(world: &mut World) -> Vec<u64> {
    let mut sums = vec![0_u64; TABLES.len()];
    let mut at = 0;
    let mut add = |table: &'static str, key: u64, digest: u64, _: &dyn Fn() -> String| {
        while TABLES[at] != table {
            at += 1;
        }
        let mut mixer = Mixer(digest);
        mixer.write(table.as_bytes());
        mixer.write_u64(key);
        sums[at] = sums[at].wrapping_add(mixer.finish());
    };
    walk_all(world, &mut add);
    sums
}

/// The digest of all tables together.
pub(crate) fn digest(world: &mut World) -> u64 {
    let sums = table_digests(world);
    sums.into_iter().fold(0, u64::wrapping_add)
}

/// The digests of all rows, by table and row: to find where two states differ.
pub(crate) fn rows(world: &mut World) -> Vec<RowDigest> {
    let mut rows = Vec::new();
    let mut note = |table: &'static str, key: u64, digest: u64, show: &dyn Fn() -> String| {
        rows.push((
            table,
            key,
            RowDigest {
                table,
                row: show(),
                digest,
            },
        ));
    };
    walk_all(world, &mut note);
    rows.sort_by_key(|&(table, key, _)| (table, key));
    rows.into_iter().map(|(_, _, row)| row).collect()
}
