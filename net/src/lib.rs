//! The outside, behind the ports: [`real`] sockets, disks and clocks, or [simulated](sim) ones.

pub mod real;
pub mod sim;
pub mod tracker_server;
