//! Messages of equal length whose bytes come a stripe at a time.

use core::ops::Range;

use crate::{
    Sha1Digest,
    algorithm::{Algorithm, LANES_MAX, Sha1, States},
    cursor::{SHA_BLOCK_BYTES, ShaBlock, pad},
};

/// SHA-1 of up to [`Sha1Lanes::MAX`] messages of equal length, of which a stripe each is at hand at
/// a time.
///
/// Pieces that are read from disk to be checked need not be in memory whole, so what is hashed was
/// just read and is in the cache still.
///
/// ```
/// let mut lanes = dunlin_hash::Sha1Lanes::new(2);
/// lanes.update(&[&[1; 128], &[2; 128]]);
/// let digests = lanes.finish(&[b"end", b"END"]);
/// assert_eq!(digests[0], dunlin_hash::sha1(&[&[1; 128][..], b"end"].concat()));
/// ```
#[derive(Clone, Debug)]
pub struct Sha1Lanes {
    states: States<5>,
    lanes: usize,
    /// Bytes taken of each message.
    bytes: u64,
}

impl Sha1Lanes {
    /// The most messages at a time: as many as the widest kernel has lanes.
    pub const MAX: usize = LANES_MAX;

    /// As many messages, of which nothing has come.
    ///
    /// # Panics
    /// When there are more than [`Self::MAX`].
    pub fn new(lanes: usize) -> Self {
        assert!(lanes <= LANES_MAX, "{lanes} messages for {LANES_MAX} lanes");
        Self {
            states: Sha1::INITIAL.map(|word| [word; LANES_MAX]),
            lanes,
            bytes: 0,
        }
    }

    /// Takes the next bytes of each message.
    ///
    /// # Panics
    /// When there is not one stripe for each message, or they are not of one length, a multiple of
    /// 64 bytes.
    pub fn update(&mut self, stripes: &[&[u8]]) {
        assert_eq!(stripes.len(), self.lanes, "a stripe for each message");
        let mut runs: [&[ShaBlock]; LANES_MAX] = [&[]; LANES_MAX];
        let len = stripes.first().map_or(0, |stripe| stripe.len());
        for (run, stripe) in runs.iter_mut().zip(stripes) {
            let (blocks, rest) = stripe.as_chunks();
            assert!(
                rest.is_empty() && stripe.len() == len,
                "stripes of {len} and {} bytes",
                stripe.len()
            );
            *run = blocks;
        }
        self.compress(&runs[..self.lanes]);
        self.bytes += len as u64;
    }

    /// The digests, after the last bytes of each message, fewer than 64.
    ///
    /// # Panics
    /// When there is not one tail for each message, or they are not of one length below 64.
    pub fn finish(mut self, tails: &[&[u8]]) -> Vec<Sha1Digest> {
        assert_eq!(tails.len(), self.lanes, "a tail for each message");
        let len = tails.first().map_or(0, |tail| tail.len());
        let mut scratch = [[[0; SHA_BLOCK_BYTES]; 2]; LANES_MAX];
        let mut blocks = 0;
        for (scratch, tail) in scratch.iter_mut().zip(tails) {
            assert!(
                tail.len() == len && len < SHA_BLOCK_BYTES,
                "tails of {len} and {} bytes",
                tail.len()
            );
            scratch[0][..len].copy_from_slice(tail);
            blocks = pad(scratch, len, self.bytes + len as u64);
        }
        let runs = scratch.each_ref().map(|scratch| &scratch[..blocks]);
        self.compress(&runs[..self.lanes]);
        let digest = |lane: usize| {
            let mut digest = [0; 20];
            let words = digest.as_chunks_mut().0;
            for (bytes, word) in words.iter_mut().zip(&self.states) {
                *bytes = word[lane].to_be_bytes();
            }
            digest
        };
        (0..self.lanes).map(digest).collect()
    }

    fn compress(&mut self, runs: &[&[ShaBlock]]) {
        let mut first = 0;
        while first < runs.len() {
            let kernel = Sha1::kernel_for(runs.len() - first);
            let end = runs.len().min(first + kernel.lanes());
            Sha1::compress(kernel, &mut self.states, first, &runs[first..end]);
            first = end;
        }
    }
}

/// Bytes of each message that are hashed at a time: those of all lanes together fit into a core's own
/// cache.
pub const STRIPE_BYTES: usize = 32 * 1024;

/// Messages side by side, of which a stripe each is to be had at a time.
pub trait Stripes {
    /// What can go wrong.
    type Error;

    /// `range` of each message, one after the other; behind them anything. It is at most
    /// [`STRIPE_BYTES`] long, and the ranges follow each other.
    ///
    /// # Errors
    /// When the bytes cannot be had.
    fn stripes(&mut self, range: Range<usize>) -> Result<[&[u8]; Sha1Lanes::MAX], Self::Error>;
}

