//! Goal: who knows that we are there is told once that we leave.
//! Method: torrents that leave in every state of an announce.

use dunlin_protocol::tracker::AnnounceEvent;

use super::bench::{Answer, Bench, reply};
use crate::discover::{is_quiet, leave, start};

#[test]
fn every_tracker_that_knows_us_is_told() {
    let mut bench = Bench::new(&[&["a", "b"], &["c"]]);
    for url in ["a", "b"] {
        bench.answers.insert(url.into(), reply(600, None));
    }
    bench.act(start);
    bench.live(10);
    let first = bench.asked[0].url.clone();
    bench.answers.insert(first.clone(), Answer::Silence);
    bench.live(700);
    bench.act(leave);
    assert!(!is_quiet(bench.trackers()));
    bench.live(3600);
    let mut told: Vec<_> = bench
        .told(AnnounceEvent::Stopped)
        .iter()
        .map(|asked| asked.url.clone())
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        ["a", "b"],
        "once each, answered or not, and c never heard of us"
    );
    assert!(is_quiet(bench.trackers()));
}

#[test]
fn nobody_is_told_of_one_who_never_came() {
    let mut bench = Bench::new(&[&["a"]]);
    assert!(is_quiet(bench.trackers()));
    bench.act(leave);
    bench.live(100);
    assert!(bench.asked.is_empty() && is_quiet(bench.trackers()));
}

#[test]
fn who_leaves_while_it_is_announced_says_so_afterwards() {
    let mut bench = Bench::new(&[&["a"]]);
    bench.act(start);
    bench.act(leave);
    assert_eq!(bench.asked.len(), 1, "one announce at a time");
    assert!(!is_quiet(bench.trackers()));
    bench.live(3600);
    let events: Vec<_> = bench
        .asked
        .iter()
        .map(|asked| asked.request.event)
        .collect();
    assert_eq!(events, [AnnounceEvent::Started, AnnounceEvent::Stopped]);
}

#[test]
fn coming_and_going_does_not_hammer() {
    let mut bench = Bench::new(&[&["a"]]);
    for _ in 0..100 {
        bench.act(start);
        bench.live(3);
        bench.act(leave);
        bench.live(3);
    }
    assert!(
        bench.asked.len() <= 22,
        "{} announces in ten minutes",
        bench.asked.len()
    );
    bench.act(start);
    bench.live(120);
    assert_eq!(
        bench.asked.last().unwrap().request.event,
        AnnounceEvent::Started
    );
}

#[test]
fn two_runs_are_told_alike() {
    let run = || {
        let mut bench = Bench::new(&[&["a", "b", "c"], &["d", "e"]]);
        bench.answers.insert("a".into(), Answer::Silence);
        bench.act(start);
        bench.live(20_000);
        let all = bench
            .asked
            .into_iter()
            .map(|asked| (asked.at, asked.url, asked.request));
        all.collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}
