//! The messages after the handshake (BEP 3, BEP 6, BEP 10) and how they are written.

/// Bytes before the payload of a piece message: length, id, piece, begin.
pub const PIECE_HEADER_BYTES: usize = 13;

/// Message ids. BEP 3 gives 0 to 8, BEP 5 gives 9, BEP 6 gives 13 to 17, BEP 10 gives 20.
pub(super) mod id {
    pub(in crate::wire) const CHOKE: u8 = 0;
    pub(in crate::wire) const UNCHOKE: u8 = 1;
    pub(in crate::wire) const INTERESTED: u8 = 2;
    pub(in crate::wire) const NOT_INTERESTED: u8 = 3;
    pub(in crate::wire) const HAVE: u8 = 4;
    pub(in crate::wire) const BITFIELD: u8 = 5;
    pub(in crate::wire) const REQUEST: u8 = 6;
    pub(in crate::wire) const PIECE: u8 = 7;
    pub(in crate::wire) const CANCEL: u8 = 8;
    pub(in crate::wire) const PORT: u8 = 9;
    pub(in crate::wire) const SUGGEST_PIECE: u8 = 13;
    pub(in crate::wire) const HAVE_ALL: u8 = 14;
    pub(in crate::wire) const HAVE_NONE: u8 = 15;
    pub(in crate::wire) const REJECT: u8 = 16;
    pub(in crate::wire) const ALLOWED_FAST: u8 = 17;
    pub(in crate::wire) const EXTENDED: u8 = 20;
}

/// A part of a piece that is asked for, called off or refused. The numbers are the peer's: they
/// are checked against the torrent's geometry by whoever knows the torrent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlockRequest {
    /// Index of the piece.
    pub piece: u32,
    /// Offset in the piece, bytes.
    pub begin: u32,
    /// Length, bytes.
    pub len: u32,
}

/// A message without the payload of a block, which never passes through here: blocks go as
/// [`piece_header`] and 16 KiB that are read and written in place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// Nothing, so that the connection is not taken for dead (BEP 3).
    KeepAlive,
    /// Requests will not be answered (BEP 3).
    Choke,
    /// Requests will be answered (BEP 3).
    Unchoke,
    /// The sender wants pieces of ours (BEP 3).
    Interested,
    /// The sender wants nothing of ours (BEP 3).
    NotInterested,
    /// The sender has got this piece (BEP 3).
    Have(u32),
    /// The pieces that the sender has, in wire order (BEP 3).
    Bitfield(Box<[u8]>),
    /// Asks for a block (BEP 3).
    Request(BlockRequest),
    /// Calls a request off (BEP 3).
    Cancel(BlockRequest),
    /// The UDP port of the sender's DHT node (BEP 5).
    Port(u16),
    /// A piece that is cheap for the sender to give (BEP 6).
    SuggestPiece(u32),
    /// The sender has every piece (BEP 6).
    HaveAll,
    /// The sender has no piece (BEP 6).
    HaveNone,
    /// A request will not be answered (BEP 6).
    Reject(BlockRequest),
    /// A piece that may be asked for while choked (BEP 6).
    AllowedFast(u32),
    /// A message of the extension protocol (BEP 10).
    Extended {
        /// The number that the receiver gave to the extension; 0 is the extension handshake.
        id: u8,
        /// What follows the number.
        payload: Box<[u8]>,
    },
    /// A message that we do not know. Its body was skipped.
    Unknown(u8),
}

impl Message {
    /// Whether the message may go before blocks that wait to be sent, which on a slow line spares
    /// it seconds. What the receiver reads against the blocks around it (choke, unchoke, reject)
    /// may not; nor what is only right as the first word.
    #[must_use]
    pub const fn may_overtake_blocks(&self) -> bool {
        matches!(
            self,
            Self::Request(_)
                | Self::Cancel(_)
                | Self::Have(_)
                | Self::Interested
                | Self::NotInterested
                | Self::KeepAlive
        )
    }

    /// Appends the message as it goes over the wire.
    ///
    /// [`Message::Unknown`] is written without a body, since none was kept.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::KeepAlive => out.extend_from_slice(&[0; 4]),
            Self::Choke => bare(out, id::CHOKE),
            Self::Unchoke => bare(out, id::UNCHOKE),
            Self::Interested => bare(out, id::INTERESTED),
            Self::NotInterested => bare(out, id::NOT_INTERESTED),
            Self::Have(piece) => with_body(out, id::HAVE, &[&piece.to_be_bytes()]),
            Self::Bitfield(bytes) => with_body(out, id::BITFIELD, &[bytes]),
            Self::Request(block) => with_block(out, id::REQUEST, *block),
            Self::Cancel(block) => with_block(out, id::CANCEL, *block),
            Self::Port(port) => with_body(out, id::PORT, &[&port.to_be_bytes()]),
            Self::SuggestPiece(piece) => {
                with_body(out, id::SUGGEST_PIECE, &[&piece.to_be_bytes()]);
            }
            Self::HaveAll => bare(out, id::HAVE_ALL),
            Self::HaveNone => bare(out, id::HAVE_NONE),
            Self::Reject(block) => with_block(out, id::REJECT, *block),
            Self::AllowedFast(piece) => with_body(out, id::ALLOWED_FAST, &[&piece.to_be_bytes()]),
            Self::Extended { id, payload } => with_body(out, id::EXTENDED, &[&[*id], payload]),
            Self::Unknown(id) => bare(out, *id),
        }
    }

    /// Bytes that [`encode`](Self::encode) appends, for rate limits and the simulator's links.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        match self {
            Self::KeepAlive => 4,
            Self::Choke
            | Self::Unchoke
            | Self::Interested
            | Self::NotInterested
            | Self::HaveAll
            | Self::HaveNone
            | Self::Unknown(_) => 5,
            Self::Port(_) => 7,
            Self::Have(_) | Self::SuggestPiece(_) | Self::AllowedFast(_) => 9,
            Self::Request(_) | Self::Cancel(_) | Self::Reject(_) => 17,
            Self::Bitfield(bytes) => 5 + bytes.len(),
            Self::Extended { payload, .. } => 6 + payload.len(),
        }
    }
}

/// What goes before the `len` payload bytes of a block (BEP 3, message 7).
#[must_use]
pub fn piece_header(piece: u32, begin: u32, len: u32) -> [u8; PIECE_HEADER_BYTES] {
    // A block is at most `REQUEST_BYTES_MAX` long, so the sum cannot overflow for any real one.
    let [a, b, c, d] = len.saturating_add(9).to_be_bytes();
    let [e, f, g, h] = piece.to_be_bytes();
    let [i, j, k, l] = begin.to_be_bytes();
    [a, b, c, d, id::PIECE, e, f, g, h, i, j, k, l]
}

fn bare(out: &mut Vec<u8>, id: u8) {
    with_body(out, id, &[]);
}

fn with_block(out: &mut Vec<u8>, id: u8, block: BlockRequest) {
    let (piece, begin) = (block.piece.to_be_bytes(), block.begin.to_be_bytes());
    with_body(out, id, &[&piece, &begin, &block.len.to_be_bytes()]);
}

fn with_body(out: &mut Vec<u8>, id: u8, parts: &[&[u8]]) {
    let len = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    // Bodies that we build are bounded by their limits, far below what the prefix can say.
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.push(id);
    for part in parts {
        out.extend_from_slice(part);
    }
}
