//! Goal: a restart knows what is on disk, never claims what is not, and survives a damaged database.
//! Method: databases in temporary folders; power failures by a memory disk that forgets.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use dunlin_base::{Bitfield, Geometry, InfoHash, PieceIndex};
use dunlin_storage::{
    Commit, FileLayout, Flushed, MemoryFiles, ResumeDb, ResumeError, ResumeRecord, Storage,
};
use proptest::prelude::*;

use crate::support::{TORRENT, bits, file, layout, open, payload, piece_of, write_piece};

fn record() -> ResumeRecord {
    ResumeRecord {
        root: "/downloads".into(),
        moving_to: Some("/elsewhere".into()),
        added_unix_secs: 1_700_000_000,
        downloaded_bytes: 12,
        uploaded_bytes: 34,
        paused: true,
        priorities: vec![0, 4],
        extra: [("labels".to_owned(), b"iso".to_vec())].into(),
    }
}

fn commit<'a>(layout: &'a FileLayout, have: &'a Bitfield, flushed: &'a Flushed) -> Commit<'a> {
    Commit {
        torrent: TORRENT,
        geometry: layout.geometry(),
        have,
        flushed,
        record: None,
        checked: None,
        at_rest: None,
    }
}

#[test]
fn records_bits_and_metainfo_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let root = tempfile::tempdir().unwrap();
    let layout = layout(vec![file("a", 100)], 16);
    let storage = open(root.path(), &layout);
    {
        let db = ResumeDb::open(folder.path()).unwrap();
        assert_eq!(db.set_aside(), None);
        assert!(matches!(
            ResumeDb::open(folder.path()),
            Err(ResumeError::InUse(_))
        ));
        db.put(TORRENT, &ResumeRecord::default()).unwrap();
        db.put_metainfo(TORRENT, &[b"d4", b":infod"]).unwrap();
        db.intend(TORRENT, &[PieceIndex(3)]).unwrap();
        write_piece(&storage, &payload(&layout), PieceIndex(3)).unwrap();
        let have = bits(&layout, &[3]);
        let flushed = storage.flush().unwrap();
        let record = record();
        let commit = Commit {
            record: Some(&record),
            ..commit(&layout, &have, &flushed)
        };
        assert_eq!(db.commit(&[commit]).unwrap(), [have]);
    }
    let db = ResumeDb::open(folder.path()).unwrap();
    let listed = db.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].torrent, TORRENT);
    assert_eq!(listed[0].record, Ok(record()));
    assert_eq!(listed[0].have, Some(bits(&layout, &[3])));
    assert_eq!(db.record(TORRENT).unwrap(), record());
    assert_eq!(db.metainfo(TORRENT).unwrap().unwrap(), b"d4:infod");
    assert_eq!(db.metainfo_list().unwrap(), [TORRENT]);

    db.remove(TORRENT).unwrap();
    db.remove(TORRENT).unwrap();
    assert!(db.list().unwrap().is_empty() && db.metainfo(TORRENT).unwrap().is_none());
    assert!(matches!(
        db.record(TORRENT),
        Err(ResumeError::Unknown(TORRENT))
    ));
    assert_eq!(
        fs::read_dir(folder.path().join("written")).unwrap().count(),
        0
    );
}

#[test]
fn a_bit_needs_its_data_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let db = ResumeDb::open(folder.path()).unwrap();
    let layout = layout(vec![file("a", 100)], 16);
    let bytes = payload(&layout);
    let storage = MemoryFiles::new(TORRENT, Arc::clone(&layout));
    write_piece(&storage, &bytes, PieceIndex(0)).unwrap();
    let early = storage.flush().unwrap();
    write_piece(&storage, &bytes, PieceIndex(1)).unwrap();
    let have = bits(&layout, &[0, 1]);
    let committed = db.commit(&[commit(&layout, &have, &early)]).unwrap();
    assert_eq!(committed, [bits(&layout, &[0])]);
    let late = storage.flush().unwrap();
    let committed = db.commit(&[commit(&layout, &have, &late)]).unwrap();
    assert_eq!(committed, [have]);
    // A piece that turned out bad is taken back without any proof.
    let have = bits(&layout, &[1]);
    assert_eq!(db.commit(&[commit(&layout, &have, &late)]).unwrap(), [have]);
}

