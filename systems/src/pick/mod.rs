//! Decides what to request of whom.
//!
//! Reads:   `RemoteHave`, `PeerChoking`, `AmInterested`, `Have`, `Wanted`, `Deadlines`, `Lifecycle`
//! Writes:  `Requests`, `AllowedFast`, `Parole`, `Blocks`, `ActivePieces`, `FreeBlocks`, `LastBlocks`, `PickOrder` and
//!          what waits for it in `Availability`, `MemoryBudget`, token buckets
//! Emits:   interested, not interested, requests; cancels of a piece on parole that is taken from a slow peer
//! Cadence: peers with room in their queue; pipelines and timeouts once a second
//! Spec:    BEP 3 (rarest first, strict priority of partial pieces), BEP 6 allowed fast; pipelining
//!          after libtorrent's slow start and `request_queue_time`
//!
//! What it costs, whatever peers say and do. A request within the piece that a peer is at: a constant. Each
//! time that a queue is filled, at most: 63 pieces that get another place in the order, since their copies
//! changed; one walk over the pieces in motion that hold a block which nobody is asked for, of which there are
//! as many as the memory budget admits; 256 steps in the order of rarity for each piece that is opened; and for
//! each 1,024 of those, one step for each 64 pieces of the torrent, up to 32,768, and 1,024 pieces that are put
//! in order. Round-robin goes round once as well. Peers that have everything, rarest first or sequential, pay
//! the first step alone, and the places that changed.

mod active;
mod end_paroles;
mod fill_requests;
mod look_again;
mod motion;
pub(crate) mod policy;
mod size_pipelines;
mod tell_interest;
#[cfg(test)]
mod tests;
mod time_out_requests;
mod update_interest;

use bevy_ecs::prelude::*;

pub(crate) use fill_requests::lacking;
pub(crate) use look_again::{is_open, is_open_row, look_again};

use crate::schedule::TickSet;

pub(crate) fn plugin(schedule: &mut Schedule) {
    schedule.add_systems(
        (
            update_interest::update_interest,
            tell_interest::tell_interest,
            size_pipelines::size_pipelines,
            // Before requests time out: whom that takes a piece from does not come first in this tick.
            end_paroles::end_paroles,
            time_out_requests::time_out_requests,
            fill_requests::fill_requests,
        )
            .chain()
            .in_set(TickSet::Pick),
    );
}
