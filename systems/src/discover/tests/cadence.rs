//! Goal: one cadence of announces that no tracker can object to.
//! Method: simulated time against a tracker double that records everything.

use core::time::Duration;
use std::net::SocketAddr;

use dunlin_base::EngineTime;
use dunlin_base::limits::CANDIDATES_MAX;
use dunlin_components::node::Identity;
use dunlin_components::torrent::{Lifecycle, NodeOf};
use dunlin_components::world::{Timers, Work};
use dunlin_port::tracker::Retry;
use dunlin_protocol::tracker::{AnnounceEvent, AnnounceReply};

use super::bench::{Answer, Bench, TORRENT, reply};
use crate::discover::{completed, leave, reannounce, start};

const URL: &str = "http://one/announce";

fn bench(answer: Answer) -> Bench {
    let mut bench = Bench::new(&[&[URL]]);
    bench.answers.insert(URL.into(), answer);
    bench
}

/// Regular announces keep the tracker's minimum interval.
fn assert_polite(bench: &Bench, min_secs: u64) {
    for pair in bench.asked.windows(2) {
        let gap = pair[1].at.since(pair[0].at);
        if pair[1].request.event == AnnounceEvent::None {
            assert!(
                gap >= Duration::from_secs(min_secs),
                "{gap:?} before {:?}",
                pair[1]
            );
        }
    }
}

#[test]
fn an_hour_of_a_download() {
    let mut bench = bench(reply(900, Some(600)));
    bench.act(start);
    bench.live(1200);
    bench.traffic(40_000, 500);
    bench.complete();
    bench.live(2400);
    bench.act(leave);
    bench.live(60);
    let events: Vec<_> = bench
        .asked
        .iter()
        .map(|asked| asked.request.event)
        .collect();
    use AnnounceEvent::{Completed, None, Started, Stopped};
    assert_eq!(events, [Started, None, Completed, None, None, Stopped]);
    assert_polite(&bench, 900);
    assert_eq!(
        bench.asked[2].at,
        EngineTime::from_secs(1200),
        "news are told at once"
    );
    let lefts: Vec<_> = bench.asked.iter().map(|asked| asked.request.left).collect();
    assert_eq!(lefts, [40_000, 40_000, 0, 0, 0, 0]);
    let last = &bench.asked[5].request;
    assert_eq!(
        (last.downloaded, last.uploaded, last.numwant),
        (40_000, 500, Some(0))
    );
    assert_eq!(last.info_hash, bench.info_hash());
    assert_eq!((last.port, last.key), (6881, 77));
    assert!(bench.trackers().list.iter().all(|tracker| !tracker.started));
}

#[test]
fn intervals_are_bounded() {
    for (interval, min, announces) in [
        // Nothing named: half an hour.
        (0, None, 3),
        // An interval below a minute is a minute.
        (1, None, 60),
        // A longer minimum interval counts.
        (60, Some(1200), 3),
        // Over a day is a day.
        (u32::MAX, Some(u32::MAX), 1),
    ] {
        let mut bench = bench(reply(interval, min));
        bench.act(start);
        bench.live(3700);
        let got = bench.asked.len();
        assert!(
            (announces - 1..=announces + 1).contains(&got),
            "{interval} {min:?}: {got}"
        );
    }
    let mut bench = bench(reply(u32::MAX, None));
    bench.act(start);
    bench.live(25 * 3600);
    assert_eq!(bench.asked.len(), 2);
}

#[test]
fn a_wish_for_news_waits_for_the_minimum_interval() {
    let mut bench = bench(reply(1800, Some(300)));
    bench.act(start);
    bench.live(10);
    for _ in 0..50 {
        bench.act(reannounce);
        bench.live(10);
    }
    // Answered at 1 s, so allowed from 301 s on.
    let at: Vec<_> = bench
        .asked
        .iter()
        .map(|asked| asked.at.as_nanos() / 1_000_000_000)
        .collect();
    assert_eq!(
        at,
        [0, 301],
        "each wish is heard, all of them together once"
    );
}

