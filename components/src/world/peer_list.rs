//! A list of peers that have something to do.

use core::hash::{Hash, Hasher};

use dunlin_base::PeerKey;

/// Entries up to which nobody minds that some are there twice.
const SETTLE_AT_MIN: usize = 64;

/// A set of peers that is filled one by one and looked at as a whole. To put one in costs a push:
/// order and uniqueness come when somebody looks, at the cost of one sort. At no time are there more
/// than about twice as many entries as peers.
#[derive(Clone, Debug, Default)]
pub struct PeerList {
    peers: Vec<PeerKey>,
    /// How many entries at the front are in order, each there once.
    settled: usize,
    /// Number of entries at which duplicates go.
    settle_at: usize,
}

/// As the set that it is, not as it was filled.
impl Hash for PeerList {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.settled == self.peers.len() {
            return self.peers.hash(state);
        }
        let mut settled = self.clone();
        settled.settle().hash(state);
    }
}

impl PeerList {
    /// Puts a peer in, if it is not in already.
    pub fn insert(&mut self, peer: PeerKey) {
        let last = self.peers.last();
        if last == Some(&peer) {
            return;
        }
        if self.settled == self.peers.len() && last.is_none_or(|last| *last < peer) {
            self.settled += 1;
        } else if self.peers.len() >= self.settle_at.max(SETTLE_AT_MIN) {
            self.settle();
            self.settle_at = 2 * self.peers.len();
        }
        self.peers.push(peer);
    }

    /// Whether nobody is in.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// The peers, each once, in the order of their keys.
    pub fn settle(&mut self) -> &[PeerKey] {
        if self.settled < self.peers.len() {
            self.peers[self.settled..].sort_unstable();
            if self.settled > 0 {
                // Two runs, which a stable sort finds and merges.
                self.peers.sort();
            }
            self.peers.dedup();
            self.settled = self.peers.len();
        }
        &self.peers
    }

    /// Takes all peers out, each once, in the order of their keys.
    pub fn take(&mut self) -> Vec<PeerKey> {
        self.settle();
        (self.settled, self.settle_at) = (0, 0);
        core::mem::take(&mut self.peers)
    }
}

impl Extend<PeerKey> for PeerList {
    fn extend<I: IntoIterator<Item = PeerKey>>(&mut self, peers: I) {
        peers.into_iter().for_each(|peer| self.insert(peer));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a sorted set, over any history.
        #[test]
        fn agrees_with_a_set(steps in prop::collection::vec((0..300_u64, 0..60_u8), 0..2000)) {
            let (mut list, mut model) = (PeerList::default(), BTreeSet::new());
            for (number, step) in steps {
                let peer = PeerKey::outgoing(number);
                match step {
                    0 => prop_assert!(list.take().into_iter().eq(core::mem::take(&mut model))),
                    2 => prop_assert!(list.settle().iter().eq(model.iter())),
                    _ => {
                        list.insert(peer);
                        model.insert(peer);
                    }
                }
                prop_assert_eq!(list.is_empty(), model.is_empty());
                prop_assert!(list.peers.len() <= 2 * model.len() + SETTLE_AT_MIN);
            }
            prop_assert!(list.take().into_iter().eq(model));
        }
    }
}
