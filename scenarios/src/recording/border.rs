//! How what crosses the border is written: each type of the ports, field by field.

use core::ops::{Range, RangeInclusive};

use dunlin_base::limits::REQUEST_BYTES_MAX;
use dunlin_base::{Bitfield, EngineTime};
use dunlin_port::config::{Config, EngineConfig, PickStrategy, Preallocation};
use dunlin_port::disk::{Check, DiskError, DiskErrorKind, DiskEvent, Totals};
use dunlin_port::hash::HashDone;
use dunlin_port::net::{CloseReason, NetEvent};
use dunlin_port::tracker::{AnnounceReply, Retry, SwarmCounts, TrackerError, TrackerEvent};
use dunlin_port::user::{
    AddMagnet, AddTorrent, FilePriority, MagnetFiles, TorrentLimits, UserCommand,
};
use dunlin_port::{BlockBuffer, Inbox};
use dunlin_protocol::magnet::FileSelection;
use dunlin_protocol::metainfo::Info;
use dunlin_protocol::wire::{BlockRequest, Handshake, Message, Reserved, WireError};
use dunlin_systems::NodeSettings;

use super::code::{Code, Input, Malformed, around, choices, rows};

around! {
    Reserved: [u8; 8];
}

rows! {
    Handshake { reserved, info_hash, peer_id }
    BlockRequest { piece, begin, len }
    Totals { downloaded_bytes, uploaded_bytes }
    DiskError { kind, message }
    HashDone { torrent, piece, number, blocks, good, block_digests }
    AnnounceReply {
        interval_secs, min_interval_secs, seeders, leechers, downloaded, peers, tracker_id, warning,
        external_ip,
    }
    SwarmCounts { seeders, leechers, completed }
    TorrentLimits {
        down_bytes_per_sec, up_bytes_per_sec, peer_down_bytes_per_sec, peer_up_bytes_per_sec,
        connections,
    }
    AddTorrent {
        torrent, node, info, trackers, root, file_priorities, strategy, preallocation, check,
        as_is, paused, limits, peers,
    }
    AddMagnet {
        torrent, node, info_hash, name, trackers, root, files, strategy, preallocation, check,
        paused, limits, peers,
    }
    NodeSettings { node, peer_id, config }
}

choices! {
    NetEvent {
        0 => Connected { peer },
        1 => Accepted { peer, node, addr },
        2 => Handshake { peer, handshake },
        3 => Message { peer, message },
        4 => Block { peer, piece, begin, payload },
        5 => Sent { peer, bytes },
        6 => Closed { peer, reason },
    }
    CloseReason {
        0 => Unreachable(words),
        1 => ConnectTimeout,
        2 => Remote,
        3 => Broken(words),
        4 => Protocol(error),
    }
    WireError {
        0 => TooLong { got, max },
        1 => Length { id, got, min, max },
    }
    Message {
        0 => KeepAlive,
        1 => Choke,
        2 => Unchoke,
        3 => Interested,
        4 => NotInterested,
        5 => Have(piece),
        6 => Bitfield(bits),
        7 => Request(block),
        8 => Cancel(block),
        9 => Port(port),
        10 => SuggestPiece(piece),
        11 => HaveAll,
        12 => HaveNone,
        13 => Reject(block),
        14 => AllowedFast(piece),
        15 => Extended { id, payload },
        16 => Unknown(id),
    }
    DiskEvent {
        0 => Checking { torrent, done, of },
        1 => Opened { torrent, have, checked, totals },
        2 => Written { torrent, piece },
        3 => WriteFailed { torrent, piece, blocks, error },
        4 => Read { torrent, peer, block, result },
        5 => Committed { torrent },
        6 => Moved { torrent, root, error },
        7 => ClosedFiles { torrent },
        8 => Failed { torrent, error },
        9 => Spilled { torrent, piece, spill },
        10 => SpillFailed { torrent, piece, spill, blocks, error },
        11 => Hashed(done),
        12 => HashFailed { torrent, piece, number, error },
    }
    DiskErrorKind {
        0 => Full,
        1 => Permission,
        2 => Missing,
        3 => Other,
    }
    TrackerEvent {
        0 => Announced { torrent, tracker, result },
        1 => Scraped { torrent, tracker, result },
    }
    TrackerError {
        0 => Refused { reason, retry },
        1 => Unreachable(words),
        2 => Forbidden(words),
    }
    Retry {
        0 => Unspecified,
        1 => AfterMinutes(minutes),
        2 => Never,
    }
    UserCommand {
        0 => Add(add),
        1 => AddMagnet(add),
        2 => Remove { torrent, delete_files },
        3 => Pause { torrent },
        4 => Resume { torrent },
        5 => Recheck { torrent },
        6 => SetFilePriorities { torrent, priorities },
        7 => SetLimits { torrent, limits },
        8 => SetStrategy { torrent, strategy },
        9 => SetDeadlines { torrent, start, len },
        10 => AddPeers { torrent, addresses },
        11 => Reannounce { torrent },
        12 => Move { torrent, root },
        13 => Configure { node, config },
        14 => Listening { node, port },
        15 => Stop,
        16 => SetPiecePriorities { torrent, pieces, priority },
    }
    MagnetFiles {
        0 => All,
        1 => Only(files),
        2 => Undecided,
    }
    FilePriority {
        0 => Skip,
        1 => Low,
        2 => Normal,
        3 => High,
    }
    PickStrategy {
        0 => RarestFirst,
        1 => Sequential,
        2 => RoundRobin,
    }
    Preallocation {
        0 => None,
        1 => Sparse,
        2 => Full,
    }
    Check {
        0 => Quick,
        1 => Full,
        2 => Trusted,
    }
}

