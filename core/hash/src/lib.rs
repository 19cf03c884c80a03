//! Batch SHA-1 and SHA-256, and BitTorrent v2 merkle trees.
//!
//! A piece arrives as a list of 16 KiB blocks that need not be neighbours in memory, and at full
//! speed many pieces are whole at the same time. [`sha1_batch`] and [`sha256_batch`] therefore take
//! many messages at once, each a list of slices, and hash them side by side:
//!
//! ```
//! let blocks: [&[u8]; 2] = [b"the first block, ", b"the second"];
//! let messages: [&[&[u8]]; 2] = [&blocks, &[b"another piece"]];
//! let mut digests = [[0; 20]; 2];
//! dunlin_hash::sha1_batch(&messages, &mut digests);
//! assert_eq!(digests[0], dunlin_hash::sha1(b"the first block, the second"));
//! ```
//!
//! # Kernels
//!
//! SHA-1 and SHA-256 are chains: a round waits for the round before. Within one message only the
//! SHA instructions help. Vectors hash as many messages as they have lanes, one 32-bit word of each
//! to a vector, so that the rounds of all take the time of one. How fast a [`Kernel`] is with all
//! its lanes in use, relative to one message at a time by SHA instructions on the same core:
//!
//! | kernel                    | messages | SHA-1 | SHA-256 |
//! |---------------------------|---------:|------:|--------:|
//! | crates, no instructions   |        1 |  0.45 |    0.20 |
//! | crates, SHA instructions  |        1 |   1.0 |     1.0 |
//! | SHA instructions in turn  |        2 |   1.2 |    1.07 |
//! | AVX2                      |        8 |   1.8 |    0.75 |
//! | AVX-512, 256-bit forms    |        8 |   3.0 |    1.35 |
//! | AVX-512                   |       16 |   3.7 |     2.0 |
//!
//! These are of messages in the cache. Of messages in memory the lanes gain more, near 5 for the
//! widest SHA-1, because one stream of loads does not use the memory fully and sixteen do.
//!
//! The choice is made at run time by what the processor has and by how many messages are left
//! ([`sha1_kernel_for`], [`sha256_kernel_for`]), and made again as a batch runs out, since half
//! filled vectors are half as fast. A lane whose message ends takes the next one of the batch, so
//! lengths may differ. Where there are no vectors to use, everything goes through the `sha1` and
//! `sha2` crates, which know the SHA instructions of ARM.
//!
//! `unsafe` is confined to the kernels; what surrounds them hands them slices of whole blocks.

mod algorithm;
mod batch;
mod cursor;
mod kernel;
mod lanes;
pub mod merkle;
mod simd;
mod stream;

pub use batch::{sha1_batch, sha1_batch_with, sha256_batch, sha256_batch_with};
pub use kernel::{Kernel, sha1_kernel_for, sha256_kernel_for};
pub use lanes::{STRIPE_BYTES, Sha1Lanes, Stripes, sha1_striped};
pub use stream::{Sha1Stream, Sha256Stream, sha1, sha256};

/// The 20 bytes of a SHA-1 digest.
pub type Sha1Digest = [u8; 20];

/// The 32 bytes of a SHA-256 digest.
pub type Sha256Digest = [u8; 32];
