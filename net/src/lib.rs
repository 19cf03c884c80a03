//! The outside: sockets, disk helpers and tracker clients behind the ports.

pub mod real;
pub mod tracker_server;
