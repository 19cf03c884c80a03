//! What holds in every run, to the byte and the microsecond: see [`crate::run`].

use core::fmt;

use dunlin_net::sim::{Breach, LineRule};
use dunlin_systems::Miscount;

use super::members::Member;
use crate::bound;
use crate::outcome::NodeOutcome;
use crate::schema::Scenario;

/// Each node's counters are looked at once in so many seconds of virtual time.
const ROUND_SECS: u32 = 600;

/// A rule that holds in every run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invariant {
    /// I1: no byte of payload goes astray, and none is there twice.
    Conservation,
    /// I2: no line carries more than its budget.
    LineBudget,
    /// I3: nobody is complete before its downlink can have carried the content.
    OwnLine,
    /// I4: a closed swarm is not faster than the minimum distribution time.
    Distribution,
    /// I5: nobody is complete before the seeds can have sent the content once.
    SeedLine,
    /// I6: counters of copies are the sums over the bits of the neighbours.
    Availability,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conservation => "I1, conservation of payload",
            Self::LineBudget => "I2, budgets of lines",
            Self::OwnLine => "I3, the time that a node's own downlink takes",
            Self::Distribution => "I4, the minimum distribution time",
            Self::SeedLine => "I5, the time that the seeds' uplinks take",
            Self::Availability => "I6, counters of copies",
        })
    }
}

/// A rule that did not hold: a fault of the program, not of the scenario.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("invariant {invariant}, does not hold at tick {tick}, node {node}: {numbers}")]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// The tick at whose end it was found.
    pub tick: u64,
    /// The node, as in [`NodeOutcome::node`].
    pub node: u32,
    /// What was found, and what should have been.
    pub numbers: String,
}

impl From<Breach> for Violation {
    fn from(breach: Breach) -> Self {
        Self {
            invariant: match breach.rule {
                LineRule::HandedOver | LineRule::Sent => Invariant::Conservation,
                LineRule::Uplink | LineRule::Downlink => Invariant::LineBudget,
            },
            tick: breach.tick,
            node: breach.node.0,
            numbers: breach.to_string(),
        }
    }
}

/// What a completion is compared with, and whose counters are looked at next.
pub(super) struct Invariants {
    content_bytes: u64,
    /// Bytes per second that the downlink of a node of each class carries.
    down: Vec<u64>,
    /// Bytes per second that the uplinks of all seeds carry.
    seeds_up: u128,
    /// The minimum distribution time, for closed swarms.
    distribution_us: Option<u64>,
    /// Leechers that will ever come.
    leechers: u32,
    /// When the first one comes.
    first_us: u64,
    completed: u32,
    next_look: u32,
}

impl Invariants {
    pub(super) fn new(scenario: &Scenario, members: &[Member]) -> Self {
        let classes = &scenario.classes;
        let up = |member: &Member| u128::from(classes[usize::from(member.plan.class)].up.0);
        let leechers = || members.iter().filter(|member| !member.plan.seed);
        Self {
            content_bytes: scenario.content.size.0,
            down: classes.iter().map(|class| class.down.0).collect(),
            seeds_up: members.iter().filter(|m| m.plan.seed).map(up).sum(),
            distribution_us: bound::of_lines(scenario),
            leechers: leechers().count() as u32,
            first_us: leechers().map(|m| m.plan.arrives_us).min().unwrap_or(0),
            completed: 0,
            next_look: 0,
        }
    }

