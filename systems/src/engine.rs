//! The engine: one world, one schedule, and the doors between them and the ports.

use std::collections::BTreeMap;

use bevy_ecs::prelude::*;
use dunlin_base::{
    Bitfield, EngineTime, NodeKey, PeerId, PeerKey, RngStream, StreamName, TorrentKey,
};
use dunlin_components::node::{Identity, Luck, Node, NodeBuckets, Rules};
use dunlin_components::torrent::{Have, Traffic};
use dunlin_components::world::{
    MemoryBudget, NodeIndex, Now, PeerIndex, PortInbox, PortOutbox, RoutedEvents, Timers,
    TorrentIndex, Wake, Work,
};
use dunlin_port::config::EngineConfig;
use dunlin_port::snapshot::Snapshot;
use dunlin_port::{Inbox, Outbox};

use crate::audit::Miscount;
use crate::ingest::Sweep;
use crate::journal::{self, Told};
use crate::observe::{Mark, Relation, RowDigest};
use crate::schedule;

/// A node to run.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// Its key, unique in the world.
    pub node: NodeKey,
    /// What it calls itself in handshakes and announces.
    pub peer_id: PeerId,
    /// Its rules.
    pub config: EngineConfig,
}

/// A world of nodes and the rules that move it.
///
/// Fill the [inbox](Engine::inbox), [tick](Engine::tick), carry out the [outbox](Engine::outbox);
/// sleep until [`Engine::wake_at`] or until a port has something.
pub struct Engine {
    world: World,
    schedule: Schedule,
    seed: u64,
}

impl Engine {
    /// An engine without nodes. `seed` decides all luck; `memory_bytes` bounds what pieces in
    /// motion may take.
    #[must_use]
    pub fn new(seed: u64, memory_bytes: u64) -> Self {
        let mut world = World::new();
        world.init_resource::<Now>();
        world.init_resource::<Wake>();
        world.init_resource::<Timers>();
        world.init_resource::<NodeIndex>();
        world.init_resource::<TorrentIndex>();
        world.init_resource::<PeerIndex>();
        world.init_resource::<PortInbox>();
        world.init_resource::<PortOutbox>();
        world.init_resource::<RoutedEvents>();
        world.init_resource::<Work>();
        world.init_resource::<Sweep>();
        world.insert_resource(MemoryBudget {
            bytes_max: memory_bytes,
            ..MemoryBudget::default()
        });
        Self {
            world,
            schedule: schedule::build(),
            seed,
        }
    }

    /// Adds a node.
    ///
    /// # Panics
    /// When its key is taken.
    pub fn add_node(&mut self, settings: NodeSettings) {
        let NodeSettings {
            node,
            peer_id,
            config,
        } = settings;
        let mut identity = RngStream::new(self.seed, node, StreamName::Identity);
        let tracker_key = identity.next_u64() as u32;
        let entity = self.world.spawn((
            Node(node),
            Identity {
                peer_id,
                tracker_key,
                listen_port: None,
            },
            NodeBuckets::new(&config),
            Luck::new(self.seed, node),
            Rules(config),
        ));
        let entity = entity.id();
        let before = self
            .world
            .resource_mut::<NodeIndex>()
            .0
            .insert(node, entity);
        assert!(before.is_none(), "{node:?} is there already");
    }

    /// Where the ports put what they have ready.
    pub fn inbox(&mut self) -> &mut Inbox {
        &mut self.world.resource_mut::<PortInbox>().into_inner().0
    }

