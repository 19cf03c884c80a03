//! Which part to ask for, and which copy makes room for another: pure functions.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use dunlin_base::EngineTime;
use dunlin_base::limits::METADATA_COPIES_BYTES_MAX;
use dunlin_components::torrent::{CopyKey, MetadataCopy};

/// Peers that are asked for the same part at a time: most metadata has few parts, and who answers
/// first is not known.
const ASKERS_MAX: u32 = 3;
/// What a copy may take before it has to make room for others, whatever its length.
const PATIENCE: Duration = Duration::from_secs(30);
/// And for each so many bytes a second on top.
const PATIENCE_BYTES_PER_SEC: u64 = 64 * 1024;

/// The next part to ask a peer for: of those that are missing, which it is not asked for, the one
/// that fewest are asked for.
pub(super) fn next_part(
    copy: &MetadataCopy,
    askers: &BTreeMap<u32, u32>,
    asked: &BTreeMap<u32, EngineTime>,
) -> Option<u32> {
    let count = |part: &u32| askers.get(part).copied().unwrap_or(0);
    copy.missing()
        .filter(|part| !asked.contains_key(part) && count(part) < ASKERS_MAX)
        .min_by_key(|part| (count(part), *part))
}

/// What happens when a copy is to be begun.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Room {
    /// It can be begun.
    There,
    /// These have to go first.
    After(Vec<CopyKey>),
    /// It has to wait.
    None,
}

/// Whether there is room for a copy of `size` bytes beside the others, of which those in `busy` are
/// being sent. Each counts with the length that was claimed. Room is made by copies that nobody sends,
/// then by those that take too long, so that peers which send a drop now and then hold up nobody.
pub(super) fn room_for(
    size: u32,
    copies: &BTreeMap<CopyKey, MetadataCopy>,
    busy: &BTreeSet<CopyKey>,
    now: EngineTime,
) -> Room {
    let held: u64 = copies.keys().map(|key| u64::from(key.size)).sum();
    let mut excess = (held + u64::from(size)).saturating_sub(METADATA_COPIES_BYTES_MAX);
    if excess == 0 {
        return Room::There;
    }
    let is_late = |key: &CopyKey, copy: &MetadataCopy| {
        let more = Duration::from_secs(u64::from(key.size) / PATIENCE_BYTES_PER_SEC);
        now.since(copy.started_at) > PATIENCE + more
    };
    let mut may_go: Vec<_> = copies
        .iter()
        .filter(|(key, copy)| !busy.contains(key) || is_late(key, copy))
        .collect();
    may_go.sort_by_key(|(key, copy)| (busy.contains(key), copy.started_at, **key));
    let mut going = Vec::new();
    for (key, _) in may_go {
        if excess == 0 {
            break;
        }
        excess = excess.saturating_sub(u64::from(key.size));
        going.push(*key);
    }
    if excess == 0 {
        Room::After(going)
    } else {
        Room::None
    }
}

#[cfg(test)]
mod tests {
    use dunlin_base::PeerKey;

    use super::*;

    const BIG: u32 = 10 << 20;

    fn key(n: u64) -> CopyKey {
        CopyKey {
            size: BIG,
            only: Some(PeerKey::outgoing(n)),
        }
    }

    #[test]
    fn parts_are_spread_and_asked_for_thrice_at_most() {
        let copy = MetadataCopy::new(40_000, EngineTime::START);
        let asked = |parts: &[u32]| {
            parts
                .iter()
                .map(|part| (*part, EngineTime::START))
                .collect()
        };
        for (askers, own, next) in [
            (&[][..], &[][..], Some(0)),
            (&[(0, 1)], &[], Some(1)),
            (&[(0, 2), (1, 1), (2, 1)], &[], Some(1)),
            (&[(0, 2), (1, 1), (2, 1)], &[1], Some(2)),
            (&[(0, 2), (1, 3), (2, 3)], &[], Some(0)),
            (&[(0, 3), (1, 3), (2, 3)], &[], None),
            (&[], &[0, 1, 2], None),
        ] {
            let askers = askers.iter().copied().collect();
            assert_eq!(next_part(&copy, &askers, &asked(own)), next);
        }
    }

    #[test]
    fn room_is_made_by_the_idle_and_then_by_the_late() {
        let start = EngineTime::from_secs(100);
        let copy = |_| MetadataCopy::new(BIG, start);
        let copies: BTreeMap<_, _> = (1..4).map(|n| (key(n), copy(n))).collect();
        let busy = |all: &[u64]| all.iter().map(|n| key(*n)).collect();
        let soon = start + Duration::from_secs(100);
        let late = start + Duration::from_secs(191);
        assert_eq!(room_for(2 << 20, &copies, &busy(&[]), soon), Room::There);
        for (busy_ones, now, room) in [
            (&[1, 2, 3][..], soon, Room::None),
            (&[1, 3], soon, Room::After(vec![key(2)])),
            (&[1, 2, 3], late, Room::After(vec![key(1)])),
            (&[1, 2], late, Room::After(vec![key(3)])),
        ] {
            assert_eq!(room_for(BIG, &copies, &busy(busy_ones), now), room);
        }
    }
}
