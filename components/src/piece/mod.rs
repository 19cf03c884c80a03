//! A piece in motion: from its first request until it is verified and written, or discarded.

mod blocks;
mod parole;

use bevy_ecs::prelude::{Component, Entity};
use dunlin_base::PieceIndex;
use dunlin_port::BlockBuffer;

pub use blocks::{BlockState, Blocks, HOLDERS_MAX, Holders, Spill};
pub use parole::Parole;

/// What makes an entity a piece in motion.
#[derive(Component, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[component(immutable)]
pub struct Piece(pub PieceIndex);

/// The torrent that a piece belongs to.
#[derive(Component, Clone, Copy, PartialEq, Eq, Debug)]
#[component(immutable)]
pub struct PieceOf(pub Entity);

/// How far a piece in motion has come.
#[derive(Component, Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum PieceState {
    /// Blocks are being fetched.
    #[default]
    Fetching,
    /// All blocks are here and are being hashed.
    Hashing,
    /// It is good and being written.
    Writing,
    /// The disk refused it, or a part that was to leave memory: it is written when the disk recovers. The
    /// blocks of a good piece are kept in [`Unwritten`], those of a part in [`Blocks`].
    Waiting,
}

/// The blocks of a good piece that the disk refused: they are written when it recovers.
#[derive(Component, Debug)]
pub struct Unwritten(pub Vec<BlockBuffer>);
