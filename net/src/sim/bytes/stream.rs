//! One direction of a connection: bytes under way, cut wherever luck wants.

use core::time::Duration;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};

use dunlin_base::{EngineTime, RngStream};

/// Bytes that may be under way or unread, as in the buffers of two sockets.
const WINDOW_BYTES: usize = 64 * 1024;

/// How a direction ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// In order, behind all that was sent.
    Closed,
    /// At once.
    Reset,
}

/// What is on its way from one end to the other.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Runs of bytes by the time at which they arrive.
    parts: VecDeque<(EngineTime, Vec<u8>)>,
    /// Bytes of the first run that were read.
    front_read: usize,
    bytes: usize,
    ends: Option<(EngineTime, Ending)>,
}

impl Stream {
    /// Bytes that it takes now.
    pub(super) const fn room(&self) -> usize {
        match self.ends {
            Some(_) => 0,
            None => WINDOW_BYTES.saturating_sub(self.bytes),
        }
    }

    /// Sends bytes that arrive at `at`, not before those that were sent earlier.
    pub(super) fn push(&mut self, at: EngineTime, bytes: Vec<u8>) {
        if bytes.is_empty() || self.ends.is_some() {
            return;
        }
        let at = self.parts.back().map_or(at, |(before, _)| at.max(*before));
        self.bytes += bytes.len();
        self.parts.push_back((at, bytes));
    }

    /// Nothing more comes after what was sent.
    pub(super) fn end(&mut self, at: EngineTime, ending: Ending) {
        if ending == Ending::Reset {
            self.parts.clear();
            (self.front_read, self.bytes) = (0, 0);
        }
        let at = self.parts.back().map_or(at, |(before, _)| at.max(*before));
        self.ends.get_or_insert((at, ending));
    }

    /// When there is something to read next.
    pub(super) fn next_at(&self) -> Option<EngineTime> {
        let front = self.parts.front().map(|(at, _)| *at);
        front.or_else(|| self.ends.map(|(at, _)| at))
    }

    /// Whether all has been read and nothing more comes.
    pub(super) fn is_over(&self, now: EngineTime) -> bool {
        self.parts.is_empty() && self.ends.is_some_and(|(at, _)| at <= now)
    }

    /// Bytes that have arrived.
    fn arrived(&self, now: EngineTime) -> usize {
        let there = self.parts.iter().take_while(|(at, _)| *at <= now);
        let all: usize = there.map(|(_, part)| part.len()).sum();
        all.saturating_sub(self.front_read)
    }

    fn read(&mut self, mut room: &mut [u8]) -> usize {
        let mut done = 0;
        while !room.is_empty()
            && let Some((_, part)) = self.parts.front()
        {
            let rest = &part[self.front_read..];
            let step = rest.len().min(room.len());
            let (into, after) = room.split_at_mut(step);
            into.copy_from_slice(&rest[..step]);
            room = after;
            done += step;
            self.front_read += step;
            if self.front_read == part.len() {
                self.parts.pop_front();
                self.front_read = 0;
            }
        }
        self.bytes -= done;
        done
    }
}

/// Where an end writes to: takes as much as its line and the window allow, or less.
pub(super) struct Mouth<'a> {
    pub(super) stream: &'a mut Stream,
    pub(super) now: EngineTime,
    pub(super) delay: Duration,
    /// Bytes that the line still carries in this step.
    pub(super) budget: &'a mut usize,
    pub(super) luck: &'a mut RngStream,
    /// One of so many bytes is not as it was sent; 0 for none.
    pub(super) spoils_one_in: u64,
}

impl Write for Mouth<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let room = self.stream.room().min(*self.budget);
        if room == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let limit = match self.luck.below(8) {
            0 => 1 + self.luck.below(room as u64) as usize,
            _ => room,
        };
        let all = slices.iter().flat_map(|slice| slice.iter().copied());
        let mut taken: Vec<u8> = all.take(limit).collect();
        let spoiled =
            self.spoils_one_in > 0 && self.luck.below(self.spoils_one_in) < taken.len() as u64;
        if spoiled && let Some(last) = taken.len().checked_sub(1) {
            let at = self.luck.below(last as u64 + 1) as usize;
            taken[at] ^= 1 << self.luck.below(8);
        }
        let len = taken.len();
        *self.budget -= len;
        self.stream.push(self.now + self.delay, taken);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where an end reads from: gives some of what has arrived.
pub(super) struct Ear<'a> {
    pub(super) stream: &'a mut Stream,
    pub(super) now: EngineTime,
    pub(super) luck: &'a mut RngStream,
}

impl Ear<'_> {
    /// How much one read gives.
    fn portion(&mut self) -> io::Result<usize> {
        let there = self.stream.arrived(self.now);
        if there == 0 {
            return match self.stream.ends {
                Some((at, _)) if at > self.now => Err(ErrorKind::WouldBlock.into()),
                None => Err(ErrorKind::WouldBlock.into()),
                Some(_) if !self.stream.parts.is_empty() => Err(ErrorKind::WouldBlock.into()),
                Some((_, Ending::Closed)) => Ok(0),
                Some((_, Ending::Reset)) => Err(ErrorKind::ConnectionReset.into()),
            };
        }
        let max = match self.luck.below(4) {
            0 => there.min(24),
            1 => there.min(2000),
            _ => return Ok(there),
        };
        Ok(1 + self.luck.below(max as u64) as usize)
    }
}

impl Read for Ear<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(room)])
    }

    fn read_vectored(&mut self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let portion = self.portion()?;
        let mut left = portion;
        for slice in slices {
            let len = slice.len().min(left);
            left -= self.stream.read(&mut slice[..len]);
        }
        Ok(portion - left)
    }
}