    /// What the last ticks decided to tell the ports; the caller empties it.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.world.resource_mut::<PortOutbox>().into_inner().0
    }

    /// Runs one tick at the instant `now`.
    ///
    /// # Panics
    /// When time runs backwards.
    pub fn tick(&mut self, now: EngineTime) {
        let mut clock = self.world.resource_mut::<Now>();
        assert!(clock.0 <= now, "time ran from {} back to {now}", clock.0);
        clock.0 = now;
        *self.world.resource_mut::<Wake>() = Wake::default();
        let told = Told::until_now(&self.world);
        self.schedule.run(&mut self.world);
        journal::log_decided(&mut self.world, told);
        self.world.clear_trackers();
    }

    /// When the next tick is due even if no port has anything.
    #[must_use]
    pub fn wake_at(&self) -> EngineTime {
        if self.world.resource::<Work>().is_left() {
            return self.world.resource::<Now>().0;
        }
        self.world
            .resource::<Wake>()
            .at()
            .min(self.world.resource::<Timers>().next())
    }

    /// A copy of the tables for viewers.
    #[must_use]
    pub fn snapshot(&mut self) -> Snapshot {
        crate::observe::snapshot(&mut self.world)
    }

    /// Payload of a torrent that came and was of no use, bytes: it was there already, nobody had
    /// asked for it, or it failed its hash. `None` without such a torrent.
    #[must_use]
    pub fn waste_bytes(&self, torrent: TorrentKey) -> Option<u64> {
        let row = self.world.resource::<TorrentIndex>().get(torrent)?;
        let traffic = self.world.get::<Traffic>(row)?;
        Some(traffic.wasted_bytes + traffic.corrupt_bytes)
    }

    /// Payload of a torrent that came in this run from peers that it had, bytes. `None` without such a
    /// torrent.
    #[must_use]
    pub fn received_bytes(&self, torrent: TorrentKey) -> Option<u64> {
        let row = self.world.resource::<TorrentIndex>().get(torrent)?;
        let traffic = self.world.get::<Traffic>(row)?;
        Some(traffic.down.total_bytes())
    }

    /// The pieces of a torrent that are on disk; `None` without such a torrent, or before it is known
    /// which there are.
    #[must_use]
    pub fn have(&self, torrent: TorrentKey) -> Option<&Bitfield> {
        let row = self.world.resource::<TorrentIndex>().get(torrent)?;
        self.world.get::<Have>(row).map(|have| &have.0)
    }

    /// Payload that was handed to the network and of which it has not said that it left, by peer.
    #[must_use]
    pub fn unsent(&mut self) -> BTreeMap<PeerKey, u64> {
        crate::audit::unsent(&mut self.world)
    }

    /// Memory that pieces in motion take, bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.world.resource::<MemoryBudget>().bytes
    }

    /// Checks what must hold between any two ticks, at a cost that follows everything that exists.
    ///
    /// # Panics
    /// When it does not hold: then a rule of ours is wrong.
    pub fn audit(&mut self) {
        crate::audit::audit(&mut self.world);
    }

    /// The first counter of a torrent's availability that is not the sum over the bits of its connected
    /// peers: then a rule of ours is wrong. `None` when all are, or without such a torrent.
    #[must_use]
    pub fn miscount(&self, torrent: TorrentKey) -> Option<Miscount> {
        let row = self.world.resource::<TorrentIndex>().get(torrent)?;
        crate::audit::miscount(&self.world, row)
    }

    /// Connections of all nodes, attempts included. One between two nodes of this world is two.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.world.resource::<PeerIndex>().len()
    }

    /// All established connections of all nodes, one between two nodes of this world from both sides.
    #[must_use]
    pub fn relations(&self) -> Vec<Relation> {
        crate::observe::relations(&self.world)
    }

    /// The digest of all tables: equal for equal states, whatever the order in which rows are
    /// stored. DESIGN: "Determinism".
    #[must_use]
    pub fn digest(&mut self) -> u64 {
        crate::observe::digest(&mut self.world)
    }

    /// The digests of the tables, in the order of [`crate::TABLES`]; [`Self::digest`] is their sum.
    #[must_use]
    pub fn table_digests(&mut self) -> Vec<u64> {
        crate::observe::table_digests(&mut self.world)
    }

    /// The digests of all rows, sorted by table and row: to find where two states differ.
    #[must_use]
    pub fn row_digests(&mut self) -> Vec<RowDigest> {
        crate::observe::rows(&mut self.world)
    }

    /// A copy of the torrents that move, and of those that changed since `since`; all of them
    /// without a mark, or with one that is older than a minute. And the mark for the next look.
    /// Torrents that are gone are told by events alone.
    #[must_use]
    pub fn changes(&mut self, since: Option<Mark>) -> (Snapshot, Mark) {
        crate::observe::changes(&mut self.world, since)
    }

    /// The world, for tests that look at single rows.
    #[cfg(test)]
    pub(crate) fn world(&mut self) -> &mut World {
        &mut self.world
    }
}