/// Payload is declared: no rule looks at it, and what the hashers say of it is an event.
impl Code for BlockBuffer {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        self.mark().unwrap_or(0).put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        let (len, mark) = (u32::get(input)?, u32::get(input)?);
        if len > REQUEST_BYTES_MAX {
            return Err(input.wrong("the length of a block", len));
        }
        Ok(Self::declared(len, mark))
    }
}

impl Code for Bitfield {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        Box::<[u8]>::from(self.as_bytes()).put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        let len = u32::get(input)?;
        let bytes = Box::<[u8]>::get(input)?;
        Self::from_wire(&bytes, len).map_err(|error| input.wrong("a bitfield", error))
    }
}

/// Its bytes: they are its hash's.
impl Code for Info {
    fn put(&self, out: &mut Vec<u8>) {
        Box::<[u8]>::from(self.raw()).put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        let raw = Box::<[u8]>::get(input)?;
        Self::parse(&raw).map_err(|error| input.wrong("an info dictionary", error))
    }
}

impl Code for FileSelection {
    fn put(&self, out: &mut Vec<u8>) {
        self.ranges().to_vec().put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Vec::<RangeInclusive<u32>>::get(input).map(Self::new)
    }
}

impl Code for Range<u32> {
    fn put(&self, out: &mut Vec<u8>) {
        self.start.put(out);
        self.end.put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Ok(u32::get(input)?..u32::get(input)?)
    }
}

impl Code for RangeInclusive<u32> {
    fn put(&self, out: &mut Vec<u8>) {
        self.start().put(out);
        self.end().put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        Ok(u32::get(input)?..=u32::get(input)?)
    }
}

/// As the `[engine]` table of a configuration file, with all that such a file is checked for.
impl Code for EngineConfig {
    fn put(&self, out: &mut Vec<u8>) {
        let config = Config {
            engine: self.clone(),
            ..Config::default()
        };
        config.to_toml().put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Malformed> {
        let text = String::get(input)?;
        Config::from_toml(&text)
            .map(|config| config.engine)
            .map_err(|error| input.wrong("a configuration", error))
    }
}

/// What a tick is given.
pub(super) struct Given {
    /// The instant of the tick.
    pub(super) now: EngineTime,
    /// What the ports have delivered since the last one.
    pub(super) inbox: Inbox,
}

/// How much of an inbox an earlier tick was given already, by port.
pub(super) type Taken = [usize; 5];

/// Writes what a tick is given: all of an inbox but what an earlier tick left in it.
pub(super) fn put_given(now: EngineTime, inbox: &Inbox, taken: Taken, out: &mut Vec<u8>) {
    fn rest<'a, T: Code + 'a>(
        events: impl ExactSizeIterator<Item = &'a T>,
        taken: usize,
        out: &mut Vec<u8>,
    ) {
        (events.len() - taken).put(out);
        events.skip(taken).for_each(|event| event.put(out));
    }
    now.put(out);
    let [net, disk, hash, tracker, user] = taken;
    rest(inbox.net.iter(), net, out);
    rest(inbox.disk.iter(), disk, out);
    rest(inbox.hash.iter(), hash, out);
    rest(inbox.tracker.iter(), tracker, out);
    rest(inbox.user.iter(), user, out);
}

/// What is in an inbox.
pub(super) fn lengths(inbox: &Inbox) -> Taken {
    [
        inbox.net.len(),
        inbox.disk.len(),
        inbox.hash.len(),
        inbox.tracker.len(),
        inbox.user.len(),
    ]
}

/// Reads what a tick is given.
pub(super) fn get_given(input: &mut Input<'_>) -> Result<Given, Malformed> {
    Ok(Given {
        now: EngineTime::get(input)?,
        inbox: Inbox {
            net: Vec::get(input)?.into(),
            disk: Vec::get(input)?.into(),
            hash: Vec::get(input)?.into(),
            tracker: Vec::get(input)?.into(),
            user: Vec::get(input)?.into(),
        },
    })
}
