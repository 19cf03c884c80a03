//! The blocks of a piece in motion: who is asked for each, who sent it, and its payload.

mod spill;

use core::hash::{Hash, Hasher};

use bevy_ecs::prelude::Component;
use dunlin_base::{BlockIndex, PeerKey, prefetch};
use dunlin_port::BlockBuffer;

pub use spill::Spill;

/// Most peers that are asked for one block at a time (endgame).
pub const HOLDERS_MAX: usize = 3;

/// A key that no connection ever gets: they are counted from 0.
const NOBODY: PeerKey = PeerKey::incoming(u64::MAX >> 1);

/// The peers that are asked for a block. There is one for every block of every piece in motion, so it
/// is three words and not six.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holders {
    peers: [PeerKey; HOLDERS_MAX],
}

impl Default for Holders {
    fn default() -> Self {
        Self {
            peers: [NOBODY; HOLDERS_MAX],
        }
    }
}

impl Hash for Holders {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let peers = self.peers.map(|peer| (peer != NOBODY).then_some(peer));
        peers.hash(state);
    }
}

impl Holders {
    /// Adds a peer, if there is room and it is not one already; says whether it was added.
    pub fn add(&mut self, peer: PeerKey) -> bool {
        if self.contains(peer) {
            return false;
        }
        let Some(free) = self.peers.iter_mut().find(|slot| **slot == NOBODY) else {
            return false;
        };
        *free = peer;
        true
    }

    /// Removes a peer; says whether it was there.
    pub fn remove(&mut self, peer: PeerKey) -> bool {
        let Some(slot) = self.peers.iter_mut().find(|slot| **slot == peer) else {
            return false;
        };
        *slot = NOBODY;
        true
    }

    /// Whether the peer is asked.
    #[must_use]
    pub fn contains(&self, peer: PeerKey) -> bool {
        self.peers.contains(&peer)
    }

    /// The peers.
    pub fn iter(&self) -> impl Iterator<Item = PeerKey> + use<> {
        self.peers.into_iter().filter(|peer| *peer != NOBODY)
    }

    /// How many are asked.
    #[must_use]
    pub fn count(&self) -> usize {
        self.iter().count()
    }
}

/// What became of one block.
#[derive(Debug, Default)]
pub enum BlockState {
    /// Nobody is asked.
    #[default]
    Free,
    /// These are asked.
    Requested(Holders),
    /// It is here.
    Arrived {
        /// Who sent it.
        from: PeerKey,
        /// Its payload; taken while the piece is hashed or written, or this block alone is.
        payload: Option<BlockBuffer>,
    },
    /// It is in its place in the file, unverified.
    Filed {
        /// Who sent it.
        from: PeerKey,
    },
}

/// As far as decisions can see it: whether a payload is here, not what is in it.
impl Hash for BlockState {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Free => 0_u8.hash(state),
            Self::Requested(holders) => (1_u8, holders).hash(state),
            Self::Arrived { from, payload } => (2_u8, from, payload.is_some()).hash(state),
            Self::Filed { from } => (3_u8, from).hash(state),
        }
    }
}

/// The blocks of a piece in motion. Every request and every block looks at it, so it is one line of a cache.
#[derive(Component, Debug)]
#[repr(align(64))]
pub struct Blocks {
    blocks: Box<[BlockState]>,
    free: u32,
    arrived: u32,
    /// Of those that arrived, blocks that are in the file.
    filed: u32,
    /// No block before this one is free.
    free_from: u32,
    /// Blocks that may be asked for or in memory at a time: what the memory budget counts.
    window: u32,
    /// Blocks on their way into the file.
    spill: Option<Spill>,
    /// The number of the hash under way, while its verdict is awaited, or [`NO_HASH`].
    hash: u64,
}

const _: () = assert!(size_of::<Blocks>() == 64, "a line of a cache");

/// The number of no hash: they are counted from 0.
const NO_HASH: u64 = u64::MAX;

/// Where to begin to look for a free block follows from the rest.
impl Hash for Blocks {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.blocks, self.free, self.arrived).hash(state);
        (self.window, self.spill, self.hash).hash(state);
    }
}

