//! Seeded random streams. A stream is named and counted: a new draw in one never shifts another.

use crate::NodeKey;

/// What a stream's luck is for. One stream per node and name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u64)]
pub enum StreamName {
    /// Optimistic unchoke and rotation.
    Choke = 1,
    /// Random first pieces and ties among equally rare ones.
    Pick = 2,
    /// Which candidate address to connect to.
    Connect = 3,
    /// Announce jitter, transaction numbers.
    Discover = 4,
    /// Peer id and other names.
    Identity = 5,
    /// When simulated nodes come, per class of nodes.
    Arrive = 6,
    /// How long simulated nodes stay, per class of nodes.
    Stay = 7,
    /// Whom a simulated fault strikes, per fault.
    Fault = 8,
    /// What a byte-exact swarm of the fault campaign is like.
    Plan = 9,
    /// How simulated streams are cut, and what happens to their bytes.
    Stream = 10,
    /// What hostile peers do.
    Hostile = 11,
    /// Which parameters a search tries next.
    Search = 12,
}

/// A counter-based generator (SplitMix64's finaliser over `key + counter * odd constant`).
///
/// Not for secrets: it decides luck, and the same seed must give the same luck everywhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RngStream {
    key: u64,
    counter: u64,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

const fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl RngStream {
    /// The stream of `name` of `node` in the run with this seed.
    #[must_use]
    pub const fn new(seed: u64, node: NodeKey, name: StreamName) -> Self {
        let node = mix(seed ^ GOLDEN).wrapping_add(mix(node.0 as u64 + 1));
        Self {
            key: mix(node.wrapping_add((name as u64).wrapping_mul(GOLDEN))),
            counter: 0,
        }
    }

    /// 64 random bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.counter += 1;
        mix(self.key.wrapping_add(self.counter.wrapping_mul(GOLDEN)))
    }

    /// A number below `bound`, or 0 when the bound is 0. The bias is below `bound / 2^64`.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// One of the items, or `None` of none.
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len() as u64) as usize)
    }

    /// Shuffles in place (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// Fills `bytes` with random bits.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.next_u64().to_le_bytes()[..part.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_stable_and_apart() {
        let draw = |seed, node, name| RngStream::new(seed, NodeKey(node), name).next_u64();
        assert_eq!(draw(1, 0, StreamName::Choke), draw(1, 0, StreamName::Choke));
        let all = [
            draw(1, 0, StreamName::Choke),
            draw(1, 0, StreamName::Pick),
            draw(1, 1, StreamName::Choke),
            draw(2, 0, StreamName::Choke),
        ];
        for (at, a) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|b| a != b));
        }
    }

    #[test]
    fn below_covers_its_range_evenly() {
        let mut rng = RngStream::new(7, NodeKey(3), StreamName::Pick);
        let mut counts = [0_u32; 6];
        for _ in 0..60_000 {
            counts[rng.below(6) as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (9_500..10_500).contains(count)),
            "{counts:?}"
        );
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.choose::<u8>(&[]), None);
    }

    #[test]
    fn shuffle_keeps_every_item() {
        let mut rng = RngStream::new(7, NodeKey(3), StreamName::Pick);
        let mut items: Vec<u32> = (0..50).collect();
        rng.shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
