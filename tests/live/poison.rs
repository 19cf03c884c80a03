//! A peer that lies is found and banned; those who share pieces with it are not.

use std::time::Duration;

use crate::doubles::wire::{Conduct, WirePeer};
use crate::peers::dunlin::{self, Dunlin};
use crate::support::lab::Lab;
use crate::support::payload::Payload;
use crate::support::wait::TRANSFER;

const PORT: u16 = 7100;
/// The honest are so slow that the download takes seconds and the liar, who is fast, is asked for much.
const HONEST_REST: Duration = Duration::from_millis(20);
const LIAR_REST: Duration = Duration::from_millis(2);

/// One liar among three honest peers; it spoils every `every`-th block.
fn is_banned_among_the_honest(every: u64) {
    let Some(lab) = Lab::open() else { return };
    if dunlin::program().is_none() {
        return;
    }
    let payload = Payload::single(lab.folder(), "poisoned.bin", 90, 12 << 20, 256 << 10);
    let start =
        |name: &str, conduct, rest| WirePeer::start(&lab.host(name), PORT, &payload, conduct, rest);
    let honest = ["honest-a", "honest-b", "honest-c"];
    let honest = honest.map(|name| start(name, Conduct::Honest, HONEST_REST));
    let liar = start("liar", Conduct::Poisonous { every }, LIAR_REST);

    let host = lab.host("dunlin");
    let folder = host.fresh_folder("download");
    let mut get = Dunlin::get(&host, &[&payload], &folder)
        .arg("--no-trackers")
        .peer(liar.address);
    for peer in &honest {
        get = get.peer(peer.address);
    }
    let mut process = get.start();
    process.wait_success(TRANSFER);
    payload.assert_downloaded(&folder);

    assert!(
        liar.spoiled() > 0,
        "the liar was asked for {} blocks and never lied",
        liar.blocks()
    );
    let banned: Vec<String> = process
        .events("peer_banned")
        .iter()
        .map(|event| address_in(event, "addr"))
        .collect();
    assert!(!banned.is_empty(), "nobody was banned\n{}", process.tail());
    for address in &banned {
        assert!(
            address.starts_with(&liar.address.ip().to_string()),
            "banned {address}, the liar is {}",
            liar.address
        );
    }
    // A banned peer is not dialled again.
    assert_eq!(liar.connections(), 1);
}

fn address_in(event: &serde_json::Value, key: &str) -> String {
    event[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key} in {event}"))
        .to_owned()
}

#[test]
fn a_peer_that_spoils_every_block_is_banned() {
    is_banned_among_the_honest(1);
}

#[test]
fn a_peer_that_spoils_one_block_in_ten_is_banned() {
    is_banned_among_the_honest(10);
}
