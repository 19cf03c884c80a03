//! What viewers see: a copy of the tables, and why a torrent is as fast as it is.
//!
//! Reads:   everything
//! Writes:  nothing
//! Emits:   nothing; the snapshot is the answer
//! Cadence: when a viewer asks, never by itself
//! Spec:    none; client names after the conventions of BEP 20

mod changes;
mod client;
mod digest;
mod metadata;
mod peers;
mod progress;
mod relations;
mod snapshot;
#[cfg(test)]
mod tests;
mod why;

pub use changes::Mark;
pub(crate) use changes::changes;
pub(crate) use client::name as client_name;
pub use digest::{RowDigest, TABLES};
pub(crate) use digest::{digest, rows, table_digests};
pub use relations::Relation;
pub(crate) use relations::relations;
pub(crate) use snapshot::snapshot;

use bevy_ecs::prelude::*;

/// Nothing is scheduled: a look costs something only when somebody looks.
pub(crate) fn plugin(_schedule: &mut Schedule) {}
