//! Decides what to request of whom.
//!
//! Reads:   `RemoteHave`, `PeerChoking`, `AmInterested`, `Have`, `Wanted`, `PickOrder`, `Deadlines`
//! Writes:  `Requests`, `Blocks`, `ActivePieces`, `PickOrder`, `MemoryBudget`, token buckets
//! Emits:   interested, not interested, requests
//! Cadence: peers with room in their queue; pipelines and timeouts once a second
//! Spec:    BEP 3 (rarest first, strict priority of partial pieces), BEP 6 allowed fast; pipelining
//!          after libtorrent's slow start and `request_queue_time`

mod active;
mod fill_requests;
pub(crate) mod policy;
mod size_pipelines;
mod tell_interest;
#[cfg(test)]
mod tests;
mod time_out_requests;
mod update_interest;

use bevy_ecs::prelude::*;

pub(crate) use fill_requests::lacking;

use crate::schedule::TickSet;

pub(crate) fn plugin(schedule: &mut Schedule) {
    schedule.add_systems(
        (
            update_interest::update_interest,
            tell_interest::tell_interest,
            size_pipelines::size_pipelines,
            time_out_requests::time_out_requests,
            fill_requests::fill_requests,
        )
            .chain()
            .in_set(TickSet::Pick),
    );
}
