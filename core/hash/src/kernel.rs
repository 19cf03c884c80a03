//! Which kernel hashes a batch: what this processor has, and what is fastest for how many.

use std::fmt;

use crate::simd;

/// A way to hash several messages side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// One message at a time through the `sha1` and `sha2` crates, which use the SHA instructions
    /// of x86 and ARM where there are any.
    Single,
    /// Two messages in turn through the SHA instructions of x86.
    ShaNi,
    /// Eight messages in the 256-bit vectors of x86.
    Avx2,
    /// Eight messages in the 256-bit vectors of x86, with the instructions of AVX-512.
    Avx512Vl,
    /// Sixteen messages in the 512-bit vectors of x86.
    Avx512,
}

impl Kernel {
    /// Every kernel, from the narrowest to the widest, whether or not this processor has it.
    pub const ALL: [Self; 5] = [
        Self::Single,
        Self::ShaNi,
        Self::Avx2,
        Self::Avx512Vl,
        Self::Avx512,
    ];

    /// How many messages it hashes side by side.
    pub const fn lanes(self) -> usize {
        match self {
            Self::Single => 1,
            Self::ShaNi => 2,
            Self::Avx2 | Self::Avx512Vl => 8,
            Self::Avx512 => 16,
        }
    }

    /// Whether this processor can run it.
    pub fn is_available(self) -> bool {
        simd::is_available(self)
    }

    /// A short name for reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::ShaNi => "sha-ni x2",
            Self::Avx2 => "avx2",
            Self::Avx512Vl => "avx512vl",
            Self::Avx512 => "avx512",
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The kernel that [`sha1_batch`](crate::sha1_batch) uses while `messages` are under way.
pub fn sha1_kernel_for(_messages: usize) -> Kernel {
    Kernel::Single
}

/// The kernel that [`sha256_batch`](crate::sha256_batch) uses while `messages` are under way.
pub fn sha256_kernel_for(_messages: usize) -> Kernel {
    Kernel::Single
}
