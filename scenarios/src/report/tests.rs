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

#[test]
fn several_runs_are_compared() {
    let (one, mut two) = (run(), run());
    two.record.seed = 2;
    let page = html(&[one.clone(), two]).unwrap();
    assert_eq!(page.matches("class=\"chart\"").count(), 11);
    assert!(page.contains("minimal, seed 1") && page.contains("minimal, seed 2"));
    let alike = html(&[one.clone(), one.clone()]).unwrap();
    assert!(alike.contains("minimal, seed 1 (00000000)"));
    let many = html(&vec![one; SHOWN_RUNS_MAX + 3]).unwrap();
    assert!(many.contains("3 more runs"));
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
