//! An info dictionary that is being fetched from peers (BEP 9).

use core::hash::{Hash, Hasher};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::DefaultHasher;

use bevy_ecs::prelude::Component;
use dunlin_base::{EngineTime, PeerKey};
use dunlin_port::disk::Check;
use dunlin_port::user::MagnetFiles;
use dunlin_protocol::wire::extension::METADATA_PIECE_BYTES;

use crate::peer::Remote;

/// What is known of a torrent without content, and how much of its info dictionary has come.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug)]
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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CopyKey {
    /// Length of the info dictionary, bytes.
    pub size: u32,
    /// The only peer that fills it, if only one may.
    pub only: Option<PeerKey>,
}

/// Who sent a part of a copy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PartSender {
    /// Which connection.
    pub peer: PeerKey,
    /// Where that peer is: it may be gone when the copy turns out to be bad.
    pub remote: Remote,
}

/// A copy of the info dictionary in the making. It takes as many bytes as have come, and becomes what is
/// read: there is no second copy of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetadataCopy {
    bytes: Vec<u8>,
    /// Stands for the bytes of the parts that came: whoever compares two copies every tick need not go through
    /// megabytes.
    digest: u64,
    /// Of each part that has come, who sent it.
    parts: Box<[Option<PartSender>]>,
    /// When it was begun.
    pub started_at: EngineTime,
}

/// The bytes by their digest.
impl Hash for MetadataCopy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.parts, self.digest, self.started_at).hash(state);
    }
}

impl MetadataCopy {
    /// An empty copy of `size` bytes.
    #[must_use]
    pub fn new(size: u32, now: EngineTime) -> Self {
        let parts = (size as usize).div_ceil(METADATA_PIECE_BYTES);
        Self {
            // Where they are many, the system mostly gives zeros of which none takes memory before it is written
            // to; what is announced is bounded, and so are the copies of a torrent.
            bytes: vec![0; size as usize],
            digest: 0,
            parts: vec![None; parts].into(),
            started_at: now,
        }
    }

    /// Bytes that a part has; `None` when there is no such part.
    #[must_use]
    pub fn part_bytes(&self, part: u32) -> Option<usize> {
        let start = (part as usize).checked_mul(METADATA_PIECE_BYTES)?;
        let rest = self.bytes.len().checked_sub(start)?;
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
        let parts = (0..).zip(&self.parts).filter(|(_, from)| from.is_some());
        let bytes = parts.filter_map(|(part, _)| self.part_bytes(part));
        bytes.sum::<usize>() as u32
    }

    /// Puts a part in its place, unless there is one already.
    ///
    /// # Panics
    /// When the part has not the length of its place.
    pub fn put(&mut self, part: u32, from: PartSender, data: &[u8]) {
        assert_eq!(
            self.part_bytes(part),
            Some(data.len()),
            "the length of a part is checked when it comes"
        );
        let sender = &mut self.parts[part as usize];
        if sender.is_none() {
            *sender = Some(from);
            let start = part as usize * METADATA_PIECE_BYTES;
            self.bytes[start..start + data.len()].copy_from_slice(data);
            let mut hasher = DefaultHasher::new();
            (part, data).hash(&mut hasher);
            self.digest = self.digest.wrapping_add(hasher.finish());
        }
    }

    /// Whether all parts are there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.parts.iter().all(Option::is_some)
    }

    /// The bytes of all parts, in order; zeros where one did not come.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Who sent what is there, each once.
    #[must_use]
    pub fn senders(&self) -> Vec<(PeerKey, Remote)> {
        let mut seen = BTreeSet::new();
        let parts = self.parts.iter().flatten();
        parts
            .filter(|from| seen.insert(from.peer))
            .map(|from| (from.peer, from.remote))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use dunlin_base::NodeKey;

    use super::*;

    fn put(copy: &mut MetadataCopy, part: u32, from: u8, bytes: usize) {
        let remote = Remote {
            node: NodeKey(0),
            addr: ([10, 0, 0, 1], 1).into(),
        };
        let peer = PeerKey::outgoing(from.into());
        copy.put(part, PartSender { peer, remote }, &vec![from; bytes]);
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
        put(&mut copy, 1, 1, 3_616);
        put(&mut copy, 1, 2, 3_616);
        assert!(!copy.is_whole());
        assert_eq!((copy.done_bytes(), copy.senders().len()), (3_616, 1));
        put(&mut copy, 0, 2, 16_384);
        assert!(copy.is_whole());
        assert_eq!(copy.senders().len(), 2);
        assert_eq!(
            copy.into_bytes(),
            [vec![2; 16_384], vec![1; 3_616]].concat()
        );
    }
}
