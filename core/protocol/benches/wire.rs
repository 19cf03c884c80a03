//! The messages of which there are many: requests and haves to read, requests and block headers to
//! write, a thousand at a time.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dunlin_protocol::wire::{BlockRequest, Decoder, Message, piece_header};

const COUNT: u32 = 1_000;
const BLOCK_BYTES: u32 = 16 * 1024;

fn request(n: u32) -> Message {
    Message::Request(BlockRequest {
        piece: n / 64,
        begin: n % 64 * BLOCK_BYTES,
        len: BLOCK_BYTES,
    })
}

fn encoded(message: impl Fn(u32) -> Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    (0..COUNT).for_each(|n| message(n).encode(&mut bytes));
    bytes
}

fn decode_all(mut input: &[u8]) -> u32 {
    let mut decoder = Decoder::default();
    let mut count = 0;
    while let Ok(Some(frame)) = decoder.decode(&mut input) {
        black_box(frame);
        count += 1;
    }
    count
}

fn messages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wire");
    group.throughput(Throughput::Elements(COUNT.into()));
    let (requests, haves) = (encoded(request), encoded(Message::Have));
    for (name, bytes) in [("decode requests", &requests), ("decode haves", &haves)] {
        assert_eq!(decode_all(bytes), COUNT, "every message is whole");
        group.bench_function(name, |bencher| {
            bencher.iter(|| decode_all(black_box(bytes)));
        });
    }
    group.bench_function("encode requests", |bencher| {
        let mut out = Vec::with_capacity(requests.len());
        bencher.iter(|| {
            out.clear();
            (0..COUNT).for_each(|n| request(black_box(n)).encode(&mut out));
        });
    });
    group.bench_function("block headers", |bencher| {
        bencher.iter(|| {
            (0..COUNT).for_each(|n| _ = black_box(piece_header(n, black_box(0), BLOCK_BYTES)));
        });
    });
    group.finish();
}

criterion_group!(benches, messages);
criterion_main!(benches);
