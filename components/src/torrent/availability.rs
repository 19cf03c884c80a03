//! How many connected peers have each piece.

use bevy_ecs::prelude::Component;
use dunlin_base::{Bitfield, PieceIndex};

/// Copies of each piece among the connected peers. Peers that have everything are one number, so
/// that a seed's coming and going does not touch every piece.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Availability {
    counts: Box<[u16]>,
    seeds: u32,
}

impl Availability {
    /// No copies of `pieces` pieces.
    #[must_use]
    pub fn new(pieces: u32) -> Self {
        Self {
            counts: vec![0; pieces as usize].into(),
            seeds: 0,
        }
    }

    /// Copies of a piece at peers that do not have everything.
    ///
    /// # Panics
    /// When the piece is not of this torrent.
    #[must_use]
    pub fn partial(&self, piece: PieceIndex) -> u16 {
        self.counts[piece.0 as usize]
    }

    /// Copies of a piece at all connected peers.
    ///
    /// # Panics
    /// When the piece is not of this torrent.
    #[must_use]
    pub fn copies(&self, piece: PieceIndex) -> u32 {
        u32::from(self.partial(piece)) + self.seeds
    }

    /// Connected peers that have everything.
    #[must_use]
    pub const fn seeds(&self) -> u32 {
        self.seeds
    }

    /// One more copy of a piece.
    pub fn add(&mut self, piece: PieceIndex) {
        let count = &mut self.counts[piece.0 as usize];
        *count = count
            .checked_add(1)
            .expect("a torrent has fewer than 65,536 connections");
    }

    /// One copy of a piece less.
    pub fn remove(&mut self, piece: PieceIndex) {
        let count = &mut self.counts[piece.0 as usize];
        *count = count
            .checked_sub(1)
            .expect("a copy that goes was counted when it came");
    }

    /// A peer that has everything came.
    pub const fn add_seed(&mut self) {
        self.seeds += 1;
    }

    /// A peer that has everything went.
    pub const fn remove_seed(&mut self) {
        assert!(self.seeds > 0, "a seed that goes was counted when it came");
        self.seeds -= 1;
    }

    /// A peer that was counted piece by piece has everything now.
    pub fn promote(&mut self, had: &Bitfield) {
        had.iter().for_each(|piece| self.remove(piece));
        self.add_seed();
    }

    /// A peer that was counted as having everything is counted piece by piece again.
    pub fn demote(&mut self, has: &Bitfield) {
        self.remove_seed();
        has.iter().for_each(|piece| self.add(piece));
    }
}
