//! Parts of pieces that leave memory, and their way back.

use dunlin_base::BlockIndex;
use dunlin_port::disk::DiskErrorKind;

use super::*;

impl Bench {
    /// Spills these blocks of a piece; what is told of it.
    fn spill(&self, bytes: &[u8], piece: u32, blocks: &[u32]) -> DiskEvent {
        let payloads = self.blocks(bytes).into_iter().zip(0..);
        let payloads = payloads.filter(|(_, block)| blocks.contains(block));
        let blocks = payloads.map(|(payload, block)| (BlockIndex(block), payload));
        self.send(DiskCommand::Spill {
            torrent: KEY,
            piece: PieceIndex(piece),
            spill: 77,
            blocks: blocks.collect(),
        });
        let event = self.event();
        let kept = match &event {
            DiskEvent::SpillFailed { blocks, .. } => blocks.len(),
            _ => 0,
        };
        assert_eq!(self.received.in_use(), kept, "others went home");
        event
    }

    fn hash(&self, sample: &Sample, piece: u32, digest_blocks: bool) -> DiskEvent {
        self.send(DiskCommand::Hash {
            torrent: KEY,
            piece: PieceIndex(piece),
            number: 78,
            expected: sha1(sample.piece(piece)),
            digest_blocks,
        });
        self.event()
    }
}

fn verdict(event: DiskEvent) -> (bool, Vec<[u8; 20]>) {
    match event {
        DiskEvent::Hashed(done) => {
            assert_eq!((done.torrent, done.number, done.blocks.len()), (KEY, 78, 0));
            (done.good, done.block_digests)
        }
        other => panic!("{other:?}"),
    }
}

const fn is_spilled(event: &DiskEvent) -> bool {
    matches!(
        event,
        DiskEvent::Spilled {
            torrent: KEY,
            spill: 77,
            ..
        }
    )
}

/// The third piece is in two files, the last one is short.
#[test]
fn what_is_spilled_is_hashed_from_its_files_and_claimed_after_that_alone() {
    let sample = Sample::new("spilled");
    let mut bench = Bench::new();
    bench.open(&sample, Check::Quick);
    for piece in [2, 4] {
        assert!(is_spilled(&bench.spill(sample.piece(piece), piece, &[0])));
    }
    // Half of a piece is none, before and after a restart.
    assert!(!verdict(bench.hash(&sample, 2, false)).0);
    bench = bench.killed();
    assert_eq!(bench.open(&sample, Check::Quick).0, [4]);
    assert!(is_spilled(&bench.spill(sample.piece(2), 2, &[1])));
    assert_eq!(verdict(bench.hash(&sample, 2, false)), (true, Vec::new()));
    // It was verified and not committed: a restart looks at it again.
    bench = bench.killed();
    assert_eq!(
        bench.open(&sample, Check::Quick),
        (vec![2, 4], 1, Totals::default())
    );
    bench.commit(&[2, 4]);
    bench = bench.killed();
    assert_eq!(bench.open(&sample, Check::Quick).1, 0);
}

/// A flush between two spills of a piece vouches for a part that nobody can claim yet.
#[test]
fn a_piece_that_was_flushed_in_parts_is_committed_whole() {
    let sample = Sample::new("flushed");
    let mut bench = Bench::new();
    bench.open(&sample, Check::Quick);
    assert!(is_spilled(&bench.spill(sample.piece(2), 2, &[0])));
    bench.commit(&[]);
    assert!(is_spilled(&bench.spill(sample.piece(2), 2, &[1])));
    bench.commit(&[]);
    assert!(verdict(bench.hash(&sample, 2, false)).0);
    bench.commit(&[2]);
    bench = bench.killed();
    let (have, checked, _) = bench.open(&sample, Check::Quick);
    assert_eq!((have, checked), (vec![2], 0));
}

#[test]
fn a_bad_piece_is_told_block_by_block() {
    let sample = Sample::new("bad");
    let bench = Bench::new();
    bench.open(&sample, Check::Quick);
    let mut bad = sample.piece(1).to_vec();
    bad[20_000] ^= 1;
    assert!(is_spilled(&bench.spill(&bad, 1, &[0, 1])));
    let digests = |bytes: &[u8]| bytes.chunks(16 * 1024).map(sha1).collect::<Vec<_>>();
    assert_eq!(
        verdict(bench.hash(&sample, 1, false)),
        (false, digests(&bad))
    );
    let good = sample.piece(1);
    assert!(is_spilled(&bench.spill(good, 1, &[1])));
    assert_eq!(verdict(bench.hash(&sample, 1, true)), (true, digests(good)));
}

#[test]
fn trouble_is_the_disk_s() {
    let sample = Sample::new("trouble");
    let bench = Bench::new();
    match bench.spill(sample.piece(0), 0, &[0]) {
        DiskEvent::SpillFailed {
            spill: 77,
            blocks,
            error,
            ..
        } => {
            assert_eq!((blocks.len(), error.kind), (1, DiskErrorKind::Missing));
            assert_eq!(*blocks[0], sample.piece(0)[..16 * 1024]);
        }
        other => panic!("{other:?}"),
    }
    bench.open(&sample, Check::Quick);
    // Somebody cut the file.
    fs::write(bench.root().join("trouble/b"), b"").unwrap();
    match bench.hash(&sample, 3, false) {
        DiskEvent::HashFailed {
            piece,
            number: 78,
            error,
            ..
        } => {
            assert_eq!((piece, error.kind), (PieceIndex(3), DiskErrorKind::Missing));
        }
        other => panic!("{other:?}"),
    }
}
