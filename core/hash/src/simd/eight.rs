//! Loads, stores and the transposition of eight lanes in 256-bit vectors, which the kernels with
//! AVX2 alone and with the 256-bit forms of AVX-512 share.

#![expect(unsafe_code, reason = "vector loads and stores take raw pointers")]

use std::arch::x86_64::{
    __m256i, _mm_set_epi64x, _mm256_broadcastsi128_si256, _mm256_loadu_si256,
    _mm256_permute2x128_si256, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_storeu_si256,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
};

use crate::{
    algorithm::States,
    cursor::{SHA_BLOCK_BYTES, ShaBlock},
};

/// Messages side by side.
pub(super) const LANES: usize = 8;

/// One word of each lane.
pub(super) type V = __m256i;

/// The state words in the columns of the lanes.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_state<const WORDS: usize>(states: &States<WORDS>, first: usize) -> [V; WORDS] {
    let mut vectors = [_mm256_setzero_si256(); WORDS];
    for (vector, word) in vectors.iter_mut().zip(states) {
        let columns: &[u32; LANES] = word[first..].first_chunk().expect("a column for each lane");
        // SAFETY: the array is as large as the vector; the load needs no alignment.
        *vector = unsafe { _mm256_loadu_si256(columns.as_ptr().cast()) };
    }
    vectors
}

/// Puts the state words back into the columns of the lanes.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store_state<const WORDS: usize>(
    states: &mut States<WORDS>,
    first: usize,
    vectors: [V; WORDS],
) {
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
pub(super) fn load_words(runs: &[&[ShaBlock]; LANES], block: usize) -> [V; 16] {
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
