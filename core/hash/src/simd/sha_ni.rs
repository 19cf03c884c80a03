//! Two messages in turn through the SHA instructions of x86, so that each hides the other's
//! waiting: an instruction takes several cycles, but a new one can start before that.

#![expect(unsafe_code, reason = "vector loads take raw pointers")]

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_loadu_si128, _mm_set_epi32,
    _mm_set_epi64x, _mm_setzero_si128, _mm_sha1msg1_epu32, _mm_sha1msg2_epu32, _mm_sha1nexte_epu32,
    _mm_sha1rnds4_epu32, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32,
    _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_xor_si128,
};

use super::rounds::SHA256_K;
use crate::{algorithm::States, cursor::ShaBlock};

/// Messages in turn. Their schedules and states just fit the sixteen registers.
pub(super) const LANES: usize = 2;

type V = __m128i;

/// Whether this processor has the instructions.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1")
}

/// Hashes `runs` into the columns from `first` on by SHA-1.
pub(super) fn sha1(states: &mut States<5>, first: usize, runs: &[&[ShaBlock]; LANES]) {
    assert!(is_available(), "the processor lacks the SHA instructions");
    // SAFETY: the features that the function enables were detected in the line above.
    unsafe { sha1_blocks(states, first, runs) }
}

/// Hashes `runs` into the columns from `first` on by SHA-256.
pub(super) fn sha256(states: &mut States<8>, first: usize, runs: &[&[ShaBlock]; LANES]) {
    assert!(is_available(), "the processor lacks the SHA instructions");
    // SAFETY: the features that the function enables were detected in the line above.
    unsafe { sha256_blocks(states, first, runs) }
}

#[target_feature(enable = "sha,sse4.1")]
fn sha1_blocks(states: &mut States<5>, first: usize, runs: &[&[ShaBlock]; LANES]) {
    // Four rounds of each lane. The instruction for the next `e` wants the `abcd` from before the
    // last four rounds, whose `a` becomes it.
    macro_rules! four_rounds {
        ($w:ident, $abcd:ident, $before:ident, $g:literal) => {
            for lane in 0..LANES {
                let w = &mut $w[lane];
                if $g >= 4 {
                    let early = _mm_sha1msg1_epu32(w[$g % 4], w[($g + 1) % 4]);
                    let mixed = _mm_xor_si128(early, w[($g + 2) % 4]);
                    w[$g % 4] = _mm_sha1msg2_epu32(mixed, w[($g + 3) % 4]);
                }
                let e_and_words = if $g == 0 {
                    _mm_add_epi32($before[lane], w[0])
                } else {
                    _mm_sha1nexte_epu32($before[lane], w[$g % 4])
                };
                $before[lane] = $abcd[lane];
                $abcd[lane] = _mm_sha1rnds4_epu32::<{ $g / 5 }>($abcd[lane], e_and_words);
            }
        };
    }
    macro_rules! all_rounds {
        ($w:ident, $abcd:ident, $before:ident, [$($g:literal)*]) => {
            $(four_rounds!($w, $abcd, $before, $g);)*
        };
    }

    // The instructions want the first of the four words in the highest place.
    let reverse = _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f);
    let zero = _mm_setzero_si128();
    let (mut abcd, mut e) = ([zero; LANES], [zero; LANES]);
    for lane in 0..LANES {
        let word = |at: usize| states[at][first + lane].cast_signed();
        abcd[lane] = _mm_set_epi32(word(0), word(1), word(2), word(3));
        e[lane] = _mm_set_epi32(word(4), 0, 0, 0);
    }
    for block in 0..runs[0].len() {
        let mut w = load_words(runs, block, reverse);
        let (abcd_start, e_start) = (abcd, e);
        all_rounds!(w, abcd, e, [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19]);
        for lane in 0..LANES {
            abcd[lane] = _mm_add_epi32(abcd[lane], abcd_start[lane]);
            e[lane] = _mm_sha1nexte_epu32(e[lane], e_start[lane]);
        }
    }
    for lane in 0..LANES {
        let words = [
            _mm_extract_epi32::<3>(abcd[lane]),
            _mm_extract_epi32::<2>(abcd[lane]),
            _mm_extract_epi32::<1>(abcd[lane]),
            _mm_extract_epi32::<0>(abcd[lane]),
            _mm_extract_epi32::<3>(e[lane]),
        ];
        for (state, word) in states.iter_mut().zip(words) {
            state[first + lane] = word.cast_unsigned();
        }
    }
}

