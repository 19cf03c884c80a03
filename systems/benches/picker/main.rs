//! The picker for torrents of each size: what one `have` costs in its order, what opening the rarest piece
//! costs, and what a whole pick costs, by request: a tick in which a peer's answers come and its queue is
//! filled again. None of them may grow with the number of pieces, but for peers that have little of what
//! we lack, of which words of 64 pieces are looked through.

mod download;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use dunlin_base::{Bitfield, NodeKey, PieceIndex, RngStream, StreamName};
use dunlin_components::torrent::{PickOrder, PieceRank};
use dunlin_port::config::PickStrategy;
use dunlin_port::user::FilePriority;
use dunlin_protocol::metainfo::Info;

use crate::download::{Download, QUEUE, Swarm, peers_of, torrent};

const PIECES: [u32; 3] = [1_000, 100_000, 1_000_000];
/// The hashes of more than 838,000 pieces are longer than metadata may be.
const WHOLE_PIECES: [u32; 3] = [1_000, 100_000, 800_000];
/// Copies are spread over so many ranks, as in a swarm of some dozen peers.
const COPIES: u64 = 40;

const SEEDS: Swarm = Swarm {
    what: "4 seeds",
    strategy: PickStrategy::RarestFirst,
    peers: 4,
    mute: 0,
    has: |_, _, _, _| true,
};
/// From 1 to 10 % of all pieces, at random.
const PARTS: Swarm = Swarm {
    what: "50 peers with 1 to 10 %",
    peers: 50,
    has: |n, _, _, luck| luck.below(100) < u64::from(1 + n % 10),
    ..SEEDS
};
const SWARMS: [Swarm; 7] = [
    SEEDS,
    Swarm {
        what: "16 seeds, 1,024 pieces in motion",
        peers: 16,
        ..SEEDS
    },
    PARTS,
    Swarm {
        what: "half of all pieces is rarer, and at another peer",
        has: |n, piece, pieces, _| (n == 0) == (piece < pieces / 2),
        ..SEEDS
    },
    Swarm {
        what: "sequential, 4 seeds",
        strategy: PickStrategy::Sequential,
        ..SEEDS
    },
    Swarm {
        what: "sequential, 50 peers with 1 to 10 %",
        strategy: PickStrategy::Sequential,
        ..PARTS
    },
    Swarm {
        what: "sequential, 4 peers with the last tenth",
        strategy: PickStrategy::Sequential,
        has: |_, piece, pieces, _| piece >= pieces / 10 * 9,
        ..SEEDS
    },
];

/// Pieces that are in motion when the endgame begins: then all peers fall silent but four, which are asked for
/// what the others were asked for.
const ENDGAMES: [u32; 2] = [1_024, 8_192];

fn order(pieces: u32, luck: &mut RngStream) -> PickOrder {
    let mut order = PickOrder::new(pieces);
    for piece in 0..pieces {
        let rank = PieceRank::new(FilePriority::Normal, luck.below(COPIES) as u16);
        order.insert(PieceIndex(piece), rank, luck);
    }
    order
}

fn parts(criterion: &mut Criterion) {
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

/// How many pieces anybody has.
fn pieces_of(peers: &[Bitfield], pieces: u32) -> usize {
    let has = |piece: &u32| peers.iter().any(|bits| bits.has(PieceIndex(*piece)));
    (0..pieces).filter(has).count()
}

fn whole(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("whole pick");
    group.sample_size(10);
    group.warm_up_time(Duration::from_secs(1));
    group.measurement_time(Duration::from_secs(3));
    for pieces in WHOLE_PIECES {
        let info = torrent(pieces);
        for swarm in &SWARMS {
            let peers = peers_of(swarm, pieces);
            // Behind that the endgame comes, and peers that have nothing more.
            let most = pieces_of(&peers, pieces) / 2;
            requests(&mut group, swarm, (&info, pieces), (&peers, most));
        }
    }
    for pieces in ENDGAMES {
        let seeds = pieces / QUEUE as u32;
        let swarm = Swarm {
            what: "endgame",
            peers: seeds,
            mute: seeds - 4,
            ..SEEDS
        };
        let all = 4 * pieces;
        let (info, peers) = (torrent(all), peers_of(&swarm, all));
        requests(
            &mut group,
            &swarm,
            (&info, pieces),
            (&peers, pieces as usize / 2),
        );
    }
    group.finish();
}

/// What a request costs until `most` were answered.
fn requests(
    group: &mut BenchmarkGroup<'_, WallTime>,
    swarm: &Swarm,
    (info, pieces): (&Arc<Info>, u32),
    (peers, most): (&[Bitfield], usize),
) {
    let mut download = Download::new(info, swarm, peers);
    let mut given = 0;
    group.bench_function(BenchmarkId::new(swarm.what, pieces), |bencher| {
        bencher.iter_custom(|requests| {
            let (mut took, mut asked) = (Duration::ZERO, 0);
            while asked < requests {
                if given >= most {
                    download = Download::new(info, swarm, peers);
                    given = 0;
                }
                let (tick, filled) = download.round();
                given += filled.max(1);
                if filled > 0 {
                    took += tick;
                    asked += filled as u64;
                }
            }
            took.mul_f64(requests as f64 / asked as f64)
        });
    });
}

criterion_group!(benches, parts, whole);
criterion_main!(benches);
