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
    /// Four messages in the 128-bit vectors of ARM.
    Neon,
    /// Eight messages in the 256-bit vectors of x86.
    Avx2,
    /// Eight messages in the 256-bit vectors of x86, with the instructions of AVX-512.
    Avx512Vl,
    /// Sixteen messages in the 512-bit vectors of x86.
    Avx512,
}

impl Kernel {
    /// Every kernel, from the narrowest to the widest, whether or not this processor has it.
    pub const ALL: [Self; 6] = [
        Self::Single,
        Self::ShaNi,
        Self::Neon,
        Self::Avx2,
        Self::Avx512Vl,
        Self::Avx512,
    ];

    /// How many messages it hashes side by side.
    pub const fn lanes(self) -> usize {
        match self {
            Self::Single => 1,
            Self::ShaNi => 2,
            Self::Neon => 4,
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
            Self::Neon => "neon",
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

/// From how many messages on a kernel is the fastest.
struct Crossover {
    kernel: Kernel,
    /// Where the processor has SHA instructions, so that few messages are fast as they are.
    messages_min: usize,
    /// Where it has none.
    messages_min_without_sha: usize,
}

// A vector kernel takes the same time for one message as for all its lanes, so it wins from the
// number on at which narrower kernels, one group after the other, take longer. The numbers below
// were measured with 64 KiB messages in the cache; the speeds are relative to one message at a time
// by SHA instructions (without them, the crates reach 0.45 for SHA-1 and 0.2 for SHA-256). Messages
// from memory favour the wide kernels more, because more loads are under way at the same time.

/// SHA-1, the widest kernel first.
const SHA1_CROSSOVERS: [Crossover; 5] = [
    // 3.7 times with all lanes. At nine it still loses to eight in half the width and one more.
    Crossover {
        kernel: Kernel::Avx512,
        messages_min: 10,
        messages_min_without_sha: 9,
    },
    // 3.0 times with all lanes, 1.5 with four; with three (1.1) it loses to a pair and one more.
    Crossover {
        kernel: Kernel::Avx512Vl,
        messages_min: 4,
        messages_min_without_sha: 2,
    },
    // 1.8 times with all lanes, 1.4 with six; with five (1.1) it loses to two pairs and one more.
    Crossover {
        kernel: Kernel::Avx2,
        messages_min: 6,
        messages_min_without_sha: 3,
    },
    // By the number of instructions, not by a measurement: one round of all lanes takes little more
    // than one of one lane. Where ARM has SHA instructions they are not beaten so.
    Crossover {
        kernel: Kernel::Neon,
        messages_min: usize::MAX,
        messages_min_without_sha: 3,
    },
    // 1.2 times: the SHA unit is nearly busy with one message.
    Crossover {
        kernel: Kernel::ShaNi,
        messages_min: 2,
        messages_min_without_sha: usize::MAX,
    },
];

/// SHA-256, the widest kernel first.
const SHA256_CROSSOVERS: [Crossover; 5] = [
    // 2.0 times with all lanes. At ten it still loses to eight in half the width and a pair.
    Crossover {
        kernel: Kernel::Avx512,
        messages_min: 11,
        messages_min_without_sha: 9,
    },
    // 1.35 times with all lanes, 1.15 with seven; with six it loses to three pairs.
    Crossover {
        kernel: Kernel::Avx512Vl,
        messages_min: 7,
        messages_min_without_sha: 2,
    },
    // 0.75 times with all lanes: of use only where there are no SHA instructions.
    Crossover {
        kernel: Kernel::Avx2,
        messages_min: usize::MAX,
        messages_min_without_sha: 3,
    },
    // By the number of instructions, not by a measurement: one round of all lanes takes little more
    // than one of one lane. Where ARM has SHA instructions they are not beaten so.
    Crossover {
        kernel: Kernel::Neon,
        messages_min: usize::MAX,
        messages_min_without_sha: 3,
    },
    // 1.07 times: the SHA unit is nearly busy with one message.
    Crossover {
        kernel: Kernel::ShaNi,
        messages_min: 2,
        messages_min_without_sha: usize::MAX,
    },
];

/// The kernel that [`sha1_batch`](crate::sha1_batch) uses while `messages` are under way.
pub fn sha1_kernel_for(messages: usize) -> Kernel {
    choose(
        &SHA1_CROSSOVERS,
        messages,
        simd::has_sha(),
        Kernel::is_available,
    )
}

/// The kernel that [`sha256_batch`](crate::sha256_batch) uses while `messages` are under way.
pub fn sha256_kernel_for(messages: usize) -> Kernel {
    choose(
        &SHA256_CROSSOVERS,
        messages,
        simd::has_sha(),
        Kernel::is_available,
    )
}

fn choose(
    crossovers: &[Crossover],
    messages: usize,
    has_sha: bool,
    is_available: impl Fn(Kernel) -> bool,
) -> Kernel {
    let wins = |crossover: &&Crossover| {
        let messages_min = if has_sha {
            crossover.messages_min
        } else {
            crossover.messages_min_without_sha
        };
        messages >= messages_min && is_available(crossover.kernel)
    };
    crossovers
        .iter()
        .find(wins)
        .map_or(Kernel::Single, |crossover| crossover.kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(crossovers: &[Crossover], has: &[Kernel], expect: &[(usize, Kernel)]) {
        for &(messages, kernel) in expect {
            let has_sha = has.contains(&Kernel::ShaNi);
            let chosen = choose(crossovers, messages, has_sha, |kernel| {
                has.contains(&kernel)
            });
            assert_eq!(chosen, kernel, "{messages} messages with {has:?}");
        }
    }

    #[test]
    fn the_choice_follows_the_processor_and_the_batch() {
        use Kernel::{Avx2, Avx512, Avx512Vl, Neon, ShaNi, Single};
        let none = [(0, Single), (1, Single), (100, Single)];
        check(&SHA1_CROSSOVERS, &[Single], &none);
        check(&SHA256_CROSSOVERS, &[Single], &none);

        let all = &[Single, ShaNi, Avx2, Avx512Vl, Avx512];
        let expect = [
            (1, Single),
            (3, ShaNi),
            (4, Avx512Vl),
            (9, Avx512Vl),
            (10, Avx512),
        ];
        check(&SHA1_CROSSOVERS, all, &expect);
        let expect = [
            (1, Single),
            (6, ShaNi),
            (7, Avx512Vl),
            (10, Avx512Vl),
            (11, Avx512),
        ];
        check(&SHA256_CROSSOVERS, all, &expect);

        let expect = [(1, Single), (2, ShaNi), (5, ShaNi), (6, Avx2), (100, Avx2)];
        check(&SHA1_CROSSOVERS, &[ShaNi, Avx2], &expect);
        check(
            &SHA256_CROSSOVERS,
            &[ShaNi, Avx2],
            &[(2, ShaNi), (100, ShaNi)],
        );

        let expect = [(2, Single), (3, Neon), (100, Neon)];
        check(&SHA1_CROSSOVERS, &[Neon], &expect);
        check(&SHA256_CROSSOVERS, &[Neon], &expect);
        assert_eq!(
            choose(&SHA1_CROSSOVERS, 100, true, |one| one == Neon),
            Single
        );

        let expect = [(2, Single), (3, Avx2), (100, Avx2)];
        check(&SHA1_CROSSOVERS, &[Avx2], &expect);
        check(&SHA256_CROSSOVERS, &[Avx2], &expect);
    }

    #[test]
    fn lanes_never_widen_as_messages_finish() {
        for kernel_for in [sha1_kernel_for, sha256_kernel_for] {
            let lanes: Vec<usize> = (0..40)
                .map(|messages| kernel_for(messages).lanes())
                .collect();
            assert!(lanes.is_sorted(), "{lanes:?}");
        }
    }
}
