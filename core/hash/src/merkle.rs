//! The hash trees of BitTorrent v2 (BEP 52): SHA-256 over leaves of 16 KiB.
//!
//! A tree is as wide as a power of two; leaves beyond the end of the file are zeros. Layers are
//! never stored padded: what covers nothing but such leaves is the same in every tree and is worked
//! out on the way up.

use crate::{Sha256Digest, sha256, sha256_batch};

/// Bytes under one leaf. Only the last leaf of a file covers fewer.
pub const LEAF_BYTES: usize = 16 * 1024;

/// The hash of a leaf beyond the end of the file.
const ZERO_LEAF: Sha256Digest = [0; 32];

/// Writes the leaf hash of each block to the same place in `leaves`, hashing blocks side by side.
///
/// # Panics
///
/// When `blocks` and `leaves` differ in length, or a block is longer than a leaf.
pub fn hash_leaves(blocks: &[&[u8]], leaves: &mut [Sha256Digest]) {
    assert!(
        blocks.iter().all(|block| block.len() <= LEAF_BYTES),
        "a leaf covers 16 KiB at most"
    );
    let messages: Vec<&[&[u8]]> = blocks.iter().map(std::slice::from_ref).collect();
    sha256_batch(&messages, leaves);
}

/// The hash at `height` above leaves that all lie beyond the end of the file.
pub fn padding_hash(height: u32) -> Sha256Digest {
    (0..height).fold(ZERO_LEAF, |node, _| hash_pair(&[node, node]))
}

/// The hash of one piece in the piece layer: the top of `leaves_per_piece` leaves, of which the
/// last piece of a file may have fewer.
///
/// # Panics
///
/// When there are no leaves, more than `leaves_per_piece`, or that is not a power of two.
pub fn piece_root(leaves: &[Sha256Digest], leaves_per_piece: usize) -> Sha256Digest {
    climb(leaves, ZERO_LEAF, leaves_per_piece)
}

/// The root of a file by all its hashes at `height`: zero for leaves, more for a piece layer.
///
/// A file no longer than a piece has no piece layer: its root is that of its leaves.
///
/// # Panics
///
/// When `layer` is empty: an empty file has no tree.
pub fn root_of_layer(layer: &[Sha256Digest], height: u32) -> Sha256Digest {
    climb(layer, padding_hash(height), layer.len().next_power_of_two())
}

/// Whether `layer` is the piece layer of a file of `pieces` pieces under `root`.
///
/// The number is checked as well, because a layer continued with padding has the same root.
///
/// # Panics
///
/// When `leaves_per_piece` is not a power of two.
pub fn is_piece_layer(
    layer: &[Sha256Digest],
    pieces: usize,
    leaves_per_piece: usize,
    root: &Sha256Digest,
) -> bool {
    assert!(
        leaves_per_piece.is_power_of_two(),
        "a piece is a whole subtree"
    );
    pieces > 0
        && layer.len() == pieces
        && root_of_layer(layer, leaves_per_piece.trailing_zeros()) == *root
}

/// The root that a proof leads to: from `node`, number `index` in its layer, upwards by the sibling
/// on each layer, the lowest first.
pub fn root_by_proof(
    node: Sha256Digest,
    index: usize,
    siblings: impl IntoIterator<Item = Sha256Digest>,
) -> Sha256Digest {
    let mut index = index;
    siblings.into_iter().fold(node, |node, sibling| {
        let right = index % 2 == 1;
        index /= 2;
        hash_pair(&if right {
            [sibling, node]
        } else {
            [node, sibling]
        })
    })
}

fn hash_pair(pair: &[Sha256Digest; 2]) -> Sha256Digest {
    sha256(pair.as_flattened())
}

/// The nodes above a layer of even length, hashed side by side.
fn hash_level(layer: &[Sha256Digest]) -> Vec<Sha256Digest> {
    let pairs = layer.as_chunks::<2>().0.iter();
    let pairs: Vec<[&[u8]; 1]> = pairs.map(|pair| [pair.as_flattened()]).collect();
    let mut level = vec![ZERO_LEAF; pairs.len()];
    sha256_batch(&pairs, &mut level);
    level
}

