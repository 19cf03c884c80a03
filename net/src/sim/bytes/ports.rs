//! The ports of all hosts, but for what goes over the network.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use dunlin_base::{
    Bitfield, EngineTime, NodeKey, PeerKey, PieceIndex, RngStream, StreamName, TorrentKey,
};
use dunlin_port::disk::DiskEvent;
use dunlin_port::hash::HashDone;
use dunlin_port::net::NetEvent;
use dunlin_port::tracker::{AnnounceReply, Retry, TrackerCommand, TrackerError, TrackerEvent};
use dunlin_port::{BlockPool, Inbox, Outbox};
use dunlin_protocol::metainfo::Info;
use dunlin_storage::Faults;

use super::super::addr_of;
use super::super::tracker::Tracker;
use super::datagrams::{Datagrams, Desk};
use super::disk::Disk;
use super::hostile::{Hostile, Manner};
use super::network::{Connection, Happening};
use crate::real::hash::judge;
use crate::real::reactor::Landing;
use crate::tracker_server::TrackerServerOptions;

/// Memory of a node for payload: far more than the engine's budget, so that what lacks is a leak.
const POOL_BYTES: usize = 256 << 20;

/// Addresses that a lying tracker makes up in one answer.
const STRANGERS: u64 = 60;

/// What a swarm shares.
#[derive(Clone, Debug)]
pub struct Content {
    /// The torrent.
    pub info: Arc<Info>,
    /// Its bytes.
    pub payload: Arc<[u8]>,
}

/// How a host is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Host {
    /// One-way delay of what it sends.
    pub delay: Duration,
    /// What its line carries away from it.
    pub bytes_per_sec: u64,
    /// One of so many bytes that it sends is not as it was; 0 for none.
    pub spoils_one_in: u64,
}

/// What the tracker does instead of its duty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lies {
    /// It cannot be reached.
    Down,
    /// It refuses, and wants never to be asked again.
    Refuses,
    /// It names addresses where nobody is, and the asking node's own.
    Strangers,
    /// It wants to be asked all the time.
    Always,
    /// It wants to be asked hardly ever.
    Hardly,
}

/// The outside of all hosts.
pub struct BytePorts {
    pub(super) now: EngineTime,
    pub(super) luck: RngStream,
    pub(super) content: Content,
    pub(super) hosts: Vec<HostRow>,
    pub(super) connections: BTreeMap<u32, Connection>,
    pub(super) connections_begun: u32,
    pub(super) happenings: BTreeMap<(EngineTime, u64), Happening>,
    pub(super) planned: u64,
    pub(super) tracker: Tracker,
    pub(super) datagrams: Datagrams,
    lies: Option<(EngineTime, Lies)>,
    seed: u64,
}

/// A host and its connections.
pub(super) struct HostRow {
    pub(super) line: Host,
    pub(super) kind: Kind,
    pub(super) connections: BTreeSet<u32>,
    /// Until when nothing leaves it.
    pub(super) stalled_until: EngineTime,
    /// Bytes that its line may carry now.
    pub(super) budget: usize,
}

/// Who runs a host.
pub(super) enum Kind {
    /// An engine.
    Node(Box<Node>),
    /// Nobody honest.
    Hostile(Box<Hostile>),
}

/// What an engine has outside.
pub(super) struct Node {
    pub(super) alive: bool,
    pub(super) pool: BlockPool,
    pub(super) landing: Landing,
    /// Connection and side of each of its ends.
    pub(super) peers: BTreeMap<PeerKey, (u32, usize)>,
    pub(super) accepted: u64,
    /// What the network has for it, before what its streams bring.
    pub(super) news: VecDeque<NetEvent>,
    /// Its socket for the tracker.
    pub(super) desk: Desk,
    disk: Disk,
    disk_busy_until: EngineTime,
    disk_delay_ms: u64,
    late: BTreeMap<(EngineTime, u64), Late>,
}

/// What a helper has done.
pub(super) enum Late {
    Disk(DiskEvent),
    Hash(HashDone),
    Tracker(TrackerEvent),
}

impl BytePorts {
    /// An outside without hosts. `seed` decides all luck in it.
    #[must_use]
    pub fn new(content: Content, seed: u64) -> Self {
        Self {
            now: EngineTime::START,
            luck: RngStream::new(seed, NodeKey(0), StreamName::Stream),
            datagrams: Datagrams::new(seed),
            content,
            hosts: Vec::new(),
            connections: BTreeMap::new(),
            connections_begun: 0,
            happenings: BTreeMap::new(),
            planned: 0,
            tracker: Tracker::new(TrackerServerOptions::default(), seed),
            lies: None,
            seed,
        }
    }

