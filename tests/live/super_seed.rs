//! A first seed that is faster than its leechers: how often it sends what it has, with and without
//! super-seeding (BEP 16). It then says that it has nothing and shows piece after piece.

use std::path::PathBuf;

use crate::doubles::tracker::Tracker;
use crate::peers::dunlin::{self, Dunlin, interrupt, is_complete, summary};
use crate::peers::{Client, Job};
use crate::support::lab::Lab;
use crate::support::payload::{ONE_FILE, Payload};
use crate::support::wait::{TRANSFER, wait_until};

const SEED_UP_BYTES: u64 = 4_000_000;
const LEECH_UP_BYTES: u64 = 1_000_000;

/// Copies that a seed sends until two Dunlins and libtorrent are complete. They know each other by a
/// tracker.
fn copies_sent(lab: &Lab, payload: &Payload, name: &str, super_seed: bool) -> f64 {
    let payloads = [payload];
    let seed = Dunlin::seed(&lab.host(&format!("{name}-seed")), payload, 7001)
        .option("--up-limit", SEED_UP_BYTES);
    let seed = if super_seed {
        seed.arg("--super-seed")
    } else {
        seed
    };
    let (mut seed, _) = seed.start_seeding();
    let host = lab.host(&format!("{name}-libtorrent"));
    let folder = host.fresh_folder("download");
    let job = Job::of(&payloads, &folder).up_limit(LEECH_UP_BYTES);
    let other = Client::Libtorrent.start(&host, &job);
    let dunlin = |number: u32| {
        let host = lab.host(&format!("{name}-dunlin-{number}"));
        let folder = host.fresh_folder("download");
        let get = Dunlin::get(&host, &payloads, &folder)
            .option("--up-limit", LEECH_UP_BYTES)
            .option("--listen", host.at(7001))
            .option("--seed-time", 3600);
        (get.start(), folder)
    };
    let mut dunlins: Vec<(_, PathBuf)> = (0..2).map(dunlin).collect();
    for (process, _) in &mut dunlins {
        wait_until("a dunlin of the swarm", TRANSFER, || is_complete(process));
    }
    other.finish(&payloads, &folder);
    for (process, folder) in &mut dunlins {
        interrupt(process);
        payload.assert_downloaded(folder);
    }
    interrupt(&mut seed);
    let uploaded = summary(&seed)["uploaded_bytes"].as_u64();
    let uploaded = uploaded.expect("the seed says what it sent") as f64;
    uploaded / payload.torrent.total_bytes as f64
}

/// BEP 16: a super-seed sends little more than one copy until others have everything. A plain one sends
/// what its line carries while the leechers send theirs: 3 * 4 / (4 + 3) copies, if nobody ever waits.
#[test]
fn a_super_seed_sends_little_more_than_one_copy() {
    let Some(lab) = Lab::open() else { return };
    if Client::Libtorrent.find().is_none() || dunlin::program().is_none() {
        return;
    }
    let payload = Payload::named(ONE_FILE);
    let _tracker = Tracker::start(&lab);
    let plain = copies_sent(&lab, &payload, "plain", false);
    let posing = copies_sent(&lab, &payload, "super", true);
    println!("{plain:.2} copies of a plain seed, {posing:.2} of a super-seed");
    assert!(posing <= 1.2, "{posing}");
    assert!(plain >= posing + 0.3, "{plain}, super-seeding {posing}");
}
