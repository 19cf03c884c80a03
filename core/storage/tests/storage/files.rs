//! Goal: bytes go into the right files, come back, and never leave the download folder.
//! Method: real files in temporary folders.

use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use crate::support::{PART, TORRENT, file, layout, open, open_wanted, pad, payload, write_piece};
use dunlin_base::{InfoHash, PieceIndex};
use dunlin_storage::{
    ErrorKind, FilePool, FileSpec, MemoryFiles, Preallocation, Storage, TorrentFiles,
};
use proptest::prelude::*;

#[test]
fn pieces_land_in_their_files_and_padding_does_not() {
    let root = tempfile::tempdir().unwrap();
    let files = vec![
        file("t/a", 10),
        file("t/empty", 0),
        pad(6),
        file("t/sub/b", 21),
    ];
    let layout = layout(files, 16);
    let bytes = payload(&layout);
    let storage = open(root.path(), &layout);
    storage
        .write_vectored_at(0, &[IoSlice::new(&bytes)])
        .unwrap();
    storage.prepare().unwrap();

    assert_eq!(fs::read(root.path().join("t/a")).unwrap(), bytes[..10]);
    assert_eq!(fs::read(root.path().join("t/sub/b")).unwrap(), bytes[16..]);
    assert_eq!(fs::read(root.path().join("t/empty")).unwrap(), b"");
    assert!(!root.path().join(".pad").exists());
    let mut back = vec![7; 37];
    storage.read_at(0, &mut back).unwrap();
    assert_eq!(back, bytes);
    let stat = storage.stat().unwrap();
    let lens: Vec<_> = stat
        .files
        .iter()
        .map(|stat| stat.map(|stat| stat.len))
        .collect();
    assert_eq!(lens, [Some(10), Some(0), None, Some(21)]);
}

#[test]
fn bytes_that_are_not_there_are_errors_not_zeros() {
    let root = tempfile::tempdir().unwrap();
    let layout = layout(vec![file("a", 32), file("b", 32)], 16);
    let storage = open(root.path(), &layout);
    let bytes = payload(&layout);
    write_piece(&storage, &bytes, PieceIndex(0)).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(
        storage.read_at(16, &mut buffer).unwrap_err().kind,
        ErrorKind::Short
    );
    let missing = storage.read_at(32, &mut buffer).unwrap_err();
    assert_eq!(missing.kind, ErrorKind::Missing);
    assert_eq!(missing.path, root.path().join("b"));
}

#[test]
fn a_folder_that_is_gone_is_reported_not_created() {
    let root = tempfile::tempdir().unwrap();
    let gone = root.path().join("gone");
    let layout = layout(vec![file("a", 32)], 16);
    let refused = open_wanted(&gone, &layout, vec![true]).unwrap_err();
    assert_eq!(
        (refused.kind, refused.path),
        (ErrorKind::Missing, gone.clone())
    );
    fs::create_dir(&gone).unwrap();
    let storage = open(&gone, &layout);
    fs::remove_dir(&gone).unwrap();
    let bytes = payload(&layout);
    let refused = write_piece(&storage, &bytes, PieceIndex(0)).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Missing);
    fs::create_dir(&gone).unwrap();
    write_piece(&storage, &bytes, PieceIndex(0)).unwrap();
}

#[test]
fn a_file_removed_under_us_is_not_vouched_for() {
    let root = tempfile::tempdir().unwrap();
    let layout = layout(vec![file("a", 32), file("b", 32)], 16);
    let bytes = payload(&layout);
    let storage = open(root.path(), &layout);
    for piece in layout.geometry().pieces() {
        write_piece(&storage, &bytes, piece).unwrap();
    }
    fs::remove_file(root.path().join("a")).unwrap();
    assert_eq!(storage.flush().unwrap_err().kind, ErrorKind::Missing);
    let later = storage.flush().unwrap();
    assert!(!later.covers(0..1) && later.covers(32..64));
    write_piece(&storage, &bytes, PieceIndex(0)).unwrap();
    assert!(storage.flush().unwrap().covers(0..16));
}