#[test]
fn back_off_grows_and_is_kept() {
    let mut bench = bench(Answer::Silence);
    bench.act(start);
    bench.live(24 * 3600);
    let gaps: Vec<_> = bench
        .asked
        .windows(2)
        .map(|pair| pair[1].at.since(pair[0].at).as_secs())
        .collect();
    // Each answer takes a second.
    assert_eq!(gaps[..4], [18, 56, 118, 206]);
    assert!(gaps.is_sorted());
    assert_eq!(gaps.last(), Some(&3601));
    assert!(
        bench
            .asked
            .iter()
            .all(|asked| asked.request.event == AnnounceEvent::Started)
    );
    bench.answers.insert(URL.into(), reply(1800, None));
    bench.live(3700);
    assert_eq!(bench.trackers().list[0].failures, 0);
}

#[test]
fn a_refusing_tracker_is_asked_when_it_wants() {
    let mut patient = bench(Answer::Refuse(Retry::AfterMinutes(30)));
    patient.act(start);
    patient.live(60);
    patient.act(reannounce);
    patient.live(3600);
    let at: Vec<_> = patient
        .asked
        .iter()
        .map(|asked| asked.at.as_nanos() / 1_000_000_000)
        .collect();
    assert_eq!(at, [0, 1801, 3602], "a wish changes nothing");
    let mut gone = bench(Answer::Refuse(Retry::Never));
    gone.act(start);
    gone.live(24 * 3600);
    gone.act(reannounce);
    gone.act(leave);
    assert_eq!(gone.asked.len(), 1);
    let mut vague = bench(Answer::Refuse(Retry::Unspecified));
    vague.act(start);
    vague.live(600);
    assert!(
        vague
            .asked
            .windows(2)
            .all(|pair| pair[1].at.since(pair[0].at) >= Duration::from_secs(60))
    );
}

#[test]
fn completed_is_told_once_even_if_the_tracker_stumbles() {
    let mut bench = bench(reply(600, None));
    bench.act(start);
    bench.live(100);
    bench.answers.insert(URL.into(), Answer::Silence);
    bench.complete();
    bench.live(10);
    bench.answers.insert(URL.into(), reply(600, None));
    bench.live(3600);
    bench.act(leave);
    bench.live(10);
    bench.act(start);
    bench.live(3600);
    let told = bench.told(AnnounceEvent::Completed);
    assert_eq!(told.len(), 2, "once in vain, once");
    assert!(!bench.trackers().announced.completed_due);
}

#[test]
fn a_part_of_a_torrent_does_not_complete_it() {
    let mut bench = bench(reply(600, None));
    bench.act(start);
    bench.live(10);
    bench.act(completed);
    bench.live(3600);
    assert!(bench.told(AnnounceEvent::Completed).is_empty());
}

#[test]
fn nothing_is_said_before_the_port_is_known() {
    let mut bench = bench(reply(600, None));
    let node = bench.world.get::<NodeOf>(bench.torrent).unwrap().0;
    bench.world.get_mut::<Identity>(node).unwrap().listen_port = None;
    bench.act(start);
    bench.live(1000);
    assert!(bench.asked.is_empty());
    bench.world.get_mut::<Identity>(node).unwrap().listen_port = Some(7000);
    bench.world.resource_mut::<Work>().announce.insert(TORRENT);
    bench.live(10);
    assert_eq!(bench.asked[0].request.port, 7000);
}

#[test]
fn a_resting_torrent_is_silent_and_costs_no_timer() {
    let mut bench = bench(reply(600, None));
    bench
        .world
        .entity_mut(bench.torrent)
        .insert(Lifecycle::Paused);
    bench.world.resource_mut::<Work>().announce.insert(TORRENT);
    bench.live(3600);
    assert!(bench.asked.is_empty());
    assert_eq!(bench.world.resource::<Timers>().next(), EngineTime::NEVER);
}

#[test]
fn totals_count_from_the_start_of_a_run() {
    let mut bench = bench(reply(600, None));
    bench.traffic(1000, 2000);
    bench.act(start);
    bench.live(10);
    bench.traffic(30, 40);
    bench.act(leave);
    bench.live(10);
    bench.act(start);
    bench.live(120);
    let moved: Vec<_> = bench
        .asked
        .iter()
        .map(|asked| (asked.request.downloaded, asked.request.uploaded))
        .collect();
    assert_eq!(moved, [(0, 0), (30, 40), (0, 0)]);
}

