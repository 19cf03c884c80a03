//! The extension protocol (BEP 10) and the extensions that go over it: metadata exchange (BEP 9),
//! partial seeds (BEP 21), pieces that were lost again (BEP 54).
//!
//! All of these are payloads of [`Message::Extended`](super::Message::Extended), already bounded
//! by the decoder.

mod handshake;
mod metadata;
mod small;
#[cfg(test)]
mod tests;

pub use handshake::{EXTENSION_HANDSHAKE_ID, ExtensionHandshake, ExtensionIds};
pub use metadata::{METADATA_PIECE_BYTES, MetadataMessage};
pub use small::{DontHave, UploadOnly};

use crate::bencode::DecodeError;

/// An extended message that cannot be read: the peer's fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ExtensionError {
    /// The bencoded part is broken.
    #[error("extended message: {0}")]
    Bencode(#[from] DecodeError),
    /// An entry that the message must have is missing or cannot be.
    #[error("extended message without a usable {0}")]
    Entry(&'static str),
    /// The length is not the message's.
    #[error("extended message of {got} bytes, expected {expected}")]
    Length {
        /// Bytes that were there.
        got: usize,
        /// Bytes that the message has.
        expected: usize,
    },
}
