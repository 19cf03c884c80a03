//! When nodes come and how long they stay, drawn in integers.
//!
//! The logarithms of the C library differ in the last bit between platforms, so exponential gaps
//! come from a logarithm in fixed point. Each class draws from streams of its own: another class,
//! or another number of nodes in it, shifts no luck but its own.

use dunlin_base::{NodeKey, RngStream, StreamName};

use crate::schema::{Arrival, Class, Micros, Permille, Role, Scenario, Span, Stay};

/// What one node will do. Instants are microseconds since the start of the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodePlan {
    /// The node's number: its index in the population.
    pub node: u32,
    /// Index into the scenario's classes.
    pub class: u16,
    /// Whether it starts with everything.
    pub seed: bool,
    /// When it comes.
    pub arrives_us: u64,
    /// When it gives up unless it is complete by then.
    pub abort_us: Option<u64>,
    /// When it leaves, complete or not.
    pub leave_us: Option<u64>,
    /// When it disappears without a word.
    pub crash_us: Option<u64>,
    /// What it does once complete.
    pub on_complete: OnComplete,
}

/// What a node does once it has everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnComplete {
    /// Goes on seeding.
    Stay,
    /// Leaves at once.
    Leave,
    /// Leaves when it has uploaded so many thousandths of the content.
    LeaveAtRatio(Permille),
    /// Leaves so many microseconds later.
    LeaveAfter(u64),
}

/// Fractional bits of the logarithm.
const LOG_BITS: u32 = 40;
/// The natural logarithm of 2 with [`LOG_BITS`] fractional bits.
const LN_2: u128 = 762_123_384_786;
/// 1 in the argument of [`negative_ln`].
const ONE: u128 = 1 << 64;

/// `-ln(x / 2^64)` with [`LOG_BITS`] fractional bits, for `x` from 1 to 2^64.
fn negative_ln(x: u128) -> u128 {
    debug_assert!((1..=ONE).contains(&x));
    let whole = x.ilog2();
    // The mantissa, in [1, 2) with 63 fractional bits; each squaring gives one bit of its logarithm.
    let mut mantissa = (x << (64 - whole)) >> 1;
    let mut log2 = u128::from(whole) << LOG_BITS;
    for bit in (0..LOG_BITS).rev() {
        mantissa = (mantissa * mantissa) >> 63;
        if mantissa >= ONE {
            mantissa >>= 1;
            log2 |= 1 << bit;
        }
    }
    (((64 << LOG_BITS) - log2) * LN_2) >> LOG_BITS
}

/// An exponential draw of mean 1 with [`LOG_BITS`] fractional bits.
fn exponential(rng: &mut RngStream) -> u128 {
    negative_ln(u128::from(rng.next_u64()) + 1)
}

/// `mean` times a draw of mean 1.
fn stretch(mean: Micros, draw: u128) -> u64 {
    u64::try_from((u128::from(mean.0) * draw) >> LOG_BITS).unwrap_or(u64::MAX)
}

/// All nodes of a scenario, class by class, each class in order of arrival.
///
/// Of open arrivals ([`Arrival::Poisson`], [`Arrival::ExpDecay`]) only those who come before the
/// end of the scenario are there.
#[must_use]
pub fn population(scenario: &Scenario) -> Vec<NodePlan> {
    let mut plans = Vec::new();
    for (index, class) in scenario.classes.iter().enumerate() {
        let mut stays = stream(scenario, index, StreamName::Stay);
        for arrives_us in arrivals(scenario, index, class) {
            let node = plans.len() as u32;
            plans.push(plan(node, index as u16, class, arrives_us, &mut stays));
        }
    }
    plans
}

fn stream(scenario: &Scenario, class: usize, name: StreamName) -> RngStream {
    RngStream::new(scenario.rng_seed, NodeKey(class as u32), name)
}

/// The instants at which the nodes of a class come, in order.
fn arrivals(scenario: &Scenario, index: usize, class: &Class) -> Vec<u64> {
    let mut rng = stream(scenario, index, StreamName::Arrive);
    let count = class.count as usize;
    let until = |until: &Option<Micros>| {
        until
            .map_or(scenario.at_most, |at| at.min(scenario.at_most))
            .0
    };
    match &class.arrival {
        Arrival::AtStart => vec![0; count],
        Arrival::At(at) => vec![at.0; count],
        Arrival::Flash { within } => {
            let mut times: Vec<u64> = (0..count).map(|_| rng.below(within.0)).collect();
            times.sort_unstable();
            times
        }
        Arrival::Poisson { every, until: end } => {
            let end = until(end);
            unit_poisson(&mut rng)
                .map(|sum| stretch(*every, sum))
                .take_while(|at| *at < end)
                .take(count)
                .collect()
        }
        Arrival::ExpDecay {
            every,
            tau,
            until: end,
        } => {
            let end = until(end);
            unit_poisson(&mut rng)
                .map_while(|sum| decayed(sum, *every, *tau))
                .take_while(|at| *at < end)
                .take(count)
                .collect()
        }
        Arrival::Trace(times) => times.iter().map(|at| at.0).collect(),
    }
}

