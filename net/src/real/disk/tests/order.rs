//! The order in which commands begin, without any disk.

use std::sync::atomic::Ordering;

use super::*;

fn write(pool: &BlockPool, torrent: u32, piece: u32) -> DiskCommand {
    let blocks = vec![pool.take(1).unwrap()];
    DiskCommand::Write {
        torrent: TorrentKey(torrent),
        piece: PieceIndex(piece),
        blocks,
    }
}

fn read(torrent: u32, piece: u32) -> DiskCommand {
    let torrent = TorrentKey(torrent);
    DiskCommand::Read {
        torrent,
        peer: PEER,
        blocks: vec![request(piece, 0, 1)],
    }
}

fn commit(torrent: u32) -> DiskCommand {
    commit_command(TorrentKey(torrent), &[])
}

fn recheck(torrent: u32) -> DiskCommand {
    DiskCommand::Recheck {
        torrent: TorrentKey(torrent),
    }
}

/// What begins next, as a word.
fn next(queue: &mut Queue) -> String {
    let Some(Job { key, work, .. }) = queue.take() else {
        return "nothing".to_owned();
    };
    let work = match work {
        Work::Write(writes) => format!(
            "write {:?}",
            writes.iter().map(|write| write.piece.0).collect::<Vec<_>>()
        ),
        Work::Command(DiskCommand::Read { .. }) => "read".to_owned(),
        Work::Command(DiskCommand::Commit { .. }) => "commit".to_owned(),
        Work::Command(DiskCommand::Recheck { .. }) => "recheck".to_owned(),
        Work::Command(DiskCommand::Close { .. }) => "close".to_owned(),
        Work::Command(other) => format!("{other:?}"),
    };
    format!("{} {work}", key.0)
}

/// Ends a command that took long.
fn end_long(queue: &mut Queue, key: TorrentKey) {
    queue.nearly_ended();
    queue.end(
        key,
        Ended::Alone {
            torrent: None,
            closed: false,
        },
    );
}

#[test]
fn inside_a_torrent_effects_are_in_order() {
    let pool = BlockPool::new(1 << 20);
    let mut queue = Queue::new(4);
    let commands = [
        write(&pool, 1, 7),
        write(&pool, 1, 8),
        read(1, 3),
        read(1, 8),
        commit(1),
        write(&pool, 1, 9),
        commit(1),
        recheck(1),
        read(1, 3),
    ];
    commands.into_iter().for_each(|command| queue.push(command));
    let key = TorrentKey(1);
    assert_eq!(next(&mut queue), "1 write [7, 8]");
    assert_eq!(next(&mut queue), "1 read");
    assert_eq!(next(&mut queue), "nothing", "piece 8 is not written yet");
    queue.end(key, Ended::Write);
    assert_eq!(next(&mut queue), "1 read");
    assert_eq!(
        next(&mut queue),
        "1 commit",
        "a commit does not wait for reads"
    );
    assert_eq!(next(&mut queue), "1 write [9]", "nor writes for a commit");
    queue.end(key, Ended::Commit);
    assert_eq!(
        next(&mut queue),
        "nothing",
        "a commit waits for the write before it"
    );
    queue.end(key, Ended::Write);
    assert_eq!(next(&mut queue), "1 commit");
    queue.end(key, Ended::Commit);
    queue.end(key, Ended::Read);
    assert_eq!(next(&mut queue), "nothing", "a check runs alone");
    queue.end(key, Ended::Read);
    assert_eq!(next(&mut queue), "1 recheck");
    assert_eq!(next(&mut queue), "nothing");
    end_long(&mut queue, key);
    assert_eq!(next(&mut queue), "1 read");
    assert!(!queue.is_idle());
    queue.end(key, Ended::Read);
    assert!(queue.is_idle());
}

/// A spill is in the line of writes, and what hashes its piece waits for it.
#[test]
fn a_spilled_piece_is_hashed_behind_its_spill() {
    let pool = BlockPool::new(1 << 20);
    let mut queue = Queue::new(4);
    let (torrent, piece) = (TorrentKey(1), PieceIndex(7));
    let spill = DiskCommand::Spill {
        torrent,
        piece,
        spill: 0,
        blocks: Vec::new(),
    };
    let hash = DiskCommand::Hash {
        torrent,
        piece,
        number: 0,
        expected: [0; 20],
        digest_blocks: false,
    };
    let commands = [write(&pool, 1, 8), spill, hash, read(1, 3), commit(1)];
    commands.into_iter().for_each(|command| queue.push(command));
    assert_eq!(next(&mut queue), "1 write [8]");
    assert_eq!(next(&mut queue), "nothing");
    queue.end(torrent, Ended::Write);
    assert!(next(&mut queue).starts_with("1 Spill"));
    assert_eq!(next(&mut queue), "nothing", "its piece is being written");
    queue.end(torrent, Ended::Write);
    assert!(next(&mut queue).starts_with("1 Hash"));
    assert_eq!(next(&mut queue), "1 read", "beside it");
    assert_eq!(next(&mut queue), "nothing", "no flush beside it");
    queue.end(torrent, Ended::Hash);
    assert_eq!(next(&mut queue), "1 commit");
}

