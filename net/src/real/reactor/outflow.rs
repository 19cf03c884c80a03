//! What waits to be sent on one connection, and how it gets into the kernel without a copy of
//! block payload.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};

use dunlin_port::BlockBuffer;

/// Slices of one vectored write: 32 blocks with their headers.
const SLICES_MAX: usize = 64;

/// Room that an empty queue keeps for the next messages.
const IDLE_BYTES_MAX: usize = 16 * 1024;

/// The send queue of a connection.
///
/// All that is not payload (messages and the headers of blocks) lies in one buffer in order, and
/// the queue only says how its parts and the payloads take turns, so that sending a block
/// allocates nothing.
#[derive(Default)]
pub(super) struct Outflow {
    parts: VecDeque<Part>,
    /// Bytes of the first part that have left.
    front_sent: usize,
    /// Bytes that are not payload; those before `plain_sent` have left.
    plain: Vec<u8>,
    plain_sent: usize,
}

enum Part {
    /// So many bytes of `plain`, after those of earlier parts.
    Plain(usize),
    Payload(BlockBuffer),
}

impl Part {
    fn len(&self) -> usize {
        match self {
            Self::Plain(len) => *len,
            Self::Payload(payload) => payload.len(),
        }
    }
}

impl Outflow {
    /// Queues what `write` appends.
    pub(super) fn push_plain(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.plain.len();
        write(&mut self.plain);
        let added = self.plain.len() - before;
        if let Some(Part::Plain(len)) = self.parts.back_mut() {
            *len += added;
        } else if added > 0 {
            self.parts.push_back(Part::Plain(added));
        }
    }

    /// Queues the payload of a block; its header goes before it with [`Outflow::push_plain`].
    pub(super) fn push_payload(&mut self, payload: BlockBuffer) {
        if !payload.is_empty() {
            self.parts.push_back(Part::Payload(payload));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Bytes in the queue that are not payload.
    pub(super) fn plain_bytes(&self) -> usize {
        self.plain.len() - self.plain_sent
    }

    /// Writes until the queue is empty or `sink` takes no more; says how many bytes of payload
    /// have left.
    pub(super) fn flush(&mut self, sink: &mut impl Write) -> io::Result<u32> {
        let mut payload_bytes = 0;
        while !self.is_empty() {
            let (written, offered) = match self.write_once(sink) {
                Ok(counts) => counts,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            if written == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            payload_bytes += self.advance(written);
            // epoll(7): a short write says that the kernel is full and that an event will come.
            if cfg!(target_os = "linux") && written < offered {
                break;
            }
        }
        self.compact();
        Ok(payload_bytes)
    }

    /// One vectored write: how many bytes the sink took, and how many it could have.
    fn write_once(&self, sink: &mut impl Write) -> io::Result<(usize, usize)> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut plain = &self.plain[self.plain_sent..];
        let mut skip = self.front_sent;
        let mut offered = 0;
        let used = self.parts.len().min(SLICES_MAX);
        for (slice, part) in slices.iter_mut().zip(&self.parts) {
            let bytes: &[u8] = match part {
                Part::Plain(len) => {
                    let (bytes, rest) = plain.split_at(len - skip);
                    plain = rest;
                    bytes
                }
                Part::Payload(payload) => &payload[skip..],
            };
            skip = 0;
            offered += bytes.len();
            *slice = IoSlice::new(bytes);
        }
        let written = sink.write_vectored(&slices[..used])?;
        Ok((written, offered))
    }

    /// Takes what was written off the queue; says how much of it was payload.
    fn advance(&mut self, mut written: usize) -> u32 {
        let mut payload_bytes = 0;
        while written > 0 {
            let front = self.parts.front().expect("no more is written than queued");
            let step = written.min(front.len() - self.front_sent);
            match front {
                Part::Plain(_) => self.plain_sent += step,
                Part::Payload(_) => payload_bytes += step as u32,
            }
            self.front_sent += step;
            written -= step;
            if self.front_sent == front.len() {
                self.parts.pop_front();
                self.front_sent = 0;
            }
        }
        payload_bytes
    }

    /// Frees the room of plain bytes that have left, at a cost in proportion to what has left.
    fn compact(&mut self) {
        if self.plain_sent == self.plain.len() {
            self.plain.clear();
            self.plain.shrink_to(IDLE_BYTES_MAX);
            self.plain_sent = 0;
        } else if self.plain_sent > self.plain.len() / 2 {
            self.plain.drain(..self.plain_sent);
            self.plain_sent = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use dunlin_base::{NodeKey, RngStream, StreamName};
    use dunlin_port::BlockPool;

    use super::*;

    /// Takes a random part of each write, and sometimes nothing.
    struct Sink {
        rng: RngStream,
        taken: Vec<u8>,
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[IoSlice::new(bytes)])
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let all: usize = slices.iter().map(|slice| slice.len()).sum();
            let limit = match self.rng.below(4) {
                0 => return Err(ErrorKind::WouldBlock.into()),
                1 => 1,
                2 => self.rng.below(50_000) as usize + 1,
                _ => all,
            };
            let bytes = slices.iter().flat_map(|slice| slice.iter().copied());
            let before = self.taken.len();
            self.taken.extend(bytes.take(limit));
            Ok(self.taken.len() - before)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn whatever_the_kernel_takes_the_stream_stays_whole() {
        for seed in 0..50 {
            let mut rng = RngStream::new(seed, NodeKey(0), StreamName::Pick);
            let pool = BlockPool::new(1 << 20);
            let mut sink = Sink {
                rng: RngStream::new(seed, NodeKey(1), StreamName::Pick),
                taken: vec![],
            };
            let (mut outflow, mut expected) = (Outflow::default(), vec![]);
            let (mut payload_queued, mut payload_sent) = (0, 0);
            for _ in 0..200 {
                let len = rng.below(200) as usize;
                let mut bytes = vec![0; len];
                rng.fill(&mut bytes);
                outflow.push_plain(|plain| plain.extend_from_slice(&bytes));
                expected.extend_from_slice(&bytes);
                if rng.below(3) == 0
                    && let Some(mut payload) = pool.take(rng.below(16_385) as usize)
                {
                    rng.fill(&mut payload);
                    expected.extend_from_slice(&payload);
                    payload_queued += payload.len() as u32;
                    outflow.push_payload(payload);
                }
                payload_sent += outflow.flush(&mut sink).unwrap();
            }
            while !outflow.is_empty() {
                payload_sent += outflow.flush(&mut sink).unwrap();
            }
            assert!(sink.taken == expected, "seed {seed}");
            assert_eq!(payload_sent, payload_queued);
            assert_eq!(outflow.plain_bytes(), 0);
            assert_eq!(pool.in_use(), 0);
        }
    }
}
