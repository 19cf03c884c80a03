//! Recordings: what the ports delivered to an engine, and what its tables were after each tick.
//!
//! A [`Recorder`] ticks an engine and writes down what the tick was given and the digest of every
//! table after it. A [`Player`] gives the same to a new engine, with nothing outside, and compares:
//! the rules are a function of what is recorded, so the digests must be the same. [`diff()`] finds
//! where two recordings part.
//!
//! The format: eight bytes `DUNLNREC`, the version as a `u32`, then entries, each its length and
//! its CRC-32 (of length and body) as `u32`s and its body. Numbers are little-endian. The first
//! entry says how the engine was made; then come nodes as they are added, and for each tick what
//! was given and, when it was over, the digests; an end if the recording ended in order. Payload
//! is declared by its length: no rule looks at it, and what hashers say of it is an event.
//!
//! A recording that was cut, even inside an entry, plays up to the cut. What is given to a tick is
//! written before the tick, so the tick in which an engine fails is in its recording.

mod border;
mod code;
mod diff;
mod player;
mod reader;
mod recorder;
#[cfg(test)]
mod tests;

use code::{Code, Input, Malformed};

pub use diff::{DiffError, Difference, Parting, RowDifference, diff};
pub use player::{Mismatch, Played, Player, Replayed, replay};
pub use reader::{RecordingError, RecordingErrorKind};
pub use recorder::Recorder;

/// What a recording begins with.
const MAGIC: [u8; 8] = *b"DUNLNREC";

/// Of the format. What an entry says and in which order is part of it.
const VERSION: u32 = 6;

/// Longest entry: far more than a tick can be given.
const ENTRY_BYTES_MAX: u32 = 1 << 30;

/// What kind of entry it is: the first byte of its body.
mod kind {
    pub(super) const START: u8 = 0;
    pub(super) const NODE: u8 = 1;
    pub(super) const GIVEN: u8 = 2;
    pub(super) const AFTER: u8 = 3;
    pub(super) const END: u8 = 4;
}

/// How a recorded engine was made.
struct Start {
    seed: u64,
    memory_bytes: u64,
    /// Names of the tables, in the order of their digests.
    tables: Vec<String>,
}

code::rows! {
    Start { seed, memory_bytes, tables }
}

/// The check sum of an entry.
fn check_sum(len: u32, body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&len.to_le_bytes());
    crc.update(body);
    crc.finalize()
}
