//! How near simulated swarms come to real ones: the same scenario file drives processes in network namespaces and the
//! simulation, and their completion times are compared. `benches/README.md` has what came out.
//!
//! One small case runs with all tests. `DUNLIN_FIDELITY=all cargo test --test live fidelity::campaign -- --nocapture`
//! runs every case and prints the tables; `DUNLIN_FIDELITY=own` those without `tc`, and so on by the beginning of names.

mod compare;
mod real;

use dunlin_scenarios::run::run;
use dunlin_scenarios::schema::{Override, Scenario};

use compare::{Outcome, error_percent, rank_correlation};
use real::{Shaping, run_for_real};

use crate::peers::{Client, dunlin};
use crate::support::lab::{Lab, find_program, skip};

const SWARM: &str = include_str!("swarm.ron");

/// Simulated seeds of a case. One real run costs as much time as thousands of them.
const SEEDS: u64 = 15;

/// Real runs that are begun before one without a pause of the machine is given up.
const TRIES: u32 = 8;

/// A swarm that is run both ways.
struct Case {
    name: &'static str,
    shaping: Shaping,
    /// What it makes of `swarm.ron`.
    set: &'static [&'static str],
}

const fn case(name: &'static str, shaping: Shaping, set: &'static [&'static str]) -> Case {
    Case { name, shaping, set }
}

const TWO_CLASSES: &str = r#"classes=[
    (name: "seed", role: Seed, count: 1, up: "1600kbit", down: "1600kbit"),
    (name: "slow", role: Leech, count: 6, up: "400kbit", down: "3200kbit"),
    (name: "fast", role: Leech, count: 6, up: "1600kbit", down: "3200kbit")]"#;
const LATE: &str = r#"classes=[
    (name: "seed", role: Seed, count: 1, up: "1600kbit", down: "1600kbit"),
    (name: "early", role: Leech, count: 8, up: "800kbit", down: "3200kbit"),
    (name: "late", role: Leech, count: 4, up: "800kbit", down: "3200kbit", arrival: At("40s"))]"#;
const MIXED: &str = r#"classes=[
    (name: "seed", role: Seed, count: 1, up: "1600kbit", down: "1600kbit"),
    (name: "leech", role: Leech, count: 6, up: "800kbit", down: "3200kbit"),
    (name: "libtorrent", role: Leech, count: 6, up: "800kbit", down: "3200kbit")]"#;
const LIBTORRENT: &str = r#"classes=[
    (name: "libtorrent-seed", role: Seed, count: 1, up: "1600kbit", down: "1600kbit"),
    (name: "libtorrent", role: Leech, count: 12, up: "800kbit", down: "3200kbit")]"#;
const SLOW_SEED: &str = "classes.seed.up=400kbit";
const MANY: &str = "classes.leech.count=39";

/// Swarms whose absolute times are compared.
const CASES: [Case; 11] = [
    case("own/alike", Shaping::OwnLimits, &[]),
    case("own/two classes", Shaping::OwnLimits, &[TWO_CLASSES]),
    case("own/slow seed", Shaping::OwnLimits, &[SLOW_SEED]),
    case("own/late", Shaping::OwnLimits, &[LATE]),
    case("own/forty", Shaping::OwnLimits, &[MANY]),
    case("own/half libtorrent", Shaping::OwnLimits, &[MIXED]),
    case("own/all libtorrent", Shaping::OwnLimits, &[LIBTORRENT]),
    case("tbf/alike", Shaping::TokenBucket, &[]),
    case("tbf/two classes", Shaping::TokenBucket, &[TWO_CLASSES]),
    case("tbf/half libtorrent", Shaping::TokenBucket, &[MIXED]),
    case("tbf/all libtorrent", Shaping::TokenBucket, &[LIBTORRENT]),
];

/// Strategies of all nodes, which are put in order by both.
const STRATEGIES: [Case; 6] = [
    case("rank/default", Shaping::OwnLimits, &["strategy=()"]),
    case(
        "rank/1 slot",
        Shaping::OwnLimits,
        &["strategy=(slots: Fixed(1))"],
    ),
    case(
        "rank/4 slots",
        Shaping::OwnLimits,
        &["strategy=(slots: Fixed(4))"],
    ),
    case(
        "rank/10 slots",
        Shaping::OwnLimits,
        &["strategy=(slots: Fixed(10))"],
    ),
    case(
        "rank/sequential",
        Shaping::OwnLimits,
        &["strategy=(slots: Fixed(4), pick: Sequential)"],
    ),
    case(
        "rank/2 slots, fastest first",
        Shaping::OwnLimits,
        &["strategy=(slots: Fixed(2), seed_choke: FastestUpload, choke_interval: \"30s\")"],
    ),
];

