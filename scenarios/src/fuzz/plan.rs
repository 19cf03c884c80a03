//! What a seed stands for: a swarm, and what happens to it.

use core::time::Duration;
use std::io;
use std::sync::Arc;

use dunlin_base::{EngineTime, NodeKey, RngStream, StreamName};
use dunlin_hash::{Sha1Digest, sha1_batch};
use dunlin_net::sim::bytes::{Content, DatagramFaults, Host, Lies, Manner};
use dunlin_port::config::{ByteSize, EngineConfig, LeechChoke, PickStrategy, SeedChoke, SlotCount};
use dunlin_port::user::TorrentLimits;
use dunlin_protocol::metainfo::{FileAttributes, MetainfoBuilder, NewFile};
use dunlin_storage::Faults;

/// Until when things go wrong.
const CALM_SECS_MAX: u64 = 60;

/// One of so many bytes of a bad line is spoiled.
const SPOILS_ONE_IN: u64 = 60_000;

/// For how long at most what happened before it was calm, and the rules themselves, keep somebody from a block that he
/// could get: an address that failed a few times is tried again after up to three minutes, and who has one slot to
/// give gives it to another one only after half a minute or a minute. The worst of 4,000 seeds needs 195 s of it:
/// what they take beside is accounted for in [`Plan::patience`].
const AFTERMATH: Duration = Duration::from_secs(240);

/// How long a peer that sends nothing, or what is bad, may hold a piece up that is on parole before others are let in.
const PAROLE_TURN: Duration = Duration::from_secs(60);

/// How long who lost everybody waits for the tracker, which has forgotten him too: its interval, and the jitter of
/// an engine.
const NEXT_ANNOUNCE: Duration = Duration::from_secs(1800 + 60);

/// What a seed stands for.
pub(super) struct Plan {
    pub(super) content: Content,
    /// Engines. The first has everything, and its line is good: a copy exists.
    pub(super) nodes: Vec<NodePlan>,
    pub(super) hostiles: Vec<(Host, Manner)>,
    /// Whether the tracker is asked over UDP.
    pub(super) udp_tracker: bool,
    /// Whether nodes hear of each other from the tracker alone, unless somebody introduces them.
    pub(super) strangers: bool,
    /// What goes wrong, by time.
    pub(super) troubles: Vec<(EngineTime, NodeKey, Trouble)>,
    /// When all that went wrong is over.
    pub(super) calm_at: EngineTime,
}

/// An engine of a plan.
pub(super) struct NodePlan {
    pub(super) line: Host,
    pub(super) complete: bool,
    /// Whether it begins with the info hash alone.
    pub(super) by_link: bool,
    pub(super) config: EngineConfig,
    pub(super) memory_bytes: u64,
    pub(super) starts_at: EngineTime,
}

/// Something that goes wrong, or that a person does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
    /// All connections break.
    Reset,
    /// Nothing leaves for a while.
    Stall(Duration),
    /// The disk does this from now on.
    Disk(Faults),
    /// The process dies, and starts again later.
    Crash(Duration),
    /// The clock runs ahead by so much at once: the machine slept.
    Jump(Duration),
    /// The tracker does this for a while.
    Lie(Lies, Duration),
    /// Datagrams suffer this from now on.
    Datagrams(DatagramFaults),
    /// The tracker starts anew and has forgotten everybody.
    TrackerRestarts,
    /// Somebody pauses the torrent.
    Pause,
    /// Somebody resumes it.
    Resume,
    /// Somebody has it checked.
    Recheck,
    /// Somebody names all others.
    Introduce,
    /// Somebody chooses files: two bits for each say how much it is wanted.
    Select(u64),
    /// Somebody limits the torrent.
    Limit(TorrentLimits),
    /// Somebody needs bytes from here on soon.
    Hurry(u64),
}

