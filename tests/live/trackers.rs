//! Peers that meet through a tracker: opentracker's and ours, over HTTP and UDP.

use crate::peers::dunlin::{self, Dunlin, interrupt};
use crate::peers::opentracker;
use crate::peers::{Client, Job};
use crate::support::bencode::Value;
use crate::support::http;
use crate::support::lab::{Host, Lab};
use crate::support::payload::{EXACT, Payload, TINY};
use crate::support::wait::{START, wait_until};

const SEED_PORT: u16 = 7001;
const TRACKER_PORT: u16 = 8000;

/// The payload under these trackers alone.
fn under(lab: &Lab, payload: &str, name: &str, tiers: &[&[&str]]) -> Payload {
    let mut payload = Payload::named(payload);
    payload.torrent = payload
        .torrent
        .with_trackers(tiers, &lab.folder().join(format!("{name}.torrent")));
    payload
}

/// A Dunlin seed, a Dunlin leech and aria2 find each other by nothing but this tracker.
fn introduces(lab: &Lab, url: &str) {
    let payload = under(lab, EXACT, "introduced", &[&[url]]);
    let (mut seed, _) = Dunlin::seed(&lab.host("seed"), &payload, SEED_PORT).start_seeding();
    let leech = lab.host("leech");
    let folder = leech.fresh_folder("download");
    Dunlin::get(&leech, &[&payload], &folder).finish(&[&payload], &folder);
    if Client::Aria2.find().is_some() {
        let other = lab.host("aria2");
        let folder = other.fresh_folder("download");
        Client::Aria2
            .start(&other, &Job::of(&[&payload], &folder))
            .finish(&[&payload], &folder);
    }
    interrupt(&mut seed);
}

fn opentracker_introduces(url: impl FnOnce(&opentracker::Opentracker) -> String) {
    let Some(lab) = Lab::open() else { return };
    let payload = Payload::named(EXACT);
    let Some(tracker) = opentracker::start(&lab.host("tracker"), &[&payload.torrent]) else {
        return;
    };
    if dunlin::program().is_none() {
        return;
    }
    introduces(&lab, &url(&tracker));
}

#[test]
fn opentracker_introduces_over_http() {
    opentracker_introduces(opentracker::Opentracker::http);
}

#[test]
fn opentracker_introduces_over_udp() {
    opentracker_introduces(opentracker::Opentracker::udp);
}

/// Runs `task` beside a `dunlin tracker`.
fn with_own_tracker(task: impl FnOnce(&Lab, &Host)) {
    let Some(lab) = Lab::open() else { return };
    if dunlin::program().is_none() {
        return;
    }
    let host = lab.host("tracker");
    let mut tracker = Dunlin::tracker(&host, TRACKER_PORT).start();
    wait_until("dunlin's tracker", START, || {
        tracker.assert_running();
        host.connect(host.at(TRACKER_PORT)).is_ok()
    });
    task(&lab, &host);
    interrupt(&mut tracker);
}

#[test]
fn our_tracker_introduces_over_http() {
    with_own_tracker(|lab, host| {
        introduces(lab, &format!("http://{}/announce", host.at(TRACKER_PORT)));
    });
}

#[test]
fn our_tracker_introduces_over_udp() {
    with_own_tracker(|lab, host| {
        introduces(lab, &format!("udp://{}/announce", host.at(TRACKER_PORT)));
    });
}

#[test]
fn our_tracker_counts_in_a_scrape() {
    with_own_tracker(|lab, host| {
        let url = format!("http://{}/announce", host.at(TRACKER_PORT));
        let payload = under(lab, TINY, "scraped", &[&[&url]]);
        let (mut seed, _) = Dunlin::seed(&lab.host("seed"), &payload, SEED_PORT).start_seeding();
        let escaped: String = payload
            .torrent
            .info_hash
            .iter()
            .map(|byte| format!("%{byte:02x}"))
            .collect();
        let seeds = || {
            let reply = http::get(
                host,
                host.at(TRACKER_PORT),
                &format!("/scrape?info_hash={escaped}"),
            )?;
            let Value::Dictionary(files) = Value::decode(&reply.body).get("files")?.clone() else {
                return None;
            };
            Some(
                files
                    .get(payload.torrent.info_hash.as_slice())?
                    .get("complete")?
                    .as_size(),
            )
        };
        wait_until("one seed in the scrape", START, || seeds() == Some(1));
        interrupt(&mut seed);
        wait_until("no seed after its goodbye", START, || {
            seeds().is_none_or(|count| count == 0)
        });
    });
}

/// The first tier refuses connections, the second does not resolve, the third works.
#[test]
fn dead_tiers_do_not_keep_a_torrent_from_a_live_one() {
    with_own_tracker(|lab, host| {
        let live = format!("udp://{}/announce", host.at(TRACKER_PORT));
        let dead = format!("http://{}/announce", host.at(TRACKER_PORT + 1));
        let tiers: [&[&str]; 3] = [&[&dead], &["http://tracker.invalid/announce"], &[&live]];
        let payload = under(lab, TINY, "tiers", &tiers);
        let (mut seed, _) = Dunlin::seed(&lab.host("seed"), &payload, SEED_PORT).start_seeding();
        let leech = lab.host("leech");
        let folder = leech.fresh_folder("download");
        Dunlin::get(&leech, &[&payload], &folder).finish(&[&payload], &folder);
        interrupt(&mut seed);
    });
}
