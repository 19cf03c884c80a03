//! Engine time, and what waits for it.

use std::collections::BTreeSet;

use bevy_ecs::prelude::Resource;
use dunlin_base::{EngineTime, TorrentKey};

/// The instant of the present tick, given by the clock port.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Now(pub EngineTime);

/// The earliest instant at which a system wants to run again though no port has anything.
#[derive(Resource, Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Wake(EngineTime);

impl Default for Wake {
    fn default() -> Self {
        Self(EngineTime::NEVER)
    }
}

impl Wake {
    /// Asks for a tick at `at` or before.
    pub fn by(&mut self, at: EngineTime) {
        self.0 = self.0.min(at);
    }

    /// When the next tick is due.
    #[must_use]
    pub const fn at(&self) -> EngineTime {
        self.0
    }
}

/// What a torrent's timer is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TimerKind {
    /// A candidate address may be tried again.
    Connect,
    /// A tracker may be asked.
    Announce,
    /// What was written is to be committed.
    Commit,
    /// A torrent that its surroundings stopped tries again.
    Retry,
    /// Metadata may be asked for again, or sent on.
    Metadata,
    /// A super-seed looks whether anything leaves.
    Show,
    /// A download looks whether its neighbours have anything for it.
    LookAround,
}

/// Timers of torrents: an idle torrent costs nothing until its time comes.
#[derive(Resource, Default, Hash, Debug)]
pub struct Timers {
    due: BTreeSet<(EngineTime, TorrentKey, TimerKind)>,
}

impl Timers {
    /// Sets a timer; several of one kind may be set, a reader checks whether it is still meant.
    pub fn set(&mut self, at: EngineTime, torrent: TorrentKey, kind: TimerKind) {
        if at != EngineTime::NEVER {
            self.due.insert((at, torrent, kind));
        }
    }

    /// Takes the earliest timer that is due at `now`.
    pub fn pop(&mut self, now: EngineTime) -> Option<(TorrentKey, TimerKind)> {
        let &(at, torrent, kind) = self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        Some((torrent, kind))
    }

    /// When the next timer is due.
    #[must_use]
    pub fn next(&self) -> EngineTime {
        self.due.first().map_or(EngineTime::NEVER, |&(at, ..)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_in_order_and_not_before_their_time() {
        let mut timers = Timers::default();
        timers.set(EngineTime::from_secs(2), TorrentKey(1), TimerKind::Connect);
        timers.set(EngineTime::from_secs(1), TorrentKey(2), TimerKind::Announce);
        timers.set(EngineTime::NEVER, TorrentKey(3), TimerKind::Retry);
        assert_eq!(timers.pop(EngineTime::START), None);
        assert_eq!(timers.next(), EngineTime::from_secs(1));
        let now = EngineTime::from_secs(9);
        assert_eq!(timers.pop(now), Some((TorrentKey(2), TimerKind::Announce)));
        assert_eq!(timers.pop(now), Some((TorrentKey(1), TimerKind::Connect)));
        assert_eq!(timers.pop(now), None);
    }
}
