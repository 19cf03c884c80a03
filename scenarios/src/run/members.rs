//! The nodes of a run, and what has become of them.

use dunlin_base::{Bitfield, PieceIndex};

use super::playback::Playback;
use crate::arrivals::NodePlan;
use crate::outcome::NodeOutcome;

/// Whether a node is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Presence {
    /// Not yet.
    Expected,
    /// Now.
    Present,
    /// Not any more.
    Gone,
}

/// A node.
pub(super) struct Member {
    pub(super) plan: NodePlan,
    pub(super) presence: Presence,
    /// Verified pieces.
    pub(super) have: Bitfield,
    pub(super) outcome: NodeOutcome,
    pub(super) playback: Option<Playback>,
}

impl Member {
    pub(super) fn new(plan: NodePlan, pieces: u32, playback: Option<Playback>) -> Self {
        let have = if plan.seed {
            Bitfield::full(pieces)
        } else {
            Bitfield::empty(pieces)
        };
        Self {
            plan,
            presence: Presence::Expected,
            have,
            outcome: NodeOutcome {
                node: plan.node,
                class: plan.class,
                arrived_us: plan.arrives_us,
                ..NodeOutcome::default()
            },
            playback,
        }
    }

    pub(super) fn is_present(&self) -> bool {
        self.presence == Presence::Present
    }

    /// Notes a verified piece; says whether it was the last one.
    pub(super) fn verified(&mut self, piece: PieceIndex, now_us: u64) -> bool {
        self.have.set(piece);
        let (count, all) = (self.have.count(), self.have.len());
        let outcome = &mut self.outcome;
        outcome.first_piece_us.get_or_insert(now_us);
        if count * 2 >= all {
            outcome.half_us.get_or_insert(now_us);
        }
        if count == all {
            outcome.completed_us.get_or_insert(now_us);
        }
        count == all
    }
}

/// Copies of each piece among the nodes present.
pub(super) struct Copies {
    counts: Vec<u32>,
    /// Nodes present that have everything; they are in no count.
    full: u32,
}

impl Copies {
    pub(super) fn new(pieces: u32) -> Self {
        Self {
            counts: vec![0; pieces as usize],
            full: 0,
        }
    }

    pub(super) fn enter(&mut self, have: &Bitfield) {
        if have.is_full() {
            self.full += 1;
        } else {
            have.iter().for_each(|piece| self.add(piece));
        }
    }

    pub(super) fn leave(&mut self, have: &Bitfield) {
        if have.is_full() {
            self.full -= 1;
        } else {
            have.iter()
                .for_each(|piece| self.counts[piece.0 as usize] -= 1);
        }
    }

    pub(super) fn add(&mut self, piece: PieceIndex) {
        self.counts[piece.0 as usize] += 1;
    }

    /// A node that was counted piece by piece has everything now.
    pub(super) fn complete(&mut self) {
        self.counts.iter_mut().for_each(|count| *count -= 1);
        self.full += 1;
    }

    /// Copies of the rarest piece, of a piece in the mean (in thousandths), and of the commonest.
    pub(super) fn spread(&self) -> (u32, u64, u32) {
        let least = self.counts.iter().min().copied().unwrap_or(0);
        let most = self.counts.iter().max().copied().unwrap_or(0);
        let sum: u64 = self.counts.iter().map(|&count| u64::from(count)).sum();
        let mean = sum * 1000 / (self.counts.len() as u64).max(1);
        (
            least + self.full,
            mean + u64::from(self.full) * 1000,
            most + self.full,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_those_of_the_nodes_present() {
        let mut copies = Copies::new(4);
        let full = Bitfield::full(4);
        let mut part = Bitfield::empty(4);
        copies.enter(&full);
        copies.enter(&part);
        for piece in [1, 2].map(PieceIndex) {
            part.set(piece);
            copies.add(piece);
        }
        assert_eq!(copies.spread(), (1, 1500, 2));
        copies.leave(&full);
        assert_eq!(copies.spread(), (0, 500, 1));
        for piece in [0, 3].map(PieceIndex) {
            part.set(piece);
            copies.add(piece);
        }
        copies.complete();
        assert_eq!(copies.spread(), (1, 1000, 1));
        copies.leave(&part);
        assert_eq!(copies.spread(), (0, 0, 0));
    }
}
