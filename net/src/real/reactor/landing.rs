//! Where bytes land: the room that one vectored read fills, shared by all connections in turn.

use std::io::{self, IoSliceMut, Read};

use dunlin_base::BLOCK_BYTES;
use dunlin_port::{BlockBuffer, BlockPool};
use dunlin_protocol::wire::PIECE_HEADER_BYTES;

pub(super) const BLOCK: usize = BLOCK_BYTES as usize;

/// Most blocks that one read guesses to come after the one that is being received.
pub(super) const GUESSED_BLOCKS_MAX: usize = 32;

/// Room for bytes of which nothing is known, for all connections.
const TAIL_BYTES: usize = 16 * 1024;

/// Room after guessed blocks: enough for a few short messages, little to copy if it is payload.
const TAIL_AFTER_PAYLOAD_BYTES: usize = 64;

/// The rest of a payload, a pair of header and block for each guess, and the tail.
const SLICES_MAX: usize = 2 + 2 * GUESSED_BLOCKS_MAX;

/// The shared room.
pub(crate) struct Landing {
    pub(super) buffers: Buffers,
    pub(super) room: Room,
    /// What all reads brought since this was last taken.
    pub(super) read_bytes: usize,
}

/// Whole block buffers, from the pool or left over from an earlier read.
pub(super) struct Buffers {
    pool: BlockPool,
    spare: Vec<BlockBuffer>,
}

/// What a read fills, in this order, after the rest of a payload: header, block, header, block,
/// and so on, tail.
pub(super) struct Room {
    pub(super) heads: [[u8; PIECE_HEADER_BYTES]; GUESSED_BLOCKS_MAX],
    pub(super) blocks: Vec<BlockBuffer>,
    pub(super) tail: Box<[u8; TAIL_BYTES]>,
}

/// How a connection guesses that its stream goes on.
#[derive(Clone, Copy)]
pub(super) struct Guess {
    /// Blocks, each behind its header.
    pub(super) blocks: usize,
    /// Bytes of the first block's header that have come already.
    pub(super) head_taken: usize,
}

/// What one read brought.
#[derive(Clone, Copy)]
pub(super) struct Filled {
    /// How many bytes came; 0 is the end of the stream.
    pub(super) bytes: usize,
    /// Whether more could have been taken than came.
    pub(super) short: bool,
}

impl Landing {
    pub(crate) fn new(pool: BlockPool) -> Self {
        Self {
            buffers: Buffers {
                pool,
                spare: Vec::with_capacity(GUESSED_BLOCKS_MAX),
            },
            room: Room {
                heads: [[0; PIECE_HEADER_BYTES]; GUESSED_BLOCKS_MAX],
                blocks: Vec::with_capacity(GUESSED_BLOCKS_MAX),
                tail: Box::new([0; TAIL_BYTES]),
            },
            read_bytes: 0,
        }
    }

    /// Reads once into the rest of a payload and then as guessed; fewer blocks are guessed while
    /// the pool has none. `room.blocks` says how many there are.
    pub(super) fn read(
        &mut self,
        source: &mut impl Read,
        payload: Option<&mut [u8]>,
        guess: Guess,
    ) -> io::Result<Filled> {
        let Room {
            heads,
            blocks,
            tail,
        } = &mut self.room;
        debug_assert!(blocks.is_empty(), "blocks of the last read are all settled");
        blocks.extend((0..guess.blocks).map_while(|_| self.buffers.take()));
        let tail_bytes = if payload.is_some() || !blocks.is_empty() {
            TAIL_AFTER_PAYLOAD_BYTES
        } else {
            TAIL_BYTES
        };

        let mut slices = [const { None }; SLICES_MAX];
        let guessed = heads.iter_mut().zip(blocks).enumerate();
        let guessed = guessed.flat_map(|(at, (head, block))| {
            let taken = if at == 0 { guess.head_taken } else { 0 };
            [&mut head[taken..], &mut **block]
        });
        let all = payload
            .into_iter()
            .chain(guessed)
            .chain([&mut tail[..tail_bytes]]);
        let (mut used, mut room_bytes) = (0, 0);
        for (slot, slice) in slices.iter_mut().zip(all) {
            used += 1;
            room_bytes += slice.len();
            *slot = Some(IoSliceMut::new(slice));
        }
        let mut slices = slices.map(|slice| slice.unwrap_or_else(|| IoSliceMut::new(&mut [])));
        let bytes = source.read_vectored(&mut slices[..used])?;
        self.read_bytes += bytes;
        Ok(Filled {
            bytes,
            short: bytes < room_bytes,
        })
    }
}

impl Landing {
    /// Gives all buffers that are not used back to the pool.
    pub(crate) fn release(&mut self) {
        self.buffers.spare.clear();
    }

    /// Takes the guessed blocks back after a read that brought nothing.
    pub(super) fn settle_unused(&mut self) {
        let Self { buffers, room, .. } = self;
        room.blocks
            .drain(..)
            .for_each(|block| buffers.put_back(block));
    }
}

impl Buffers {
    /// A buffer of a whole block, or `None` while all are in use.
    pub(super) fn take(&mut self) -> Option<BlockBuffer> {
        self.spare.pop().or_else(|| self.pool.take(BLOCK))
    }

    /// Keeps a whole buffer for the next read.
    pub(super) fn put_back(&mut self, buffer: BlockBuffer) {
        debug_assert_eq!(buffer.len(), BLOCK);
        self.spare.push(buffer);
    }
}
