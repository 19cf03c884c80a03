//! What a tracker sees of us over a torrent's life: no event missing, none twice, no flood.

use std::time::Duration;

use crate::doubles::tracker::{Announce, Manner, Tracker};
use crate::peers::Client;
use crate::peers::Job;
use crate::peers::dunlin::{self, Dunlin, interrupt};
use crate::support::lab::{Host, Lab};
use crate::support::payload::Payload;
use crate::support::wait::{CHECK, TRANSFER, wait_until};

const MIN_INTERVAL_SECS: u64 = 2;
/// What the machine's scheduling may take off the distance of two announces on their way.
const SLACK: Duration = Duration::from_millis(500);

fn announces_of(tracker: &Tracker, host: &Host) -> Vec<Announce> {
    tracker
        .announces()
        .into_iter()
        .filter(|announce| announce.from.ip() == host.ip())
        .collect()
}

#[test]
fn a_download_announces_its_life_and_nothing_more() {
    let Some(lab) = Lab::open() else { return };
    if Client::Libtorrent.find().is_none() || dunlin::program().is_none() {
        return;
    }
    let manner = Manner::Helpful {
        interval: 3,
        min_interval: Some(MIN_INTERVAL_SECS),
    };
    let tracker = Tracker::start_as(&lab, manner);
    let payload = Payload::single(lab.folder(), "announced.bin", 70, 12 << 20, 128 << 10);
    let there = lab.host("libtorrent");
    let folder = there.fresh_folder("seed");
    payload.place(&folder);
    let mut seed =
        Client::Libtorrent.start(&there, &Job::of(&[&payload], &folder).up_limit(2 << 20));
    seed.wait_complete("check", CHECK);

    let host = lab.host("dunlin");
    let folder = host.fresh_folder("download");
    let get = Dunlin::get(&host, &[&payload], &folder).option("--seed-time", 8);
    get.finish(&[&payload], &folder);

    let announces = announces_of(&tracker, &host);
    let events: Vec<&str> = announces
        .iter()
        .map(Announce::event)
        .filter(|event| !event.is_empty())
        .collect();
    assert_eq!(
        events,
        ["started", "completed", "stopped"],
        "the events of {announces:#?}"
    );
    assert_eq!(announces[0].event(), "started");
    assert_eq!(announces[announces.len() - 1].event(), "stopped");
    assert_is_one_client(&announces, &payload);
    assert_keeps_distance(&announces);
}

fn assert_is_one_client(announces: &[Announce], payload: &Payload) {
    let first = &announces[0];
    let total = payload.torrent.total_bytes;
    assert_eq!(first.number("left"), total);
    for pair in announces.windows(2) {
        for key in ["peer_id", "port", "key"] {
            assert_eq!(
                pair[0].query.get(key),
                pair[1].query.get(key),
                "{key} stays the same"
            );
        }
        assert!(
            pair[0].number("left") >= pair[1].number("left"),
            "left shrinks"
        );
        assert!(
            pair[0].number("downloaded") <= pair[1].number("downloaded"),
            "downloaded grows"
        );
    }
    for announce in announces {
        assert_eq!(announce.path, "/announce");
        assert_eq!(
            announce.query.get("info_hash").map(Vec::as_slice),
            Some(payload.torrent.info_hash.as_slice())
        );
        assert_eq!(announce.query.get("peer_id").map(Vec::len), Some(20));
        assert_eq!(announce.text("compact"), "1");
    }
    let last = &announces[announces.len() - 1];
    assert_eq!(last.number("left"), 0);
    assert!(last.number("downloaded") >= total);
}

/// Events may come at their time; what is not an event waits for the interval.
fn assert_keeps_distance(announces: &[Announce]) {
    for pair in announces
        .windows(2)
        .filter(|pair| pair[1].event().is_empty())
    {
        let distance = pair[1].at - pair[0].at + SLACK;
        assert!(
            distance >= Duration::from_secs(MIN_INTERVAL_SECS),
            "announced again after {distance:?}"
        );
    }
}

#[test]
fn a_failing_tracker_is_not_flooded() {
    let Some(lab) = Lab::open() else { return };
    if dunlin::program().is_none() {
        return;
    }
    let payload = Payload::single(lab.folder(), "lonely.bin", 71, 1 << 20, 64 << 10);
    for (manner, name) in [
        (Manner::Broken(500), "broken"),
        (Manner::Refusing("not registered"), "refusing"),
    ] {
        let tracker = Tracker::start_as(&lab, manner);
        let host = lab.host(name);
        let folder = host.fresh_folder("download");
        let mut get = Dunlin::get(&host, &[&payload], &folder).start();
        wait_until("the first announce", TRANSFER, || {
            !announces_of(&tracker, &host).is_empty()
        });
        std::thread::sleep(Duration::from_secs(10));
        let count = announces_of(&tracker, &host).len();
        assert!(
            count <= 3,
            "{count} announces to a {name} tracker in ten seconds"
        );
        get.assert_running();
        interrupt(&mut get);
    }
}
