//! Goal: the reasons, most important first.
//! Method: a table of facts and of what a person reads.

use dunlin_port::snapshot::{Reason, TorrentState};

use crate::observe::why::{Facts, reasons};

fn facts(state: TorrentState) -> Facts {
    Facts {
        state,
        closing: false,
        peers: 0,
        attempts: 0,
        candidates: 0,
        offering: 0,
        choking: 0,
        snubbed: 0,
        sending: 0,
        asking: 0,
        down_cap: None,
        up_cap: None,
        memory_full: false,
        writing_bytes: 0,
        hashing_bytes: 0,
        tracker: None,
    }
}

fn check(facts: &Facts, expected: &[&str]) {
    let got: Vec<_> = reasons(facts).iter().map(ToString::to_string).collect();
    assert_eq!(got, expected);
}

fn tracker_wait() -> Option<Reason> {
    Some(Reason::TrackerWait {
        url: "udp://t".into(),
        secs: 90,
    })
}

#[test]
fn resting_torrents_have_one_reason() {
    check(&facts(TorrentState::Paused), &["paused"]);
    check(
        &facts(TorrentState::Checking { done: 1, of: 2 }),
        &["checking what is on disk"],
    );
    let reason = "disk full".into();
    check(
        &facts(TorrentState::Stopped { reason }),
        &["stopped: disk full"],
    );
    let mut closing = facts(TorrentState::Paused);
    closing.closing = true;
    check(&closing, &["stopped: its files are being closed"]);
}

#[test]
fn a_seed_says_what_keeps_it_from_giving() {
    let mut seed = facts(TorrentState::Seeding);
    check(&seed, &["everything is there", "nobody asks for anything"]);
    seed.peers = 3;
    seed.asking = 2;
    seed.up_cap = Some(1000);
    seed.tracker = tracker_wait();
    check(
        &seed,
        &["everything is there", "at our upload limit of 1000 bytes/s"],
    );
}

#[test]
fn nobody_connected() {
    let mut lonely = facts(TorrentState::Downloading);
    check(&lonely, &["no peer is known"]);
    lonely.tracker = tracker_wait();
    check(
        &lonely,
        &["no peer is known", "udp://t will be asked in 90 s"],
    );
    lonely.tracker = None;
    lonely.attempts = 4;
    lonely.candidates = 9;
    check(
        &lonely,
        &["nobody connected yet: 4 under way, 9 addresses left"],
    );
}

#[test]
fn choked_by_most() {
    let mut leecher = facts(TorrentState::Downloading);
    leecher.peers = 25;
    leecher.offering = 20;
    leecher.choking = 14;
    leecher.snubbed = 1;
    leecher.sending = 5;
    leecher.up_cap = Some(5000);
    leecher.tracker = tracker_wait();
    check(
        &leecher,
        &[
            "choked by 14 of 20 peers with what we need",
            "at our upload limit of 5000 bytes/s",
            "1 peer owes us blocks for too long",
            "5 peers give what they can",
        ],
    );
    leecher.choking = 3;
    leecher.sending = 17;
    leecher.snubbed = 0;
    leecher.up_cap = None;
    check(
        &leecher,
        &[
            "17 peers give what they can",
            "choked by 3 of 20 peers with what we need",
        ],
    );
}

#[test]
fn unchoked_before_the_first_block() {
    let mut leecher = facts(TorrentState::Downloading);
    leecher.peers = 2;
    leecher.offering = 1;
    check(&leecher, &["waiting for the first blocks of 1 peer"]);
    leecher.sending = 1;
    check(&leecher, &["1 peer gives what it can"]);
}

#[test]
fn peers_without_what_we_need() {
    let mut leecher = facts(TorrentState::Downloading);
    leecher.peers = 7;
    leecher.tracker = Some(Reason::TrackerFailed {
        url: "http://t".into(),
        error: "timed out".into(),
    });
    check(
        &leecher,
        &["none of 7 peers has what we need", "http://t: timed out"],
    );
}

#[test]
fn our_own_limits_and_machine_come_first() {
    let mut leecher = facts(TorrentState::Downloading);
    leecher.peers = 9;
    leecher.offering = 9;
    leecher.sending = 9;
    leecher.down_cap = Some(4096);
    leecher.writing_bytes = 10;
    leecher.hashing_bytes = 20;
    check(
        &leecher,
        &[
            "at our download limit of 4096 bytes/s",
            "9 peers give what they can",
        ],
    );
    leecher.down_cap = None;
    leecher.memory_full = true;
    check(
        &leecher,
        &[
            "the hashers are behind: 20 bytes wait",
            "the disk is behind: 10 bytes wait to be written",
            "9 peers give what they can",
        ],
    );
}

#[test]
fn there_is_always_a_reason() {
    let mut leecher = facts(TorrentState::Downloading);
    leecher.peers = 1;
    leecher.offering = 1;
    check(&leecher, &["waiting for the first blocks of 1 peer"]);
}
