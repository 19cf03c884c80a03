//! The rounds of SHA-1 and SHA-256 on vectors that hold one word of each of several messages.
//!
//! The macros are expanded by the vector kernels, which supply the type `V`, the constant `LANES`
//! and the operations `add`, `rotate`, `xor`, `xor3`, `choose`, `majority`, `shift_right`,
//! `splat`, `load_state`, `store_state` and `load_words`. They are macros because an operation is
//! compiled to its one instruction only in a function that enables the target feature by name.

/// The round constants of SHA-1 (FIPS 180-4, section 4.2.1).
pub(super) const SHA1_K: [u32; 4] = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6];

/// The round constants of SHA-256 (FIPS 180-4, section 4.2.2).
#[rustfmt::skip]
pub(super) const SHA256_K: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

/// Defines `sha1_blocks`: all rounds of SHA-1 over runs of equal length.
macro_rules! define_sha1_blocks {
    ($features:literal) => {
        #[target_feature(enable = $features)]
        fn sha1_blocks(states: &mut States<5>, first: usize, runs: &[&[ShaBlock]; LANES]) {
            // Working out word `t` in place of word `t - 16` keeps the whole schedule in sixteen
            // vectors.
            macro_rules! round {
                ($w:ident, $f:ident, $k:ident, $t:expr,
                 $a:ident, $b:ident, $c:ident, $d:ident, $e:ident) => {
                    if $t >= 16 {
                        let near = xor3($w[($t + 13) % 16], $w[($t + 8) % 16], $w[($t + 2) % 16]);
                        $w[$t % 16] = rotate_left::<1, 31>(xor(near, $w[$t % 16]));
                    }
                    let word = add(add($w[$t % 16], $k), $e);
                    $e = add(add(word, $f($b, $c, $d)), rotate_left::<5, 27>($a));
                    $b = rotate_left::<30, 2>($b);
                };
            }
            // After five rounds every variable has had every role and the names are right again.
            macro_rules! five_rounds {
                ($w:ident, $f:ident, $k:ident, $t:expr, $a:ident, $b:ident, $c:ident, $d:ident, $e:ident) => {
                    round!($w, $f, $k, $t, $a, $b, $c, $d, $e);
                    round!($w, $f, $k, $t + 1, $e, $a, $b, $c, $d);
                    round!($w, $f, $k, $t + 2, $d, $e, $a, $b, $c);
                    round!($w, $f, $k, $t + 3, $c, $d, $e, $a, $b);
                    round!($w, $f, $k, $t + 4, $b, $c, $d, $e, $a);
                };
            }
            macro_rules! twenty_rounds {
                ($w:ident, $f:ident, $t:expr, $a:ident, $b:ident, $c:ident, $d:ident, $e:ident) => {
                    let k = splat(SHA1_K[$t / 20]);
                    five_rounds!($w, $f, k, $t, $a, $b, $c, $d, $e);
                    five_rounds!($w, $f, k, $t + 5, $a, $b, $c, $d, $e);
                    five_rounds!($w, $f, k, $t + 10, $a, $b, $c, $d, $e);
                    five_rounds!($w, $f, k, $t + 15, $a, $b, $c, $d, $e);
                };
            }

            let mut state: [V; 5] = load_state(states, first);
            for block in 0..runs[0].len() {
                let mut w: [V; 16] = load_words(runs, block);
                let [mut a, mut b, mut c, mut d, mut e] = state;
                twenty_rounds!(w, choose, 0, a, b, c, d, e);
                twenty_rounds!(w, xor3, 20, a, b, c, d, e);
                twenty_rounds!(w, majority, 40, a, b, c, d, e);
                twenty_rounds!(w, xor3, 60, a, b, c, d, e);
                for (sum, value) in state.iter_mut().zip([a, b, c, d, e]) {
                    *sum = add(*sum, value);
                }
            }
            store_state(states, first, state);
        }
    };
}
pub(super) use define_sha1_blocks;

/// Defines `sha256_blocks`: all rounds of SHA-256 over runs of equal length.
macro_rules! define_sha256_blocks {
    ($features:literal) => {
        #[target_feature(enable = $features)]
        fn sha256_blocks(states: &mut States<8>, first: usize, runs: &[&[ShaBlock]; LANES]) {
            macro_rules! sigma {
                ($x:expr, $p:literal, $q:literal, $r:literal) => {
                    xor3(
                        rotate_left::<{ 32 - $p }, $p>($x),
                        rotate_left::<{ 32 - $q }, $q>($x),
                        rotate_left::<{ 32 - $r }, $r>($x),
                    )
                };
            }
            macro_rules! small_sigma {
                ($x:expr, $p:literal, $q:literal, $r:literal) => {
                    xor3(
                        rotate_left::<{ 32 - $p }, $p>($x),
                        rotate_left::<{ 32 - $q }, $q>($x),
                        shift_right::<$r>($x),
                    )
                };
            }
            macro_rules! round {
                ($w:ident, $t:expr, $i:expr, $a:ident, $b:ident, $c:ident, $d:ident,
                 $e:ident, $f:ident, $g:ident, $h:ident) => {
                    let word = add(add($h, splat(SHA256_K[$t + $i])), $w[$i]);
                    let first = add(add(word, sigma!($e, 6, 11, 25)), choose($e, $f, $g));
                    $d = add($d, first);
                    $h = add(add(first, sigma!($a, 2, 13, 22)), majority($a, $b, $c));
                };
            }
            // After eight rounds every variable has had every role and the names are right again.
            macro_rules! eight_rounds {
                ($w:ident, $t:expr, $i:expr, $a:ident, $b:ident, $c:ident, $d:ident,
                 $e:ident, $f:ident, $g:ident, $h:ident) => {
                    round!($w, $t, $i, $a, $b, $c, $d, $e, $f, $g, $h);
                    round!($w, $t, $i + 1, $h, $a, $b, $c, $d, $e, $f, $g);
                    round!($w, $t, $i + 2, $g, $h, $a, $b, $c, $d, $e, $f);
                    round!($w, $t, $i + 3, $f, $g, $h, $a, $b, $c, $d, $e);
                    round!($w, $t, $i + 4, $e, $f, $g, $h, $a, $b, $c, $d);
                    round!($w, $t, $i + 5, $d, $e, $f, $g, $h, $a, $b, $c);
                    round!($w, $t, $i + 6, $c, $d, $e, $f, $g, $h, $a, $b);
                    round!($w, $t, $i + 7, $b, $c, $d, $e, $f, $g, $h, $a);
                };
            }

            let mut state: [V; 8] = load_state(states, first);
            for block in 0..runs[0].len() {
                let mut w: [V; 16] = load_words(runs, block);
                let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
                for t in [0, 16, 32, 48] {
                    if t > 0 {
                        // The next sixteen words of the schedule, in place of the last sixteen.
                        for i in 0..16 {
                            let early = small_sigma!(w[(i + 1) % 16], 7, 18, 3);
                            let late = small_sigma!(w[(i + 14) % 16], 17, 19, 10);
                            w[i] = add(add(w[i], early), add(w[(i + 9) % 16], late));
                        }
                    }
                    eight_rounds!(w, t, 0, a, b, c, d, e, f, g, h);
                    eight_rounds!(w, t, 8, a, b, c, d, e, f, g, h);
                }
                for (sum, value) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
                    *sum = add(*sum, value);
                }
            }
            store_state(states, first, state);
        }
    };
}
pub(super) use define_sha256_blocks;
