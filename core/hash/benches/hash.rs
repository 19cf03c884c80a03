//! What each kernel makes of batches of each size, and what the automatic choice makes of them.

use std::hint::black_box;

use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, measurement::WallTime};
use dunlin_hash::{Kernel, sha1_batch, sha1_batch_with, sha256_batch, sha256_batch_with};

const BLOCK_BYTES: usize = 16 * 1024;
const PIECE_BYTES: usize = 256 * 1024;
const BATCHES: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// Pieces as lists of blocks. All share the one buffer, so that the measure is of the arithmetic
/// and not of the memory.
fn pieces(buffer: &[u8], count: usize) -> Vec<Vec<&[u8]>> {
    (0..count)
        .map(|_| buffer.chunks(BLOCK_BYTES).collect())
        .collect()
}

fn bench_algorithm<const BYTES: usize>(
    mut group: BenchmarkGroup<'_, WallTime>,
    by_kernel: impl Fn(Kernel, &[Vec<&[u8]>], &mut [[u8; BYTES]]),
    by_choice: impl Fn(&[Vec<&[u8]>], &mut [[u8; BYTES]]),
) {
    let buffer = vec![0x5a; PIECE_BYTES];
    for count in BATCHES {
        let messages = pieces(&buffer, count);
        let mut digests = vec![[0; BYTES]; count];
        group.throughput(Throughput::Bytes((count * PIECE_BYTES) as u64));
        for kernel in Kernel::ALL
            .into_iter()
            .filter(|kernel| kernel.is_available())
        {
            group.bench_function(BenchmarkId::new(kernel.name(), count), |bencher| {
                bencher.iter(|| by_kernel(kernel, black_box(&messages), &mut digests));
            });
        }
        group.bench_function(BenchmarkId::new("auto", count), |bencher| {
            bencher.iter(|| by_choice(black_box(&messages), &mut digests));
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    bench_algorithm(
        criterion.benchmark_group("sha1"),
        |kernel, messages, digests| sha1_batch_with(kernel, messages, digests),
        |messages, digests| sha1_batch(messages, digests),
    );
    bench_algorithm(
        criterion.benchmark_group("sha256"),
        |kernel, messages, digests| sha256_batch_with(kernel, messages, digests),
        |messages, digests| sha256_batch(messages, digests),
    );
    criterion.final_summary();
}
