//! What the pieces of a v2 torrent should hash to (BEP 52).

use dunlin_base::{BLOCK_BYTES, PieceIndex};
use dunlin_hash::merkle::{hash_leaves, piece_root, root_of_layer};
use dunlin_hash::{STRIPE_BYTES, Sha256Digest, Stripes};
use dunlin_protocol::metainfo::Metainfo;
use dunlin_storage::{Halt, PieceHashes};

const BLOCK: usize = BLOCK_BYTES as usize;

/// The SHA-256 root of each piece.
pub(crate) struct V2Hashes {
    pieces: Vec<Piece>,
    leaves_per_piece: usize,
}

/// One piece: in a v2 torrent it is of one file, with padding behind the file's last byte.
#[derive(Clone, Copy)]
struct Piece {
    root: Sha256Digest,
    /// Bytes of the file, without padding.
    bytes: usize,
    /// Whether it is its whole file, whose tree is then only as wide as the file.
    is_file: bool,
}

impl V2Hashes {
    /// The hashes of a v2 or hybrid torrent; `None` when it lacks some.
    pub(crate) fn new(metainfo: &Metainfo) -> Option<Self> {
        let geometry = metainfo.info.geometry();
        let piece_bytes = u64::from(geometry.piece_bytes());
        let mut pieces = Vec::with_capacity(geometry.piece_count() as usize);
        let contents = metainfo
            .info
            .files()
            .iter()
            .filter(|file| !file.attributes.padding);
        for file in contents.filter(|file| file.length > 0) {
            let root = file.pieces_root?;
            if file.length <= piece_bytes {
                pieces.push(Piece {
                    root,
                    bytes: file.length as usize,
                    is_file: true,
                });
                continue;
            }
            let (layer, _) = metainfo.piece_layers.get(&root)?.as_chunks::<32>();
            let starts = (0..file.length).step_by(geometry.piece_bytes() as usize);
            pieces.extend(layer.iter().zip(starts).map(|(root, start)| Piece {
                root: *root,
                bytes: piece_bytes.min(file.length - start) as usize,
                is_file: false,
            }));
        }
        let leaves_per_piece = (piece_bytes / u64::from(BLOCK_BYTES)) as usize;
        let is_whole = pieces.len() == geometry.piece_count() as usize;
        is_whole.then_some(Self {
            pieces,
            leaves_per_piece,
        })
    }
}

impl PieceHashes for V2Hashes {
    fn judge(
        &self,
        pieces: &[PieceIndex],
        len: usize,
        stripes: &mut dyn Stripes<Error = Halt>,
    ) -> Result<Vec<bool>, Halt> {
        let pieces: Vec<Piece> = pieces
            .iter()
            .map(|piece| self.pieces[piece.0 as usize])
            .collect();
        let mut leaves = vec![Vec::new(); pieces.len()];
        for begin in (0..len).step_by(STRIPE_BYTES) {
            let now = STRIPE_BYTES.min(len - begin);
            let seen = stripes.stripes(begin..begin + now)?;
            let mut blocks = Vec::with_capacity(pieces.len() * STRIPE_BYTES / BLOCK);
            for (piece, stripe) in pieces.iter().zip(seen) {
                blocks.extend(piece.blocks(begin, stripe));
            }
            let mut hashes = vec![[0; 32]; blocks.len()];
            hash_leaves(&blocks, &mut hashes);
            let mut hashes = hashes.into_iter();
            for (piece, leaves) in pieces.iter().zip(&mut leaves) {
                let count = piece.bytes_in(begin, now).div_ceil(BLOCK);
                leaves.extend(hashes.by_ref().take(count));
            }
        }
        let good = |(piece, leaves): (&Piece, &Vec<Sha256Digest>)| {
            let root = match piece.is_file {
                true => root_of_layer(leaves, 0),
                false => piece_root(leaves, self.leaves_per_piece),
            };
            root == piece.root
        };
        Ok(pieces.iter().zip(&leaves).map(good).collect())
    }
}

impl Piece {
    /// Bytes of the file, and not of the padding, in a stripe of `len` bytes.
    fn bytes_in(&self, begin: usize, len: usize) -> usize {
        self.bytes.saturating_sub(begin).min(len)
    }

    /// The blocks of the file in a stripe.
    fn blocks<'a>(
        &self,
        begin: usize,
        stripe: &'a [u8],
    ) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        stripe[..self.bytes_in(begin, stripe.len())].chunks(BLOCK)
    }
}
