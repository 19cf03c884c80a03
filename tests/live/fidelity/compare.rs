//! Completion times of a real and of a simulated swarm beside each other.

use core::fmt::Write as _;

use dunlin_scenarios::outcome::RunRecord;
use dunlin_scenarios::schema::{Role, Scenario};
use dunlin_scenarios::summary::statistics;

/// Seconds from a node's arrival to its completion, by the node's number; none for seeds.
pub(crate) type Times = Vec<Option<f64>>;

/// What came out of a swarm, over all its runs. Times are seconds.
pub(crate) struct Outcome {
    pub(crate) mean: f64,
    pub(crate) median: f64,
    p95: f64,
    last: f64,
    /// Least and greatest median of a run.
    spread: [f64; 2],
    /// Medians by class of leechers.
    classes: Vec<(String, f64)>,
    /// All times of leechers, sorted.
    all: Vec<f64>,
}

/// What a simulated run has of it.
pub(crate) fn times(record: &RunRecord) -> Times {
    let time = |node: &dunlin_scenarios::outcome::NodeOutcome| {
        let micros = node.completed_us?.checked_sub(node.arrived_us)?;
        Some(micros as f64 / 1e6)
    };
    record.nodes.iter().map(time).collect()
}

impl Outcome {
    pub(crate) fn of(scenario: &Scenario, runs: impl IntoIterator<Item = Times>) -> Self {
        let mut all = Vec::new();
        let mut by_class: Vec<Vec<f64>> = vec![Vec::new(); scenario.classes.len()];
        let (mut last, mut medians) = (Vec::new(), Vec::new());
        for run in runs {
            let mut run = run.into_iter();
            let mut of_run = Vec::new();
            for (class, times) in scenario.classes.iter().zip(&mut by_class) {
                for _ in 0..class.count {
                    let time = run.next().expect("a node for each of the class");
                    if class.role == Role::Leech {
                        of_run.push(time.expect("every leecher completes"));
                        times.extend(time);
                    }
                }
            }
            last.push(of_run.iter().copied().fold(0.0, f64::max));
            all.extend(&of_run);
            medians.extend(median_of(of_run));
        }
        all.sort_by(f64::total_cmp);
        let classes = scenario.classes.iter().zip(by_class);
        Self {
            mean: statistics::mean(&all).expect("leechers"),
            median: statistics::median(&all).expect("leechers"),
            p95: statistics::percentile(&all, 95).expect("leechers"),
            last: statistics::mean(&last).expect("runs"),
            spread: [
                medians.iter().copied().fold(f64::INFINITY, f64::min),
                medians.iter().copied().fold(0.0, f64::max),
            ],
            classes: classes
                .filter_map(|(class, times)| Some((class.name.clone(), median_of(times)?)))
                .collect(),
            all,
        }
    }
}

/// None of nothing.
pub(crate) fn median_of(mut times: Vec<f64>) -> Option<f64> {
    times.sort_by(f64::total_cmp);
    statistics::median(&times)
}

/// How much more the simulation says than the real swarm took.
pub(crate) fn error_percent(real: f64, simulated: f64) -> f64 {
    (simulated - real) / real * 100.0
}

/// The Kolmogorov-Smirnov distance: the widest gap between two cumulative distributions.
fn distance(one: &[f64], other: &[f64]) -> f64 {
    let share = |all: &[f64], until: f64| {
        all.partition_point(|time| *time <= until) as f64 / all.len() as f64
    };
    let gap = |at: &f64| (share(one, *at) - share(other, *at)).abs();
    one.iter().chain(other).map(gap).fold(0.0, f64::max)
}

/// A few lines for a person.
pub(crate) fn table(name: &str, real: &Outcome, simulated: &Outcome) -> String {
    let mut rows = vec![
        ("median".to_owned(), real.median, simulated.median),
        ("mean".to_owned(), real.mean, simulated.mean),
        ("p95".to_owned(), real.p95, simulated.p95),
        ("last".to_owned(), real.last, simulated.last),
    ];
    if real.classes.len() > 1 {
        for ((class, real), (_, simulated)) in real.classes.iter().zip(&simulated.classes) {
            rows.push((format!("median of {class}"), *real, *simulated));
        }
    }
    let distance = distance(&real.all, &simulated.all);
    let [[from, to], [from_simulated, to_simulated]] = [real.spread, simulated.spread];
    let mut text = format!(
        "{name}: KS distance {distance:.2}, medians of runs {from:.1} to {to:.1} s, \
         simulated {from_simulated:.1} to {to_simulated:.1} s\n"
    );
    for (what, real, simulated) in rows {
        let error = error_percent(real, simulated);
        writeln!(
            text,
            "  {what:<22} real {real:>6.1} s  simulated {simulated:>6.1} s  {error:>+6.1} %"
        )
        .expect("a string takes text");
    }
    text
}

/// Spearman's rank correlation of pairs: 1 where both put them in the same order. Equal values share their ranks.
pub(crate) fn rank_correlation(pairs: &[[f64; 2]]) -> f64 {
    let ranks = |side: usize| -> Vec<f64> {
        let rank = |value: f64| {
            let below = pairs.iter().filter(|pair| pair[side] < value).count();
            let equal = pairs.iter().filter(|pair| pair[side] == value).count();
            below as f64 + (equal as f64 + 1.0) / 2.0
        };
        pairs.iter().map(|pair| rank(pair[side])).collect()
    };
    let (one, other) = (ranks(0), ranks(1));
    let middle = (pairs.len() as f64 + 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| (a - middle) * (b - middle))
            .sum()
    };
    product(&one, &other) / (product(&one, &one) * product(&other, &other)).sqrt()
}

#[test]
fn orders_are_compared() {
    let same = [[1.0, 10.0], [2.0, 20.0], [3.0, 90.0]];
    assert!((rank_correlation(&same) - 1.0).abs() < 1e-9);
    let reversed = [[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]];
    assert!((rank_correlation(&reversed) + 1.0).abs() < 1e-9);
    // One exchange among five: 1 - 6 * 2 / (5 * 24).
    let one_off = [[1.0, 2.0], [2.0, 1.0], [3.0, 3.0], [4.0, 4.0], [5.0, 5.0]];
    assert!((rank_correlation(&one_off) - 0.9).abs() < 1e-9);
    assert!((distance(&[1.0, 2.0], &[1.0, 2.0])).abs() < 1e-9);
    assert!((distance(&[1.0, 2.0], &[3.0, 4.0]) - 1.0).abs() < 1e-9);
}
