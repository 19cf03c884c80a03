//! Bitfields of torrents of each size: parsed from the wire, compared, walked.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use dunlin_base::{Bitfield, PieceIndex};

const PIECES: [u32; 3] = [1_000, 100_000, 1_000_000];

/// All pieces but each `n`-th.
fn without(pieces: u32, n: u32) -> Bitfield {
    let mut bits = Bitfield::full(pieces);
    for piece in (0..pieces).step_by(n as usize) {
        bits.clear(PieceIndex(piece));
    }
    bits
}

fn bitfields(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bitfield");
    for pieces in PIECES {
        let (most, other) = (without(pieces, 3), without(pieces, 5));
        let wire = most.as_bytes().to_vec();
        group.bench_function(BenchmarkId::new("from wire", pieces), |bencher| {
            bencher.iter(|| Bitfield::from_wire(black_box(&wire), pieces));
        });
        // The worst case: nothing is found before the end.
        group.bench_function(BenchmarkId::new("has any not in", pieces), |bencher| {
            bencher.iter(|| black_box(&most).has_any_not_in(black_box(&most)));
        });
        group.bench_function(BenchmarkId::new("walk", pieces), |bencher| {
            bencher.iter(|| {
                black_box(&other)
                    .iter()
                    .map(|piece| u64::from(piece.0))
                    .sum::<u64>()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bitfields);
criterion_main!(benches);
