//! The 68 bytes with which a connection begins (BEP 3), and the feature bits in them.

use dunlin_base::{InfoHash, PeerId};

/// What every BitTorrent stream begins with: the length of the protocol's name and the name.
const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// The eight bytes in which a peer says what it can do beyond BEP 3.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Reserved(pub [u8; 8]);

impl Reserved {
    const EXTENSION_PROTOCOL: u64 = 0x0010_0000;
    const V2: u64 = 0x10;
    const FAST: u64 = 0x04;
    const DHT: u64 = 0x01;

    /// Whether the peer knows the Fast extension (BEP 6).
    #[must_use]
    pub const fn fast(self) -> bool {
        self.has(Self::FAST)
    }

    /// Whether the peer knows the extension protocol (BEP 10).
    #[must_use]
    pub const fn extension_protocol(self) -> bool {
        self.has(Self::EXTENSION_PROTOCOL)
    }

    /// Whether the peer runs a DHT node (BEP 5) and may send its port.
    #[must_use]
    pub const fn dht(self) -> bool {
        self.has(Self::DHT)
    }

    /// Whether the peer can upgrade a hybrid torrent's connection to v2 (BEP 52).
    #[must_use]
    pub const fn v2(self) -> bool {
        self.has(Self::V2)
    }

    /// The same with the Fast extension (BEP 6).
    #[must_use]
    pub const fn with_fast(self) -> Self {
        self.with(Self::FAST)
    }

    /// The same with the extension protocol (BEP 10).
    #[must_use]
    pub const fn with_extension_protocol(self) -> Self {
        self.with(Self::EXTENSION_PROTOCOL)
    }

    /// The same with DHT (BEP 5).
    #[must_use]
    pub const fn with_dht(self) -> Self {
        self.with(Self::DHT)
    }

    /// The same with v2 (BEP 52).
    #[must_use]
    pub const fn with_v2(self) -> Self {
        self.with(Self::V2)
    }

    const fn has(self, bit: u64) -> bool {
        u64::from_be_bytes(self.0) & bit != 0
    }

    const fn with(self, bit: u64) -> Self {
        Self((u64::from_be_bytes(self.0) | bit).to_be_bytes())
    }
}

/// The first message of both sides of a connection (BEP 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handshake {
    /// What the sender can do beyond BEP 3.
    pub reserved: Reserved,
    /// Which torrent the connection is for.
    pub info_hash: InfoHash,
    /// What the sender calls itself.
    pub peer_id: PeerId,
}

/// A stream that does not begin as BitTorrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The protocol's name differs.
    #[error("byte {offset} of the handshake is {got:#04x}, expected {expected:#04x}")]
    Protocol {
        /// Where the first difference is.
        offset: usize,
        /// The byte that was there.
        got: u8,
        /// The byte of BEP 3's protocol name.
        expected: u8,
    },
}

impl Handshake {
    /// Length on the wire, bytes.
    pub const BYTES: usize = 68;

    /// Length of the part after which the receiver can answer: all but the peer id.
    pub const BYTES_TO_INFO_HASH: usize = 48;

    /// The bytes to send.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let parts = PROTOCOL
            .iter()
            .chain(&self.reserved.0)
            .chain(&self.info_hash.0)
            .chain(&self.peer_id.0);
        for (byte, part) in bytes.iter_mut().zip(parts) {
            *byte = *part;
        }
        bytes
    }

    /// Reads a whole handshake.
    ///
    /// # Errors
    /// When the protocol's name is another.
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Result<Self, HandshakeError> {
        Self::check_prefix(bytes)?;
        let mut rest = bytes.iter().skip(PROTOCOL.len()).copied();
        let mut take = || rest.next().unwrap_or_default();
        Ok(Self {
            reserved: Reserved(core::array::from_fn(|_| take())),
            info_hash: InfoHash(core::array::from_fn(|_| take())),
            peer_id: PeerId(core::array::from_fn(|_| take())),
        })
    }

    /// Judges what has arrived so far, so that a stranger is refused by its first wrong byte and
    /// an encrypted stream (whose first byte differs) is told apart at once.
    ///
    /// # Errors
    /// When the stream cannot become a handshake any more.
    pub fn check_prefix(bytes: &[u8]) -> Result<(), HandshakeError> {
        for (offset, (&got, &expected)) in bytes.iter().zip(PROTOCOL).enumerate() {
            if got != expected {
                return Err(HandshakeError::Protocol {
                    offset,
                    got,
                    expected,
                });
            }
        }
        Ok(())
    }

    /// The info hash of a handshake whose peer id may still be on its way: the side that was
    /// connected to answers as soon as it knows the torrent (BEP 3).
    #[must_use]
    pub fn peek_info_hash(bytes: &[u8]) -> Option<InfoHash> {
        let hash = bytes.get(..Self::BYTES_TO_INFO_HASH)?.last_chunk::<20>()?;
        Some(InfoHash(*hash))
    }
}
