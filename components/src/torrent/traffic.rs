//! Payload of a torrent: rates, totals and limits.

use bevy_ecs::prelude::Component;
use dunlin_base::{RateMeter, TokenBucket};
use dunlin_port::disk::Totals;
use dunlin_port::user::TorrentLimits;

/// What moved.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Traffic {
    /// Payload from peers in this run.
    pub down: RateMeter,
    /// Payload to peers in this run.
    pub up: RateMeter,
    /// Totals of earlier runs.
    pub earlier: Totals,
    /// Bytes that came and were of no use.
    pub wasted_bytes: u64,
    /// Bytes that came and failed their hash.
    pub corrupt_bytes: u64,
}

impl Traffic {
    /// Totals of all runs. Those of earlier ones were read from a disk, which may say anything.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        let Totals {
            downloaded_bytes,
            uploaded_bytes,
        } = self.earlier;
        Totals {
            downloaded_bytes: downloaded_bytes.saturating_add(self.down.total_bytes()),
            uploaded_bytes: uploaded_bytes.saturating_add(self.up.total_bytes()),
        }
    }
}

/// What may move.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TorrentBuckets {
    /// Payload from peers.
    pub down: TokenBucket,
    /// Payload to peers.
    pub up: TokenBucket,
    /// The limits as they were set, for the peers' own buckets and the connection count.
    pub limits: TorrentLimits,
}

#[cfg(test)]
mod tests {
    use dunlin_base::EngineTime;

    use super::*;

    #[test]
    fn totals_that_no_transfer_can_reach_do_not_overflow() {
        let mut traffic = Traffic {
            earlier: Totals {
                downloaded_bytes: u64::MAX,
                uploaded_bytes: u64::MAX - 1,
            },
            ..Traffic::default()
        };
        traffic.down.add(EngineTime::START, 5);
        traffic.up.add(EngineTime::START, 5);
        let Totals {
            downloaded_bytes,
            uploaded_bytes,
        } = traffic.totals();
        assert_eq!((downloaded_bytes, uploaded_bytes), (u64::MAX, u64::MAX));
    }
}
