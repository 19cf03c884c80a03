//! Four messages side by side in the 128-bit vectors of ARM, one 32-bit word of each.

#![expect(unsafe_code, reason = "vector loads and stores take raw pointers")]

use std::arch::aarch64::{
    uint32x4_t, vaddq_u32, vbslq_u32, vdupq_n_u32, veorq_u32, vld1q_u8, vld1q_u32,
    vreinterpretq_u32_u8, vreinterpretq_u32_u64, vreinterpretq_u64_u32, vrev32q_u8, vshlq_n_u32,
    vshrq_n_u32, vsriq_n_u32, vst1q_u32, vtrn1q_u32, vtrn1q_u64, vtrn2q_u32, vtrn2q_u64,
};
use std::arch::is_aarch64_feature_detected;

use super::rounds::{SHA1_K, SHA256_K, define_sha1_blocks, define_sha256_blocks};
use crate::{algorithm::States, cursor::ShaBlock};

/// Messages side by side.
pub(super) const LANES: usize = 4;

type V = uint32x4_t;

/// Whether this processor has the instructions.
pub(super) fn is_available() -> bool {
    is_aarch64_feature_detected!("neon")
}

/// Whether this processor has instructions for SHA-1 and SHA-256, which the crates use.
pub(super) fn has_sha() -> bool {
    is_aarch64_feature_detected!("sha2")
}

/// Hashes `runs` into the columns from `first` on by SHA-1.
pub(super) fn sha1(states: &mut States<5>, first: usize, runs: &[&[ShaBlock]; LANES]) {
    assert!(is_available(), "the processor lacks NEON");
    // SAFETY: the feature that the function enables was detected in the line above.
    unsafe { sha1_blocks(states, first, runs) }
}

/// Hashes `runs` into the columns from `first` on by SHA-256.
pub(super) fn sha256(states: &mut States<8>, first: usize, runs: &[&[ShaBlock]; LANES]) {
    assert!(is_available(), "the processor lacks NEON");
    // SAFETY: the feature that the function enables was detected in the line above.
    unsafe { sha256_blocks(states, first, runs) }
}

define_sha1_blocks!("neon");
define_sha256_blocks!("neon");

#[inline]
#[target_feature(enable = "neon")]
fn add(a: V, b: V) -> V {
    vaddq_u32(a, b)
}

#[inline]
#[target_feature(enable = "neon")]
fn xor(a: V, b: V) -> V {
    veorq_u32(a, b)
}

#[inline]
#[target_feature(enable = "neon")]
fn splat(word: u32) -> V {
    vdupq_n_u32(word)
}

/// Rotates by `LEFT`; `RIGHT` is the rest of the word.
#[inline]
#[target_feature(enable = "neon")]
fn rotate_left<const LEFT: i32, const RIGHT: i32>(a: V) -> V {
    const { assert!(LEFT + RIGHT == 32, "a rotation") };
    vsriq_n_u32::<RIGHT>(vshlq_n_u32::<LEFT>(a), a)
}

#[inline]
#[target_feature(enable = "neon")]
fn shift_right<const RIGHT: i32>(a: V) -> V {
    vshrq_n_u32::<RIGHT>(a)
}

#[inline]
#[target_feature(enable = "neon")]
fn xor3(a: V, b: V, c: V) -> V {
    xor(a, xor(b, c))
}

#[inline]
#[target_feature(enable = "neon")]
fn choose(a: V, b: V, c: V) -> V {
    vbslq_u32(a, b, c)
}

/// Where two differ, the third decides.
#[inline]
#[target_feature(enable = "neon")]
fn majority(a: V, b: V, c: V) -> V {
    vbslq_u32(xor(a, b), c, a)
}

#[inline]
#[target_feature(enable = "neon")]
fn load_state<const WORDS: usize>(states: &States<WORDS>, first: usize) -> [V; WORDS] {
    let mut vectors = [vdupq_n_u32(0); WORDS];
    for (vector, word) in vectors.iter_mut().zip(states) {
        let columns: &[u32; LANES] = word[first..].first_chunk().expect("a column for each lane");
        // SAFETY: the array is as large as the vector; the load needs no alignment.
        *vector = unsafe { vld1q_u32(columns.as_ptr()) };
    }
    vectors
}

#[inline]
#[target_feature(enable = "neon")]
fn store_state<const WORDS: usize>(states: &mut States<WORDS>, first: usize, vectors: [V; WORDS]) {
    for (vector, word) in vectors.into_iter().zip(states) {
        let columns: &mut [u32; LANES] = word[first..]
            .first_chunk_mut()
            .expect("a column for each lane");
        // SAFETY: the array is as large as the vector; the store needs no alignment.
        unsafe { vst1q_u32(columns.as_mut_ptr(), vector) };
    }
}

/// The sixteen words of one block of each lane, as vectors of one word of all lanes.
#[inline]
#[target_feature(enable = "neon")]
fn load_words(runs: &[&[ShaBlock]; LANES], block: usize) -> [V; 16] {
    let mut words = [vdupq_n_u32(0); 16];
    for (quarter, words) in words.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let mut rows = [vdupq_n_u32(0); LANES];
        for (row, run) in rows.iter_mut().zip(runs) {
            let bytes = &run[block].as_chunks::<16>().0[quarter];
            // SAFETY: a quarter of a block is as large as the vector; the load needs no alignment.
            let bytes = unsafe { vld1q_u8(bytes.as_ptr()) };
            *row = vreinterpretq_u32_u8(vrev32q_u8(bytes));
        }
        *words = transpose(rows);
    }
    words
}

/// Turns rows of words into columns: pairs of words first, then pairs of pairs.
#[inline]
#[target_feature(enable = "neon")]
fn transpose([a, b, c, d]: [V; 4]) -> [V; 4] {
    let pair = |low: V, high: V| {
        let (low, high) = (vreinterpretq_u64_u32(low), vreinterpretq_u64_u32(high));
        let (even, odd) = (vtrn1q_u64(low, high), vtrn2q_u64(low, high));
        (vreinterpretq_u32_u64(even), vreinterpretq_u32_u64(odd))
    };
    let (first, third) = pair(vtrn1q_u32(a, b), vtrn1q_u32(c, d));
    let (second, fourth) = pair(vtrn2q_u32(a, b), vtrn2q_u32(c, d));
    [first, second, third, fourth]
}
