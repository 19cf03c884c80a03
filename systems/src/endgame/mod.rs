//! Asks several peers for the last blocks, so that the slowest does not hold up the end.
//!
//! Reads:   peers that have nothing left to be asked for alone, `Rules`
//! Writes:  `Requests`, `Blocks`, `LastBlocks`, token buckets
//! Emits:   requests; the losers' are cancelled when a block comes (Receive)
//! Cadence: when a queue has room and every missing block is asked for
//! Spec:    BEP 3, "endgame mode"

mod duplicate_last_blocks;
mod policy;
#[cfg(test)]
mod tests;

use bevy_ecs::prelude::*;

use crate::schedule::TickSet;

pub(crate) fn plugin(schedule: &mut Schedule) {
    schedule.add_systems(duplicate_last_blocks::duplicate_last_blocks.in_set(TickSet::Endgame));
}
