//! What came from the ports and what goes to them, and the tick's events sorted by who reads them.

use bevy_ecs::prelude::Resource;
use dunlin_base::PeerKey;
use dunlin_port::disk::DiskEvent;
use dunlin_port::net::{CloseReason, NetEvent};
use dunlin_port::{BlockBuffer, Inbox, Outbox};
use dunlin_protocol::wire::BlockRequest;

/// What the ports have ready.
#[derive(Resource, Default)]
pub struct PortInbox(pub Inbox);

/// What this tick tells the ports.
#[derive(Resource, Default)]
pub struct PortOutbox(pub Outbox);

/// This tick's network events by family, each in order of arrival. Events of one peer in one
/// family keep their order; those of different families do not depend on each other.
#[derive(Resource, Default)]
pub struct RoutedEvents {
    /// Connections that came, stand, or shook hands.
    pub connections: Vec<NetEvent>,
    /// What peers have.
    pub haves: Vec<(PeerKey, HaveFamily)>,
    /// Chokes, and answers to our requests.
    pub chokes: Vec<(PeerKey, ChokeFamily)>,
    /// Interest, and requests to us.
    pub requests: Vec<(PeerKey, RequestFamily)>,
    /// Extension messages (BEP 10).
    pub extensions: Vec<(PeerKey, ExtensionFamily)>,
    /// Offers of metadata and messages of its exchange (BEP 9).
    pub metadata: Vec<(PeerKey, MetadataFamily)>,
    /// Payload that left.
    pub sent: Vec<(PeerKey, u32)>,
    /// Connections that are gone.
    pub closed: Vec<(PeerKey, CloseReason)>,
    /// Files that opened, closed, moved, or failed.
    pub files: Vec<DiskEvent>,
    /// Parts of pieces that were spilled, or not, or could not be read again.
    pub spills: Vec<DiskEvent>,
    /// Pieces that were written, or not.
    pub writes: Vec<DiskEvent>,
    /// Blocks that were read, or not.
    pub reads: Vec<DiskEvent>,
}

/// A message about what a peer has.
#[derive(Hash, Debug)]
pub enum HaveFamily {
    /// One more piece.
    Have(u32),
    /// All at once, in wire form.
    Bitfield(Box<[u8]>),
    /// Everything (BEP 6).
    HaveAll,
    /// Nothing (BEP 6).
    HaveNone,
}

/// A message about our requests.
#[derive(Debug)]
pub enum ChokeFamily {
    /// The peer chokes us.
    Choke,
    /// It does not any more.
    Unchoke,
    /// It will not answer a request (BEP 6).
    Reject(BlockRequest),
    /// It answers requests for this piece even while choking (BEP 6).
    AllowedFast(u32),
    /// It answers a request.
    Block {
        /// Which piece, as it says.
        piece: u32,
        /// Offset in the piece, as it says.
        begin: u32,
        /// The payload.
        payload: BlockBuffer,
    },
}

/// A message about what a peer wants.
#[derive(Debug)]
pub enum RequestFamily {
    /// It wants what we have.
    Interested,
    /// It does not any more.
    NotInterested,
    /// It asks for a block.
    Request(BlockRequest),
    /// It does not want it any more.
    Cancel(BlockRequest),
}

/// An extension message (BEP 10).
#[derive(Debug)]
pub struct ExtensionFamily {
    /// Its number: 0 for the handshake, else one of ours.
    pub id: u8,
    /// Its payload.
    pub payload: Box<[u8]>,
}

/// What a peer says of metadata (BEP 9).
#[derive(Debug)]
pub enum MetadataFamily {
    /// Its extension handshake came: it may offer metadata.
    Greeted,
    /// Payload of a message of the exchange.
    Message(Box<[u8]>),
}
