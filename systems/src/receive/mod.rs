//! Applies wire messages to the tables.
//!
//! Reads:   routed events
//! Writes:  `RemoteHave`, `Availability`, choke and interest flags, `AllowedFast`, `Requests`, `Blocks`,
//!          `FreeBlocks`, `LastBlocks`, `UploadQueue`, `Strikes`
//! Emits:   cancels of blocks that came from another peer, rejects
//! Cadence: every tick
//! Spec:    BEP 3, BEP 6, BEP 9 (by `metadata`), BEP 10, BEP 21, BEP 54

mod apply_haves;
mod close_lost_peers;
mod copies;
mod queue_requests;
mod read_extensions;
mod settle_requests;
#[cfg(test)]
mod tests;

use bevy_ecs::prelude::*;

pub(crate) use copies::{count_copies, forget_copies};
pub(crate) use settle_requests::request_of;

use crate::schedule::TickSet;

pub(crate) fn plugin(schedule: &mut Schedule) {
    schedule.add_systems(
        (
            crate::journal::log_received,
            read_extensions::read_extensions,
            crate::metadata::exchange_metadata,
            apply_haves::apply_haves,
            settle_requests::settle_requests,
            queue_requests::queue_requests,
            queue_requests::note_sent,
            close_lost_peers::close_lost_peers,
        )
            .chain()
            .in_set(TickSet::Receive),
    );
}