impl Blocks {
    /// `count` blocks that nobody is asked for, of which `window` may be asked for or in memory at
    /// a time.
    #[must_use]
    pub fn new(count: u32, window: u32) -> Self {
        let blocks = (0..count).map(|_| BlockState::Free).collect();
        Self {
            blocks,
            free: count,
            arrived: 0,
            filed: 0,
            free_from: 0,
            window,
            spill: None,
            hash: NO_HASH,
        }
    }

    /// Notes that all of it is being hashed, under this number.
    ///
    /// # Panics
    /// When it is not whole, or is being hashed already.
    pub fn begin_hash(&mut self, number: u64) {
        assert!(
            self.is_whole() && self.hash == NO_HASH,
            "one hash of it all"
        );
        self.hash = number;
    }

    /// Notes that the hash of this number is over; says whether it was under way. It was not when it is
    /// of an earlier life of this piece.
    pub fn end_hash(&mut self, number: u64) -> bool {
        let is_under_way = self.hash == number;
        if is_under_way {
            self.hash = NO_HASH;
        }
        is_under_way
    }

    /// Number of blocks.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.blocks.len() as u32
    }

    /// Whether there are no blocks; never true of a real piece.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Blocks that nobody is asked for.
    #[must_use]
    pub const fn free(&self) -> u32 {
        self.free
    }

    /// Blocks that are here.
    #[must_use]
    pub const fn arrived(&self) -> u32 {
        self.arrived
    }

    /// Whether every block is here.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.arrived as usize == self.blocks.len()
    }

    /// Asks for the state of a block, which will be needed soon.
    pub fn prefetch(&self, block: BlockIndex) {
        let state = self.blocks.get(block.0 as usize);
        state.into_iter().for_each(prefetch);
    }

    /// Asks for where the first free block is, which will be taken soon.
    pub fn prefetch_free(&self) {
        self.prefetch(BlockIndex(self.free_from));
    }

    /// What became of a block.
    ///
    /// # Panics
    /// When the block is not of this piece: wire offsets are checked against the geometry first.
    #[must_use]
    pub fn state(&self, block: BlockIndex) -> &BlockState {
        &self.blocks[block.0 as usize]
    }

    /// How many peers are asked for a block; none when it is here.
    #[must_use]
    pub fn askers(&self, block: BlockIndex) -> usize {
        match self.state(block) {
            BlockState::Requested(holders) => holders.count(),
            BlockState::Free | BlockState::Arrived { .. } | BlockState::Filed { .. } => 0,
        }
    }

    /// The first block that nobody is asked for.
    #[must_use]
    pub fn first_free(&self) -> Option<BlockIndex> {
        if self.free == 0 {
            return None;
        }
        let is_free = |block: &BlockState| matches!(block, BlockState::Free);
        let at = self.blocks[self.free_from as usize..]
            .iter()
            .position(is_free)?;
        Some(BlockIndex(self.free_from + at as u32))
    }

    /// Notes that a peer is asked for a block; says whether it was noted (not if the block is
    /// here, the peer is asked already, or enough others are).
    pub fn request(&mut self, block: BlockIndex, peer: PeerKey) -> bool {
        match &mut self.blocks[block.0 as usize] {
            BlockState::Arrived { .. } | BlockState::Filed { .. } => false,
            BlockState::Requested(holders) => holders.add(peer),
            free @ BlockState::Free => {
                let mut holders = Holders::default();
                holders.add(peer);
                *free = BlockState::Requested(holders);
                self.note_taken(block);
                true
            }
        }
    }

    fn note_taken(&mut self, block: BlockIndex) {
        self.free -= 1;
        if self.free_from == block.0 {
            self.free_from += 1;
        }
    }

    /// Notes that a peer is not asked for a block any more; says whether it was.
    pub fn release(&mut self, block: BlockIndex, peer: PeerKey) -> bool {
        let state = &mut self.blocks[block.0 as usize];
        let BlockState::Requested(holders) = state else {
            return false;
        };
        let released = holders.remove(peer);
        if holders.count() == 0 {
            *state = BlockState::Free;
            self.free += 1;
            self.free_from = self.free_from.min(block.0);
        }
        released
    }

    /// Puts a block's payload in place. Returns who else was asked, or the payload when the block
    /// is here already.
    ///
    /// # Errors
    /// The payload of a block that is here already.
    pub fn arrive(
        &mut self,
        block: BlockIndex,
        from: PeerKey,
        payload: BlockBuffer,
    ) -> Result<Holders, BlockBuffer> {
        let state = &mut self.blocks[block.0 as usize];
        let (mut others, mut was_free) = (Holders::default(), false);
        match state {
            BlockState::Arrived { .. } | BlockState::Filed { .. } => return Err(payload),
            BlockState::Free => was_free = true,
            BlockState::Requested(holders) => others = *holders,
        }
        others.remove(from);
        *state = BlockState::Arrived {
            from,
            payload: Some(payload),
        };
        if was_free {
            self.note_taken(block);
        }
        self.arrived += 1;
        Ok(others)
    }

    /// Takes all payloads out, in order, for hashing or writing.
    ///
    /// # Panics
    /// When the piece is not whole or its payloads are out already.
    pub fn take_payloads(&mut self) -> Vec<BlockBuffer> {
        assert!(
            self.is_whole(),
            "{} of {} blocks are here",
            self.arrived,
            self.blocks.len()
        );
        let payloads: Vec<_> = self
            .blocks
            .iter_mut()
            .filter_map(|block| match block {
                BlockState::Arrived { payload, .. } => payload.take(),
                BlockState::Free | BlockState::Requested(_) | BlockState::Filed { .. } => None,
            })
            .collect();
        assert_eq!(payloads.len(), self.blocks.len(), "payloads are taken once");
        payloads
    }

    /// Who sent each block, in order; `None` where it is not here.
    pub fn senders(&self) -> impl Iterator<Item = Option<PeerKey>> + '_ {
        self.blocks.iter().map(|block| match block {
            BlockState::Arrived { from, .. } | BlockState::Filed { from } => Some(*from),
            BlockState::Free | BlockState::Requested(_) => None,
        })
    }

    /// Forgets all blocks: the piece is fetched anew, in the memory that it has.
    pub fn reset(&mut self) {
        *self = Self::new(self.len(), self.window);
    }
}

