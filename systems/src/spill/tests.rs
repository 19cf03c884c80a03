//! Pieces that do not fit into memory, over the in-memory link. The swarm checks after every tick
//! that memory is held and that nothing is committed that is not on the disk.

use core::time::Duration;

use dunlin_base::{BlockIndex, NodeKey, TorrentKey};
use dunlin_components::piece::Blocks;
use dunlin_components::torrent::{ActivePieces, LastBlocks};
use dunlin_components::world::{MemoryBudget, TorrentIndex};
use dunlin_port::config::EngineConfig;
use dunlin_port::snapshot::SessionEvent;
use dunlin_port::user::UserCommand;
use dunlin_protocol::wire::Message;

use crate::swarm::puppet::able;
use crate::swarm::{Sample, Swarm, addr_of};

const MINUTES: Duration = Duration::from_secs(600);
const BLOCK: u64 = 16_384;
/// Eight blocks.
const PIECE: u32 = 131_072;
const TORRENT: TorrentKey = TorrentKey(0);

fn budget(swarm: &mut Swarm, bytes_max: u64) {
    let mut budget = swarm.engine.world().resource_mut::<MemoryBudget>();
    budget.bytes_max = bytes_max;
}

fn banned(swarm: &Swarm) -> Vec<std::net::IpAddr> {
    let bans = swarm.events.iter().filter_map(|event| match event {
        SessionEvent::PeerBanned { addr, .. } => Some(addr.ip()),
        _ => None,
    });
    bans.collect()
}

/// Node 0 downloads from the nodes behind it, all of which are seeds.
fn download(seeds: u32, bytes_max: u64) -> Swarm {
    let sample = Sample::new(5 * PIECE as usize - 7_000, PIECE);
    let mut swarm = Swarm::new(1 + seeds, &EngineConfig::default());
    budget(&mut swarm, bytes_max);
    let all: Vec<u32> = (1..=seeds).collect();
    all.iter()
        .for_each(|node| swarm.add(*node, &sample, true, &[]));
    swarm.add(0, &sample, false, &all);
    swarm
}

/// What came is what there is, and what was of no use.
fn check_totals(swarm: &mut Swarm) {
    let view = swarm.engine.snapshot().torrents.remove(0);
    let useful = view.totals.downloaded_bytes - view.wasted_bytes - view.corrupt_bytes;
    assert_eq!(useful, 5 * u64::from(PIECE) - 7_000);
}

#[test]
fn pieces_that_are_longer_than_the_budget_become_whole_within_it() {
    for (blocks, spills) in [
        (1, true),
        (2, true),
        (5, true),
        (8, true),
        (15, true),
        (16, false),
    ] {
        let mut swarm = download(2, blocks * BLOCK);
        assert!(
            swarm.run_until(MINUTES, |swarm| swarm.is_complete(0)),
            "{blocks} blocks"
        );
        assert_eq!(!swarm.spilled.is_empty(), spills, "{blocks} blocks");
        assert_eq!(swarm.engine.memory_bytes(), 0);
        assert!(swarm.committed[&TORRENT].is_full());
        check_totals(&mut swarm);
    }
}

/// Two pieces are under way at a time: one is fetched while the other is written and hashed.
#[test]
fn a_long_piece_leaves_room_for_another() {
    let mut swarm = download(2, 4 * BLOCK);
    let mut most = 0;
    swarm.run_until(MINUTES, |swarm| {
        let mut blocks = swarm.engine.world().query::<&Blocks>();
        most = most.max(blocks.iter(swarm.engine.world()).count());
        swarm.is_complete(0)
    });
    assert!(most >= 2, "{most} at a time");
}

#[test]
fn who_spoils_a_spilled_piece_is_found() {
    for seeds in [1, 3] {
        let mut swarm = download(seeds, 4 * BLOCK);
        swarm.corrupt.insert(NodeKey(1));
        let done = |swarm: &mut Swarm| {
            let failed = |event: &SessionEvent| matches!(event, SessionEvent::HashFailed { .. });
            let lost = seeds == 1 && swarm.events.iter().any(failed);
            lost || swarm.is_complete(0)
        };
        assert!(swarm.run_until(MINUTES, done), "{:?}", swarm.events);
        assert_eq!(banned(&swarm), [addr_of(1).ip()], "it and nobody else");
        assert!(!swarm.spilled.is_empty());
    }
}

