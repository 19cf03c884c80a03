//! All simulated ports together.

use core::time::Duration;

use dunlin_base::{
    Bitfield, EngineTime, LOOK, NodeKey, PeerKey, RngStream, StreamName, TorrentKey,
};
use dunlin_port::net::CloseReason;
use dunlin_port::tracker::{TrackerCommand, TrackerEvent};
use dunlin_port::{Inbox, Outbox};

use super::books::{Afloat, Books};
use super::breach::{Breach, Meter};
use super::connections::{Arrival, Connection, End, NOWHERE, Pipe};
use super::delivery::Delivery;
use super::disk::Disks;
use super::flow::{Flow, Shares, Turns};
use super::hash::judge;
use super::host::{Host, Outgoing, Rate};
use super::line::{Line, Regions, Transport, addr_of};
use super::packet::Packets;
use super::queue::Queues;
use super::tracker::Tracker;
use crate::tracker_server::TrackerServerOptions;

/// Round-trip time to the tracker.
const TRACKER_RTT: Duration = Duration::from_millis(100);

/// What a simulated outside is like.
#[derive(Clone, Debug)]
pub struct SimSettings {
    /// The quantum of virtual time.
    pub tick: Duration,
    /// Distances.
    pub regions: Regions,
    /// How the tracker answers.
    pub tracker: TrackerServerOptions,
    /// The tracker's luck.
    pub seed: u64,
    /// Number of groups that nodes are counted by.
    pub groups: u16,
    /// Whether bytes move packet by packet, and not by flows: exact, slow, and only where every line
    /// has a buffer.
    pub packets: bool,
}

/// The outside of a world of nodes, in virtual time. Each node has one torrent, whose key has the
/// node's number.
pub struct SimPorts {
    pub(super) tick_nanos: u64,
    pub(super) tick: u64,
    pub(super) regions: Regions,
    pub(super) hosts: Vec<Host>,
    /// What is to leave each of them.
    pub(super) outgoing: Vec<Outgoing>,
    /// What each of their lines carries, up and down.
    pub(super) rates: [Vec<Rate>; 2],
    /// Hosts with something to send.
    pub(super) busy: Vec<u32>,
    /// Those of them where an end has nothing left to send.
    pub(super) emptied: Vec<u32>,
    pub(super) connections: Vec<Connection>,
    /// What waits at each end, two by two: see [`End::at`].
    pub(super) pipes: Vec<Pipe>,
    /// Connection of the n-th key that the engine chose.
    pub(super) dialed: Vec<u32>,
    pub(super) under_way: Delivery<(End, Arrival)>,
    answers: Delivery<TrackerEvent>,
    disks: Disks,
    tracker: Tracker,
    pub(super) books: Books,
    pub(super) meter: Meter,
    /// The packets, where bytes move by them; then there are no flows.
    pub(super) packets: Option<Packets>,
    pub(super) shares: Shares,
    pub(super) turns: Turns,
    pub(super) queues: Queues,
    /// Whether any line has a queue before it.
    pub(super) has_buffers: bool,
    /// Whether any node opens µTP connections.
    pub(super) has_utp: bool,
    pub(super) flows: Vec<Flow>,
    /// What each of them has in any case, if it yields to others; empty without µTP.
    pub(super) floors: Vec<Option<u64>>,
    pub(super) up: Vec<u64>,
    pub(super) down: Vec<u64>,
}

impl SimPorts {
    /// An outside without nodes.
    ///
    /// # Panics
    /// When the tick is zero or longer than 584 years.
    #[must_use]
    pub fn new(settings: SimSettings) -> Self {
        let tick_nanos = u64::try_from(settings.tick.as_nanos()).expect("a tick of some time");
        assert!(tick_nanos > 0, "time has to pass");
        let luck = RngStream::new(settings.seed, NodeKey(u32::MAX), StreamName::Stream);
        Self {
            tick_nanos,
            tick: 0,
            regions: settings.regions,
            hosts: Vec::new(),
            outgoing: Vec::new(),
            rates: [Vec::new(), Vec::new()],
            busy: Vec::new(),
            emptied: Vec::new(),
            connections: Vec::new(),
            pipes: Vec::new(),
            dialed: Vec::new(),
            under_way: Delivery::new(),
            answers: Delivery::new(),
            disks: Disks::default(),
            tracker: Tracker::new(settings.tracker, settings.seed),
            books: Books::new(settings.groups),
            meter: Meter::default(),
            packets: settings.packets.then(|| Packets::new(luck)),
            shares: Shares::default(),
            turns: Turns::default(),
            queues: Queues::default(),
            has_buffers: false,
            has_utp: false,
            flows: Vec::new(),
            floors: Vec::new(),
            up: Vec::new(),
            down: Vec::new(),
        }
    }

