//! When the resume database is written.

use core::time::Duration;

use dunlin_port::config::EngineConfig;
use dunlin_port::snapshot::SessionEvent;
use dunlin_port::user::UserCommand;

use super::{MINUTES, TORRENT, count, download};
use crate::swarm::{Sample, Swarm};

#[test]
fn commits_come_at_most_once_an_interval_and_at_once_when_complete() {
    let (mut swarm, _) = download();
    assert!(swarm.run_until(MINUTES, |swarm| swarm.on_disk(1) == 40));
    swarm.run_for(Duration::from_millis(1));
    assert!(swarm.is_complete(1), "said when it is safe");
    let written_at = swarm.now;
    swarm.run_for(Duration::from_secs(60));
    let times: Vec<_> = swarm
        .commits
        .iter()
        .filter(|(_, torrent)| *torrent == TORRENT)
        .map(|(at, _)| *at)
        .collect();
    let (last, others) = times.split_last().expect("it was committed");
    assert!(*last <= written_at);
    assert!(
        others
            .windows(2)
            .all(|two| two[1] - two[0] >= Duration::from_secs(5)),
        "{times:?}"
    );
    assert!(swarm.committed[&TORRENT].is_full());
    assert!((2..=4).contains(&times.len()), "{times:?}");
}

#[test]
fn what_came_during_a_commit_is_committed_behind_it_when_the_torrent_is_closed() {
    let (mut swarm, _) = download();
    swarm.commits_rest = true;
    assert!(swarm.run_until(MINUTES, |swarm| swarm.on_disk(1) == 40));
    swarm.run_for(Duration::from_secs(10));
    swarm.tell(UserCommand::Stop);
    swarm.run_for(Duration::from_secs(1));
    assert!(!swarm.committed.contains_key(&TORRENT));
    assert!(!swarm.is_complete(1), "it is not safe");
    swarm.commits_rest = false;
    swarm.run_for(Duration::from_secs(30));
    let of = |&&(_, torrent): &&(_, _)| torrent == TORRENT;
    assert_eq!(swarm.commits.iter().filter(of).count(), 2);
    assert!(swarm.committed[&TORRENT].is_full());
    assert_eq!(
        count(&swarm, &SessionEvent::Completed { torrent: TORRENT }),
        1
    );
    assert_eq!(count(&swarm, &SessionEvent::Stopped), 1);
}

#[test]
fn completion_is_said_once() {
    let (mut swarm, _) = download();
    swarm.run_for(MINUTES);
    assert_eq!(
        count(&swarm, &SessionEvent::Completed { torrent: TORRENT }),
        1
    );
}

#[test]
fn an_idle_torrent_commits_nothing() {
    let sample = Sample::new(200_000, 65_536);
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    swarm.add(0, &sample, true, &[]);
    swarm.run_for(Duration::from_secs(60));
    let before = swarm.commits.len();
    assert!(before <= 2, "{:?}", swarm.commits);
    swarm.run_for(Duration::from_secs(24 * 3600));
    assert_eq!(swarm.commits.len(), before);
}
