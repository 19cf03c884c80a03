//! Cuts a peer's stream into messages, and into headers of blocks whose payload the caller reads.

use dunlin_base::limits::{EXTENDED_BYTES_MAX, MESSAGE_BYTES_MAX, PIECES_MAX, REQUEST_BYTES_MAX};

use super::message::{BlockRequest, Message, id};

/// Longest message that is read into the fixed scratch: a request with its length prefix.
const HEAD_BYTES_MAX: usize = 17;
/// Room that a long body gets before its bytes have come: a claimed length allocates no more.
const BODY_RESERVE_BYTES_MAX: usize = 16 * 1024;
const PREFIX_BYTES: usize = 4;
const ID_END: usize = 5;

/// What the decoder found next in the stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// A whole message.
    Message(Message),
    /// The header of a block (BEP 3, message 7). The next `len` bytes of the stream are the
    /// payload: the caller takes them itself and must not give them to the decoder.
    PieceHeader {
        /// Index of the piece, unchecked.
        piece: u32,
        /// Offset in the piece, bytes, unchecked.
        begin: u32,
        /// Length of the payload, bytes: 1 to `REQUEST_BYTES_MAX`.
        len: u32,
    },
}

/// A stream that broke the protocol. Nothing after it can be understood: the connection is over,
/// and the decoder repeats the error if it is asked again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    /// The length prefix says more than any message may have.
    #[error("message of {got} bytes, at most {max} are accepted")]
    TooLong {
        /// Length that was claimed.
        got: u32,
        /// Longest that we accept.
        max: u32,
    },
    /// The length prefix does not fit the message's id.
    #[error("message {id} has {got} bytes, expected {min} to {max}")]
    Length {
        /// Message id.
        id: u8,
        /// Length that was claimed, with the id.
        got: u32,
        /// Shortest that the id allows.
        min: u32,
        /// Longest that the id allows.
        max: u32,
    },
}

/// The state machine that cuts one direction of one connection, after its handshake.
///
/// It keeps what it took, so the caller never has to hold back or move bytes: parts of a vectored
/// read are given one after another, whatever borders they have.
///
/// ```
/// use dunlin_protocol::wire::{Decoder, Frame, Message};
///
/// let mut decoder = Decoder::default();
/// let mut input: &[u8] = &[0, 0, 0, 1, 1, 0, 0];
/// assert_eq!(decoder.decode(&mut input), Ok(Some(Frame::Message(Message::Unchoke))));
/// assert_eq!(decoder.decode(&mut input), Ok(None));
/// assert!(input.is_empty());
/// assert_eq!(decoder.needed(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
    bitfield_bytes_max: u32,
}

#[derive(Clone, Debug)]
enum State {
    /// The first bytes of a message: prefix, id and the whole body of the short ones.
    Head {
        bytes: [u8; HEAD_BYTES_MAX],
        filled: usize,
    },
    /// The body of a long message that is kept.
    Body {
        kind: Body,
        bytes: Vec<u8>,
        left: usize,
    },
    /// The body of a message that is dropped unseen.
    Skip { id: u8, left: usize },
}

#[derive(Clone, Copy, Debug)]
enum Body {
    Bitfield,
    Extended(u8),
}

/// What a head says, once it has as many bytes as asked for.
enum Step {
    /// More bytes are needed before more can be said: the head should have this many.
    Fill(usize),
    /// The frame is complete.
    Done(Frame),
    /// A body of this many bytes follows.
    Keep(Body, usize),
    /// A body of this many bytes follows that nobody reads.
    Skip(u8, usize),
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            state: State::START,
            bitfield_bytes_max: PIECES_MAX / 8,
        }
    }
}

impl Decoder {
    /// Lets no bitfield be longer than the torrent's, once its number of pieces is known, so that
    /// many connections cannot make us hold much for a small torrent.
    pub fn set_bitfield_bytes_max(&mut self, bytes_max: u32) {
        self.bitfield_bytes_max = bytes_max.min(PIECES_MAX / 8);
    }

