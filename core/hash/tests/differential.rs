//! Every kernel against the `sha1` and `sha2` crates, on batches of any shape.

use dunlin_hash::{
    Kernel, Sha1Stream, Sha256Stream, sha1, sha1_batch, sha1_batch_with, sha256, sha256_batch,
    sha256_batch_with,
};
use proptest::{collection::vec, prelude::*, sample::Index};

/// A message and the places where it is cut into slices.
#[derive(Clone, Debug)]
struct Message {
    bytes: Vec<u8>,
    cuts: Vec<Index>,
}

impl Message {
    fn slices(&self) -> Vec<&[u8]> {
        let mut cuts: Vec<usize> = self
            .cuts
            .iter()
            .map(|cut| cut.index(self.bytes.len() + 1))
            .collect();
        cuts.extend([0, self.bytes.len()]);
        cuts.sort_unstable();
        cuts.windows(2)
            .map(|ends| &self.bytes[ends[0]..ends[1]])
            .collect()
    }
}

fn any_message() -> impl Strategy<Value = Message> {
    let length = prop_oneof![
        4 => 0_usize..300,
        // Where the padding needs a block of its own or begins one.
        2 => (0_usize..8, 54_usize..67).prop_map(|(blocks, bytes)| 64 * blocks + bytes),
        2 => 300_usize..5000,
        1 => Just(16384_usize),
    ];
    (length, any::<u64>(), vec(any::<Index>(), 0..6)).prop_map(|(length, seed, cuts)| Message {
        // A multiplicative sequence: cheaper to draw than random bytes, and no two blocks alike.
        bytes: (0..length as u64)
            .map(|at| {
                (seed ^ at)
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    .to_be_bytes()[0]
            })
            .collect(),
        cuts,
    })
}

fn available_kernels() -> Vec<Kernel> {
    let (present, missing): (Vec<_>, Vec<_>) = Kernel::ALL
        .into_iter()
        .partition(|kernel| kernel.is_available());
    println!("kernels tested: {present:?}; missing on this processor: {missing:?}");
    present
}

/// Checks the batch by every kernel and by the automatic choice.
fn check(kernels: &[Kernel], batch: &[Vec<&[u8]>]) {
    let expected_sha1: Vec<_> = batch.iter().map(|slices| sha1(&slices.concat())).collect();
    let expected_sha256: Vec<_> = batch
        .iter()
        .map(|slices| sha256(&slices.concat()))
        .collect();

    let mut digests_sha1 = vec![[0; 20]; batch.len()];
    let mut digests_sha256 = vec![[0; 32]; batch.len()];
    for &kernel in kernels {
        sha1_batch_with(kernel, batch, &mut digests_sha1);
        assert_eq!(digests_sha1, expected_sha1, "SHA-1 by {kernel}");
        sha256_batch_with(kernel, batch, &mut digests_sha256);
        assert_eq!(digests_sha256, expected_sha256, "SHA-256 by {kernel}");
    }

    digests_sha1.fill([0; 20]);
    digests_sha256.fill([0; 32]);
    sha1_batch(batch, &mut digests_sha1);
    assert_eq!(digests_sha1, expected_sha1, "SHA-1 by choice");
    sha256_batch(batch, &mut digests_sha256);
    assert_eq!(digests_sha256, expected_sha256, "SHA-256 by choice");
}

#[test]
fn every_kernel_agrees_on_random_batches() {
    let kernels = available_kernels();
    proptest!(|(messages in vec(any_message(), 0..40))| {
        let batch: Vec<_> = messages.iter().map(Message::slices).collect();
        check(&kernels, &batch);
    });
}

#[test]
fn every_kernel_agrees_on_every_batch_size_of_equal_pieces() {
    let kernels = available_kernels();
    let bytes: Vec<u8> = (0..40_u32 * 4096)
        .map(|at| ((at * 31) >> 3) as u8)
        .collect();
    for count in 1..=40 {
        let batch: Vec<Vec<&[u8]>> = bytes
            .chunks(4096)
            .take(count)
            .map(|piece| piece.chunks(1024).collect())
            .collect();
        check(&kernels, &batch);
    }
}

#[test]
fn every_kernel_agrees_on_every_short_length() {
    let kernels = available_kernels();
    let bytes: Vec<u8> = (0..=255).collect();
    let whole: Vec<Vec<&[u8]>> = (0..=bytes.len())
        .map(|length| vec![&bytes[..length]])
        .collect();
    check(&kernels, &whole);
    let single_bytes: Vec<Vec<&[u8]>> = (0..=bytes.len())
        .map(|length| bytes[..length].chunks(1).collect())
        .collect();
    check(&kernels, &single_bytes);
}

#[test]
fn a_long_message_among_short_ones_is_carried_through() {
    let kernels = available_kernels();
    let bytes = vec![0xa5; 300_000];
    let mut batch: Vec<Vec<&[u8]>> = vec![vec![&bytes[..100]]; 35];
    batch[3] = vec![&bytes];
    batch[20] = vec![&bytes[..70_001], &[], &bytes[70_001..200_003]];
    check(&kernels, &batch);
}

#[test]
fn known_answers() {
    // FIPS 180-4 examples.
    assert_eq!(sha1(b"abc")[..4], [0xa9, 0x99, 0x3e, 0x36]);
    assert_eq!(sha256(b"abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
    let kernels = available_kernels();
    check(&kernels, &[vec![b"a", b"bc"], vec![], vec![b""]]);
}

#[test]
fn streams_agree_with_whole_messages() {
    let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let mut stream_sha1 = Sha1Stream::new();
    let mut stream_sha256 = Sha256Stream::new();
    for part in bytes.chunks(77) {
        stream_sha1.update(part);
        stream_sha256.update(part);
    }
    assert_eq!(stream_sha1.finish(), sha1(&bytes));
    assert_eq!(stream_sha256.finish(), sha256(&bytes));
}

#[test]
#[should_panic(expected = "one digest for each message")]
fn a_missing_place_for_a_digest_is_refused() {
    sha1_batch(&[[&b"a"[..]], [&b"b"[..]]], &mut [[0; 20]]);
}