    fn add_host(&mut self, line: Host, kind: Kind) -> NodeKey {
        self.hosts.push(HostRow {
            line,
            kind,
            connections: BTreeSet::new(),
            stalled_until: EngineTime::START,
            budget: 0,
        });
        NodeKey(self.hosts.len() as u32 - 1)
    }

    /// Adds a host for an engine; its disk has everything or nothing. It is off before
    /// [`Self::start`].
    pub fn add_node(&mut self, line: Host, complete: bool) -> NodeKey {
        let mut disk = Disk::new(&self.content.info);
        if complete {
            disk.fill(&self.content.payload);
        }
        let pool = BlockPool::new(POOL_BYTES);
        let node = Node {
            alive: false,
            landing: Landing::new(pool.clone()),
            pool,
            peers: BTreeMap::new(),
            accepted: 0,
            news: VecDeque::new(),
            desk: self.datagrams.socket(),
            disk,
            disk_busy_until: EngineTime::START,
            disk_delay_ms: 1 + self.luck.below(60),
            late: BTreeMap::new(),
        };
        self.add_host(line, Kind::Node(Box::new(node)))
    }

    /// Adds a hostile host.
    pub fn add_hostile(&mut self, line: Host, manner: Manner) -> NodeKey {
        let number = NodeKey(self.hosts.len() as u32);
        let hostile = Hostile {
            manner,
            luck: RngStream::new(self.seed, number, StreamName::Hostile),
            info: Arc::clone(&self.content.info),
            payload: Arc::clone(&self.content.payload),
            calls_at: EngineTime::START,
        };
        self.add_host(line, Kind::Hostile(Box::new(hostile)))
    }

    pub(super) fn node(&mut self, node: NodeKey) -> &mut Node {
        match &mut self.hosts[node.0 as usize].kind {
            Kind::Node(node) => node,
            Kind::Hostile(_) => panic!("{node:?} is no engine's"),
        }
    }

    /// A process starts on a host.
    pub fn start(&mut self, node: NodeKey) {
        self.node(node).alive = true;
    }

    /// The process on a host ends between two instructions: its connections break or fall silent,
    /// its disk keeps what was flushed.
    pub fn crash(&mut self, node: NodeKey) {
        self.drop_connections(node);
        let desk = self.datagrams.socket();
        let row = self.node(node);
        row.desk = desk;
        row.alive = false;
        row.accepted = 0;
        row.news.clear();
        row.late.clear();
        row.disk.crash();
    }

    /// Breaks the connections of a host, for both ends.
    pub fn reset(&mut self, node: NodeKey) {
        let connections: Vec<u32> = self.hosts[node.0 as usize]
            .connections
            .iter()
            .copied()
            .collect();
        for connection in connections {
            self.break_connection(connection);
        }
    }

    /// Lets nothing leave a host before `until`.
    pub fn stall(&mut self, node: NodeKey, until: EngineTime) {
        self.hosts[node.0 as usize].stalled_until = until;
    }

    /// What goes wrong with a disk from now on.
    pub fn set_faults(&mut self, node: NodeKey, faults: Faults) {
        self.node(node).disk.set_faults(faults);
    }

    /// What the tracker does until then.
    pub const fn lie(&mut self, until: EngineTime, lies: Lies) {
        self.lies = Some((until, lies));
    }

    /// The first of these pieces that is not on a node's disk as it should be.
    pub fn missing(&mut self, node: NodeKey, have: &Bitfield) -> Option<PieceIndex> {
        let payload = Arc::clone(&self.content.payload);
        let disk = &self.node(node).disk;
        have.iter().find(|piece| !disk.holds(*piece, &payload))
    }

    /// Payload buffers that a node has out.
    pub fn buffers_out(&mut self, node: NodeKey) -> usize {
        self.node(node).pool.in_use()
    }

    /// Moves time on to `now`: bytes move, hostile hosts act.
    ///
    /// # Panics
    /// When an engine sent what is malformed.
    pub fn advance(&mut self, now: EngineTime) {
        let passed = now - self.now;
        self.now = now;
        self.happen();
        self.move_datagrams();
        self.hostiles_act();
        self.move_bytes(passed);
    }

    /// When something happens next outside of the engines.
    #[must_use]
    pub fn next_at(&self) -> EngineTime {
        let late = self.hosts.iter().filter_map(|host| match &host.kind {
            Kind::Node(node) => {
                let late = node.late.first_key_value().map(|((at, _), _)| *at);
                let asks = node.alive.then(|| node.desk.next_at());
                late.into_iter().chain(asks).min()
            }
            Kind::Hostile(_) => None,
        });
        let planned = self.happenings.first_key_value().map(|((at, _), _)| *at);
        let network = self.network_next_at();
        late.chain(planned)
            .chain(network)
            .chain(self.datagrams.next_at())
            .min()
            .unwrap_or(EngineTime::NEVER)
    }

