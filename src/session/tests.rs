//! A session's whole life over loopback.

use std::ops::ControlFlow;
use std::path::Path;

use super::*;
use dunlin_port::config::ByteSize;
use dunlin_port::snapshot::TorrentState;

use crate::{Check, CreateOptions, Created, SessionEvent, create};

const PATIENCE: Duration = Duration::from_secs(60);

fn settings(state_dir: Option<&Path>) -> SessionSettings {
    let mut config = Config::default();
    config.network.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    SessionSettings {
        config,
        state_dir: state_dir.map(Path::to_path_buf),
        record: None,
    }
}

fn payload(folder: &Path, bytes: usize) -> Created {
    payload_in_pieces(folder, bytes, None)
}

fn payload_in_pieces(folder: &Path, bytes: usize, piece_bytes: Option<u32>) -> Created {
    let path = folder.join("payload.bin");
    let content: Vec<u8> = (0..bytes as u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(bytes)
        .collect();
    std::fs::write(&path, content).unwrap();
    let options = CreateOptions {
        piece_bytes,
        ..CreateOptions::default()
    };
    create(&path, &options, |_, _| ControlFlow::Continue(())).unwrap()
}

fn wait_for(events: &Subscription, mut wanted: impl FnMut(&SessionEvent) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match events.next(Duration::from_millis(100)) {
            Some(event) if wanted(&event) => return,
            Some(_) => {}
            None => assert!(!events.is_over(), "the session ended"),
        }
    }
    panic!("it did not happen in {PATIENCE:?}");
}

#[test]
fn a_transfer_over_loopback_and_its_resume() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [source, target, state] = folders.each_ref().map(tempfile::TempDir::path);
    let made = payload(source, 3 << 20);
    let seeder = Session::start(settings(None)).unwrap();
    let seeding = NewTorrent::new(made.metainfo.clone(), &made.root).check(Check::Trusted);
    seeder.add(seeding).unwrap();

    let getter = Session::start(settings(Some(state))).unwrap();
    let events = getter.subscribe();
    let wanted = || NewTorrent::new(made.metainfo.clone(), target);
    let torrent = getter
        .add(wanted().peers(seeder.listen_addrs().to_vec()))
        .unwrap();
    assert!(matches!(getter.add(wanted()), Err(AddError::Duplicate(_))));
    wait_for(&events, |event| {
        *event == SessionEvent::Completed { torrent }
    });
    let view = getter.snapshot().unwrap().torrents.remove(0);
    assert_eq!((view.done_bytes, view.have_pieces), (3 << 20, view.pieces));
    getter.stop(PATIENCE).unwrap();
    let file = |folder: &Path| std::fs::read(folder.join("payload.bin")).unwrap();
    assert!(file(source) == file(target));

    let again = Session::start(settings(Some(state))).unwrap();
    let events = again.subscribe();
    let (restored, lost) = again.restore().unwrap();
    assert_eq!((restored.len(), lost.len()), (1, 0));
    wait_for(
        &events,
        |event| matches!(event, SessionEvent::Opened { have_pieces, checked_pieces: 0, .. } if *have_pieces == view.pieces),
    );
}

#[test]
fn what_the_tables_show_has_been_told() {
    let source = tempfile::tempdir().unwrap();
    let made = payload(source.path(), 1 << 20);
    for _ in 0..20 {
        let seeder = Session::start(settings(None)).unwrap();
        let events = seeder.subscribe();
        let seeding = NewTorrent::new(made.metainfo.clone(), &made.root).check(Check::Trusted);
        let torrent = seeder.add(seeding).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while seeder.snapshot().unwrap().torrents[0].state != TorrentState::Seeding {
            assert!(Instant::now() < deadline, "it does not open");
        }
        let mut told = std::iter::from_fn(|| events.next(Duration::ZERO));
        let opened =
            |event| matches!(event, SessionEvent::Opened { torrent: of, .. } if of == torrent);
        assert!(told.any(opened), "it was seen before it was told");
    }
}

