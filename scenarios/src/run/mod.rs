//! Runs a scenario: the production engine, with one world of nodes, in simulated surroundings.
//!
//! A run is a loop over steps of virtual time. In each, what arrived goes to the engine, the engine
//! ticks, what it decided is carried out; disks and hashers answer within the step. Steps in which
//! nothing can happen are skipped. Nothing but the scenario and its seed decides what comes out.

mod actions;
mod driver;
mod members;
mod playback;
mod setup;

pub use driver::{Progress, RunError, run};
