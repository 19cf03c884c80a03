//! The reading position in one message: turns a list of slices into runs of whole SHA blocks.

/// Bytes of one SHA-1 or SHA-256 block.
pub(crate) const SHA_BLOCK_BYTES: usize = 64;

/// One SHA-1 or SHA-256 block.
pub(crate) type ShaBlock = [u8; SHA_BLOCK_BYTES];

/// The place in a block where the eight bytes of the message length start.
const LENGTH_OFFSET: usize = SHA_BLOCK_BYTES - 8;

/// Walks a message once, block by block, ending with its padding.
///
/// Blocks that lie within one slice are handed out where they are. Only a block that straddles
/// slices, or that holds the padding, is assembled in the scratch space.
pub(crate) struct Cursor<'m> {
    /// What is unread of the current slice.
    slice: &'m [u8],
    /// The slices after the current one.
    rest: &'m [&'m [u8]],
    /// Bytes of the message taken so far, for the length at the end of the padding.
    taken_bytes: u64,
    /// Two blocks, because padding can need a block of its own after the last bytes.
    scratch: [ShaBlock; 2],
    /// The blocks of the scratch that are still to be hashed.
    scratch_blocks: std::ops::Range<u8>,
    /// Whether the padding has been written: nothing follows the scratch.
    padded: bool,
}

impl<'m> Cursor<'m> {
    /// A cursor at the start of the message that is the concatenation of `slices`.
    pub(crate) fn new(slices: &'m [&'m [u8]]) -> Self {
        let mut cursor = Self {
            padded: false,
            rest: slices,
            ..Self::finished()
        };
        cursor.prepare();
        cursor
    }

    /// A cursor with nothing to read, to fill an unused place.
    pub(crate) const fn finished() -> Self {
        Self {
            slice: &[],
            rest: &[],
            taken_bytes: 0,
            scratch: [[0; SHA_BLOCK_BYTES]; 2],
            scratch_blocks: 0..0,
            padded: true,
        }
    }

    /// The next blocks that lie together in memory; empty only when the message is finished.
    pub(crate) fn run(&self) -> &[ShaBlock] {
        if self.padded || !self.scratch_blocks.is_empty() {
            &self.scratch
                [usize::from(self.scratch_blocks.start)..usize::from(self.scratch_blocks.end)]
        } else {
            self.slice.as_chunks().0
        }
    }

    /// Steps over the first `blocks` of [`Self::run`]. Returns whether the message is finished.
    pub(crate) fn advance(&mut self, blocks: usize) -> bool {
        if self.scratch_blocks.is_empty() {
            let bytes = blocks * SHA_BLOCK_BYTES;
            self.slice = &self.slice[bytes..];
            self.taken_bytes += bytes as u64;
        } else {
            assert!(
                blocks <= self.scratch_blocks.len(),
                "more blocks hashed than were ready"
            );
            self.scratch_blocks.start += blocks as u8;
        }
        if self.scratch_blocks.is_empty() && !self.padded {
            self.prepare();
        }
        self.run().is_empty()
    }

    /// Makes the next run ready when the scratch is used up.
    fn prepare(&mut self) {
        if self.slice.len() >= SHA_BLOCK_BYTES {
            return;
        }
        let filled = self.gather();
        if filled == SHA_BLOCK_BYTES {
            self.scratch_blocks = 0..1;
        } else if filled > 0 || self.slice.is_empty() {
            self.pad(filled);
        }
    }

    /// Copies the next block into the scratch from as many slices as it straddles. Returns how
    /// many bytes there were; zero with a slice at hand means that no copy is needed.
    fn gather(&mut self) -> usize {
        let mut filled = 0;
        loop {
            if filled == 0 && self.slice.len() >= SHA_BLOCK_BYTES {
                return 0;
            }
            let count = self.slice.len().min(SHA_BLOCK_BYTES - filled);
            let (head, tail) = self.slice.split_at(count);
            self.scratch[0][filled..filled + count].copy_from_slice(head);
            self.slice = tail;
            self.taken_bytes += count as u64;
            filled += count;
            if filled == SHA_BLOCK_BYTES {
                return filled;
            }
            let Some((next, rest)) = self.rest.split_first() else {
                return filled;
            };
            self.slice = next;
            self.rest = rest;
        }
    }

    /// Ends the message after the `filled` bytes of the scratch.
    fn pad(&mut self, filled: usize) {
        let blocks = pad(&mut self.scratch, filled, self.taken_bytes);
        self.scratch_blocks = 0..blocks as u8;
        self.padded = true;
    }
}

