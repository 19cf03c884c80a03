//! Goal: a move loses nothing, overwrites nothing, and can be completed after a crash.
//! Method: real files; the second file system is a tmpfs (`/dev/shm`), skipped where there is none.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use crate::support::{PART, file, layout, open, open_wanted, payload, write_piece};
use dunlin_base::PieceIndex;
use dunlin_storage::{ErrorKind, FileLayout, MoveProgress, Storage, TorrentFiles};
use tempfile::TempDir;

fn go_on(_: MoveProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn three_files() -> Arc<FileLayout> {
    layout(
        vec![file("t/a", 1000), file("t/sub/b", 3000), file("t/c", 500)],
        512,
    )
}

/// The files with everything written, c in the part file.
fn filled(root: &Path, layout: &Arc<FileLayout>) -> TorrentFiles {
    let storage = open_wanted(root, layout, vec![true, true, false]).unwrap();
    let bytes = payload(layout);
    for piece in layout.geometry().pieces() {
        write_piece(&storage, &bytes, piece).unwrap();
    }
    storage
}

fn assert_whole(storage: &dyn Storage) {
    let expected = payload(storage.layout());
    let mut bytes = vec![0; expected.len()];
    storage.read_at(0, &mut bytes).unwrap();
    assert!(bytes == expected);
}

fn is_empty(folder: &TempDir) -> bool {
    fs::read_dir(folder.path()).unwrap().next().is_none()
}

/// Folders on two file systems.
fn two_file_systems() -> Option<(TempDir, TempDir)> {
    let here = tempfile::tempdir().unwrap();
    let Ok(there) = tempfile::tempdir_in("/dev/shm") else {
        eprintln!("skipped: there is no /dev/shm");
        return None;
    };
    fs::write(here.path().join("probe"), "").unwrap();
    let moved = fs::rename(here.path().join("probe"), there.path().join("probe"));
    if !moved.is_err_and(|error| error.kind() == io::ErrorKind::CrossesDevices) {
        eprintln!("skipped: /dev/shm is the same file system");
        return None;
    }
    fs::remove_file(here.path().join("probe")).unwrap();
    Some((here, there))
}

#[test]
fn files_move_within_a_file_system() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let layout = three_files();
    let storage = filled(from.path(), &layout);
    let before = storage.stat().unwrap();
    let mut last = None;
    storage
        .move_to(to.path(), &mut |progress| {
            last = Some(progress);
            ControlFlow::Continue(())
        })
        .unwrap();
    let last = last.unwrap();
    assert_eq!(last.done_bytes, last.of_bytes);
    assert!(is_empty(&from));
    assert_eq!(*storage.root(), *to.path());
    assert_eq!(storage.stat().unwrap(), before, "a move is no change");
    assert_whole(&storage);
    write_piece(&storage, &payload(&layout), PieceIndex(0)).unwrap();
    assert!(storage.flush().is_ok());
}

#[test]
fn files_move_between_file_systems() {
    let Some((from, to)) = two_file_systems() else {
        return;
    };
    let layout = three_files();
    let storage = filled(from.path(), &layout);
    let before = storage.stat().unwrap();
    storage.move_to(to.path(), &mut go_on).unwrap();
    assert!(is_empty(&from) && to.path().join(PART).exists());
    assert_eq!(storage.stat().unwrap(), before, "a move is no change");
    assert_whole(&storage);
}

#[test]
fn a_move_that_is_stopped_changes_nothing() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let elsewhere = two_file_systems();
    let mut cases = vec![(from, to)];
    cases.extend(elsewhere);
    for (from, to) in cases {
        let storage = filled(from.path(), &three_files());
        let mut steps = 0;
        let stopped = storage.move_to(to.path(), &mut |_| {
            steps += 1;
            if steps == 2 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert_eq!(
            stopped.unwrap_err().source.kind(),
            io::ErrorKind::Interrupted
        );
        assert!(is_empty(&to));
        assert_eq!(*storage.root(), *from.path());
        assert_whole(&storage);
    }
}

#[test]
fn a_move_overwrites_nothing() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let storage = filled(from.path(), &three_files());
    fs::create_dir_all(to.path().join("t/sub")).unwrap();
    fs::write(to.path().join("t/sub/b"), "somebody's").unwrap();
    let refused = storage.move_to(to.path(), &mut go_on).unwrap_err();
    assert_eq!(
        (refused.kind, refused.path),
        (ErrorKind::Occupied, to.path().join("t/sub/b"))
    );
    assert_eq!(fs::read(to.path().join("t/sub/b")).unwrap(), b"somebody's");
    assert_whole(&storage);
}

#[test]
fn a_move_to_the_same_folder_by_another_name_is_none() {
    let from = tempfile::tempdir().unwrap();
    let storage = filled(from.path(), &three_files());
    storage
        .move_to(&from.path().join("t/.."), &mut go_on)
        .unwrap();
    assert_whole(&storage);
}

#[test]
fn a_move_that_a_crash_cut_short_is_completed() {
    // One file is renamed already, one copied but not removed, one half copied.
    let Some((from, to)) = two_file_systems() else {
        return;
    };
    let layout = three_files();
    let storage = open(from.path(), &layout);
    let bytes = payload(&layout);
    for piece in layout.geometry().pieces() {
        write_piece(&storage, &bytes, piece).unwrap();
    }
    drop(storage);
    fs::create_dir_all(to.path().join("t/sub")).unwrap();
    fs::copy(from.path().join("t/a"), to.path().join("t/a")).unwrap();
    fs::remove_file(from.path().join("t/a")).unwrap();
    fs::copy(from.path().join("t/sub/b"), to.path().join("t/sub/b")).unwrap();
    fs::write(to.path().join("t/c.dunlin-moving"), "half").unwrap();

    let storage = open(from.path(), &layout);
    storage.move_to(to.path(), &mut go_on).unwrap();
    assert!(is_empty(&from) && !to.path().join("t/c.dunlin-moving").exists());
    assert_whole(&storage);
}
