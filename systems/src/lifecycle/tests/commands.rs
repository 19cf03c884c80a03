//! What the person in charge wants.

use core::time::Duration;

use dunlin_base::TorrentKey;
use dunlin_components::torrent::Lifecycle;
use dunlin_port::config::{EngineConfig, PickStrategy};
use dunlin_port::snapshot::SessionEvent;
use dunlin_port::user::{FilePriority, UserCommand};
use dunlin_protocol::wire::Message;

use super::{MINUTES, PIECE, TORRENT, count, download, memory, state};
use crate::swarm::puppet::able;
use crate::swarm::{Sample, Swarm};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn pausing_and_resuming_again_and_again_loses_nothing() {
    let (mut swarm, sample) = download();
    for millis in [3, 500, 17, 900, 41] {
        swarm.run_for(Duration::from_millis(millis) + SECOND / 2);
        swarm.tell(UserCommand::Pause { torrent: TORRENT });
        swarm.run_for(SECOND);
        assert_eq!(
            (state(&mut swarm), memory(&mut swarm)),
            (Some(Lifecycle::Paused), 0)
        );
        swarm.tell(UserCommand::Resume { torrent: TORRENT });
    }
    assert!(swarm.run_until(MINUTES, |swarm| swarm.is_complete(1)));
    let snapshot = swarm.engine.snapshot();
    let done = swarm
        .events
        .iter()
        .filter(|event| matches!(event, SessionEvent::PieceDone { .. }))
        .count();
    assert_eq!(done, 40, "each piece once");
    assert!(snapshot.torrents[1].totals.downloaded_bytes < sample.data.len() as u64 * 3 / 2);
}

#[test]
fn a_torrent_that_is_added_paused_or_paused_while_opening_rests() {
    for late in [false, true] {
        let sample = Sample::new(200_000, PIECE);
        let mut swarm = Swarm::new(2, &EngineConfig::default());
        swarm.add(0, &sample, true, &[]);
        swarm.add_with(1, &sample, false, &[0], |add| add.paused = !late);
        if late {
            swarm.tell(UserCommand::Pause { torrent: TORRENT });
        }
        swarm.tell(UserCommand::Recheck { torrent: TORRENT });
        swarm.run_for(SECOND);
        assert_eq!(
            (state(&mut swarm), swarm.dials.len()),
            (Some(Lifecycle::Paused), 0)
        );
        swarm.tell(UserCommand::Resume { torrent: TORRENT });
        assert!(swarm.run_until(MINUTES, |swarm| swarm.is_complete(1)));
    }
}

#[test]
fn a_check_finds_what_is_damaged_and_only_that_is_fetched_again() {
    let (mut swarm, _) = download();
    assert!(swarm.run_until(MINUTES, |swarm| swarm.is_complete(1)));
    swarm.damage(1, 7);
    swarm.damage(1, 39);
    swarm.events.clear();
    swarm.tell(UserCommand::Recheck { torrent: TORRENT });
    assert!(
        swarm.run_until(MINUTES, |swarm| swarm.is_complete(1)),
        "{:?}",
        swarm.events
    );
    let mut fetched: Vec<_> = swarm
        .events
        .iter()
        .filter_map(|event| {
            if let SessionEvent::PieceDone { piece, .. } = event {
                Some(*piece)
            } else {
                None
            }
        })
        .collect();
    fetched.sort_unstable();
    assert_eq!(fetched, [7, 39]);
}

/// Pieces are hashed and written on while the check runs; both orders of their events are met.
#[test]
fn a_check_in_the_middle_of_a_download_disturbs_nothing() {
    for millis in (1000..1200).step_by(7) {
        let (mut swarm, _) = download();
        swarm.run_for(Duration::from_millis(millis));
        swarm.hashers_rest = millis % 2 == 0;
        swarm.run_for(Duration::from_millis(200));
        swarm.disk_rests = true;
        swarm.hashers_rest = false;
        swarm.tell(UserCommand::Recheck { torrent: TORRENT });
        swarm.run_for(Duration::from_millis(50));
        swarm.tell(UserCommand::Recheck { torrent: TORRENT });
        swarm.run_for(Duration::from_millis(50));
        swarm.disk_rests = false;
        assert!(
            swarm.run_until(MINUTES, |swarm| swarm.is_complete(1)),
            "{millis} ms"
        );
    }
}

#[test]
fn a_removed_torrent_leaves_nothing_behind() {
    for (hash, write) in [(false, false), (true, false), (false, true)] {
        let (mut swarm, _) = download();
        swarm.run_for(SECOND);
        (swarm.hashers_rest, swarm.disk_rests) = (hash, write);
        swarm.run_for(Duration::from_millis(300));
        assert!(memory(&mut swarm) > 0);
        swarm.tell(UserCommand::Remove {
            torrent: TORRENT,
            delete_files: false,
        });
        swarm.run_for(Duration::from_millis(300));
        (swarm.hashers_rest, swarm.disk_rests) = (false, false);
        swarm.run_for(20 * SECOND);
        assert_eq!((state(&mut swarm), memory(&mut swarm)), (None, 0));
        assert_eq!(
            count(&swarm, &SessionEvent::Removed { torrent: TORRENT }),
            1
        );
    }
}

#[test]
fn a_stop_is_said_once_and_what_is_committed_is_what_is_on_disk() {
    for millis in [0, 100, 1500, 4000, 9000] {
        let (mut swarm, _) = download();
        swarm.run_for(Duration::from_millis(millis));
        swarm.tell(UserCommand::Stop);
        swarm.run_for(SECOND);
        swarm.tell(UserCommand::Stop);
        swarm.run_for(30 * SECOND);
        assert_eq!(
            count(&swarm, &SessionEvent::Stopped),
            1,
            "after {millis} ms"
        );
        let committed = swarm
            .committed
            .get(&TORRENT)
            .map_or(0, dunlin_base::Bitfield::count);
        assert_eq!(committed, swarm.on_disk(1), "after {millis} ms");
    }
}

