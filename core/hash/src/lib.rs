//! Batch SHA-1 and SHA-256, and BitTorrent v2 merkle trees.
//!
//! A piece arrives as a list of 16 KiB blocks that need not be neighbours in memory, and at full
//! speed many pieces are whole at the same time. [`sha1_batch`] and [`sha256_batch`] therefore take
//! many messages at once, each a list of slices, and hash them side by side.

mod algorithm;
mod batch;
mod cursor;
mod kernel;
mod simd;
mod stream;

pub use batch::{sha1_batch, sha1_batch_with, sha256_batch, sha256_batch_with};
pub use kernel::{Kernel, sha1_kernel_for, sha256_kernel_for};
pub use stream::{Sha1Stream, Sha256Stream, sha1, sha256};

/// The 20 bytes of a SHA-1 digest.
pub type Sha1Digest = [u8; 20];

/// The 32 bytes of a SHA-256 digest.
pub type Sha256Digest = [u8; 32];
