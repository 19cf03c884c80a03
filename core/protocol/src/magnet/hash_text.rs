//! Info hashes as magnet links spell them.

use dunlin_base::{InfoHash, InfoHashV2};

/// The multihash code of SHA-256 and its length, which all v2 hashes begin with (BEP 9).
const SHA256_PREFIX: &str = "1220";

/// A v1 hash: 40 hexadecimal digits, or 32 base32 digits in old links (BEP 9).
pub(super) fn info_hash(text: &str) -> Option<InfoHash> {
    match text.len() {
        32 => base32(text),
        _ => text.parse().ok(),
    }
}

/// A v2 hash: a SHA-256 multihash in hexadecimal digits (BEP 9).
pub(super) fn info_hash_v2(text: &str) -> Option<InfoHashV2> {
    text.strip_prefix(SHA256_PREFIX)?.parse().ok()
}

/// A v2 hash as [`info_hash_v2`] reads it.
pub(super) fn write_v2(hash: InfoHashV2) -> String {
    format!("{SHA256_PREFIX}{hash}")
}

fn base32(text: &str) -> Option<InfoHash> {
    let mut hash = [0; InfoHash::LEN];
    let (groups, _) = text.as_bytes().as_chunks::<8>();
    // Eight digits of five bits make five bytes.
    for (digits, bytes) in groups.iter().zip(hash.as_chunks_mut::<5>().0) {
        let mut bits = 0_u64;
        for digit in digits {
            bits = bits << 5 | u64::from(base32_digit(*digit)?);
        }
        let [_, _, _, group @ ..] = bits.to_be_bytes();
        *bytes = group;
    }
    Some(InfoHash(hash))
}

const fn base32_digit(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a'),
        b'2'..=b'7' => Some(digit - b'2' + 26),
        _ => None,
    }
}