    /// Takes bytes off the front of `input` up to the end of the next frame.
    ///
    /// `None` means that all of `input` was taken and the frame is not complete. After a
    /// [`Frame::PieceHeader`] the caller takes the payload off the stream before it decodes on.
    ///
    /// # Errors
    /// When the stream broke the protocol; nothing was stored on the word of a bad length.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, WireError> {
        loop {
            match &mut self.state {
                State::Head { bytes, filled } => {
                    match step(
                        bytes.get(..*filled).unwrap_or_default(),
                        self.bitfield_bytes_max,
                    )? {
                        Step::Fill(target) => {
                            let Some(room) = bytes.get_mut(*filled..target) else {
                                debug_assert!(false, "head of {target} bytes");
                                return Ok(None);
                            };
                            *filled += fill(room, input);
                            if *filled < target {
                                return Ok(None);
                            }
                        }
                        Step::Done(frame) => {
                            self.state = State::START;
                            return Ok(Some(frame));
                        }
                        Step::Keep(kind, left) => {
                            let bytes = Vec::with_capacity(left.min(BODY_RESERVE_BYTES_MAX));
                            self.state = State::Body { kind, bytes, left };
                        }
                        Step::Skip(id, left) => self.state = State::Skip { id, left },
                    }
                }
                State::Body { kind, bytes, left } => {
                    let part = take(input, *left);
                    bytes.extend_from_slice(part);
                    *left -= part.len();
                    if *left > 0 {
                        return Ok(None);
                    }
                    let payload = core::mem::take(bytes).into_boxed_slice();
                    let message = match *kind {
                        Body::Bitfield => Message::Bitfield(payload),
                        Body::Extended(id) => Message::Extended { id, payload },
                    };
                    self.state = State::START;
                    return Ok(Some(Frame::Message(message)));
                }
                State::Skip { id, left } => {
                    *left -= take(input, *left).len();
                    if *left > 0 {
                        return Ok(None);
                    }
                    let message = Message::Unknown(*id);
                    self.state = State::START;
                    return Ok(Some(Frame::Message(message)));
                }
            }
        }
    }

    /// How many bytes are missing at least until the decoder can say more, so that a reader can
    /// size its read without taking payload by mistake. Never 0.
    #[must_use]
    pub fn needed(&self) -> usize {
        match &self.state {
            State::Head { bytes, filled } => {
                let head = bytes.get(..*filled).unwrap_or_default();
                match step(head, self.bitfield_bytes_max) {
                    Ok(Step::Fill(target)) => target - *filled,
                    // A broken stream: the next call to `decode` says so again.
                    Ok(_) | Err(_) => 1,
                }
            }
            State::Body { left, .. } | State::Skip { left, .. } => *left,
        }
    }
}

impl State {
    const START: Self = Self::Head {
        bytes: [0; HEAD_BYTES_MAX],
        filled: 0,
    };
}

/// Reads as much of a head as there is.
fn step(head: &[u8], bitfield_bytes_max: u32) -> Result<Step, WireError> {
    let Some((prefix, after_prefix)) = head.split_first_chunk::<PREFIX_BYTES>() else {
        return Ok(Step::Fill(PREFIX_BYTES));
    };
    let len = u32::from_be_bytes(*prefix);
    if len == 0 {
        return Ok(Step::Done(Frame::Message(Message::KeepAlive)));
    }
    if len > MESSAGE_BYTES_MAX {
        return Err(WireError::TooLong {
            got: len,
            max: MESSAGE_BYTES_MAX,
        });
    }
    let Some((&id, body)) = after_prefix.split_first() else {
        return Ok(Step::Fill(ID_END));
    };
    check_length(id, len, bitfield_bytes_max)?;
    let body_bytes = len as usize - 1;
    let step = match id {
        id::BITFIELD => Step::Keep(Body::Bitfield, body_bytes),
        id::EXTENDED => match body.first() {
            Some(extension) => Step::Keep(Body::Extended(*extension), body_bytes - 1),
            None => Step::Fill(ID_END + 1),
        },
        id::PIECE => match words(body) {
            [Some(piece), Some(begin), ..] => Step::Done(Frame::PieceHeader {
                piece,
                begin,
                len: len - 9,
            }),
            _ => Step::Fill(ID_END + 8),
        },
        _ if body.len() < body_bytes && is_short(id) => Step::Fill(ID_END + body_bytes),
        _ => match short_message(id, body) {
            Some(message) => Step::Done(Frame::Message(message)),
            None => Step::Skip(id, body_bytes),
        },
    };
    Ok(step)
}

