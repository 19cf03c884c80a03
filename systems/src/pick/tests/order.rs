//! Which pieces come first in whole downloads.

use core::time::Duration;

use dunlin_base::TorrentKey;
use dunlin_port::config::{ByteSize, EngineConfig, PickStrategy};
use dunlin_port::snapshot::SessionEvent;
use dunlin_port::user::{FilePriority, UserCommand};
use dunlin_protocol::wire::Message;

use super::{TORRENT, order_of_pieces, seed};
use crate::swarm::puppet::able;
use crate::swarm::{Sample, Swarm};

const MINUTES: Duration = Duration::from_secs(600);
const PIECE: u32 = 32_768;

/// The order in which node 1 begins pieces, downloading from node 0 with this strategy; without those
/// that it may ask for before it is unchoked.
fn download(strategy: PickStrategy) -> Vec<u32> {
    let sample = Sample::new(40 * PIECE as usize, PIECE);
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    swarm.add(0, &sample, true, &[]);
    swarm.add_with(1, &sample, false, &[0], |add| add.strategy = strategy);
    assert!(swarm.run_until(MINUTES, |swarm| swarm.is_complete(1)));
    let mut order = order_of_pieces(&swarm);
    order.retain(|&piece| {
        let is_free = |(_, said): &(_, Message)| *said == Message::AllowedFast(piece);
        !swarm.wire.iter().any(is_free)
    });
    assert!(order.len() >= 35);
    order
}

#[test]
fn sequential_goes_from_the_first_to_the_last() {
    assert!(download(PickStrategy::Sequential).is_sorted());
}

#[test]
fn round_robin_goes_from_the_first_to_the_last_too() {
    // From the piece after the one that it began last, and once round.
    let order = download(PickStrategy::RoundRobin);
    let falls = order.windows(2).filter(|pair| pair[1] < pair[0]);
    assert!(falls.count() <= 1, "{order:?}");
}

#[test]
fn rarest_first_is_random_among_equals() {
    assert!(!download(PickStrategy::RarestFirst).is_sorted());
}

#[test]
fn the_strategy_can_be_changed_while_running() {
    let sample = Sample::new(40 * PIECE as usize, PIECE);
    let mut config = EngineConfig::default();
    config.limits.up = Some(ByteSize(100_000));
    let mut swarm = Swarm::new(2, &config);
    swarm.add(0, &sample, true, &[]);
    swarm.add(1, &sample, false, &[0]);
    swarm.run_for(Duration::from_secs(3));
    let torrent = TorrentKey(1);
    swarm.tell(UserCommand::SetStrategy {
        torrent,
        strategy: PickStrategy::Sequential,
    });
    let before = order_of_pieces(&swarm).len();
    assert!(swarm.run_until(MINUTES, |swarm| swarm.is_complete(1)));
    assert!(order_of_pieces(&swarm)[before..].is_sorted());
}

/// Three peers have all but piece 5; one has it too.
#[test]
fn the_rarest_piece_is_asked_for_first() {
    let sample = Sample::new(40 * PIECE as usize, PIECE);
    let mut config = EngineConfig::default();
    config.pick.random_first_pieces = 0;
    let mut swarm = Swarm::new(1, &config);
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    for n in 1..=3 {
        let peer = swarm.join(0, &sample, n, able());
        swarm.say(
            peer,
            Message::Bitfield(vec![0b1111_1011, 0xff, 0xff, 0xff, 0xff].into()),
        );
    }
    let peer = swarm.join(0, &sample, 4, able());
    swarm.say(
        peer,
        Message::Bitfield(vec![0xff, 0xff, 0xff, 0xff, 0xfe].into()),
    );
    swarm.say(peer, Message::Unchoke);
    assert_eq!(swarm.asked_of(peer)[0].piece, 5);
}

#[test]
fn pieces_in_motion_become_whole_before_others_are_opened() {
    let sample = Sample::new(40 * 4 * PIECE as usize, 4 * PIECE);
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let first = seed(&mut swarm, &sample, 1);
    let asked = swarm.asked_of(first);
    assert!(
        asked.iter().all(|block| block.piece == asked[0].piece),
        "{asked:?}"
    );
    swarm.hang_up(first);
    let second = seed(&mut swarm, &sample, 2);
    let again = swarm.asked_of(second);
    assert_eq!(again, asked, "what the first left");
}

#[test]
fn skipped_files_are_not_fetched_and_the_torrent_completes_without_them() {
    // Files end inside of pieces 2 and 5.
    let sample = Sample::folder(&[90_000, 100_000, 140_000], PIECE);
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    swarm.add(0, &sample, true, &[]);
    let priorities = vec![FilePriority::Skip, FilePriority::Normal, FilePriority::Skip];
    swarm.add_with(1, &sample, false, &[0], |add| {
        add.file_priorities = priorities;
    });
    let completed = SessionEvent::Completed {
        torrent: TorrentKey(1),
    };
    assert!(swarm.run_until(MINUTES, |swarm| swarm.events.contains(&completed)));
    swarm.run_for(Duration::from_secs(60));
    let mut pieces = order_of_pieces(&swarm);
    pieces.sort_unstable();
    assert_eq!(pieces, [2, 3, 4, 5]);
}

