//! The trackers of a torrent and where their announces stand.

use bevy_ecs::prelude::Component;
use dunlin_base::EngineTime;
use dunlin_port::snapshot::TrackerCounts;
use dunlin_protocol::tracker::AnnounceEvent;

/// One tracker.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Tracker {
    /// Its announce URL.
    pub url: String,
    /// Its tier, from 0 (BEP 12).
    pub tier: u32,
    /// Its turn among the trackers of its tier: the one that worked last comes first (BEP 12).
    pub turn: u32,
    /// What was last answered.
    pub last: Option<Result<TrackerCounts, String>>,
    /// Not to be asked before.
    pub next_at: EngineTime,
    /// The earliest that its own minimum interval allows, for a wish of the person in charge.
    pub min_at: EngineTime,
    /// When it was last asked.
    pub asked_at: Option<EngineTime>,
    /// Failures in a row.
    pub failures: u32,
    /// Whether it said never to come back (BEP 31).
    pub never: bool,
    /// Whether it was asked for the swarm's counts (BEP 48) and did not say.
    pub no_scrapes: bool,
    /// Whether it knows that we are here: `started` went through and no `stopped` since.
    pub started: bool,
    /// Its own mark, to be sent back (BEP 3 `trackerid`).
    pub tracker_id: Option<Box<[u8]>>,
    /// The announce under way.
    pub under_way: Option<AnnounceEvent>,
}

impl Tracker {
    /// A tracker that was never asked.
    #[must_use]
    pub const fn new(url: String, tier: u32, turn: u32) -> Self {
        Self {
            url,
            tier,
            turn,
            last: None,
            next_at: EngineTime::START,
            min_at: EngineTime::START,
            asked_at: None,
            failures: 0,
            never: false,
            no_scrapes: false,
            started: false,
            tracker_id: None,
            under_way: None,
        }
    }
}

/// What trackers have been told of this torrent's life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Announced {
    /// Bytes downloaded and uploaded when this run started: trackers are told what moved since
    /// `started`.
    pub downloaded_base: u64,
    /// As above, uploaded.
    pub uploaded_base: u64,
    /// Whether the torrent completed in this run and `completed` is still to be told.
    pub completed_due: bool,
    /// Whether the torrent is leaving its swarm and `stopped` is to be told.
    pub leaving: bool,
    /// Whether the tiers were shuffled: once in the life of a torrent (BEP 12).
    pub shuffled: bool,
}

/// All trackers of a torrent, sorted by tier.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Trackers {
    /// The trackers. A tracker's place is its number in commands and events.
    pub list: Vec<Tracker>,
    /// What they were told.
    pub announced: Announced,
}
