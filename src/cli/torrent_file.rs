//! Reads .torrent files that people name.

use std::io::{self, Read as _};
use std::path::Path;

use dunlin_protocol::bencode::Limits;
use dunlin_protocol::metainfo::Metainfo;

use super::Failure;

/// The torrent of a file, or of standard input for `-`.
///
/// # Errors
/// When it cannot be read or is no torrent; says the place.
pub(crate) fn read(path: &Path) -> Result<Metainfo, Failure> {
    if path != Path::new("-") {
        return dunlin::read_torrent(path).map_err(Failure::failed);
    }
    // What is longer is refused by its first bytes over the limit, not held in memory.
    let limit = Limits::TORRENT.bytes as u64 + 1;
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::failed(format_args!("cannot read standard input: {error}")))?;
    Metainfo::parse_vec(bytes).map_err(|error| {
        Failure::failed(format_args!("standard input is no usable torrent: {error}"))
    })
}