#[test]
fn a_torrent_closed_properly_doubts_only_changed_files() {
    let folder = tempfile::tempdir().unwrap();
    let root = tempfile::tempdir().unwrap();
    let layout = layout(vec![file("a", 40), file("b", 40), file("c", 20)], 16);
    let bytes = payload(&layout);
    let all = Bitfield::full(layout.geometry().piece_count());
    {
        let db = ResumeDb::open(folder.path()).unwrap();
        let storage = open(root.path(), &layout);
        let fresh = db.load(TORRENT, layout.geometry()).unwrap();
        let doubt = fresh.pieces_in_doubt(&layout, &storage.stat().unwrap());
        assert_eq!(doubt.count(), 0, "nothing known, and nothing there");
        let pieces: Vec<_> = layout.geometry().pieces().collect();
        db.intend(TORRENT, &pieces).unwrap();
        for piece in pieces {
            write_piece(&storage, &bytes, piece).unwrap();
        }
        let there = fresh.pieces_in_doubt(&layout, &storage.stat().unwrap());
        assert_eq!(there, all, "nothing known, and all there");
        let flushed = storage.flush().unwrap();
        let at_rest = storage.stat().unwrap();
        let closing = Commit {
            checked: None,
            at_rest: Some(&at_rest),
            ..commit(&layout, &all, &flushed)
        };
        db.commit(&[closing]).unwrap();
    }
    let db = ResumeDb::open(folder.path()).unwrap();
    let state = db.load(TORRENT, layout.geometry()).unwrap();
    assert!(state.is_clean() && state.have == all);
    let storage = open(root.path(), &layout);
    let untouched = state.pieces_in_doubt(&layout, &storage.stat().unwrap());
    assert_eq!(untouched.count(), 0);
    fs::write(root.path().join("b"), [0; 40]).unwrap();
    let changed = state.pieces_in_doubt(&layout, &storage.stat().unwrap());
    assert_eq!(changed, bits(&layout, &[2, 3, 4]));
    fs::remove_file(root.path().join("c")).unwrap();
    let removed = state.pieces_in_doubt(&layout, &storage.stat().unwrap());
    assert_eq!(removed, bits(&layout, &[2, 3, 4, 5, 6]));
}

/// A database that says of a shortened file that it is as it was left, and whole.
#[test]
fn a_bit_is_not_believed_where_no_bytes_are() {
    let folder = tempfile::tempdir().unwrap();
    let root = tempfile::tempdir().unwrap();
    let layout = layout(vec![file("a", 40), file("b", 60)], 16);
    let bytes = payload(&layout);
    let all = Bitfield::full(layout.geometry().piece_count());
    let db = ResumeDb::open(folder.path()).unwrap();
    let storage = open(root.path(), &layout);
    for piece in layout.geometry().pieces() {
        write_piece(&storage, &bytes, piece).unwrap();
    }
    let flushed = storage.flush().unwrap();
    fs::OpenOptions::new()
        .write(true)
        .open(root.path().join("b"))
        .unwrap()
        .set_len(10)
        .unwrap();
    let at_rest = storage.stat().unwrap();
    let closing = Commit {
        at_rest: Some(&at_rest),
        ..commit(&layout, &all, &flushed)
    };
    db.commit(&[closing]).unwrap();
    let state = db.load(TORRENT, layout.geometry()).unwrap();
    assert!(state.is_clean() && state.have == all);
    // Byte 50 is in piece 3.
    let doubt = state.pieces_in_doubt(&layout, &storage.stat().unwrap());
    assert_eq!(doubt, bits(&layout, &[3, 4, 5, 6]));
}

