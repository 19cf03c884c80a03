//! How near simulated swarms come to real ones: the same scenario file drives processes in network namespaces and the
//! simulation, and their completion times are compared. `benches/README.md` has what came out.
//!
//! One small case runs with all tests. `DUNLIN_FIDELITY=all cargo test --test live fidelity::campaign -- --nocapture`
//! runs every case, prints the tables and asserts what is wanted, in about an hour; `DUNLIN_FIDELITY=own` runs those
//! without `tc`, and so on by the beginning of names.

mod compare;
mod real;

use dunlin_scenarios::run::run;
use dunlin_scenarios::schema::{Class, Micros, Model, Override, Role, Scenario};

use compare::{Outcome, Times, error_percent, rank_correlation};
use real::{LINE_MAX, run_for_real};

use crate::peers::{Client, dunlin};
use crate::support::lab::{Lab, find_program, skip};

const SWARM: &str = include_str!("swarm.ron");

/// Simulated runs of a case. One real run costs as much time as thousands of them.
const SIMULATED_RUNS: u64 = 15;

/// Real runs of a case: two of the same swarm differ by some 5 %.
const REAL_RUNS: u64 = 5;

/// How far the median of a single small run may be from the simulated one, percent. Six of them on a busy machine were
/// 1 to 4 % off.
const SINGLE_ERROR_MAX: f64 = 10.0;

/// Most processes of a case at a time.
const PROCESSES_MAX: u32 = 70;

/// As how many of Dunlin's a process of libtorrent counts: its Python takes long to start.
const LIBTORRENT_BURDEN: u32 = 3;

/// Real runs that are begun before one without a pause of the machine is given up.
const TRIES: u32 = 8;

/// Steps of the simulation. Nothing is far away in the lab: longer ones would be the longest delays of all.
const TICK: Micros = Micros(10_000);

/// How long the queues before lines are.
const LINE_BUFFER: Micros = Micros(250_000);

/// Who keeps a node to the rates of its class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shaping {
    /// The client itself, by its settings.
    OwnLimits,
    /// Its line.
    Lines,
}

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
    (name: "slow", role: Leech, count: 6, up: "400kbit", down: "3200kbit", arrival: Flash(within: "1s")),
    (name: "fast", role: Leech, count: 6, up: "1600kbit", down: "3200kbit", arrival: Flash(within: "1s"))]"#;
const LATE: &str = r#"classes=[
    (name: "seed", role: Seed, count: 1, up: "1600kbit", down: "1600kbit"),
    (name: "early", role: Leech, count: 8, up: "800kbit", down: "3200kbit", arrival: Flash(within: "1s")),
    (name: "late", role: Leech, count: 4, up: "800kbit", down: "3200kbit",
        arrival: Trace(["40s", "40.3s", "40.6s", "40.9s"]))]"#;
const MIXED: &str = r#"classes=[
    (name: "seed", role: Seed, count: 1, up: "1600kbit", down: "1600kbit"),
    (name: "leech", role: Leech, count: 6, up: "800kbit", down: "3200kbit", arrival: Flash(within: "1s")),
    (name: "libtorrent", role: Leech, count: 6, up: "800kbit", down: "3200kbit", arrival: Flash(within: "1s"))]"#;
const LIBTORRENT: &str = r#"classes=[
    (name: "libtorrent-seed", role: Seed, count: 1, up: "1600kbit", down: "1600kbit"),
    (name: "libtorrent", role: Leech, count: 12, up: "800kbit", down: "3200kbit", arrival: Flash(within: "1s"))]"#;
const SLOW_SEED: &str = "classes.seed.up=400kbit";
const MANY: &str = "classes.leech.count=39";