#[cfg(test)]
mod tests {
    use dunlin_port::BlockPool;

    use super::*;

    const A: PeerKey = PeerKey::outgoing(1);
    const B: PeerKey = PeerKey::outgoing(2);

    fn payload() -> BlockBuffer {
        BlockPool::new(1 << 20).take(5).unwrap()
    }

    #[test]
    fn counts_follow_every_change() {
        let mut blocks = Blocks::new(2, 2);
        assert!(blocks.request(BlockIndex(0), A) && blocks.request(BlockIndex(0), B));
        assert!(!blocks.request(BlockIndex(0), A), "asked already");
        assert_eq!(
            (blocks.free(), blocks.first_free()),
            (1, Some(BlockIndex(1)))
        );
        assert!(blocks.release(BlockIndex(0), A) && !blocks.release(BlockIndex(0), A));
        assert_eq!(blocks.free(), 1);
        assert!(blocks.release(BlockIndex(0), B));
        assert_eq!(blocks.free(), 2);
        assert!(blocks.request(BlockIndex(0), A) && blocks.request(BlockIndex(0), B));
        let others = blocks.arrive(BlockIndex(0), A, payload()).unwrap();
        assert_eq!(others.iter().collect::<Vec<_>>(), [B]);
        assert!(
            blocks.arrive(BlockIndex(0), B, payload()).is_err(),
            "a second copy comes back"
        );
        assert_eq!(
            (blocks.free(), blocks.arrived(), blocks.is_whole()),
            (1, 1, false)
        );
        blocks.arrive(BlockIndex(1), B, payload()).unwrap();
        assert!(blocks.is_whole());
        assert_eq!(blocks.senders().collect::<Vec<_>>(), [Some(A), Some(B)]);
        assert_eq!(blocks.take_payloads().len(), 2);
        blocks.reset();
        assert_eq!((blocks.free(), blocks.arrived()), (2, 0));
    }

    #[test]
    fn only_the_hash_under_way_ends() {
        let mut blocks = Blocks::new(1, 1);
        assert!(blocks.request(BlockIndex(0), A));
        blocks.arrive(BlockIndex(0), A, payload()).unwrap();
        blocks.begin_hash(4);
        assert!(!blocks.end_hash(3) && blocks.end_hash(4) && !blocks.end_hash(4));
        blocks.begin_hash(5);
        blocks.reset();
        assert!(!blocks.end_hash(5), "of an earlier life");
    }
}
