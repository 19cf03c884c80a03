//! Kill -9 at random instants: nothing claimed that is not on disk, nothing on disk fetched twice, and it completes.

use std::time::Duration;

use crate::peers::dunlin::{self, Dunlin, have_pieces, summary};
use crate::peers::libtorrent::uploaded_bytes;
use crate::peers::{Client, Job};
use crate::support::lab::Lab;
use crate::support::luck::Luck;
use crate::support::payload::Payload;
use crate::support::wait::{CHECK, START, TRANSFER, wait_for, wait_until};

const KILLS: usize = 20;
const PAYLOAD_BYTES: u64 = (48 << 20) + 4321;
const PIECE_BYTES: u64 = 128 << 10;
/// So slow that all kills hit a download in motion: about twice as long as they take together.
const SEED_UP_BYTES: u64 = 2 << 20;
/// What one kill may cost: pieces begun and not whole, and blocks on their way.
const MOTION_BYTES_MAX: u64 = 1 << 20;

#[test]
fn twenty_kills_lose_only_the_pieces_in_motion() {
    let Some(lab) = Lab::open() else { return };
    if Client::Libtorrent.find().is_none() || dunlin::program().is_none() {
        return;
    }
    let payload = Payload::single(lab.folder(), "killed.bin", 80, PAYLOAD_BYTES, PIECE_BYTES);
    let there = lab.host("libtorrent");
    let folder = there.fresh_folder("seed");
    payload.place(&folder);
    let mut seed = Client::Libtorrent.start(
        &there,
        &Job::of(&[&payload], &folder).up_limit(SEED_UP_BYTES),
    );
    seed.wait_complete("check", CHECK);

    let host = lab.host("dunlin");
    let folder = host.fresh_folder("download");
    let get = || {
        Dunlin::get(&host, &[&payload], &folder)
            .arg("--no-trackers")
            .peer(seed.address)
    };
    let mut luck = Luck::new(0xd0_0dad);
    let mut on_disk = 0;
    for round in 0..KILLS {
        let sent_before = uploaded_bytes(&seed);
        let mut process = get().start();
        let claimed = wait_for("what it has after its check", START, || {
            process.assert_running();
            have_pieces(&process)
        });
        assert!(
            claimed <= on_disk,
            "round {round}: claims {claimed} pieces, on disk are {on_disk}"
        );
        assert!(
            claimed == on_disk,
            "round {round}: found {claimed} of {on_disk} pieces on disk"
        );
        // In every other round wait for bytes, so that kills hit the middle of pieces and not only the start-up.
        if round % 2 == 1 {
            wait_until("bytes on their way", TRANSFER, || {
                uploaded_bytes(&seed) > sent_before
            });
        }
        std::thread::sleep(Duration::from_millis(luck.between(0, 900)));
        assert!(
            process.ended().is_none(),
            "round {round}: done before its kill: the seed is too fast for this test"
        );
        process.kill();
        on_disk = payload
            .torrent
            .pieces_on_disk(&folder)
            .into_iter()
            .filter(|good| *good)
            .count() as u64;
    }
    let process = get().finish(&[&payload], &folder);
    assert!(have_pieces(&process).is_some_and(|claimed| claimed <= on_disk));
    assert!(
        summary(&process)["downloaded_bytes"]
            .as_u64()
            .expect("a sum")
            <= PAYLOAD_BYTES + MOTION_BYTES_MAX
    );
    let sent = uploaded_bytes(&seed);
    eprintln!("the seed sent {sent} bytes for a payload of {PAYLOAD_BYTES}, through {KILLS} kills");
    let allowed = PAYLOAD_BYTES + KILLS as u64 * MOTION_BYTES_MAX;
    assert!(
        sent <= allowed,
        "the seed sent {sent} bytes for a payload of {PAYLOAD_BYTES}"
    );
}
