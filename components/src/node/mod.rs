//! A node: one local client identity.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bevy_ecs::prelude::Component;
use dunlin_base::{EngineTime, NodeKey, PeerId, PeerKey, RngStream, StreamName, TokenBucket};
use dunlin_port::config::EngineConfig;

/// What makes an entity a node.
#[derive(Component, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[component(immutable)]
#[require(ChokeRound, Banned, Connections)]
pub struct Node(pub NodeKey);

/// How a node shows itself.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Sent in handshakes and announces.
    pub peer_id: PeerId,
    /// Tells trackers that we are the same after our address changed (BEP 7).
    pub tracker_key: u32,
    /// TCP port on which we can be reached, once known.
    pub listen_port: Option<u16>,
}

/// The rules in force.
#[derive(Component, Clone, PartialEq, Eq, Debug)]
pub struct Rules(pub EngineConfig);

/// A node's rate limits over all its torrents.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeBuckets {
    /// Payload from peers.
    pub down: TokenBucket,
    /// Payload to peers.
    pub up: TokenBucket,
}

/// A node's luck, a stream for each kind of decision.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
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
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ChokeRound {
    /// When the next round is due.
    pub next_at: EngineTime,
    /// When the optimistic slot moves on.
    pub next_optimistic_at: EngineTime,
    /// Who holds the optimistic slot.
    pub optimistic: Option<PeerKey>,
    /// Slots of the last round, for the rate-based count.
    pub slots: u32,
}

/// Addresses that this node deals with no more.
#[derive(Component, Clone, PartialEq, Eq, Debug, Default)]
pub struct Banned(pub BTreeSet<IpAddr>);

/// Connections of all torrents.
#[derive(Component, Clone, PartialEq, Eq, Debug, Default)]
pub struct Connections {
    /// All that stand or are attempted.
    pub total: u32,
    /// Attempts under way.
    pub half_open: u32,
    /// Accepted connections whose handshake has not come, by address.
    pub pending: BTreeMap<IpAddr, u32>,
}
