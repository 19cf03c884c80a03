//! What is said in an announce or scrape and what is answered, whatever carries it (BEP 3,
//! BEP 7, BEP 15, BEP 24, BEP 31, BEP 48).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dunlin_base::{InfoHash, PeerId};

/// Longest tracker id that we keep and repeat (BEP 3 gives no limit).
pub const TRACKER_ID_BYTES_MAX: usize = 1024;
/// Most swarms of one scrape: as many as a UDP packet holds (BEP 15).
pub const SCRAPE_HASHES_MAX: usize = 74;
/// Interval of a reply that names none, seconds.
pub const INTERVAL_DEFAULT_SECS: u32 = 1800;

/// Why we announce now (BEP 3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum AnnounceEvent {
    /// Because the interval has passed.
    #[default]
    None,
    /// The download begins.
    Started,
    /// The client leaves the swarm.
    Stopped,
    /// The download became complete while we ran.
    Completed,
}

/// What a client tells a tracker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnnounceRequest {
    /// Which swarm.
    pub info_hash: InfoHash,
    /// What the client calls itself.
    pub peer_id: PeerId,
    /// TCP and uTP port on which it listens.
    pub port: u16,
    /// Payload bytes sent since `Started`.
    pub uploaded: u64,
    /// Payload bytes received since `Started`.
    pub downloaded: u64,
    /// Payload bytes that are still missing.
    pub left: u64,
    /// Why now.
    pub event: AnnounceEvent,
    /// How many peers are wanted; the tracker's default if `None`.
    pub numwant: Option<u32>,
    /// A random number by which the tracker knows the client when its address changes.
    pub key: u32,
    /// An address that peers should use instead of the one that the tracker sees.
    pub ipv4: Option<Ipv4Addr>,
    /// The client's IPv6 address, told over IPv4 (BEP 7).
    pub ipv6: Option<Ipv6Addr>,
    /// What the tracker's last reply called itself (HTTP only).
    pub tracker_id: Option<Box<[u8]>>,
    /// Whether packed peers are wanted (BEP 23; HTTP only).
    pub compact: bool,
}

/// What a tracker answers to an announce. Its intervals are its wish: the engine bounds them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AnnounceReply {
    /// When the next regular announce is due, seconds.
    pub interval_secs: u32,
    /// How long not to announce at all, seconds.
    pub min_interval_secs: Option<u32>,
    /// Peers with everything.
    pub seeders: Option<u32>,
    /// Peers without.
    pub leechers: Option<u32>,
    /// Downloads that ever completed.
    pub downloaded: Option<u32>,
    /// Where peers are, as the tracker says: not filtered.
    pub peers: Vec<SocketAddr>,
    /// What to repeat in the next announce.
    pub tracker_id: Option<Box<[u8]>>,
    /// A message for the user; the announce was accepted all the same.
    pub warning: Option<String>,
    /// The client's address as the tracker sees it (BEP 24).
    pub external_ip: Option<IpAddr>,
}

/// A swarm as its tracker counts it (BEP 48).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SwarmCounts {
    /// Peers with everything.
    pub seeders: u32,
    /// Peers without.
    pub leechers: u32,
    /// Downloads that ever completed.
    pub completed: u32,
}

/// A tracker that refuses.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("tracker says: {reason}")]
pub struct TrackerFailure {
    /// Why, in its words.
    pub reason: String,
    /// When it wants to be asked again.
    pub retry: Retry,
}

/// What a refusing tracker says of the next try (BEP 31, `retry in`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Retry {
    /// Nothing: the usual back-off applies.
    #[default]
    Unspecified,
    /// Not before so many minutes.
    AfterMinutes(u32),
    /// Never.
    Never,
}
