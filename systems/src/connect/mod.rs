//! Decides whom to connect to and which connections to keep.
//!
//! Reads:   candidates, limits, bans, handshakes
//! Writes:  Peer rows and their indexes, `Connections`, `Candidates`
//! Emits:   connects, handshakes, our first words, closes
//! Cadence: when something came or a torrent has an address to try; downloads look around every half minute
//! Spec:    BEP 3 handshake, BEP 6 first messages, BEP 9 offer, BEP 10 handshake, BEP 21 seeds drop seeds

mod accept;
mod connect_candidates;
mod drop_peer;
mod greet;
mod look_around;
mod settle_connections;
#[cfg(test)]
mod tests;

use bevy_ecs::prelude::*;

pub(crate) use drop_peer::{Drop, ban, drop_peer, release_piece, release_requests};
pub(crate) use greet::{
    ALLOWED_FAST_PIECES, DONT_HAVE_ID, UPLOAD_ONLY_ID, UT_METADATA_ID, extension_handshake,
};
pub(crate) use look_around::watch;

use crate::schedule::TickSet;

pub(crate) fn plugin(schedule: &mut Schedule) {
    schedule.add_systems(
        (
            settle_connections::settle_connections,
            look_around::look_around,
            connect_candidates::connect_candidates,
        )
            .chain()
            .in_set(TickSet::Connect),
    );
}