/// Three pieces of 64 MiB, the last one shorter, with 24 MiB for all that there is.
#[test]
fn pieces_that_are_longer_than_the_memory_are_downloaded_within_it() {
    const PIECE: u32 = 64 << 20;
    const BYTES: usize = 2 * PIECE as usize + 5_000_000;
    let folders = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let [source, target, state, tapes] = folders.each_ref().map(tempfile::TempDir::path);
    let made = payload_in_pieces(source, BYTES, Some(PIECE));
    let seeder = Session::start(settings(None)).unwrap();
    let seeding = NewTorrent::new(made.metainfo.clone(), &made.root).check(Check::Trusted);
    seeder.add(seeding).unwrap();

    let mut small = settings(Some(state));
    small.config.network.memory = ByteSize(24 << 20);
    let tape = tapes.join("get.rec");
    small.record = Some(tape.clone());
    let getter = Session::start(small).unwrap();
    let events = getter.subscribe();
    let new = NewTorrent::new(made.metainfo.clone(), target);
    let torrent = getter
        .add(new.peers(seeder.listen_addrs().to_vec()))
        .unwrap();
    wait_for(&events, |event| {
        *event == SessionEvent::Completed { torrent }
    });
    let memory = getter.blocks_memory();
    assert_eq!(getter.snapshot().unwrap().torrents[0].have_pieces, 3);
    getter.stop(PATIENCE).unwrap();
    // Of the 24 MiB, the program takes 12, and blocks on their way to peers a quarter of the rest.
    assert_eq!(memory.bytes_max, 9 << 20);
    assert!(memory.bytes_peak <= memory.bytes_max, "{memory:?}");
    let file = |folder: &Path| std::fs::read(folder.join("payload.bin")).unwrap();
    assert!(file(source) == file(target));

    // It is remembered, and what was recorded of it plays.
    let again = Session::start(settings(Some(state))).unwrap();
    let events = again.subscribe();
    again.restore().unwrap();
    wait_for(&events, |event| {
        matches!(event, SessionEvent::Opened { have_pieces: 3, .. })
    });
    let tape = std::fs::File::open(&tape).unwrap();
    let go_on = &mut |_: &_| ControlFlow::Continue(());
    let replayed = dunlin_scenarios::recording::replay(tape, go_on).unwrap();
    assert_eq!((replayed.mismatch, replayed.cut_at), (None, None));
}

#[test]
fn a_recorded_session_plays_to_the_same_digests_without_a_network() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [source, target, tapes] = folders.each_ref().map(tempfile::TempDir::path);
    let made = payload(source, 1 << 20);
    let [seeding, getting] = ["seed.rec", "get.rec"].map(|name| tapes.join(name));
    let start = |tape: &Path| {
        let record = Some(tape.to_path_buf());
        let settings = settings(None);
        Session::start(SessionSettings { record, ..settings }).unwrap()
    };
    let seeder = start(&seeding);
    let new = NewTorrent::new(made.metainfo.clone(), &made.root).check(Check::Trusted);
    seeder.add(new).unwrap();
    let getter = start(&getting);
    let events = getter.subscribe();
    let new = NewTorrent::new(made.metainfo, target).peers(seeder.listen_addrs().to_vec());
    let torrent = getter.add(new).unwrap();
    wait_for(&events, |event| {
        *event == SessionEvent::Completed { torrent }
    });
    getter.stop(PATIENCE).unwrap();
    seeder.stop(PATIENCE).unwrap();
    for tape in [seeding, getting] {
        let file = std::fs::File::open(&tape).unwrap();
        let go_on = &mut |_: &_| ControlFlow::Continue(());
        let replayed = dunlin_scenarios::recording::replay(file, go_on).unwrap();
        assert_eq!(
            (replayed.mismatch, replayed.cut_at),
            (None, None),
            "{tape:?}"
        );
        assert!(replayed.ticks > 10);
    }
    let mut refused = settings(None);
    refused.record = Some(target.join("no such folder/x.rec"));
    assert!(matches!(
        Session::start(refused),
        Err(StartError::Recording { .. })
    ));
}

#[test]
fn a_removed_torrent_can_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let made = payload(folder.path(), 100_000);
    let session = Session::start(settings(None)).unwrap();
    let events = session.subscribe();
    let new = || NewTorrent::new(made.metainfo.clone(), &made.root);
    let torrent = session.add(new()).unwrap();
    assert_eq!(session.find(new().info_hash()), Some(torrent));
    session.remove(torrent, false).unwrap();
    wait_for(&events, |event| *event == SessionEvent::Removed { torrent });
    assert_ne!(session.add(new()).unwrap(), torrent);
    session.stop(PATIENCE).unwrap();
    while events.next(Duration::ZERO).is_some() {}
    assert!(events.is_over());
}