/// Ends a message of `message_bytes` whose last `filled` bytes are in the scratch: a one bit, zeros,
/// and the length in bits (FIPS 180-4, section 5.1.1). Returns how many blocks there are now.
pub(crate) fn pad(scratch: &mut [ShaBlock; 2], filled: usize, message_bytes: u64) -> usize {
    let blocks = if filled < LENGTH_OFFSET { 1 } else { 2 };
    let bytes = scratch.as_flattened_mut();
    bytes[filled] = 0x80;
    bytes[filled + 1..].fill(0);
    // The standard defines the length modulo 2^64 bits; shifting drops what is above.
    let bits = message_bytes << 3;
    scratch[blocks - 1][LENGTH_OFFSET..].copy_from_slice(&bits.to_be_bytes());
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks_of(slices: &[&[u8]]) -> Vec<ShaBlock> {
        let mut cursor = Cursor::new(slices);
        let mut blocks = Vec::new();
        loop {
            // One at a time, so that partly consumed runs are seen too.
            blocks.push(cursor.run()[0]);
            if cursor.advance(1) {
                return blocks;
            }
        }
    }

    #[test]
    fn an_empty_message_is_one_block_of_padding() {
        let mut padding = [0; SHA_BLOCK_BYTES];
        padding[0] = 0x80;
        assert_eq!(blocks_of(&[]), [padding]);
        assert_eq!(blocks_of(&[&[], &[]]), [padding]);
    }

    #[test]
    fn padding_takes_its_own_block_when_the_length_does_not_fit() {
        let bytes = [7; 200];
        for (length, blocks) in [(55, 1), (56, 2), (63, 2), (64, 2), (119, 2), (120, 3)] {
            let padded = blocks_of(&[&bytes[..length]]);
            assert_eq!(padded.len(), blocks, "{length} bytes");
            assert_eq!(padded.as_flattened()[..length], bytes[..length]);
            assert_eq!(padded.as_flattened()[length], 0x80);
            let last = padded.last().unwrap();
            assert_eq!(last[LENGTH_OFFSET..], (length as u64 * 8).to_be_bytes());
        }
    }

    #[test]
    fn slices_of_any_size_give_the_same_blocks() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let whole = blocks_of(&[&bytes]);
        for size in [1, 3, 63, 64, 65, 127, 128, 129, 500] {
            let slices: Vec<&[u8]> = bytes.chunks(size).collect();
            assert_eq!(blocks_of(&slices), whole, "slices of {size}");
        }
    }

    #[test]
    fn aligned_slices_are_read_in_place() {
        let bytes = vec![1; 4 * SHA_BLOCK_BYTES];
        let slices: &[&[u8]] = &[&[], &bytes];
        let cursor = Cursor::new(slices);
        assert_eq!(cursor.run().len(), 4);
        assert!(std::ptr::eq(cursor.run().as_ptr().cast(), bytes.as_ptr()));
    }

    #[test]
    fn the_length_counts_beyond_four_gibibytes() {
        let mut cursor = Cursor::new(&[]);
        cursor.taken_bytes = (1 << 32) + 5;
        cursor.pad(5);
        let last = cursor.run().last().unwrap();
        assert_eq!(
            last[LENGTH_OFFSET..],
            (((1_u64 << 32) + 5) * 8).to_be_bytes()
        );
    }
}