/// Whether the id has a body of fixed length that fits the scratch.
fn is_short(id: u8) -> bool {
    matches!(
        id,
        id::CHOKE..=id::HAVE
            | id::REQUEST
            | id::CANCEL
            | id::PORT
            | id::SUGGEST_PIECE..=id::ALLOWED_FAST
    )
}

/// The message of a known id with its whole body.
fn short_message(id: u8, body: &[u8]) -> Option<Message> {
    let words = words(body);
    let block = || match words {
        [Some(piece), Some(begin), Some(len)] => Some(BlockRequest { piece, begin, len }),
        _ => None,
    };
    let [piece, ..] = words;
    match id {
        id::CHOKE => Some(Message::Choke),
        id::UNCHOKE => Some(Message::Unchoke),
        id::INTERESTED => Some(Message::Interested),
        id::NOT_INTERESTED => Some(Message::NotInterested),
        id::HAVE => piece.map(Message::Have),
        id::REQUEST => block().map(Message::Request),
        id::CANCEL => block().map(Message::Cancel),
        id::PORT => {
            let port = body.first_chunk().copied().map(u16::from_be_bytes);
            port.map(Message::Port)
        }
        id::SUGGEST_PIECE => piece.map(Message::SuggestPiece),
        id::HAVE_ALL => Some(Message::HaveAll),
        id::HAVE_NONE => Some(Message::HaveNone),
        id::REJECT => block().map(Message::Reject),
        id::ALLOWED_FAST => piece.map(Message::AllowedFast),
        _ => None,
    }
}

/// Refuses a length that the id does not allow, before anything is stored for it.
fn check_length(id: u8, got: u32, bitfield_bytes_max: u32) -> Result<(), WireError> {
    let (min, max) = match id {
        id::CHOKE..=id::NOT_INTERESTED | id::HAVE_ALL | id::HAVE_NONE => (1, 1),
        id::HAVE | id::SUGGEST_PIECE | id::ALLOWED_FAST => (5, 5),
        id::REQUEST | id::CANCEL | id::REJECT => (13, 13),
        id::PORT => (3, 3),
        // A torrent has a piece, so its bitfield has a byte; a block without bytes is no answer.
        id::BITFIELD => (2, 1 + bitfield_bytes_max),
        id::PIECE => (10, 9 + REQUEST_BYTES_MAX),
        id::EXTENDED => (2, 2 + EXTENDED_BYTES_MAX as u32),
        _ => (1, MESSAGE_BYTES_MAX),
    };
    if (min..=max).contains(&got) {
        Ok(())
    } else {
        Err(WireError::Length { id, got, min, max })
    }
}

/// The first three big-endian words of a body.
fn words(body: &[u8]) -> [Option<u32>; 3] {
    let (words, _) = body.as_chunks::<4>();
    core::array::from_fn(|at| words.get(at).copied().map(u32::from_be_bytes))
}

/// Takes at most `max` bytes off the front of `input`.
fn take<'a>(input: &mut &'a [u8], max: usize) -> &'a [u8] {
    let (part, rest) = input.split_at(max.min(input.len()));
    *input = rest;
    part
}

/// Moves bytes from `input` into `room` and says how many.
fn fill(room: &mut [u8], input: &mut &[u8]) -> usize {
    let part = take(input, room.len());
    for (to, from) in room.iter_mut().zip(part) {
        *to = *from;
    }
    part.len()
}
