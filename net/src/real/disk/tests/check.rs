//! What a check leaves behind: what is found is made durable before it is noted, and no more.

use std::sync::atomic::AtomicBool;

use super::*;

/// Opens a torrent as the port does; `tell` hears how far the check is.
fn check(bench: &Bench, sample: &Sample, tell: &dyn Fn(DiskEvent)) -> Checked {
    let shared = &bench.port().shared;
    let desk = Desk {
        key: KEY,
        records: shared.records.as_ref(),
        files: &shared.files,
        cancelled: &AtomicBool::new(false),
        tell,
    };
    let opening = Opening {
        info: Arc::clone(&sample.info),
        root: bench.root().into(),
        preallocation: Preallocation::Sparse,
        wanted: vec![true; 3],
        check: Check::Full,
        as_is: false,
    };
    desk.open(opening).expect("it opens")
}

/// Pieces that the proof of a check vouches for.
fn proven(sample: &Sample, checked: &Checked) -> Vec<u32> {
    let flushed = &checked.facts.as_ref().expect("there is news").flushed;
    let geometry = sample.info.geometry();
    let pieces = geometry.pieces();
    let proven = pieces.filter(|piece| flushed.covers_piece(geometry, *piece));
    proven.map(|piece| piece.0).collect()
}

fn have(checked: &Checked) -> u32 {
    match &checked.opened {
        DiskEvent::Opened { have, .. } => have.count(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_torrent_has_nothing_to_flush_and_few_files_to_create() {
    let sample = Sample::new("new");
    let bench = Bench::new();
    let checked = check(&bench, &sample, &|_| {});
    assert_eq!((have(&checked), proven(&sample, &checked)), (0, vec![]));
    let folder = bench.root().join("new");
    let there = ["a", "empty", "b"].map(|name| folder.join(name).exists());
    assert_eq!(there, [true, true, false]);
}

#[test]
fn what_a_check_finds_is_flushed_before_it_is_noted() {
    let sample = Sample::new("found");
    let bench = Bench::new();
    sample.write_files(&bench.root());
    let checked = check(&bench, &sample, &|_| {});
    let all = vec![0, 1, 2, 3, 4];
    assert_eq!((have(&checked), proven(&sample, &checked)), (5, all));

    // Good when it was hashed, and gone when it is to be made durable.
    let last = bench.root().join("found/b");
    let checked = check(&bench, &sample, &|event| {
        if matches!(event, DiskEvent::Checking { done, of, .. } if done == of) {
            _ = fs::remove_file(&last);
        }
    });
    assert_eq!(
        (have(&checked), proven(&sample, &checked)),
        (5, vec![0, 1]),
        "nothing vouches for the others"
    );
}
