//! The vector kernels, which hash runs of equal length in step.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512vl;
#[cfg(target_arch = "x86_64")]
mod eight;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod rounds;
#[cfg(target_arch = "x86_64")]
mod sha_ni;

use crate::{algorithm::States, cursor::ShaBlock, kernel::Kernel};

/// Whether this processor can run the kernel.
#[cfg(target_arch = "x86_64")]
pub(crate) fn is_available(kernel: Kernel) -> bool {
    match kernel {
        Kernel::Single => true,
        Kernel::ShaNi => sha_ni::is_available(),
        Kernel::Avx2 => avx2::is_available(),
        Kernel::Avx512Vl => avx512vl::is_available(),
        Kernel::Avx512 => avx512::is_available(),
        Kernel::Neon => false,
    }
}

/// Whether this processor can run the kernel.
#[cfg(target_arch = "aarch64")]
pub(crate) fn is_available(kernel: Kernel) -> bool {
    match kernel {
        Kernel::Single => true,
        Kernel::Neon => neon::is_available(),
        _ => false,
    }
}

/// Whether this processor can run the kernel: there are none for its kind.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) fn is_available(kernel: Kernel) -> bool {
    kernel == Kernel::Single
}

/// Whether one message at a time goes through SHA instructions.
pub(crate) fn has_sha() -> bool {
    #[cfg(target_arch = "x86_64")]
    return sha_ni::is_available();
    #[cfg(target_arch = "aarch64")]
    return neon::has_sha();
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

/// Hashes `runs` into the columns from `first` on by SHA-1.
pub(crate) fn sha1(kernel: Kernel, states: &mut States<5>, first: usize, runs: &[&[ShaBlock]]) {
    match kernel {
        Kernel::Single => compress_column(states, first, runs, sha1::block_api::compress),
        #[cfg(target_arch = "x86_64")]
        Kernel::ShaNi => sha_ni::sha1(states, first, &in_all_lanes(runs)),
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx2 => avx2::sha1(states, first, &in_all_lanes(runs)),
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx512Vl => avx512vl::sha1(states, first, &in_all_lanes(runs)),
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx512 => avx512::sha1(states, first, &in_all_lanes(runs)),
        #[cfg(target_arch = "aarch64")]
        Kernel::Neon => neon::sha1(states, first, &in_all_lanes(runs)),
        _ => unreachable!("{kernel} is not available here"),
    }
}

/// Hashes `runs` into the columns from `first` on by SHA-256.
pub(crate) fn sha256(kernel: Kernel, states: &mut States<8>, first: usize, runs: &[&[ShaBlock]]) {
    match kernel {
        Kernel::Single => compress_column(states, first, runs, sha2::block_api::compress256),
        #[cfg(target_arch = "x86_64")]
        Kernel::ShaNi => sha_ni::sha256(states, first, &in_all_lanes(runs)),
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx2 => avx2::sha256(states, first, &in_all_lanes(runs)),
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx512Vl => avx512vl::sha256(states, first, &in_all_lanes(runs)),
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx512 => avx512::sha256(states, first, &in_all_lanes(runs)),
        #[cfg(target_arch = "aarch64")]
        Kernel::Neon => neon::sha256(states, first, &in_all_lanes(runs)),
        _ => unreachable!("{kernel} is not available here"),
    }
}

/// Gives each lane a run. Lanes without a message of their own hash the first one's again: it is
/// in the cache, it is long enough, and nobody reads the result.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn in_all_lanes<'r, const LANES: usize>(runs: &[&'r [ShaBlock]]) -> [&'r [ShaBlock]; LANES] {
    assert!(runs.len() <= LANES, "{} runs for {LANES} lanes", runs.len());
    std::array::from_fn(|lane| runs.get(lane).copied().unwrap_or(runs[0]))
}

/// Runs a kernel of one message on the column `first`.
fn compress_column<const WORDS: usize>(
    states: &mut States<WORDS>,
    first: usize,
    runs: &[&[ShaBlock]],
    compress: fn(&mut [u32; WORDS], &[ShaBlock]),
) {
    let [run] = runs else {
        panic!("a kernel of one message was given {}", runs.len())
    };
    let mut state = states.map(|word| word[first]);
    compress(&mut state, run);
    for (word, value) in states.iter_mut().zip(state) {
        word[first] = value;
    }
}
