//! Both directions, each client, every shape of payload: Dunlin downloads from it, and it downloads from Dunlin.

use crate::doubles::tracker::Tracker;
use crate::peers::dunlin::{self, Dunlin, interrupt};
use crate::peers::{Client, Job};
use crate::support::lab::Lab;
use crate::support::payload::{EMPTY_FILES, EXACT, MANY_FILES, Payload, TINY};
use crate::support::wait::{START, wait_until};

const FIRST_SEED_PORT: u16 = 7001;

/// One run of Dunlin takes all payloads at once from one client that seeds them all.
fn dunlin_downloads_from(client: Client) {
    let Some(lab) = Lab::open() else { return };
    if client.find().is_none() || dunlin::program().is_none() {
        return;
    }
    let payloads: Vec<&Payload> = Payload::all().iter().collect();
    let tracker = Tracker::start(&lab);
    let seed = client.seed(&lab.host(client.name()), &payloads);
    let host = lab.host("dunlin");
    let folder = host.fresh_folder("download");
    let announces_before = tracker
        .announces()
        .iter()
        .filter(|announce| announce.from.ip() == host.ip())
        .count();
    let get = Dunlin::get(&host, &payloads, &folder)
        .arg("--no-trackers")
        .peer(seed.address);
    let process = get.finish(&payloads, &folder);
    let announces = tracker
        .announces()
        .iter()
        .filter(|announce| announce.from.ip() == host.ip())
        .count();
    assert_eq!(announces, announces_before, "--no-trackers means none");
    let total: u64 = payloads
        .iter()
        .map(|payload| payload.torrent.total_bytes)
        .sum();
    let downloaded: u64 = process
        .events("summary")
        .iter()
        .map(|summary| {
            summary["downloaded_bytes"]
                .as_u64()
                .expect("a sum in the summary")
        })
        .sum();
    assert!(downloaded >= total, "{downloaded} of {total} bytes counted");
}

/// One client takes all payloads at once, each from a `dunlin seed` that it learns of from the tracker.
fn downloads_from_dunlin(client: Client) {
    downloads_from_dunlin_by(client, |job| job);
}

/// As above, with the job changed.
pub(crate) fn downloads_from_dunlin_by(client: Client, change: impl FnOnce(Job<'_>) -> Job<'_>) {
    let Some(lab) = Lab::open() else { return };
    if client.find().is_none() || dunlin::program().is_none() {
        return;
    }
    let payloads: Vec<&Payload> = Payload::all().iter().collect();
    let tracker = Tracker::start(&lab);
    let host = lab.host("dunlin");
    let seed =
        |(port, payload): (u16, &&Payload)| Dunlin::seed(&host, payload, port).start_seeding();
    let mut seeds: Vec<_> = (FIRST_SEED_PORT..).zip(&payloads).map(seed).collect();
    wait_until("all seeds in the tracker's list", START, || {
        let known = |payload: &&Payload| {
            tracker
                .swarm(&payload.torrent.info_hash)
                .iter()
                .any(|(_, seed)| *seed)
        };
        payloads.iter().all(known)
    });
    let other = lab.host(client.name());
    let folder = other.fresh_folder("download");
    let node = client.start(&other, &change(Job::of(&payloads, &folder)));
    node.finish(&payloads, &folder);
    seeds.iter_mut().for_each(|(process, _)| interrupt(process));
}

#[test]
fn dunlin_downloads_from_libtorrent() {
    dunlin_downloads_from(Client::Libtorrent);
}

#[test]
fn dunlin_downloads_from_transmission() {
    dunlin_downloads_from(Client::Transmission);
}

#[test]
fn dunlin_downloads_from_aria2() {
    dunlin_downloads_from(Client::Aria2);
}

#[test]
fn dunlin_downloads_from_qbittorrent() {
    dunlin_downloads_from(Client::Qbittorrent);
}

#[test]
fn dunlin_downloads_from_rqbit() {
    dunlin_downloads_from(Client::Rqbit);
}

#[test]
fn libtorrent_downloads_from_dunlin() {
    downloads_from_dunlin(Client::Libtorrent);
}

#[test]
fn transmission_downloads_from_dunlin() {
    downloads_from_dunlin(Client::Transmission);
}

#[test]
fn aria2_downloads_from_dunlin() {
    downloads_from_dunlin(Client::Aria2);
}

#[test]
fn qbittorrent_downloads_from_dunlin() {
    downloads_from_dunlin(Client::Qbittorrent);
}

#[test]
fn rqbit_downloads_from_dunlin() {
    downloads_from_dunlin(Client::Rqbit);
}

#[test]
fn dunlin_downloads_from_dunlin() {
    let Some(lab) = Lab::open() else { return };
    if dunlin::program().is_none() {
        return;
    }
    let payloads: Vec<&Payload> = Payload::all().iter().collect();
    let host = lab.host("seeds");
    let seed =
        |(port, payload): (u16, &&Payload)| Dunlin::seed(&host, payload, port).start_seeding();
    let seeds: Vec<_> = (FIRST_SEED_PORT..).zip(&payloads).map(seed).collect();
    let other = lab.host("leech");
    let folder = other.fresh_folder("download");
    let mut get = Dunlin::get(&other, &payloads, &folder).arg("--no-trackers");
    for (_, address) in &seeds {
        get = get.peer(*address);
    }
    get.finish(&payloads, &folder);
}

#[test]
fn dunlin_downloads_in_order_over_ipv6() {
    let Some(lab) = Lab::open() else { return };
    if Client::Libtorrent.find().is_none() || dunlin::program().is_none() {
        return;
    }
    let payloads = [EXACT, EMPTY_FILES, TINY].map(Payload::named);
    let payloads: Vec<&Payload> = payloads.iter().collect();
    let there = lab.host("libtorrent");
    let seed = Client::Libtorrent.seed(&there, &payloads);
    let host = lab.host("dunlin");
    let folder = host.fresh_folder("download");
    let address = (there.ip_v6(), seed.address.port()).into();
    Dunlin::get(&host, &payloads, &folder)
        .arg("--no-trackers")
        .arg("--sequential")
        .peer(address)
        .finish(&payloads, &folder);
}

/// Transmission cannot be told of a peer, and here there is no tracker: the seed must dial and offer itself.
#[test]
fn a_dunlin_seed_dials_the_peer_it_is_told_of() {
    let Some(lab) = Lab::open() else { return };
    if Client::Transmission.find().is_none() || dunlin::program().is_none() {
        return;
    }
    let payload = Payload::named(MANY_FILES);
    let other = lab.host("transmission");
    let folder = other.fresh_folder("download");
    let node = Client::Transmission.start(&other, &Job::of(&[&payload], &folder));
    let host = lab.host("dunlin");
    let (_seed, _) = Dunlin::seed(&host, &payload, FIRST_SEED_PORT)
        .peer(node.address)
        .start_seeding();
    node.finish(&[&payload], &folder);
}
