//! The ground that every other crate stands on: keys and index newtypes, piece and block
//! geometry, bitfields, engine time, rates, seeded random streams, and every limit of the engine.
//!
//! Nothing in here knows of sockets, disks, clocks or tables.

mod ahead;
mod bitfield;
mod geometry;
mod keys;
pub mod limits;
mod piece_set;
mod rate;
mod rng;
mod time;

pub use ahead::{Ahead, LOOK, groups, look_ahead, prefetch};
pub use bitfield::{Bitfield, BitfieldError};
pub use geometry::{BLOCK_BYTES, BlockIndex, Geometry, GeometryError, PieceIndex};
pub use keys::{InfoHash, InfoHashV2, NodeKey, ParseHashError, PeerId, PeerKey, TorrentKey};
pub use piece_set::PieceSet;
pub use rate::{RateMeter, TokenBucket};
pub use rng::{RngStream, StreamName};
pub use time::EngineTime;