impl Case {
    fn scenario(&self, more: &[&str]) -> Scenario {
        let set: Vec<Override> = self
            .set
            .iter()
            .chain(more)
            .map(|text| text.parse().expect("path=value"))
            .collect();
        Scenario::parse("swarm.ron", SWARM, &set).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Runs it both ways and prints how far they are apart; `None` where there can be no lab.
    fn compare(&self, more: &[&str]) -> Option<[Outcome; 2]> {
        let scenario = self.scenario(more);
        let mut real = None;
        for _ in 0..TRIES {
            real = run_for_real(&Lab::open()?, &scenario, self.shaping);
            if real.is_some() {
                break;
            }
            eprintln!("{}: the machine stood still, once more", self.name);
        }
        let real = real.unwrap_or_else(|| panic!("the machine stood still in {TRIES} runs"));
        let real = Outcome::of(&scenario, [real]);
        let simulated = (0..SEEDS).map(|seed| {
            let mut scenario = scenario.clone();
            scenario.rng_seed += seed;
            run(&scenario, &mut |_| core::ops::ControlFlow::Continue(()))
                .unwrap_or_else(|error| panic!("{error}"))
        });
        let simulated = Outcome::of(&scenario, simulated.map(|record| compare::times(&record)));
        eprintln!("{}", compare::table(self.name, &real, &simulated));
        Some([real, simulated])
    }
}

/// Whether everything is here that real swarms need.
fn can_run() -> bool {
    let tc = find_program("tc").is_some();
    if !tc {
        skip("tc not found");
    }
    tc && Client::Libtorrent.find().is_some() && dunlin::program().is_some()
}

/// Which of two strategies is the better one is as simulated. How near the times are is printed and not asserted: they
/// are not yet as near as they should be (see `benches/README.md`).
#[test]
fn the_better_strategy_is_as_simulated() {
    if !can_run() {
        return;
    }
    let small = ["content.size=3MiB", "classes.leech.count=8"];
    let [good, bad] = [&STRATEGIES[2], &STRATEGIES[4]];
    let both = std::thread::scope(|scope| {
        let run = |case: &'static Case| scope.spawn(move || case.compare(&small));
        [run(good), run(bad)].map(|thread| thread.join().expect("a comparison"))
    });
    let [
        Some([good_real, good_simulated]),
        Some([bad_real, bad_simulated]),
    ] = both
    else {
        return;
    };
    assert!(good_simulated.mean < bad_simulated.mean && good_real.mean < bad_real.mean);
}

#[test]
fn campaign() {
    // Half an hour of real time: only when it is asked for.
    let Some(wanted) = std::env::var("DUNLIN_FIDELITY").ok() else {
        return;
    };
    let is_wanted = |case: &&Case| wanted == "all" || case.name.starts_with(&wanted);
    if !can_run() {
        return;
    }
    let mut errors: Vec<f64> = Vec::new();
    for case in CASES.iter().filter(is_wanted) {
        let Some([real, simulated]) = case.compare(&[]) else {
            return;
        };
        errors.push(error_percent(real.median, simulated.median));
    }
    if !errors.is_empty() {
        let mut sizes: Vec<f64> = errors.iter().map(|error| error.abs()).collect();
        sizes.sort_by(f64::total_cmp);
        eprintln!(
            "median error of the median: {:.1} %",
            sizes[sizes.len() / 2]
        );
    }
    let mut means: Vec<[f64; 2]> = Vec::new();
    for case in STRATEGIES.iter().filter(is_wanted) {
        let Some(outcomes) = case.compare(&[]) else {
            return;
        };
        means.push(outcomes.map(|outcome| outcome.mean));
    }
    if means.len() > 2 {
        eprintln!(
            "rank correlation (Spearman): {:.2}",
            rank_correlation(&means)
        );
    }
}
