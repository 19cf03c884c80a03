//! Hands states to the wire: state first, wire second.
//!
//! Reads:   choke flags, pieces that are on disk since this tick, silence
//! Writes:  `ChokeTold`, `UploadQueue`
//! Emits:   choke, unchoke, have, keep-alive, rejects
//! Cadence: flags and haves when they change; silence once a second
//! Spec:    BEP 3, BEP 6

mod keep_alive;
mod tell_flags;
mod tell_haves;
#[cfg(test)]
mod tests;

use bevy_ecs::prelude::*;

use crate::schedule::TickSet;

pub(crate) fn plugin(schedule: &mut Schedule) {
    schedule.add_systems(
        (
            tell_flags::tell_flags,
            tell_haves::tell_haves,
            keep_alive::keep_alive,
        )
            .chain()
            .in_set(TickSet::Emit),
    );
}
