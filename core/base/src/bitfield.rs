//! A fixed-length set of pieces in wire order (BEP 3: bit 0 is the high bit of byte 0).

use crate::{PieceIndex, prefetch};

/// Which pieces somebody has. Spare bits of the last byte are always zero.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Bitfield {
    bytes: Box<[u8]>,
    len: u32,
    ones: u32,
}

/// A bitfield message that does not fit its torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BitfieldError {
    /// The number of bytes is not that of the torrent's pieces.
    #[error("bitfield has {got} bytes, expected {expected}")]
    Length {
        /// Bytes that were there.
        got: usize,
        /// Bytes that the number of pieces takes.
        expected: usize,
    },
    /// A bit behind the last piece is set.
    #[error("a spare bit at the end of the bitfield is set")]
    SpareBits,
}

impl Bitfield {
    /// `len` zero bits.
    #[must_use]
    pub fn empty(len: u32) -> Self {
        Self {
            bytes: vec![0; (len as usize).div_ceil(8)].into(),
            len,
            ones: 0,
        }
    }

    /// `len` one bits.
    #[must_use]
    pub fn full(len: u32) -> Self {
        let mut bytes: Box<[u8]> = vec![0xff; (len as usize).div_ceil(8)].into();
        if let Some(last) = bytes.last_mut()
            && !len.is_multiple_of(8)
        {
            *last = 0xff << (8 - len % 8);
        }
        Self {
            bytes,
            len,
            ones: len,
        }
    }

    /// A bitfield of `len` bits from its wire form.
    ///
    /// # Errors
    /// When the length differs or a spare bit is set.
    pub fn from_wire(bytes: &[u8], len: u32) -> Result<Self, BitfieldError> {
        let expected = (len as usize).div_ceil(8);
        if bytes.len() != expected {
            return Err(BitfieldError::Length {
                got: bytes.len(),
                expected,
            });
        }
        if let Some(last) = bytes.last()
            && !len.is_multiple_of(8)
            && last & (0xff >> (len % 8)) != 0
        {
            return Err(BitfieldError::SpareBits);
        }
        let ones = bytes.iter().map(|byte| byte.count_ones()).sum();
        Ok(Self {
            bytes: bytes.into(),
            len,
            ones,
        })
    }

    /// The wire form.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of bits.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are no bits at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of bits that are set.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.ones
    }

    /// Whether every bit is set.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.ones == self.len
    }

    /// Whether the piece's bit is set; false for a piece out of range.
    #[must_use]
    pub fn has(&self, piece: PieceIndex) -> bool {
        piece.0 < self.len && self.bytes[piece.0 as usize / 8] & mask(piece) != 0
    }

    /// Asks for the piece's bit, which will be needed soon.
    pub fn prefetch(&self, piece: PieceIndex) {
        self.bytes
            .get(piece.0 as usize / 8)
            .into_iter()
            .for_each(prefetch);
    }

    /// The bits from `64 * at` on, the first one in the highest bit; zeros behind the end.
    #[must_use]
    #[inline]
    pub fn word(&self, at: u32) -> u64 {
        let rest = self.bytes.get(at as usize * 8..).unwrap_or_default();
        match rest.first_chunk() {
            Some(word) => u64::from_be_bytes(*word),
            None => {
                let mut word = [0; 8];
                word[..rest.len()].copy_from_slice(rest);
                u64::from_be_bytes(word)
            }
        }
    }

    /// Sets a bit; says whether it was clear before.
    ///
    /// # Panics
    /// When the piece is out of range.
    pub fn set(&mut self, piece: PieceIndex) -> bool {
        assert!(piece.0 < self.len, "bit {piece} of {}", self.len);
        let byte = &mut self.bytes[piece.0 as usize / 8];
        let fresh = *byte & mask(piece) == 0;
        *byte |= mask(piece);
        self.ones += u32::from(fresh);
        fresh
    }

    /// Clears a bit; says whether it was set before.
    ///
    /// # Panics
    /// When the piece is out of range.
    pub fn clear(&mut self, piece: PieceIndex) -> bool {
        assert!(piece.0 < self.len, "bit {piece} of {}", self.len);
        let byte = &mut self.bytes[piece.0 as usize / 8];
        let was_set = *byte & mask(piece) != 0;
        *byte &= !mask(piece);
        self.ones -= u32::from(was_set);
        was_set
    }

    /// The pieces whose bits are set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        (0..self.len.div_ceil(64)).flat_map(|at| {
            let mut word = self.word(at);
            core::iter::from_fn(move || {
                let bit = word.leading_zeros();
                let piece = (word != 0).then(|| PieceIndex(at * 64 + bit))?;
                word &= !(1 << (63 - bit));
                Some(piece)
            })
        })
    }

    /// The first piece from this one on whose bit is set.
    #[must_use]
    pub fn next_from(&self, piece: PieceIndex) -> Option<PieceIndex> {
        let first = piece.0 / 64;
        let mut words = (first..self.len.div_ceil(64)).map(|at| {
            let before = if at == first { piece.0 % 64 } else { 0 };
            (at, self.word(at) & (u64::MAX >> before))
        });
        let (at, word) = words.find(|&(_, word)| word != 0)?;
        Some(PieceIndex(at * 64 + word.leading_zeros()))
    }

    /// Whether a piece is set here that is clear in `other`.
    ///
    /// # Panics
    /// When the lengths differ.
    #[must_use]
    pub fn has_any_not_in(&self, other: &Self) -> bool {
        assert_eq!(
            self.len, other.len,
            "bitfields of one torrent have one length"
        );
        (0..self.len.div_ceil(64)).any(|at| self.word(at) & !other.word(at) != 0)
    }

    /// Whether a piece is set here and in `also` that is clear in `other`.
    ///
    /// # Panics
    /// When the lengths differ.
    #[must_use]
    pub fn shares_any_not_in(&self, also: &Self, other: &Self) -> bool {
        assert_eq!(
            (self.len, self.len),
            (also.len, other.len),
            "bitfields of one torrent have one length"
        );
        (0..self.len.div_ceil(64)).any(|at| self.word(at) & also.word(at) & !other.word(at) != 0)
    }
}

