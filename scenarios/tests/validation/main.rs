//! What the literature says of swarms, and whether simulated ones do it. Expectations with their
//! sources are in the scenario files.

use core::ops::ControlFlow;
use std::path::Path;

use dunlin_scenarios::outcome::RunRecord;
use dunlin_scenarios::run::run;
use dunlin_scenarios::schema::{Override, Scenario};
use dunlin_scenarios::summary::Summary;

fn simulate(file: &str, overrides: &[&str]) -> (Scenario, RunRecord) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let overrides: Vec<Override> = overrides
        .iter()
        .map(|text| text.parse().expect("an override"))
        .collect();
    let scenario = Scenario::load(&path, &overrides).expect("a scenario that is shipped");
    let record = run(&scenario, &mut |_| ControlFlow::Continue(())).expect("nobody stops it");
    (scenario, record)
}

/// Runs a shipped scenario and asserts all that it expects.
fn meets(file: &str) {
    let (scenario, record) = simulate(file, &[]);
    let verdicts = Summary::new(&record, &scenario).verdicts(&record, &scenario);
    assert!(
        verdicts.iter().all(|verdict| verdict.met),
        "{file}: {verdicts:#?}"
    );
}

#[test]
fn a_swarm_bound_by_its_uplinks_is_near_the_minimum_distribution_time() {
    meets("kr-upload-bound.ron");
}

#[test]
fn a_swarm_bound_by_its_seed_is_done_when_the_seed_has_sent_about_two_copies() {
    meets("kr-seed-bound.ron");
}

#[test]
fn a_swarm_bound_by_its_downlinks_is_near_the_minimum_distribution_time() {
    meets("kr-download-bound.ron");
}

#[test]
fn a_swarm_of_two_classes_is_near_the_minimum_distribution_time() {
    meets("kr-two-classes.ron");
}

/// Rao, Legout and Dabbous (2010): round trips of up to 400 ms cost less than 15 % where uplinks
/// bind.
#[test]
fn distance_hardly_matters() {
    let mean = |rtt: &str| {
        let (scenario, record) = simulate(
            "kr-upload-bound.ron",
            &[rtt, "classes.leech.count=40", "content.size=25MiB"],
        );
        let times = Summary::new(&record, &scenario).times;
        times.mean.expect("all are complete")
    };
    let (near, far) = (mean("rtt=Uniform(\"1ms\")"), mean("rtt=Uniform(\"400ms\")"));
    assert!(far < near * 1.15, "{near} s near by, {far} s far away");
}