    /// A leecher has become complete.
    pub(super) fn completed(&mut self, tick: u64, node: &NodeOutcome) -> Result<(), Violation> {
        let at_us = node.completed_us.expect("it is complete");
        self.completed += 1;
        let line = u128::from(self.down[usize::from(node.class)]);
        let own_us = at_us - node.arrived_us;
        let swarm_us = at_us - self.first_us;
        let mut checks = vec![(Invariant::OwnLine, own_us, self.carried_in_us(line))];
        if self.completed == 1 {
            let seeds_us = self.carried_in_us(self.seeds_up);
            checks.push((Invariant::SeedLine, swarm_us, seeds_us));
        }
        if self.completed == self.leechers
            && let Some(bound_us) = self.distribution_us
        {
            checks.push((Invariant::Distribution, swarm_us, bound_us));
        }
        let broken = checks.into_iter().find(|(_, took, least)| took < least);
        broken.map_or(Ok(()), |(invariant, took_us, least_us)| {
            Err(Violation {
                invariant,
                tick,
                node: node.node,
                numbers: format!("complete after {took_us} us, the least is {least_us} us"),
            })
        })
    }

    /// Whole microseconds that the content takes at so many bytes per second.
    fn carried_in_us(&self, bytes_per_sec: u128) -> u64 {
        let content = u128::from(self.content_bytes) * 1_000_000;
        let time = content.checked_div(bytes_per_sec);
        time.map_or(u64::MAX, |us| u64::try_from(us).unwrap_or(u64::MAX))
    }

    /// The nodes of `all` whose turn it is in this second.
    pub(super) fn turn(&mut self, all: u32) -> impl Iterator<Item = u32> + use<> {
        let from = self.next_look;
        self.next_look = (from + all.div_ceil(ROUND_SECS)) % all.max(1);
        let count = all.div_ceil(ROUND_SECS);
        (from..from + count).map(move |at| at % all)
    }
}

/// I6 of one node.
pub(super) fn counters(tick: u64, node: u32, miscount: Option<Miscount>) -> Result<(), Violation> {
    let Some(wrong) = miscount else { return Ok(()) };
    let Miscount { counted, there, .. } = wrong;
    let what = wrong.piece.map_or("everything".to_owned(), |piece| {
        format!("piece {}", piece.0)
    });
    Err(Violation {
        invariant: Invariant::Availability,
        tick,
        node,
        numbers: format!("it counts {counted} neighbours with {what}, {there} have it"),
    })
}

/// I1 of a node that is there and complete: what it received by its own count is the content and waste, and
/// no more than came. Some that came may have found its connection ended in that very tick.
pub(super) fn received(
    tick: u64,
    node: u32,
    came_bytes: u64,
    received_bytes: u64,
    content_bytes: u64,
    wasted_bytes: u64,
) -> Result<(), Violation> {
    if received_bytes == content_bytes + wasted_bytes && received_bytes <= came_bytes {
        return Ok(());
    }
    Err(Violation {
        invariant: Invariant::Conservation,
        tick,
        node,
        numbers: format!(
            "{came_bytes} bytes of payload came to it, it counts {received_bytes}: \
             {content_bytes} of content and {wasted_bytes} of waste"
        ),
    })
}

#[cfg(test)]
mod tests {
    use dunlin_base::{NodeKey, PieceIndex};

    use super::*;
    use crate::arrivals::population;
    use crate::schema::tests::{class, scenario};
    use crate::schema::{Rate, Role};
    use dunlin_port::config::ByteSize;

    /// 1 MB from a seed of 100 kB/s to two leechers of 100 and 200 kB/s: at least 10 s each, and the bound
    /// is 10 s too, for the leechers have lines of their own.
    fn invariants(count: u32, up: u64) -> Invariants {
        let mut small = scenario();
        small.content.size = ByteSize(1_000_000);
        small.classes = vec![
            class("seed", Role::Seed, 1),
            class("leech", Role::Leech, count),
        ];
        small.classes[0].up = Rate(100_000);
        small.classes[1].up = Rate(up);
        small.classes[1].down = Rate(200_000);
        let plans = population(&small);
        let members: Vec<Member> = plans
            .into_iter()
            .map(|plan| Member::new(plan, 4, None))
            .collect();
        Invariants::new(&small, &members)
    }

