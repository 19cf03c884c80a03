//! Which pieces a peer may ask for while choked (BEP 6, "Allowed Fast Set Generation").

use std::net::Ipv4Addr;

use dunlin_base::InfoHash;
use sha1::{Digest as _, Sha1};

/// How many pieces BEP 6 recommends for the set.
pub const ALLOWED_FAST_PIECES: u8 = 10;

/// The set for the peer at `address`, in the order of BEP 6: at most `count` different pieces.
///
/// The address is cut to its /24 network, so that a peer does not get more by changing its
/// address. BEP 6 defines the set for IPv4 only.
#[must_use]
pub fn allowed_fast_set(
    address: Ipv4Addr,
    info_hash: InfoHash,
    pieces: u32,
    count: u8,
) -> Vec<u32> {
    if pieces <= u32::from(count) {
        return (0..pieces).collect();
    }
    let count = usize::from(count);
    let mut set = Vec::with_capacity(count);
    let [a, b, c, _] = address.octets();
    let mut hash: [u8; 20] = Sha1::new()
        .chain_update([a, b, c, 0])
        .chain_update(info_hash.0)
        .finalize()
        .into();
    // Ends: every round draws five numbers, and there are more pieces than places in the set.
    while set.len() < count {
        for word in hash.as_chunks::<4>().0 {
            let piece = u32::from_be_bytes(*word) % pieces;
            if set.len() < count && !set.contains(&piece) {
                set.push(piece);
            }
        }
        hash = Sha1::digest(hash).into();
    }
    set
}