#[test]
fn a_killed_torrent_doubts_what_was_written_since_the_commit() {
    let folder = tempfile::tempdir().unwrap();
    let root = tempfile::tempdir().unwrap();
    let layout = layout(vec![file("a", 40), file("b", 60)], 16);
    let bytes = payload(&layout);
    {
        let db = ResumeDb::open(folder.path()).unwrap();
        let storage = open(root.path(), &layout);
        for pieces in [[0, 3], [1, 4]] {
            db.intend(TORRENT, &pieces.map(PieceIndex)).unwrap();
            for piece in pieces {
                write_piece(&storage, &bytes, PieceIndex(piece)).unwrap();
            }
            if pieces == [0, 3] {
                let flushed = storage.flush().unwrap();
                let have = bits(&layout, &[0, 3]);
                db.commit(&[commit(&layout, &have, &flushed)]).unwrap();
            }
        }
    }
    let db = ResumeDb::open(folder.path()).unwrap();
    let state = db.load(TORRENT, layout.geometry()).unwrap();
    let storage = open(root.path(), &layout);
    let now = storage.stat().unwrap();
    assert!(!state.is_clean());
    assert_eq!(state.have, bits(&layout, &[0, 3]));
    let doubt = state.pieces_in_doubt(&layout, &now);
    assert_eq!(doubt, bits(&layout, &[1, 4]));

    // Hashed again, committed, settled: nothing is left in doubt.
    let flushed = storage.flush_all().unwrap();
    let have = bits(&layout, &[0, 1, 3]);
    db.commit(&[commit(&layout, &have, &flushed)]).unwrap();
    db.settle(TORRENT, &doubt).unwrap();
    let state = db.load(TORRENT, layout.geometry()).unwrap();
    assert_eq!(state.pieces_in_doubt(&layout, &now).count(), 0);

    // A file that lost its end takes its pieces along.
    fs::OpenOptions::new()
        .write(true)
        .open(root.path().join("b"))
        .unwrap()
        .set_len(10)
        .unwrap();
    let doubt = state.pieces_in_doubt(&layout, &storage.stat().unwrap());
    assert_eq!(doubt, bits(&layout, &[3]));
}

