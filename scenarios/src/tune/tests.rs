//! Searches on functions whose best is known, objectives, and what goes into a profile.

use super::*;
use crate::schema::{Micros, Slots, Strategy};
use crate::summary::tests::record;
use crate::sweep::{Sweep, Vary};

fn vary(texts: &[&str]) -> Vec<Vary> {
    texts
        .iter()
        .map(|text| text.parse().expect("values"))
        .collect()
}

/// The costs that a search finds, in order, where the best is 0 at (17, 5, 'b').
fn costs(seed: u64, trials: usize) -> Vec<f64> {
    let fields = vary(&["x=0..49", "y=0..19", "z=[a, b, c, d]"]);
    let mut search = Search::new(&fields, seed);
    let mut found = Vec::new();
    while found.len() < trials {
        let batch: Vec<u64> = (0..BATCH).filter_map(|_| search.ask()).collect();
        for number in batch {
            let (x, y, z) = (number / 80, number / 4 % 20, number % 4);
            let cost = x.abs_diff(17) as f64 / 50.0
                + y.abs_diff(5) as f64 / 20.0
                + if z == 1 { 0.0 } else { 0.5 };
            search.tell(number, cost);
            found.push(cost);
        }
    }
    found
}

#[test]
fn a_search_learns() {
    let mut better = 0;
    for seed in 0..10 {
        let found = costs(seed, 80);
        let best = |costs: &[f64]| costs.iter().copied().fold(f64::INFINITY, f64::min);
        let mean = |costs: &[f64]| statistics::mean(costs).expect("some");
        // Later trials are far better than those that were drawn evenly.
        assert!(mean(&found[60..]) < 0.7 * mean(&found[..10]), "{found:?}");
        better += usize::from(best(&found) <= 0.1);
    }
    // One even draw of 80 is within 0.1 of the best in about one search of three.
    assert!(better >= 7, "{better} of 10");
}

#[test]
fn a_search_repeats_itself_and_no_combination() {
    assert_eq!(costs(3, 60), costs(3, 60));
    assert_ne!(costs(3, 60), costs(4, 60));
    let mut search = Search::new(&vary(&["x=1..3", "y=[a, b]"]), 1);
    let mut all: Vec<u64> = core::iter::from_fn(|| search.ask()).collect();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn objectives_measure_a_run() {
    let (record, scenario) = record();
    let value = |name: &str| {
        let objective: Objective = name.parse().expect(name);
        assert_eq!(objective.to_string(), name);
        objective.check(&scenario).expect(name);
        objective.value(&record, &scenario)
    };
    // 10, 20 and 40 s; the fourth crashed.
    assert_eq!(value("median"), Some(20.0));
    assert_eq!(value("mean:leech"), Some(70.0 / 3.0));
    assert_eq!(value("p95"), Some(40.0));
    assert_eq!(value("last"), Some(45.0));
    assert_eq!(value("utilisation"), Some(1700.0 / 4000.0));

    let mut left = record.clone();
    left.nodes[4].crashed = false;
    let median = "median".parse::<Objective>().unwrap();
    // It gave up: as if complete at the end of the run, 45 s after it came.
    assert_eq!(median.value(&left, &scenario), Some(30.0));
}

#[test]
fn objectives_that_cannot_be_are_refused() {
    for text in ["", "fastest", "median:", "utilisation:leech", "mean :x"] {
        assert!(text.parse::<Objective>().is_err(), "{text}");
    }
    let (_, scenario) = record();
    let error = "last:seed"
        .parse::<Objective>()
        .unwrap()
        .check(&scenario)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no leechers are called `seed`: there are leech"
    );
}

fn paths(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_profile_holds_what_was_varied() {
    let base = crate::schema::tests::scenario();
    let fields = vary(&[
        "strategy.slots=[Fixed(3)]",
        "strategy.snub=[40s]",
        "overlay.tracker_want=[9]",
    ]);
    let sweep = Sweep::new(base, fields, 1).unwrap();
    let best = sweep.run(0).unwrap().scenario;
    let names = paths(&["strategy.slots", "strategy.snub", "overlay.tracker_want"]);
    let profile = Profile::new(&best, &names).unwrap();
    let expected = Strategy {
        slots: Some(Slots::Fixed(3)),
        snub: Some(Micros(40_000_000)),
        ..Strategy::default()
    };
    assert_eq!(profile.strategy, expected);
    assert_eq!(profile.elsewhere, ["overlay.tracker_want"]);
    let whole = Profile::new(&best, &paths(&["strategy"])).unwrap();
    assert_eq!(whole.strategy, best.strategy);
}

#[test]
fn a_profile_is_for_one_client() {
    let mut scenario = crate::schema::tests::scenario();
    scenario
        .strategies
        .insert("lazy".to_owned(), Strategy::default());
    scenario.classes[1].strategy = Some(crate::schema::StrategyChoice::Named("lazy".to_owned()));
    let profile = |texts: &[&str]| Profile::new(&scenario, &paths(texts));
    assert!(profile(&["classes.leech.strategy.slots", "strategies.lazy.snub"]).is_ok());
    let error = profile(&["strategy.slots", "classes.1.strategy.snub"]).unwrap_err();
    assert!(error.to_string().contains("strategies.lazy"), "{error}");
}

#[test]
fn every_parameter_can_go_into_a_profile() {
    let mut scenario = crate::schema::tests::scenario();
    scenario.strategy = Strategy::default().effective();
    let whole = Profile::new(&scenario, &paths(&["strategy"])).unwrap();
    assert_eq!(whole.strategy, scenario.strategy);
}
