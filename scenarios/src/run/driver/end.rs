//! The end of a run: its last checks, and its record.

use dunlin_base::{NodeKey, TorrentKey};

use super::super::invariants::{Violation, counters, received};
use super::super::members::Presence;
use super::Run;
use crate::bound;
use crate::outcome::RunRecord;

impl Run<'_> {
    /// Keeps the first violation.
    pub(super) fn note(&mut self, outcome: Result<(), Violation>) {
        if let Err(violation) = outcome {
            self.violation.get_or_insert(violation);
        }
    }

    /// Compares a node's counters of copies with the bits of its neighbours.
    pub(super) fn count_copies(&mut self, node: u32) {
        let miscount = self.engine.miscount(TorrentKey(node));
        self.note(counters(self.ports.tick(), node, miscount));
    }

    /// Writes up what is open, and checks what can be checked at the end alone.
    pub(super) fn close(&mut self) {
        self.sample();
        self.ports.close_books();
        if let Some(breach) = self.ports.astray() {
            self.note(Err(breach.into()));
        }
        for node in 0..self.members.len() as u32 {
            self.count_copies(node);
            if !self.members[node as usize].is_present() {
                continue;
            }
            let waste = self.waste_of(node);
            let came = self.ports.books().received(NodeKey(node)).iter().sum();
            let counted = self.engine.received_bytes(TorrentKey(node));
            let member = &mut self.members[node as usize];
            member.outcome.wasted_bytes = waste;
            if member.have.is_full() && !member.plan.seed {
                let content = self.scenario.content.size.0;
                let (tick, counted) = (self.ports.tick(), counted.unwrap_or(0));
                self.note(received(tick, node, came, counted, content, waste));
            }
        }
    }

    pub(super) fn finish(mut self) -> RunRecord {
        let digest = self.engine.digest();
        let books = self.ports.books();
        let came = self
            .members
            .into_iter()
            .filter(|member| member.presence != Presence::Expected);
        let nodes = came.map(|member| {
            let key = NodeKey(member.plan.node);
            let mut outcome = member.outcome;
            outcome.down_from_class = books.received(key).to_vec();
            outcome.down_bytes = outcome.down_from_class.iter().sum();
            outcome.up_bytes = books.sent(key);
            outcome.control_bytes_up = books.control_sent(key);
            outcome
        });
        RunRecord {
            scenario: self.scenario.to_ron(),
            name: self.scenario.name.clone(),
            seed: self.scenario.rng_seed,
            digest,
            ticks: self.ticks,
            virtual_us: self.ports.tick() * self.tick_us,
            nodes: nodes.collect(),
            series: self.series,
            classes: self
                .scenario
                .classes
                .iter()
                .map(|class| class.name.clone())
                .collect(),
            unchoke_us: books
                .unchoked_nanos()
                .map(|row| row.iter().map(|nanos| nanos / 1000).collect())
                .collect(),
            bound_us: bound::of_scenario(self.scenario),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::ops::ControlFlow;
    use std::path::Path;

    use super::*;
    use crate::run::invariants::{Invariant, Invariants};
    use crate::run::{RunError, run};
    use crate::schema::{Override, Scenario};

    fn minimal(overrides: &[&str]) -> Scenario {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("minimal.ron");
        let overrides: Result<Vec<Override>, _> =
            overrides.iter().map(|text| text.parse()).collect();
        Scenario::load(&path, &overrides.expect("overrides")).expect("it is shipped")
    }

    /// A run whose lines are faster than its invariants say.
    #[test]
    fn a_run_ends_with_the_first_rule_that_does_not_hold() {
        let scenario = minimal(&["content.size=1MiB"]);
        let go_on = &mut |_: &_| ControlFlow::Continue(());
        assert!(run(&scenario, go_on).is_ok());
        let believed = minimal(&["content.size=1MiB", "classes.leech.down=100kbit"]);
        let mut wrong = Run::new(&scenario).expect("a scenario that is shipped");
        wrong.invariants = Invariants::new(&believed, &wrong.members);
        let Err(RunError::Violation(violation)) = wrong.drive(go_on) else {
            panic!("it came to its end");
        };
        assert_eq!(violation.invariant, Invariant::OwnLine);
        assert!(violation.tick > 0 && violation.node > 0, "{violation:?}");
    }
}
