//! Torrents come, open, complete, rest, stop with an error and try again, move, and go.
//!
//! Reads:   user commands, what the disk says of files
//! Writes:  Torrent rows and their indexes, `Lifecycle`, `Have`, `Wanted`, `PickOrder`, `Commit`
//! Emits:   disk commands for whole torrents, session events
//! Cadence: when something came, or a commit or retry is due
//! Spec:    DESIGN 7: no verified piece is lost or claimed twice

mod add;
mod add_magnet;
mod apply_commands;
mod commit;
mod completion;
mod files;
mod rest;
mod select;
mod stop;
#[cfg(test)]
mod tests;

use bevy_ecs::prelude::*;

pub(crate) use add::peer_buckets;
pub(crate) use add_magnet::{adopt, condemn};
pub(crate) use rest::{Stopping, close_piece, discard_piece, give_up, take_requests_back};
pub(crate) use select::apply_selection;
pub(crate) use stop::{recover, stop_torrent};

use crate::schedule::TickSet;

pub(crate) fn plugin(schedule: &mut Schedule) {
    schedule.add_systems(
        (
            apply_commands::apply_commands,
            files::settle_files,
            stop::retry_stopped,
        )
            .chain()
            .in_set(TickSet::Ingest)
            .after(crate::ingest::IngestSystems),
    );
    schedule.add_systems(
        (
            completion::settle_completion,
            commit::commit_due,
            rest::reap_closed,
            rest::say_stopped,
        )
            .chain()
            .in_set(TickSet::Observe),
    );
}