impl Plan {
    pub(super) fn draw(seed: u64) -> Self {
        let mut luck = RngStream::new(seed, NodeKey(0), StreamName::Plan);
        let content = content(&mut luck);
        let count = 3 + luck.below(3);
        let mut nodes: Vec<NodePlan> = (0..count).map(|_| node(&mut luck)).collect();
        (nodes[0].complete, nodes[0].by_link) = (true, false);
        nodes[0].starts_at = EngineTime::START;
        // Sometimes another one has everything too, but its line spoils what it sends.
        if luck.below(3) == 0 {
            let mut bad = node(&mut luck);
            (bad.complete, bad.by_link) = (true, false);
            bad.line.spoils_one_in = SPOILS_ONE_IN;
            nodes.push(bad);
        }
        let hostiles = (0..luck.below(4)).map(|_| (line(&mut luck), manner(&mut luck)));
        let hostiles = hostiles.collect();
        let calm_at = EngineTime::from_secs(10 + luck.below(CALM_SECS_MAX - 10));
        let mut troubles = troubles(&mut luck, nodes.len() as u64, calm_at);
        let udp_tracker = luck.below(2) == 0;
        let strangers = udp_tracker && luck.below(2) == 0;
        if udp_tracker {
            troubles.extend(datagram_troubles(&mut luck, calm_at));
            troubles.sort_by_key(|(at, ..)| *at);
        }
        Self {
            content,
            nodes,
            hostiles,
            udp_tracker,
            strangers,
            troubles,
            calm_at,
        }
    }

    /// Within so much time after all is calm everybody who is honest must be complete. A bug that heals in the
    /// end is one too, so it is no more than what still stands in the way explains.
    pub(super) fn patience(&self) -> Duration {
        let seed = &self.nodes[0];
        let limit = seed.config.limits.up.map_or(u64::MAX, |rate| rate.0);
        let others = self.nodes.len() as u64 - 1;
        // As if everybody had to get all of it from the one who is sure to have it.
        let bytes = self.content.payload.len() as u64 * others;
        let transfer = Duration::from_secs(bytes / seed.line.bytes_per_sec.min(limit));
        let told = match self.strangers {
            true => NEXT_ANNOUNCE,
            false => Duration::ZERO,
        };
        let spoils = self.nodes.iter().filter(|node| node.line.spoils_one_in > 0);
        let bad = self.hostiles.len() + spoils.count();
        AFTERMATH + PAROLE_TURN * bad as u32 + transfer + told
    }
}

fn content(luck: &mut RngStream) -> Content {
    let piece_bytes = 16_384_u32 << luck.below(3);
    let files = 1 + luck.below(4);
    let files: Vec<NewFile> = (0..files)
        .map(|file| NewFile {
            path: vec![format!("file {file}")],
            length: 1 + luck.below(200_000),
            attributes: FileAttributes::default(),
        })
        .collect();
    let bytes: u64 = files.iter().map(|file| file.length).sum();
    let mut payload = vec![0; bytes as usize];
    luck.fill(&mut payload);
    let pieces: Vec<[&[u8]; 1]> = payload.chunks(piece_bytes as usize).map(|p| [p]).collect();
    let mut hashes = vec![Sha1Digest::default(); pieces.len()];
    sha1_batch(&pieces, &mut hashes);
    let built = MetainfoBuilder::folder("campaign", files, piece_bytes).build(&hashes);
    Content {
        info: built.expect("a small torrent").info,
        payload: Arc::from(payload),
    }
}

fn line(luck: &mut RngStream) -> Host {
    Host {
        delay: Duration::from_millis(1 + luck.below(150)),
        bytes_per_sec: 20_000 << luck.below(7),
        spoils_one_in: 0,
    }
}

fn manner(luck: &mut RngStream) -> Manner {
    match luck.below(8) {
        0 => Manner::Silent,
        1 => Manner::Garbage,
        2 => Manner::Breaker,
        3 => Manner::Flood,
        4 | 5 => Manner::Fickle,
        _ => Manner::Liar,
    }
}

fn node(luck: &mut RngStream) -> NodePlan {
    let mut config = EngineConfig::default();
    config.pick.strategy = match luck.below(4) {
        0 => PickStrategy::Sequential,
        1 => PickStrategy::RoundRobin,
        _ => PickStrategy::RarestFirst,
    };
    config.pick.random_first_pieces = luck.below(6) as u32;
    config.pick.request_timeout_secs = 5 + luck.below(30);
    config.choke.interval_secs = 1 + luck.below(12);
    config.choke.optimistic_interval_secs = 3 + luck.below(30);
    config.choke.snub_secs = 5 + luck.below(60);
    config.choke.seed = match luck.below(3) {
        0 => SeedChoke::RoundRobin,
        1 => SeedChoke::FastestUpload,
        _ => SeedChoke::AntiLeech,
    };
    if luck.below(6) == 0 {
        config.choke.leech = LeechChoke::BitTyrant;
    }
    if luck.below(3) == 0 {
        config.choke.slots = SlotCount::Fixed(1 + luck.below(4) as u32);
    }
    config.storage.commit_interval_secs = 1 + luck.below(8);
    config.storage.retry_secs = 1 + luck.below(10);
    let mut rate = |one_in| (luck.below(one_in) == 0).then(|| ByteSize(30_000 << luck.below(5)));
    (config.limits.up, config.limits.down) = (rate(3), rate(4));
    if luck.below(4) == 0 {
        config.limits.connections = 4 + luck.below(4) as u32;
    }
    NodePlan {
        line: line(luck),
        complete: false,
        by_link: luck.below(4) == 0,
        config,
        memory_bytes: [20_000, 70_000, 300_000, 64 << 20][luck.below(4) as usize],
        starts_at: EngineTime::START + Duration::from_millis(luck.below(8000)),
    }
}

