//! What waits to be sent on one connection, and how it gets into the kernel without a copy of
//! block payload.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};

use dunlin_port::BlockBuffer;
use dunlin_protocol::wire::{Message, PIECE_HEADER_BYTES};

/// Slices of one vectored write: 32 blocks with their headers.
const SLICES_MAX: usize = 64;

/// Room that an empty queue keeps for the next messages.
const IDLE_BYTES_MAX: usize = 16 * 1024;

/// The send queue of a connection.
///
/// Messages lie in two buffers, those that may go before waiting blocks in one of their own; the
/// queue only says how their parts and the blocks take turns, so that sending a block allocates
/// nothing.
#[derive(Default)]
pub(crate) struct Outflow {
    parts: VecDeque<Part>,
    /// Bytes of the first part that have left.
    front_sent: usize,
    plain: Bytes,
    hurried: Bytes,
}

/// Bytes in the order in which they are to leave; those before `sent` have left.
#[derive(Default)]
struct Bytes {
    bytes: Vec<u8>,
    sent: usize,
}

impl Bytes {
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let before = self.bytes.len();
        write(&mut self.bytes);
        self.bytes.len() - before
    }

    fn left(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Frees the room of bytes that have left, at a cost in proportion to what has left.
    fn compact(&mut self) {
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(IDLE_BYTES_MAX);
            self.sent = 0;
        } else if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }
}

enum Part {
    /// So many bytes of `plain`, after those of earlier parts: whole messages.
    Plain(usize),
    /// So many bytes of `hurried`, as above.
    Hurried(usize),
    Block([u8; PIECE_HEADER_BYTES], BlockBuffer),
}

impl Part {
    fn len(&self) -> usize {
        match self {
            Self::Plain(len) | Self::Hurried(len) => *len,
            Self::Block(header, payload) => header.len() + payload.len(),
        }
    }
}

impl Outflow {
    /// Queues a message.
    pub(crate) fn push_message(&mut self, message: &Message) {
        if message.may_overtake_blocks() {
            self.push_hurried(|hurried| message.encode(hurried));
        } else {
            self.push_plain(|plain| message.encode(plain));
        }
    }

    /// Queues the message that `write` appends.
    pub(crate) fn push_plain(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let added = self.plain.push(write);
        if let Some(Part::Plain(len)) = self.parts.back_mut() {
            *len += added;
        } else if added > 0 {
            self.parts.push_back(Part::Plain(added));
        }
    }

    /// Queues the message that `write` appends before all blocks of which nothing has left.
    fn push_hurried(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let is_waiting = |(at, part): (usize, &Part)| {
            matches!(part, Part::Block(..)) && (at > 0 || self.front_sent == 0)
        };
        let Some(place) = self.parts.iter().enumerate().position(is_waiting) else {
            return self.push_plain(write);
        };
        let added = self.hurried.push(write);
        match place.checked_sub(1).map(|before| &mut self.parts[before]) {
            Some(Part::Hurried(len)) => *len += added,
            _ if added > 0 => self.parts.insert(place, Part::Hurried(added)),
            _ => {}
        }
    }

    /// Queues a block.
    pub(crate) fn push_block(&mut self, header: [u8; PIECE_HEADER_BYTES], payload: BlockBuffer) {
        self.parts.push_back(Part::Block(header, payload));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Bytes in the queue that are not of blocks.
    pub(crate) fn plain_bytes(&self) -> usize {
        self.plain.left().len() + self.hurried.left().len()
    }

    /// Writes until the queue is empty or `sink` takes no more; says how many bytes of payload
    /// have left.
    pub(crate) fn flush(&mut self, sink: &mut impl Write) -> io::Result<u32> {
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
        self.plain.compact();
        self.hurried.compact();
        Ok(payload_bytes)
    }

    /// One vectored write: how many bytes the sink took, and how many it could have.
    fn write_once(&self, sink: &mut impl Write) -> io::Result<(usize, usize)> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let (mut plain, mut hurried) = (self.plain.left(), self.hurried.left());
        let mut skip = self.front_sent;
        let (mut offered, mut used) = (0, 0);
        for part in &self.parts {
            let (first, second): (&[u8], &[u8]) = match part {
                Part::Plain(len) => (cut(&mut plain, len - skip), &[]),
                Part::Hurried(len) => (cut(&mut hurried, len - skip), &[]),
                Part::Block(header, payload) => (
                    &header[skip.min(header.len())..],
                    &payload[skip.saturating_sub(header.len())..],
                ),
            };
            skip = 0;
            for bytes in [first, second] {
                if !bytes.is_empty() && used < SLICES_MAX {
                    slices[used] = IoSlice::new(bytes);
                    used += 1;
                    offered += bytes.len();
                }
            }
            if used == SLICES_MAX {
                break;
            }
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
            let until = self.front_sent + step;
            match front {
                Part::Plain(_) => self.plain.sent += step,
                Part::Hurried(_) => self.hurried.sent += step,
                Part::Block(header, _) => {
                    let before = self.front_sent.max(header.len());
                    payload_bytes += until.saturating_sub(before) as u32;
                }
            }
            let is_done = until == front.len();
            self.front_sent = if is_done { 0 } else { until };
            written -= step;
            if is_done {
                self.parts.pop_front();
            }
        }
        payload_bytes
    }
}

