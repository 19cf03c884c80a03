//! Runs a scenario: the production engine, with one world of nodes, in simulated surroundings.
//!
//! A run is a loop over steps of virtual time. In each, what arrived goes to the engine, the engine
//! ticks, what it decided is carried out; disks and hashers answer within the step. Steps in which
//! nothing can happen are skipped. Nothing but the scenario and its seed decides what comes out.

mod actions;
mod capacity;
mod driver;
mod members;
mod observer;
mod playback;
mod setup;

pub use driver::{run, run_observed, run_recorded};
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
    /// It could not be recorded.
    #[error("cannot write the recording: {0}")]
    Recording(String),
}