#[test]
fn a_damaged_database_is_moved_aside() {
    for (damage, name) in [
        (b"this is no database".to_vec(), "foreign"),
        (vec![0; 100_000], "zeros"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resume.redb");
        for number in 1..3 {
            fs::write(&path, &damage).unwrap();
            let db = ResumeDb::open(folder.path()).unwrap();
            let aside = folder.path().join(format!("resume.redb.corrupt-{number}"));
            assert_eq!(db.set_aside(), Some(&*aside), "{name}");
            assert_eq!(fs::read(&aside).unwrap(), damage, "{name}");
            assert!(db.list().unwrap().is_empty());
        }
    }
}

fn sample_database(folder: &Path) -> Vec<u8> {
    let db = ResumeDb::open(folder).unwrap();
    for number in 0..50 {
        db.put(InfoHash([number; 20]), &record()).unwrap();
    }
    drop(db);
    fs::read(folder.join("resume.redb")).unwrap()
}

#[test]
fn no_damage_makes_it_panic() {
    let folder = tempfile::tempdir().unwrap();
    let whole = sample_database(folder.path());
    let used = whole.iter().rposition(|&byte| byte != 0).unwrap();
    let cases = (any::<prop::sample::Index>(), any::<u8>(), any::<bool>());
    let config = ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let result = proptest::test_runner::TestRunner::new(config).run(&cases, |(at, byte, cut)| {
        let mut bytes = whole.clone();
        let at = at.index(used);
        bytes[at] ^= byte;
        if cut {
            bytes.truncate(at);
        }
        fs::write(folder.path().join("resume.redb"), &bytes).unwrap();
        match ResumeDb::open(folder.path()) {
            Ok(db) => {
                let listed = db.list();
                let found = listed.map_or(0, |listed| listed.len());
                prop_assert!(found == 50 || db.set_aside().is_some() || byte != 0 || cut);
                _ = db.load(InfoHash([3; 20]), &Geometry::new(100, 16).unwrap());
                _ = db.put(TORRENT, &record());
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
        for entry in fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.to_string_lossy().contains("corrupt") {
                fs::remove_file(path).unwrap();
            }
        }
        Ok(())
    });
    result.unwrap();
}

#[test]
fn ten_thousand_torrents_load_quickly() {
    let folder = tempfile::tempdir().unwrap();
    let layout = layout(vec![file("a", 16 << 20)], 16 << 10);
    let have = Bitfield::full(layout.geometry().piece_count());
    let hash = |number: u32| {
        let mut hash = [0; 20];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        InfoHash(hash)
    };
    {
        let db = ResumeDb::open(folder.path()).unwrap();
        let record = record();
        let proofs: Vec<_> = (0..10_000)
            .map(|number| {
                let files = MemoryFiles::new(hash(number), Arc::clone(&layout));
                files.flush().unwrap()
            })
            .collect();
        let commits: Vec<_> = (0..10_000)
            .map(|number| Commit {
                torrent: hash(number),
                record: Some(&record),
                ..commit(&layout, &have, &proofs[number as usize])
            })
            .collect();
        db.commit(&commits).unwrap();
    }
    let start = Instant::now();
    let db = ResumeDb::open(folder.path()).unwrap();
    let listed = db.list().unwrap();
    let took = start.elapsed();
    assert_eq!(listed.len(), 10_000);
    assert!(
        listed
            .iter()
            .all(|torrent| torrent.record.is_ok() && torrent.have.is_some())
    );
    println!("10,000 torrents in {took:?}");
    assert!(took.as_secs() < 10, "{took:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Power fails after any step: every committed bit is good on disk, and every good piece that is
    /// not committed is in doubt.
    #[test]
    fn commit_order_holds_at_every_crash(steps in prop::collection::vec((0_u8..4, 0_u32..8), 1..25)) {
        let folder = tempfile::tempdir().unwrap();
        let layout = layout(vec![file("a", 70), file("b", 58)], 16);
        let bytes = payload(&layout);
        let storage = MemoryFiles::new(TORRENT, Arc::clone(&layout));
        let db = ResumeDb::open(folder.path()).unwrap();
        let mut have = bits(&layout, &[]);
        let mut proof = storage.flush().unwrap();
        for (step, piece) in steps {
            match step {
                0 | 1 => {
                    db.intend(TORRENT, &[PieceIndex(piece)]).unwrap();
                    write_piece(&storage, &bytes, PieceIndex(piece)).unwrap();
                    have.set(PieceIndex(piece));
                }
                2 => proof.merge(&storage.flush().unwrap()),
                _ => {
                    db.commit(&[commit(&layout, &have, &proof)]).unwrap();
                }
            }
            // What a start after a power failure right now would find.
            let state = db.load(TORRENT, layout.geometry()).unwrap();
            let after = MemoryFiles::new(TORRENT, Arc::clone(&layout));
            for piece in have.iter() {
                let mut back = vec![0; 16];
                storage.read_at(layout.geometry().piece_start(piece), &mut back).unwrap();
                write_piece(&after, &bytes, piece).unwrap();
                prop_assert_eq!(&back[..], piece_of(&layout, &bytes, piece));
            }
            for piece in state.have.iter() {
                prop_assert!(proof.covers_piece(layout.geometry(), piece));
            }
            let doubt = state.pieces_in_doubt(&layout, &after.stat().unwrap());
            for piece in have.iter() {
                prop_assert!(state.have.has(piece) || doubt.has(piece), "piece {piece} is lost");
            }
        }
        storage.crash();
        for piece in db.load(TORRENT, layout.geometry()).unwrap().have.iter() {
            let mut back = vec![0; 16];
            storage.read_at(layout.geometry().piece_start(piece), &mut back).unwrap();
            prop_assert_eq!(&back[..], piece_of(&layout, &bytes, piece));
        }
    }
}
