//! A mixed swarm: three Dunlins, libtorrent, Transmission and aria2 share what one slow seed gives.

use crate::doubles::tracker::Tracker;
use crate::peers::dunlin::{self, Dunlin, interrupt, is_complete};
use crate::peers::{Client, Job};
use crate::support::lab::Lab;
use crate::support::payload::{ONE_FILE, Payload};
use crate::support::wait::{CHECK, TRANSFER, wait_until};

const SEED_UP_BYTES: u64 = 3_000_000;
const LEECH_UP_BYTES: u64 = 2_000_000;
const LEECH_DOWN_BYTES: u64 = 4_000_000;

#[test]
fn a_mixed_swarm_completes_from_one_slow_seed() {
    let Some(lab) = Lab::open() else { return };
    let others = [Client::Libtorrent, Client::Transmission, Client::Aria2];
    if others.iter().any(|client| client.find().is_none()) || dunlin::program().is_none() {
        return;
    }
    let payload = Payload::named(ONE_FILE);
    let payloads = [&payload];
    let _tracker = Tracker::start(&lab);
    let there = lab.host("seed");
    let folder = there.fresh_folder("seed");
    payload.place(&folder);
    let mut seed =
        Client::Libtorrent.start(&there, &Job::of(&payloads, &folder).up_limit(SEED_UP_BYTES));
    seed.wait_complete("check", CHECK);

    let mut dunlins: Vec<_> = ["dunlin-a", "dunlin-b", "dunlin-c"]
        .into_iter()
        .map(|name| {
            let host = lab.host(name);
            let folder = host.fresh_folder("download");
            let get = Dunlin::get(&host, &payloads, &folder)
                .option("--up-limit", LEECH_UP_BYTES)
                .option("--down-limit", LEECH_DOWN_BYTES)
                .option("--listen", host.at(7001))
                .option("--seed-time", 3600);
            (get.start(), folder)
        })
        .collect();
    let nodes: Vec<_> = others
        .into_iter()
        .map(|client| {
            let host = lab.host(&format!("leech-{}", client.name()));
            let folder = host.fresh_folder("download");
            let job = Job::of(&payloads, &folder)
                .up_limit(LEECH_UP_BYTES)
                .down_limit(LEECH_DOWN_BYTES);
            (client.start(&host, &job), folder)
        })
        .collect();
    for (process, _) in &mut dunlins {
        wait_until("a dunlin of the swarm", TRANSFER, || is_complete(process));
    }
    // The others may still need what the Dunlins have: those seed on until all are done.
    for (node, folder) in nodes {
        node.finish(&payloads, &folder);
    }
    for (process, folder) in &mut dunlins {
        interrupt(process);
        payload.assert_downloaded(folder);
    }
}
