//! A minimal in-memory link between the nodes of one world, for tests: messages arrive in order
//! after a fixed delay, the disk is memory, hashing is immediate. Faults are switched on by field.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use dunlin_base::{Bitfield, EngineTime, NodeKey, PeerId, PeerKey, PieceIndex, TorrentKey};
use dunlin_port::config::{EngineConfig, PickStrategy, Preallocation};
use dunlin_port::disk::{Check, DiskCommand, DiskError, DiskErrorKind, DiskEvent, Totals};
use dunlin_port::hash::{HashDone, HashJob};
use dunlin_port::net::{CloseReason, NetCommand, NetEvent};
use dunlin_port::snapshot::SessionEvent;
use dunlin_port::tracker::TrackerCommand;
use dunlin_port::user::{AddTorrent, TorrentLimits, UserCommand};
use dunlin_port::{BlockPool, Outbox};
use dunlin_protocol::metainfo::{Info, MetainfoBuilder};
use dunlin_protocol::wire::{BlockRequest, Message};
use sha1::{Digest as _, Sha1};

use crate::{Engine, NodeSettings};

/// One-way delay of the link.
pub(crate) const DELAY: Duration = Duration::from_millis(10);

/// A torrent of test data.
pub(crate) struct Sample {
    pub(crate) info: Arc<Info>,
    pub(crate) data: Vec<u8>,
}

impl Sample {
    /// `bytes` of reproducible noise in pieces of `piece_bytes`.
    pub(crate) fn new(bytes: usize, piece_bytes: u32) -> Self {
        let mut rng = dunlin_base::RngStream::new(9, NodeKey(9), dunlin_base::StreamName::Identity);
        let mut data = vec![0; bytes];
        rng.fill(&mut data);
        let hashes: Vec<[u8; 20]> =
            data.chunks(piece_bytes as usize).map(|piece| Sha1::digest(piece).into()).collect();
        let builder = MetainfoBuilder::single_file("sample", bytes as u64, piece_bytes);
        let info = builder.build(&hashes).expect("a small torrent").info;
        Self { info, data }
    }
}

/// One torrent's memory disk.
struct Disk {
    info: Arc<Info>,
    data: Vec<u8>,
    have: Bitfield,
}

/// A world of nodes and the link between them.
pub(crate) struct Swarm {
    pub(crate) engine: Engine,
    pub(crate) now: EngineTime,
    /// Nodes whose blocks arrive with a flipped bit.
    pub(crate) corrupt: BTreeSet<NodeKey>,
    /// Nodes that never send a block.
    pub(crate) mute: BTreeSet<NodeKey>,
    /// Torrents whose writes fail.
    pub(crate) full: BTreeSet<TorrentKey>,
    /// Everything that was emitted for subscribers.
    pub(crate) events: Vec<SessionEvent>,
    /// Every message and block header that went over the link.
    pub(crate) wire: Vec<(PeerKey, Message)>,
    /// Every tracker command.
    pub(crate) announces: Vec<TrackerCommand>,
    /// What each torrent committed last.
    pub(crate) committed: BTreeMap<TorrentKey, Bitfield>,
    disks: BTreeMap<TorrentKey, Disk>,
    addresses: BTreeMap<SocketAddr, NodeKey>,
    ends: BTreeMap<PeerKey, (PeerKey, NodeKey)>,
    flight: VecDeque<(EngineTime, NetEvent)>,
    accepted: u64,
    pool: BlockPool,
}

/// Where a node listens.
pub(crate) fn addr_of(node: u32) -> SocketAddr {
    SocketAddr::from(([10, 0, (node / 250) as u8, (node % 250 + 1) as u8], 6881))
}

impl Swarm {
    /// `nodes` nodes with these rules, not yet with a torrent.
    pub(crate) fn new(nodes: u32, config: &EngineConfig) -> Self {
        let mut swarm = Self {
            engine: Engine::new(7, 64 << 20),
            now: EngineTime::START,
            corrupt: BTreeSet::new(),
            mute: BTreeSet::new(),
            full: BTreeSet::new(),
            events: Vec::new(),
            wire: Vec::new(),
            announces: Vec::new(),
            committed: BTreeMap::new(),
            disks: BTreeMap::new(),
            addresses: BTreeMap::new(),
            ends: BTreeMap::new(),
            flight: VecDeque::new(),
            accepted: 0,
            pool: BlockPool::new(1 << 30),
        };
        for node in 0..nodes {
            let mut peer_id = [b'0'; 20];
            peer_id[..4].copy_from_slice(&node.to_be_bytes());
            let settings =
                NodeSettings { node: NodeKey(node), peer_id: PeerId(peer_id), config: config.clone() };
            swarm.engine.add_node(settings);
            swarm.addresses.insert(addr_of(node), NodeKey(node));
        }
        swarm
    }

