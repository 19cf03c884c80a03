//! Receives one connection's stream: handshake, messages, and block payload that lands in its
//! buffer without a copy.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::mem;

use dunlin_base::PeerKey;
use dunlin_base::limits::INGEST_EVENTS_PER_TICK_MAX;
use dunlin_port::BlockBuffer;
use dunlin_port::net::{CloseReason, NetEvent};
use dunlin_protocol::wire::{Decoder, Frame, Handshake, PIECE_HEADER_BYTES, WireError};

use super::landing::{BLOCK, Buffers, GUESSED_BLOCKS_MAX, Guess, Landing};

/// Events in the inbox at which nothing more is read: as many as one tick takes.
pub(super) const INBOX_EVENTS_MAX: usize = INGEST_EVENTS_PER_TICK_MAX;

/// Message id of a block (BEP 3).
const PIECE_ID: u8 = 7;
/// What the length prefix of a block counts besides its payload: id, piece, begin.
const PIECE_HEAD_BYTES: u32 = 9;

/// The receiving half of a connection.
///
/// A stream of blocks is headers of 13 bytes and payloads of 16 KiB, so a read is given the rest
/// of the payload that is under way and then headers and whole buffers in turn. When the guess is
/// right, payload is where it belongs. When it is wrong (another message came, or a short block),
/// the bytes are taken out of the room in order and copied; the borders of the read never matter
/// to what the stream means.
pub(crate) struct Inflow {
    peer: PeerKey,
    stage: Stage,
    decoder: Decoder,
    /// Blocks to guess in the next read: none before the first block, then more while the guesses
    /// come true and the socket has more, and fewer when not.
    guessed_blocks: usize,
    /// Bytes that came but could not be used yet: there was no buffer, or no room in the inbox.
    held: Vec<u8>,
    held_used: usize,
    /// Requests that were sent, less the blocks that began to come: who sends more blocks than it was ever
    /// asked for has no reason to, and would take buffers from those who have.
    owed: u64,
    /// Blocks that began to come, and how many had when buffers were last short.
    begun: u64,
    begun_before: u64,
}

enum Stage {
    /// The remote end's handshake is coming.
    Greeting {
        bytes: [u8; Handshake::BYTES],
        filled: usize,
    },
    /// A message, or the header of a block, of which the decoder has `taken` bytes.
    Head { taken: usize },
    /// The payload of a block.
    Payload(Payload),
}

struct Payload {
    piece: u32,
    begin: u32,
    len: usize,
    filled: usize,
    /// Missing until the first byte has come and a buffer is free.
    buffer: Option<BlockBuffer>,
}

/// How a turn of reading went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pulled {
    /// So many bytes came, and there may be more.
    Bytes(usize),
    /// So many bytes came, and that was all.
    Last(usize),
    /// Nothing can be taken before the inbox has room.
    Full,
    /// Nothing can be taken before a buffer is free.
    NoBuffer,
}

impl Inflow {
    pub(crate) fn new(peer: PeerKey) -> Self {
        let bytes = [0; Handshake::BYTES];
        Self {
            peer,
            stage: Stage::Greeting { bytes, filled: 0 },
            decoder: Decoder::default(),
            guessed_blocks: 0,
            held: Vec::new(),
            held_used: 0,
            owed: 0,
            begun: 0,
            begun_before: 0,
        }
    }

    /// Notes that the remote end is asked for a block.
    pub(crate) fn ask(&mut self) {
        self.owed += 1;
    }

    /// Whether it is in the midst of the block that it was at when this was last asked, with a buffer that
    /// others could use.
    pub(super) fn clings(&mut self) -> bool {
        let holds = matches!(&self.stage, Stage::Payload(payload) if payload.buffer.is_some());
        holds && mem::replace(&mut self.begun_before, self.begun) == self.begun
    }

    /// Whether the remote end's handshake is complete.
    pub(super) fn greeted(&self) -> bool {
        !matches!(self.stage, Stage::Greeting { .. })
    }