fn troubles(
    luck: &mut RngStream,
    nodes: u64,
    calm_at: EngineTime,
) -> Vec<(EngineTime, NodeKey, Trouble)> {
    let span = calm_at.as_nanos() / 1_000_000;
    let count = luck.below(25);
    let mut troubles: Vec<_> = (0..count)
        .map(|_| {
            let at = EngineTime::START + Duration::from_millis(luck.below(span));
            (at, NodeKey(luck.below(nodes) as u32), trouble(luck))
        })
        .collect();
    troubles.sort_by_key(|(at, ..)| *at);
    troubles
}

/// What happens to datagrams, from the start on, and to the tracker that they go to.
fn datagram_troubles(
    luck: &mut RngStream,
    calm_at: EngineTime,
) -> Vec<(EngineTime, NodeKey, Trouble)> {
    let span = calm_at.as_nanos() / 1_000_000;
    let count = 1 + luck.below(4);
    let troubles = (0..count).map(|number| {
        let at = luck.below(span) * u64::from(number > 0);
        let trouble = match luck.below(4) {
            0 if number > 0 => Trouble::TrackerRestarts,
            _ => Trouble::Datagrams(datagram_faults(luck)),
        };
        let at = EngineTime::START + Duration::from_millis(at);
        (at, NodeKey(0), trouble)
    });
    troubles.collect()
}

fn datagram_faults(luck: &mut RngStream) -> DatagramFaults {
    let mut one_in = || [0, 2, 3, 5, 10, 30][luck.below(6) as usize];
    DatagramFaults {
        loses_one_in: one_in(),
        doubles_one_in: one_in(),
        spoils_one_in: one_in(),
        forges_one_in: one_in(),
        late_by: Duration::from_millis([0, 200, 2000, 20_000][luck.below(4) as usize]),
    }
}

fn trouble(luck: &mut RngStream) -> Trouble {
    let millis = |luck: &mut RngStream, max| Duration::from_millis(luck.below(max));
    match luck.below(18) {
        0 | 1 => Trouble::Reset,
        2 => Trouble::Stall(millis(luck, 20_000)),
        3..=5 => Trouble::Disk(faults(luck)),
        6 | 7 => Trouble::Crash(millis(luck, 10_000)),
        8 => Trouble::Jump(millis(luck, 7_200_000)),
        9 => {
            let lies = [
                Lies::Down,
                Lies::Refuses,
                Lies::Strangers,
                Lies::Always,
                Lies::Hardly,
            ];
            let lie = luck.choose(&lies).copied().unwrap_or(Lies::Down);
            Trouble::Lie(lie, millis(luck, 30_000))
        }
        10 => Trouble::Pause,
        11 => Trouble::Resume,
        12 => Trouble::Recheck,
        13 => Trouble::Select(luck.next_u64()),
        14 => {
            let mut rate = || (luck.below(2) == 0).then(|| 1000 * luck.below(300));
            Trouble::Limit(TorrentLimits {
                down_bytes_per_sec: rate(),
                up_bytes_per_sec: rate(),
                peer_down_bytes_per_sec: rate(),
                peer_up_bytes_per_sec: rate(),
                connections: rate().map(|rate| rate as u32 / 100_000),
            })
        }
        15 => Trouble::Hurry(luck.below(1_000_000)),
        _ => Trouble::Introduce,
    }
}

fn faults(luck: &mut RngStream) -> Faults {
    let mut faults = Faults::default();
    match luck.below(6) {
        0 | 1 => faults.room_bytes = Some(luck.below(100_000)),
        2 => faults.fail_writes = Some(io::ErrorKind::Other),
        3 => faults.fail_reads = Some(io::ErrorKind::PermissionDenied),
        4 => faults.fail_flushes = Some(io::ErrorKind::Other),
        // As it should be again.
        _ => {}
    }
    faults
}
