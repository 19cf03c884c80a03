//! Eight messages side by side in AVX2 registers, one 32-bit word of each.

#![expect(
    unsafe_code,
    reason = "enters functions compiled for detected features"
)]

use std::arch::x86_64::{
    _mm256_add_epi32, _mm256_and_si256, _mm256_or_si256, _mm256_set1_epi32, _mm256_slli_epi32,
    _mm256_srli_epi32, _mm256_xor_si256,
};

use super::{
    eight::{LANES, V, load_state, load_words, store_state},
    rounds::{SHA1_K, SHA256_K, define_sha1_blocks, define_sha256_blocks},
};
use crate::{algorithm::States, cursor::ShaBlock};

/// Whether this processor has the instructions.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx2")
}

/// Hashes `runs` into the columns from `first` on by SHA-1.
pub(super) fn sha1(states: &mut States<5>, first: usize, runs: &[&[ShaBlock]; LANES]) {
    assert!(is_available(), "the processor lacks AVX2");
    // SAFETY: the feature that the function enables was detected in the line above.
    unsafe { sha1_blocks(states, first, runs) }
}

/// Hashes `runs` into the columns from `first` on by SHA-256.
pub(super) fn sha256(states: &mut States<8>, first: usize, runs: &[&[ShaBlock]; LANES]) {
    assert!(is_available(), "the processor lacks AVX2");
    // SAFETY: the feature that the function enables was detected in the line above.
    unsafe { sha256_blocks(states, first, runs) }
}

define_sha1_blocks!("avx2");
define_sha256_blocks!("avx2");

#[inline]
#[target_feature(enable = "avx2")]
fn add(a: V, b: V) -> V {
    _mm256_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor(a: V, b: V) -> V {
    _mm256_xor_si256(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat(word: u32) -> V {
    _mm256_set1_epi32(word.cast_signed())
}

/// Rotates by `LEFT`; `RIGHT` is the rest of the word.
#[inline]
#[target_feature(enable = "avx2")]
fn rotate_left<const LEFT: i32, const RIGHT: i32>(a: V) -> V {
    const { assert!(LEFT + RIGHT == 32, "a rotation") };
    _mm256_or_si256(_mm256_slli_epi32::<LEFT>(a), _mm256_srli_epi32::<RIGHT>(a))
}

#[inline]
#[target_feature(enable = "avx2")]
fn shift_right<const RIGHT: i32>(a: V) -> V {
    _mm256_srli_epi32::<RIGHT>(a)
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor3(a: V, b: V, c: V) -> V {
    xor(xor(a, b), c)
}

#[inline]
#[target_feature(enable = "avx2")]
fn choose(a: V, b: V, c: V) -> V {
    xor(c, _mm256_and_si256(a, xor(b, c)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn majority(a: V, b: V, c: V) -> V {
    // Where a and b differ, c decides.
    xor(b, _mm256_and_si256(xor(a, b), xor(b, c)))
}
