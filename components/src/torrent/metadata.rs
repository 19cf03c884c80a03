//! An info dictionary that is being fetched from peers (BEP 9).

use std::collections::{BTreeMap, BTreeSet};

use bevy_ecs::prelude::Component;
use dunlin_base::{EngineTime, PeerKey};
use dunlin_port::disk::Check;
use dunlin_port::user::MagnetFiles;
use dunlin_protocol::wire::extension::METADATA_PIECE_BYTES;

use crate::peer::Remote;

/// What is known of a torrent without content, and how much of its info dictionary has come.
#[derive(Component, Clone, PartialEq, Eq, Debug)]
pub struct MetadataFetch {
    /// What to call it until its own name is known.
    pub name: Option<String>,
    /// Which files will be wanted.
    pub files: MagnetFiles,
    /// How far to trust what is on disk.
    pub check: Check,
    /// Whether every peer is asked for a copy of its own: a copy of which several had sent parts was
    /// bad, so only one sender can be blamed for the next.
    pub one_sender: bool,
    /// The copies under way.
    pub copies: BTreeMap<CopyKey, MetadataCopy>,
}

/// Which copy: peers that say different lengths never fill the same one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct CopyKey {
    /// Length of the info dictionary, bytes.
    pub size: u32,
    /// The only peer that fills it, if only one may.
    pub only: Option<PeerKey>,
}

/// A part of a copy and who sent it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetadataPart {
    /// Who sent it.
    pub from: PeerKey,
    /// Where that peer is: it may be gone when the copy turns out to be bad.
    pub remote: Remote,
    /// What it sent.
    pub data: Box<[u8]>,
}

/// A copy of the info dictionary in the making.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetadataCopy {
    size: u32,
    parts: Box<[Option<MetadataPart>]>,
    /// When it was begun.
    pub started_at: EngineTime,
}

impl MetadataCopy {
    /// An empty copy of `size` bytes.
    #[must_use]
    pub fn new(size: u32, now: EngineTime) -> Self {
        let parts = (size as usize).div_ceil(METADATA_PIECE_BYTES);
        Self {
            size,
            parts: vec![None; parts].into(),
            started_at: now,
        }
    }

    /// Bytes that a part has; `None` when there is no such part.
    #[must_use]
    pub fn part_bytes(&self, part: u32) -> Option<usize> {
        let start = (part as usize).checked_mul(METADATA_PIECE_BYTES)?;
        let rest = (self.size as usize).checked_sub(start)?;
        (rest > 0).then_some(rest.min(METADATA_PIECE_BYTES))
    }

    /// Parts that did not come yet, in order.
    pub fn missing(&self) -> impl Iterator<Item = u32> + '_ {
        let parts = (0..).zip(&self.parts);
        parts.filter_map(|(part, slot)| slot.is_none().then_some(part))
    }

    /// Bytes that have come.
    #[must_use]
    pub fn done_bytes(&self) -> u32 {
        let parts = self.parts.iter().flatten();
        parts.map(|part| part.data.len() as u32).sum()
    }

    /// Puts a part in its place, unless there is one already.
    ///
    /// # Panics
    /// When the part has not the length of its place.
    pub fn put(&mut self, part: u32, came: MetadataPart) {
        assert_eq!(
            self.part_bytes(part),
            Some(came.data.len()),
            "the length of a part is checked when it comes"
        );
        self.parts[part as usize].get_or_insert(came);
    }

    /// Whether all parts are there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.parts.iter().all(Option::is_some)
    }

    /// The bytes of all parts that are there, in order.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size as usize);
        let parts = self.parts.iter().flatten();
        parts.for_each(|part| bytes.extend_from_slice(&part.data));
        bytes
    }

    /// Who sent what is there, each once.
    #[must_use]
    pub fn senders(&self) -> Vec<(PeerKey, Remote)> {
        let mut seen = BTreeSet::new();
        let parts = self.parts.iter().flatten();
        parts
            .filter(|part| seen.insert(part.from))
            .map(|part| (part.from, part.remote))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use dunlin_base::NodeKey;

    use super::*;

    fn part(from: u64, bytes: usize) -> MetadataPart {
        let remote = Remote {
            node: NodeKey(0),
            addr: ([10, 0, 0, 1], 1).into(),
        };
        MetadataPart {
            from: PeerKey::outgoing(from),
            remote,
            data: vec![from as u8; bytes].into(),
        }
    }

    #[test]
    fn the_last_part_is_the_rest() {
        for (size, lengths) in [
            (1, &[1][..]),
            (16_384, &[16_384]),
            (16_385, &[16_384, 1]),
            (40_000, &[16_384, 16_384, 7_232]),
        ] {
            let copy = MetadataCopy::new(size, EngineTime::START);
            let parts: Vec<_> = (0..4).map_while(|part| copy.part_bytes(part)).collect();
            assert_eq!(parts, lengths, "{size}");
            assert_eq!(copy.missing().count(), lengths.len());
            assert_eq!(copy.part_bytes(u32::MAX), None);
        }
    }

    #[test]
    fn the_first_copy_of_a_part_stays() {
        let mut copy = MetadataCopy::new(20_000, EngineTime::START);
        copy.put(1, part(1, 3_616));
        copy.put(1, part(2, 3_616));
        assert!(!copy.is_whole());
        assert_eq!((copy.done_bytes(), copy.senders().len()), (3_616, 1));
        copy.put(0, part(2, 16_384));
        assert!(copy.is_whole());
        assert_eq!(copy.bytes(), [vec![2; 16_384], vec![1; 3_616]].concat());
        assert_eq!(copy.senders().len(), 2);
    }
}
