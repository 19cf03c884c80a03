//! Payload of a torrent: rates, totals and limits.

use bevy_ecs::prelude::Component;
use dunlin_base::{BLOCK_BYTES, EngineTime, RateMeter, TokenBucket};
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

/// What may move. Few torrents have limits of their own, so the others carry no buckets.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct TorrentBuckets(Option<Box<Limited>>);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Limited {
    down: TokenBucket,
    up: TokenBucket,
    limits: TorrentLimits,
}

impl Limited {
    fn new(limits: TorrentLimits) -> Self {
        let bucket = |rate| TokenBucket::new(rate, u64::from(BLOCK_BYTES));
        Self {
            down: bucket(limits.down_bytes_per_sec),
            up: bucket(limits.up_bytes_per_sec),
            limits,
        }
    }
}

impl TorrentBuckets {
    /// The buckets that these limits ask for.
    #[must_use]
    pub fn new(limits: TorrentLimits) -> Self {
        let any = limits != TorrentLimits::default();
        Self(any.then(|| Box::new(Limited::new(limits))))
    }

    /// The bucket of payload from peers, when there is a limit.
    pub fn down(&mut self) -> Option<&mut TokenBucket> {
        self.0.as_mut().map(|limited| &mut limited.down)
    }

    /// The bucket of payload to peers, when there is a limit.
    pub fn up(&mut self) -> Option<&mut TokenBucket> {
        self.0.as_mut().map(|limited| &mut limited.up)
    }

    /// Most connections of the torrent, where others of its node have `per_torrent`.
    #[must_use]
    pub fn connections_max(&self, per_torrent: u32) -> u32 {
        self.limits().connections.unwrap_or(per_torrent)
    }

    /// The limits as they were set, for the peers' own buckets too.
    #[must_use]
    pub fn limits(&self) -> TorrentLimits {
        self.0
            .as_ref()
            .map_or_else(TorrentLimits::default, |limited| limited.limits)
    }

    /// Changes the limits.
    pub fn set(&mut self, now: EngineTime, limits: TorrentLimits) {
        // From now on: what did not move before there was a limit is no credit.
        let unlimited = || Box::new(Limited::new(TorrentLimits::default()));
        let limited = self.0.get_or_insert_with(unlimited);
        limited.down.set_rate(now, limits.down_bytes_per_sec);
        limited.up.set_rate(now, limits.up_bytes_per_sec);
        limited.limits = limits;
        if limits == TorrentLimits::default() {
            self.0 = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torrent_without_limits_carries_no_buckets() {
        let mut buckets = TorrentBuckets::new(TorrentLimits::default());
        assert!(buckets.up().is_none() && buckets.down().is_none());
        let limits = TorrentLimits {
            up_bytes_per_sec: Some(1 << 20),
            ..TorrentLimits::default()
        };
        buckets.set(EngineTime::START, limits);
        assert_eq!(buckets.limits(), limits);
        assert_eq!(buckets.up().unwrap().rate(), Some(1 << 20));
        assert_eq!(buckets.down().unwrap().rate(), None);
        buckets.set(EngineTime::START, TorrentLimits::default());
        assert_eq!(buckets, TorrentBuckets::default());
        assert_eq!(size_of::<TorrentBuckets>(), size_of::<usize>());
    }

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