    fn node(arrived_us: u64, completed_us: u64) -> NodeOutcome {
        NodeOutcome {
            node: 1,
            class: 1,
            arrived_us,
            completed_us: Some(completed_us),
            ..NodeOutcome::default()
        }
    }

    fn broken(outcome: Result<(), Violation>) -> Option<Invariant> {
        outcome.err().map(|violation| violation.invariant)
    }

    #[test]
    fn nobody_is_faster_than_its_line() {
        let mut run = invariants(2, 100_000);
        assert_eq!(run.completed(200, &node(0, 20_000_000)), Ok(()));
        let late = run.completed(249, &node(20_000_000, 24_999_999));
        assert_eq!(broken(late.clone()), Some(Invariant::OwnLine));
        let text = "invariant I3, the time that a node's own downlink takes, does not hold at tick 249, \
             node 1: complete after 4999999 us, the least is 5000000 us";
        assert_eq!(late.unwrap_err().to_string(), text);
    }

    #[test]
    fn nobody_is_complete_before_the_seeds_sent_all() {
        let mut run = invariants(2, 100_000);
        let first = run.completed(99, &node(0, 9_999_999));
        assert_eq!(broken(first), Some(Invariant::SeedLine));
        assert_eq!(
            invariants(2, 100_000).completed(100, &node(0, 10_000_000)),
            Ok(())
        );
    }

    #[test]
    fn a_swarm_is_not_faster_than_the_bound() {
        // 100 kB/s and ten times 10 kB/s for 10 MB: 50 s.
        let last = |at_us| {
            let mut run = invariants(10, 10_000);
            for _ in 0..9 {
                assert_eq!(run.completed(100, &node(0, 10_000_000)), Ok(()));
            }
            run.completed(500, &node(0, at_us))
        };
        assert_eq!(broken(last(49_999_999)), Some(Invariant::Distribution));
        assert_eq!(last(50_000_000), Ok(()));
    }

    #[test]
    fn wrong_counters_and_books_are_found() {
        assert_eq!(counters(7, 3, None), Ok(()));
        let miscount = Miscount {
            piece: Some(PieceIndex(5)),
            counted: 2,
            there: 3,
        };
        let violation = counters(7, 3, Some(miscount)).unwrap_err();
        let text = "invariant I6, counters of copies, does not hold at tick 7, node 3: \
             it counts 2 neighbours with piece 5, 3 have it";
        assert_eq!(violation.to_string(), text);

        let count = 1_000_010;
        assert_eq!(received(7, 3, count, count, 1_000_000, 10), Ok(()));
        for (came, count) in [
            (count, count - 1),
            (count + 1, count + 1),
            (count - 1, count),
        ] {
            let outcome = received(7, 3, came, count, 1_000_000, 10);
            assert_eq!(broken(outcome), Some(Invariant::Conservation));
        }
    }

    #[test]
    fn breaches_of_lines_keep_their_numbers() {
        for (rule, invariant) in [
            (LineRule::Sent, Invariant::Conservation),
            (LineRule::HandedOver, Invariant::Conservation),
            (LineRule::Uplink, Invariant::LineBudget),
            (LineRule::Downlink, Invariant::LineBudget),
        ] {
            let violation = Violation::from(Breach {
                rule,
                tick: 17,
                node: NodeKey(3),
                found: 1201,
                expected: 1200,
            });
            assert_eq!(violation.invariant, invariant);
            assert_eq!((violation.tick, violation.node), (17, 3));
            assert!(violation.numbers.contains("1201") && violation.numbers.contains("1200"));
        }
    }

    #[test]
    fn every_node_gets_its_turn_within_ten_minutes() {
        for all in [1, 7, 599, 600, 601, 10_000] {
            let mut run = invariants(1, 1);
            let turns = (0..ROUND_SECS).flat_map(|_| run.turn(all));
            let turns: std::collections::BTreeSet<u32> = turns.collect();
            assert!(turns.into_iter().eq(0..all), "{all}");
        }
    }
}