#[test]
fn a_flush_vouches_for_what_was_written_before_it_only() {
    let root = tempfile::tempdir().unwrap();
    let layout = layout(vec![file("t/a", 40), file("t/b", 40)], 16);
    let bytes = payload(&layout);
    let on_disk = open(root.path(), &layout);
    let in_memory = MemoryFiles::new(TORRENT, Arc::clone(&layout));
    for storage in [&on_disk as &dyn Storage, &in_memory] {
        write_piece(storage, &bytes, PieceIndex(2)).unwrap();
        let first = storage.flush().unwrap();
        assert!(first.covers_piece(layout.geometry(), PieceIndex(2)));
        assert!(!first.covers_piece(layout.geometry(), PieceIndex(1)));
        write_piece(storage, &bytes, PieceIndex(1)).unwrap();
        let mut second = storage.flush().unwrap();
        assert!(!second.covers(32..33) && second.covers(16..32));
        second.merge(&first);
        assert!(second.covers(16..48));
        let all = storage.flush_all().unwrap();
        assert!(all.covers(16..48) && !all.covers(47..49));
    }
}

#[cfg(unix)]
#[test]
fn planted_links_are_not_followed() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("victim"), "precious").unwrap();
    let root = tempfile::tempdir().unwrap();
    symlink(outside.path(), root.path().join("dir")).unwrap();
    symlink(outside.path().join("victim"), root.path().join("final")).unwrap();
    symlink(outside.path().join("fresh"), root.path().join("dangling")).unwrap();

    for path in ["dir/victim", "dir/new", "dir/sub/new", "final", "dangling"] {
        let layout = layout(vec![file(path, 16)], 16);
        let storage = open(root.path(), &layout);
        let written = storage.write_vectored_at(0, &[IoSlice::new(&[1; 16])]);
        assert_eq!(written.unwrap_err().kind, ErrorKind::Link, "{path}");
        assert!(storage.read_at(0, &mut [0; 8]).is_err(), "{path}");
        assert!(
            storage.prepare().is_ok() && storage.finish().is_err(),
            "{path}"
        );
        _ = storage.remove_data();
    }
    let left: Vec<_> = fs::read_dir(outside.path()).unwrap().collect();
    assert_eq!(left.len(), 1);
    assert_eq!(
        fs::read(outside.path().join("victim")).unwrap(),
        b"precious"
    );
}

#[cfg(unix)]
#[test]
fn the_part_file_is_not_followed_either() {
    let outside = tempfile::tempdir().unwrap();
    let root = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, root.path().join(PART)).unwrap();
    let layout = layout(vec![file("a", 8), file("b", 8)], 16);
    let storage = open_wanted(root.path(), &layout, vec![true, false]).unwrap();
    let written = storage.write_vectored_at(0, &[IoSlice::new(&[1; 16])]);
    assert_eq!(written.unwrap_err().kind, ErrorKind::Link);
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn what_nobody_wants_waits_in_the_part_file() {
    let root = tempfile::tempdir().unwrap();
    let layout = layout(vec![file("t/a", 20), file("t/b", 50), file("t/c", 10)], 16);
    let bytes = payload(&layout);
    let storage = open_wanted(root.path(), &layout, vec![true, false, true]).unwrap();
    // Pieces 1 and 4 straddle into b, 2 and 3 are wholly in it.
    for piece in [0, 1, 4] {
        write_piece(&storage, &bytes, PieceIndex(piece)).unwrap();
    }
    assert!(!root.path().join("t/b").exists() && root.path().join(PART).exists());
    let mut back = [0; 16];
    storage.read_at(16, &mut back).unwrap();
    assert_eq!(back, bytes[16..32]);
    let flushed = storage.flush().unwrap();
    assert!(flushed.covers(0..32) && flushed.covers(64..80));
    assert!(storage.stat().unwrap().part.is_some());

    // A restart finds the same; then somebody wants b.
    drop(storage);
    let storage = open_wanted(root.path(), &layout, vec![true, false, true]).unwrap();
    storage.read_at(16, &mut back).unwrap();
    assert_eq!(back, bytes[16..32]);
    storage.select(vec![true; 3]).unwrap();
    assert!(!root.path().join(PART).exists());
    for piece in [2, 3] {
        write_piece(&storage, &bytes, PieceIndex(piece)).unwrap();
    }
    assert!(storage.flush().is_ok());
    let mut all = vec![0; bytes.len()];
    storage.read_at(0, &mut all).unwrap();
    assert_eq!(all, bytes);
    assert_eq!(fs::read(root.path().join("t/b")).unwrap(), bytes[20..70]);

    // Dropped again, it stays where it is.
    storage.select(vec![true, false, true]).unwrap();
    write_piece(&storage, &bytes, PieceIndex(1)).unwrap();
    assert!(!root.path().join(PART).exists());
}

