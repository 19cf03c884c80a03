//! The rules: systems over the tables, and the schedule that orders them.
//!
//! [`Engine`] is the whole: put what the ports have ready into its inbox, call
//! [`Engine::tick`] with the present instant, carry out its outbox. It has no clock, sockets,
//! files, threads or luck of its own, so the same rules run on real and on simulated physics.
//!
//! A folder per concern; each opens with what it decides, reads, writes and emits.
//! [`schedule`] shows their order on one screen.

pub mod schedule;
mod engine;
mod ingest;
mod lifecycle;
mod connect;
mod discover;
mod receive;
mod verify;
mod choke;
mod pick;
mod endgame;
mod serve;
mod emit;
mod observe;
#[cfg(test)]
mod swarm;

pub use engine::{Engine, NodeSettings};
