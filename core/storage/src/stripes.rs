//! Pieces side by side, a stripe of each at a time: seen through windows where a stripe is in one file, else
//! copied.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use dunlin_hash::{STRIPE_BYTES, Sha1Lanes, Stripes};

use crate::mapping::Mapping;

/// Bytes of a piece that are mapped at a time. Each mapping, and the end of the one before, costs the other
/// threads too; and what is mapped counts as resident, sixteen windows for each thread.
const WINDOW_BYTES: usize = 512 << 10;
/// What is shorter is copied, which costs no more then.
const WINDOW_BYTES_MIN: usize = 64 << 10;

// Short pieces are never mapped, so a run of them that is copied at once overwrites nothing that is shown.
const _: () = assert!(STRIPE_BYTES < WINDOW_BYTES_MIN);

/// Bytes of a piece that the disk is told of before they are looked at, so that it reads them in a row.
const AHEAD_BYTES: usize = 1 << 20;

/// Where pieces of one length are.
pub trait Pieces {
    /// What can go wrong.
    type Error;

    /// Says that `len` bytes of the n-th piece from `begin` on will be looked at soon, in small parts.
    fn will_read(&mut self, n: usize, begin: usize, len: usize);

    /// The file that holds `len` bytes of the n-th piece from `begin` on, and where in it they are; `None`
    /// when they are in several, in none, or cannot be had this way. It is asked for all pieces in turn,
    /// and then for what follows.
    fn file(&mut self, n: usize, begin: usize, len: usize) -> Option<(Arc<File>, u64)>;

    /// How many pieces from the n-th on lie one behind the other, as far as that is easily seen; at least
    /// one. Of short ones so many are copied by one call, and the disk is told ahead only of those that take
    /// several.
    fn run(&self, n: usize) -> usize;

    /// Copies bytes of the n-th piece from `begin` on, or all of it and of some that [lie
    /// behind](Self::run).
    ///
    /// # Errors
    /// When they cannot be read.
    fn copy(&mut self, n: usize, begin: usize, into: &mut [u8]) -> Result<(), Self::Error>;
}

/// What it takes to look at pieces side by side, to be used again.
#[derive(Debug)]
pub struct StripeRoom {
    copied: Vec<u8>,
    mapping: Option<Mapping>,
}

impl StripeRoom {
    /// Room for as many pieces as [`Sha1Lanes`] takes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            copied: Vec::new(),
            mapping: Mapping::new(Sha1Lanes::MAX, WINDOW_BYTES),
        }
    }

    /// Lets `look` see `count` pieces of `len` bytes. When files change so that their bytes are gone while
    /// they are looked at, it looks once more, at copies.
    ///
    /// # Errors
    /// What `look` returns.
    ///
    /// # Panics
    /// When there are more than [`Sha1Lanes::MAX`] pieces.
    pub fn look<P: Pieces, T>(
        &mut self,
        count: usize,
        len: usize,
        pieces: &mut P,
        mut look: impl FnMut(&mut dyn Stripes<Error = P::Error>) -> Result<T, P::Error>,
    ) -> Result<T, P::Error> {
        let StripeRoom { copied, mapping } = self;
        let mut striped = Striped {
            copied,
            mapping: mapping.as_mut(),
            pieces,
            count,
            len,
            window: 0..0,
            is_shown: [false; Sha1Lanes::MAX],
            told: 0,
        };
        let seen = look(&mut striped);
        let torn = striped.mapping.as_mut().map(|mapping| mapping.take_torn());
        if torn == Some(true) {
            striped.mapping = None;
            return look(&mut striped);
        }
        seen
    }
}

impl Default for StripeRoom {
    fn default() -> Self {
        Self::new()
    }
}

struct Striped<'a, P> {
    copied: &'a mut Vec<u8>,
    mapping: Option<&'a mut Mapping>,
    pieces: &'a mut P,
    count: usize,
    len: usize,
    /// What of each piece the windows show.
    window: Range<usize>,
    /// Which of the windows show it.
    is_shown: [bool; Sha1Lanes::MAX],
    /// Up to where in each piece the disk was told what comes.
    told: usize,
}

impl<P: Pieces> Striped<'_, P> {
    /// Whether a stripe is all of a piece.
    const fn is_short(&self) -> bool {
        self.len <= STRIPE_BYTES
    }

    /// Tells the disk of what comes, when it was not told of it yet. What one call copies is read at once.
    fn tell(&mut self, begin: usize) {
        let in_parts = !self.is_short() || self.pieces.run(0) < self.count;
        if !in_parts || (begin > 0 && begin < self.told) {
            return;
        }
        self.told = self.len.min(begin + AHEAD_BYTES);
        for n in 0..self.count {
            self.pieces.will_read(n, begin, self.told - begin);
        }
    }

    /// Moves the windows to where a stripe begins.
    fn show(&mut self, begin: usize) {
        self.tell(begin);
        self.window = begin..self.len.min(begin + WINDOW_BYTES);
        self.is_shown = [false; Sha1Lanes::MAX];
        let Some(mapping) = &mut self.mapping else {
            return;
        };
        if self.window.len() < WINDOW_BYTES_MIN {
            return;
        }
        for n in 0..self.count {
            let file = self.pieces.file(n, begin, self.window.len());
            self.is_shown[n] = file
                .is_some_and(|(file, offset)| mapping.show(n, &file, offset, self.window.len()));
        }
    }
}