/// Swarms whose absolute times are compared.
const CASES: [Case; 14] = [
    case("own/alike", Shaping::OwnLimits, &[]),
    case("own/two classes", Shaping::OwnLimits, &[TWO_CLASSES]),
    case("own/slow seed", Shaping::OwnLimits, &[SLOW_SEED]),
    case("own/late", Shaping::OwnLimits, &[LATE]),
    case("own/forty", Shaping::OwnLimits, &[MANY]),
    case("own/half libtorrent", Shaping::OwnLimits, &[MIXED]),
    case("own/all libtorrent", Shaping::OwnLimits, &[LIBTORRENT]),
    case("tbf/alike", Shaping::Lines, &[]),
    case("tbf/two classes", Shaping::Lines, &[TWO_CLASSES]),
    case("tbf/slow seed", Shaping::Lines, &[SLOW_SEED]),
    case("tbf/late", Shaping::Lines, &[LATE]),
    case("tbf/forty", Shaping::Lines, &[MANY]),
    case("tbf/half libtorrent", Shaping::Lines, &[MIXED]),
    case("tbf/all libtorrent", Shaping::Lines, &[LIBTORRENT]),
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
    /// The scenario of a run: each has luck of its own, and the same one for real and simulated.
    fn scenario(&self, more: &[&str], run: u64) -> Scenario {
        let set: Vec<Override> = self
            .set
            .iter()
            .chain(more)
            .map(|text| text.parse().expect("path=value"))
            .collect();
        let scenario = Scenario::parse("swarm.ron", SWARM, &set);
        let mut scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
        scenario.rng_seed += run;
        for class in &mut scenario.classes {
            match self.shaping {
                Shaping::OwnLimits => {
                    class.up_limit = Some(std::mem::replace(&mut class.up, LINE_MAX));
                    let down = std::mem::replace(&mut class.down, LINE_MAX);
                    class.down_limit = (class.role == Role::Leech).then_some(down);
                }
                Shaping::Lines => class.buffer = Some(LINE_BUFFER),
            }
        }
        scenario
    }

    /// How it is simulated. Where queues and windows decide who gets what, packets are what is compared.
    fn models(&self) -> &'static [Model] {
        match self.shaping {
            Shaping::OwnLimits => &[Model::Flow { tick: TICK }],
            Shaping::Lines => &[Model::Packet { tick: TICK }, Model::Flow { tick: TICK }],
        }
    }

    /// A real run; `None` where there can be no lab.
    fn run_for_real(&self, more: &[&str], run: u64) -> Option<Times> {
        for _ in 0..TRIES {
            let times = run_for_real(&Lab::open()?, &self.scenario(more, run));
            if times.is_some() {
                return times;
            }
            eprintln!("{}: the machine stood still, once more", self.name);
        }
        panic!("the machine stood still in {TRIES} runs")
    }

    /// Real runs, as many at a time as a small machine carries.
    fn run_all_for_real(&self, more: &[&str], runs: u64) -> Option<Outcome> {
        let scenario = self.scenario(more, 0);
        let burden = |class: &Class| match class.name.starts_with("libtorrent") {
            true => LIBTORRENT_BURDEN * class.count,
            false => class.count,
        };
        let burden: u32 = scenario.classes.iter().map(burden).sum();
        let at_once = (PROCESSES_MAX / burden).max(1) as usize;
        let mut all = Vec::new();
        let numbers: Vec<u64> = (0..runs).collect();
        for numbers in numbers.chunks(at_once) {
            all.extend(std::thread::scope(|scope| {
                let begin = |&run| scope.spawn(move || self.run_for_real(more, run));
                let runs: Vec<_> = numbers.iter().map(begin).collect();
                let times = runs.into_iter().map(|run| run.join().expect("a real run"));
                times.collect::<Option<Vec<_>>>()
            })?);
        }
        Some(Outcome::of(&scenario, all))
    }

    fn simulate(&self, more: &[&str], model: Model) -> Outcome {
        let scenario = |number| Scenario {
            model,
            ..self.scenario(more, number)
        };
        let runs = (0..SIMULATED_RUNS).map(|number| {
            let watch = &mut |_: &_| core::ops::ControlFlow::Continue(());
            let record = run(&scenario(number), watch);
            compare::times(&record.unwrap_or_else(|error| panic!("{error}")))
        });
        Outcome::of(&scenario(0), runs)
    }

    /// Runs it for real and by each model, and prints how far they are apart; `None` where there can be no lab.
    fn compare(&self, more: &[&str], real_runs: u64) -> Option<(Outcome, Vec<Outcome>)> {
        let real = self.run_all_for_real(more, real_runs)?;
        let simulate = |model: &Model| {
            let simulated = self.simulate(more, *model);
            let name = format!("{} ({})", self.name, kind(*model));
            eprintln!("{}", compare::table(&name, &real, &simulated));
            simulated
        };
        let simulated = self.models().iter().map(simulate).collect();
        Some((real, simulated))
    }
}

const fn kind(model: Model) -> &'static str {
    match model {
        Model::Flow { .. } => "flows",
        Model::Packet { .. } => "packets",
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

/// How near a small swarm is, and which of two strategies is the better one. What is asserted of the times leaves room
/// for the luck of single runs; `benches/README.md` has how near they are in the mean of several.
#[test]
fn times_and_the_better_strategy_are_as_simulated() {
    if !can_run() {
        return;
    }
    let small = ["content.size=3MiB", "classes.leech.count=8"];
    let [good, bad] = [&STRATEGIES[2], &STRATEGIES[4]];
    let both = std::thread::scope(|scope| {
        let run = |case: &'static Case| scope.spawn(move || case.compare(&small, 1));
        [run(good), run(bad)].map(|thread| thread.join().expect("a comparison"))
    });
    let [Some((good_real, good)), Some((bad_real, bad))] = both else {
        return;
    };
    assert!(good[0].mean < bad[0].mean && good_real.mean < bad_real.mean);
    // Luck is greater where all want the same pieces: those runs differ by 15 %.
    let error = error_percent(good_real.median, good[0].median);
    assert!(error.abs() <= SINGLE_ERROR_MAX, "{error} %");
}

#[test]
fn campaign() {
    // An hour of real time: only when it is asked for.
    let Some(wanted) = std::env::var("DUNLIN_FIDELITY").ok() else {
        return;
    };
    let is_wanted = |case: &&Case| wanted == "all" || case.name.starts_with(&wanted);
    if !can_run() {
        return;
    }
    let mut errors: [Vec<f64>; 2] = [vec![], vec![]];
    for case in CASES.iter().filter(is_wanted) {
        let Some((real, simulated)) = case.compare(&[], REAL_RUNS) else {
            return;
        };
        let error = error_percent(real.median, simulated[0].median);
        errors[usize::from(case.shaping == Shaping::Lines)].push(error.abs());
    }
    let mut means: Vec<[f64; 2]> = Vec::new();
    for case in STRATEGIES.iter().filter(is_wanted) {
        let Some((real, simulated)) = case.compare(&[], REAL_RUNS) else {
            return;
        };
        means.push([real.mean, simulated[0].mean]);
    }
    for (errors, (shaping, max)) in errors.into_iter().zip([("own", 5.0), ("tbf", 10.0)]) {
        if let Some(error) = compare::median_of(errors) {
            eprintln!("{shaping}: median error of the median {error:.1} %");
            assert!(error <= max, "at most {max} % wanted");
        }
    }
    if means.len() == STRATEGIES.len() {
        let correlation = rank_correlation(&means);
        eprintln!("rank correlation (Spearman): {correlation:.2}");
        assert!(correlation >= 0.8, "at least 0.8 wanted");
    }
}
