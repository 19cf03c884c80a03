//! The `piece layers` of a v2 torrent (BEP 52): the hashes of the pieces of each file.

use std::collections::BTreeMap;

use dunlin_base::BLOCK_BYTES;
use sha2::{Digest as _, Sha256};

use super::error::{MetainfoError, MetainfoErrorKind};
use super::file::FileEntry;
use super::info::Info;
use crate::bencode::{Dict, Value};

/// The hashes of the pieces of each file that is longer than a piece, by the file's root. They lie
/// outside of the info dictionary, so that a torrent from a magnet link begins without any.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PieceLayers(pub(super) BTreeMap<[u8; 32], Box<[u8]>>);

impl PieceLayers {
    /// The layers of all files of `info` that `layers` has. Layers of no file are left out.
    pub(super) fn read(info: &Info, layers: Dict<'_>) -> Result<Self, MetainfoError> {
        let by_root: BTreeMap<&[u8], Value<'_>> = layers.iter().collect();
        let piece_bytes = info.geometry().piece_bytes();
        let mut checked = Self::default();
        for file in info.files() {
            let Some((root, expected)) = layer_of(file, piece_bytes) else {
                continue;
            };
            let Some(value) = by_root.get(&root[..]) else {
                continue;
            };
            let layer = value.bytes()?;
            let got = layer.len();
            let fail = |kind| MetainfoError::new(value.offset(), kind);
            if got != expected {
                return Err(fail(MetainfoErrorKind::PieceLayerLength { expected, got }));
            }
            // Files of one content share a layer, which is hashed once.
            if checked.0.contains_key(&root) {
                continue;
            }
            if merkle_root(layer, piece_bytes) != root {
                return Err(fail(MetainfoErrorKind::PieceLayerRoot));
            }
            checked.0.insert(root, layer.into());
        }
        Ok(checked)
    }

    /// The SHA-256 hashes, 32 bytes each, of the pieces of the file with this root.
    #[must_use]
    pub fn get(&self, pieces_root: &[u8; 32]) -> Option<&[u8]> {
        self.0.get(pieces_root).map(|layer| &**layer)
    }

    /// All roots and layers, in the order of roots.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8; 32], &[u8])> {
        self.0.iter().map(|(root, layer)| (root, &**layer))
    }

    /// Whether there are none: the torrent is v1, has only small files, or they are yet to be
    /// asked of peers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The root of a file that needs a layer, and the layer's length in bytes.
fn layer_of(file: &FileEntry, piece_bytes: u32) -> Option<([u8; 32], usize)> {
    let piece_bytes = u64::from(piece_bytes);
    let root = file.pieces_root.filter(|_| file.length > piece_bytes)?;
    // The geometry bounds the number of pieces to 2^21.
    Some((root, file.length.div_ceil(piece_bytes) as usize * 32))
}

fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new()
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// The root over a layer of pieces. What the file lacks to a power of two is the hash of a piece of
/// zero hashes (BEP 52).
fn merkle_root(layer: &[u8], piece_bytes: u32) -> [u8; 32] {
    let mut absent = [0; 32];
    for _ in 0..(piece_bytes / BLOCK_BYTES).trailing_zeros() {
        absent = parent(&absent, &absent);
    }
    let (hashes, _) = layer.as_chunks::<32>();
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => parent(left, right),
                [left, ..] => parent(left, &absent),
                [] => absent,
            })
            .collect();
        absent = parent(&absent, &absent);
    }
    level.first().copied().unwrap_or(absent)
}