/// What came of a piece whose peer went is kept in its file, and the next peer gives the rest.
#[test]
fn a_stuck_piece_waits_in_its_file_for_who_can_go_on() {
    let sample = Sample::new(4 * PIECE as usize, PIECE);
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    budget(&mut swarm, 2 * u64::from(PIECE));
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let first = swarm.join(0, &sample, 1, able());
    swarm.say(first, Message::Bitfield(vec![0b1100_0000].into()));
    swarm.say(first, Message::Unchoke);
    let mut given = Vec::new();
    for _ in 0..3 {
        for block in swarm.asked_of(first) {
            let full = given
                .iter()
                .filter(|it: &&dunlin_protocol::wire::BlockRequest| it.piece == block.piece);
            if full.count() < 5 && !given.contains(&block) {
                swarm.give(first, &sample, block);
                given.push(block);
            }
        }
        swarm.run_for(Duration::from_millis(100));
    }
    assert!(given.len() >= 5, "{given:?}");
    swarm.hang_up(first);

    // Somebody has other pieces, for which there is no memory at first.
    let second = swarm.join(0, &sample, 2, able());
    swarm.say(second, Message::Bitfield(vec![0b0011_0000].into()));
    swarm.say(second, Message::Unchoke);
    swarm.run_for(Duration::from_secs(4));
    assert!(!swarm.asked_of(second).is_empty());
    assert!(!swarm.spilled.is_empty());
    swarm.hang_up(second);

    let third = swarm.join(0, &sample, 3, able());
    swarm.say(third, Message::HaveAll);
    swarm.say(third, Message::Unchoke);
    let mut asked = Vec::new();
    for _ in 0..400 {
        for block in swarm.asked_of(third) {
            if !asked.contains(&block) {
                swarm.give(third, &sample, block);
                asked.push(block);
            }
        }
        swarm.run_for(Duration::from_millis(50));
    }
    assert!(swarm.is_complete(0), "{:?}", swarm.events);
    let twice: Vec<_> = given.iter().filter(|block| asked.contains(block)).collect();
    assert!(twice.is_empty(), "{twice:?} came already");
}

#[test]
fn a_full_disk_stops_a_torrent_that_spills_and_it_recovers() {
    for (seeds, blocks) in [(1, 4), (3, 12)] {
        let mut swarm = download(seeds, blocks * BLOCK);
        swarm.full.insert(TORRENT);
        let stops = |swarm: &Swarm| {
            let is_it =
                |event: &&SessionEvent| matches!(event, SessionEvent::TorrentStopped { .. });
            swarm.events.iter().filter(is_it).count()
        };
        assert!(swarm.run_until(MINUTES, |swarm| stops(swarm) > 0));
        swarm.run_for(Duration::from_secs(1));
        let held = swarm.engine.memory_bytes();
        assert!(
            (1..=blocks * BLOCK).contains(&held),
            "{held} wait in memory"
        );
        let came = |swarm: &mut Swarm| {
            let view = swarm.engine.snapshot().torrents.remove(0);
            (view.totals.downloaded_bytes, view.wasted_bytes)
        };
        let (before, spills) = (came(&mut swarm), swarm.spilled.len());
        assert!(before.0 <= 2 * blocks * BLOCK, "{before:?}");
        // Long enough for many tries, which need no download.
        swarm.run_for(MINUTES);
        assert_eq!((came(&mut swarm), stops(&swarm)), (before, 1));
        assert!(swarm.spilled.len() > spills + 30, "it tried");
        swarm.full.clear();
        assert!(swarm.run_until(MINUTES, |swarm| swarm.is_complete(0)));
        assert!(banned(&swarm).is_empty());
        check_totals(&mut swarm);
    }
}

