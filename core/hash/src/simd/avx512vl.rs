//! Eight messages side by side in the 256-bit forms of AVX-512, one 32-bit word of each.
//!
//! Half as wide as the full vectors, but processors start three such instructions in a cycle where
//! they start two of the full ones; and unlike AVX2 there are instructions that rotate and that
//! compute any function of three operands.

#![expect(
    unsafe_code,
    reason = "enters functions compiled for detected features"
)]

use std::arch::x86_64::{
    _mm256_add_epi32, _mm256_rol_epi32, _mm256_set1_epi32, _mm256_srli_epi32,
    _mm256_ternarylogic_epi32, _mm256_xor_si256,
};

use super::{
    eight::{LANES, V, load_state, load_words, store_state},
    rounds::{SHA1_K, SHA256_K, define_sha1_blocks, define_sha256_blocks},
};
use crate::{algorithm::States, cursor::ShaBlock};

/// Whether this processor has the instructions.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl")
}

/// Hashes `runs` into the columns from `first` on by SHA-1.
pub(super) fn sha1(states: &mut States<5>, first: usize, runs: &[&[ShaBlock]; LANES]) {
    assert!(is_available(), "the processor lacks AVX-512VL");
    // SAFETY: the features that the function enables were detected in the line above.
    unsafe { sha1_blocks(states, first, runs) }
}

/// Hashes `runs` into the columns from `first` on by SHA-256.
pub(super) fn sha256(states: &mut States<8>, first: usize, runs: &[&[ShaBlock]; LANES]) {
    assert!(is_available(), "the processor lacks AVX-512VL");
    // SAFETY: the features that the function enables were detected in the line above.
    unsafe { sha256_blocks(states, first, runs) }
}

define_sha1_blocks!("avx512f,avx512vl");
define_sha256_blocks!("avx512f,avx512vl");

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn add(a: V, b: V) -> V {
    _mm256_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn xor(a: V, b: V) -> V {
    _mm256_xor_si256(a, b)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn splat(word: u32) -> V {
    _mm256_set1_epi32(word.cast_signed())
}

/// Rotates by `LEFT`; `RIGHT` is the rest of the word, for kernels that must shift both ways.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn rotate_left<const LEFT: i32, const RIGHT: u32>(a: V) -> V {
    _mm256_rol_epi32::<LEFT>(a)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn shift_right<const RIGHT: i32>(a: V) -> V {
    _mm256_srli_epi32::<RIGHT>(a)
}

// The constants of the three functions below are their truth tables.

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn xor3(a: V, b: V, c: V) -> V {
    _mm256_ternarylogic_epi32::<0b1001_0110>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn choose(a: V, b: V, c: V) -> V {
    _mm256_ternarylogic_epi32::<0b1100_1010>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn majority(a: V, b: V, c: V) -> V {
    _mm256_ternarylogic_epi32::<0b1110_1000>(a, b, c)
}
