//! Peers that are no engines: they break rules, send what is malformed, and lie.

use core::time::Duration;
use std::io::Read as _;
use std::sync::Arc;

use dunlin_base::{BLOCK_BYTES, EngineTime, InfoHash, PeerId, RngStream};
use dunlin_protocol::metainfo::Info;
use dunlin_protocol::wire::extension::{ExtensionHandshake, ExtensionIds, MetadataMessage};
use dunlin_protocol::wire::{
    BlockRequest, Decoder, Frame, Handshake, Message, Reserved, piece_header,
};

use super::stream::{Ear, Stream};

/// Requests that one peer remembers to answer.
const REQUESTS_MAX: usize = 64;

/// Below so many requests are answered by one that then answers no more.
const ANSWERS_MAX: u64 = 8;

/// The number under which hostile peers want messages of the exchange of metadata.
const UT_METADATA: u8 = 3;

/// How a hostile peer behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// It connects and says nothing, and reads nothing.
    Silent,
    /// It sends noise, after a handshake or in its place.
    Garbage,
    /// It offers everything and answers requests, some of them wrongly.
    Liar,
    /// It sends whole messages that the rules forbid or that are malformed.
    Breaker,
    /// It asks, cancels, announces and changes its mind without end, and reads nothing.
    Flood,
    /// It offers everything, answers some requests, a few of them wrongly, then none, and stays. Meanwhile it
    /// chokes and unchokes, often within one tick: whoever is choked and unchoked asks again at once, so that no
    /// request of it ever grows old.
    Fickle,
}

/// What a hostile peer knows and draws from.
pub(super) struct Hostile {
    pub(super) manner: Manner,
    pub(super) luck: RngStream,
    pub(super) info: Arc<Info>,
    pub(super) payload: Arc<[u8]>,
    /// When it calls somebody next.
    pub(super) calls_at: EngineTime,
}

/// One connection of a hostile peer.
pub(super) struct Talk {
    /// Bytes of the other's handshake that were read.
    greeted: usize,
    decoder: Decoder,
    /// Payload bytes to skip.
    skip: usize,
    asked: Vec<BlockRequest>,
    /// Requests that a fickle peer still answers.
    answers: u64,
    /// Parts of metadata that it was asked for, and the number under which they are wanted.
    parts: Vec<u32>,
    ut_metadata: Option<u8>,
    opened: bool,
    /// Whether something that it read made no sense.
    lost: bool,
    /// When it says something next.
    pub(super) acts_at: EngineTime,
}

impl Talk {
    pub(super) fn new(now: EngineTime) -> Self {
        Self {
            greeted: 0,
            decoder: Decoder::default(),
            skip: 0,
            asked: Vec::new(),
            answers: 0,
            parts: Vec::new(),
            ut_metadata: None,
            opened: false,
            lost: false,
            acts_at: now,
        }
    }

    /// Reads what has come, if the peer reads at all, over a line that `spoils` bytes or does not.
    pub(super) fn listen(&mut self, ear: &mut Ear<'_>, spoils: bool) {
        let mut room = [0; 4096];
        while let Ok(len @ 1..) = ear.read(&mut room) {
            // What does not make sense is no news on a line that spoils bytes, nor is anything behind it.
            if !self.lost
                && let Err(why) = self.hear(&room[..len])
            {
                assert!(spoils, "an engine sent what is malformed: {why}");
                self.lost = true;
            }
        }
    }

