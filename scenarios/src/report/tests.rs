//! Pages of runs, made up and small.

use super::*;
use crate::summary::Summary;
use crate::summary::tests::record;

fn run() -> Run {
    let (record, scenario) = record();
    Run {
        summary: Summary::new(&record, &scenario),
        record,
        scenario,
    }
}

#[test]
fn one_run_has_all_its_charts() {
    let page = html(&[run()]).unwrap();
    assert_eq!(page.matches("class=\"chart\"").count(), 5);
    for text in [
        "Kumar-Ross bound",
        "leechers complete, %",
        "download time, s",
        "copies of a piece",
        "gives to",
        "choke.optimistic-interval-secs",
        "tracker_want: 50",
        "100.0 %",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(
        !page.contains("http://")
            || page.matches("http").count() == page.matches("http://www.w3.org/2000/svg").count()
    );
}

#[test]
fn nothing_in_a_scenario_gets_into_the_markup() {
    let mut run = run();
    run.scenario.about = "<script>alert('x')</script>".to_owned();
    run.record.scenario = run.scenario.to_ron();
    run.record.name = "a<b".to_owned();
    run.summary.classes[1].name = "<i>\"&".to_owned();
    run.record.classes[1] = "<i>\"&".to_owned();
    let page = html(&[run.clone(), run]).unwrap();
    assert!(
        !page.contains("<script") && !page.contains("<i>") && !page.contains("a<b"),
        "{page}"
    );
    assert!(page.contains("&lt;script&gt;"));
}

/// The made-up run with values of its own.
fn varied(seed: u64, set: &[&str]) -> Run {
    let mut run = run();
    let set: Vec<_> = set.iter().map(|text| text.parse().unwrap()).collect();
    run.scenario = run.scenario.with(&set).unwrap();
    run.record.seed = seed;
    run
}

#[test]
fn variants_are_compared_over_their_seeds() {
    let mut runs = Vec::new();
    for slots in ["strategy.slots=Fixed(2)", "strategy.slots=Fixed(4)"] {
        runs.extend([1, 2].map(|seed| varied(seed, &[slots])));
    }
    // The first is slower by 10 s with one of its seeds.
    runs[0].record.nodes[1].completed_us = Some(20_000_000);
    runs[0].summary = Summary::new(&runs[0].record, &runs[0].scenario);
    let variants = compare::variants(&runs);
    let names: Vec<&str> = variants
        .iter()
        .map(|variant| variant.name.as_str())
        .collect();
    assert_eq!(names, ["slots Fixed(2)", "slots Fixed(4)"]);

    let page = html(&runs).unwrap();
    // Three charts for all, five for each run.
    assert_eq!(page.matches("class=\"chart\"").count(), 3 + 4 * 5);
    assert!(
        page.contains("<td>slots Fixed(2)</td><td>2</td><td>6 of 8</td>"),
        "{page}"
    );
    assert!(page.contains("<td>23.3 to 26.7</td>"));
    assert!(page.contains("<summary>slots Fixed(4), seed 2</summary>"));
}

#[test]
fn names_of_variants_are_as_long_as_needed() {
    let names = |runs: &[Run]| -> Vec<String> {
        compare::variants(runs)
            .into_iter()
            .map(|variant| variant.name)
            .collect()
    };
    let seeds = [varied(1, &[]), varied(2, &[])];
    assert_eq!(names(&seeds), ["minimal"]);
    let two = [
        varied(1, &["classes.leech.up=1Mbit", "classes.seed.up=2Mbit"]),
        varied(1, &["classes.leech.up=3Mbit", "classes.seed.up=4Mbit"]),
    ];
    assert!(names(&two).contains(&"classes.leech.up 3Mbit, classes.seed.up 4Mbit".to_owned()));
    let many = vec![varied(1, &[]); SHOWN_RUNS_MAX + 3];
    assert!(html(&many).unwrap().contains("3 more runs"));
    let variants: Vec<Run> = (1..=15)
        .map(|slots| varied(1, &[&format!("strategy.slots=Fixed({slots})")]))
        .collect();
    assert!(html(&variants).unwrap().contains("the 10 of 15 variants"));
}

#[test]
fn a_run_without_anything_is_drawn_too() {
    let mut run = run();
    run.record.nodes.clear();
    run.record.series.clear();
    run.record.bound_us = None;
    run.summary = Summary::new(&run.record, &run.scenario);
    assert!(html(&[run]).unwrap().contains("–"));
}
