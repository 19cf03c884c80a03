//! What the pieces of a v2 torrent should hash to (BEP 52).

use dunlin_base::{BLOCK_BYTES, PieceIndex};
use dunlin_hash::Sha256Digest;
use dunlin_hash::merkle::{hash_leaves, piece_root, root_of_layer};
use dunlin_protocol::metainfo::Metainfo;
use dunlin_storage::PieceHashes;

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

/// A piece of which some leaves are hashed.
pub(crate) struct Leaves {
    hashes: Vec<Sha256Digest>,
    /// Bytes of the file that are still to come.
    rest: usize,
}

impl PieceHashes for V2Hashes {
    type Stream = Leaves;

    fn check(&self, pieces: &[(PieceIndex, &[u8])], good: &mut [bool]) {
        for ((piece, bytes), good) in pieces.iter().zip(good) {
            let mut stream = self.begin(*piece);
            self.update(&mut stream, bytes);
            *good = self.finish(*piece, stream);
        }
    }

    fn begin(&self, piece: PieceIndex) -> Leaves {
        Leaves {
            hashes: Vec::new(),
            rest: self.pieces[piece.0 as usize].bytes,
        }
    }

    fn update(&self, stream: &mut Leaves, part: &[u8]) {
        let bytes = &part[..part.len().min(stream.rest)];
        stream.rest -= bytes.len();
        let blocks: Vec<&[u8]> = bytes.chunks(BLOCK_BYTES as usize).collect();
        let done = stream.hashes.len();
        stream.hashes.resize(done + blocks.len(), [0; 32]);
        hash_leaves(&blocks, &mut stream.hashes[done..]);
    }

    fn finish(&self, piece: PieceIndex, stream: Leaves) -> bool {
        let piece = &self.pieces[piece.0 as usize];
        let root = match piece.is_file {
            true => root_of_layer(&stream.hashes, 0),
            false => piece_root(&stream.hashes, self.leaves_per_piece),
        };
        root == piece.root
    }
}
