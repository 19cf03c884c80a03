//! Hashes the pieces that became whole, commits the good ones and finds who sent the bad ones.
//!
//! Reads:   whole pieces, the hashers' verdicts, what the disk wrote
//! Writes:  `PieceState`, `Have`, `Suspects`, `Strikes`, `MemoryBudget`
//! Emits:   hash jobs (one batch a tick), writes, bans
//! Cadence: every tick
//! Spec:    BEP 3 piece hashes; blame by block digests after libtorrent's smart ban

pub(crate) mod blame;
mod hash_whole_pieces;
mod judge_pieces;
mod settle_writes;
#[cfg(test)]
mod tests;

use bevy_ecs::prelude::*;

use crate::schedule::TickSet;

pub(crate) fn plugin(schedule: &mut Schedule) {
    schedule.add_systems(
        (
            hash_whole_pieces::hash_whole_pieces,
            crate::spill::settle_spills,
            judge_pieces::judge_pieces,
            settle_writes::settle_writes,
        )
            .chain()
            .in_set(TickSet::Verify),
    );
}
