//! Which piece to show next: pure functions.

use dunlin_base::{Bitfield, PieceIndex, PieceSet};
use dunlin_components::torrent::{Availability, SuperSeeding};

/// Pieces that a peer lacks of which the rarest is shown, when there is none that nobody has: all in most
/// torrents, or else those that follow the one that was shown last.
const SAMPLE_PIECES: usize = 1024;

/// The piece to show to a peer that has `bits`, none of which is `under_way` to it: one that is nowhere yet,
/// the first in the torrent, or one that few have. While there are new pieces, all of them on their way,
/// there is none for this peer, unless `anything` is better than nothing.
///
/// No piece before `new_from` is new and on its way to nobody; it moves on with what is found, so that the
/// choices for several peers pass over what is on its way once. Those are few: a peer has one such piece, and
/// one more for each second in which nothing leaves. Where all pieces are somewhere it takes a step for each
/// 64 pieces of the torrent and [`SAMPLE_PIECES`].
pub(super) fn choose(
    availability: &Availability,
    seeding: &SuperSeeding,
    bits: &Bitfield,
    under_way: Option<&PieceSet>,
    anything: bool,
    new_from: &mut u32,
) -> Option<PieceIndex> {
    let mut new = availability.nowhere(*new_from);
    match new.find(|&piece| seeding.under_way(piece) == 0) {
        Some(piece) => {
            *new_from = piece.0;
            return Some(piece);
        }
        None => *new_from = bits.len(),
    }
    if availability.nowhere(0).next().is_some() && !anything {
        return None;
    }
    let copies = |piece: PieceIndex| availability.copies(piece) + seeding.under_way(piece);
    lacking(bits, under_way, seeding.last().map_or(0, |piece| piece.0))
        .take(SAMPLE_PIECES)
        .map(|piece| (copies(piece), piece))
        .min()
        .map(|(_, piece)| piece)
}

/// The pieces that are neither in `bits` nor `under_way`, in words of 64: from that of `from` on and
/// around.
fn lacking<'a>(
    bits: &'a Bitfield,
    under_way: Option<&'a PieceSet>,
    from: u32,
) -> impl Iterator<Item = PieceIndex> + 'a {
    let words = bits.len().div_ceil(u64::BITS);
    let around = (0..words).map(move |at| (from / u64::BITS + at) % words);
    around.flat_map(move |at| {
        let first = at * u64::BITS;
        let pieces = u64::MAX << (u64::BITS - u64::BITS.min(bits.len() - first));
        let under_way = under_way.map_or(0, |set| set.word(at));
        let mut absent = pieces & !(bits.word(at) | under_way);
        core::iter::from_fn(move || {
            let bit = absent.leading_zeros();
            absent &= !(1_u64 << 63).checked_shr(bit)?;
            Some(PieceIndex(first + bit))
        })
    })
}

/// Whether a piece that a peer was shown is passed on: others have it too, or the peer `got` it and is
/// the only one of `peers`.
pub(super) fn has_spread(others: u32, got: bool, peers: u32) -> bool {
    others > 0 || (got && peers <= 1)
}
