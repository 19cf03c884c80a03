//! Rates and memory.

use core::time::Duration;

use dunlin_base::{EngineTime, TorrentKey};
use dunlin_components::world::MemoryBudget;
use dunlin_port::config::{ByteSize, EngineConfig, SlotCount};
use dunlin_port::user::{TorrentLimits, UserCommand};
use dunlin_protocol::wire::Message;

use super::seed;
use crate::swarm::puppet::able;
use crate::swarm::{Sample, Swarm};

const PIECE: u32 = 65_536;
const RATE: u64 = 100_000;

/// Node 1 downloads from nodes 0 and 2; no more than `rate` may come in any span from the start.
fn holds(config: &EngineConfig, limits: TorrentLimits, rate: u64) {
    let sample = Sample::new(24 * PIECE as usize, PIECE);
    let mut swarm = Swarm::new(3, config);
    swarm.add(0, &sample, true, &[]);
    swarm.add(2, &sample, true, &[]);
    swarm.add_with(1, &sample, false, &[0, 2], |add| add.limits = limits);
    let mut slack = 0;
    let done = swarm.run_until(Duration::from_secs(60), |swarm| {
        let snapshot = swarm.engine.snapshot();
        let came = snapshot
            .torrents
            .iter()
            .find(|row| row.torrent == TorrentKey(1));
        let came = came.map_or(0, |row| row.totals.downloaded_bytes);
        let passed = swarm.now.since(EngineTime::START).as_millis() as u64;
        // A burst of a second, and what was on its way when it was counted.
        let may = rate * passed / 1000 + rate + 16_384;
        assert!(came <= may, "{came} bytes after {passed} ms");
        slack = may - came;
        swarm.is_complete(1)
    });
    assert!(done, "it is slow but goes on: {slack} bytes behind");
    assert!(
        slack < 2 * rate + 200_000,
        "the limit is used: {slack} bytes behind"
    );
}

/// Whatever a settings file says of rates, the engine runs on; with nothing allowed, nothing moves
/// but what a bucket holds at first.
#[test]
fn rates_at_the_ends_of_their_range_do_no_harm() {
    let ends = [0, 1, u64::MAX - 1, u64::MAX];
    for (down, up) in ends.iter().flat_map(|down| ends.map(|up| (*down, up))) {
        let mut config = EngineConfig::default();
        config.limits.down = Some(ByteSize(down));
        config.limits.up = Some(ByteSize(up));
        let limits = TorrentLimits {
            down_bytes_per_sec: Some(down),
            up_bytes_per_sec: Some(up),
            ..TorrentLimits::default()
        };
        let sample = Sample::new(24 * PIECE as usize, PIECE);
        let mut swarm = Swarm::new(2, &config);
        swarm.add_with(0, &sample, true, &[], |add| add.limits = limits);
        swarm.add_with(1, &sample, false, &[0], |add| add.limits = limits);
        swarm.run_for(Duration::from_secs(60));
        let unlimited = down > 1 && up > 1;
        assert_eq!(swarm.is_complete(1), unlimited, "{down} {up}");
    }
}

#[test]
fn a_nodes_download_limit_is_held_and_used() {
    let mut config = EngineConfig::default();
    config.limits.down = Some(ByteSize(RATE));
    // The rules are of all nodes, but the others download nothing.
    holds(&config, TorrentLimits::default(), RATE);
}

#[test]
fn a_torrents_download_limit_is_held_and_used() {
    let limits = TorrentLimits {
        down_bytes_per_sec: Some(RATE),
        ..TorrentLimits::default()
    };
    holds(&EngineConfig::default(), limits, RATE);
}

#[test]
fn a_limit_for_each_peer_is_held_and_used() {
    let limits = TorrentLimits {
        peer_down_bytes_per_sec: Some(RATE / 2),
        ..TorrentLimits::default()
    };
    holds(&EngineConfig::default(), limits, RATE);
}

#[test]
fn a_limit_below_a_block_a_second_still_moves() {
    let mut config = EngineConfig::default();
    config.limits.down = Some(ByteSize(5_000));
    let sample = Sample::new(100_000, 32_768);
    let mut swarm = Swarm::new(2, &config);
    swarm.add(0, &sample, true, &[]);
    swarm.add(1, &sample, false, &[0]);
    assert!(swarm.run_until(Duration::from_secs(30), |swarm| swarm.is_complete(1)));
    assert!(swarm.now > EngineTime::from_secs(15));
}

#[test]
fn a_limit_of_nothing_stops_the_download_and_its_end_starts_it() {
    let sample = Sample::new(400_000, 32_768);
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    let torrent = TorrentKey(1);
    swarm.add(0, &sample, true, &[]);
    let none = TorrentLimits {
        down_bytes_per_sec: Some(0),
        ..TorrentLimits::default()
    };
    swarm.add_with(1, &sample, false, &[0], |add| add.limits = none);
    assert!(!swarm.run_until(Duration::from_secs(600), |swarm| swarm.is_complete(1)));
    swarm.tell(UserCommand::SetLimits {
        torrent,
        limits: TorrentLimits::default(),
    });
    assert!(swarm.run_until(Duration::from_secs(5), |swarm| swarm.is_complete(1)));
}

