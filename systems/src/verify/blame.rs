//! Who sent a bad block.
//!
//! A bad piece from one sender is that sender's fault. Of one from several, the digests of all
//! blocks are kept with their senders, and the piece is fetched again from one peer at a time (it
//! is on parole): if that copy is bad too, its one sender is guilty; if it is good, every kept
//! block that differs from it was bad, and who sent an equal one is innocent.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use dunlin_base::PeerKey;
use dunlin_components::torrent::SuspectBlock;

/// A sender of a block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Sender {
    pub(crate) peer: PeerKey,
    pub(crate) addr: SocketAddr,
}

/// The one sender of all blocks, if there is just one.
pub(crate) fn sole_sender(senders: &[Option<Sender>]) -> Option<Sender> {
    let first = (*senders.first()?)?;
    senders
        .iter()
        .all(|sender| *sender == Some(first))
        .then_some(first)
}

/// The senders of kept blocks that differ from a good copy.
///
/// # Panics
/// When there are suspects and no digests of a good copy: nobody could be told from the innocent.
pub(crate) fn guilty(suspects: &[SuspectBlock], good: &[[u8; 20]]) -> BTreeSet<Sender> {
    assert!(
        suspects.is_empty() || !good.is_empty(),
        "a piece with suspects is digested block by block"
    );
    suspects
        .iter()
        .filter(|suspect| good.get(suspect.block as usize) != Some(&suspect.digest))
        .map(|suspect| Sender {
            peer: suspect.peer,
            addr: suspect.addr,
        })
        .collect()
}