/// The instants of a Poisson process of rate 1, with [`LOG_BITS`] fractional bits.
fn unit_poisson(rng: &mut RngStream) -> impl Iterator<Item = u128> {
    let mut sum = 0;
    core::iter::from_fn(move || {
        sum += exponential(rng);
        Some(sum)
    })
}

/// The instant at which a rate of `1 / every` that decays with `tau` has let `sum` nodes in, or
/// `None` if it never does: the inverse of `tau / every * (1 - exp(-t / tau))`.
fn decayed(sum: u128, every: Micros, tau: Micros) -> Option<u64> {
    let share = sum.checked_mul(u128::from(every.0))? / u128::from(tau.0.max(1));
    let left = (1_u128 << LOG_BITS).checked_sub(share)?;
    (left > 0).then(|| stretch(tau, negative_ln(left << (64 - LOG_BITS))))
}

fn plan(
    node: u32,
    class_index: u16,
    class: &Class,
    arrives_us: u64,
    rng: &mut RngStream,
) -> NodePlan {
    // One draw for each question, asked or not: a scenario that adds one shifts no other.
    let (stay, abort, crash) = (exponential(rng), exponential(rng), exponential(rng));
    let after =
        |span: Option<Span>, draw| span.map(|span| arrives_us.saturating_add(length(span, draw)));
    let mut leave_us = None;
    let on_complete = match class.stay {
        Stay::Forever => OnComplete::Stay,
        Stay::LeaveOnComplete => OnComplete::Leave,
        Stay::AfterRatio(ratio) => OnComplete::LeaveAtRatio(ratio),
        // Who comes with everything seeds from the start.
        Stay::SeedFor(span) if class.role == Role::Seed => {
            leave_us = after(Some(span), stay);
            OnComplete::Stay
        }
        Stay::SeedFor(span) => OnComplete::LeaveAfter(length(span, stay)),
        Stay::AfterTime(span) => {
            leave_us = after(Some(span), stay);
            OnComplete::Stay
        }
    };
    NodePlan {
        node,
        class: class_index,
        seed: class.role == Role::Seed,
        arrives_us,
        abort_us: after(class.abort, abort),
        leave_us,
        crash_us: after(class.crash, crash),
        on_complete,
    }
}

fn length(span: Span, draw: u128) -> u64 {
    match span {
        Span::Fixed(time) => time.0,
        Span::Exponential { mean } => stretch(mean, draw),
    }
}

