//! Connections between nodes, and what waits in them.

use std::collections::VecDeque;

use dunlin_base::{PeerKey, prefetch};
use dunlin_port::net::CloseReason;
use dunlin_protocol::wire::{Handshake, Message};

use super::line::{MSS_BYTES, on_the_line};

/// Initial window, stream bytes (RFC 6928).
pub(super) const WINDOW_START_BYTES: u32 = 10 * MSS_BYTES as u32;

/// One of the two ends of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct End {
    /// Number of the connection.
    pub(super) connection: u32,
    /// 0 for the end that dialed, 1 for the one that accepted.
    pub(super) side: u8,
}

impl End {
    /// Where what waits at it is in the list of pipes.
    pub(super) const fn at(self) -> usize {
        self.connection as usize * 2 + self.side as usize
    }

    pub(super) const fn other(self) -> Self {
        Self {
            side: 1 - self.side,
            ..self
        }
    }
}

/// What goes from one end to the other.
#[derive(Debug)]
pub(super) enum Item {
    /// A handshake.
    Handshake(Box<Handshake>),
    /// A message.
    Message(Message),
    /// A block.
    Block {
        piece: u32,
        begin: u32,
        len: u32,
        mark: u32,
    },
}

impl Item {
    /// Bytes of the stream beside payload.
    pub(super) fn control_bytes(&self) -> u64 {
        match self {
            Self::Handshake(_) => Handshake::BYTES as u64,
            Self::Message(message) => message_bytes(message),
            Self::Block { .. } => 13,
        }
    }

    /// Bytes of payload.
    pub(super) fn payload_bytes(&self) -> u64 {
        match self {
            Self::Block { len, .. } => u64::from(*len),
            Self::Handshake(_) | Self::Message(_) => 0,
        }
    }

    /// Bytes of the stream.
    pub(super) fn stream_bytes(&self) -> u64 {
        self.control_bytes() + self.payload_bytes()
    }

    /// Bytes on the line, headers included.
    pub(super) fn line_bytes(&self) -> u64 {
        on_the_line(self.stream_bytes())
    }
}

/// Bytes of a message in its stream, the length prefix included.
fn message_bytes(message: &Message) -> u64 {
    match message {
        Message::KeepAlive => 4,
        Message::Choke
        | Message::Unchoke
        | Message::Interested
        | Message::NotInterested
        | Message::HaveAll
        | Message::HaveNone
        | Message::Unknown(_) => 5,
        Message::Port(_) => 7,
        Message::Have(_) | Message::SuggestPiece(_) | Message::AllowedFast(_) => 9,
        Message::Request(_) | Message::Cancel(_) | Message::Reject(_) => 17,
        Message::Bitfield(bytes) => 5 + bytes.len() as u64,
        Message::Extended { payload, .. } => 6 + payload.len() as u64,
    }
}

/// What arrives at an end.
#[derive(Debug)]
pub(super) enum Arrival {
    /// Somebody dialed.
    Accepted,
    /// Our dialing led somewhere.
    Connected,
    /// Something was sent.
    Item(Item),
    /// The other end, or nobody, is there.
    Closed(CloseReason),
}

/// What waits to leave by one end of a connection.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Pipe {
    /// What leaves now.
    leaving: Option<Item>,
    /// Messages that go before the next block.
    hurried: VecDeque<Item>,
    /// Blocks, and what must stay behind them.
    queue: VecDeque<Item>,
    /// Line bytes that may be under way, while nothing is: slow start raises it.
    pub(super) window: u32,
    /// Line bytes per second that loss allows.
    pub(super) cap_bytes_per_sec: u64,
    /// Tick at which the last thing that left arrives: nothing behind it is there earlier, though a
    /// queue may be shorter by then.
    pub(super) arrives_at: u64,
}

const _: () = assert!(size_of::<Pipe>() == 128, "two lines of a cache");

impl Pipe {
    pub(super) const fn new(cap_bytes_per_sec: u64) -> Self {
        Self {
            leaving: None,
            hurried: VecDeque::new(),
            queue: VecDeque::new(),
            window: WINDOW_START_BYTES,
            cap_bytes_per_sec,
            arrives_at: 0,
        }
    }

    /// Asks for what waits and what leaves, which will be needed soon.
    pub(super) fn prefetch(&self) {
        prefetch(&self.leaving);
        prefetch(&self.hurried);
        prefetch(&self.queue);
    }

    pub(super) fn push(&mut self, item: Item) {
        match &item {
            Item::Message(message) if message.may_overtake_blocks() => self.hurried.push_back(item),
            Item::Message(_) | Item::Handshake(_) | Item::Block { .. } => {
                self.queue.push_back(item);
            }
        }
    }

