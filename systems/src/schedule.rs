//! The order of a tick, on one screen.

use bevy_ecs::prelude::*;
use bevy_ecs::schedule::{LogLevel, ScheduleBuildSettings, ScheduleLabel, SingleThreadedExecutor};

/// The one schedule.
#[derive(ScheduleLabel, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Tick;

/// The sets of a tick, in their order. DESIGN: "A tick".
#[derive(SystemSet, Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TickSet {
    /// Moves what the ports have ready to where systems look for it.
    Ingest,
    /// Connections: attempts, handshakes, limits, candidates.
    Connect,
    /// Trackers.
    Discover,
    /// Applies wire messages to the tables.
    Receive,
    /// Hashes whole pieces as one batch, commits or blames.
    Verify,
    /// What super-seeds show.
    Show,
    /// Who is unchoked.
    Choke,
    /// Fills request queues.
    Pick,
    /// Moves blocks out of memory.
    Spill,
    /// Asks several peers for the last blocks.
    Endgame,
    /// Answers requests.
    Serve,
    /// Hands states and answers to the ports.
    Emit,
    /// Events for viewers, and when the next tick is due.
    Observe,
}

/// Builds the schedule: every plugin, every order, single-threaded, ambiguities are errors.
#[must_use]
pub fn build() -> Schedule {
    use TickSet as Set;
    let mut schedule = Schedule::new(Tick);
    schedule.set_executor(SingleThreadedExecutor::new());
    schedule.set_build_settings(ScheduleBuildSettings {
        ambiguity_detection: LogLevel::Error,
        hierarchy_detection: LogLevel::Error,
        ..ScheduleBuildSettings::default()
    });
    schedule.configure_sets(
        (
            Set::Ingest,
            Set::Connect,
            Set::Discover,
            Set::Receive,
            Set::Verify,
            Set::Show,
            Set::Choke,
            Set::Pick,
            Set::Spill,
            Set::Endgame,
            Set::Serve,
            Set::Emit,
            Set::Observe,
        )
            .chain(),
    );
    for plugin in [
        crate::ingest::plugin,
        crate::lifecycle::plugin,
        crate::connect::plugin,
        crate::discover::plugin,
        crate::receive::plugin,
        crate::verify::plugin,
        crate::super_seed::plugin,
        crate::choke::plugin,
        crate::pick::plugin,
        crate::spill::plugin,
        crate::endgame::plugin,
        crate::serve::plugin,
        crate::emit::plugin,
        crate::observe::plugin,
    ] {
        plugin(&mut schedule);
    }
    schedule
}
