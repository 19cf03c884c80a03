//! Stable keys. Whatever is sorted, hashed, logged, drawn or sent uses these, never an ECS entity.

use core::fmt;

/// One local client identity. Production has one; a simulated swarm has thousands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct NodeKey(pub u32);

/// One torrent of one node, unique in its world and never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TorrentKey(pub u32);

/// One end of one peer connection, unique in its world and never reused.
///
/// The engine numbers the connections that it opens and the network those that it accepts; the
/// lowest bit says which, so neither has to ask the other for a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(u64);

impl PeerKey {
    /// The key of the `n`-th connection that the engine opened.
    #[must_use]
    pub const fn outgoing(n: u64) -> Self {
        Self(n << 1)
    }

    /// The key of the `n`-th connection that the network accepted.
    #[must_use]
    pub const fn incoming(n: u64) -> Self {
        Self(n << 1 | 1)
    }

    /// Whether the remote end opened the connection.
    #[must_use]
    pub const fn is_incoming(self) -> bool {
        self.0 & 1 == 1
    }

    /// The key as a plain number, for logs, digests and viewers.
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.is_incoming() { "in" } else { "out" };
        write!(f, "{direction}{}", self.0 >> 1)
    }
}

impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A text that is not the hexadecimal form of a hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "expected {expected} hexadecimal digits, got {got} characters (or a character that is no digit)"
)]
pub struct ParseHashError {
    /// Digits that the hash has.
    pub expected: usize,
    /// Characters that were there.
    pub got: usize,
}

const fn hex_digit(value: u8) -> u8 {
    b"0123456789abcdef"[value as usize]
}

macro_rules! byte_key {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Written at once: one is written for each file and each line of thousands of torrents.
                let mut digits = [0; 2 * $len];
                for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
                    pair.copy_from_slice(&[byte >> 4, byte & 15].map(hex_digit));
                }
                f.write_str(core::str::from_utf8(&digits).expect("digits are ASCII"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl core::str::FromStr for $name {
            type Err = ParseHashError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let error = ParseHashError { expected: $len * 2, got: text.len() };
                if text.len() != $len * 2 || !text.is_ascii() {
                    return Err(error);
                }
                let mut bytes = [0; $len];
                for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                    let high = (pair[0] as char).to_digit(16).ok_or(error)?;
                    let low = (pair[1] as char).to_digit(16).ok_or(error)?;
                    *byte = (high * 16 + low) as u8;
                }
                Ok(Self(bytes))
            }
        }
    };
}

byte_key!(
    /// SHA-1 of a v1 info dictionary (BEP 3), or the first 20 bytes of a v2 info hash on the wire
    /// (BEP 52).
    InfoHash,
    20
);
byte_key!(
    /// SHA-256 of a v2 info dictionary (BEP 52).
    InfoHashV2,
    32
);
byte_key!(
    /// The 20 bytes by which a client calls itself in handshakes and announces (BEP 3, BEP 20).
    PeerId,
    20
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_round_trip_through_hex() {
        let hash: InfoHash = "0123456789abcdefABCDEF0123456789abcdef01".parse().unwrap();
        assert_eq!(hash.to_string(), "0123456789abcdefabcdef0123456789abcdef01");
        assert!("0123".parse::<InfoHash>().is_err());
        assert!(
            "g123456789abcdefABCDEF0123456789abcdef01"
                .parse::<InfoHash>()
                .is_err()
        );
        assert!(
            "é123456789abcdefABCDEF0123456789abcdef0"
                .parse::<InfoHash>()
                .is_err()
        );
    }

    #[test]
    fn peer_keys_of_both_directions_never_meet() {
        assert_ne!(PeerKey::outgoing(7), PeerKey::incoming(7));
        assert!(PeerKey::incoming(0).is_incoming());
        assert_eq!(
            format!("{} {}", PeerKey::outgoing(3), PeerKey::incoming(4)),
            "out3 in4"
        );
    }
}
