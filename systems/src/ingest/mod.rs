//! Moves what the ports have ready to where the systems of this tick look for it.
//!
//! Reads:   the inbox, timers
//! Writes:  routed events, work lists
//! Emits:   nothing
//! Cadence: every tick, at most `INGEST_EVENTS_PER_TICK_MAX` network events
//! Spec:    none; events of one peer in one family keep their order

mod pop_timers;
mod route_events;

use bevy_ecs::prelude::*;
use dunlin_base::EngineTime;

use crate::schedule::TickSet;

/// When the once-a-second look at pipelines and at memory is due.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Sweep {
    /// When the next look is due.
    pub(crate) next_at: EngineTime,
    /// Whether it is due in this tick.
    pub(crate) due: bool,
}

/// The first half of Ingest; what is done with whole torrents comes behind it.
#[derive(SystemSet, Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct IngestSystems;

pub(crate) fn plugin(schedule: &mut Schedule) {
    schedule.add_systems(
        (
            pop_timers::pop_timers,
            pop_timers::release_limited,
            pop_timers::arm_sweep,
            route_events::route_events,
        )
            .chain()
            .in_set(IngestSystems)
            .in_set(TickSet::Ingest),
    );
}