#[test]
fn addresses_become_candidates_unless_they_are_nonsense_or_ours() {
    let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
    let peers = [
        "10.0.0.1:5000",
        "10.0.0.2:0",
        "127.0.0.1:6881",
        "127.0.0.1:6882",
        "9.9.9.9:6881",
    ];
    let mut bench = bench(Answer::Reply(AnnounceReply {
        peers: peers.into_iter().map(addr).collect(),
        external_ip: Some([9, 9, 9, 9].into()),
        tracker_id: Some(Box::from(*b"mark")),
        ..AnnounceReply::default()
    }));
    bench.act(start);
    bench.live(1);
    assert_eq!(
        bench.candidates(),
        [addr("10.0.0.1:5000"), addr("127.0.0.1:6882")]
    );
    assert!(bench.world.resource_mut::<Work>().connect.remove(&TORRENT));
    bench.live(2000);
    assert!(
        bench.world.resource::<Work>().connect.is_empty(),
        "nothing new"
    );
    assert_eq!(
        bench.asked[1].request.tracker_id.as_deref(),
        Some(&b"mark"[..])
    );
    assert_eq!(bench.asked[0].request.tracker_id, None);
}

/// What a tracker names is where a whole swarm would call.
#[test]
fn a_tracker_cannot_aim_us_at_services_of_others() {
    let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
    let named = [
        "5.5.5.5:22",
        "5.5.5.5:25",
        "5.5.5.5:53",
        "5.5.5.5:1023",
        "[2606:4700::1]:25",
        "0.0.0.0:6881",
        "0.1.2.3:6881",
        "[::]:6881",
        "224.0.0.1:6881",
        "[ff02::1]:6881",
        "255.255.255.255:6881",
        "[::ffff:255.255.255.255]:6881",
        "5.5.5.5:1024",
    ];
    let mut bench = bench(Answer::Reply(AnnounceReply {
        peers: named.into_iter().map(addr).collect(),
        ..AnnounceReply::default()
    }));
    bench.act(start);
    bench.live(1);
    assert_eq!(bench.candidates(), [addr("5.5.5.5:1024")]);
}

#[test]
fn a_tracker_cannot_fill_our_memory_with_addresses() {
    let flood = |n: u32| SocketAddr::from(((n + (5 << 24)).to_be_bytes(), 6881));
    let mut bench = bench(Answer::Reply(AnnounceReply {
        peers: (0..20_000).map(flood).collect(),
        ..AnnounceReply::default()
    }));
    bench.act(start);
    bench.live(1);
    assert_eq!(bench.candidates().len(), CANDIDATES_MAX);
}

#[test]
fn leechers_want_many_addresses_and_seeds_some() {
    let mut bench = bench(reply(600, None));
    bench.act(start);
    bench.live(10);
    bench.complete();
    let wanted: Vec<_> = bench
        .asked
        .iter()
        .map(|asked| asked.request.numwant)
        .collect();
    assert_eq!(wanted, [Some(200), Some(50)]);
}

/// BEP 3: who needs more peers may ask before the interval is over. Only a tracker that has more is
/// asked, and no more often than it bears.
#[test]
fn a_lonely_download_asks_again_before_its_interval_is_over() {
    for (leechers, min, gap) in [
        (None, None, 1800),
        (Some(9), None, 300),
        (Some(9), Some(700), 700),
    ] {
        let answer = Answer::Reply(AnnounceReply {
            interval_secs: 1800,
            min_interval_secs: min,
            seeders: Some(0),
            leechers: leechers.or(Some(1)),
            ..AnnounceReply::default()
        });
        let mut bench = bench(answer);
        bench.act(start);
        bench.live(3600);
        let gaps = bench
            .asked
            .windows(2)
            .map(|pair| pair[1].at.since(pair[0].at));
        for found in gaps {
            let found = found.as_secs();
            assert!((gap..=gap + 62).contains(&found), "{found} s, not {gap} s");
        }
        assert!(bench.asked.len() > 1);
        assert_polite(&bench, min.unwrap_or(60).into());
    }
}
