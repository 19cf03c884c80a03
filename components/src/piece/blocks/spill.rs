//! What of a piece in motion is in its file before the piece is whole, to save memory.
//!
//! Blocks leave in *spills*, one at a time: their payloads go to the disk, and when it has written
//! them they count as filed. A piece that was spilled from is hashed from its file.

use dunlin_base::BlockIndex;
use dunlin_port::BlockBuffer;

use super::{BlockState, Blocks};

/// Blocks on their way into the file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Spill {
    /// No other spill has this number: answers to one of a piece that was given up meanwhile are
    /// known by it.
    pub number: u64,
    /// How many blocks.
    pub blocks: u32,
    /// Whether the piece gives all of its memory back when they are written.
    pub parks: bool,
}

impl Blocks {
    /// Blocks that may be asked for or in memory at a time. None of a piece that is parked: it
    /// waits for memory.
    #[must_use]
    pub const fn window(&self) -> u32 {
        self.window
    }

    /// Changes how many blocks may be asked for or in memory at a time.
    ///
    /// # Panics
    /// When more are.
    pub fn set_window(&mut self, window: u32) {
        let held = self.held();
        assert!(held <= window, "{held} blocks are in {window}");
        self.window = window;
    }

    /// Blocks that are asked for, or in memory, on their way into the file too.
    #[must_use]
    pub const fn held(&self) -> u32 {
        self.len() - self.free - self.filed
    }

    /// Blocks whose payload is here.
    #[must_use]
    pub const fn in_memory(&self) -> u32 {
        self.arrived - self.filed - self.leaving()
    }

    /// Blocks that are not in the file.
    #[must_use]
    pub const fn unfiled(&self) -> u32 {
        self.len() - self.filed
    }

    /// Whether somebody could be asked for a block at once.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.free > 0 && self.held() < self.window
    }

    /// Whether nobody is asked for any of the blocks that lack.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.free > 0 && self.free + self.arrived == self.len()
    }

    /// Whether blocks should leave, because more are to come than there is room for: when they fill
    /// half of it, so that the other half is in use meanwhile.
    #[must_use]
    pub const fn is_crowded(&self) -> bool {
        let in_memory = self.in_memory();
        let narrow = self.window < self.unfiled() && self.spill.is_none();
        narrow && in_memory > 0 && 2 * in_memory >= self.window
    }

    /// Whether a part is in the file, or on its way.
    #[must_use]
    pub const fn is_spilled(&self) -> bool {
        self.filed > 0 || self.spill.is_some()
    }

    /// The spill under way.
    #[must_use]
    pub const fn spill(&self) -> Option<Spill> {
        self.spill
    }

    const fn leaving(&self) -> u32 {
        match self.spill {
            Some(spill) => spill.blocks,
            None => 0,
        }
    }

    /// Takes the payloads out that are here, in order, to be written to the file.
    ///
    /// # Panics
    /// When a spill is under way, or there are none.
    pub fn begin_spill(&mut self, number: u64, parks: bool) -> Vec<(BlockIndex, BlockBuffer)> {
        assert!(self.spill.is_none(), "one spill at a time");
        let blocks = self.blocks.iter_mut().zip(0..);
        let payloads: Vec<_> = blocks
            .filter_map(|(state, block)| match state {
                BlockState::Arrived { payload, .. } => Some((BlockIndex(block), payload.take()?)),
                _ => None,
            })
            .collect();
        let blocks = payloads.len() as u32;
        assert!(blocks > 0, "there is something to spill");
        self.spill = Some(Spill {
            number,
            blocks,
            parks,
        });
        payloads
    }

    /// Notes that the spill of this number is in the file; which it was. `None` when it is of
    /// an earlier life of this piece.
    pub fn end_spill(&mut self, number: u64) -> Option<Spill> {
        let spill = self.spill.take_if(|spill| spill.number == number)?;
        for state in &mut self.blocks {
            if let BlockState::Arrived {
                from,
                payload: None,
            } = *state
            {
                *state = BlockState::Filed { from };
            }
        }
        self.filed += spill.blocks;
        Some(spill)
    }

    /// Puts the payloads of the spill under way back, which the disk refused.
    ///
    /// # Panics
    /// When they are not those of the spill.
    pub fn undo_spill(&mut self, payloads: Vec<BlockBuffer>) {
        let blocks = self.spill.take().map(|spill| spill.blocks as usize);
        assert_eq!(blocks, Some(payloads.len()), "all of them come back");
        let mut payloads = payloads.into_iter();
        for state in &mut self.blocks {
            if let BlockState::Arrived { payload, .. } = state
                && payload.is_none()
            {
                *payload = payloads.next();
            }
        }
        assert!(payloads.next().is_none(), "each has its place");
    }
}