    /// Lets items go whose last byte has left: `bytes` more than `left_of_head` ago, which is what was
    /// still to leave of the first. Says how much is still to leave of what leaves now, 0 for nothing.
    pub(super) fn drain(
        &mut self,
        left_of_head: u32,
        bytes: u64,
        mut left: impl FnMut(Item),
    ) -> u32 {
        let begun = self.leaving.as_ref().map_or(0, Item::line_bytes);
        let mut done = begun - u64::from(left_of_head) + bytes;
        while let Some(item) = self.next_leaving() {
            let len = item.line_bytes();
            if len > done {
                self.leaving = Some(item);
                return u32::try_from(len - done).expect("a message is shorter than 4 GiB");
            }
            done -= len;
            left(item);
        }
        0
    }

    pub(super) fn next_leaving(&mut self) -> Option<Item> {
        self.leaving
            .take()
            .or_else(|| self.hurried.pop_front())
            .or_else(|| self.queue.pop_front())
    }

    /// Payload that waits, bytes; of a block that has begun to leave, all of it.
    pub(super) fn payload_bytes(&self) -> u64 {
        let waiting = self.leaving.iter().chain(&self.hurried).chain(&self.queue);
        waiting.map(Item::payload_bytes).sum()
    }

    /// Throws away what waits.
    pub(super) fn clear(&mut self) {
        *self = Self {
            window: self.window,
            arrives_at: self.arrives_at,
            ..Self::new(self.cap_bytes_per_sec)
        };
    }
}

/// No place in a list.
pub(super) const NOWHERE: u32 = u32::MAX;

/// A tick that never comes.
pub(super) const NEVER: u64 = u64::MAX;

/// A connection, or the attempt at one: what every message asks for, in one line of a cache. What
/// waits in it is apart, in its pipes.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Connection {
    /// Keys of its ends.
    pub(super) peers: [PeerKey; 2],
    /// Nodes at its ends.
    pub(super) nodes: [u32; 2],
    /// Where what goes out of each end stands in the sender's list of [`Sending`]; [`NOWHERE`] while
    /// nothing waits.
    pub(super) places: [u32; 2],
    /// One-way delay.
    pub(super) delay_nanos: u64,
    /// Tick at which each end told the other that it unchokes it, until it chokes it; else [`NEVER`].
    pub(super) unchoked: [u64; 2],
    /// Which ends the engine still knows.
    pub(super) open: [bool; 2],
    /// Whether it is µTP.
    pub(super) utp: bool,
}

const _: () = assert!(size_of::<Connection>() == 64, "a line of a cache");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_length_that_the_codec_gives_them() {
        let block = dunlin_protocol::wire::BlockRequest {
            piece: 1,
            begin: 2,
            len: 3,
        };
        let messages = [
            Message::KeepAlive,
            Message::Choke,
            Message::Have(7),
            Message::Bitfield(vec![1, 2, 3].into()),
            Message::Request(block),
            Message::Cancel(block),
            Message::Reject(block),
            Message::Port(1),
            Message::HaveAll,
            Message::AllowedFast(2),
            Message::Extended {
                id: 0,
                payload: vec![1; 30].into(),
            },
        ];
        for message in messages {
            let mut wire = Vec::new();
            message.encode(&mut wire);
            assert_eq!(message_bytes(&message), wire.len() as u64, "{message:?}");
        }
    }

    #[test]
    fn a_pipe_lets_items_out_in_order_as_their_last_byte_leaves() {
        let mut pipe = Pipe::new(u64::MAX);
        for piece in 0..3 {
            pipe.push(Item::Message(Message::Have(piece)));
        }
        let each = on_the_line(9);
        let mut left = Vec::new();
        let rest = pipe.drain(0, each + 1, |item| left.push(item));
        assert!(matches!(left[..], [Item::Message(Message::Have(0))]));
        assert_eq!(u64::from(rest), each - 1);
        let rest = pipe.drain(rest, 2 * each - 1, |item| left.push(item));
        assert!(rest == 0 && left.len() == 3);
    }

    #[test]
    fn a_request_does_not_wait_for_blocks_but_a_choke_does() {
        let block = |piece| Item::Block {
            piece,
            begin: 0,
            len: 16_384,
            mark: 0,
        };
        let mut pipe = Pipe::new(u64::MAX);
        pipe.push(block(0));
        pipe.push(block(1));
        let rest = pipe.drain(0, 1, drop);
        pipe.push(Item::Message(Message::Choke));
        pipe.push(Item::Message(Message::Have(7)));
        let mut left = Vec::new();
        pipe.drain(rest, 1 << 20, |item| left.push(item));
        assert!(matches!(
            left[..],
            [
                Item::Block { piece: 0, .. },
                Item::Message(Message::Have(7)),
                Item::Block { piece: 1, .. },
                Item::Message(Message::Choke),
            ]
        ));
    }
}