/// The first `len` bytes of `rest`, which loses them.
fn cut<'a>(rest: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (bytes, after) = rest.split_at(len);
    *rest = after;
    bytes
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

    /// All bytes of the unit of this number: its kind, its number, and noise of some length, none
    /// for some.
    fn unit(kind: u8, number: u32) -> Vec<u8> {
        let len_max = if kind == b'B' { 16_385 } else { 200 };
        let mut rng = RngStream::new(number.into(), NodeKey(kind.into()), StreamName::Connect);
        let mut bytes = vec![kind; PIECE_HEADER_BYTES];
        bytes[1..5].copy_from_slice(&number.to_be_bytes());
        let mut noise =
            vec![0; rng.below(len_max) as usize * usize::from(!number.is_multiple_of(7))];
        rng.fill(&mut noise);
        bytes.extend(noise);
        bytes
    }

    /// Queues a block, if there is memory for it; says how long its payload is.
    fn push_block(outflow: &mut Outflow, pool: &BlockPool, number: u32) -> Option<u32> {
        let unit = unit(b'B', number);
        let (header, content) = unit.split_first_chunk().unwrap();
        let mut payload = pool.take(content.len())?;
        payload.copy_from_slice(content);
        outflow.push_block(*header, payload);
        Some(content.len() as u32)
    }

    /// The units in what was sent, every byte of which is as it was queued.
    fn units(mut taken: &[u8]) -> Vec<(u8, u32)> {
        let mut units = Vec::new();
        while let Some(&kind) = taken.first() {
            let number = u32::from_be_bytes(taken[1..5].try_into().unwrap());
            let unit = unit(kind, number);
            assert!(taken.starts_with(&unit), "{number}");
            units.push((kind, number));
            taken = &taken[unit.len()..];
        }
        units
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
            let mut outflow = Outflow::default();
            let (mut payload_queued, mut payload_sent) = (0, 0);
            let mut counts = [0; 3];
            for number in 0..300_u32 {
                match rng.below(3) {
                    0 => {
                        outflow.push_plain(|plain| plain.extend(unit(b'P', number)));
                        counts[0] += 1;
                    }
                    1 => {
                        outflow.push_hurried(|plain| plain.extend(unit(b'H', number)));
                        counts[1] += 1;
                    }
                    _ => {
                        if let Some(len) = push_block(&mut outflow, &pool, number) {
                            payload_queued += len;
                            counts[2] += 1;
                        }
                    }
                }
                if rng.below(4) == 0 {
                    payload_sent += outflow.flush(&mut sink).unwrap();
                }
            }
            while !outflow.is_empty() {
                payload_sent += outflow.flush(&mut sink).unwrap();
            }
            let units = units(&sink.taken);
            for (kind, count) in [b'P', b'H', b'B'].into_iter().zip(counts) {
                let of_kind: Vec<u32> = units
                    .iter()
                    .filter(|unit| unit.0 == kind)
                    .map(|unit| unit.1)
                    .collect();
                assert_eq!(of_kind.len(), count, "seed {seed}");
                assert!(
                    of_kind.is_sorted(),
                    "seed {seed}: each kind keeps its order"
                );
            }
            assert_eq!(payload_sent, payload_queued);
            assert_eq!(outflow.plain_bytes(), 0);
            assert_eq!(pool.in_use(), 0);
        }
    }

    #[test]
    fn a_hurried_message_goes_before_blocks_that_wait_and_behind_one_that_leaves() {
        let pool = BlockPool::new(1 << 20);
        let mut outflow = Outflow::default();
        for number in 1..3_u32 {
            push_block(&mut outflow, &pool, number).unwrap();
        }
        let mut taken = Vec::new();
        let mut first = &mut [0_u8; 20][..];
        outflow.write_once(&mut first).unwrap();
        outflow.advance(20);
        outflow.push_plain(|plain| plain.extend(unit(b'P', 9)));
        outflow.push_hurried(|plain| plain.extend(unit(b'H', 7)));
        outflow.push_hurried(|plain| plain.extend(unit(b'H', 8)));
        outflow.flush(&mut taken).unwrap();
        let rest_of_first = unit(b'B', 1).len() - 20;
        assert_eq!(
            units(&taken[rest_of_first..]),
            [(b'H', 7), (b'H', 8), (b'B', 2), (b'P', 9)]
        );
    }
}
