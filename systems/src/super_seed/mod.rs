//! Decides which pieces a super-seed shows to whom.
//!
//! Reads:   `Peers`, `RemoteHave`, `Availability`, `Traffic`
//! Writes:  `SuperSeeding` (what of it arrived, `receive` says)
//! Emits:   haves
//! Cadence: when a peer joins or gets a piece, and every second while there are peers
//! Spec:    BEP 16

mod policy;
mod show_pieces;
#[cfg(test)]
mod tests;

use bevy_ecs::prelude::*;

use crate::schedule::TickSet;

pub(crate) fn plugin(schedule: &mut Schedule) {
    schedule.add_systems(show_pieces::show_pieces.in_set(TickSet::Show));
}
