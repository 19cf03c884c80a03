//! What every live test stands on: a small network, processes, waits, payloads and independent checks.

pub(crate) mod bencode;
pub(crate) mod http;
pub(crate) mod lab;
pub(crate) mod luck;
pub(crate) mod payload;
pub(crate) mod process;
pub(crate) mod torrent;
pub(crate) mod wait;
