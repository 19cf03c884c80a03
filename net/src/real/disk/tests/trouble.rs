//! What the surroundings can do to the disk port.

use dunlin_port::disk::DiskErrorKind;

use super::*;

#[test]
fn a_torrent_that_is_not_open_gives_everything_back() {
    let sample = Sample::new("closed");
    let bench = Bench::new();
    bench.send(bench.write_command(&sample, 0));
    match bench.event() {
        DiskEvent::WriteFailed {
            torrent: KEY,
            piece: PieceIndex(0),
            blocks,
            error,
        } => {
            assert_eq!((blocks.len(), error.kind), (2, DiskErrorKind::Missing));
        }
        other => panic!("{other:?}"),
    }
    assert!(bench.read(vec![request(0, 0, 1)])[0].1.is_err());
    bench.send(commit_command(KEY, &[]));
    assert!(matches!(
        bench.event(),
        DiskEvent::Failed { torrent: KEY, .. }
    ));
    bench.send(DiskCommand::Recheck { torrent: KEY });
    assert!(matches!(
        bench.event(),
        DiskEvent::Failed { torrent: KEY, .. }
    ));
    bench.close(Keep::All);
}

#[test]
fn a_folder_that_vanished_is_told_and_not_made_anew() {
    let sample = Sample::new("gone");
    let bench = Bench::new();
    bench.open(&sample, Check::Quick);
    bench.write(&sample, &[0]);
    bench.commit(&[0]);
    bench.close(Keep::All);
    fs::remove_dir_all(bench.root()).unwrap();
    bench.send(bench.open_command(&sample, Check::Quick));
    match bench.event() {
        DiskEvent::Failed {
            torrent: KEY,
            error,
        } => {
            assert_eq!(error.kind, DiskErrorKind::Missing, "{error}");
            assert!(error.message.contains("downloads"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!bench.root().exists());
    let root = bench.folder.path().to_path_buf();
    bench.send(DiskCommand::Move { torrent: KEY, root });
    match bench.event() {
        DiskEvent::Moved {
            root,
            error: Some(_),
            ..
        } => assert_eq!(root, bench.root()),
        other => panic!("{other:?}"),
    }
    // It is back: the engine tries again.
    sample.write_files(&bench.root());
    assert_eq!(bench.open(&sample, Check::Quick).0.len(), 5);

    // Removed while its folder is away: it must not come back with the next start.
    bench.close(Keep::All);
    fs::remove_dir_all(bench.root()).unwrap();
    bench.send(bench.open_command(&sample, Check::Quick));
    assert!(matches!(bench.event(), DiskEvent::Failed { .. }));
    bench.close(Keep::Files);
    assert!(bench.port().resume().unwrap().list().unwrap().is_empty());
}

#[test]
fn what_is_not_there_cannot_be_read_and_nonsense_is_refused() {
    let sample = Sample::new("holes");
    let bench = Bench::new();
    sample.write_files(&bench.root());
    bench.open(&sample, Check::Full);
    fs::write(bench.root().join("holes/b"), b"short").unwrap();
    let asked = [
        (0, 0, 20_000),
        (0, 0, 16_384),
        (0, 32_000, 16_384),
        (4, 0, 100),
        (5, 0, 100),
    ];
    let results = bench.read(
        asked
            .map(|(piece, begin, len)| request(piece, begin, len))
            .to_vec(),
    );
    let kinds: Vec<_> = results
        .into_iter()
        .map(|(_, result)| result.map(drop).map_err(|e| e.kind))
        .collect();
    let other = Err(DiskErrorKind::Other);
    assert_eq!(
        kinds,
        [other, Ok(()), other, Err(DiskErrorKind::Missing), other]
    );
}

#[test]
fn reads_wait_for_buffers_and_hold_up_no_writes() {
    let sample = Sample::new("starved");
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::in_folder(folder, BlockPool::new(2 * 16 * 1024));
    sample.write_files(&bench.root());
    bench.open(&sample, Check::Full);
    let blocks = (0..4).map(|piece| request(piece, 0, 16_384)).collect();
    bench.send(DiskCommand::Read {
        torrent: KEY,
        peer: PEER,
        blocks,
    });
    let mut held = bench.events(2);
    assert_eq!(held.len(), 2);
    bench.write(&sample, &[4]);
    held.clear();
    let rest = bench.events(2);
    for (event, piece) in rest.iter().zip(2..) {
        match event {
            DiskEvent::Read {
                block,
                result: Ok(buffer),
                ..
            } => {
                assert_eq!(
                    (block.piece, &**buffer),
                    (piece, &sample.piece(piece)[..16_384])
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_was_submitted_is_done_before_the_port_ends() {
    let sample = Sample::new("ending");
    let bench = Bench::new();
    bench.open(&sample, Check::Quick);
    let mut commands: Vec<_> = (0..5)
        .map(|piece| bench.write_command(&sample, piece))
        .collect();
    commands.push(commit_command(KEY, &[0, 1, 2, 3, 4]));
    commands.push(DiskCommand::Close {
        torrent: KEY,
        keep: Keep::All,
    });
    bench.port().submit(&mut commands);
    let bench = bench.killed();
    let (have, checked, _) = bench.open(&sample, Check::Quick);
    assert_eq!((have.len(), checked), (5, 0));
}

#[test]
fn what_is_removed_while_it_opens_is_forgotten_even_at_the_end() {
    let sample = Sample::new("removed");
    let bench = Bench::new();
    bench.open(&sample, Check::Quick);
    let bench = bench.killed();
    let mut commands = vec![
        bench.open_command(&sample, Check::Full),
        DiskCommand::Close {
            torrent: KEY,
            keep: Keep::Files,
        },
    ];
    bench.port().submit(&mut commands);
    let bench = bench.killed();
    assert!(bench.port().resume().unwrap().list().unwrap().is_empty());
}

#[test]
fn two_processes_cannot_share_a_database() {
    let bench = Bench::new();
    let state = bench.folder.path().join("state");
    let second = DiskPort::new(Arc::new(|| {}), Some(&state), 2, BlockPool::new(1));
    assert!(matches!(
        second,
        Err(DiskPortError::Resume(ResumeError::InUse(_)))
    ));
}
