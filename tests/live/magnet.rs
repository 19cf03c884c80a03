//! Metadata by magnet link (BEP 9), both directions.

use crate::doubles::tracker::Tracker;
use crate::matrix::downloads_from_dunlin_by;
use crate::peers::dunlin::{self, Dunlin, interrupt};
use crate::peers::{Client, Job};
use crate::support::lab::Lab;
use crate::support::payload::Payload;
use crate::support::wait::wait_until;

/// One run of Dunlin takes all payloads by their links from one client that seeds them all.
fn dunlin_gets_from(client: Client) {
    let Some(lab) = Lab::open() else { return };
    if client.find().is_none() || dunlin::program().is_none() {
        return;
    }
    let payloads: Vec<&Payload> = Payload::all().iter().collect();
    let _tracker = Tracker::start(&lab);
    let seed = client.seed(&lab.host(client.name()), &payloads);
    let host = lab.host("dunlin");
    let folder = host.fresh_folder("download");
    let get = Dunlin::get_by_link(&host, &payloads, &folder)
        .arg("--no-trackers")
        .peer(seed.address);
    let process = get.finish(&payloads, &folder);
    assert_eq!(process.events("metadata").len(), payloads.len());
}

/// One client takes all payloads by their links, each from a `dunlin seed` that the tracker names.
fn gets_from_dunlin(client: Client) {
    fn by_link(job: Job<'_>) -> Job<'_> {
        job.by_link()
    }
    downloads_from_dunlin_by(client, by_link);
}

#[test]
fn dunlin_gets_from_libtorrent() {
    dunlin_gets_from(Client::Libtorrent);
}

#[test]
fn dunlin_gets_from_transmission() {
    dunlin_gets_from(Client::Transmission);
}

#[test]
fn dunlin_gets_from_aria2() {
    dunlin_gets_from(Client::Aria2);
}

#[test]
fn dunlin_gets_from_qbittorrent() {
    dunlin_gets_from(Client::Qbittorrent);
}

#[test]
fn dunlin_gets_from_rqbit() {
    dunlin_gets_from(Client::Rqbit);
}

#[test]
fn libtorrent_gets_from_dunlin() {
    gets_from_dunlin(Client::Libtorrent);
}

#[test]
fn transmission_gets_from_dunlin() {
    gets_from_dunlin(Client::Transmission);
}

#[test]
fn rqbit_gets_from_dunlin() {
    gets_from_dunlin(Client::Rqbit);
}

/// The link names the tracker, and the tracker a libtorrent that has the link only, and a seed.
#[test]
fn a_swarm_of_links_and_one_seed() {
    let Some(lab) = Lab::open() else { return };
    if Client::Libtorrent.find().is_none() || dunlin::program().is_none() {
        return;
    }
    let payloads: Vec<&Payload> = Payload::all().iter().take(2).collect();
    let _tracker = Tracker::start(&lab);
    let other = lab.host("libtorrent");
    let their_folder = other.fresh_folder("download");
    let job = Job::of(&payloads, &their_folder).by_link();
    let node = Client::Libtorrent.start(&other, &job);
    let host = lab.host("dunlin");
    let folder = host.fresh_folder("download");
    let get = Dunlin::get_by_link(&host, &payloads, &folder)
        .option("--seed-time", 600)
        .peer(node.address);
    let mut get = get.start();
    let _seed = Client::Libtorrent.seed(&lab.host("seed"), &payloads);
    wait_until("dunlin to have all", crate::support::wait::TRANSFER, || {
        get.assert_running();
        get.events("completed").len() == payloads.len()
    });
    node.finish(&payloads, &their_folder);
    payloads
        .iter()
        .for_each(|payload| payload.assert_downloaded(&folder));
    interrupt(&mut get);
}
