//! What the literature says of swarms, and whether simulated ones do it. Expectations with their
//! sources are in the scenario files.

use core::ops::ControlFlow;
use std::path::Path;

use dunlin_scenarios::outcome::RunRecord;
use dunlin_scenarios::run::{self, Observer, run_observed};
use dunlin_scenarios::schema::{Override, Scenario};
use dunlin_scenarios::summary::Summary;

mod distribution;
mod heterogeneity;
mod invariants;
mod overhead;
mod physics;
mod pieces;
mod reciprocation;
mod seeds;
mod steady_state;
mod strategic;
mod traps;

fn load(file: &str, overrides: &[&str]) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let overrides: Vec<Override> = overrides
        .iter()
        .map(|text| text.parse().expect("an override"))
        .collect();
    Scenario::load(&path, &overrides).expect("a scenario that is shipped")
}

fn run(scenario: &Scenario) -> RunRecord {
    run::run(scenario, &mut |_| ControlFlow::Continue(())).expect("nobody stops it")
}

fn simulate(file: &str, overrides: &[&str]) -> (Scenario, RunRecord) {
    let scenario = load(file, overrides);
    let record = run(&scenario);
    (scenario, record)
}

/// Runs a shipped scenario before the eyes of an observer.
fn observe(file: &str, overrides: &[&str], observer: &mut dyn Observer) -> (Scenario, RunRecord) {
    let scenario = load(file, overrides);
    let record = run_observed(&scenario, observer).expect("nobody stops it");
    (scenario, record)
}

/// Runs a shipped scenario and asserts all that it expects.
fn meets(file: &str) {
    meets_with(file, &[]);
}

/// The same with overrides.
fn meets_with(file: &str, overrides: &[&str]) {
    let (scenario, record) = simulate(file, overrides);
    let verdicts = Summary::new(&record, &scenario).verdicts(&record, &scenario);
    println!("{file} {overrides:?}: {verdicts:#?}");
    assert!(
        verdicts.iter().all(|verdict| verdict.met),
        "{file}: {verdicts:#?}"
    );
}
