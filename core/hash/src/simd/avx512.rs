//! Sixteen messages side by side in AVX-512 registers, one 32-bit word of each.

#![expect(unsafe_code, reason = "vector loads and stores take raw pointers")]

use std::arch::x86_64::{
    __m512i, _mm_set_epi64x, _mm512_add_epi32, _mm512_broadcast_i32x4, _mm512_loadu_si512,
    _mm512_rol_epi32, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_shuffle_epi8,
    _mm512_shuffle_i32x4, _mm512_srli_epi32, _mm512_storeu_si512, _mm512_ternarylogic_epi32,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    _mm512_xor_si512,
};

use super::rounds::{SHA1_K, SHA256_K, define_sha1_blocks, define_sha256_blocks};
use crate::{algorithm::States, cursor::ShaBlock};

/// Messages side by side.
pub(super) const LANES: usize = 16;

type V = __m512i;

/// Whether this processor has the instructions.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
}

/// Hashes `runs` into the columns from `first` on by SHA-1.
pub(super) fn sha1(states: &mut States<5>, first: usize, runs: &[&[ShaBlock]; LANES]) {
    assert!(is_available(), "the processor lacks AVX-512");
    // SAFETY: the features that the function enables were detected in the line above.
    unsafe { sha1_blocks(states, first, runs) }
}

/// Hashes `runs` into the columns from `first` on by SHA-256.
pub(super) fn sha256(states: &mut States<8>, first: usize, runs: &[&[ShaBlock]; LANES]) {
    assert!(is_available(), "the processor lacks AVX-512");
    // SAFETY: the features that the function enables were detected in the line above.
    unsafe { sha256_blocks(states, first, runs) }
}

define_sha1_blocks!("avx512f,avx512bw");
define_sha256_blocks!("avx512f,avx512bw");

#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: V, b: V) -> V {
    _mm512_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor(a: V, b: V) -> V {
    _mm512_xor_si512(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(word: u32) -> V {
    _mm512_set1_epi32(word.cast_signed())
}

/// Rotates by `LEFT`; `RIGHT` is the rest of the word, for kernels that must shift both ways.
#[inline]
#[target_feature(enable = "avx512f")]
fn rotate_left<const LEFT: i32, const RIGHT: u32>(a: V) -> V {
    _mm512_rol_epi32::<LEFT>(a)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn shift_right<const RIGHT: u32>(a: V) -> V {
    _mm512_srli_epi32::<RIGHT>(a)
}

// The constants of the three functions below are their truth tables.

#[inline]
#[target_feature(enable = "avx512f")]
fn xor3(a: V, b: V, c: V) -> V {
    _mm512_ternarylogic_epi32::<0b1001_0110>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn choose(a: V, b: V, c: V) -> V {
    _mm512_ternarylogic_epi32::<0b1100_1010>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn majority(a: V, b: V, c: V) -> V {
    _mm512_ternarylogic_epi32::<0b1110_1000>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_state<const WORDS: usize>(states: &States<WORDS>, first: usize) -> [V; WORDS] {
    let mut vectors = [_mm512_setzero_si512(); WORDS];
    for (vector, word) in vectors.iter_mut().zip(states) {
        let columns: &[u32; LANES] = word[first..].first_chunk().expect("a column for each lane");
        // SAFETY: the array is as large as the vector; the load needs no alignment.
        *vector = unsafe { _mm512_loadu_si512(columns.as_ptr().cast()) };
    }
    vectors
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_state<const WORDS: usize>(states: &mut States<WORDS>, first: usize, vectors: [V; WORDS]) {
    for (vector, word) in vectors.into_iter().zip(states) {
        let columns: &mut [u32; LANES] = word[first..]
            .first_chunk_mut()
            .expect("a column for each lane");
        // SAFETY: the array is as large as the vector; the store needs no alignment.
        unsafe { _mm512_storeu_si512(columns.as_mut_ptr().cast(), vector) };
    }
}

/// The sixteen words of one block of each lane, as vectors of one word of all lanes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load_words(runs: &[&[ShaBlock]; LANES], block: usize) -> [V; 16] {
    let byte_swap =
        _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203));
    let mut rows = [_mm512_setzero_si512(); LANES];
    for (row, run) in rows.iter_mut().zip(runs) {
        // SAFETY: a block is as large as the vector; the load needs no alignment.
        let bytes = unsafe { _mm512_loadu_si512(run[block].as_ptr().cast()) };
        *row = _mm512_shuffle_epi8(bytes, byte_swap);
    }
    transpose(rows)
}

/// Turns rows of words into columns: first within each group of four rows, where word `4q + j` of
/// the four comes to lie in quarter `q` of vector `j`, then the quarters among the groups.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(mut rows: [V; 16]) -> [V; 16] {
    for group in rows.as_chunks_mut::<4>().0 {
        let [a, b, c, d] = *group;
        let low_ab = _mm512_unpacklo_epi32(a, b);
        let high_ab = _mm512_unpackhi_epi32(a, b);
        let low_cd = _mm512_unpacklo_epi32(c, d);
        let high_cd = _mm512_unpackhi_epi32(c, d);
        *group = [
            _mm512_unpacklo_epi64(low_ab, low_cd),
            _mm512_unpackhi_epi64(low_ab, low_cd),
            _mm512_unpacklo_epi64(high_ab, high_cd),
            _mm512_unpackhi_epi64(high_ab, high_cd),
        ];
    }
    let mut words = rows;
    for j in 0..4 {
        let (a, b, c, d) = (rows[j], rows[4 + j], rows[8 + j], rows[12 + j]);
        // Quarters 0 and 1, then 2 and 3, of two vectors; from these the even and the odd ones.
        let first_ab = _mm512_shuffle_i32x4::<0b01_00_01_00>(a, b);
        let last_ab = _mm512_shuffle_i32x4::<0b11_10_11_10>(a, b);
        let first_cd = _mm512_shuffle_i32x4::<0b01_00_01_00>(c, d);
        let last_cd = _mm512_shuffle_i32x4::<0b11_10_11_10>(c, d);
        words[j] = _mm512_shuffle_i32x4::<0b10_00_10_00>(first_ab, first_cd);
        words[4 + j] = _mm512_shuffle_i32x4::<0b11_01_11_01>(first_ab, first_cd);
        words[8 + j] = _mm512_shuffle_i32x4::<0b10_00_10_00>(last_ab, last_cd);
        words[12 + j] = _mm512_shuffle_i32x4::<0b11_01_11_01>(last_ab, last_cd);
    }
    words
}
