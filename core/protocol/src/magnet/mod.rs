//! Magnet links (BEP 9): a torrent by its hash, and where to ask for the rest.
//!
//! What names the torrent is read strictly; of all else what is malformed is left out.

#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]

mod error;
mod hash_text;
mod link;
mod reader;
mod selection;

#[cfg(test)]
mod tests;

pub use error::{MagnetError, MagnetErrorKind};
pub use link::{Magnet, MagnetPeer};
pub use selection::FileSelection;
