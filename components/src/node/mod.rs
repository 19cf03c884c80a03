//! A node: one local client identity.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use bevy_ecs::prelude::Component;
use dunlin_base::{
    BLOCK_BYTES, EngineTime, NodeKey, PeerId, PeerKey, RngStream, StreamName, TokenBucket,
    TorrentKey,
};
use dunlin_port::config::{ByteSize, EngineConfig};

/// What makes an entity a node.
#[derive(Component, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[component(immutable)]
#[require(ChokeRound, Suitors, SlotHolders, Banned, Connections)]
pub struct Node(pub NodeKey);

/// How a node shows itself.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    /// Sent in handshakes and announces.
    pub peer_id: PeerId,
    /// Tells trackers that we are the same after our address changed (BEP 7).
    pub tracker_key: u32,
    /// TCP port on which we can be reached, once known.
    pub listen_port: Option<u16>,
}

/// The rules in force.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Rules(pub EngineConfig);

/// A node's rate limits over all its torrents.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NodeBuckets {
    /// Payload from peers.
    pub down: TokenBucket,
    /// Payload to peers.
    pub up: TokenBucket,
}

impl NodeBuckets {
    /// The buckets that a configuration asks for; each admits at least one block at a time.
    #[must_use]
    pub fn new(config: &EngineConfig) -> Self {
        let bucket = |rate: Option<ByteSize>| {
            TokenBucket::new(rate.map(|rate| rate.0), u64::from(BLOCK_BYTES))
        };
        Self {
            down: bucket(config.limits.down),
            up: bucket(config.limits.up),
        }
    }
}

/// A node's luck, a stream for each kind of decision.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Luck {
    /// Optimistic unchokes.
    pub choke: RngStream,
    /// Random pieces, ties.
    pub pick: RngStream,
    /// Order of connection attempts.
    pub connect: RngStream,
    /// Announce jitter.
    pub discover: RngStream,
}

impl Luck {
    /// The luck of a node in the run with this seed.
    #[must_use]
    pub const fn new(seed: u64, node: NodeKey) -> Self {
        Self {
            choke: RngStream::new(seed, node, StreamName::Choke),
            pick: RngStream::new(seed, node, StreamName::Pick),
            connect: RngStream::new(seed, node, StreamName::Connect),
            discover: RngStream::new(seed, node, StreamName::Discover),
        }
    }
}

/// Where a node's choke rounds stand.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ChokeRound {
    /// When the next round is due; there is none while nobody wants anything of us.
    pub next_at: Option<EngineTime>,
    /// When the optimistic slot moves on.
    pub next_optimistic_at: EngineTime,
    /// Who holds the optimistic slot.
    pub optimistic: Option<PeerKey>,
    /// Slots of the last round, the optimistic one included: they are filled until the next.
    pub slots: u32,
    /// Whether none of them was free at the last look: until somebody gives one up, there is nothing
    /// to fill.
    pub full: bool,
    /// The choked newcomer that was last served an allowed-fast piece (BEP 6).
    pub guest: Option<PeerKey>,
}

/// Peers of a node that want a slot or hold one. Choke rounds look at these alone, so that their
/// cost does not follow the number of torrents or of connections that want nothing.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Suitors(pub BTreeSet<PeerKey>);

/// Suitors of a node that hold a slot, and some that did: who looks sees which.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct SlotHolders(pub Vec<PeerKey>);

/// Addresses that this node deals with no more.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Banned {
    ips: BTreeSet<IpAddr>,
    /// On loopback one address is many programs: there only the endpoint is banned.
    endpoints: BTreeSet<SocketAddr>,
}

impl Banned {
    /// Bans the peer at this address.
    pub fn add(&mut self, addr: SocketAddr) {
        if addr.ip().is_loopback() {
            self.endpoints.insert(addr);
        } else {
            self.ips.insert(addr.ip());
        }
    }

    /// Whether the peer at this address is banned.
    #[must_use]
    pub fn covers(&self, addr: SocketAddr) -> bool {
        self.ips.contains(&addr.ip()) || self.endpoints.contains(&addr)
    }
}

/// Connections of all torrents.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Connections {
    /// All that stand or are attempted.
    pub total: u32,
    /// Attempts under way.
    pub half_open: u32,
    /// Where an attempt of ours has not led to a handshake yet. One at a time: clients with
    /// several of our torrents take but one newcomer from one address (Transmission).
    pub dialing: BTreeSet<SocketAddr>,
    /// Torrents that have an address to try but no connection to spare, or not there yet.
    pub waiting: BTreeSet<TorrentKey>,
    /// Accepted connections whose handshake has not come, by address.
    pub pending: BTreeMap<IpAddr, u32>,
}
