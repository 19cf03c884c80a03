//! The peer wire protocol (BEP 3, BEP 6, BEP 10): handshake, messages, and a decoder that leaves
//! the payload of blocks to its caller.
//!
//! Sans-IO: the reactor and the simulator feed the same state machine. Whatever a peer sends is
//! hostile, so every length is checked before a byte of it is stored.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod allowed_fast;
mod decoder;
pub mod extension;
mod handshake;
mod message;
#[cfg(test)]
mod tests;

pub use allowed_fast::{ALLOWED_FAST_PIECES, allowed_fast_set};
pub use decoder::{Decoder, Frame, WireError};
pub use handshake::{Handshake, HandshakeError, Reserved};
pub use message::{BlockRequest, Message, PIECE_HEADER_BYTES, piece_header};
