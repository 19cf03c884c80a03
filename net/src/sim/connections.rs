//! Connections between nodes, and what waits in them.

use std::collections::VecDeque;

use dunlin_base::PeerKey;
use dunlin_port::net::CloseReason;
use dunlin_protocol::wire::{Handshake, Message};

use super::line::{MSS_BYTES, on_the_line};

/// Initial window, stream bytes (RFC 6928).
const WINDOW_START_BYTES: u64 = 10 * MSS_BYTES;

/// Most bytes under way on one connection: what socket buffers grow to.
const WINDOW_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// One of the two ends of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct End {
    /// Number of the connection.
    pub(super) connection: u32,
    /// 0 for the end that dialed, 1 for the one that accepted.
    pub(super) side: u8,
}

impl End {
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

    /// Bytes on the line, headers included.
    pub(super) fn line_bytes(&self) -> u64 {
        let payload = match self {
            Self::Block { len, .. } => u64::from(*len),
            Self::Handshake(_) | Self::Message(_) => 0,
        };
        on_the_line(self.control_bytes() + payload)
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

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Pipe {
    /// What leaves now.
    leaving: Option<Item>,
    /// Messages that go before the next block.
    hurried: VecDeque<Item>,
    /// Blocks, and what must stay behind them.
    queue: VecDeque<Item>,
    /// Line bytes that have not left.
    pub(super) backlog: u64,
    /// Line bytes of what leaves now that have left.
    leaving_done: u64,
    /// Line bytes that may be under way: slow start raises it.
    window: u64,
    /// Line bytes per second that loss allows.
    pub(super) cap_bytes_per_sec: u64,
    /// Whether it is in the sender's list of pipes with a backlog.
    pub(super) listed: bool,
}

impl Pipe {
    pub(super) const fn new(cap_bytes_per_sec: u64) -> Self {
        Self {
            leaving: None,
            hurried: VecDeque::new(),
            queue: VecDeque::new(),
            backlog: 0,
            leaving_done: 0,
            window: WINDOW_START_BYTES,
            cap_bytes_per_sec,
            listed: false,
        }
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.backlog == 0
    }

    pub(super) fn push(&mut self, item: Item) {
        self.backlog += item.line_bytes();
        match &item {
            Item::Message(message) if message.may_overtake_blocks() => self.hurried.push_back(item),
            Item::Message(_) | Item::Handshake(_) | Item::Block { .. } => {
                self.queue.push_back(item);
            }
        }
    }

    /// Bytes that may leave in a tick.
    pub(super) fn want(&self, tick_nanos: u64, rtt_nanos: u64) -> u64 {
        let by_window = if rtt_nanos == 0 {
            u64::MAX
        } else {
            scaled(self.window, tick_nanos, rtt_nanos)
        };
        let by_loss = if self.cap_bytes_per_sec == u64::MAX {
            u64::MAX
        } else {
            scaled(self.cap_bytes_per_sec, tick_nanos, 1_000_000_000)
        };
        self.backlog.min(by_window.min(by_loss).max(1))
    }

    /// Lets `bytes` leave; gives the items that have left whole.
    pub(super) fn drain(&mut self, bytes: u64, mut left: impl FnMut(Item)) {
        // Every byte that is acknowledged opens the window by itself: it doubles in a round trip.
        self.window = (self.window + bytes).min(WINDOW_MAX_BYTES);
        self.backlog -= bytes;
        self.leaving_done += bytes;
        while let Some(item) = self.next_leaving() {
            let len = item.line_bytes();
            if len > self.leaving_done {
                self.leaving = Some(item);
                return;
            }
            self.leaving_done -= len;
            left(item);
        }
    }

    fn next_leaving(&mut self) -> Option<Item> {
        self.leaving
            .take()
            .or_else(|| self.hurried.pop_front())
            .or_else(|| self.queue.pop_front())
    }

    /// Throws away what waits.
    pub(super) fn clear(&mut self) {
        *self = Self {
            listed: self.listed,
            window: self.window,
            ..Self::new(self.cap_bytes_per_sec)
        };
    }
}

/// `amount * by / over`, in short numbers where they are long enough: this is asked for every flow in
/// every tick.
pub(super) fn scaled(amount: u64, by: u64, over: u64) -> u64 {
    let over = over.max(1);
    amount.checked_mul(by).map_or_else(
        || {
            let long = u128::from(amount) * u128::from(by) / u128::from(over);
            u64::try_from(long).unwrap_or(u64::MAX)
        },
        |product| product / over,
    )
}

/// A connection, or the attempt at one.
#[derive(Debug)]
pub(super) struct Connection {
    /// Keys of its ends.
    pub(super) peers: [PeerKey; 2],
    /// Nodes at its ends.
    pub(super) nodes: [u32; 2],
    /// Which ends the engine still knows.
    pub(super) open: [bool; 2],
    /// One-way delay.
    pub(super) delay_nanos: u64,
    /// What goes out of each end.
    pub(super) pipes: [Pipe; 2],
    /// Tick at which each end told the other that it unchokes it, until it chokes it.
    pub(super) unchoked: [Option<u64>; 2],
}

impl Connection {
    /// What goes out of an end.
    pub(super) fn pipe(&mut self, end: End) -> &mut Pipe {
        &mut self.pipes[usize::from(end.side)]
    }
}

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
        assert_eq!(pipe.backlog, 3 * each);
        let mut left = Vec::new();
        pipe.drain(each + 1, |item| left.push(item));
        assert!(matches!(left[..], [Item::Message(Message::Have(0))]));
        pipe.drain(2 * each - 1, |item| left.push(item));
        assert!(pipe.is_idle() && left.len() == 3);
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
        pipe.drain(1, drop);
        pipe.push(Item::Message(Message::Choke));
        pipe.push(Item::Message(Message::Have(7)));
        let mut left = Vec::new();
        pipe.drain(pipe.backlog, |item| left.push(item));
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

    #[test]
    fn a_window_doubles_in_each_round_trip() {
        let mut pipe = Pipe::new(u64::MAX);
        for _ in 0..100 {
            pipe.push(Item::Block {
                piece: 0,
                begin: 0,
                len: 16_384,
                mark: 0,
            });
        }
        let round_trip = 100_000_000;
        let mut moved = Vec::new();
        for _ in 0..4 {
            let want = pipe.want(round_trip, round_trip);
            pipe.drain(want, drop);
            moved.push(want / WINDOW_START_BYTES);
        }
        assert_eq!(moved, [1, 2, 4, 8]);
    }
}
