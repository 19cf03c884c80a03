//! All simulated ports together.

use core::time::Duration;
use std::net::SocketAddr;

use dunlin_base::{Bitfield, EngineTime, NodeKey, PeerKey, TorrentKey};
use dunlin_port::net::{CloseReason, NetCommand, NetEvent};
use dunlin_port::tracker::{TrackerCommand, TrackerEvent};
use dunlin_port::{BlockBuffer, Inbox, Outbox};
use dunlin_protocol::wire::Message;

use super::books::Books;
use super::connections::{Arrival, Connection, End, Item, NEVER, NOWHERE, Pipe};
use super::delivery::Delivery;
use super::disk::Disks;
use super::flow::{Flow, Shares};
use super::hash::judge;
use super::host::Host;
use super::line::{Line, Regions, addr_of, loss_cap, node_of};
use super::sending::{Sending, scaled};
use super::tracker::Tracker;
use crate::tracker_server::TrackerServerOptions;

/// After so long a connection attempt that nobody answers is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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
}

/// The outside of a world of nodes, in virtual time. Each node has one torrent, whose key has the
/// node's number.
pub struct SimPorts {
    pub(super) tick_nanos: u64,
    pub(super) tick: u64,
    regions: Regions,
    pub(super) hosts: Vec<Host>,
    /// Hosts with something to send.
    pub(super) busy: Vec<u32>,
    pub(super) connections: Vec<Connection>,
    /// What waits at each end, two by two: see [`End::at`].
    pub(super) pipes: Vec<Pipe>,
    /// Connection of the n-th key that the engine chose.
    dialed: Vec<u32>,
    pub(super) under_way: Delivery<(End, Arrival)>,
    answers: Delivery<TrackerEvent>,
    disks: Disks,
    tracker: Tracker,
    pub(super) books: Books,
    pub(super) shares: Shares,
    pub(super) flows: Vec<Flow>,
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
        Self {
            tick_nanos,
            tick: 0,
            regions: settings.regions,
            hosts: Vec::new(),
            busy: Vec::new(),
            connections: Vec::new(),
            pipes: Vec::new(),
            dialed: Vec::new(),
            under_way: Delivery::new(),
            answers: Delivery::new(),
            disks: Disks::default(),
            tracker: Tracker::new(settings.tracker, settings.seed),
            books: Books::new(settings.groups),
            shares: Shares::default(),
            flows: Vec::new(),
            up: Vec::new(),
            down: Vec::new(),
        }
    }

    /// Gives the next node its line and its group; nodes are numbered from 0. It is not there before
    /// it [joins](Self::join).
    ///
    /// # Panics
    /// When the line's region or the group is not there.
    pub fn add_host(&mut self, line: Line, group: u16) -> NodeKey {
        assert!(
            usize::from(line.region.0) < self.regions.count(),
            "{:?} is not there",
            line.region
        );
        let node = NodeKey(self.hosts.len() as u32);
        self.books.enter(group);
        self.hosts.push(Host::new(line));
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

    /// Ends a connection at once; the ends that are to be told are.
    fn end_connection(
        &mut self,
        connection: u32,
        told: [bool; 2],
        reason: &CloseReason,
        inbox: &mut Inbox,
    ) {
        for side in 0..2_u8 {
            let end = End { connection, side };
            self.choked(end);
            self.clear(end);
            let row = &mut self.connections[connection as usize];
            let at = usize::from(side);
            if told[at] && core::mem::take(&mut row.open[at]) {
                let (peer, reason) = (row.peers[at], reason.clone());
                inbox.net.push_back(NetEvent::Closed { peer, reason });
            }
        }
    }

    /// Throws away what waits at an end.
    fn clear(&mut self, end: End) {
        self.pipes[end.at()].clear();
        let row = &self.connections[end.connection as usize];
        let side = usize::from(end.side);
        if row.places[side] != NOWHERE {
            let busy = &mut self.hosts[row.nodes[side] as usize].busy;
            let sending = &mut busy[row.places[side] as usize];
            (sending.backlog, sending.head) = (0, 0);
        }
    }

    /// Books the time for which an end had the other unchoked.
    fn choked(&mut self, end: End) {
        let row = &mut self.connections[end.connection as usize];
        let side = usize::from(end.side);
        let since = core::mem::replace(&mut row.unchoked[side], NEVER);
        if since != NEVER {
            let nanos = (self.tick - since) * self.tick_nanos;
            self.books
                .unchoked(row.nodes[side], row.nodes[1 - side], nanos);
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
        self.hosts[node.0 as usize].line = line;
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
    pub const fn is_moving(&self) -> bool {
        !self.busy.is_empty()
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
        while let Some(mut list) = self.under_way.take(self.tick) {
            for (end, arrival) in list.drain(..) {
                self.arrive(end, arrival, inbox);
            }
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
        for command in outbox.net.drain(..) {
            self.net(command, inbox);
        }
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

    fn tick_after(&self, delay: Duration) -> u64 {
        let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        self.tick + nanos.div_ceil(self.tick_nanos).max(1)
    }

    fn end_of(&self, peer: PeerKey) -> Option<End> {
        let number = peer.raw() >> 1;
        let (connection, side) = if peer.is_incoming() {
            (u32::try_from(number).ok()?, 1)
        } else {
            let at = usize::try_from(number).ok()?;
            (*self.dialed.get(at)?, 0)
        };
        (connection != NOWHERE).then_some(End { connection, side })
    }

    fn net(&mut self, command: NetCommand, inbox: &mut Inbox) {
        match command {
            NetCommand::Connect { peer, node, addr } => self.connect(peer, node, addr),
            NetCommand::Handshake { peer, handshake } => {
                self.send(peer, Item::Handshake(Box::new(handshake)));
            }
            NetCommand::Send { peer, message } => {
                self.send(peer, Item::Message(message));
            }
            NetCommand::SendBlock {
                peer,
                piece,
                begin,
                payload,
            } => {
                let bytes = payload.len() as u32;
                let Some(end) = self.end_of(peer) else { return };
                let node = self.connections[end.connection as usize].nodes[usize::from(end.side)];
                let mark = self.mark(node);
                let block = Item::Block {
                    piece: piece.0,
                    begin,
                    len: bytes,
                    mark,
                };
                if !self.send(peer, block) {
                    inbox.net.push_back(NetEvent::Sent { peer, bytes });
                }
            }
            NetCommand::Close { peer } => self.close(peer),
        }
    }

    /// The mark of the next block that a node sends: 0 unless it spoils it.
    fn mark(&mut self, node: u32) -> u32 {
        let host = &mut self.hosts[node as usize];
        host.blocks_sent = host.blocks_sent.wrapping_add(1);
        let spoiled = host.spoils_one_in > 0 && host.blocks_sent.is_multiple_of(host.spoils_one_in);
        if spoiled { node + 1 } else { 0 }
    }

    fn connect(&mut self, peer: PeerKey, node: NodeKey, addr: SocketAddr) {
        let number = (peer.raw() >> 1) as usize;
        if self.dialed.len() <= number {
            self.dialed.resize(number + 1, NOWHERE);
        }
        let connection = self.connections.len() as u32;
        self.dialed[number] = connection;
        let here = self.hosts[node.0 as usize].line;
        let there = node_of(addr.ip()).filter(|there| {
            let host = self.hosts.get(there.0 as usize);
            host.is_some_and(|host| host.alive && host.line.reachable)
        });
        let line = there.map(|there| self.hosts[there.0 as usize].line);
        let delay = line.map_or(Duration::ZERO, |line| self.regions.one_way(&here, &line));
        let loss = here.loss_ppm.max(line.map_or(0, |line| line.loss_ppm));
        let cap = loss_cap(delay * 2, loss);
        self.connections.push(Connection {
            peers: [peer, PeerKey::incoming(u64::from(connection))],
            nodes: [node.0, there.map_or(NOWHERE, |there| there.0)],
            open: [true, there.is_some()],
            delay_nanos: u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX),
            places: [NOWHERE; 2],
            unchoked: [NEVER; 2],
        });
        self.pipes.extend([Pipe::new(cap), Pipe::new(cap)]);
        for end in [Some(node), there].into_iter().flatten() {
            self.hosts[end.0 as usize].connections.push(connection);
        }
        let dialer = End {
            connection,
            side: 0,
        };
        if there.is_none() {
            let tick = self.tick_after(CONNECT_TIMEOUT);
            let closed = Arrival::Closed(CloseReason::ConnectTimeout);
            self.under_way.put(tick, (dialer, closed));
            return;
        }
        let round_trip = self.tick_after(delay * 2);
        self.under_way.put(round_trip, (dialer, Arrival::Connected));
        self.under_way
            .put(round_trip, (dialer.other(), Arrival::Accepted));
    }

    /// Hands something to a connection; says whether it took it.
    fn send(&mut self, peer: PeerKey, item: Item) -> bool {
        let Some(end) = self.end_of(peer) else {
            return false;
        };
        let row = &mut self.connections[end.connection as usize];
        let side = usize::from(end.side);
        if !row.open[side] {
            return false;
        }
        self.books
            .note_control(row.nodes[side], item.control_bytes());
        match item {
            Item::Message(Message::Unchoke) if row.unchoked[side] == NEVER => {
                row.unchoked[side] = self.tick;
            }
            Item::Message(Message::Choke) => self.choked(end),
            Item::Handshake(_) | Item::Message(_) | Item::Block { .. } => {}
        }
        let row = &self.connections[end.connection as usize];
        let host = &mut self.hosts[row.nodes[side] as usize];
        let sending = host.busy.get_mut(row.places[side] as usize);
        let is_payload = matches!(item, Item::Block { .. });
        let bytes = item.line_bytes();
        if !is_payload && sending.as_ref().is_none_or(|row| row.backlog == 0) {
            // Nothing is in its way, and it is too small to wait for a share of the line.
            host.owe(self.tick, self.tick_nanos, bytes);
            let delay = row.delay_nanos.div_ceil(self.tick_nanos).max(1);
            self.under_way
                .put(self.tick + delay, (end.other(), Arrival::Item(item)));
            return true;
        }
        self.pipes[end.at()].push(item);
        match sending {
            Some(sending) => sending.backlog += bytes,
            None => self.list(end, bytes),
        }
        true
    }

    /// Notes that something is to leave by an end where nothing was.
    fn list(&mut self, end: End, backlog: u64) {
        let row = &mut self.connections[end.connection as usize];
        let side = usize::from(end.side);
        let (from, pipe) = (row.nodes[side], &self.pipes[end.at()]);
        let loss_cap = match pipe.cap_bytes_per_sec {
            u64::MAX => u64::MAX,
            cap => scaled(cap, self.tick_nanos, 1_000_000_000),
        };
        let host = &mut self.hosts[from as usize];
        row.places[side] = host.busy.len() as u32;
        host.busy.push(Sending {
            end,
            to: row.nodes[1 - side],
            backlog,
            head: 0,
            window: pipe.window,
            loss_cap,
            rtt_nanos: 2 * row.delay_nanos,
        });
        if !core::mem::replace(&mut host.listed, true) {
            self.busy.push(from);
        }
    }

    fn close(&mut self, peer: PeerKey) {
        let Some(end) = self.end_of(peer) else { return };
        let row = &mut self.connections[end.connection as usize];
        let side = usize::from(end.side);
        if !core::mem::take(&mut row.open[side]) {
            return;
        }
        self.clear(end);
        self.choked(end);
        let row = &self.connections[end.connection as usize];
        if row.open[1 - side] {
            let delay = row.delay_nanos.div_ceil(self.tick_nanos).max(1);
            let closed = Arrival::Closed(CloseReason::Remote);
            self.under_way.put(self.tick + delay, (end.other(), closed));
        }
    }

    fn arrive(&mut self, end: End, arrival: Arrival, inbox: &mut Inbox) {
        let row = &mut self.connections[end.connection as usize];
        let side = usize::from(end.side);
        if !row.open[side] {
            return;
        }
        let peer = row.peers[side];
        let event = match arrival {
            Arrival::Connected => NetEvent::Connected { peer },
            Arrival::Accepted => {
                let from = addr_of(NodeKey(row.nodes[1 - side])).ip();
                NetEvent::Accepted {
                    peer,
                    node: NodeKey(row.nodes[side]),
                    // A port of the dialer's own choice; it cannot be reached there.
                    addr: SocketAddr::new(from, 40_000),
                }
            }
            Arrival::Item(Item::Handshake(handshake)) => NetEvent::Handshake {
                peer,
                handshake: *handshake,
            },
            Arrival::Item(Item::Message(message)) => NetEvent::Message { peer, message },
            Arrival::Item(Item::Block {
                piece,
                begin,
                len,
                mark,
            }) => {
                let [to, from] = [row.nodes[side], row.nodes[1 - side]];
                self.books.payload_received(to, from, len);
                NetEvent::Block {
                    peer,
                    piece,
                    begin,
                    payload: BlockBuffer::declared(len, mark),
                }
            }
            Arrival::Closed(reason) => {
                row.open[side] = false;
                self.clear(end);
                self.choked(end);
                NetEvent::Closed { peer, reason }
            }
        };
        inbox.net.push_back(event);
    }
}
