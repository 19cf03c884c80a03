//! A minimal in-memory link between the nodes of one world, for tests: messages arrive in order
//! after a fixed delay, the disk is memory, hashing is immediate. Faults are switched on by field.
//! What must hold at any time is checked after every tick; puppets are peers that a test plays.

mod disk;
mod magnet;
pub(crate) mod puppet;
mod tests;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use dunlin_base::{Bitfield, EngineTime, NodeKey, PeerId, PeerKey, PieceIndex, TorrentKey};
use dunlin_port::config::{EngineConfig, PickStrategy, Preallocation};
use dunlin_port::disk::{Check, DiskCommand, Totals};
use dunlin_port::hash::HashJob;
use dunlin_port::net::{CloseReason, NetCommand, NetEvent};
use dunlin_port::snapshot::SessionEvent;
use dunlin_port::tracker::TrackerCommand;
use dunlin_port::user::{AddTorrent, TorrentLimits, UserCommand};
use dunlin_port::{BlockBuffer, BlockPool, Outbox};
use dunlin_protocol::metainfo::{FileAttributes, Info, MetainfoBuilder, NewFile};
use dunlin_protocol::wire::{BlockRequest, Message};
use sha1::{Digest as _, Sha1};

use crate::{Engine, NodeSettings};
use disk::{Disk, judge};
use puppet::Puppet;

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
        let hashes: Vec<[u8; 20]> = data
            .chunks(piece_bytes as usize)
            .map(|piece| Sha1::digest(piece).into())
            .collect();
        let builder = MetainfoBuilder::single_file("sample", bytes as u64, piece_bytes);
        let info = builder.build(&hashes).expect("a small torrent").info;
        Self { info, data }
    }

    /// The same noise as a folder of files of these lengths.
    pub(crate) fn folder(files: &[u64], piece_bytes: u32) -> Self {
        let Self { data, .. } = Self::new(files.iter().sum::<u64>() as usize, piece_bytes);
        let hashes: Vec<[u8; 20]> = data
            .chunks(piece_bytes as usize)
            .map(|piece| Sha1::digest(piece).into())
            .collect();
        let file = |(at, &length): (usize, &u64)| NewFile {
            path: vec![format!("file {at}")],
            length,
            attributes: FileAttributes::default(),
        };
        let files = files.iter().enumerate().map(file).collect();
        let builder = MetainfoBuilder::folder("sample", files, piece_bytes);
        let info = builder.build(&hashes).expect("a small torrent").info;
        Self { info, data }
    }
}

