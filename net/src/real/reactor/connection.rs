//! One connection: its socket, its two directions, and what the engine has yet to hear of it.

use std::io::ErrorKind;
use std::net::IpAddr;

use dunlin_base::PeerKey;
use dunlin_port::net::CloseReason;
use mio::net::TcpStream;

use super::inflow::Inflow;
use super::outflow::Outflow;

/// A connection in its slot.
pub(super) struct Connection {
    pub(super) peer: PeerKey,
    pub(super) stream: TcpStream,
    pub(super) phase: Phase,
    pub(super) inflow: Inflow,
    pub(super) outflow: Outflow,
    /// The remote end will send no more than what is in the kernel, so the end has to be read.
    pub(super) ending: bool,
    /// It waits for a turn to be read.
    pub(super) in_turn: bool,
    /// It waits to be flushed.
    pub(super) in_flush: bool,
    /// It waits to be reported.
    pub(super) in_report: bool,
    /// Payload bytes that left and were not reported yet.
    pub(super) sent_bytes: u32,
    /// Why nothing can be sent any more. What has come is still read before it is over.
    pub(super) mute: Option<CloseReason>,
    /// Why it is over, when it is.
    pub(super) failure: Option<CloseReason>,
}

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// We wait for an answer to our attempt to connect.
    Connecting,
    /// It stands; the remote end's handshake is not complete. Whoever came by themselves is
    /// counted under the address that they came from.
    Greeting { counted: Option<IpAddr> },
    /// Messages flow.
    Open,
}

impl Connection {
    pub(super) fn new(peer: PeerKey, stream: TcpStream, phase: Phase) -> Self {
        Self {
            peer,
            stream,
            phase,
            inflow: Inflow::new(peer),
            outflow: Outflow::default(),
            ending: false,
            in_turn: false,
            in_flush: false,
            in_report: false,
            sent_bytes: 0,
            mute: None,
            failure: None,
        }
    }

    /// Whether an attempt to connect has succeeded (`true`) or is still under way.
    pub(super) fn check_connect(&self) -> Result<bool, CloseReason> {
        let unreachable = |error: std::io::Error| CloseReason::Unreachable(error.to_string());
        if let Some(error) = self.stream.take_error().map_err(unreachable)? {
            return Err(unreachable(error));
        }
        // The poll may tell of a socket that is not connected yet.
        match self.stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(unreachable(error)),
        }
    }
}
