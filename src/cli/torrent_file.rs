//! Reads .torrent files that people name.

use std::fs::File;
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
    let shown = path.display();
    // What is longer is refused by its first bytes over the limit, not held in memory.
    let limit = Limits::TORRENT.bytes as u64 + 1;
    let mut bytes = Vec::new();
    let taken = if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    taken.map_err(|error| Failure::failed(format_args!("cannot read {shown}: {error}")))?;
    Metainfo::parse(&bytes)
        .map_err(|error| Failure::failed(format_args!("{shown} is no usable torrent: {error}")))
}