    /// Adds the sample to a node. Torrent keys are node numbers.
    pub(crate) fn add(&mut self, node: u32, sample: &Sample, complete: bool, peers: &[u32]) {
        self.add_with(node, sample, complete, peers, |_| {});
    }

    pub(crate) fn add_with(
        &mut self,
        node: u32,
        sample: &Sample,
        complete: bool,
        peers: &[u32],
        change: impl FnOnce(&mut AddTorrent),
    ) {
        let pieces = sample.info.geometry().piece_count();
        let (data, have) = if complete {
            (sample.data.clone(), Bitfield::full(pieces))
        } else {
            (vec![0; sample.data.len()], Bitfield::empty(pieces))
        };
        let torrent = TorrentKey(node);
        self.disks.insert(torrent, Disk { info: sample.info.clone(), data, have });
        let mut add = AddTorrent {
            torrent,
            node: NodeKey(node),
            info: sample.info.clone(),
            trackers: Vec::new(),
            root: "/nowhere".into(),
            file_priorities: Vec::new(),
            strategy: PickStrategy::RarestFirst,
            preallocation: Preallocation::None,
            check: Check::Quick,
            paused: false,
            limits: TorrentLimits::default(),
            peers: peers.iter().map(|peer| addr_of(*peer)).collect(),
        };
        change(&mut add);
        self.tell(UserCommand::Add(Box::new(add)));
    }

    pub(crate) fn tell(&mut self, command: UserCommand) {
        self.engine.inbox().user.push_back(command);
    }

    /// Pieces that are on a torrent's disk, checked against their hashes.
    pub(crate) fn on_disk(&self, node: u32) -> u32 {
        let disk = &self.disks[&TorrentKey(node)];
        let geometry = disk.info.geometry();
        let good = geometry.pieces().filter(|piece| {
            let start = geometry.piece_start(*piece) as usize;
            let bytes = &disk.data[start..start + geometry.piece_len(*piece) as usize];
            disk.info.piece_hash(*piece).is_some_and(|hash| Sha1::digest(bytes).as_slice() == hash)
        });
        good.count() as u32
    }

    /// Whether a node's torrent is complete, on its disk too.
    pub(crate) fn is_complete(&self, node: u32) -> bool {
        let torrent = TorrentKey(node);
        let said = self.events.contains(&SessionEvent::Completed { torrent });
        said && self.on_disk(node) == self.disks[&torrent].info.geometry().piece_count()
    }