#[test]
fn a_selection_made_while_stopped_brings_the_part_home_on_opening() {
    let root = tempfile::tempdir().unwrap();
    let layout = layout(vec![file("a", 8), file("b", 8), file("c", 24)], 8192);
    let bytes = payload(&layout);
    let storage = open_wanted(root.path(), &layout, vec![true, false, false]).unwrap();
    write_piece(&storage, &bytes, PieceIndex(0)).unwrap();
    drop(storage);
    let storage = open_wanted(root.path(), &layout, vec![true, true, false]).unwrap();
    assert_eq!(fs::read(root.path().join("b")).unwrap(), bytes[8..16]);
    assert!(root.path().join(PART).exists(), "it still holds c");
    let mut back = vec![0; 40];
    storage.read_at(0, &mut back).unwrap();
    assert_eq!(back, bytes);
    assert!(storage.flush_all().unwrap().covers(0..40));
}

#[test]
fn unwanted_zeros_come_home_as_zeros() {
    let root = tempfile::tempdir().unwrap();
    let layout = layout(vec![file("a", 8), file("b", 8)], 16);
    let storage = open_wanted(root.path(), &layout, vec![true, false]).unwrap();
    storage
        .write_vectored_at(0, &[IoSlice::new(&[0; 16])])
        .unwrap();
    storage.select(vec![true, true]).unwrap();
    assert_eq!(fs::read(root.path().join("b")).unwrap(), [0; 8]);
}

