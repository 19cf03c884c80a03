//! The rules: systems over the tables, and the schedule that orders them.
//!
//! [`Engine`] is the whole: put what the ports have ready into its inbox, call
//! [`Engine::tick`] with the present instant, carry out its outbox. It has no clock, sockets,
//! files, threads or luck of its own, so the same rules run on real and on simulated physics.
//!
//! A folder per concern; each opens with what it decides, reads, writes and emits.
//! [`schedule`] shows their order on one screen.

mod ahead;
mod audit;
mod choke;
mod connect;
mod discover;
mod emit;
mod endgame;
mod engine;
mod ingest;
mod journal;
mod lifecycle;
mod metadata;
mod observe;
mod pick;
#[cfg(feature = "planted-bugs")]
pub mod planted;
mod receive;
pub mod schedule;
mod serve;
mod spill;
mod super_seed;
#[cfg(test)]
mod swarm;
mod verify;

pub use audit::Miscount;
pub use engine::{Engine, NodeSettings};
pub use observe::{Mark, Relation, RowDigest, TABLES};