#[test]
fn a_torrent_that_is_paused_while_a_spill_waits_completes_when_it_is_resumed() {
    for leaves in [false, true] {
        let mut swarm = download(1, 4 * BLOCK);
        swarm.full.insert(TORRENT);
        let waits = |swarm: &mut Swarm| !swarm.spilled.is_empty();
        assert!(swarm.run_until(MINUTES, waits));
        swarm.run_for(Duration::from_secs(1));
        // With its next try on the way.
        swarm.disk_rests = leaves;
        swarm.tell(UserCommand::Resume { torrent: TORRENT });
        swarm.run_for(Duration::from_millis(100));
        swarm.tell(UserCommand::Pause { torrent: TORRENT });
        swarm.run_for(Duration::from_millis(100));
        swarm.full.clear();
        swarm.disk_rests = false;
        swarm.run_for(Duration::from_secs(60));
        assert!(!swarm.is_complete(0));
        swarm.tell(UserCommand::Resume { torrent: TORRENT });
        assert!(swarm.run_until(MINUTES, |swarm| swarm.is_complete(0)));
        assert_eq!(swarm.engine.memory_bytes(), 0);
        check_totals(&mut swarm);
    }
}

#[test]
fn a_spilled_piece_that_cannot_be_read_is_not_claimed() {
    let mut swarm = download(1, 4 * BLOCK);
    swarm.unreadable.insert(TORRENT);
    swarm.run_for(MINUTES);
    let is_it = |event: &&SessionEvent| matches!(event, SessionEvent::TorrentStopped { .. });
    assert!(
        swarm.events.iter().filter(is_it).count() > 1,
        "it tries again"
    );
    assert_eq!(
        swarm.engine.have(TORRENT).map(dunlin_base::Bitfield::count),
        Some(0)
    );
    swarm.unreadable.clear();
    assert!(swarm.run_until(MINUTES, |swarm| swarm.is_complete(0)));
    assert!(banned(&swarm).is_empty());
}

/// An answer to a spill of a piece that was given up is not taken for one to a later spill.
#[test]
fn answers_from_before_a_pause_are_not_of_what_is_fetched_after_it() {
    let mut swarm = download(2, 4 * BLOCK);
    assert!(swarm.run_until(MINUTES, |swarm| !swarm.spilled.is_empty()));
    for _ in 0..20 {
        swarm.disk_rests = true;
        swarm.run_for(Duration::from_millis(30));
        swarm.tell(UserCommand::Pause { torrent: TORRENT });
        swarm.run_for(Duration::from_millis(10));
        swarm.tell(UserCommand::Resume { torrent: TORRENT });
        swarm.run_for(Duration::from_millis(300));
        swarm.disk_rests = false;
        swarm.run_for(Duration::from_millis(100));
    }
    assert!(swarm.run_until(MINUTES, |swarm| swarm.is_complete(0)));
}

/// Seed 996 of the fault campaign: endgame went on to count on blocks of a piece that had been parked.
#[test]
fn blocks_that_are_taken_back_are_none_of_the_last_ones() {
    let mut swarm = download(1, 1 << 20);
    let row = |swarm: &mut Swarm| {
        let world = swarm.engine.world();
        let torrent = world.resource::<TorrentIndex>().get(TORRENT)?;
        let (&index, &piece) = world.get::<ActivePieces>(torrent)?.0.first_key_value()?;
        let blocks = world.get::<Blocks>(piece)?;
        let asked = (0..blocks.len()).map(BlockIndex);
        let asked: Vec<_> = asked.filter(|&block| blocks.askers(block) > 0).collect();
        (!asked.is_empty()).then_some((torrent, index, asked))
    };
    let begun = swarm.run_until(MINUTES, |swarm| row(swarm).is_some());
    assert!(begun, "nothing was asked for");
    let (torrent, index, asked) = row(&mut swarm).expect("it was begun");
    let world = swarm.engine.world();
    let mut last = world.get_mut::<LastBlocks>(torrent).expect("a download");
    last.keep(asked.into_iter().map(|block| (index, block, 1)));
    assert!(last.iter().next().is_some());
    crate::lifecycle::take_requests_back(world, torrent, index);
    let last = world.get::<LastBlocks>(torrent).expect("a download");
    assert_eq!(last.iter().next(), None);
}
