//! BitTorrent formats and protocol state machines, without I/O.

pub mod bencode;
pub mod magnet;
pub mod metainfo;
pub mod tracker;
pub mod wire;