fn budget(swarm: &mut Swarm, bytes_max: u64) {
    swarm
        .engine
        .world()
        .resource_mut::<MemoryBudget>()
        .bytes_max = bytes_max;
}

/// The swarm checks after every tick that the budget is held.
#[test]
fn memory_for_pieces_in_motion_is_held_and_nothing_stalls() {
    for bytes_max in [1, u64::from(PIECE), 3 * u64::from(PIECE) - 1] {
        let sample = Sample::new(24 * PIECE as usize, PIECE);
        let mut swarm = Swarm::new(4, &EngineConfig::default());
        budget(&mut swarm, bytes_max);
        swarm.add(0, &sample, true, &[]);
        swarm.add(1, &sample, true, &[]);
        swarm.add(2, &sample, false, &[0, 1]);
        swarm.add(3, &sample, false, &[0, 1, 2]);
        let all = |swarm: &mut Swarm| swarm.is_complete(2) && swarm.is_complete(3);
        assert!(
            swarm.run_until(Duration::from_secs(60), all),
            "{bytes_max} bytes"
        );
    }
}

/// The one piece that fits is of a peer that went; what the other has must not wait for it.
#[test]
fn a_piece_that_nobody_can_finish_makes_room_for_others() {
    let sample = Sample::new(8 * PIECE as usize, PIECE);
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    budget(&mut swarm, PIECE.into());
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let first = swarm.join(0, &sample, 1, able());
    swarm.say(first, Message::Bitfield(vec![0x80].into()));
    swarm.say(first, Message::Unchoke);
    let asked = swarm.asked_of(first);
    assert_eq!(asked[0].piece, 0);
    swarm.give(first, &sample, asked[0]);
    swarm.hang_up(first);
    let second = swarm.join(0, &sample, 2, able());
    swarm.say(second, Message::Bitfield(vec![0x7f].into()));
    swarm.say(second, Message::Unchoke);
    swarm.run_for(Duration::from_secs(3));
    assert!(!swarm.asked_of(second).is_empty());
}

/// Room is not made while somebody is asked for the piece.
#[test]
fn a_piece_that_is_being_fetched_keeps_its_memory() {
    let sample = Sample::new(8 * PIECE as usize, PIECE);
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    budget(&mut swarm, PIECE.into());
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let first = seed(&mut swarm, &sample, 1);
    let second = seed(&mut swarm, &sample, 2);
    swarm.run_for(Duration::from_secs(30));
    let said = swarm.heard_by(first);
    assert!(
        !said
            .iter()
            .any(|message| matches!(message, Message::Cancel(_))),
        "{said:?}"
    );
    assert_eq!(swarm.asked_of(second), []);
}

/// What each node says of its torrent's bytes, sent and received.
fn totals(swarm: &mut Swarm, nodes: [u32; 3]) -> [(u64, u64); 3] {
    let rows = swarm.engine.snapshot().torrents;
    nodes.map(|node| {
        let row = rows.iter().find(|row| row.torrent == TorrentKey(node));
        let totals = row.expect("every node has one").totals;
        (totals.uploaded_bytes, totals.downloaded_bytes)
    })
}

#[test]
fn an_upload_limit_goes_round_among_who_is_unchoked() {
    let mut config = EngineConfig::default();
    config.limits.up = Some(ByteSize(RATE));
    config.choke.slots = SlotCount::Fixed(8);
    let sample = Sample::new(200 * PIECE as usize, PIECE);
    let mut swarm = Swarm::new(4, &config);
    swarm.add(0, &sample, true, &[]);
    for leecher in 1..4 {
        // Nothing but the seed: what each gets is what the seed gave it.
        swarm.add(leecher, &sample, false, &[0]);
    }
    swarm.run_for(Duration::from_secs(40));
    let got = totals(&mut swarm, [1, 2, 3]).map(|(_, received)| received);
    let (least, most) = (got.iter().min().unwrap(), got.iter().max().unwrap());
    assert!(*least > 0 && *most < 2 * least, "{got:?}");
}

#[test]
fn a_download_limit_goes_round_among_who_may_be_asked() {
    let mut config = EngineConfig::default();
    config.limits.down = Some(ByteSize(RATE));
    let sample = Sample::new(200 * PIECE as usize, PIECE);
    let mut swarm = Swarm::new(4, &config);
    for seed in [0, 2, 3] {
        swarm.add(seed, &sample, true, &[]);
    }
    swarm.add(1, &sample, false, &[0, 2, 3]);
    swarm.run_for(Duration::from_secs(40));
    let gave = totals(&mut swarm, [0, 2, 3]).map(|(sent, _)| sent);
    let (least, most) = (gave.iter().min().unwrap(), gave.iter().max().unwrap());
    assert!(*least > 0 && *most < 2 * least, "{gave:?}");
}