#[test]
fn torrents_take_turns() {
    let mut queue = Queue::new(4);
    [read(1, 0), read(1, 0), read(1, 0), read(2, 0), read(3, 0)]
        .into_iter()
        .for_each(|command| queue.push(command));
    let order: Vec<_> = (0..5).map(|_| next(&mut queue)).collect();
    assert_eq!(order, ["1 read", "2 read", "3 read", "1 read", "1 read"]);
}

#[test]
fn checks_leave_threads_to_others() {
    let mut queue = Queue::new(4);
    (1..=4).for_each(|torrent| queue.push(recheck(torrent)));
    queue.push(read(5, 0));
    assert_eq!(next(&mut queue), "1 recheck");
    assert_eq!(next(&mut queue), "2 recheck");
    assert_eq!(next(&mut queue), "5 read");
    assert_eq!(next(&mut queue), "nothing");
    end_long(&mut queue, TorrentKey(1));
    assert_eq!(next(&mut queue), "3 recheck");
    end_long(&mut queue, TorrentKey(3));
    end_long(&mut queue, TorrentKey(2));
    assert_eq!(next(&mut queue), "4 recheck");
    end_long(&mut queue, TorrentKey(4));
    queue.end(TorrentKey(5), Ended::Read);
    assert!(queue.is_idle());
}

#[test]
fn at_the_end_nothing_waits_for_a_check_that_never_comes() {
    let mut queue = Queue::new(2);
    (1..=4).for_each(|torrent| queue.push(recheck(torrent)));
    let close = |torrent| DiskCommand::Close {
        torrent: TorrentKey(torrent),
        keep: Keep::All,
    };
    (1..=4).for_each(|torrent| queue.push(close(torrent)));
    assert_eq!(next(&mut queue), "1 recheck");
    assert_eq!(next(&mut queue), "nothing");
    queue.hurry();
    assert_eq!(next(&mut queue), "2 close");
    assert_eq!(next(&mut queue), "3 close");
    assert_eq!(next(&mut queue), "4 close");
    end_long(&mut queue, TorrentKey(1));
    assert_eq!(next(&mut queue), "1 close");
}

#[test]
fn closing_ends_a_check_early() {
    let mut queue = Queue::new(2);
    queue.push(recheck(1));
    let job = queue.take().unwrap();
    assert!(!job.cancelled.load(Ordering::Relaxed));
    queue.push(DiskCommand::Close {
        torrent: TorrentKey(1),
        keep: Keep::All,
    });
    assert!(job.cancelled.load(Ordering::Relaxed));
    end_long(&mut queue, TorrentKey(1));
    assert_eq!(next(&mut queue), "1 close");
}

#[test]
fn one_write_takes_what_fits_into_one_call() {
    let pool = BlockPool::new(32 << 20);
    let mut queue = Queue::new(2);
    (0..1500).for_each(|piece| queue.push(write(&pool, 1, piece)));
    let mut sizes = Vec::new();
    while let Some(job) = queue.take() {
        match job.work {
            Work::Write(writes) => sizes.push(writes.len()),
            Work::Command(other) => panic!("{other:?}"),
        }
        queue.end(job.key, Ended::Write);
    }
    assert_eq!(sizes, [1024, 476]);
}

#[test]
fn a_torrent_is_written_by_one_thread_and_reads_pass_what_waits() {
    let pool = BlockPool::new(1 << 20);
    let mut queue = Queue::new(4);
    queue.push(write(&pool, 1, 7));
    assert_eq!(next(&mut queue), "1 write [7]");
    let commands = [
        write(&pool, 1, 8),
        write(&pool, 2, 8),
        read(1, 3),
        read(1, 8),
        read(1, 4),
    ];
    commands.into_iter().for_each(|command| queue.push(command));
    let order: Vec<_> = (0..3).map(|_| next(&mut queue)).collect();
    assert_eq!(order, ["2 write [8]", "1 read", "nothing"]);
    queue.end(TorrentKey(1), Ended::Write);
    assert_eq!(next(&mut queue), "1 write [8]");
    assert_eq!(next(&mut queue), "nothing", "piece 8 is not written yet");
    queue.end(TorrentKey(1), Ended::Write);
    let order: Vec<_> = (0..3).map(|_| next(&mut queue)).collect();
    assert_eq!(order, ["1 read", "1 read", "nothing"]);
}
