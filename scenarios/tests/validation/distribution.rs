//! How long it takes until all have everything, and how a swarm gets going.

use super::reciprocation::upload_bound;
use super::{meets, meets_with, simulate};
use dunlin_scenarios::summary::Summary;

#[test]
fn a_swarm_bound_by_its_uplinks_is_near_the_minimum_distribution_time() {
    let (scenario, record, _) = upload_bound();
    let verdicts = Summary::new(record, scenario).verdicts(record, scenario);
    assert!(verdicts.iter().all(|verdict| verdict.met), "{verdicts:#?}");
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

/// Yang and de Veciana (2004): while few have pieces to give, what a swarm sends grows exponentially.
#[test]
fn a_flash_crowd_serves_itself_at_an_exponential_pace() {
    // What it expects of the time after this is the time of the last completion.
    let begins = [
        "stop=At(\"80s\")",
        "expect=[Growth(fit: 0.95, min: \"3600ms\", max: \"16800ms\")]",
    ];
    meets_with("flash-crowd.ron", &begins);
}
