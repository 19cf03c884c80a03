//! What is to happen at which instant: arrivals, departures, faults, rows of the time series.

use core::time::Duration;
use std::collections::BTreeMap;

use dunlin_base::EngineTime;

use super::members::Member;
use crate::arrivals::OnComplete;
use crate::schema::Scenario;

/// Time between looks at share ratios and players.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When somebody last looked.
#[derive(Default)]
pub(super) struct LookedAt(EngineTime);

impl LookedAt {
    pub(super) fn elapsed_to(&mut self, now: EngineTime) -> bool {
        let due = now - self.0 >= LOOK_EVERY;
        if due {
            self.0 = now;
        }
        due
    }
}

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

/// All that is known from the start to happen.
pub(super) fn agenda(scenario: &Scenario, members: &[Member], tick_us: u64) -> Agenda {
    let mut agenda = Agenda::default();
    let to_tick = |us: u64| us.div_ceil(tick_us);
    for Member { plan, .. } in members {
        agenda.plan(to_tick(plan.arrives_us), Action::Arrive(plan.node));
        let ends = [
            (plan.abort_us, Action::GiveUp(plan.node)),
            (plan.leave_us, Action::Leave(plan.node)),
            (plan.crash_us, Action::Crash(plan.node)),
        ];
        for (at, action) in ends {
            if let Some(at) = at {
                agenda.plan(to_tick(at), action);
            }
        }
    }
    for (at, fault) in scenario.faults.iter().enumerate() {
        agenda.plan(to_tick(fault.at.0), Action::Fault(at));
    }
    agenda.plan(to_tick(scenario.record.series_every.0), Action::Sample);
    let at_ratio = |member: &Member| matches!(member.plan.on_complete, OnComplete::LeaveAtRatio(_));
    if members
        .iter()
        .any(|member| member.playback.is_some() || at_ratio(member))
    {
        agenda.plan(to_tick(LOOK_EVERY.as_micros() as u64), Action::Look);
    }
    agenda
}
