//! One end of a peer connection.

mod bargain;
mod metadata;
mod requests;
mod upload;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use bevy_ecs::prelude::{Component, Entity};
use dunlin_base::{
    Bitfield, EngineTime, NodeKey, PeerId, PeerKey, PieceIndex, RateMeter, TokenBucket,
};
use dunlin_protocol::wire::Reserved;

pub use bargain::Bargain;
pub use metadata::{EarlyHaves, MetadataRequests, MetadataUploads};
pub use requests::{REQUESTS_UNSAID, Request, Requests};
pub use upload::UploadQueue;

/// What makes an entity a peer. A connection begins choked and not interested (BEP 3).
#[derive(Component, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[component(immutable)]
#[require(
    AmChoking,
    AmInterested,
    PeerChoking,
    PeerInterested,
    ChokeTold,
    Requests,
    UploadQueue,
    PeerTraffic,
    Extensions,
    Strikes,
    AllowedFast
)]
pub struct Peer(pub PeerKey);

/// Where a peer is, and on whose behalf we talk to it.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[component(immutable)]
pub struct Remote {
    /// Our end.
    pub node: NodeKey,
    /// Their end.
    pub addr: SocketAddr,
}

/// The torrent that a peer connection is about. Incoming connections have none before their
/// handshake.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
#[component(immutable)]
pub struct PeerOf(pub Entity);

/// How far a connection has come.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// Our attempt is under way.
    Connecting,
    /// The connection stands; the other end's handshake has not come.
    Handshaking,
    /// Both shook hands.
    Established,
}

/// What the other end said in its handshake.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[component(immutable)]
pub struct Hello {
    /// What it calls itself.
    pub peer_id: PeerId,
    /// What it can.
    pub reserved: Reserved,
}

/// Whether we choke it: what the rules want. Emit tells the wire.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AmChoking(pub bool);

impl Default for AmChoking {
    fn default() -> Self {
        Self(true)
    }
}

/// What the wire was last told of our two flags.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ChokeTold {
    /// Whether it was told that we choke it.
    pub choking: bool,
    /// Whether it was told that we are interested.
    pub interested: bool,
}

impl Default for ChokeTold {
    fn default() -> Self {
        Self {
            choking: true,
            interested: false,
        }
    }
}

/// Whether it has what we want: what the rules want. Emit tells the wire.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct AmInterested(pub bool);

/// Whether it chokes us.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PeerChoking(pub bool);

impl Default for PeerChoking {
    fn default() -> Self {
        Self(true)
    }
}

/// Whether it wants what we have.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct PeerInterested(pub bool);

/// What it has. Aligned so that it never lies in two lines of a cache.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug)]
#[repr(align(32))]
pub struct RemoteHave {
    /// The pieces.
    pub bits: Bitfield,
    /// Whether it is counted as a seed in the torrent's availability.
    pub counted_as_seed: bool,
    /// Whether its first word on what it has came: a bitfield may only come first.
    pub told: bool,
}

const _: () = assert!(size_of::<RemoteHave>() == 32, "half a line of a cache");

/// What moved between us. Of its two lines of a cache a block that comes touches the first, one that goes the
/// second.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(C, align(64))]
pub struct PeerTraffic {
    /// Payload from it.
    pub down: RateMeter,
    /// Payload from it up to the last choke round.
    pub down_at_round: u64,
    /// When its connection was established.
    pub established_at: EngineTime,
    /// Payload to it when we last unchoked it.
    pub up_at_unchoke: u64,
    /// When we last unchoked it.
    pub unchoked_at: EngineTime,
    /// Payload to it.
    pub up: RateMeter,
    /// Payload to it up to the last choke round.
    pub up_at_round: u64,
    /// When we last said something.
    pub spoke_at: EngineTime,
}

const _: () = assert!(size_of::<PeerTraffic>() == 128, "two lines of a cache");

/// A peer's own rate limits.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PeerBuckets {
    /// Payload from it.
    pub down: TokenBucket,
    /// Payload to it.
    pub up: TokenBucket,
}

/// What it said in its extension handshake (BEP 10).
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Extensions {
    /// Requests that it keeps queued.
    pub reqq: Option<u32>,
    /// Its name and version.
    pub client: Option<String>,
    /// Whether it takes nothing more (BEP 21).
    pub upload_only: bool,
    /// Its number for `lt_donthave` (BEP 54).
    pub dont_have: Option<u8>,
    /// Its number for `ut_metadata` (BEP 9).
    pub ut_metadata: Option<u8>,
    /// Length of the info dictionary that it can send, as it first said, bytes.
    pub metadata_size: Option<u32>,
}

/// What a peer did wrong, by kind. Enough of one kind ends the connection.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Strikes {
    /// Requests that it made while choked and that we rejected.
    pub rejects: u32,
    /// Blocks that we did not ask for.
    pub unrequested: u32,
    /// Bad pieces that it had a part in.
    pub bad_pieces: u32,
}

/// Pieces that are exempt from choking (BEP 6).
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct AllowedFast {
    /// We may request these of it.
    pub to_us: BTreeSet<PieceIndex>,
    /// It may request these of us.
    pub to_it: BTreeSet<PieceIndex>,
}

impl AllowedFast {
    /// Whether a peer that chokes us and has `theirs` gives us anything that we do not have.
    #[must_use]
    pub fn gives(&self, theirs: &Bitfield, ours: &Bitfield) -> bool {
        let gives = |&piece: &PieceIndex| theirs.has(piece) && !ours.has(piece);
        self.to_us.iter().any(gives)
    }

    /// Forgets what we may request and have by now: who has nothing else for us while it chokes us is then
    /// known without a look at the pieces.
    pub fn forget(&mut self, ours: &Bitfield) {
        self.to_us.retain(|&piece| !ours.has(piece));
    }
}