    /// Runs until `done` or until `limit` of virtual time has passed; says whether it was done.
    pub(crate) fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        while self.now < end {
            self.step();
            if done(self) {
                return true;
            }
            let next = self.flight.front().map_or(EngineTime::NEVER, |(at, _)| *at);
            let next = next.min(self.engine.wake_at()).max(self.now + Duration::from_micros(100));
            self.now = if self.engine.inbox().is_empty() { next.min(end) } else { self.now };
        }
        false
    }

    /// One tick, and what follows from it.
    pub(crate) fn step(&mut self) {
        while self.flight.front().is_some_and(|(at, _)| *at <= self.now) {
            let event = self.flight.pop_front().map(|(_, event)| event);
            self.engine.inbox().net.extend(event);
        }
        self.engine.tick(self.now);
        let outbox = core::mem::take(self.engine.outbox());
        self.carry_out(outbox);
    }

    fn carry_out(&mut self, outbox: Outbox) {
        self.events.extend(outbox.session);
        self.announces.extend(outbox.tracker);
        outbox.net.into_iter().for_each(|command| self.net(command));
        outbox.disk.into_iter().for_each(|command| self.disk(command));
        for job in outbox.hash {
            let done = judge(job);
            self.engine.inbox().hash.push_back(done);
        }
    }

    fn send(&mut self, event: NetEvent) {
        self.flight.push_back((self.now + DELAY, event));
    }

    fn net(&mut self, command: NetCommand) {
        match command {
            NetCommand::Connect { peer, node, addr } => self.connect(peer, node, addr),
            NetCommand::Handshake { peer, handshake } => {
                if let Some(&(other, _)) = self.ends.get(&peer) {
                    self.send(NetEvent::Handshake { peer: other, handshake });
                }
            }
            NetCommand::Send { peer, message } => {
                if let Some(&(other, _)) = self.ends.get(&peer) {
                    self.wire.push((peer, message.clone()));
                    self.send(NetEvent::Message { peer: other, message });
                }
            }
            NetCommand::SendBlock { peer, piece, begin, mut payload } => {
                let Some(&(other, node)) = self.ends.get(&peer) else { return };
                let bytes = payload.len() as u32;
                if self.corrupt.contains(&node) {
                    payload[0] ^= 1;
                }
                if !self.mute.contains(&node) {
                    self.send(NetEvent::Block { peer: other, piece: piece.0, begin, payload });
                }
                self.engine.inbox().net.push_back(NetEvent::Sent { peer, bytes });
            }
            NetCommand::Close { peer } => {
                let Some((other, _)) = self.ends.remove(&peer) else { return };
                self.ends.remove(&other);
                self.send(NetEvent::Closed { peer: other, reason: CloseReason::Remote });
            }
        }
    }

    fn connect(&mut self, peer: PeerKey, node: NodeKey, addr: SocketAddr) {
        let Some(&target) = self.addresses.get(&addr) else {
            self.send(NetEvent::Closed { peer, reason: CloseReason::ConnectTimeout });
            return;
        };
        self.accepted += 1;
        let incoming = PeerKey::incoming(self.accepted);
        self.ends.insert(peer, (incoming, node));
        self.ends.insert(incoming, (peer, target));
        let from = SocketAddr::new(addr_of(node.0).ip(), 40_000);
        self.send(NetEvent::Accepted { peer: incoming, node: target, addr: from });
        self.send(NetEvent::Connected { peer });
    }

    fn disk(&mut self, command: DiskCommand) {
        let event = match command {
            DiskCommand::Open { torrent, .. } | DiskCommand::Recheck { torrent } => {
                let have = self.disks[&torrent].have.clone();
                DiskEvent::Opened { torrent, have, checked: 0, totals: Totals::default() }
            }
            DiskCommand::Write { torrent, piece, blocks } => self.write(torrent, piece, blocks),
            DiskCommand::Read { torrent, peer, blocks } => {
                for block in blocks {
                    let result = Ok(self.read(torrent, block));
                    self.engine.inbox().disk.push_back(DiskEvent::Read { torrent, peer, block, result });
                }
                return;
            }
            DiskCommand::Commit { torrent, have, .. } => {
                self.committed.insert(torrent, have);
                DiskEvent::Committed { torrent }
            }
            DiskCommand::Select { .. } => return,
            DiskCommand::Move { torrent, root } => DiskEvent::Moved { torrent, root, error: None },
            DiskCommand::Close { torrent, .. } => DiskEvent::ClosedFiles { torrent },
        };
        self.engine.inbox().disk.push_back(event);
    }

    fn write(&mut self, torrent: TorrentKey, piece: PieceIndex, blocks: Vec<dunlin_port::BlockBuffer>) -> DiskEvent {
        if self.full.contains(&torrent) {
            let error = DiskError { kind: DiskErrorKind::Full, message: "no space left".to_owned() };
            return DiskEvent::WriteFailed { torrent, piece, blocks, error };
        }
        let disk = self.disks.get_mut(&torrent).expect("a torrent that writes was added");
        let mut at = disk.info.geometry().piece_start(piece) as usize;
        for block in &blocks {
            disk.data[at..at + block.len()].copy_from_slice(block);
            at += block.len();
        }
        disk.have.set(piece);
        DiskEvent::Written { torrent, piece }
    }

    fn read(&self, torrent: TorrentKey, block: BlockRequest) -> dunlin_port::BlockBuffer {
        let disk = &self.disks[&torrent];
        let piece = PieceIndex(block.piece);
        assert!(disk.have.has(piece), "only pieces on disk are served");
        let start = (disk.info.geometry().piece_start(piece) + u64::from(block.begin)) as usize;
        let mut payload = self.pool.take(block.len as usize).expect("a large pool");
        payload.copy_from_slice(&disk.data[start..start + block.len as usize]);
        payload
    }
}

fn judge(job: HashJob) -> HashDone {
    let HashJob { torrent, piece, blocks, expected, digest_blocks } = job;
    let mut whole = Sha1::new();
    blocks.iter().for_each(|block| whole.update(&**block));
    let good = <[u8; 20]>::from(whole.finalize()) == expected;
    let digests = if digest_blocks || !good {
        blocks.iter().map(|block| Sha1::digest(&**block).into()).collect()
    } else {
        Vec::new()
    };
    HashDone { torrent, piece, blocks, good, block_digests: digests }
}
