//! Goal: trackers are tried in the order of BEP 12, one at a time.
//! Method: several URLs at the tracker double, some of which are silent.

use dunlin_base::{NodeKey, RngStream, StreamName};
use dunlin_protocol::tracker::AnnounceEvent;

use super::bench::{Answer, Bench, reply};
use crate::discover::policy::{bring_forward, shuffle};
use crate::discover::{start, trackers};

fn silent(bench: &mut Bench, urls: &[&str]) {
    for url in urls {
        bench.answers.insert(String::from(*url), Answer::Silence);
    }
}

#[test]
fn one_tracker_that_works_is_enough() {
    let mut bench = Bench::new(&[&["a1", "a2"], &["b1"]]);
    bench.act(start);
    bench.live(6 * 3600);
    let first = bench.asked[0].url.clone();
    assert!(bench.urls().iter().all(|url| *url == first));
    assert_eq!(bench.told(AnnounceEvent::Started).len(), 1);
}

#[test]
fn the_next_tier_is_for_when_all_of_the_first_fail() {
    let mut bench = Bench::new(&[&["a1", "a2"], &["b1", "b2"]]);
    silent(&mut bench, &["a1", "a2"]);
    bench.act(start);
    bench.live(10);
    let urls = bench.urls();
    assert_eq!(urls.len(), 3);
    assert!(urls[..2].iter().all(|url| url.starts_with('a')) && urls[2].starts_with('b'));
    let at: Vec<_> = bench
        .asked
        .iter()
        .map(|asked| asked.at.as_nanos() / 1_000_000_000)
        .collect();
    assert_eq!(at, [0, 1, 2], "one at a time");
}

#[test]
fn a_working_tier_is_not_left_alone_for_a_broken_one_before_its_time() {
    let mut bench = Bench::new(&[&["a"], &["b"]]);
    silent(&mut bench, &["a"]);
    bench.answers.insert("b".into(), reply(1800, None));
    bench.act(start);
    bench.live(1700);
    assert_eq!(bench.urls(), ["a", "b"]);
    bench.live(200);
    assert_eq!(
        bench.urls(),
        ["a", "b", "a", "b"],
        "each round begins with the first tier"
    );
    bench.answers.remove("a");
    bench.live(1900);
    assert_eq!(bench.urls()[4..], ["a"], "and stays there once it works");
    assert_eq!(bench.told(AnnounceEvent::Started).last().unwrap().url, "a");
}

#[test]
fn who_worked_comes_first_in_its_tier() {
    let mut list = trackers(&[vec!["a".into(), "b".into(), "c".into()]]).list;
    bring_forward(&mut list, 2);
    let turns: Vec<_> = list.iter().map(|tracker| tracker.turn).collect();
    assert_eq!(turns, [1, 2, 0]);
    bring_forward(&mut list, 0);
    let turns: Vec<_> = list.iter().map(|tracker| tracker.turn).collect();
    assert_eq!(turns, [0, 2, 1]);
}

#[test]
fn a_tracker_that_fails_later_gives_way() {
    let mut bench = Bench::new(&[&["a", "b"]]);
    bench.answers.insert("a".into(), reply(600, None));
    bench.answers.insert("b".into(), reply(600, None));
    bench.act(start);
    bench.live(100);
    let first = bench.asked[0].url.clone();
    silent(&mut bench, &[&first]);
    bench.live(3600);
    let other = bench.urls()[2].to_owned();
    assert_ne!(other, first);
    assert!(
        bench.urls()[3..].iter().all(|url| *url == other),
        "{:?}",
        bench.urls()
    );
    assert_eq!(bench.asked[2].request.event, AnnounceEvent::Started);
}

#[test]
fn tiers_are_shuffled_within_themselves_once() {
    let tiers = [
        (0..9).map(|n| format!("a{n}")).collect::<Vec<_>>(),
        vec!["b0".into(), "b1".into(), "a3".into()],
    ];
    let mut list = trackers(&tiers).list;
    assert_eq!(list.len(), 11, "a URL counts once");
    shuffle(
        &mut list,
        &mut RngStream::new(3, NodeKey(0), StreamName::Discover),
    );
    let mut turns: Vec<_> = list
        .iter()
        .map(|tracker| (tracker.tier, tracker.turn))
        .collect();
    assert!(!turns.is_sorted());
    turns.sort_unstable();
    assert!(
        turns
            .into_iter()
            .eq((0..9).map(|n| (0, n)).chain([(1, 0), (1, 1)]))
    );
    let mut bench = Bench::new(&[&["a", "b", "c", "d"]]);
    bench.act(start);
    assert!(bench.trackers().announced.shuffled);
}
