//! The tables: every component and resource of the engine. Data only; the rules are in
//! `dunlin-systems`.
//!
//! A folder per entity:
//!
//! | entity | is | key |
//! |---|---|---|
//! | [`node`] | one local client identity | [`node::Node`] |
//! | [`torrent`] | a torrent of a node | [`torrent::Torrent`] |
//! | [`peer`] | one end of a connection | [`peer::Peer`] |
//! | [`piece`] | a piece in motion | [`piece::Piece`] |
//! | [`world`] | resources: what there is once in a world | |
//!
//! A piece at rest is one bit of [`torrent::Have`]; only pieces in motion are entities, and their
//! blocks are an array inside them. Fan-out (a torrent's peers, its pieces in motion) is kept in
//! ordered maps from our own keys, so a walk over them has the same order in every run.

pub mod node;
pub mod peer;
pub mod piece;
pub mod torrent;
pub mod world;