    fn hear(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        let head = bytes.len().min(Handshake::BYTES - self.greeted);
        self.greeted += head;
        bytes = &bytes[head..];
        while !bytes.is_empty() {
            let skip = bytes.len().min(self.skip);
            self.skip -= skip;
            bytes = &bytes[skip..];
            match self.decoder.decode(&mut bytes) {
                Ok(Some(Frame::PieceHeader { len, .. })) => self.skip = len as usize,
                Ok(Some(Frame::Message(Message::Request(block)))) => {
                    if self.asked.len() < REQUESTS_MAX {
                        self.asked.push(block);
                    }
                }
                Ok(Some(Frame::Message(Message::Extended { id, payload }))) => {
                    self.hear_extension(id, &payload)?;
                }
                Ok(Some(Frame::Message(_))) => {}
                Ok(None) => return Ok(()),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }
}

impl Talk {
    fn hear_extension(&mut self, id: u8, payload: &[u8]) -> Result<(), String> {
        if id == 0 {
            let said = ExtensionHandshake::decode(payload).map_err(|error| error.to_string())?;
            self.ut_metadata = said.ids.ut_metadata;
        } else if id == UT_METADATA
            && let Ok(MetadataMessage::Request { piece }) = MetadataMessage::decode(payload)
            && self.parts.len() < REQUESTS_MAX
        {
            self.parts.push(piece);
        }
        Ok(())
    }
}

impl Hostile {
    /// Whether it reads what it is sent.
    pub(super) const fn reads(&self) -> bool {
        !matches!(self.manner, Manner::Silent | Manner::Flood)
    }

    /// When it acts next on a connection.
    fn later(&mut self, now: EngineTime) -> EngineTime {
        let span = match self.manner {
            Manner::Silent => 60_000,
            Manner::Garbage | Manner::Breaker => 3000,
            Manner::Liar => 200,
            Manner::Flood => 400,
            Manner::Fickle => 1500,
        };
        now + Duration::from_millis(10 + self.luck.below(span))
    }

    /// Says something on a connection; says whether it hangs up then.
    pub(super) fn act(&mut self, talk: &mut Talk, to: &mut Stream, now: EngineTime) -> bool {
        talk.acts_at = self.later(now);
        let mut said = Vec::new();
        if !talk.opened {
            talk.opened = true;
            talk.answers = self.luck.below(ANSWERS_MAX);
            if self.luck.below(8) > 0 {
                self.greet(&mut said);
            }
        } else {
            match self.manner {
                Manner::Silent => {}
                Manner::Garbage => {
                    said = vec![0; self.luck.below(300) as usize];
                    self.luck.fill(&mut said);
                }
                Manner::Liar => self.answer(talk, &mut said),
                Manner::Fickle => self.tease(talk, &mut said),
                Manner::Breaker => self.break_rules(&mut said),
                Manner::Flood => {
                    for _ in 0..self.luck.below(120) {
                        self.any_message().encode(&mut said);
                    }
                }
            }
        }
        // What the other does not read in time is lost, as if it had never been said whole.
        if said.len() <= to.room() {
            let delay = Duration::from_millis(1 + self.luck.below(40));
            to.push(now + delay, said);
        }
        self.luck.below(150) == 0 && self.manner != Manner::Fickle
    }

    fn greet(&mut self, said: &mut Vec<u8>) {
        let mut peer_id = [0; PeerId::LEN];
        self.luck.fill(&mut peer_id);
        let reserved = match self.luck.below(3) {
            0 => Reserved::default(),
            1 => Reserved::default().with_fast().with_extension_protocol(),
            _ => Reserved([0xff; 8]),
        };
        let info_hash = match self.luck.below(10) {
            0 => InfoHash([7; 20]),
            _ => self.info.info_hash(),
        };
        let handshake = Handshake {
            reserved,
            info_hash,
            peer_id: PeerId(peer_id),
        };
        said.extend(handshake.encode());
        if matches!(self.manner, Manner::Liar | Manner::Fickle) {
            let pieces = self.info.geometry().piece_count();
            let bits = dunlin_base::Bitfield::full(pieces);
            Message::Bitfield(bits.as_bytes().into()).encode(said);
            Message::Unchoke.encode(said);
            Message::Interested.encode(said);
            let ids = ExtensionIds {
                ut_metadata: Some(UT_METADATA),
                ..ExtensionIds::default()
            };
            let metadata_size = match self.luck.below(3) {
                0 => self.luck.next_u64() as u32,
                _ => self.info.raw().len() as u32,
            };
            let said_of_us = ExtensionHandshake {
                ids,
                metadata_size: Some(metadata_size),
                ..ExtensionHandshake::default()
            };
            if reserved.extension_protocol() {
                let payload = said_of_us.encode().into();
                Message::Extended { id: 0, payload }.encode(said);
            }
        }
    }

    /// Answers a request, rightly more often than not: a liar that is found out at once does no harm.
    fn answer(&mut self, talk: &mut Talk, said: &mut Vec<u8>) {
        if let (Some(id), Some(part)) = (talk.ut_metadata, talk.parts.pop()) {
            let payload = self.part(part).encode().into();
            Message::Extended { id, payload }.encode(said);
        }
        let Some(block) = talk.asked.pop() else {
            if self.luck.below(20) == 0 {
                self.any_message().encode(said);
            }
            return;
        };
        let Some(mut bytes) = self.bytes_of(block) else {
            return;
        };
        let (mut begin, mut times) = (block.begin, 1);
        match self.luck.below(16) {
            0 | 1 => {
                let at = self.luck.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1;
            }
            2 => begin ^= 1,
            3 => bytes.truncate(1 + self.luck.below(bytes.len() as u64) as usize),
            4 => times = 2,
            5 => return Message::Reject(block).encode(said),
            6 => return,
            7 => Message::Choke.encode(said),
            8 => Message::Unchoke.encode(said),
            _ => {}
        }
        for _ in 0..times {
            said.extend(piece_header(block.piece, begin, bytes.len() as u32));
            said.extend(&bytes);
        }
    }

    /// Chokes and unchokes, and answers while it still does.
    fn tease(&mut self, talk: &mut Talk, said: &mut Vec<u8>) {
        let turn = self.luck.below(6);
        if matches!(turn, 0 | 2 | 3) {
            Message::Choke.encode(said);
            talk.asked.clear();
        }
        if matches!(turn, 1..=3) {
            Message::Unchoke.encode(said);
        }
        if talk.answers == 0 {
            return;
        }
        let block = talk.asked.pop();
        let Some((block, mut bytes)) = block.and_then(|block| Some((block, self.bytes_of(block)?)))
        else {
            return;
        };
        talk.answers -= 1;
        if self.luck.below(4) == 0 {
            bytes[0] ^= 1;
        }
        said.extend(piece_header(block.piece, block.begin, bytes.len() as u32));
        said.extend(&bytes);
    }

    /// What an honest peer would answer; `None` to what nobody may ask.
    fn bytes_of(&self, block: BlockRequest) -> Option<Vec<u8>> {
        let piece_bytes = u64::from(self.info.geometry().piece_bytes());
        let start = (u64::from(block.piece) * piece_bytes + u64::from(block.begin)) as usize;
        let bytes = self.payload.get(start..start + block.len as usize)?;
        Some(bytes.to_vec())
    }

    /// A part of the metadata, or what it says it is.
    fn part(&mut self, piece: u32) -> MetadataMessage<'_> {
        let raw = self.info.raw();
        let total_size = raw.len() as u32;
        let lie = self.luck.below(4);
        let data = raw.chunks(BLOCK_BYTES as usize).nth(piece as usize);
        match data.or_else(|| raw.get(..1)) {
            Some(data) if lie > 1 => MetadataMessage::Data {
                piece,
                total_size,
                data,
            },
            // Of the right length, and of something else.
            Some(data) if lie == 1 => MetadataMessage::Data {
                piece,
                total_size,
                data: self.payload.get(..data.len()).unwrap_or(data),
            },
            _ => MetadataMessage::Reject { piece },
        }
    }

    fn break_rules(&mut self, said: &mut Vec<u8>) {
        match self.luck.below(8) {
            // A prefix that promises more than anybody accepts, or less than the message needs.
            0 => said.extend([0xff, 0xff, 0xff, 0xff, 7]),
            1 => said.extend([0, 0, 0, 2, 4, 1]),
            2 => {
                let mut payload = vec![0; self.luck.below(200) as usize + 1];
                self.luck.fill(&mut payload);
                let id = self.luck.below(5) as u8;
                let payload = payload.into();
                Message::Extended { id, payload }.encode(said);
            }
            3 => {
                let said_of_us = ExtensionHandshake {
                    reqq: Some(self.luck.next_u64() as u32),
                    metadata_size: Some(self.luck.next_u64() as u32),
                    ..ExtensionHandshake::default()
                };
                let payload = said_of_us.encode().into();
                Message::Extended { id: 0, payload }.encode(said);
            }
            4 => {
                // A block that nobody asked for.
                let len = 1 + self.luck.below(u64::from(BLOCK_BYTES)) as u32;
                let (piece, begin) = (self.any_piece(), self.luck.next_u64() as u32);
                said.extend(piece_header(piece, begin, len));
                said.resize(said.len() + len as usize, 0x55);
            }
            5 => {
                let mut bits = vec![0; self.luck.below(40) as usize + 1];
                self.luck.fill(&mut bits);
                Message::Bitfield(bits.into()).encode(said);
            }
            _ => (0..5).for_each(|_| self.any_message().encode(said)),
        }
    }

    /// Mostly of the torrent, sometimes beyond it.
    fn any_piece(&mut self) -> u32 {
        let pieces = u64::from(self.info.geometry().piece_count());
        match self.luck.below(12) {
            0 => self.luck.next_u64() as u32,
            _ => self.luck.below(pieces) as u32,
        }
    }

    fn any_block(&mut self) -> BlockRequest {
        let len = match self.luck.below(8) {
            0 => self.luck.next_u64() as u32,
            1 => 0,
            2 => BLOCK_BYTES << self.luck.below(4),
            _ => BLOCK_BYTES,
        };
        BlockRequest {
            piece: self.any_piece(),
            begin: self.luck.below(4) as u32 * BLOCK_BYTES,
            len,
        }
    }

    fn any_message(&mut self) -> Message {
        match self.luck.below(18) {
            0 => Message::Choke,
            1 => Message::Unchoke,
            2 => Message::Interested,
            3 => Message::NotInterested,
            4 | 5 => Message::Have(self.any_piece()),
            6..=9 => Message::Request(self.any_block()),
            10 => Message::Cancel(self.any_block()),
            11 => Message::Reject(self.any_block()),
            12 => Message::AllowedFast(self.any_piece()),
            13 => Message::SuggestPiece(self.any_piece()),
            14 => Message::HaveAll,
            15 => Message::HaveNone,
            16 => Message::Port(1),
            _ => Message::KeepAlive,
        }
    }
}
