//! The picker's order for torrents of each size: what one `have` costs, what opening the rarest
//! piece costs. Neither may grow with the number of pieces.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use dunlin_base::{NodeKey, PieceIndex, RngStream, StreamName};
use dunlin_components::torrent::{PickOrder, PieceRank};
use dunlin_port::user::FilePriority;

const PIECES: [u32; 3] = [1_000, 100_000, 1_000_000];
/// Copies are spread over so many ranks, as in a swarm of some dozen peers.
const COPIES: u64 = 40;

fn order(pieces: u32, luck: &mut RngStream) -> PickOrder {
    let mut order = PickOrder::new(pieces);
    for piece in 0..pieces {
        let rank = PieceRank::new(FilePriority::Normal, luck.below(COPIES) as u16);
        order.insert(PieceIndex(piece), rank, luck);
    }
    order
}

fn picker(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("picker");
    for pieces in PIECES {
        let mut luck = RngStream::new(1, NodeKey(1), StreamName::Identity);
        let mut order = order(pieces, &mut luck);
        group.bench_function(BenchmarkId::new("have", pieces), |bencher| {
            bencher.iter(|| {
                let piece = PieceIndex(luck.below(u64::from(pieces)) as u32);
                let copies = luck.below(COPIES) as u16;
                order.set_copies(piece, copies, &mut luck);
            });
        });
        group.bench_function(BenchmarkId::new("open the rarest", pieces), |bencher| {
            bencher.iter(|| {
                let rarest = order.iter().next().expect("there are pieces");
                let rank = order.rank(rarest, 0);
                order.remove(black_box(rarest));
                order.insert(rarest, rank, &mut luck);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, picker);
criterion_main!(benches);
