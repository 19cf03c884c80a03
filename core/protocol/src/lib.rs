//! BitTorrent formats and protocol state machines, without I/O.

pub mod wire;