/// A world of nodes and the link between them.
pub(crate) struct Swarm {
    pub(crate) engine: Engine,
    pub(crate) now: EngineTime,
    /// Nodes whose blocks arrive with a flipped bit.
    pub(crate) corrupt: BTreeSet<NodeKey>,
    /// Nodes that never send a block.
    pub(crate) mute: BTreeSet<NodeKey>,
    /// Payload bytes per second that a node's line carries; no limit for the others.
    pub(crate) lines: BTreeMap<NodeKey, u64>,
    /// Whether the hashers keep what they are given until this is cleared.
    pub(crate) hashers_rest: bool,
    /// Whether the disk does nothing until this is cleared.
    pub(crate) disk_rests: bool,
    /// Whether commits, and closings behind them, wait until this is cleared.
    pub(crate) commits_rest: bool,
    /// Torrents whose files cannot be opened.
    pub(crate) locked: BTreeSet<TorrentKey>,
    /// Torrents whose writes fail.
    pub(crate) full: BTreeSet<TorrentKey>,
    /// Everything that was emitted for subscribers.
    pub(crate) events: Vec<SessionEvent>,
    /// Every message and block header that went over the link.
    pub(crate) wire: Vec<(PeerKey, Message)>,
    /// Every tracker command.
    pub(crate) announces: Vec<TrackerCommand>,
    /// Every connection attempt.
    pub(crate) dials: Vec<(EngineTime, NodeKey, SocketAddr)>,
    /// Every commit.
    pub(crate) commits: Vec<(EngineTime, TorrentKey)>,
    /// What was said to puppets.
    pub(crate) heard: Vec<(PeerKey, Message)>,
    /// Headers of blocks that puppets got.
    pub(crate) blocks: Vec<(PeerKey, BlockRequest)>,
    /// Connections that the engine closed, those of puppets included.
    pub(crate) closed: BTreeSet<PeerKey>,
    /// What each torrent committed last.
    pub(crate) committed: BTreeMap<TorrentKey, Bitfield>,
    /// Every spill.
    pub(crate) spilled: Vec<(TorrentKey, PieceIndex)>,
    /// Torrents whose disk cannot be read to hash what was spilled.
    pub(crate) unreadable: BTreeSet<TorrentKey>,
    disks: BTreeMap<TorrentKey, Disk>,
    addresses: BTreeMap<SocketAddr, NodeKey>,
    ends: BTreeMap<PeerKey, (PeerKey, NodeKey)>,
    flight: BTreeMap<(EngineTime, u64), NetEvent>,
    sent: u64,
    /// Until when a node's line carries what was given to it.
    busy: BTreeMap<NodeKey, EngineTime>,
    hashing: Vec<HashJob>,
    waiting: Vec<DiskCommand>,
    puppets: BTreeMap<SocketAddr, Puppet>,
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
        Self::with_seed(7, nodes, config)
    }

    /// As above, with this luck.
    pub(crate) fn with_seed(seed: u64, nodes: u32, config: &EngineConfig) -> Self {
        let mut swarm = Self {
            engine: Engine::new(seed, 64 << 20),
            now: EngineTime::START,
            corrupt: BTreeSet::new(),
            mute: BTreeSet::new(),
            lines: BTreeMap::new(),
            hashers_rest: false,
            disk_rests: false,
            commits_rest: false,
            locked: BTreeSet::new(),
            full: BTreeSet::new(),
            dials: Vec::new(),
            commits: Vec::new(),
            heard: Vec::new(),
            blocks: Vec::new(),
            closed: BTreeSet::new(),
            events: Vec::new(),
            wire: Vec::new(),
            announces: Vec::new(),
            committed: BTreeMap::new(),
            spilled: Vec::new(),
            unreadable: BTreeSet::new(),
            disks: BTreeMap::new(),
            addresses: BTreeMap::new(),
            ends: BTreeMap::new(),
            flight: BTreeMap::new(),
            sent: 0,
            busy: BTreeMap::new(),
            hashing: Vec::new(),
            waiting: Vec::new(),
            puppets: BTreeMap::new(),
            accepted: 0,
            pool: BlockPool::new(1 << 30),
        };
        for node in 0..nodes {
            let mut peer_id = [b'0'; 20];
            peer_id[..4].copy_from_slice(&node.to_be_bytes());
            let settings = NodeSettings {
                node: NodeKey(node),
                peer_id: PeerId(peer_id),
                config: config.clone(),
            };
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
        self.disks.insert(
            torrent,
            Disk {
                info: sample.info.clone(),
                data,
                have,
                totals: Totals::default(),
            },
        );
        let mut add = AddTorrent {
            torrent,
            node: NodeKey(node),
            info: sample.info.clone(),
            trackers: Vec::new(),
            root: Path::new("/nowhere").into(),
            file_priorities: Vec::new(),
            strategy: PickStrategy::RarestFirst,
            preallocation: Preallocation::None,
            check: Check::Quick,
            as_is: false,
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
        self.disks[&TorrentKey(node)].good().count()
    }

    /// Damages a piece on a torrent's disk, of which the disk does not know before it checks again.
    pub(crate) fn damage(&mut self, node: u32, piece: u32) {
        let disk = self
            .disks
            .get_mut(&TorrentKey(node))
            .expect("a torrent that was added");
        let start = disk.info.geometry().piece_start(PieceIndex(piece)) as usize;
        disk.data[start] ^= 1;
    }

    /// Whether a node's torrent is complete, on its disk too.
    pub(crate) fn is_complete(&self, node: u32) -> bool {
        let torrent = TorrentKey(node);
        let said = self.events.contains(&SessionEvent::Completed { torrent });
        said && self.on_disk(node) == self.disks[&torrent].info.geometry().piece_count()
    }

    /// Runs until `done` or until `limit` of virtual time has passed; says whether it was done.
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> bool {
        let end = self.now + limit;
        while self.now < end {
            self.step();
            if done(self) {
                return true;
            }
            let next = self
                .flight
                .first_key_value()
                .map_or(EngineTime::NEVER, |((at, _), _)| *at);
            let next = next
                .min(self.engine.wake_at())
                .max(self.now + Duration::from_micros(100));
            self.now = if self.engine.inbox().is_empty() {
                next.min(end)
            } else {
                self.now
            };
        }
        false
    }

    /// Runs for a span of virtual time.
    pub(crate) fn run_for(&mut self, span: Duration) {
        self.run_until(span, |_| false);
    }

    /// One tick, and what follows from it.
    pub(crate) fn step(&mut self) {
        while let Some(first) = self.flight.first_entry()
            && first.key().0 <= self.now
        {
            let event = first.remove();
            self.engine.inbox().net.push_back(event);
        }
        self.engine.tick(self.now);
        self.engine.audit();
        let outbox = core::mem::take(self.engine.outbox());
        self.carry_out(outbox);
    }

    fn carry_out(&mut self, outbox: Outbox) {
        self.events.extend(outbox.session);
        self.announces.extend(outbox.tracker);
        outbox.net.into_iter().for_each(|command| self.net(command));
        self.waiting.extend(outbox.disk);
        if !self.disk_rests {
            let waits = |command: &DiskCommand| {
                use DiskCommand::{Close, Commit};
                self.commits_rest && matches!(command, Commit { .. } | Close { .. })
            };
            let commands = core::mem::take(&mut self.waiting);
            let (waiting, now) = commands.into_iter().partition::<Vec<_>, _>(waits);
            self.waiting = waiting;
            now.into_iter().for_each(|command| self.disk(command));
        }
        self.hashing.extend(outbox.hash);
        if !self.hashers_rest {
            let done: Vec<_> = self.hashing.drain(..).map(judge).collect();
            self.engine.inbox().hash.extend(done);
        }
    }

    /// Delivers an event after the link's delay and behind what the sender's line still carries.
    fn send(&mut self, from: NodeKey, event: NetEvent) {
        let leaves = self
            .busy
            .get(&from)
            .copied()
            .unwrap_or_default()
            .max(self.now);
        self.deliver(leaves + DELAY, event);
    }

    fn deliver(&mut self, at: EngineTime, event: NetEvent) {
        self.sent += 1;
        self.flight.insert((at, self.sent), event);
    }

    /// Takes a line's time for a payload; `None` when the line has no limit.
    fn carry(&mut self, node: NodeKey, bytes: u32) -> Option<EngineTime> {
        let rate = *self.lines.get(&node)?;
        let starts = self
            .busy
            .get(&node)
            .copied()
            .unwrap_or_default()
            .max(self.now);
        let leaves = starts + Duration::from_nanos(u64::from(bytes) * 1_000_000_000 / rate);
        self.busy.insert(node, leaves);
        Some(leaves)
    }

    fn net(&mut self, command: NetCommand) {
        match command {
            NetCommand::Connect { peer, node, addr } => self.connect(peer, node, addr),
            NetCommand::Handshake { peer, handshake } => {
                if let Some(&(other, node)) = self.ends.get(&peer) {
                    self.send(
                        node,
                        NetEvent::Handshake {
                            peer: other,
                            handshake,
                        },
                    );
                }
            }
            NetCommand::Send { peer, message } => match self.ends.get(&peer).copied() {
                Some((other, node)) => {
                    self.wire.push((peer, message.clone()));
                    self.send(
                        node,
                        NetEvent::Message {
                            peer: other,
                            message,
                        },
                    );
                }
                None => {
                    self.wire.push((peer, message.clone()));
                    self.heard.push((peer, message));
                }
            },
            NetCommand::SendBlock {
                peer,
                piece,
                begin,
                payload,
            } => {
                self.send_block(peer, piece, begin, payload);
            }
            NetCommand::Close { peer } => {
                self.closed.insert(peer);
                let Some((other, node)) = self.ends.remove(&peer) else {
                    return;
                };
                self.ends.remove(&other);
                self.send(
                    node,
                    NetEvent::Closed {
                        peer: other,
                        reason: CloseReason::Remote,
                    },
                );
            }
        }
    }

    fn send_block(
        &mut self,
        peer: PeerKey,
        piece: PieceIndex,
        begin: u32,
        mut payload: BlockBuffer,
    ) {
        let bytes = payload.len() as u32;
        let sent = NetEvent::Sent { peer, bytes };
        let Some(&(other, node)) = self.ends.get(&peer) else {
            self.blocks.push((
                peer,
                BlockRequest {
                    piece: piece.0,
                    begin,
                    len: bytes,
                },
            ));
            self.engine.inbox().net.push_back(sent);
            return;
        };
        if self.corrupt.contains(&node) {
            payload[0] ^= 1;
        }
        match self.carry(node, bytes) {
            Some(leaves) => self.deliver(leaves, sent),
            None => self.engine.inbox().net.push_back(sent),
        }
        if !self.mute.contains(&node) {
            self.send(
                node,
                NetEvent::Block {
                    peer: other,
                    piece: piece.0,
                    begin,
                    payload,
                },
            );
        }
    }

    fn connect(&mut self, peer: PeerKey, node: NodeKey, addr: SocketAddr) {
        self.dials.push((self.now, node, addr));
        if self.greet_puppet(peer, node, addr) {
            return;
        }
        let Some(&target) = self.addresses.get(&addr) else {
            self.send(
                node,
                NetEvent::Closed {
                    peer,
                    reason: CloseReason::ConnectTimeout,
                },
            );
            return;
        };
        self.accepted += 1;
        let incoming = PeerKey::incoming(self.accepted);
        self.ends.insert(peer, (incoming, node));
        self.ends.insert(incoming, (peer, target));
        let from = SocketAddr::new(addr_of(node.0).ip(), 40_000);
        self.send(
            node,
            NetEvent::Accepted {
                peer: incoming,
                node: target,
                addr: from,
            },
        );
        self.send(node, NetEvent::Connected { peer });
    }
}
