//! Simulated swarms: how they are described, and what came out of them.
//!
//! A scenario is a RON file, read into [`schema::Scenario`]; a run of it gives an
//! [`outcome::RunRecord`].

pub mod arrivals;
pub mod bound;
pub mod outcome;
pub mod report;
pub mod run;
pub mod schema;
pub mod summary;
pub mod sweep;
pub mod tables;
