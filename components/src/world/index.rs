//! From stable keys to this world's entities. Ordered maps: a walk is the same in every run.

use std::collections::BTreeMap;

use bevy_ecs::prelude::{Entity, Resource};
use dunlin_base::{InfoHash, NodeKey, PeerKey, TorrentKey};

/// Entities of nodes.
#[derive(Resource, Default, Debug)]
pub struct NodeIndex(pub BTreeMap<NodeKey, Entity>);

/// Entities of torrents, by key and by info hash.
#[derive(Resource, Default, Debug)]
pub struct TorrentIndex {
    /// By key.
    pub by_key: BTreeMap<TorrentKey, Entity>,
    /// By node and info hash, for handshakes.
    pub by_hash: BTreeMap<(NodeKey, InfoHash), TorrentKey>,
}

impl TorrentIndex {
    /// The torrent's entity, while it exists.
    #[must_use]
    pub fn get(&self, torrent: TorrentKey) -> Option<Entity> {
        self.by_key.get(&torrent).copied()
    }
}

/// Entities of peers.
#[derive(Resource, Default, Debug)]
pub struct PeerIndex {
    /// By key.
    pub by_key: BTreeMap<PeerKey, Entity>,
    /// Number of the next outgoing connection.
    pub next_outgoing: u64,
}

impl PeerIndex {
    /// The peer's entity, while it exists.
    #[must_use]
    pub fn get(&self, peer: PeerKey) -> Option<Entity> {
        self.by_key.get(&peer).copied()
    }

    /// A key for a new outgoing connection.
    pub fn next_key(&mut self) -> PeerKey {
        self.next_outgoing += 1;
        PeerKey::outgoing(self.next_outgoing)
    }
}
