//! Goal: the swarm's counts are known, and no tracker is asked more than it has to be.
//! Method: a tracker double that answers announces with counts or without, and scrapes or not.

use dunlin_base::EngineTime;
use dunlin_port::snapshot::TrackerCounts;
use dunlin_port::tracker::SwarmCounts;
use dunlin_protocol::tracker::AnnounceReply;

use super::bench::{Answer, Bench};
use crate::discover::{leave, start};

const URL: &str = "http://one/announce";

fn bench(seeders: Option<u32>, leechers: Option<u32>) -> Bench {
    let mut bench = Bench::new(&[&[URL]]);
    let reply = AnnounceReply {
        interval_secs: 900,
        seeders,
        leechers,
        ..AnnounceReply::default()
    };
    bench.answers.insert(URL.into(), Answer::Reply(reply));
    bench.counts = Some(SwarmCounts {
        seeders: 5,
        leechers: 6,
        completed: 7,
    });
    bench
}

fn known(bench: &Bench) -> Option<(Option<u32>, Option<u32>)> {
    match bench.trackers().list[0].last.as_ref()? {
        Ok(TrackerCounts {
            seeders, leechers, ..
        }) => Some((*seeders, *leechers)),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn who_says_the_counts_is_not_asked_for_them() {
    let mut bench = bench(Some(1), Some(2));
    bench.act(start);
    bench.live(7200);
    assert!(bench.asked.len() > 5);
    assert_eq!(
        (bench.scraped.len(), known(&bench)),
        (0, Some((Some(1), Some(2))))
    );
}

#[test]
fn who_leaves_the_counts_out_is_asked_once_after_each_announce() {
    for (seeders, leechers) in [(None, None), (Some(1), None), (None, Some(2))] {
        let mut bench = bench(seeders, leechers);
        bench.act(start);
        // Not a whole number of intervals: the last scrape is to come within it.
        bench.live(7100);
        let announces = bench.asked.iter().map(|asked| asked.at);
        let after: Vec<_> = announces
            .map(|at| at + core::time::Duration::from_secs(1))
            .collect();
        let scrapes: Vec<_> = bench.scraped.iter().map(|(at, _)| *at).collect();
        assert_eq!(scrapes, after);
        assert_eq!(known(&bench), Some((Some(5), Some(6))));
        // A goodbye wants to know nothing.
        bench.act(leave);
        bench.live(60);
        assert_eq!(bench.scraped.len(), after.len());
    }
}

#[test]
fn counts_stay_known_until_the_next_scrape_is_answered() {
    let mut bench = bench(None, None);
    bench.act(start);
    bench.live(5);
    let next = bench.trackers().list[0].next_at;
    bench.live(next.since(EngineTime::from_secs(5)).as_secs() + 2);
    assert_eq!(bench.asked.len(), 2, "the second was answered just now");
    assert_eq!(known(&bench), Some((Some(5), Some(6))));
}

#[test]
fn who_knows_of_no_scrapes_is_asked_once() {
    let mut bench = bench(None, None);
    bench.counts = None;
    bench.act(start);
    bench.live(24 * 3600);
    assert!(bench.asked.len() > 50);
    assert_eq!(
        (bench.scraped.len(), known(&bench)),
        (1, Some((None, None)))
    );
    assert_eq!(bench.trackers().list[0].failures, 0, "its announces work");
}
