//! The network port: connections that carry peer-wire messages.

use std::net::SocketAddr;

use dunlin_base::{NodeKey, PeerKey, PieceIndex};
use dunlin_protocol::wire::{Handshake, Message, WireError};

use crate::BlockBuffer;

/// What the engine asks of the network. A command for a connection that is closed is dropped.
#[derive(Debug)]
pub enum NetCommand {
    /// Open a connection; [`NetEvent::Connected`] or [`NetEvent::Closed`] follows.
    Connect {
        /// Key of the new connection, chosen by the engine.
        peer: PeerKey,
        /// On whose behalf.
        node: NodeKey,
        /// To where.
        addr: SocketAddr,
    },
    /// Send our handshake.
    Handshake {
        /// On which connection.
        peer: PeerKey,
        /// What to send.
        handshake: Handshake,
    },
    /// Send a message.
    Send {
        /// On which connection.
        peer: PeerKey,
        /// What to send.
        message: Message,
    },
    /// Send a block (BEP 3 `piece`). [`NetEvent::Sent`] says when its bytes have left.
    SendBlock {
        /// On which connection.
        peer: PeerKey,
        /// Piece of the block.
        piece: PieceIndex,
        /// Offset in the piece, bytes.
        begin: u32,
        /// The block's payload.
        payload: BlockBuffer,
    },
    /// Close the connection. No event follows: the engine has forgotten the peer.
    Close {
        /// Which connection.
        peer: PeerKey,
    },
}

impl NetCommand {
    /// Which connection it is about.
    #[must_use]
    pub const fn peer(&self) -> PeerKey {
        match self {
            Self::Connect { peer, .. }
            | Self::Handshake { peer, .. }
            | Self::Send { peer, .. }
            | Self::SendBlock { peer, .. }
            | Self::Close { peer } => *peer,
        }
    }
}

/// What the network tells the engine.
#[derive(Debug)]
pub enum NetEvent {
    /// A connection that the engine asked for stands.
    Connected {
        /// Which connection.
        peer: PeerKey,
    },
    /// Somebody connected to us.
    Accepted {
        /// Key of the new connection, chosen by the network.
        peer: PeerKey,
        /// To whom.
        node: NodeKey,
        /// From where.
        addr: SocketAddr,
    },
    /// The remote end's handshake is complete.
    Handshake {
        /// On which connection.
        peer: PeerKey,
        /// What it said.
        handshake: Handshake,
    },
    /// A message came, `piece` excepted.
    Message {
        /// On which connection.
        peer: PeerKey,
        /// What it said.
        message: Message,
    },
    /// A block came.
    Block {
        /// On which connection.
        peer: PeerKey,
        /// Piece that the sender says it is of; not checked yet.
        piece: u32,
        /// Offset in the piece; not checked yet.
        begin: u32,
        /// The payload.
        payload: BlockBuffer,
    },
    /// Block payload left for the kernel, so there is room for more.
    Sent {
        /// On which connection.
        peer: PeerKey,
        /// Payload bytes since the last such event.
        bytes: u32,
    },
    /// The connection is gone, or never came to be.
    Closed {
        /// Which connection.
        peer: PeerKey,
        /// Why.
        reason: CloseReason,
    },
}

/// Why the network closed a connection.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CloseReason {
    /// The connection could not be opened: the system's words.
    #[error("cannot connect: {0}")]
    Unreachable(String),
    /// Nobody answered in time.
    #[error("no answer to the connection attempt")]
    ConnectTimeout,
    /// The remote end closed it.
    #[error("closed by the other side")]
    Remote,
    /// The connection broke: the system's words.
    #[error("connection broke: {0}")]
    Broken(String),
    /// What the remote end sent is not the protocol.
    #[error("broke the protocol: {0}")]
    Protocol(WireError),
}