    /// Puts what a node's ports have into its inbox.
    pub fn deliver(&mut self, node: NodeKey, inbox: &mut Inbox) {
        self.pull_streams(node, &mut inbox.net);
        let now = self.now;
        let row = self.node(node);
        while let Some(first) = row.late.first_entry().filter(|first| first.key().0 <= now) {
            match first.remove() {
                Late::Disk(event) => inbox.disk.push_back(event),
                Late::Hash(done) => inbox.hash.push_back(done),
                Late::Tracker(event) => inbox.tracker.push_back(event),
            }
        }
    }

    /// Takes what a node's engine decided.
    pub fn carry_out(&mut self, node: NodeKey, outbox: &mut Outbox) {
        for command in outbox.net.drain(..) {
            self.network(node, command);
        }
        self.drive_disk(node, outbox);
        let jobs = core::mem::take(&mut outbox.hash);
        if !jobs.is_empty() {
            for done in judge(jobs) {
                let at = self.now + Duration::from_millis(1 + self.luck.below(30));
                self.later(node, at, Late::Hash(done));
            }
        }
        for command in core::mem::take(&mut outbox.tracker) {
            let (TrackerCommand::Announce { url, .. } | TrackerCommand::Scrape { url, .. }) =
                &command;
            if url.starts_with("udp:") {
                self.ask_by_datagrams(node, command);
                continue;
            }
            let event = self.ask_tracker(node, command);
            let at = self.now + Duration::from_millis(20 + self.luck.below(2000));
            self.later(node, at, Late::Tracker(event));
        }
    }

    pub(super) fn later(&mut self, node: NodeKey, at: EngineTime, late: Late) {
        self.planned += 1;
        let number = self.planned;
        self.node(node).late.insert((at, number), late);
    }

    /// One command after the other; each takes its time.
    fn drive_disk(&mut self, node: NodeKey, outbox: &mut Outbox) {
        for command in core::mem::take(&mut outbox.disk) {
            let now = self.now;
            let row = self.node(node);
            let pool = row.pool.clone();
            let span = row.disk_delay_ms;
            let starts = row.disk_busy_until.max(now);
            let events = row.disk.carry_out(command, &pool);
            let at = starts + Duration::from_millis(self.luck.below(span));
            self.node(node).disk_busy_until = at;
            for event in events {
                self.later(node, at, Late::Disk(event));
            }
        }
    }

    fn ask_tracker(&mut self, node: NodeKey, command: TrackerCommand) -> TrackerEvent {
        let own = addr_of(node);
        let event = self.tracker.answer(self.now, own.ip(), command);
        let Some(lies) = self.lies_now() else {
            return event;
        };
        match event {
            TrackerEvent::Announced {
                torrent,
                tracker,
                result,
            } => TrackerEvent::Announced {
                torrent,
                tracker,
                result: self.lied(lies, own, result),
            },
            event @ TrackerEvent::Scraped { .. } => event,
        }
    }

    /// What the tracker does instead of its duty now.
    pub(super) fn lies_now(&self) -> Option<Lies> {
        let (until, lies) = self.lies?;
        (self.now < until).then_some(lies)
    }

    /// The tracker knows nobody any more.
    pub(super) fn forget_swarms(&mut self) {
        self.tracker = Tracker::new(TrackerServerOptions::default(), self.seed);
    }

    /// Addresses where nobody is, and the asking node's own.
    pub(super) fn strangers(&mut self, own: SocketAddr) -> Vec<SocketAddr> {
        let mut strangers = vec![own];
        for _ in 0..STRANGERS {
            let [a, b, c, d, port @ ..] = self.luck.next_u64().to_le_bytes();
            let port = u16::from_le_bytes([port[0], port[1]]);
            strangers.push(([a, b, c, d], port).into());
        }
        strangers
    }

    fn lied(
        &mut self,
        lies: Lies,
        own: SocketAddr,
        result: Result<AnnounceReply, TrackerError>,
    ) -> Result<AnnounceReply, TrackerError> {
        let mut reply = result?;
        match lies {
            Lies::Down => return Err(TrackerError::Unreachable("nobody answers".to_owned())),
            Lies::Refuses => {
                return Err(TrackerError::Refused {
                    reason: "go away".to_owned(),
                    retry: Retry::Never,
                });
            }
            Lies::Strangers => reply.peers = self.strangers(own),
            Lies::Always => {
                (reply.interval_secs, reply.min_interval_secs) = (0, Some(0));
            }
            Lies::Hardly => {
                (reply.interval_secs, reply.min_interval_secs) = (u32::MAX, Some(u32::MAX));
            }
        }
        Ok(reply)
    }

    /// The torrent's key of a node: its process has no other.
    #[must_use]
    pub const fn torrent_of(node: NodeKey) -> TorrentKey {
        TorrentKey(node.0)
    }
}
