//! The tracker port: announces and scrapes. When to announce is the engine's decision; how is not.

use dunlin_base::{NodeKey, TorrentKey};
pub use dunlin_protocol::tracker::{AnnounceReply, AnnounceRequest, Retry, SwarmCounts};

/// What the engine asks of the tracker clients.
#[derive(Debug)]
pub enum TrackerCommand {
    /// Announce, answer [`TrackerEvent::Announced`].
    Announce {
        /// On whose behalf.
        node: NodeKey,
        /// Which torrent.
        torrent: TorrentKey,
        /// Number of the tracker in the torrent's list.
        tracker: u32,
        /// Where: `http`, `https` or `udp`.
        url: String,
        /// What to say.
        request: AnnounceRequest,
    },
    /// Ask for the swarm's counts only (BEP 48), answer [`TrackerEvent::Scraped`].
    Scrape {
        /// Which torrent.
        torrent: TorrentKey,
        /// Number of the tracker in the torrent's list.
        tracker: u32,
        /// The announce URL; the client derives the scrape URL from it.
        url: String,
        /// Of which swarm.
        info_hash: dunlin_base::InfoHash,
    },
}

/// What the tracker clients tell the engine.
#[derive(Debug)]
pub enum TrackerEvent {
    /// An announce ended.
    Announced {
        /// Which torrent.
        torrent: TorrentKey,
        /// Number of the tracker in the torrent's list.
        tracker: u32,
        /// What the tracker said.
        result: Result<AnnounceReply, TrackerError>,
    },
    /// A scrape ended.
    Scraped {
        /// Which torrent.
        torrent: TorrentKey,
        /// Number of the tracker in the torrent's list.
        tracker: u32,
        /// Seeders, leechers, completed downloads.
        result: Result<SwarmCounts, TrackerError>,
    },
}

/// Why an announce or scrape brought nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TrackerError {
    /// The tracker refused, in its own words.
    #[error("tracker says: {reason}")]
    Refused {
        /// Its words.
        reason: String,
        /// When it wants to be asked again (BEP 31).
        retry: Retry,
    },
    /// No usable answer: what happened.
    #[error("{0}")]
    Unreachable(String),
    /// Our own rules forbid the request (URL scheme, request forgery).
    #[error("not asked: {0}")]
    Forbidden(String),
}
