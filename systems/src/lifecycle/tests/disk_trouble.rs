//! Disks that fail, and what a person does meanwhile.

use core::time::Duration;

use dunlin_base::Bitfield;
use dunlin_components::torrent::Lifecycle;
use dunlin_port::config::EngineConfig;
use dunlin_port::snapshot::SessionEvent;
use dunlin_port::user::UserCommand;

use super::{MINUTES, TORRENT, download, memory, state};
use crate::swarm::{Sample, Swarm};

/// A download whose disk is full and that stopped with a good piece in memory.
fn stopped() -> Swarm {
    let (mut swarm, _) = download();
    swarm.run_for(Duration::from_secs(2));
    swarm.full.insert(TORRENT);
    let is_stopped = |swarm: &mut Swarm| matches!(state(swarm), Some(Lifecycle::Stopped { .. }));
    assert!(swarm.run_until(MINUTES, is_stopped));
    assert!(memory(&mut swarm) > 0, "a good piece is kept");
    swarm
}

fn completes_without_fetching_twice(mut swarm: Swarm) {
    assert!(
        swarm.run_until(MINUTES, |swarm| swarm.is_complete(1)),
        "{:?}",
        swarm.events
    );
    let done = swarm
        .events
        .iter()
        .filter(|event| matches!(event, SessionEvent::PieceDone { .. }))
        .count();
    assert_eq!(done, 40, "each piece once");
    swarm.run_for(Duration::from_secs(10));
    assert_eq!(memory(&mut swarm), 0);
}

#[test]
fn a_torrent_that_is_paused_while_the_disk_is_full_completes_when_it_is_resumed() {
    let mut swarm = stopped();
    swarm.tell(UserCommand::Pause { torrent: TORRENT });
    swarm.run_for(Duration::from_secs(60));
    assert_eq!(state(&mut swarm), Some(Lifecycle::Paused));
    swarm.full.clear();
    swarm.tell(UserCommand::Resume { torrent: TORRENT });
    completes_without_fetching_twice(swarm);
}

#[test]
fn a_torrent_that_is_checked_while_the_disk_is_full_completes_when_there_is_room() {
    let mut swarm = stopped();
    swarm.tell(UserCommand::Recheck { torrent: TORRENT });
    swarm.run_for(Duration::from_secs(60));
    swarm.full.clear();
    completes_without_fetching_twice(swarm);
}

#[test]
fn a_resume_while_the_disk_is_still_full_stops_again_and_then_recovers() {
    let mut swarm = stopped();
    swarm.tell(UserCommand::Resume { torrent: TORRENT });
    swarm.run_for(Duration::from_secs(2));
    assert!(matches!(state(&mut swarm), Some(Lifecycle::Stopped { .. })));
    swarm.full.clear();
    swarm.run_for(Duration::from_secs(20));
    assert!(
        swarm
            .events
            .contains(&SessionEvent::TorrentRecovered { torrent: TORRENT })
    );
    completes_without_fetching_twice(swarm);
}

/// What was on its way when the disk was full says nothing of what did not fit: it does not start the
/// torrent, which the next piece would stop again.
#[test]
fn a_write_from_before_the_stop_does_not_start_a_torrent() {
    let (mut swarm, _) = download();
    swarm.run_for(Duration::from_secs(2));
    swarm.disk_rests = true;
    swarm.run_for(Duration::from_millis(300));
    swarm.hashers_rest = true;
    swarm.run_for(Duration::from_secs(1));
    swarm.full.insert(TORRENT);
    swarm.disk_rests = false;
    swarm.run_for(Duration::from_millis(200));
    assert!(matches!(state(&mut swarm), Some(Lifecycle::Stopped { .. })));
    let done = |swarm: &Swarm| {
        let is_it = |event: &&SessionEvent| matches!(event, SessionEvent::PieceDone { .. });
        swarm.events.iter().filter(is_it).count()
    };
    let before = done(&swarm);
    swarm.full.clear();
    swarm.hashers_rest = false;
    // Nothing is due: they are hashed, written, and told of.
    (0..4).for_each(|_| swarm.step());
    swarm.run_for(Duration::from_secs(5));
    assert!(done(&swarm) > before, "some were on their way");
    assert!(matches!(state(&mut swarm), Some(Lifecycle::Stopped { .. })));
    completes_without_fetching_twice(swarm);
}

#[test]
fn a_torrent_that_is_removed_while_the_disk_is_full_gives_its_memory_back() {
    let mut swarm = stopped();
    swarm.tell(UserCommand::Remove {
        torrent: TORRENT,
        delete_files: true,
    });
    swarm.run_for(Duration::from_secs(20));
    assert_eq!((state(&mut swarm), memory(&mut swarm)), (None, 0));
}

/// A seed whose folder is not there when it is started.
fn unopened() -> Swarm {
    let sample = Sample::new(300_000, 65_536);
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    swarm.locked.insert(TORRENT);
    swarm.add(1, &sample, true, &[]);
    swarm.run_for(Duration::from_secs(1));
    assert!(matches!(state(&mut swarm), Some(Lifecycle::Stopped { .. })));
    swarm
}

#[test]
fn a_torrent_that_could_not_be_opened_and_is_paused_is_opened_when_it_is_resumed() {
    let mut swarm = unopened();
    swarm.tell(UserCommand::Pause { torrent: TORRENT });
    swarm.run_for(Duration::from_secs(60));
    assert_eq!(state(&mut swarm), Some(Lifecycle::Paused));
    swarm.locked.clear();
    swarm.tell(UserCommand::Resume { torrent: TORRENT });
    swarm.run_for(Duration::from_secs(1));
    assert_eq!(state(&mut swarm), Some(Lifecycle::Seeding));
    assert!(swarm.engine.have(TORRENT).is_some_and(Bitfield::is_full));
}

#[test]
fn a_torrent_that_could_not_be_opened_forgets_nothing_that_is_on_disk() {
    for command in [UserCommand::Pause { torrent: TORRENT }, UserCommand::Stop] {
        let mut swarm = unopened();
        swarm.tell(command);
        swarm.run_for(Duration::from_secs(60));
        assert_eq!(swarm.commits, [], "what is there is not known");
    }
}

#[test]
fn a_torrent_that_is_paused_while_it_cannot_be_opened_stays_paused() {
    let mut swarm = unopened();
    swarm.disk_rests = true;
    swarm.tell(UserCommand::Resume { torrent: TORRENT });
    swarm.tell(UserCommand::Pause { torrent: TORRENT });
    swarm.run_for(Duration::from_secs(1));
    swarm.disk_rests = false;
    swarm.run_for(Duration::from_secs(60));
    assert_eq!(state(&mut swarm), Some(Lifecycle::Paused));
}
