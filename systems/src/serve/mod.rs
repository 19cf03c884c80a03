//! Answers the requests of unchoked peers.
//!
//! Reads:   `UploadQueue`, token buckets, what the disk read
//! Writes:  `UploadQueue`, token buckets
//! Emits:   reads, blocks
//! Cadence: peers with requests, when they ask, when payload left, when there is rate again
//! Spec:    BEP 3 `piece`, BEP 6 reject

mod read_blocks;
mod send_blocks;
#[cfg(test)]
mod tests;

use bevy_ecs::prelude::*;

use crate::schedule::TickSet;

pub(crate) fn plugin(schedule: &mut Schedule) {
    schedule.add_systems(
        (
            send_blocks::send_blocks,
            send_blocks::stop_unreadable,
            read_blocks::read_blocks,
        )
            .chain()
            .in_set(TickSet::Serve),
    );
}