#[test]
fn moving_tells_where_the_files_are() {
    let (mut swarm, _) = download();
    swarm.run_for(SECOND);
    swarm.tell(UserCommand::Move {
        torrent: TORRENT,
        root: "/elsewhere".into(),
    });
    swarm.run_for(SECOND);
    let moved = SessionEvent::Moved {
        torrent: TORRENT,
        root: "/elsewhere".into(),
        error: None,
    };
    assert_eq!(count(&swarm, &moved), 1);
    assert_eq!(
        swarm.engine.snapshot().torrents[1].root,
        std::path::Path::new("/elsewhere").into()
    );
    assert!(
        swarm.run_until(MINUTES, |swarm| swarm.is_complete(1)),
        "the download goes on"
    );
}

#[test]
fn files_can_be_skipped_and_wanted_again_while_running() {
    let sample = Sample::folder(&[20 * u64::from(PIECE), 20 * u64::from(PIECE)], PIECE);
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    swarm.lines.insert(dunlin_base::NodeKey(0), 500_000);
    swarm.add(0, &sample, true, &[]);
    swarm.add(1, &sample, false, &[0]);
    swarm.run_for(SECOND);
    let choose = |first, second| UserCommand::SetFilePriorities {
        torrent: TORRENT,
        priorities: vec![first, second],
    };
    swarm.tell(choose(FilePriority::Normal, FilePriority::Skip));
    let completed = SessionEvent::Completed { torrent: TORRENT };
    assert!(swarm.run_until(MINUTES, |swarm| count(swarm, &completed) == 1));
    swarm.run_for(5 * SECOND);
    assert_eq!(
        (state(&mut swarm), memory(&mut swarm)),
        (Some(Lifecycle::Seeding), 0)
    );
    assert!(swarm.on_disk(1) < 40);
    swarm.tell(choose(FilePriority::Skip, FilePriority::High));
    assert!(swarm.run_until(MINUTES, |swarm| swarm.is_complete(1)));
    swarm.run_for(SECOND);
    assert_eq!(state(&mut swarm), Some(Lifecycle::Seeding));
}

#[test]
fn nobody_has_to_send_what_is_not_wanted_any_more() {
    let sample = Sample::folder(&[u64::from(PIECE), u64::from(PIECE)], PIECE);
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    swarm.add(0, &sample, false, &[]);
    swarm.step();
    let peer = swarm.join(0, &sample, 1, able());
    swarm.say(peer, Message::HaveAll);
    swarm.say(peer, Message::Unchoke);
    let asked = swarm.asked_of(peer);
    assert!(!asked.is_empty());
    let priorities = vec![FilePriority::Skip, FilePriority::Skip];
    swarm.tell(UserCommand::SetFilePriorities {
        torrent: TorrentKey(0),
        priorities,
    });
    swarm.step();
    let cancels: Vec<_> = asked.into_iter().map(Message::Cancel).collect();
    assert_eq!(swarm.heard_by(peer)[..cancels.len()], cancels);
    assert_eq!(memory(&mut swarm), 0);
}

/// A piece in motion keeps its rank over a pause.
#[test]
fn a_pause_does_not_change_what_comes_first() {
    let sample = Sample::folder(&[u64::from(PIECE), 8 * u64::from(PIECE)], PIECE);
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    let priorities = vec![FilePriority::High, FilePriority::Normal];
    swarm.add_with(0, &sample, false, &[], |add| {
        add.file_priorities = priorities;
    });
    swarm.step();
    for n in [1, 2] {
        let peer = swarm.join(0, &sample, n, able());
        swarm.say(peer, Message::HaveAll);
        swarm.say(peer, Message::Unchoke);
        assert_eq!(swarm.asked_of(peer)[0].piece, 0);
        swarm.tell(UserCommand::Pause {
            torrent: TorrentKey(0),
        });
        swarm.step();
        swarm.tell(UserCommand::Resume {
            torrent: TorrentKey(0),
        });
        swarm.step();
    }
}

#[test]
fn pieces_have_priorities_over_those_of_their_files() {
    let sample = Sample::folder(&[8 * 16_384, 8 * 16_384], 16_384);
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    swarm.add(0, &sample, true, &[]);
    swarm.add_with(1, &sample, false, &[0], |add| {
        add.file_priorities = vec![FilePriority::Low, FilePriority::Skip];
        add.strategy = PickStrategy::Sequential;
        add.paused = true;
    });
    swarm.run_for(Duration::from_secs(1));
    let set = |pieces, priority| UserCommand::SetPiecePriorities {
        torrent: TorrentKey(1),
        pieces,
        priority,
    };
    // Two that come first, one of a skipped file, many that are not there, and one taken back.
    swarm.tell(set(3..5, FilePriority::High));
    swarm.tell(set(7..8, FilePriority::High));
    swarm.tell(set(12..u32::MAX, FilePriority::High));
    swarm.tell(set(7..8, FilePriority::Skip));
    swarm.tell(UserCommand::Resume {
        torrent: TorrentKey(1),
    });
    assert!(swarm.run_until(Duration::from_secs(60), |swarm| swarm.on_disk(1) == 8));
    let order: Vec<u32> = swarm
        .events
        .iter()
        .filter_map(|event| match event {
            SessionEvent::PieceDone { torrent, piece } if *torrent == TorrentKey(1) => Some(*piece),
            _ => None,
        })
        .collect();
    assert_eq!(order[..2], [3, 4], "{order:?}");
}
