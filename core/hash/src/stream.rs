//! One message at a time: as a whole, or piecemeal as its bytes come in.

use sha1::Digest as _;

use crate::{Sha1Digest, Sha256Digest};

/// The SHA-1 digest of one contiguous message.
pub fn sha1(message: &[u8]) -> Sha1Digest {
    sha1::Sha1::digest(message).into()
}

/// The SHA-256 digest of one contiguous message.
pub fn sha256(message: &[u8]) -> Sha256Digest {
    sha2::Sha256::digest(message).into()
}

/// SHA-1 of a message whose bytes are not all at hand at once.
#[derive(Clone, Debug, Default)]
pub struct Sha1Stream(sha1::Sha1);

impl Sha1Stream {
    /// A stream that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the message.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes taken.
    pub fn finish(self) -> Sha1Digest {
        self.0.finalize().into()
    }
}

/// SHA-256 of a message whose bytes are not all at hand at once.
#[derive(Clone, Debug, Default)]
pub struct Sha256Stream(sha2::Sha256);

impl Sha256Stream {
    /// A stream that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the message.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes taken.
    pub fn finish(self) -> Sha256Digest {
        self.0.finalize().into()
    }
}