/// Whoever could write into the state folder: each damage costs its own torrent and no other, and
/// numbers that cannot be true do no harm.
#[test]
fn a_state_folder_that_was_tampered_with_costs_no_other_torrent() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [source, target, state] = folders.each_ref().map(tempfile::TempDir::path);
    let made = payload(source, 200_000);
    let whole = made.metainfo.write();
    let good = made.metainfo.info.info_hash();
    let record = |priorities: Vec<u8>| dunlin_storage::ResumeRecord {
        root: source.to_path_buf(),
        added_unix_secs: i64::MIN,
        downloaded_bytes: u64::MAX,
        uploaded_bytes: u64::MAX,
        priorities,
        ..Default::default()
    };
    let hash = |byte| InfoHash([byte; 20]);
    {
        let db = ResumeDb::open(state).unwrap();
        db.put(good, &record(Vec::new())).unwrap();
        db.put_metainfo(good, &[&whole]).unwrap();
        // That of another torrent, junk, a nest of lists, nothing at all.
        let bomb = [b"l".repeat(100_000), b"e".repeat(100_000)].concat();
        let foreign = [&whole, &b"junk"[..], &bomb].into_iter().zip(1..);
        for (metainfo, byte) in foreign {
            db.put(hash(byte), &record(Vec::new())).unwrap();
            db.put_metainfo(hash(byte), &[metainfo]).unwrap();
        }
        db.put(hash(4), &record(vec![9; 1000])).unwrap();
    }
    std::fs::write(state.join(format!("written/{good}.written")), b"no journal").unwrap();

    let seeder = Session::start(settings(Some(state))).unwrap();
    let events = seeder.subscribe();
    let (restored, lost) = seeder.restore().unwrap();
    let hashes: Vec<_> = lost.iter().map(|lost| lost.info_hash).collect();
    assert_eq!(
        (restored.len(), hashes),
        (1, [1, 2, 3, 4].map(hash).to_vec())
    );
    assert!(lost[0].reason.contains("another torrent"), "{lost:?}");
    // Nothing is believed of a journal that is none: all is hashed, and all is good.
    wait_for(
        &events,
        |event| matches!(event, SessionEvent::Opened { have_pieces, checked_pieces, .. } if have_pieces == checked_pieces),
    );
    let getter = Session::start(settings(None)).unwrap();
    let events = getter.subscribe();
    let new = NewTorrent::new(made.metainfo, target).peers(seeder.listen_addrs().to_vec());
    let torrent = getter.add(new).unwrap();
    wait_for(&events, |event| {
        *event == SessionEvent::Completed { torrent }
    });
    let view = seeder.snapshot().unwrap().torrents.remove(0);
    assert_eq!(view.totals.uploaded_bytes, u64::MAX);
    seeder.stop(PATIENCE).unwrap();
}

/// A record whose choice of files is of another torrent.
#[test]
fn a_choice_of_files_that_does_not_fit_is_refused() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [source, state] = folders.each_ref().map(tempfile::TempDir::path);
    let made = payload(source, 1000);
    let hash = made.metainfo.info.info_hash();
    {
        let db = ResumeDb::open(state).unwrap();
        let record = dunlin_storage::ResumeRecord {
            root: source.to_path_buf(),
            priorities: vec![255; 3],
            ..Default::default()
        };
        db.put(hash, &record).unwrap();
        db.put_metainfo(hash, &[&made.metainfo.write()]).unwrap();
    }
    let session = Session::start(settings(Some(state))).unwrap();
    let (restored, lost) = session.restore().unwrap();
    assert_eq!((restored.len(), lost.len()), (0, 1));
    assert!(lost[0].reason.contains("3 files"), "{lost:?}");
}

#[test]
fn a_bad_configuration_starts_nothing() {
    let mut bad = settings(None);
    bad.config.engine.choke.interval_secs = 0;
    assert!(matches!(Session::start(bad), Err(StartError::Config(_))));
}