#[target_feature(enable = "sha,sse4.1")]
fn sha256_blocks(states: &mut States<8>, first: usize, runs: &[&[ShaBlock]; LANES]) {
    // Four rounds of each lane: twice two, the halves of the state changing roles each time.
    macro_rules! four_rounds {
        ($w:ident, $abef:ident, $cdgh:ident, $k:ident, $g:literal, $scheduled:expr) => {
            for lane in 0..LANES {
                let w = &mut $w[lane];
                if $scheduled {
                    let early = _mm_sha256msg1_epu32(w[$g], w[($g + 1) % 4]);
                    let late = _mm_alignr_epi8::<4>(w[($g + 3) % 4], w[($g + 2) % 4]);
                    w[$g] = _mm_sha256msg2_epu32(_mm_add_epi32(early, late), w[($g + 3) % 4]);
                }
                let words = _mm_add_epi32(w[$g], load_constants(&$k[$g]));
                $cdgh[lane] = _mm_sha256rnds2_epu32($cdgh[lane], $abef[lane], words);
                let words = _mm_shuffle_epi32::<0b00_00_11_10>(words);
                $abef[lane] = _mm_sha256rnds2_epu32($abef[lane], $cdgh[lane], words);
            }
        };
    }

    let byte_swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    let zero = _mm_setzero_si128();
    let (mut abef, mut cdgh) = ([zero; LANES], [zero; LANES]);
    for lane in 0..LANES {
        let word = |at: usize| states[at][first + lane].cast_signed();
        abef[lane] = _mm_set_epi32(word(0), word(1), word(4), word(5));
        cdgh[lane] = _mm_set_epi32(word(2), word(3), word(6), word(7));
    }
    for block in 0..runs[0].len() {
        let mut w = load_words(runs, block, byte_swap);
        let (abef_start, cdgh_start) = (abef, cdgh);
        for (sixteen, k) in SHA256_K
            .as_chunks::<4>()
            .0
            .as_chunks::<4>()
            .0
            .iter()
            .enumerate()
        {
            four_rounds!(w, abef, cdgh, k, 0, sixteen > 0);
            four_rounds!(w, abef, cdgh, k, 1, sixteen > 0);
            four_rounds!(w, abef, cdgh, k, 2, sixteen > 0);
            four_rounds!(w, abef, cdgh, k, 3, sixteen > 0);
        }
        for lane in 0..LANES {
            abef[lane] = _mm_add_epi32(abef[lane], abef_start[lane]);
            cdgh[lane] = _mm_add_epi32(cdgh[lane], cdgh_start[lane]);
        }
    }
    for lane in 0..LANES {
        let words = [
            _mm_extract_epi32::<3>(abef[lane]),
            _mm_extract_epi32::<2>(abef[lane]),
            _mm_extract_epi32::<3>(cdgh[lane]),
            _mm_extract_epi32::<2>(cdgh[lane]),
            _mm_extract_epi32::<1>(abef[lane]),
            _mm_extract_epi32::<0>(abef[lane]),
            _mm_extract_epi32::<1>(cdgh[lane]),
            _mm_extract_epi32::<0>(cdgh[lane]),
        ];
        for (state, word) in states.iter_mut().zip(words) {
            state[first + lane] = word.cast_unsigned();
        }
    }
}

#[inline]
#[target_feature(enable = "sse2")]
fn load_constants(constants: &[u32; 4]) -> V {
    // SAFETY: the array is as large as the vector; the load needs no alignment.
    unsafe { _mm_loadu_si128(constants.as_ptr().cast()) }
}

/// The words of one block of each lane, four to a vector, their bytes in the order of `shuffle`.
#[inline]
#[target_feature(enable = "ssse3")]
fn load_words(runs: &[&[ShaBlock]; LANES], block: usize, shuffle: V) -> [[V; 4]; LANES] {
    let mut words = [[_mm_setzero_si128(); 4]; LANES];
    for (words, run) in words.iter_mut().zip(runs) {
        for (vector, quarter) in words.iter_mut().zip(run[block].as_chunks::<16>().0) {
            // SAFETY: a quarter of a block is as large as the vector; the load needs no alignment.
            let bytes = unsafe { _mm_loadu_si128(quarter.as_ptr().cast()) };
            *vector = _mm_shuffle_epi8(bytes, shuffle);
        }
    }
    words
}
