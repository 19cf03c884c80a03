//! Dunlin's binary against other people's clients and trackers, over real sockets.
//!
//! Each test has a small network of its own made of namespaces (`support/lab.rs`), so it needs root and a few Debian
//! packages; what is missing is named on standard error and skipped, unless `DUNLIN_REQUIRE_PEERS=1` makes it a failure.
//! `.ci/install-peers` installs everything. One group: `cargo test --test live matrix::`.

mod support;

mod doubles;
mod peers;

mod announce;
mod batch;
mod crash;
mod fidelity;
mod files;
mod forgery;
mod harness;
mod magnet;
mod matrix;
mod poison;
mod super_seed;
mod swarm;
mod trackers;