/// The top of a subtree whose lowest layer is `layer`, continued with `padding` to `width`.
fn climb(layer: &[Sha256Digest], padding: Sha256Digest, width: usize) -> Sha256Digest {
    assert!(
        width.is_power_of_two(),
        "a subtree has a power of two of nodes, not {width}"
    );
    assert!(
        (1..=width).contains(&layer.len()),
        "{} nodes in a layer of {width}",
        layer.len()
    );
    let mut layer = layer.to_vec();
    let mut padding = padding;
    for _ in 0..width.trailing_zeros() {
        if layer.len() % 2 == 1 {
            layer.push(padding);
        }
        layer = hash_level(&layer);
        padding = hash_pair(&[padding, padding]);
    }
    layer[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_leaves(count: usize) -> Vec<Sha256Digest> {
        (0..count).map(|at| sha256(&at.to_be_bytes())).collect()
    }

    /// The definition: pad all leaves, halve until one is left.
    fn padded_root(leaves: &[Sha256Digest], width: usize) -> Sha256Digest {
        let mut layer = leaves.to_vec();
        layer.resize(width, ZERO_LEAF);
        while layer.len() > 1 {
            layer = layer.chunks(2).map(|pair| sha256(&pair.concat())).collect();
        }
        layer[0]
    }

    #[test]
    fn padding_hashes_are_those_of_zero_leaves() {
        // The first two layers over zeros, well known from other trees of the same form.
        assert_eq!(padding_hash(0), [0; 32]);
        assert_eq!(padding_hash(1)[..4], [0xf5, 0xa5, 0xfd, 0x42]);
        assert_eq!(padding_hash(2)[..4], [0xdb, 0x56, 0x11, 0x4e]);
        assert_eq!(padding_hash(3), padded_root(&[], 8));
    }

    #[test]
    fn roots_follow_the_definition() {
        for count in 1..=70 {
            let leaves = some_leaves(count);
            let width = count.next_power_of_two();
            assert_eq!(
                root_of_layer(&leaves, 0),
                padded_root(&leaves, width),
                "{count}"
            );
            assert_eq!(
                piece_root(&leaves, 4 * width),
                padded_root(&leaves, 4 * width),
                "{count}"
            );
        }
    }

    #[test]
    fn a_piece_layer_leads_to_the_root_of_the_leaves() {
        for (count, per_piece) in [(5, 4), (8, 4), (9, 4), (33, 2), (64, 8), (3, 1)] {
            let leaves = some_leaves(count);
            let root = root_of_layer(&leaves, 0);
            let mut layer: Vec<_> = leaves
                .chunks(per_piece)
                .map(|piece| piece_root(piece, per_piece))
                .collect();
            let pieces = layer.len();
            assert!(is_piece_layer(&layer, pieces, per_piece, &root));

            layer.push(padding_hash(per_piece.trailing_zeros()));
            assert!(
                !is_piece_layer(&layer, pieces, per_piece, &root),
                "padding is not a piece"
            );
            layer.pop();
            layer[pieces - 1][31] ^= 1;
            assert!(
                !is_piece_layer(&layer, pieces, per_piece, &root),
                "a bit is wrong"
            );
        }
        assert!(!is_piece_layer(&[], 0, 4, &padding_hash(2)));
    }

    #[test]
    fn a_proof_leads_to_the_root() {
        let leaves = some_leaves(8);
        let root = root_of_layer(&leaves, 0);
        for (index, &leaf) in leaves.iter().enumerate() {
            let pair = index / 2 * 2;
            let near = 4 * (index / 4) + 2 * (1 - index / 2 % 2);
            let far = 4 * (1 - index / 4);
            let siblings = [
                leaves[pair + (1 - index % 2)],
                piece_root(&leaves[near..near + 2], 2),
                piece_root(&leaves[far..far + 4], 4),
            ];
            assert_eq!(root_by_proof(leaf, index, siblings), root, "leaf {index}");
            assert_ne!(
                root_by_proof(leaf, index ^ 1, siblings),
                root,
                "leaf {index}"
            );
        }
    }

    #[test]
    fn leaves_are_plain_hashes_of_their_blocks() {
        let bytes = vec![3; 5 * LEAF_BYTES / 2];
        let blocks: Vec<&[u8]> = bytes.chunks(LEAF_BYTES).collect();
        let mut leaves = [ZERO_LEAF; 3];
        hash_leaves(&blocks, &mut leaves);
        assert_eq!(leaves[1], sha256(&bytes[..LEAF_BYTES]));
        assert_eq!(leaves[2], sha256(&bytes[..LEAF_BYTES / 2]));
    }
}