impl<P: Pieces> Stripes for Striped<'_, P> {
    type Error = P::Error;

    fn stripes(&mut self, range: Range<usize>) -> Result<[&[u8]; Sha1Lanes::MAX], P::Error> {
        if range.start == 0 || range.end > self.window.end {
            self.show(range.start);
        }
        // Short pieces lie as they do in the torrent.
        let room = self.len.min(STRIPE_BYTES);
        let place = |n: usize| n * room..n * room + range.len();
        let mut n = 0;
        while n < self.count {
            let run = match self.is_short() {
                true => self.pieces.run(n).min(self.count - n),
                false => 1,
            };
            if !self.is_shown[n] {
                let all = place(n).start..place(n + run - 1).end;
                if self.copied.len() < all.end {
                    self.copied.resize(self.count * room, 0);
                }
                self.pieces.copy(n, range.start, &mut self.copied[all])?;
            }
            n += run;
        }
        let mut stripes: [&[u8]; Sha1Lanes::MAX] = [&[]; Sha1Lanes::MAX];
        let from = range.start - self.window.start;
        for (n, stripe) in stripes[..self.count].iter_mut().enumerate() {
            *stripe = match (&self.mapping, self.is_shown[n]) {
                (Some(mapping), true) => &mapping.bytes(n)[from..from + range.len()],
                _ => &self.copied[place(n)],
            };
        }
        Ok(stripes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

    use dunlin_hash::{sha1, sha1_striped};

    use super::*;

    /// Pieces one behind the other in a file, `lead` bytes behind its begin.
    struct InFile {
        file: Arc<File>,
        len: usize,
        lead: u64,
        copied: usize,
        copies: usize,
        told: usize,
    }

    impl Pieces for InFile {
        type Error = std::io::Error;

        fn will_read(&mut self, _: usize, begin: usize, len: usize) {
            self.told = self.told.max(begin + len);
        }

        fn file(&mut self, n: usize, begin: usize, _: usize) -> Option<(Arc<File>, u64)> {
            // The second of three is in several files.
            let at = self.lead + (n * self.len + begin) as u64;
            (n % 3 != 1).then(|| (Arc::clone(&self.file), at))
        }

        fn run(&self, n: usize) -> usize {
            3 - n % 3
        }

        fn copy(&mut self, n: usize, begin: usize, into: &mut [u8]) -> std::io::Result<()> {
            self.copied += into.len();
            self.copies += 1;
            let mut file = &*self.file;
            file.seek(SeekFrom::Start(self.lead + (n * self.len + begin) as u64))?;
            file.read_exact(into)
        }
    }

    fn in_file(bytes: &[u8], len: usize, lead: u64) -> InFile {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![0; lead as usize]).unwrap();
        file.write_all(bytes).unwrap();
        let file = Arc::new(file);
        InFile {
            file,
            len,
            lead,
            copied: 0,
            copies: 0,
            told: 0,
        }
    }

    #[test]
    fn pieces_are_the_same_mapped_and_copied() {
        let mut room = StripeRoom::new();
        for (count, len, lead) in [
            (1, 1, 0),
            (3, 70_000, 5),
            (8, 30_000, 7),
            (16, 100_000, 4096),
            (4, 2 * WINDOW_BYTES + 77, 1),
        ] {
            let bytes: Vec<u8> = (0..count * len).map(|at| (at / 251) as u8).collect();
            let mut pieces = in_file(&bytes, len, lead);
            let digests = room.look(count, len, &mut pieces, |stripes| {
                sha1_striped(count, len, stripes)
            });
            let expected: Vec<_> = bytes.chunks(len).map(sha1).collect();
            assert_eq!(digests.unwrap(), expected, "{count} of {len}");
            assert_eq!(pieces.told, if count > 1 { len } else { 0 }, "what comes");
            if len <= STRIPE_BYTES {
                assert_eq!(pieces.copies, count.div_ceil(3), "three at once");
            }
            if cfg!(target_os = "linux") && len >= WINDOW_BYTES_MIN {
                assert!(pieces.copied < count * len, "some were mapped");
            }
        }
    }

    #[test]
    fn a_file_that_shrinks_while_it_is_hashed_is_an_error_of_the_disk() {
        let len = WINDOW_BYTES;
        let mut pieces = in_file(&vec![3; len], len, 0);
        let file = Arc::clone(&pieces.file);
        let mut looks = 0;
        let seen = StripeRoom::new().look(1, len, &mut pieces, |stripes| {
            looks += 1;
            let seen = stripes.stripes(0..STRIPE_BYTES)?[0];
            file.set_len(1000).unwrap();
            Ok(sha1(seen))
        });
        assert_eq!(seen.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
        assert_eq!(looks, if cfg!(target_os = "linux") { 2 } else { 1 });
    }
}
