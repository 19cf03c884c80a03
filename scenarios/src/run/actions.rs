//! What is to happen at which instant: arrivals, departures, faults, rows of the time series.

use std::collections::BTreeMap;

/// Something that is to happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    /// A node comes.
    Arrive(u32),
    /// A node leaves.
    Leave(u32),
    /// A node leaves unless it is complete.
    GiveUp(u32),
    /// A node disappears without a word.
    Crash(u32),
    /// A fault of the scenario, by index.
    Fault(usize),
    /// What a fault slowed down is as before.
    Recover(usize),
    /// A row of the time series.
    Sample,
    /// A look at players and share ratios.
    Look,
}

/// Actions by the tick at which they are due, in the order in which they were planned.
#[derive(Default)]
pub(super) struct Agenda {
    due: BTreeMap<(u64, u64), Action>,
    planned: u64,
}

impl Agenda {
    pub(super) fn plan(&mut self, tick: u64, action: Action) {
        self.due.insert((tick, self.planned), action);
        self.planned += 1;
    }

    /// Takes the next action that is due at `tick`.
    pub(super) fn take(&mut self, tick: u64) -> Option<Action> {
        let first = self.due.first_entry()?;
        (first.key().0 <= tick).then(|| first.remove())
    }

    pub(super) fn next_tick(&self) -> Option<u64> {
        self.due.first_key_value().map(|((tick, _), _)| *tick)
    }
}
