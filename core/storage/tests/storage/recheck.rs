//! Goal: a check finds exactly the pieces that are there and good, in bounded memory.
//! Method: files and a memory disk with holes, damage and pieces larger than a buffer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dunlin_base::PieceIndex;
use dunlin_storage::{
    Faults, FilePool, MemoryFiles, Preallocation, RecheckError, Storage, TorrentFiles, recheck,
    recheck_pieces,
};

use crate::support::{TORRENT, bits, file, hashes, layout, open, pad, payload, write_piece};

static GO_ON: AtomicBool = AtomicBool::new(false);

#[test]
fn good_damaged_short_and_missing_pieces_are_told_apart() {
    let root = tempfile::tempdir().unwrap();
    let layout = layout(
        vec![file("a", 50), pad(14), file("b", 40), file("gone", 20)],
        16,
    );
    let mut bytes = payload(&layout);
    let expected = hashes(&layout, &bytes);
    let storage = open(root.path(), &layout);
    bytes[17] ^= 1;
    for piece in [0, 1, 2, 3, 4, 5] {
        write_piece(&storage, &bytes, PieceIndex(piece)).unwrap();
    }
    let mut seen = Vec::new();
    let found = recheck(&storage, &expected[..], &GO_ON, &mut |now| seen.push(now)).unwrap();
    assert_eq!(found, bits(&layout, &[0, 2, 3, 4, 5]));
    let flushed = storage.flush_all().unwrap();
    for piece in found.iter() {
        assert!(flushed.covers_piece(layout.geometry(), piece));
    }
    let last = seen.last().unwrap();
    assert_eq!((last.checked, last.of, last.good), (8, 8, 5));

    let some = bits(&layout, &[1, 2, 7]);
    let found = recheck_pieces(&storage, &expected[..], &some, &GO_ON, &mut |_| {}).unwrap();
    assert_eq!(found, bits(&layout, &[2]));
}

/// Who only wants to know need not wait for the disk.
#[test]
fn a_check_makes_nothing_durable() {
    let layout = layout(vec![file("a", 64)], 16);
    let bytes = payload(&layout);
    let expected = hashes(&layout, &bytes);
    let storage = MemoryFiles::new(TORRENT, Arc::clone(&layout));
    for piece in layout.geometry().pieces() {
        write_piece(&storage, &bytes, piece).unwrap();
    }
    storage.set_faults(Faults {
        fail_flushes: Some(io::ErrorKind::Other),
        ..Faults::default()
    });
    let found = recheck(&storage, &expected[..], &GO_ON, &mut |_| {}).unwrap();
    assert_eq!(found.count(), 4);
    storage.crash();
    assert_eq!(storage.peek(0, 16), None, "it was in memory only");
}

/// Many files are read side by side, parts of each at a time: one that is in use stays open.
#[cfg(target_os = "linux")]
#[test]
fn a_check_of_many_small_files_opens_each_about_once() {
    use std::mem::MaybeUninit;

    use rustix::fs::inotify;

    let root = tempfile::tempdir().unwrap();
    let files = (0..1000).map(|at| file(&format!("t/{at}"), 9_001));
    let layout = layout(files.collect(), 128 << 10);
    let bytes = payload(&layout);
    let expected = hashes(&layout, &bytes);
    let pool = FilePool::new(64);
    let storage = TorrentFiles::open(
        root.path().into(),
        TORRENT,
        Arc::clone(&layout),
        vec![true; 1000],
        Preallocation::None,
        pool,
    )
    .unwrap();
    let part = io::IoSlice::new(&bytes);
    storage.write_vectored_at(0, &[part]).unwrap();

    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    let opened = inotify::WatchFlags::OPEN;
    inotify::add_watch(&watch, root.path().join("t"), opened).unwrap();
    inotify::add_watch(&watch, root.path(), opened).unwrap();
    let found = recheck(&storage, &expected[..], &GO_ON, &mut |_| {}).unwrap();
    assert_eq!(found.count(), layout.geometry().piece_count());
    let mut room = [MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(&watch, &mut room);
    let (mut files, mut folders) = (0, 0);
    while let Ok(event) = events.next() {
        let is_folder = event.events().contains(inotify::ReadFlags::ISDIR);
        *(if is_folder { &mut folders } else { &mut files }) += 1;
    }
    // Two of a group's pieces may share a file, and so may two groups.
    assert!((936..1500).contains(&files), "{files} of 1000");
    assert!(folders < 10, "{folders} for one folder");
}

#[test]
fn pieces_of_every_size_are_hashed() {
    // Below, around and above the buffer, with a short last piece.
    for (piece_bytes, total) in [
        (16 << 10, (40 << 20) + 5),
        (7 << 20, 45 << 20),
        (16 << 20, 33 << 20),
        (20 << 20, 45 << 20),
        (64 << 20, 65 << 20),
    ] {
        let layout = layout(vec![file("a", total)], piece_bytes);
        let bytes = payload(&layout);
        let mut expected = hashes(&layout, &bytes);
        expected[0][0] ^= 1;
        let storage = MemoryFiles::new(TORRENT, Arc::clone(&layout));
        for piece in layout.geometry().pieces() {
            write_piece(&storage, &bytes, piece).unwrap();
        }
        let found = recheck(&storage, &expected[..], &GO_ON, &mut |_| {}).unwrap();
        let all = layout.geometry().piece_count();
        assert_eq!(found.count(), all - 1, "{piece_bytes}");
        assert!(!found.has(PieceIndex(0)));
    }
}

#[test]
fn half_a_large_piece_is_none() {
    let layout = layout(vec![file("a", 40 << 20), file("b", 20 << 20)], 60 << 20);
    let bytes = payload(&layout);
    let expected = hashes(&layout, &bytes);
    let storage = MemoryFiles::new(TORRENT, Arc::clone(&layout));
    let half = io::IoSlice::new(&bytes[..40 << 20]);
    storage.write_vectored_at(0, &[half]).unwrap();
    let found = recheck(&storage, &expected[..], &GO_ON, &mut |_| {}).unwrap();
    assert_eq!(found.count(), 0);
}

#[test]
fn a_check_can_be_stopped_and_tells_of_a_broken_disk() {
    let layout = layout(vec![file("a", 64 << 20)], 1 << 20);
    let expected = vec![[0; 20]; 64];
    let storage = MemoryFiles::new(TORRENT, layout);
    let stop = AtomicBool::new(false);
    let mut steps = 0;
    let stopped = recheck(&storage, &expected[..], &stop, &mut |_| {
        steps += 1;
        stop.store(true, Ordering::Relaxed);
    });
    assert!(matches!(stopped, Err(RecheckError::Cancelled)) && steps == 1);

    storage.set_faults(Faults {
        fail_reads: Some(io::ErrorKind::PermissionDenied),
        ..Faults::default()
    });
    let broken = recheck(&storage, &expected[..], &GO_ON, &mut |_| {});
    assert!(matches!(broken, Err(RecheckError::Storage(_))));
}

#[test]
fn a_torrent_without_bytes_is_checked_at_once() {
    let layout = layout(vec![file("empty", 0)], 16);
    let storage = MemoryFiles::new(TORRENT, layout);
    let none: &[[u8; 20]] = &[];
    let found = recheck(&storage, none, &GO_ON, &mut |_| {}).unwrap();
    assert!(found.is_empty());
}
