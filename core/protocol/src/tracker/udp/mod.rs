//! Trackers over UDP (BEP 15), with the URL's path in options (BEP 41).

mod client;
mod request;
mod response;
#[cfg(test)]
mod tests;

pub use client::{CONNECTION_LIFETIME, UdpJob, UdpJobError, UdpJobKey, UdpReply, UdpTrackerClient};
pub use request::UdpRequest;
pub use response::UdpResponse;

/// What every connect request begins with (BEP 15).
const PROTOCOL_ID: u64 = 0x0417_2710_1980;

/// Action numbers (BEP 15).
mod action {
    pub(super) const CONNECT: u32 = 0;
    pub(super) const ANNOUNCE: u32 = 1;
    pub(super) const SCRAPE: u32 = 2;
    pub(super) const ERROR: u32 = 3;
}

/// A datagram that is not of the protocol. It is dropped: anybody can send one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UdpPacketError {
    /// It ends too early.
    #[error("packet of {got} bytes ends early: {missing} more expected")]
    Short {
        /// Its length, bytes.
        got: usize,
        /// Bytes that were missing where reading stopped.
        missing: usize,
    },
    /// The action is none that the receiver understands.
    #[error("action {got} is not known here")]
    Action {
        /// The number that was there.
        got: u32,
    },
    /// A connect request without BEP 15's magic number.
    #[error("connect request begins with {got:#x}")]
    ProtocolId {
        /// The number that was there.
        got: u64,
    },
    /// The reply is to another kind of request than the one with its transaction.
    #[error("reply of action {got} to another request")]
    Mismatch {
        /// The action that was there.
        got: u32,
    },
}

/// Reads big-endian numbers off the front of a datagram.
struct Reader<'a> {
    packet_bytes: usize,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    const fn new(packet: &'a [u8]) -> Self {
        Self {
            packet_bytes: packet.len(),
            rest: packet,
        }
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], UdpPacketError> {
        let Some((bytes, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(UdpPacketError::Short {
                got: self.packet_bytes,
                missing: N - self.rest.len(),
            });
        };
        self.rest = rest;
        Ok(*bytes)
    }

    fn u16(&mut self) -> Result<u16, UdpPacketError> {
        self.bytes().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, UdpPacketError> {
        self.bytes().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, UdpPacketError> {
        self.bytes().map(u64::from_be_bytes)
    }
}
