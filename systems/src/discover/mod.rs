//! Decides when to ask which tracker, and what becomes of its answer.
//!
//! Reads:   `PortInbox` (tracker), `Lifecycle`, `Content`, `Have`, `Traffic`, `Peers`, `Identity`, `Rules`
//! Writes:  `Trackers`, `Candidates`, `Timers`, `Luck`, `Work`
//! Emits:   `TrackerCommand::{Announce, Scrape}`; `SessionEvent::{TrackerReplied, TrackerFailed}`
//! Cadence: when an answer comes, a timer is due, or a torrent starts, completes or leaves
//! Spec:    BEP 3 (announces), BEP 12 (tiers), BEP 31 (retry in), BEP 27 (one tracker at a time),
//!          BEP 48 (a scrape when an announce was answered without counts)
//!
//! One tracker of a torrent is in use at a time: the first one, tier by tier, that works. It is
//! asked when its interval has passed and never before its minimum interval; only news (`started`,
//! `completed`, `stopped`) are told when they happen. A torrent that waits costs one timer.

mod ask_trackers;
mod policy;
mod requests;
mod settle_answers;
#[cfg(test)]
mod tests;

pub(crate) use requests::{completed, is_quiet, leave, reannounce, start, trackers};

use bevy_ecs::prelude::*;

use crate::schedule::TickSet;

pub(crate) fn plugin(schedule: &mut Schedule) {
    schedule.add_systems(
        (settle_answers::settle_answers, ask_trackers::ask_trackers)
            .chain()
            .in_set(TickSet::Discover),
    );
}
