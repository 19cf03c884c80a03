//! Eight messages side by side in AVX2 registers, one 32-bit word of each.

#![expect(unsafe_code, reason = "vector loads and stores take raw pointers")]

use std::arch::x86_64::*;

use super::rounds::{SHA1_K, SHA256_K, define_sha1_blocks, define_sha256_blocks};
use crate::{
    algorithm::States,
    cursor::{SHA_BLOCK_BYTES, ShaBlock},
};

/// Messages side by side.
pub(super) const LANES: usize = 8;

type V = __m256i;

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

#[inline]
#[target_feature(enable = "avx2")]
fn load_state<const WORDS: usize>(states: &States<WORDS>, first: usize) -> [V; WORDS] {
    let mut vectors = [_mm256_setzero_si256(); WORDS];
    for (vector, word) in vectors.iter_mut().zip(states) {
        let columns: &[u32; LANES] = word[first..].first_chunk().expect("a column for each lane");
        // SAFETY: the array is as large as the vector; the load needs no alignment.
        *vector = unsafe { _mm256_loadu_si256(columns.as_ptr().cast()) };
    }
    vectors
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_state<const WORDS: usize>(states: &mut States<WORDS>, first: usize, vectors: [V; WORDS]) {
    for (vector, word) in vectors.into_iter().zip(states) {
        let columns: &mut [u32; LANES] = word[first..]
            .first_chunk_mut()
            .expect("a column for each lane");
        // SAFETY: the array is as large as the vector; the store needs no alignment.
        unsafe { _mm256_storeu_si256(columns.as_mut_ptr().cast(), vector) };
    }
}

/// The sixteen words of one block of each lane, as vectors of one word of all lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn load_words(runs: &[&[ShaBlock]; LANES], block: usize) -> [V; 16] {
    let byte_swap =
        _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203));
    let mut words = [_mm256_setzero_si256(); 16];
    for (half, words) in words.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let mut rows = [_mm256_setzero_si256(); LANES];
        for (row, run) in rows.iter_mut().zip(runs) {
            let (halves, []) = run[block].as_chunks::<{ SHA_BLOCK_BYTES / 2 }>() else {
                unreachable!("a block has two halves");
            };
            // SAFETY: half a block is as large as the vector; the load needs no alignment.
            let bytes = unsafe { _mm256_loadu_si256(halves[half].as_ptr().cast()) };
            *row = _mm256_shuffle_epi8(bytes, byte_swap);
        }
        *words = transpose(rows);
    }
    words
}

/// Turns rows of words into columns: first within each group of four rows, where word `4h + j` of
/// the four comes to lie in half `h` of vector `j`, then the halves among the groups.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(mut rows: [V; 8]) -> [V; 8] {
    for group in rows.as_chunks_mut::<4>().0 {
        let [a, b, c, d] = *group;
        let low_ab = _mm256_unpacklo_epi32(a, b);
        let high_ab = _mm256_unpackhi_epi32(a, b);
        let low_cd = _mm256_unpacklo_epi32(c, d);
        let high_cd = _mm256_unpackhi_epi32(c, d);
        *group = [
            _mm256_unpacklo_epi64(low_ab, low_cd),
            _mm256_unpackhi_epi64(low_ab, low_cd),
            _mm256_unpacklo_epi64(high_ab, high_cd),
            _mm256_unpackhi_epi64(high_ab, high_cd),
        ];
    }
    let mut words = rows;
    for j in 0..4 {
        words[j] = _mm256_permute2x128_si256::<0x20>(rows[j], rows[4 + j]);
        words[4 + j] = _mm256_permute2x128_si256::<0x31>(rows[j], rows[4 + j]);
    }
    words
}