/// Whom a fault strikes: `share` of `members`, at least one of any, in the order of `members`.
/// `fault` is the fault's index in its scenario.
#[must_use]
pub fn struck(rng_seed: u64, fault: u32, share: Permille, members: &[u32]) -> Vec<u32> {
    let wanted = (members.len() as u64 * share.0.min(1000) / 1000).max(1) as usize;
    let mut rng = RngStream::new(rng_seed, NodeKey(fault), StreamName::Fault);
    let mut order: Vec<usize> = (0..members.len()).collect();
    rng.shuffle(&mut order);
    order.truncate(wanted);
    order.sort_unstable();
    order.into_iter().map(|at| members[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::tests::{class, scenario};

    const HOUR: u64 = 3_600_000_000;

    fn times(arrival: Arrival, count: u32, seed: u64) -> Vec<u64> {
        let mut scenario = scenario();
        scenario.rng_seed = seed;
        scenario.at_most = Micros(100 * HOUR);
        scenario.classes = vec![class("one", Role::Leech, count)];
        scenario.classes[0].arrival = arrival;
        population(&scenario)
            .iter()
            .map(|plan| plan.arrives_us)
            .collect()
    }

    #[test]
    fn the_logarithm_is_right_to_ten_digits() {
        for x in [
            1,
            2,
            3,
            1 << 20,
            (1 << 63) - 1,
            1 << 63,
            (ONE / 10) * 9,
            ONE - 1,
            ONE,
        ] {
            let expected = -(x as f64 / ONE as f64).ln();
            let got = negative_ln(x) as f64 / (1_u64 << LOG_BITS) as f64;
            assert!(
                (expected - got).abs() < 1e-10,
                "{x}: {got}, expected {expected}"
            );
        }
    }

    #[test]
    fn the_first_draws_never_change() {
        // A change here changes every published result of an open scenario.
        let poisson = Arrival::Poisson {
            every: Micros(5_000_000),
            until: None,
        };
        assert_eq!(times(poisson, 3, 1), [3_213_319, 13_672_897, 19_914_894]);
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_spread_of_an_exponential() {
        let every = Micros(5_000_000);
        let times = times(Arrival::Poisson { every, until: None }, 20_000, 3);
        assert_eq!(times.len(), 20_000);
        let gaps: Vec<f64> = times
            .windows(2)
            .map(|two| (two[1] - two[0]) as f64 / 5e6)
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        let above_two = gaps.iter().filter(|gap| **gap > 2.0).count() as f64 / gaps.len() as f64;
        assert!((0.97..1.03).contains(&mean), "{mean}");
        assert!((0.92..1.08).contains(&variance), "{variance}");
        assert!((above_two - (-2_f64).exp()).abs() < 0.01, "{above_two}");
    }

    #[test]
    fn open_arrivals_end_in_time() {
        let every = Micros(1_000_000);
        let until = Some(Micros(60_000_000));
        let times = times(Arrival::Poisson { every, until }, 1_000_000, 9);
        assert!((30..100).contains(&times.len()), "{}", times.len());
        assert!(times.iter().all(|at| *at < 60_000_000));
    }

    #[test]
    fn a_decaying_rate_lets_tau_by_every_nodes_in() {
        let (every, tau) = (Micros(100_000), Micros(600_000_000));
        let times = times(
            Arrival::ExpDecay {
                every,
                tau,
                until: None,
            },
            1_000_000,
            5,
        );
        // 6000 in the mean, with a deviation of 77; half of them before tau * ln 2.
        assert!((5600..6400).contains(&times.len()), "{}", times.len());
        let half = times.iter().filter(|at| **at < 415_888_308).count() as f64;
        assert!((0.47..0.53).contains(&(half / times.len() as f64)));
        assert!(times.is_sorted());
    }

    #[test]
    fn a_flash_crowd_comes_within_its_time() {
        let times = times(
            Arrival::Flash {
                within: Micros(10_000_000),
            },
            1000,
            1,
        );
        assert_eq!(times.len(), 1000);
        assert!(times.is_sorted() && times[999] < 10_000_000 && times[0] < 100_000);
    }

    #[test]
    fn who_seeds_for_a_while_and_comes_with_everything_seeds_from_its_arrival() {
        let mut scenario = scenario();
        scenario.at_most = Micros(HOUR);
        scenario.classes = vec![class("seed", Role::Seed, 1), class("leech", Role::Leech, 1)];
        for class in &mut scenario.classes {
            class.arrival = Arrival::At(Micros(5_000_000));
            class.stay = Stay::SeedFor(Span::Fixed(Micros(60_000_000)));
        }
        let plans = population(&scenario);
        let ends: Vec<_> = plans
            .iter()
            .map(|plan| (plan.leave_us, plan.on_complete))
            .collect();
        assert_eq!(
            ends,
            [
                (Some(65_000_000), OnComplete::Stay),
                (None, OnComplete::LeaveAfter(60_000_000))
            ]
        );
    }

    #[test]
    fn classes_have_luck_of_their_own() {
        let mut two = scenario();
        two.classes = vec![class("a", Role::Seed, 1), class("b", Role::Leech, 5)];
        two.classes[1].arrival = Arrival::Flash {
            within: Micros(1_000_000),
        };
        two.classes[1].crash = Some(Span::Exponential {
            mean: Micros(1_000_000),
        });
        let before = population(&two);
        two.classes[0].count = 7;
        two.classes[1].abort = Some(Span::Exponential {
            mean: Micros(1_000_000),
        });
        let after = population(&two);
        assert_eq!(after.len(), 12);
        for (before, after) in before[1..].iter().zip(&after[7..]) {
            assert_eq!(before.arrives_us, after.arrives_us);
            assert_eq!(before.crash_us, after.crash_us);
            assert_ne!(before.abort_us, after.abort_us);
        }
        assert!(
            after
                .iter()
                .enumerate()
                .all(|(at, plan)| plan.node as usize == at)
        );
    }

    #[test]
    fn faults_strike_their_share() {
        let members: Vec<u32> = (100..200).collect();
        let some = struck(1, 0, Permille(250), &members);
        assert_eq!(some.len(), 25);
        assert!(some.is_sorted() && some.iter().all(|node| members.contains(node)));
        assert_ne!(some, struck(1, 1, Permille(250), &members));
        assert_eq!(struck(1, 0, Permille(1), &members).len(), 1);
        assert_eq!(struck(1, 0, Permille(1000), &members), members);
        assert!(struck(1, 0, Permille(500), &[]).is_empty());
    }
}
