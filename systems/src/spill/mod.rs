//! Decides which blocks leave memory before their piece is whole, and sees to them.
//!
//! The memory budget counts *windows*: blocks of a piece in motion that may be asked for or in
//! memory at a time. A piece has a window for all of it, unless that is more than half of the
//! budget. Then its blocks are written to their place in the file, unverified, whenever they fill
//! half of the window. A piece that nobody is asked for any more while others lack memory is
//! *parked*: what is here of it is written, and its window is taken back until somebody can go on
//! with it. A piece of which a part was written is hashed from its file, once all of it is there;
//! good, it is there already. Bad, it is treated like any other: who sent each block is still
//! known, and the digests of its blocks are those of the file.
//!
//! Nothing is claimed before its hash: a bit is set only behind a good verdict, and committed only
//! behind a flush after that. When a spill, or reading it again, fails, the torrent stops like for
//! any trouble of its disk. The first piece that the disk refuses to take is kept, and to write it is how
//! the torrent tries again; other pieces are fetched anew when it goes on.
//!
//! Reads:   `Blocks`, `PieceState`, spills that the disk has done, whole and crowded pieces
//! Writes:  `Blocks`, `MemoryBudget`
//! Emits:   spills, hashes from files
//! Cadence: crowded pieces every tick, stuck pieces once a second

mod make_room;
mod settle_spills;
mod spill_crowded;
#[cfg(test)]
mod tests;

use bevy_ecs::prelude::*;
use dunlin_base::{PieceIndex, TorrentKey};
use dunlin_components::piece::Blocks;
use dunlin_components::world::{MemoryBudget, Work};
use dunlin_port::disk::DiskCommand;

use crate::schedule::TickSet;

pub(crate) use settle_spills::settle_spills;

pub(crate) fn plugin(schedule: &mut Schedule) {
    schedule.add_systems(
        (spill_crowded::spill_crowded, make_room::make_room)
            .chain()
            .in_set(TickSet::Spill),
    );
}

/// A piece that leaves memory.
#[derive(Clone, Copy)]
pub(crate) struct Leaving {
    pub(crate) torrent: TorrentKey,
    pub(crate) piece: PieceIndex,
}

impl Leaving {
    /// Takes the payloads that are here out of memory.
    pub(crate) fn spill(
        self,
        blocks: &mut Blocks,
        budget: &mut MemoryBudget,
        parks: bool,
    ) -> DiskCommand {
        let spill = budget.begin();
        DiskCommand::Spill {
            torrent: self.torrent,
            piece: self.piece,
            spill,
            blocks: blocks.begin_spill(spill, parks),
        }
    }

    /// The next step of a whole piece of which a part was spilled: the rest follows, then all of it
    /// is hashed. `None` while a spill is under way.
    pub(crate) fn finish(
        self,
        blocks: &mut Blocks,
        budget: &mut MemoryBudget,
        (expected, digest_blocks): ([u8; 20], bool),
    ) -> Option<DiskCommand> {
        if blocks.spill().is_some() {
            return None;
        }
        if blocks.in_memory() > 0 {
            return Some(self.spill(blocks, budget, true));
        }
        let number = budget.begin();
        blocks.begin_hash(number);
        Some(DiskCommand::Hash {
            torrent: self.torrent,
            piece: self.piece,
            number,
            expected,
            digest_blocks,
        })
    }
}

/// Makes a piece's window smaller, and lets who waits for memory try again.
fn shrink(blocks: &mut Blocks, budget: &mut MemoryBudget, work: &mut Work, window: u32) {
    if window == blocks.window() {
        return;
    }
    budget.release(blocks.window() - window);
    blocks.set_window(window);
    work.memory_freed = true;
}
