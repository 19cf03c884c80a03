//! A session's whole life over loopback.

use std::ops::ControlFlow;
use std::path::Path;

use super::*;
use crate::{Check, CreateOptions, Created, SessionEvent, create};

const PATIENCE: Duration = Duration::from_secs(30);

fn settings(state_dir: Option<&Path>) -> SessionSettings {
    let mut config = Config::default();
    config.network.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    SessionSettings {
        config,
        state_dir: state_dir.map(Path::to_path_buf),
    }
}

fn payload(folder: &Path, bytes: usize) -> Created {
    let path = folder.join("payload.bin");
    let content: Vec<u8> = (0..bytes as u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(bytes)
        .collect();
    std::fs::write(&path, content).unwrap();
    create(&path, &CreateOptions::default(), |_, _| {
        ControlFlow::Continue(())
    })
    .unwrap()
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

#[test]
fn a_bad_configuration_starts_nothing() {
    let mut bad = settings(None);
    bad.config.engine.choke.interval_secs = 0;
    assert!(matches!(Session::start(bad), Err(StartError::Config(_))));
}