#[cfg(test)]
mod tests {
    use dunlin_base::PeerKey;
    use dunlin_port::BlockPool;

    use super::*;

    const A: PeerKey = PeerKey::outgoing(1);

    fn come(blocks: &mut Blocks, block: u32) {
        let payload = BlockPool::new(1 << 20).take(5).unwrap();
        assert!(blocks.has_room() && blocks.request(BlockIndex(block), A));
        blocks.arrive(BlockIndex(block), A, payload).unwrap();
    }

    #[test]
    fn a_piece_longer_than_its_window_becomes_whole_in_spills() {
        let mut blocks = Blocks::new(5, 2);
        let mut spilled = Vec::new();
        for block in 0..5 {
            come(&mut blocks, block);
            if blocks.is_crowded() {
                let out = blocks.begin_spill(u64::from(block), false);
                assert_eq!((blocks.in_memory(), blocks.held()), (0, out.len() as u32));
                spilled.extend(out.into_iter().map(|(block, _)| block.0));
                assert!(!blocks.is_crowded(), "one at a time");
                assert_eq!(blocks.end_spill(99), None, "of an earlier life");
                assert!(blocks.end_spill(u64::from(block)).is_some());
            }
        }
        // The last two have all the room that they need.
        assert_eq!((spilled, blocks.in_memory()), (vec![0, 1, 2], 2));
        assert!(blocks.is_whole() && blocks.is_spilled() && !blocks.has_room());
        assert!(blocks.senders().all(|sender| sender == Some(A)));
    }

    #[test]
    fn what_the_disk_refuses_comes_back() {
        let mut blocks = Blocks::new(4, 3);
        come(&mut blocks, 2);
        come(&mut blocks, 0);
        let out = blocks.begin_spill(1, false);
        come(&mut blocks, 1);
        blocks.undo_spill(out.into_iter().map(|(_, payload)| payload).collect());
        assert_eq!((blocks.in_memory(), blocks.held()), (3, 3));
        let again = blocks.begin_spill(2, true);
        let places: Vec<_> = again.iter().map(|(block, _)| block.0).collect();
        assert_eq!(places, [0, 1, 2]);
    }

    #[test]
    fn blocks_of_the_file_come_once() {
        let mut blocks = Blocks::new(3, 3);
        come(&mut blocks, 1);
        let out = blocks.begin_spill(0, true);
        assert_eq!(out[0].0, BlockIndex(1));
        assert!(!blocks.request(BlockIndex(1), A), "on its way");
        blocks.end_spill(0);
        assert!(!blocks.request(BlockIndex(1), A), "in the file");
        let copy = BlockPool::new(1 << 20).take(5).unwrap();
        assert!(blocks.arrive(BlockIndex(1), A, copy).is_err());
        assert!(blocks.is_idle() && blocks.held() == 0);
        blocks.set_window(0);
        assert!(!blocks.has_room(), "it is parked");
        blocks.reset();
        assert_eq!(
            (blocks.free(), blocks.unfiled(), blocks.window()),
            (3, 3, 0)
        );
    }
}