    /// Gives the next node its line and its group; nodes are numbered from 0. It is not there before
    /// it [joins](Self::join).
    ///
    /// # Panics
    /// When the line's region or the group is not there, or it has no buffer for packets.
    pub fn add_host(&mut self, line: Line, group: u16) -> NodeKey {
        assert!(
            usize::from(line.region.0) < self.regions.count(),
            "{:?} is not there",
            line.region
        );
        let node = NodeKey(self.hosts.len() as u32);
        self.books.enter(group);
        self.has_buffers |= line.buffer.is_some();
        self.has_utp |= line.transport == Transport::Utp;
        if let Some(packets) = &mut self.packets {
            let buffer = line.buffer.expect("packets need a queue");
            let rates = [line.up_bytes_per_sec, line.down_bytes_per_sec];
            packets.add_line(rates, u64::try_from(buffer.as_nanos()).unwrap_or(u64::MAX));
        }
        self.rates[0].push(Rate::new(line.up_bytes_per_sec));
        self.rates[1].push(Rate::new(line.down_bytes_per_sec));
        self.hosts.push(Host::new(line));
        self.outgoing.push(Outgoing::default());
        node
    }

    /// The node is there from now on.
    pub fn join(&mut self, node: NodeKey) {
        self.hosts[node.0 as usize].alive = true;
    }

    /// Nobody reaches the node any more; what it still says is carried.
    pub fn depart(&mut self, node: NodeKey) {
        self.hosts[node.0 as usize].line.reachable = false;
    }

    /// Breaks all connections of a node, for both ends.
    pub fn cut(&mut self, node: NodeKey, inbox: &mut Inbox) {
        let broken = CloseReason::Broken("the line was cut".to_owned());
        for connection in core::mem::take(&mut self.hosts[node.0 as usize].connections) {
            self.end_connection(connection, [true; 2], &broken, inbox);
        }
    }

    /// Books what is open: unchokes that last until now.
    pub fn close_books(&mut self) {
        for connection in 0..self.connections.len() as u32 {
            self.choked(End {
                connection,
                side: 0,
            });
            self.choked(End {
                connection,
                side: 1,
            });
        }
    }

    /// Makes a node spoil one of so many blocks that it sends, always to the same bad contents.
    pub fn spoil(&mut self, node: NodeKey, one_in: u32) {
        self.hosts[node.0 as usize].spoils_one_in = one_in;
    }

    /// Changes a node's line.
    pub fn set_line(&mut self, node: NodeKey, line: Line) {
        if let Some(packets) = &mut self.packets {
            packets.set_rates(node.0, [line.up_bytes_per_sec, line.down_bytes_per_sec]);
        }
        let at = node.0 as usize;
        self.rates[0][at].bytes_per_sec = line.up_bytes_per_sec;
        self.rates[1][at].bytes_per_sec = line.down_bytes_per_sec;
        self.hosts[at].line = line;
    }

    /// A node's line.
    #[must_use]
    pub fn line(&self, node: NodeKey) -> Line {
        self.hosts[node.0 as usize].line
    }

    /// What was counted until now.
    #[must_use]
    pub const fn books(&self) -> &Books {
        &self.books
    }

    /// The first line that carried more than it could.
    #[must_use]
    pub fn overrun(&self) -> Option<Breach> {
        let packets = self.packets.as_ref();
        match packets.and_then(Packets::overrun) {
            Some((rule, node, found, expected)) => Some(Breach {
                rule,
                tick: self.tick,
                node: NodeKey(node),
                found,
                expected,
            }),
            None => self.meter.breach(),
        }
    }

    /// The first node of whose payload bytes are missing or too many: looks at all that is afloat.
    #[must_use]
    pub fn astray(&self) -> Option<Breach> {
        let mut afloat = vec![Afloat::default(); self.hosts.len()];
        let senders = self.connections.iter().flat_map(|row| row.nodes);
        for (at, (node, pipe)) in senders.zip(&self.pipes).enumerate() {
            let packets = self.packets.as_ref();
            let there = packets.map_or_else(Afloat::default, |packets| packets.afloat(at));
            // Who was dialed in vain is nobody, and has nothing.
            if let Some(of) = afloat.get_mut(node as usize) {
                of.waiting += pipe.payload_bytes() + there.waiting;
                of.under_way += there.under_way;
            }
        }
        for (end, arrival) in self.under_way.iter() {
            if let Arrival::Item(item) = arrival {
                let nodes = self.connections[end.connection as usize].nodes;
                let from = nodes[usize::from(end.other().side)];
                afloat[from as usize].under_way += item.payload_bytes();
            }
        }
        self.books.breach(self.tick, &afloat)
    }

    /// Says what is on a torrent's disk before the torrent is added; nothing is on others.
    pub fn place(&mut self, torrent: TorrentKey, have: Bitfield) {
        self.disks.place(torrent, have);
    }

