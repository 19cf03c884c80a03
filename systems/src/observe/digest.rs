//! Digests of the tables: equal states give equal digests, on any machine of the same build.
//!
//! A row's digest is mixed from its table, its stable key and its contents, never from an entity;
//! a table's is the sum of its rows', so that the order in which they are stored does not matter.

use core::hash::{Hash, Hasher};

use bevy_ecs::prelude::*;
use dunlin_components::node::{
    Banned, ChokeRound, Connections, Identity, Luck, Node, NodeBuckets, Suitors,
};
use dunlin_components::peer::{
    AllowedFast, AmChoking, AmInterested, Bargain, ChokeTold, Extensions, Hello, Peer, PeerBuckets,
    PeerChoking, PeerInterested, PeerTraffic, Phase, Remote, RemoteHave, Requests, Strikes,
    UploadQueue,
};
use dunlin_components::piece::{Blocks, Parole, Piece, PieceOf, PieceState};
use dunlin_components::torrent::{
    Availability, Candidates, Commit, Deadlines, Have, Lifecycle, Neighbours, PickOrder, Selection,
    SuperSeeding, Suspects, Torrent, TorrentBuckets, Trackers, Traffic, Wanted,
};
use dunlin_components::world::{MemoryBudget, PeerIndex};

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
    /// The row's stable key, as it is shown to people: `node 3`, `peer out7`, `piece 4 of torrent 2`.
    pub row: String,
    /// The digest.
    pub digest: u64,
}

/// What rows are told apart by.
trait Key: Component {
    fn raw(&self) -> u64;
    fn show(&self) -> String;
}

impl Key for Node {
    fn raw(&self) -> u64 {
        self.0.0.into()
    }
    fn show(&self) -> String {
        format!("node {}", self.0.0)
    }
}

impl Key for Torrent {
    fn raw(&self) -> u64 {
        self.0.0.into()
    }
    fn show(&self) -> String {
        format!("torrent {}", self.0.0)
    }
}

impl Key for Peer {
    fn raw(&self) -> u64 {
        self.0.raw()
    }
    fn show(&self) -> String {
        format!("peer {}", self.0)
    }
}

/// Gets a row's table, raw key and digest, and how to show the key.
type Visit<'a> = dyn FnMut(&'static str, u64, u64, &dyn Fn() -> String) + 'a;

/// One component of all rows with this kind of key.
fn walk<K: Key, C: Component + Hash>(
    world: &mut World,
    table: &'static str,
    visit: &mut Visit<'_>,
) {
    let mut rows = world.query::<(&K, &C)>();
    for (key, row) in rows.iter(world) {
        let mut mixer = Mixer(key.raw());
        row.hash(&mut mixer);
        visit(table, key.raw(), mixer.finish(), &|| key.show());
    }
}

/// What moved, with when the peer was last heard, which is kept in the index.
fn walk_traffic(world: &mut World, table: &'static str, visit: &mut Visit<'_>) {
    let mut rows = world.query::<(&Peer, &PeerTraffic)>();
    let index = world.resource::<PeerIndex>();
    for (peer, row) in rows.iter(world) {
        let mut mixer = Mixer(peer.raw());
        (row.down, row.up, row.down_at_round, row.up_at_round).hash(&mut mixer);
        (row.unchoked_at, row.up_at_unchoke, row.established_at).hash(&mut mixer);
        (index.heard_at(peer.0), row.spoke_at).hash(&mut mixer);
        visit(table, peer.raw(), mixer.finish(), &|| peer.show());
    }
}

/// Pieces in motion have the key of their torrent and their index.
fn walk_pieces(world: &mut World, visit: &mut Visit<'_>) {
    let mut rows = world.query::<(&Piece, &PieceOf, &PieceState, &Parole, &Blocks)>();
    for (piece, of, state, parole, blocks) in rows.iter(world) {
        let torrent = world.get::<Torrent>(of.0).map_or(u32::MAX, |key| key.0.0);
        let key = u64::from(torrent) << 32 | u64::from(piece.0.0);
        let mut mixer = Mixer(key);
        (state, parole, blocks).hash(&mut mixer);
        let show = || format!("piece {} of torrent {torrent}", piece.0.0);
        visit("Blocks", key, mixer.finish(), &show);
    }
}

macro_rules! tables {
    (@walk $world:ident $visit:ident $key:ident $component:ident) => {
        walk::<$key, $component>($world, stringify!($component), $visit)
    };
    (@walk $world:ident $visit:ident $key:ident $component:ident $walk:ident) => {
        $walk($world, stringify!($component), $visit)
    };
    ($($key:ident: $($component:ident $(by $walk:ident)?),*;)*) => {
        /// All tables, in the order in which their digests are given.
        pub const TABLES: &[&str] = &[$($(stringify!($component),)*)* "Blocks", "MemoryBudget"];

        fn walk_entities(world: &mut World, visit: &mut Visit<'_>) {
            $($(tables!(@walk world visit $key $component $($walk)?);)*)*
        }
    };
}

tables! {
    Node: Identity, NodeBuckets, Luck, ChokeRound, Suitors, Banned, Connections;
    Torrent: Lifecycle, Have, Wanted, Selection, Availability, PickOrder, Candidates, Trackers,
        Traffic, TorrentBuckets, Deadlines, Suspects, Commit, SuperSeeding, Neighbours;
    Peer: Remote, Phase, Hello, AmChoking, AmInterested, PeerChoking, PeerInterested, ChokeTold,
        RemoteHave, Requests, UploadQueue, PeerTraffic by walk_traffic, PeerBuckets, Extensions,
        Strikes, AllowedFast, Bargain;
}

/// Visits all rows, table by table in the order of [`TABLES`].
fn walk_all(world: &mut World, visit: &mut Visit<'_>) {
    walk_entities(world, visit);
    walk_pieces(world, visit);
    let mut mixer = Mixer(0);
    world.resource::<MemoryBudget>().hash(&mut mixer);
    visit("MemoryBudget", 0, mixer.finish(), &|| "world".to_owned());
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
