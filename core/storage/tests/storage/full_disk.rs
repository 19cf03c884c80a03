//! Goal: a full disk is told as such, and nothing that did not fit is vouched for.
//! Method: a memory disk with little room, and a tiny tmpfs where one may be mounted.

use std::io::{self, IoSlice};
use std::sync::Arc;

use dunlin_base::PieceIndex;
use dunlin_storage::{
    ErrorKind, Faults, FilePool, MemoryFiles, Operation, Preallocation, Storage, TorrentFiles,
};

use crate::support::{TORRENT, file, layout, open, payload, write_piece};

#[test]
fn a_write_that_does_not_fit_is_not_vouched_for() {
    let layout = layout(vec![file("a", 100)], 16);
    let bytes = payload(&layout);
    let storage = MemoryFiles::new(TORRENT, Arc::clone(&layout));
    storage.set_faults(Faults {
        room_bytes: Some(40),
        ..Faults::default()
    });
    write_piece(&storage, &bytes, PieceIndex(0)).unwrap();
    let parts: Vec<_> = bytes[16..64].chunks(16).map(IoSlice::new).collect();
    let refused = storage.write_vectored_at(16, &parts).unwrap_err();
    assert_eq!(
        (refused.kind, refused.op),
        (ErrorKind::Full, Operation::Write)
    );
    let flushed = storage.flush().unwrap();
    assert!(flushed.covers(0..16) && !flushed.covers(16..17));

    storage.set_faults(Faults::default());
    storage.write_vectored_at(16, &parts).unwrap();
    assert!(storage.flush().unwrap().covers(16..64));
}

#[test]
fn every_fault_is_told_by_its_kind() {
    let layout = layout(vec![file("t/a", 16)], 16);
    let bytes = payload(&layout);
    let storage = MemoryFiles::new(TORRENT, Arc::clone(&layout));
    storage.set_faults(Faults {
        room_bytes: None,
        fail_writes: Some(io::ErrorKind::PermissionDenied),
        fail_reads: Some(io::ErrorKind::NotFound),
        fail_flushes: Some(io::ErrorKind::Other),
    });
    let written = write_piece(&storage, &bytes, PieceIndex(0)).unwrap_err();
    assert_eq!(written.kind, ErrorKind::Permission);
    assert_eq!(
        written.to_string(),
        "cannot write t/a: permission denied; check its permissions"
    );
    assert_eq!(
        storage.read_at(0, &mut [0]).unwrap_err().kind,
        ErrorKind::Missing
    );
    assert_eq!(storage.flush().unwrap_err().kind, ErrorKind::Other);

    storage.set_faults(Faults::default());
    write_piece(&storage, &bytes, PieceIndex(0)).unwrap();
    storage.crash();
    assert_eq!(
        storage.read_at(0, &mut [0]).unwrap_err().kind,
        ErrorKind::Short
    );
    assert!(!storage.flush().unwrap().covers(0..1), "it is lost");
}

/// A tmpfs of 1 MiB that is unmounted at the end.
#[cfg(target_os = "linux")]
struct TinyDisk(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl TinyDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let flags = rustix::mount::MountFlags::empty();
        match rustix::mount::mount("tmpfs", folder.path(), "tmpfs", flags, Some(c"size=1m")) {
            Ok(()) => Some(Self(folder)),
            Err(error) => {
                eprintln!("skipped: cannot mount a tmpfs: {error}");
                None
            }
        }
    }
}

#[cfg(target_os = "linux")]
impl Drop for TinyDisk {
    fn drop(&mut self) {
        let unmounted = rustix::mount::unmount(self.0.path(), rustix::mount::UnmountFlags::DETACH);
        assert_eq!(unmounted, Ok(()));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_real_full_disk_can_be_emptied_and_gone_on_with() {
    let Some(disk) = TinyDisk::mount() else {
        return;
    };
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![1; 600 << 10]).unwrap();
    let layout = layout(vec![file("t/a", 800 << 10)], 64 << 10);
    let bytes = payload(&layout);
    let storage = open(disk.0.path(), &layout);
    let failed = layout.geometry().pieces().find_map(|piece| {
        let error = write_piece(&storage, &bytes, piece).err()?;
        Some((piece, error))
    });
    let (piece, error) = failed.expect("the disk has no room for all of it");
    assert_eq!(error.kind, ErrorKind::Full);
    let flushed = storage.flush().unwrap();
    let start = layout.geometry().piece_start(piece);
    assert!(flushed.covers(0..start) && !flushed.covers(start..start + 1));

    std::fs::remove_file(ballast).unwrap();
    for piece in (piece.0..layout.geometry().piece_count()).map(PieceIndex) {
        write_piece(&storage, &bytes, piece).unwrap();
    }
    let mut back = vec![0; bytes.len()];
    storage.read_at(0, &mut back).unwrap();
    assert!(back == bytes);
}

#[cfg(target_os = "linux")]
#[test]
fn reserving_shows_a_full_disk_before_the_download() {
    let Some(disk) = TinyDisk::mount() else {
        return;
    };
    let layout = layout(vec![file("a", 100), file("b", 2 << 20)], 64 << 10);
    let root = disk.0.path().to_path_buf();
    let pool = FilePool::new(4);
    let wanted = vec![true; 2];
    let how = Preallocation::Full;
    let storage = TorrentFiles::open(root.into(), TORRENT, layout, wanted, how, pool).unwrap();
    let error = storage.prepare().unwrap_err();
    assert_eq!(
        (error.kind, error.op),
        (ErrorKind::Full, Operation::Allocate)
    );
    assert_eq!(error.path, disk.0.path().join("b"));
}
