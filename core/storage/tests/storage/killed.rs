//! Goal: `kill -9` at any instant costs no piece and claims none.
//! Method: this test's own binary, started again as a writer and killed at many moments.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use dunlin_base::PieceIndex;
use dunlin_storage::{Commit, FileLayout, ResumeDb, Storage, recheck};

use crate::support::{TORRENT, file, hashes, layout, open, payload, write_piece};

/// Says to the second process where it works.
const WHERE: &str = "DUNLIN_STORAGE_TEST_WRITER";
const PIECE_BYTES: u64 = 16 << 10;
const COMMIT_EVERY: usize = 5;

fn files() -> std::sync::Arc<FileLayout> {
    let sizes = (0..40).map(|at| file(&format!("t/{at}"), 50_000 + at));
    layout(sizes.collect(), PIECE_BYTES)
}

/// In the second process: downloads what is missing until it is killed.
#[test]
fn write_until_killed() {
    let Some(folder) = std::env::var_os(WHERE) else {
        return;
    };
    let folder = Path::new(&folder);
    let layout = files();
    let bytes = payload(&layout);
    let db = ResumeDb::open(&folder.join("state")).unwrap();
    let storage = open(&folder.join("files"), &layout);
    let mut have = db.load(TORRENT, layout.geometry()).unwrap().have;
    let missing: Vec<_> = layout
        .geometry()
        .pieces()
        .filter(|&piece| !have.has(piece))
        .collect();
    for pieces in missing.chunks(COMMIT_EVERY) {
        for &piece in pieces {
            db.intend(TORRENT, &[piece]).unwrap();
            write_piece(&storage, &bytes, piece).unwrap();
            have.set(piece);
        }
        let flushed = storage.flush().unwrap();
        let commit = Commit {
            torrent: TORRENT,
            geometry: layout.geometry(),
            have: &have,
            flushed: &flushed,
            record: None,
            checked: None,
            at_rest: None,
        };
        db.commit(&[commit]).unwrap();
    }
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn nothing_good_is_lost_and_nothing_else_claimed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("files")).unwrap();
    let layout = files();
    let expected = hashes(&layout, &payload(&layout));
    for millis in [30, 45, 60, 80, 100, 120, 150] {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::write_until_killed"])
            .env(WHERE, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(millis));
        assert!(
            writer.try_wait().unwrap().is_none(),
            "it writes until it is killed"
        );
        writer.kill().unwrap();
        writer.wait().unwrap();

        let db = ResumeDb::open(&folder.path().join("state")).unwrap();
        let storage = open(&folder.path().join("files"), &layout);
        let state = db.load(TORRENT, layout.geometry()).unwrap();
        let doubt = state.pieces_in_doubt(&layout, &storage.stat().unwrap());
        let never = AtomicBool::new(false);
        let found = recheck(&storage, &expected[..], &never, &mut |_| {}).unwrap();
        for piece in layout.geometry().pieces() {
            let (good, claimed) = (found.has(piece), state.have.has(piece));
            assert!(good || !claimed, "piece {piece} is claimed and not good");
            assert!(
                claimed || doubt.has(piece) || !good,
                "piece {piece} is good and lost"
            );
        }
        if state.have.count() > 0 {
            assert!(
                doubt.count() <= COMMIT_EVERY as u32,
                "only what is not committed is in doubt"
            );
        }
        assert!(doubt.iter().all(|piece: PieceIndex| !state.have.has(piece)));
    }
}