/// Node 0 downloads three files of ten pieces from a puppet that serves whatever is asked.
fn order_of_files(config: &EngineConfig, priorities: Vec<FilePriority>) -> Vec<u32> {
    let sample = Sample::folder(&[10 * u64::from(PIECE); 3], PIECE);
    let mut swarm = Swarm::new(1, config);
    swarm.add_with(0, &sample, false, &[], |add| {
        add.file_priorities = priorities;
    });
    swarm.step();
    let peer = seed(&mut swarm, &sample, 1);
    while !swarm.is_complete(0) {
        let asked = swarm.asked_of(peer);
        asked
            .iter()
            .for_each(|block| swarm.give(peer, &sample, *block));
        swarm.run_for(Duration::from_millis(10));
    }
    order_of_pieces(&swarm)
}

#[test]
fn files_of_high_priority_come_first_and_of_low_last() {
    let priorities = vec![FilePriority::Low, FilePriority::Normal, FilePriority::High];
    let order = order_of_files(&EngineConfig::default(), priorities);
    let files: Vec<_> = order.iter().map(|piece| piece / 10).collect();
    assert!(files.is_sorted_by(|a, b| a >= b), "{files:?}");
}

#[test]
fn first_and_last_pieces_of_files_come_first_when_asked_for() {
    let mut config = EngineConfig::default();
    config.pick.first_last_first = true;
    let mut first = order_of_files(&config, Vec::new())[..6].to_vec();
    first.sort_unstable();
    assert_eq!(first, [0, 9, 10, 19, 20, 29]);
}

#[test]
fn what_a_reader_waits_for_comes_before_all_else() {
    let sample = Sample::new(40 * PIECE as usize, PIECE);
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let peer = seed(&mut swarm, &sample, 1);
    let asked = swarm.asked_of(peer);
    let (start, len) = (u64::from(PIECE) * 30, u64::from(PIECE) * 2);
    swarm.tell(UserCommand::SetDeadlines {
        torrent: TORRENT,
        start,
        len,
    });
    asked
        .iter()
        .for_each(|block| swarm.give(peer, &sample, *block));
    let next: Vec<_> = swarm
        .asked_of(peer)
        .iter()
        .map(|block| block.piece)
        .collect();
    assert_eq!(next[..4], [30, 30, 31, 31]);
}

/// A peer with a rare piece is asked for that, though a common piece in motion lacks blocks: else a
/// new swarm's seed sends what everybody has.
#[test]
fn a_rare_piece_is_not_passed_over_for_a_common_one_in_motion() {
    let sample = Sample::new(40 * 8 * 16_384, 8 * 16_384);
    let mut config = EngineConfig::default();
    config.pick.random_first_pieces = 0;
    let mut swarm = Swarm::new(1, &config);
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let common: Vec<_> = (1..=3)
        .map(|n| {
            let peer = swarm.join(0, &sample, n, able());
            let all_but_5 = vec![0b1111_1011, 0xff, 0xff, 0xff, 0xff];
            swarm.say(peer, Message::Bitfield(all_but_5.into()));
            peer
        })
        .collect();
    swarm.say(common[0], Message::Unchoke);
    let asked = swarm.asked_of(common[0]);
    assert!(asked.len() < 8, "blocks are left of the piece in motion");
    let rich = swarm.join(0, &sample, 4, able());
    swarm.say(rich, Message::HaveAll);
    swarm.say(rich, Message::Unchoke);
    assert!(swarm.asked_of(rich).iter().all(|block| block.piece == 5));
    swarm.say(common[1], Message::Unchoke);
    let joined = swarm.asked_of(common[1]);
    assert_eq!(
        joined[0].piece, asked[0].piece,
        "equals become whole before others are opened"
    );
}

/// Rarity counts what is in motion as had: peers that are asked at the same time
/// are asked for different blocks.
#[test]
fn what_one_peer_is_asked_for_no_other_is() {
    let sample = Sample::new(40 * 2 * 16_384, 2 * 16_384);
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let mut asked = Vec::new();
    for n in 1..=8 {
        let peer = seed(&mut swarm, &sample, n);
        asked.extend(swarm.asked_of(peer));
    }
    let count = asked.len();
    asked.sort_by_key(|block| (block.piece, block.begin));
    asked.dedup();
    assert_eq!(asked.len(), count, "a block is asked for twice");
    assert!(count >= 16, "{count}");
}
