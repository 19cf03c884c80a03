//! Torrent metadata: .torrent files and their info dictionaries, v1 (BEP 3), v2 and hybrid (BEP 52).
//!
//! [`Metainfo::parse`] reads a whole file, [`Info::parse`] the info dictionary alone, as peers send
//! it (BEP 9). Inside the info dictionary reading is strict, because two clients that read it
//! differently would not share the same files; outside of it, what is malformed is left out, because
//! a bad announce URL does not make the content unusable.
//!
//! File names are made safe and never refused: see [`SafePath`].

#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)
)]

mod builder;
mod error;
mod file;
mod info;
mod info_reader;
mod listing;
mod listing_v1;
mod listing_v2;
mod outer_fields;
mod piece_layers;
mod safe_path;
mod symlinks;
mod torrent;
mod unique_names;

#[cfg(test)]
mod tests;

pub use builder::{MetainfoBuilder, NewFile, recommended_piece_bytes};
pub use error::{MetainfoError, MetainfoErrorKind};
pub use file::{FileAttributes, FileEntry};
pub use info::{Info, Version};
pub(crate) use outer_fields::{SEED_SCHEMES, TRACKER_SCHEMES, usable_url};
pub use piece_layers::PieceLayers;
pub use safe_path::SafePath;
pub use torrent::Metainfo;
