//! The exchange of metadata with one peer (BEP 9).

use std::collections::{BTreeMap, VecDeque};

use bevy_ecs::prelude::Component;
use dunlin_base::limits::EARLY_HAVES_BYTES_MAX;
use dunlin_base::{EngineTime, TokenBucket};

use crate::world::HaveFamily;

/// What a peer said of its pieces before their number was known: it is heard when it is.
#[derive(Component, Hash, Debug, Default)]
pub struct EarlyHaves {
    said: Vec<HaveFamily>,
    bytes: usize,
}

impl EarlyHaves {
    /// Keeps a message; says whether there was room.
    pub fn keep(&mut self, message: HaveFamily) -> bool {
        self.bytes += size_of::<HaveFamily>();
        if let HaveFamily::Bitfield(bits) = &message {
            self.bytes += bits.len();
        }
        let fits = self.bytes <= EARLY_HAVES_BYTES_MAX;
        if fits {
            self.said.push(message);
        }
        fits
    }

    /// All that was said, in order.
    #[must_use]
    pub fn into_messages(self) -> Vec<HaveFamily> {
        self.said
    }
}

/// Parts of the metadata that we asked a peer for.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct MetadataRequests {
    /// Parts that it has not sent yet, and when they were asked for.
    pub asked: BTreeMap<u32, EngineTime>,
    /// Times in a row that it sent nothing, or refused.
    pub failures: u32,
    /// It is not asked before.
    pub rest_until: EngineTime,
}

/// Parts of the metadata that a peer asked us for.
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug)]
pub struct MetadataUploads {
    /// What may go out to it.
    pub bucket: TokenBucket,
    /// Parts that wait for the bucket, in order.
    pub waiting: VecDeque<u32>,
    /// Requests that were rejected.
    pub rejects: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let mut early = EarlyHaves::default();
        let bits = vec![0; EARLY_HAVES_BYTES_MAX / 2].into_boxed_slice();
        assert!(early.keep(HaveFamily::Bitfield(bits.clone())));
        assert!(early.keep(HaveFamily::Have(7)));
        assert!(!early.keep(HaveFamily::Bitfield(bits)));
        assert!(!early.keep(HaveFamily::Have(8)), "full is full");
        let said = early.into_messages();
        assert!(matches!(said[..], [_, HaveFamily::Have(7)]));
    }
}
