//! Runs a scenario: the production engine, with one world of nodes, in simulated surroundings.
//!
//! A run is a loop over steps of virtual time. In each, what arrived goes to the engine, the engine
//! ticks, what it decided is carried out; disks and hashers answer within the step. Steps in which
//! nothing can happen are skipped. Nothing but the scenario and its seed decides what comes out.
//!
//! # What holds in every run
//!
//! Each run checks itself, and ends with a [`Violation`] that names invariant, tick, node and numbers when
//! one of these does not hold, to the byte and the microsecond.
//!
//! | | | when |
//! |---|---|---|
//! | I1 | payload given to a node to send has left, waits, or was thrown away when a connection ended; what left arrived, is under way, or found nobody; what a node that is complete counts as received is the content and what it counts as waste, and no more than came | at the end |
//! | I2 | no line carries more in a tick than its budget: what flows really moved, less than what messages past the queues took before; behind packets, what passed since the queue was empty | every tick |
//! | I3 | nobody is complete before its downlink has carried the content | at each completion |
//! | I4 | a closed swarm whose leechers all complete is not faster than the minimum distribution time | at the last one |
//! | I5 | nobody is complete before the uplinks of the seeds have carried the content once | at the first one |
//! | I6 | a node's counters of copies are the sums over the bits of its neighbours | each node once in ten minutes, all at the end |
//!
//! I3 to I5 are of lines alone: a client's own limit lets a burst of a second through. Messages that find
//! nothing before them leave at once and are taken off the budgets that follow. That equal seeds give equal
//! runs (I7) is for two runs to show: `dunlin sim diff`, `.ci/digests`.

mod actions;
mod capacity;
mod driver;
mod invariants;
mod members;
mod observer;
mod playback;
mod setup;

pub use driver::{run, run_observed, run_recorded};
pub use invariants::{Invariant, Violation};
pub use observer::Observer;

/// How far a run has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Virtual time that has passed, microseconds.
    pub virtual_us: u64,
    /// Nodes that are there.
    pub present: u32,
    /// Leechers that became complete.
    pub completed: u32,
    /// Leechers that will ever come.
    pub leechers: u32,
}

/// Why there is no record of a run.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RunError {
    /// The content has no such geometry.
    #[error("cannot make a torrent of the content: {0}")]
    Content(String),
    /// Whoever watched wanted no more.
    #[error("the run was stopped")]
    Stopped,
    /// It broke a rule that holds in every run.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// It could not be recorded.
    #[error("cannot write the recording: {0}")]
    Recording(String),
}
