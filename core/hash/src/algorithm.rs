//! What SHA-1 and SHA-256 differ in, as far as hashing many messages is concerned.

use crate::{
    cursor::ShaBlock,
    kernel::{Kernel, sha1_kernel_for, sha256_kernel_for},
    simd,
};

/// The most messages that any kernel hashes side by side.
pub(crate) const LANES_MAX: usize = 16;

/// The states of the messages under way: word by word, and in each word a column per message, as
/// the vector kernels load them.
pub(crate) type States<const WORDS: usize> = [[u32; LANES_MAX]; WORDS];

/// A hash function of 64-byte blocks whose digest is its state of `WORDS` words.
pub(crate) trait Algorithm<const WORDS: usize> {
    /// The state before the first block.
    const INITIAL: [u32; WORDS];

    /// The fastest kernel for `messages` under way at the same time.
    fn kernel_for(messages: usize) -> Kernel;

    /// Feeds each of `runs`, all of the same length and at most as many as the kernel has lanes,
    /// to the states in the columns from `first` on. Columns of unused lanes are left undefined.
    fn compress(kernel: Kernel, states: &mut States<WORDS>, first: usize, runs: &[&[ShaBlock]]);
}

/// SHA-1 (FIPS 180-4, section 6.1).
pub(crate) struct Sha1;

impl Algorithm<5> for Sha1 {
    const INITIAL: [u32; 5] = [
        0x6745_2301,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0,
    ];

    fn kernel_for(messages: usize) -> Kernel {
        sha1_kernel_for(messages)
    }

    fn compress(kernel: Kernel, states: &mut States<5>, first: usize, runs: &[&[ShaBlock]]) {
        simd::sha1(kernel, states, first, runs);
    }
}

/// SHA-256 (FIPS 180-4, section 6.2).
pub(crate) struct Sha256;

impl Algorithm<8> for Sha256 {
    const INITIAL: [u32; 8] = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];

    fn kernel_for(messages: usize) -> Kernel {
        sha256_kernel_for(messages)
    }

    fn compress(kernel: Kernel, states: &mut States<8>, first: usize, runs: &[&[ShaBlock]]) {
        simd::sha256(kernel, states, first, runs);
    }
}