    /// Reads once and tells the inbox what came.
    ///
    /// # Errors
    /// When the stream ended, broke, or is not the protocol.
    pub(crate) fn pull(
        &mut self,
        source: &mut impl Read,
        landing: &mut Landing,
        inbox: &mut VecDeque<NetEvent>,
    ) -> Result<Pulled, CloseReason> {
        if inbox.len() >= INBOX_EVENTS_MAX || !self.use_held(&mut landing.buffers, inbox)? {
            return Ok(starved(inbox));
        }
        let guess = self.guess();
        let payload = match &mut self.stage {
            Stage::Payload(payload) => {
                let Some(rest) = payload.rest(&mut landing.buffers) else {
                    return Ok(Pulled::NoBuffer);
                };
                Some(rest)
            }
            _ => None,
        };
        let filled = match landing.read(source, payload, guess) {
            Ok(filled) => filled,
            Err(error) => {
                landing.settle_unused();
                return match error.kind() {
                    ErrorKind::WouldBlock => Ok(Pulled::Last(0)),
                    ErrorKind::Interrupted => Ok(Pulled::Bytes(0)),
                    _ => Err(CloseReason::Broken(error.to_string())),
                };
            }
        };
        if filled.bytes == 0 {
            landing.settle_unused();
            return Err(CloseReason::Remote);
        }
        if self.settle(filled.bytes, guess, landing, inbox)? {
            self.guessed_blocks = (self.guessed_blocks / 2).max(1);
        } else if !filled.short {
            self.guessed_blocks = (self.guessed_blocks * 2).min(GUESSED_BLOCKS_MAX);
        }
        Ok(if !self.held.is_empty() {
            starved(inbox)
        } else if filled.short {
            Pulled::Last(filled.bytes)
        } else {
            Pulled::Bytes(filled.bytes)
        })
    }

    /// How the stream is expected to go on.
    fn guess(&self) -> Guess {
        let (blocks, head_taken) = match self.stage {
            Stage::Payload(_) => (self.guessed_blocks, 0),
            Stage::Head { taken } if taken < PIECE_HEADER_BYTES => (self.guessed_blocks, taken),
            Stage::Head { .. } | Stage::Greeting { .. } => (0, 0),
        };
        Guess { blocks, head_taken }
    }

    /// Goes through what one read brought, in the order in which it was filled. Says whether a
    /// guess was wrong, so that payload had to be copied.
    fn settle(
        &mut self,
        bytes: usize,
        guess: Guess,
        landing: &mut Landing,
        inbox: &mut VecDeque<NetEvent>,
    ) -> Result<bool, CloseReason> {
        let Landing { buffers, room, .. } = landing;
        let mut left = bytes;
        if let Stage::Payload(payload) = &mut self.stage {
            let step = left.min(payload.len - payload.filled);
            payload.filled += step;
            left -= step;
            self.finish_payload(inbox);
        }
        let mut missed = false;
        let mut head_taken = guess.head_taken;
        for (head, mut block) in room.heads.iter().zip(room.blocks.drain(..)) {
            let head = &head[head_taken..];
            head_taken = 0;
            let head = &head[..left.min(head.len())];
            left -= head.len();
            let body_bytes = left.min(BLOCK);
            left -= body_bytes;
            self.feed_or_hold(head, buffers, inbox)?;
            if let Some(payload) = self.awaiting_payload(body_bytes) {
                block.truncate(payload.len);
                payload.filled = body_bytes;
                payload.buffer = Some(block);
                self.finish_payload(inbox);
            } else {
                missed |= body_bytes > 0;
                self.feed_or_hold(&block[..body_bytes], buffers, inbox)?;
                buffers.put_back(block);
            }
        }
        self.feed_or_hold(&room.tail[..left], buffers, inbox)?;
        Ok(missed)
    }

    /// The block whose header has just come, if these many bytes behind it are all its own.
    fn awaiting_payload(&mut self, body_bytes: usize) -> Option<&mut Payload> {
        match &mut self.stage {
            Stage::Payload(payload)
                if payload.buffer.is_none()
                    && (1..=payload.len).contains(&body_bytes)
                    && self.held.is_empty() =>
            {
                Some(payload)
            }
            _ => None,
        }
    }

    /// Uses the bytes held back; says whether none are left.
    fn use_held(
        &mut self,
        buffers: &mut Buffers,
        inbox: &mut VecDeque<NetEvent>,
    ) -> Result<bool, CloseReason> {
        if self.held.is_empty() {
            return Ok(true);
        }
        let held = mem::take(&mut self.held);
        let rest = self.feed(&held[self.held_used..], buffers, inbox)?.len();
        if rest == 0 {
            self.held_used = 0;
            return Ok(true);
        }
        self.held_used = held.len() - rest;
        self.held = held;
        Ok(false)
    }

    /// Uses bytes in order; what cannot be used now is kept for later.
    fn feed_or_hold(
        &mut self,
        bytes: &[u8],
        buffers: &mut Buffers,
        inbox: &mut VecDeque<NetEvent>,
    ) -> Result<(), CloseReason> {
        let rest = if self.held.is_empty() {
            self.feed(bytes, buffers, inbox)?
        } else {
            bytes
        };
        self.held.extend_from_slice(rest);
        Ok(())
    }