const fn mask(piece: PieceIndex) -> u8 {
    0x80 >> (piece.0 % 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_are_those_whose_bits_are_set() {
        for len in [1, 63, 64, 65, 130, 200] {
            let mut bits = Bitfield::empty(len);
            for piece in (0..len).filter(|piece| piece % 3 == 0 || piece % 64 == 63) {
                bits.set(PieceIndex(piece));
            }
            let set = (0..len).map(PieceIndex).filter(|piece| bits.has(*piece));
            assert!(bits.iter().eq(set), "{len}");
        }
    }

    #[test]
    fn wire_form_round_trips_and_is_checked() {
        let mut bits = Bitfield::empty(11);
        assert!(bits.set(PieceIndex(0)) && bits.set(PieceIndex(10)) && !bits.set(PieceIndex(10)));
        assert_eq!(bits.as_bytes(), [0x80, 0x20]);
        assert_eq!(Bitfield::from_wire(bits.as_bytes(), 11), Ok(bits.clone()));
        assert_eq!(
            bits.iter().collect::<Vec<_>>(),
            [PieceIndex(0), PieceIndex(10)]
        );
        assert_eq!(
            Bitfield::from_wire(&[0x80, 0x10], 11),
            Err(BitfieldError::SpareBits)
        );
        assert_eq!(
            Bitfield::from_wire(&[0x80], 11),
            Err(BitfieldError::Length {
                got: 1,
                expected: 2
            })
        );
    }

    #[test]
    fn full_has_no_spare_bits() {
        for len in 0..40 {
            let full = Bitfield::full(len);
            assert!(full.is_full());
            assert_eq!(Bitfield::from_wire(full.as_bytes(), len), Ok(full.clone()));
            assert_eq!(full.iter().count(), len as usize);
            assert_eq!(full.has_any_not_in(&Bitfield::empty(len)), len > 0);
        }
    }

    #[test]
    fn what_two_share_and_a_third_lacks_is_found_in_every_place() {
        for len in 1..150 {
            let full = Bitfield::full(len);
            for place in (0..len).map(PieceIndex) {
                let mut one = Bitfield::empty(len);
                one.set(place);
                let mut others = full.clone();
                others.clear(place);
                assert!(one.has_any_not_in(&others) && !one.has_any_not_in(&one));
                assert!(one.shares_any_not_in(&full, &others));
                assert!(!one.shares_any_not_in(&others, &Bitfield::empty(len)));
                assert!(!full.shares_any_not_in(&one, &one));
            }
        }
    }

    #[test]
    fn the_next_piece_is_the_first_that_is_not_before() {
        for len in [0, 1, 64, 65, 200] {
            let mut bits = Bitfield::empty(len);
            for piece in (0..len).filter(|piece| piece % 7 == 3 || *piece == 64) {
                bits.set(PieceIndex(piece));
            }
            for from in (0..len + 70).map(PieceIndex) {
                let next = bits.iter().find(|piece| *piece >= from);
                assert_eq!(bits.next_from(from), next, "from {from} of {len}");
            }
        }
    }

    #[test]
    fn words_are_the_bits_in_their_order() {
        for len in [0, 1, 7, 64, 65, 130] {
            let mut bits = Bitfield::empty(len);
            for piece in (0..len).filter(|piece| piece % 3 == 1) {
                bits.set(PieceIndex(piece));
            }
            for piece in (0..200).map(PieceIndex) {
                let bit = bits.word(piece.0 / 64) >> (63 - piece.0 % 64) & 1;
                assert_eq!(bit == 1, bits.has(piece), "{piece} of {len}");
            }
        }
    }

    #[test]
    fn count_follows_every_change() {
        let mut bits = Bitfield::full(9);
        assert!(bits.clear(PieceIndex(8)) && !bits.clear(PieceIndex(8)));
        assert_eq!(bits.count(), 8);
        assert!(!bits.has(PieceIndex(8)) && !bits.has(PieceIndex(1000)));
    }
}