/// SHA-1 of `messages` messages of `len` bytes each, at most [`Sha1Lanes::MAX`].
///
/// # Errors
/// The first that `source` returns.
///
/// # Panics
/// When there are too many messages.
pub fn sha1_striped<S: Stripes + ?Sized>(
    messages: usize,
    len: usize,
    source: &mut S,
) -> Result<Vec<Sha1Digest>, S::Error> {
    let mut lanes = Sha1Lanes::new(messages);
    for begin in (0..len).step_by(STRIPE_BYTES) {
        let now = STRIPE_BYTES.min(len - begin);
        let stripes = source.stripes(begin..begin + now)?;
        let whole = now - now % SHA_BLOCK_BYTES;
        let parts = |range: Range<usize>| {
            let mut parts: [&[u8]; LANES_MAX] = [&[]; LANES_MAX];
            for (part, stripe) in parts[..messages].iter_mut().zip(stripes) {
                *part = &stripe[range.clone()];
            }
            parts
        };
        lanes.update(&parts(0..whole)[..messages]);
        if begin + now == len {
            return Ok(lanes.finish(&parts(whole..now)[..messages]));
        }
    }
    Ok(lanes.finish(&[&[][..]; LANES_MAX][..messages]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_same_as_one_message_after_the_other(
            lanes in 1..=LANES_MAX,
            stripes in prop::collection::vec(0_usize..4, 0..4),
            tail in 0..SHA_BLOCK_BYTES,
            seed: u8,
        ) {
            let len = stripes.iter().sum::<usize>() * SHA_BLOCK_BYTES + tail;
            let message = |lane: usize| -> Vec<u8> {
                (0..len).map(|at| (at as u8).wrapping_mul(31) ^ lane as u8 ^ seed).collect()
            };
            let messages: Vec<_> = (0..lanes).map(message).collect();
            let mut hashed = Sha1Lanes::new(lanes);
            let mut at = 0;
            for blocks in stripes {
                let end = at + blocks * SHA_BLOCK_BYTES;
                let parts: Vec<&[u8]> = messages.iter().map(|message| &message[at..end]).collect();
                hashed.update(&parts);
                at = end;
            }
            let tails: Vec<&[u8]> = messages.iter().map(|message| &message[at..]).collect();
            let expected: Vec<_> = messages.iter().map(|message| crate::sha1(message)).collect();
            prop_assert_eq!(hashed.finish(&tails), expected);
        }
    }

    #[test]
    fn messages_that_are_read_in_stripes() {
        for len in [
            0,
            1,
            63,
            64,
            65,
            STRIPE_BYTES - 1,
            STRIPE_BYTES,
            3 * STRIPE_BYTES + 100,
        ] {
            for count in [1, 5, 16] {
                let byte = |message: usize, at: usize| (at as u8).wrapping_mul(7) ^ message as u8;
                let mut source = Made {
                    room: Vec::new(),
                    count,
                    byte,
                };
                let digests = sha1_striped(count, len, &mut source).unwrap();
                for (message, digest) in digests.iter().enumerate() {
                    let whole: Vec<u8> = (0..len).map(|at| byte(message, at)).collect();
                    assert_eq!(
                        *digest,
                        crate::sha1(&whole),
                        "{message} of {count} with {len}"
                    );
                }
            }
        }
        struct Broken;
        impl Stripes for Broken {
            type Error = &'static str;
            fn stripes(&mut self, _: Range<usize>) -> Result<[&[u8]; LANES_MAX], &'static str> {
                Err("broken")
            }
        }
        assert_eq!(sha1_striped(2, 10, &mut Broken), Err("broken"));
    }

    /// Messages that are made up as they are asked for.
    struct Made<F> {
        room: Vec<u8>,
        count: usize,
        byte: F,
    }

    impl<F: Fn(usize, usize) -> u8> Stripes for Made<F> {
        type Error = ();

        fn stripes(&mut self, range: Range<usize>) -> Result<[&[u8]; LANES_MAX], ()> {
            self.room.clear();
            for message in 0..self.count {
                let bytes = range.clone().map(|at| (self.byte)(message, at));
                self.room.extend(bytes);
            }
            let mut stripes: [&[u8]; LANES_MAX] = [&[]; LANES_MAX];
            let each = self.room.chunks(range.len());
            stripes
                .iter_mut()
                .zip(each)
                .for_each(|(stripe, made)| *stripe = made);
            Ok(stripes)
        }
    }

    #[test]
    #[should_panic(expected = "stripes of 64 and 128 bytes")]
    fn stripes_of_different_lengths_are_a_mistake() {
        Sha1Lanes::new(2).update(&[&[0; 64], &[0; 128]]);
    }
}