    /// Uses bytes in order, whatever borders they have; returns those for which there is no
    /// buffer or no room in the inbox.
    fn feed<'a>(
        &mut self,
        mut bytes: &'a [u8],
        buffers: &mut Buffers,
        inbox: &mut VecDeque<NetEvent>,
    ) -> Result<&'a [u8], CloseReason> {
        while !bytes.is_empty() && inbox.len() < INBOX_EVENTS_MAX {
            match &mut self.stage {
                Stage::Greeting { .. } => self.greet(&mut bytes, inbox)?,
                Stage::Head { taken } => {
                    let before = bytes.len();
                    let frame = self.decoder.decode(&mut bytes);
                    match frame.map_err(CloseReason::Protocol)? {
                        None => *taken += before - bytes.len(),
                        Some(frame) => self.apply(frame, inbox)?,
                    }
                }
                Stage::Payload(payload) => {
                    let Some(rest) = payload.rest(buffers) else {
                        break;
                    };
                    let step = rest.len().min(bytes.len());
                    rest[..step].copy_from_slice(&bytes[..step]);
                    payload.filled += step;
                    bytes = &bytes[step..];
                    self.finish_payload(inbox);
                }
            }
        }
        Ok(bytes)
    }

    fn greet(
        &mut self,
        input: &mut &[u8],
        inbox: &mut VecDeque<NetEvent>,
    ) -> Result<(), CloseReason> {
        let Stage::Greeting { bytes, filled } = &mut self.stage else {
            return Ok(());
        };
        let room = &mut bytes[*filled..];
        let step = room.len().min(input.len());
        room[..step].copy_from_slice(&input[..step]);
        *filled += step;
        *input = &input[step..];
        let stranger = |error| CloseReason::Broken(format!("not a BitTorrent stream: {error}"));
        if *filled < Handshake::BYTES {
            return Handshake::check_prefix(&bytes[..*filled]).map_err(stranger);
        }
        let handshake = Handshake::decode(bytes).map_err(stranger)?;
        self.stage = Stage::Head { taken: 0 };
        let peer = self.peer;
        inbox.push_back(NetEvent::Handshake { peer, handshake });
        Ok(())
    }

    fn apply(&mut self, frame: Frame, inbox: &mut VecDeque<NetEvent>) -> Result<(), CloseReason> {
        let peer = self.peer;
        match frame {
            Frame::Message(message) => {
                self.stage = Stage::Head { taken: 0 };
                inbox.push_back(NetEvent::Message { peer, message });
            }
            Frame::PieceHeader { piece, begin, len } => {
                // We never request more than a block, so nobody has a reason to send more.
                if len as usize > BLOCK {
                    return Err(CloseReason::Protocol(WireError::Length {
                        id: PIECE_ID,
                        got: len + PIECE_HEAD_BYTES,
                        min: 1 + PIECE_HEAD_BYTES,
                        max: BLOCK as u32 + PIECE_HEAD_BYTES,
                    }));
                }
                let Some(owed) = self.owed.checked_sub(1) else {
                    return Err(CloseReason::Broken(format!(
                        "sent a block of piece {piece} though it had sent all that we ever asked for"
                    )));
                };
                self.owed = owed;
                self.begun += 1;
                self.stage = Stage::Payload(Payload {
                    piece,
                    begin,
                    len: len as usize,
                    filled: 0,
                    buffer: None,
                });
            }
        }
        Ok(())
    }

    /// Tells the inbox of the block that is under way if it is complete.
    fn finish_payload(&mut self, inbox: &mut VecDeque<NetEvent>) {
        let Stage::Payload(block) = &mut self.stage else {
            return;
        };
        if block.filled < block.len {
            return;
        }
        let Some(payload) = block.buffer.take() else {
            return;
        };
        assert_eq!(payload.len(), block.len, "a block fills its buffer");
        let (piece, begin) = (block.piece, block.begin);
        let peer = self.peer;
        inbox.push_back(NetEvent::Block {
            peer,
            piece,
            begin,
            payload,
        });
        self.stage = Stage::Head { taken: 0 };
        // From now on this is a stream of blocks, whose next one needs no copy.
        self.guessed_blocks = self.guessed_blocks.max(1);
    }
}

/// What is missing when bytes cannot be used.
fn starved(inbox: &VecDeque<NetEvent>) -> Pulled {
    match inbox.len() >= INBOX_EVENTS_MAX {
        true => Pulled::Full,
        false => Pulled::NoBuffer,
    }
}

impl Payload {
    /// Where the next bytes belong, or `None` while no buffer is free.
    fn rest(&mut self, buffers: &mut Buffers) -> Option<&mut [u8]> {
        if self.buffer.is_none() {
            let mut buffer = buffers.take()?;
            buffer.truncate(self.len);
            self.buffer = Some(buffer);
        }
        self.buffer
            .as_mut()
            .map(|buffer| &mut buffer[self.filled..])
    }
}
