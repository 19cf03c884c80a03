//! What systems ask memory for while they go through lists of peers: see [`look_ahead`].
//!
//! [`look_ahead`]: dunlin_base::look_ahead

use bevy_ecs::prelude::*;
use bevy_ecs::query::{QueryData, QueryFilter};
use dunlin_base::PeerKey;
use dunlin_components::world::PeerIndex;

/// Finds a row among the tables: what is asked for next lies there. Nobody uses what it finds, so without the
/// black box it would not be looked for.
pub(crate) fn find<D: QueryData, F: QueryFilter>(rows: &Query<'_, '_, D, F>, row: Entity) {
    core::hint::black_box(rows.contains(row));
}

/// Finds a peer's row, whose place in the index was asked for.
pub(crate) fn find_peer<D: QueryData, F: QueryFilter>(
    index: &PeerIndex,
    rows: &Query<'_, '_, D, F>,
    peer: PeerKey,
) {
    if let Some(row) = index.get(peer) {
        find(rows, row);
    }
}
