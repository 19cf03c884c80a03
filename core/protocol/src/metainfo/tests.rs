//! Goal: torrents of every version are read as what they are, hostile ones refused with the place,
//! and writing keeps the info dictionary byte for byte.
//! Method: tables of small torrents that are written out here, and properties over mutations.

mod builder;
mod outer;
mod properties;
mod v1;
mod v2;

use super::*;
use crate::bencode::{DictEncoder, Encoder};

/// An info dictionary of what `fill` writes.
fn info(fill: impl FnOnce(&mut DictEncoder<'_>)) -> Vec<u8> {
    Encoder::document(fill)
}

/// A torrent around an info dictionary.
fn torrent(info: &[u8]) -> Vec<u8> {
    Encoder::document(|dict| dict.entry("info", |value| value.raw(info)))
}

fn paths(info: &Info) -> Vec<&str> {
    info.files().iter().map(|file| file.path.as_str()).collect()
}

fn kind(info: &[u8]) -> MetainfoErrorKind {
    Info::parse(info).unwrap_err().kind
}