#[test]
fn two_thousand_small_files_take_few_descriptors() {
    let root = tempfile::tempdir().unwrap();
    let files = (0..2000).map(|at| file(&format!("t/{:02}/{at}", at % 40), at % 97));
    let layout = layout(files.collect(), 1000);
    let bytes = payload(&layout);
    let pool = FilePool::new(32);
    let storage = TorrentFiles::open(
        root.path().into(),
        TORRENT,
        Arc::clone(&layout),
        vec![true; 2000],
        Preallocation::Sparse,
        Arc::clone(&pool),
    )
    .unwrap();
    storage.prepare().unwrap();
    let parts: Vec<_> = bytes.chunks(333).map(IoSlice::new).collect();
    storage.write_vectored_at(0, &parts).unwrap();
    assert!(storage.flush().unwrap().covers(0..bytes.len() as u64));
    storage.finish().unwrap();
    assert!(pool.open_files() <= 32);
    let mut back = vec![0; bytes.len()];
    let mut parts: Vec<_> = back.chunks_mut(501).map(IoSliceMut::new).collect();
    storage.read_vectored_at(0, &mut parts).unwrap();
    assert_eq!(back, bytes);
    assert!(storage.stat().unwrap().files.iter().all(Option::is_some));
    storage.remove_data().unwrap();
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

/// Thousands of files would hold up the first byte of a download.
#[test]
fn sparse_files_are_created_when_they_are_written_to() {
    let root = tempfile::tempdir().unwrap();
    let layout = layout(vec![file("t/a", 64), file("t/b", 64), file("t/c", 64)], 64);
    let bytes = payload(&layout);
    let open = || {
        let (wanted, pool) = (vec![false, true, true], FilePool::new(4));
        let how = Preallocation::Sparse;
        let (root, layout) = (root.path().into(), Arc::clone(&layout));
        TorrentFiles::open(root, TORRENT, layout, wanted, how, pool).unwrap()
    };
    let storage = open();
    let lens = |storage: &TorrentFiles| {
        let stat = storage.stat().unwrap();
        let lens = stat.files.iter().map(|stat| stat.map(|stat| stat.len));
        lens.collect::<Vec<_>>()
    };
    storage.prepare().unwrap();
    assert_eq!(lens(&storage), [None, Some(64), None]);
    let half = IoSlice::new(&bytes[128..160]);
    storage.write_vectored_at(128, &[half]).unwrap();
    assert_eq!(lens(&storage), [None, Some(64), Some(64)]);
    // The new entry of its folder is as durable as its bytes.
    assert!(storage.flush().unwrap().covers(128..160));
}

/// The folder is kept open from file to file, but not beyond its end.
#[test]
fn a_folder_that_was_replaced_is_opened_anew() {
    let root = tempfile::tempdir().unwrap();
    let (place, aside) = (root.path().join("place"), root.path().join("aside"));
    fs::create_dir(&place).unwrap();
    let layout = layout(vec![file("a", 16), file("b", 16)], 16);
    let bytes = payload(&layout);
    let storage = open(&place, &layout);
    write_piece(&storage, &bytes, PieceIndex(0)).unwrap();
    fs::rename(&place, &aside).unwrap();
    fs::create_dir(&place).unwrap();
    fs::write(place.join("b"), &bytes[16..]).unwrap();
    let mut back = [0; 16];
    storage.read_at(16, &mut back).unwrap();
    assert_eq!(back, bytes[16..]);
}

#[test]
fn space_is_reserved_as_asked() {
    for (how, len) in [
        (Preallocation::None, None),
        (Preallocation::Sparse, Some(1 << 20)),
        (Preallocation::Full, Some(1 << 20)),
    ] {
        let root = tempfile::tempdir().unwrap();
        let layout = layout(vec![file("a", 1 << 20), file("zero", 0)], 1 << 16);
        let pool = FilePool::new(4);
        let wanted = vec![true; 2];
        let storage =
            TorrentFiles::open(root.path().into(), TORRENT, layout, wanted, how, pool).unwrap();
        storage.prepare().unwrap();
        let stat = storage.stat().unwrap();
        assert_eq!(stat.files[0].map(|stat| stat.len), len, "{how:?}");
        assert_eq!(stat.files[1].map(|stat| stat.len), Some(0), "{how:?}");
        #[cfg(unix)]
        if how == Preallocation::Full {
            use std::os::unix::fs::MetadataExt as _;
            let metadata = fs::metadata(root.path().join("a")).unwrap();
            assert!(metadata.blocks() * 512 >= 1 << 20);
        }
    }
}

#[cfg(unix)]
#[test]
fn a_finished_download_gets_its_links_marks_and_length() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = tempfile::tempdir().unwrap();
    let link = |path: &str, to: &str| FileSpec {
        symlink: Some(to.into()),
        ..file(path, 0)
    };
    let files = vec![
        FileSpec {
            executable: true,
            ..file("t/bin/run", 16)
        },
        link("t/run", "t/bin/run"),
        link("t/x/dir", "t/bin"),
        link("t/passwd", "etc/passwd"),
        link("t/loop", "t/run"),
    ];
    let layout = layout(files, 16);
    fs::create_dir_all(root.path().join("t/bin")).unwrap();
    fs::write(root.path().join("t/bin/run"), [9; 100]).unwrap();
    let bytes = payload(&layout);
    let storage = open(root.path(), &layout);
    write_piece(&storage, &bytes, PieceIndex(0)).unwrap();
    storage.finish().unwrap();
    storage.finish().unwrap();

    assert_eq!(fs::read(root.path().join("t/run")).unwrap(), bytes);
    assert_eq!(fs::read(root.path().join("t/x/dir/run")).unwrap(), bytes);
    let mode = fs::metadata(root.path().join("t/bin/run"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o100, 0o100);
    for left_out in ["t/passwd", "t/loop"] {
        assert!(fs::symlink_metadata(root.path().join(left_out)).is_err());
    }
    let target = tempfile::tempdir().unwrap();
    storage
        .move_to(target.path(), &mut |_| std::ops::ControlFlow::Continue(()))
        .unwrap();
    assert_eq!(fs::read(target.path().join("t/x/dir/run")).unwrap(), bytes);
    storage.remove_data().unwrap();
    assert_eq!(fs::read_dir(target.path()).unwrap().count(), 0);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn torrents_share_a_pool_without_mixing_their_files() {
    let pool = FilePool::new(2);
    let roots = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let layout = layout(vec![file("a", 8), file("b", 8)], 8);
    let storages = [1, 2].map(|number| {
        TorrentFiles::open(
            roots[number - 1].path().into(),
            InfoHash([number as u8; 20]),
            Arc::clone(&layout),
            vec![true; 2],
            Preallocation::None,
            Arc::clone(&pool),
        )
        .unwrap()
    });
    std::thread::scope(|scope| {
        for (number, storage) in (1..).zip(&storages) {
            scope.spawn(move || {
                for round in 0..100 {
                    let bytes = [round | number << 7; 16];
                    storage
                        .write_vectored_at(0, &[IoSlice::new(&bytes)])
                        .unwrap();
                    let mut back = [0; 16];
                    storage.read_at(0, &mut back).unwrap();
                    assert_eq!(back, bytes);
                }
            });
        }
    });
    drop(storages);
    assert_eq!(pool.open_files(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// On disk, in memory and in one flat buffer, the same writes read the same.
    #[test]
    fn disk_and_memory_agree(
        lengths in prop::collection::vec((0_u64..50, 0..4), 1..12),
        wanted in prop::collection::vec(any::<bool>(), 12),
        writes in prop::collection::vec((0_u32..40, any::<bool>()), 1..30),
    ) {
        let root = tempfile::tempdir().unwrap();
        let files = lengths.iter().enumerate().map(|(at, &(length, kind))| {
            if kind == 0 { pad(length) } else { file(&format!("t/{at}"), length) }
        });
        let layout = layout(files.collect(), 16);
        let bytes = payload(&layout);
        let mut wanted = wanted[..lengths.len()].to_vec();
        let disk = open_wanted(root.path(), &layout, wanted.clone()).unwrap();
        let memory = MemoryFiles::new(TORRENT, Arc::clone(&layout));
        let mut there = crate::support::bits(&layout, &[]);
        for (piece, flip) in writes {
            if flip {
                let at = piece as usize % wanted.len();
                wanted[at] = !wanted[at];
                disk.select(wanted.clone()).unwrap();
            } else if let Some(piece) = layout.geometry().piece(piece) {
                write_piece(&disk, &bytes, piece).unwrap();
                write_piece(&memory, &bytes, piece).unwrap();
                there.set(piece);
            }
        }
        for piece in there.iter() {
            let expected = crate::support::piece_of(&layout, &bytes, piece);
            for storage in [&disk as &dyn Storage, &memory] {
                let mut back = vec![0; expected.len()];
                storage.read_at(layout.geometry().piece_start(piece), &mut back).unwrap();
                prop_assert_eq!(&back[..], expected);
            }
        }
    }
}