    /// Lets the tracker answer nobody before `until`.
    pub fn fail_tracker(&mut self, until: EngineTime) {
        self.tracker.fail(until);
    }

    /// The node goes without a word: what it sent arrives, then there is silence. Its own side sees
    /// all connections close.
    pub fn crash(&mut self, node: NodeKey, inbox: &mut Inbox) {
        let host = &mut self.hosts[node.0 as usize];
        host.alive = false;
        let crashed = CloseReason::Broken("the node crashed".to_owned());
        for connection in core::mem::take(&mut host.connections) {
            let told = self.connections[connection as usize]
                .nodes
                .map(|other| other == node.0);
            self.end_connection(connection, told, &crashed, inbox);
        }
    }

    /// The instant up to which the simulation has come.
    #[must_use]
    pub const fn now(&self) -> EngineTime {
        EngineTime::from_nanos(self.tick * self.tick_nanos)
    }

    /// Whether any line has something to send.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        !self.busy.is_empty() || self.packets.as_ref().is_some_and(Packets::is_moving)
    }

    /// When the next thing arrives, if nothing more is sent. Exact while nothing [is
    /// moving](Self::is_moving).
    #[must_use]
    pub fn next_arrival(&self) -> EngineTime {
        let ticks = [self.under_way.next_tick(), self.answers.next_tick()];
        ticks
            .into_iter()
            .flatten()
            .min()
            .map_or(EngineTime::NEVER, |tick| {
                EngineTime::from_nanos(tick.saturating_mul(self.tick_nanos))
            })
    }

    /// Moves time on by one tick: bytes move, what arrives goes to the inbox.
    pub fn advance(&mut self, inbox: &mut Inbox) {
        self.tick += 1;
        self.transfer(inbox);
        self.run_packets(inbox);
        while let Some(mut list) = self.under_way.take(self.tick) {
            let mut arriving = list.drain(..);
            while !arriving.as_slice().is_empty() {
                self.look_at_arrivals(arriving.as_slice());
                for (end, arrival) in arriving.by_ref().take(LOOK) {
                    self.arrive(end, arrival, inbox);
                }
            }
            drop(arriving);
            self.under_way.recycle(list);
        }
        while let Some(mut list) = self.answers.take(self.tick) {
            inbox.tracker.extend(list.drain(..));
            self.answers.recycle(list);
        }
    }

    /// Moves time on over ticks in which nothing moves and nothing arrives.
    ///
    /// # Panics
    /// When something does.
    pub fn skip_to(&mut self, tick: u64) {
        assert!(!self.is_moving(), "bytes are moving");
        while self.tick < tick {
            self.tick += 1;
            let nothing = |empty: bool| assert!(empty, "something arrives");
            if let Some(list) = self.under_way.take(self.tick) {
                nothing(list.is_empty());
                self.under_way.recycle(list);
            }
            if let Some(list) = self.answers.take(self.tick) {
                nothing(list.is_empty());
                self.answers.recycle(list);
            }
        }
    }

    /// The number of the present tick.
    #[must_use]
    pub const fn tick(&self) -> u64 {
        self.tick
    }

    /// Takes what the engine decided. Disks and hashers answer at once.
    pub fn carry_out(&mut self, outbox: &mut Outbox, inbox: &mut Inbox) {
        let mut commands = outbox.net.drain(..);
        while !commands.as_slice().is_empty() {
            self.look_at_commands(commands.as_slice());
            for command in commands.by_ref().take(LOOK) {
                self.net(command, inbox);
            }
        }
        drop(commands);
        for command in outbox.disk.drain(..) {
            self.disks.carry_out(command, &mut inbox.disk);
        }
        inbox.hash.extend(outbox.hash.drain(..).map(judge));
        for command in outbox.tracker.drain(..) {
            self.ask_tracker(command);
        }
    }

    fn ask_tracker(&mut self, command: TrackerCommand) {
        let torrent = match &command {
            TrackerCommand::Announce { torrent, .. } | TrackerCommand::Scrape { torrent, .. } => {
                *torrent
            }
        };
        let node = NodeKey(torrent.0);
        if !self.hosts[node.0 as usize].alive {
            return;
        }
        let from = addr_of(node).ip();
        let event = self.tracker.answer(self.now(), from, command);
        let tick = self.tick_after(TRACKER_RTT);
        self.answers.put(tick, event);
    }

    pub(super) fn tick_after(&self, delay: Duration) -> u64 {
        let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        self.tick + nanos.div_ceil(self.tick_nanos).max(1)
    }

    pub(super) fn end_of(&self, peer: PeerKey) -> Option<End> {
        let number = peer.raw() >> 1;
        let (connection, side) = if peer.is_incoming() {
            (u32::try_from(number).ok()?, 1)
        } else {
            let at = usize::try_from(number).ok()?;
            (*self.dialed.get(at)?, 0)
        };
        (connection != NOWHERE).then_some(End { connection, side })
    }
}
