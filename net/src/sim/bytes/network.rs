//! Connections between hosts: set up, fed, drained, broken.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use dunlin_base::{EngineTime, NodeKey, PeerKey};
use dunlin_port::net::{CloseReason, NetCommand, NetEvent};
use dunlin_protocol::wire::{Message, piece_header};

use super::super::{addr_of, node_of};
use super::hostile::Talk;
use super::ports::{BytePorts, Kind};
use super::stream::{Ear, Ending, Mouth, Stream};
use crate::real::reactor::{Inflow, Outflow, Pulled, UNREAD_BYTES_MAX};

/// After so long a connection attempt that nobody answers is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time between looks at streams that could not take what waits.
const RETRY: Duration = Duration::from_millis(20);

/// Connections that a hostile host opens at a time.
const CALLS_MAX: usize = 4;

/// Something that is to happen to a connection.
pub(super) enum Happening {
    /// It stands.
    Established(u32),
    /// It never will: who dialed, by which key, and why.
    Failed(NodeKey, PeerKey, CloseReason),
}

/// A connection, or an attempt at one. A stream goes out of each side.
pub(super) struct Connection {
    sides: [Side; 2],
    streams: [Stream; 2],
    established: bool,
}

/// One of its ends.
struct Side {
    host: NodeKey,
    who: Who,
}

enum Who {
    Node(Box<End>),
    Hostile(Box<Talk>),
    Gone,
}

/// A node's end.
struct End {
    peer: PeerKey,
    inflow: Inflow,
    outflow: Outflow,
    /// Payload that left and was not reported.
    sent: u32,
    /// Payload that was handed over and not reported.
    owed: u64,
}

impl End {
    fn of(peer: PeerKey) -> Who {
        Who::Node(Box::new(Self {
            peer,
            inflow: Inflow::new(peer),
            outflow: Outflow::default(),
            sent: 0,
            owed: 0,
        }))
    }
}

impl BytePorts {
    fn plan(&mut self, after: Duration, what: Happening) {
        self.planned += 1;
        self.happenings
            .insert((self.now + after, self.planned), what);
    }

    /// Carries out what a node's engine wants of the network.
    pub(super) fn network(&mut self, node: NodeKey, command: NetCommand) {
        match command {
            NetCommand::Connect { peer, addr, .. } => self.dial(node, peer, addr),
            NetCommand::Handshake { peer, handshake } => self.queue(node, peer, |end| {
                let bytes = handshake.encode();
                end.outflow
                    .push_plain(|plain| plain.extend_from_slice(&bytes));
            }),
            NetCommand::Send { peer, message } => self.queue(node, peer, |end| {
                if let Message::Request(_) = message {
                    end.inflow.ask();
                }
                end.outflow.push_message(&message);
            }),
            NetCommand::SendBlock {
                peer,
                piece,
                begin,
                payload,
            } => self.queue(node, peer, |end| {
                end.owed += payload.len() as u64;
                let header = piece_header(piece.0, begin, payload.len() as u32);
                end.outflow.push_block(header, payload);
            }),
            NetCommand::Close { peer } => {
                if let Some((connection, side)) = self.node(node).peers.remove(&peer) {
                    self.leave(connection, side, Some(Ending::Closed));
                }
            }
        }
    }

    fn queue(&mut self, node: NodeKey, peer: PeerKey, push: impl FnOnce(&mut End)) {
        let place = self.node(node).peers.get(&peer).copied();
        if let Some((connection, side)) = place
            && let Some(row) = self.connections.get_mut(&connection)
            && let Who::Node(end) = &mut row.sides[side].who
        {
            push(end);
        }
    }

    fn begin(&mut self, sides: [Side; 2]) -> u32 {
        self.connections_begun += 1;
        let number = self.connections_begun;
        for side in &sides {
            self.hosts[side.host.0 as usize].connections.insert(number);
        }
        let connection = Connection {
            sides,
            streams: Default::default(),
            established: false,
        };
        self.connections.insert(number, connection);
        number
    }

    fn dial(&mut self, node: NodeKey, peer: PeerKey, addr: SocketAddr) {
        let target = node_of(addr.ip()).filter(|target| addr == addr_of(*target));
        let row = target.and_then(|target| self.hosts.get(target.0 as usize));
        let answers = row.is_some_and(|row| match &row.kind {
            Kind::Node(node) => node.alive,
            Kind::Hostile(_) => true,
        });
        let Some(target) = target.filter(|_| answers) else {
            let refused = CloseReason::Unreachable("connection refused".to_owned());
            let (after, reason) = match self.luck.below(2) {
                0 => (CONNECT_TIMEOUT, CloseReason::ConnectTimeout),
                _ => (Duration::from_millis(50), refused),
            };
            return self.plan(after, Happening::Failed(node, peer, reason));
        };
        let sides = [
            Side {
                host: node,
                who: End::of(peer),
            },
            Side {
                host: target,
                who: Who::Gone,
            },
        ];
        let delay = self.delay(node) + self.delay(target);
        let connection = self.begin(sides);
        self.node(node).peers.insert(peer, (connection, 0));
        self.plan(delay, Happening::Established(connection));
    }

    fn delay(&self, node: NodeKey) -> Duration {
        self.hosts[node.0 as usize].line.delay
    }

    /// Lets happen what is due.
    pub(super) fn happen(&mut self) {
        while let Some(first) = self.happenings.first_entry()
            && first.key().0 <= self.now
        {
            match first.remove() {
                Happening::Failed(node, peer, reason) => {
                    let row = self.node(node);
                    if row.alive {
                        row.news.push_back(NetEvent::Closed { peer, reason });
                    }
                }
                Happening::Established(connection) => self.establish(connection),
            }
        }
    }

    fn establish(&mut self, number: u32) {
        let Some(row) = self.connections.get_mut(&number) else {
            return;
        };
        row.established = true;
        let [dialer, target] = [0, 1].map(|side| row.sides[side].host);
        if let Who::Node(end) = &row.sides[0].who {
            let peer = end.peer;
            self.node(dialer)
                .news
                .push_back(NetEvent::Connected { peer });
        }
        let now = self.now;
        let port = 30_000 + self.luck.below(20_000) as u16;
        let who = match &mut self.hosts[target.0 as usize].kind {
            Kind::Hostile(_) => Who::Hostile(Box::new(Talk::new(now))),
            Kind::Node(node) if !node.alive => Who::Gone,
            Kind::Node(node) => {
                node.accepted += 1;
                let peer = PeerKey::incoming(node.accepted);
                node.peers.insert(peer, (number, 1));
                node.news.push_back(NetEvent::Accepted {
                    peer,
                    node: target,
                    addr: SocketAddr::new(addr_of(dialer).ip(), port),
                });
                End::of(peer)
            }
        };
        let is_gone = matches!(who, Who::Gone);
        if let Some(row) = self.connections.get_mut(&number) {
            row.sides[1].who = who;
        }
        if is_gone {
            self.break_connection(number);
        }
    }

    /// A side is no more; the other hears of it as `ending` says, or not at all.
    fn leave(&mut self, number: u32, side: usize, ending: Option<Ending>) {
        let Some(row) = self.connections.get_mut(&number) else {
            return;
        };
        row.sides[side].who = Who::Gone;
        let delay = self.hosts[row.sides[side].host.0 as usize].line.delay;
        if let Some(ending) = ending {
            row.streams[side].end(self.now + delay, ending);
        }
        let waits = !row.established && side == 0;
        let all_gone = row.sides.iter().all(|side| matches!(side.who, Who::Gone));
        if waits || all_gone {
            let row = self.connections.remove(&number);
            for side in row.into_iter().flat_map(|row| row.sides) {
                self.hosts[side.host.0 as usize].connections.remove(&number);
            }
        }
    }

    /// Both ends hear that a connection broke.
    pub(super) fn break_connection(&mut self, number: u32) {
        if let Some(row) = self
            .connections
            .get_mut(&number)
            .filter(|row| row.established)
        {
            for stream in &mut row.streams {
                stream.end(self.now, Ending::Reset);
            }
        }
    }

    /// The host's process is gone; the others hear that their connections broke, or nothing.
    pub(super) fn drop_connections(&mut self, node: NodeKey) {
        // What its attempts came to must not be told to the process that comes after it.
        self.happenings
            .retain(|_, what| !matches!(what, Happening::Failed(who, ..) if *who == node));
        for (_, (connection, side)) in core::mem::take(&mut self.node(node).peers) {
            let ending = match self.luck.below(3) {
                0 => None,
                _ => Some(Ending::Reset),
            };
            self.leave(connection, side, ending);
        }
    }

    /// Hostile hosts call, listen and talk.
    pub(super) fn hostiles_act(&mut self) {
        for host in 0..self.hosts.len() as u32 {
            self.call(NodeKey(host));
        }
        let now = self.now;
        let mut left = Vec::new();
        for (&number, row) in &mut self.connections {
            for side in 0..2 {
                let Connection { sides, streams, .. } = row;
                let [to, from] = match side {
                    0 => [0, 1],
                    _ => [1, 0],
                };
                let speaker = &self.hosts[sides[from].host.0 as usize];
                let spoils = speaker.line.spoils_one_in > 0;
                let Side { host, who } = &mut sides[side];
                let (Who::Hostile(talk), Kind::Hostile(hostile)) =
                    (who, &mut self.hosts[host.0 as usize].kind)
                else {
                    continue;
                };
                if hostile.reads() {
                    let stream = &mut streams[from];
                    let luck = &mut self.luck;
                    talk.listen(&mut Ear { stream, now, luck }, spoils);
                }
                if talk.acts_at <= now && hostile.act(talk, &mut streams[to], now) {
                    left.push((number, side));
                }
                if streams[from].is_over(now) {
                    left.push((number, side));
                }
            }
        }
        for (number, side) in left {
            self.leave(number, side, Some(Ending::Closed));
        }
    }

    /// A hostile host opens another connection when it is time.
    fn call(&mut self, host: NodeKey) {
        let now = self.now;
        let nodes: Vec<NodeKey> = (0..)
            .map(NodeKey)
            .zip(&self.hosts)
            .filter_map(alive)
            .collect();
        let row = &mut self.hosts[host.0 as usize];
        let open = row.connections.len();
        let Kind::Hostile(hostile) = &mut row.kind else {
            return;
        };
        if hostile.calls_at > now {
            return;
        }
        hostile.calls_at = now + Duration::from_millis(500 + hostile.luck.below(8000));
        let Some(&target) = hostile.luck.choose(&nodes).filter(|_| open < CALLS_MAX) else {
            return;
        };
        let sides = [
            Side {
                host,
                who: Who::Hostile(Box::new(Talk::new(now))),
            },
            Side {
                host: target,
                who: Who::Gone,
            },
        ];
        let connection = self.begin(sides);
        self.plan(self.delay(host), Happening::Established(connection));
    }

    /// Writes what waits into the streams, as far as lines and windows allow.
    pub(super) fn move_bytes(&mut self, passed: Duration) {
        for host in &mut self.hosts {
            let rate = u128::from(host.line.bytes_per_sec);
            let more = rate * passed.as_nanos().min(1_000_000_000) / 1_000_000_000;
            host.budget = (host.budget + more as usize).min(host.line.bytes_per_sec as usize);
        }
        let now = self.now;
        let mut unread = Vec::new();
        for (&number, row) in self
            .connections
            .iter_mut()
            .filter(|(_, row)| row.established)
        {
            let Connection { sides, streams, .. } = row;
            for (side, (Side { host, who }, stream)) in sides.iter_mut().zip(streams).enumerate() {
                let host = &mut self.hosts[host.0 as usize];
                let Who::Node(end) = who else { continue };
                if end.outflow.is_empty() || host.stalled_until > now {
                    continue;
                }
                let mut mouth = Mouth {
                    stream,
                    now,
                    delay: host.line.delay,
                    budget: &mut host.budget,
                    luck: &mut self.luck,
                    spoils_one_in: host.line.spoils_one_in,
                };
                // The mouth has no errors of its own: a broken stream takes nothing.
                end.sent += end.outflow.flush(&mut mouth).unwrap_or_default();
                if end.outflow.plain_bytes() > UNREAD_BYTES_MAX {
                    unread.push((number, side));
                }
            }
        }
        for (number, side) in unread {
            self.fail(
                number,
                side,
                CloseReason::Broken("it does not read".to_owned()),
            );
        }
    }

    /// A node's end is over; its engine hears why.
    fn fail(&mut self, number: u32, side: usize, reason: CloseReason) {
        let Some(row) = self.connections.get(&number) else {
            return;
        };
        let host = row.sides[side].host;
        let Who::Node(end) = &row.sides[side].who else {
            return;
        };
        let peer = end.peer;
        let node = self.node(host);
        node.peers.remove(&peer);
        node.news.push_back(NetEvent::Closed { peer, reason });
        self.leave(number, side, Some(Ending::Closed));
    }

    /// Reads what has arrived for a node; tells of what has left.
    pub(super) fn pull_streams(&mut self, node: NodeKey, inbox: &mut VecDeque<NetEvent>) {
        let now = self.now;
        inbox.append(&mut self.node(node).news);
        let places: Vec<_> = self.node(node).peers.values().copied().collect();
        for (number, side) in places {
            let Self {
                hosts,
                connections,
                luck,
                ..
            } = self;
            let Kind::Node(row) = &mut hosts[node.0 as usize].kind else {
                return;
            };
            let Some(connection) = connections.get_mut(&number).filter(|row| row.established)
            else {
                continue;
            };
            let Connection { sides, streams, .. } = connection;
            let Who::Node(end) = &mut sides[side].who else {
                continue;
            };
            let (peer, bytes) = (end.peer, core::mem::take(&mut end.sent));
            if bytes > 0 {
                end.owed -= u64::from(bytes);
                inbox.push_back(NetEvent::Sent { peer, bytes });
            }
            let stream = &mut streams[1 - side];
            let mut ear = Ear { stream, now, luck };
            let over = loop {
                match end.inflow.pull(&mut ear, &mut row.landing, inbox) {
                    Ok(Pulled::Full | Pulled::NoBuffer | Pulled::Last(0)) => break None,
                    Ok(Pulled::Last(_) | Pulled::Bytes(_)) => {}
                    Err(reason) => break Some(reason),
                }
            };
            if let Some(reason) = over {
                self.fail(number, side, reason);
                inbox.append(&mut self.node(node).news);
            }
        }
        self.node(node).landing.release();
    }

    /// Payload that each of a node's connections was given and has not reported.
    #[must_use]
    pub fn owed(&self, node: NodeKey) -> BTreeMap<PeerKey, u64> {
        let rows = self.connections.values();
        let sides = rows.flat_map(|row| &row.sides);
        let ends = sides.filter(|side| side.host == node);
        let owed = ends.filter_map(|side| match &side.who {
            Who::Node(end) => Some((end.peer, end.owed)),
            Who::Hostile(_) | Who::Gone => None,
        });
        owed.filter(|(_, owed)| *owed > 0).collect()
    }

    /// When the network does something next.
    pub(super) fn network_next_at(&self) -> Option<EngineTime> {
        let soon = self.now + RETRY;
        let calls = self.hosts.iter().filter_map(|host| match &host.kind {
            Kind::Hostile(hostile) => Some(hostile.calls_at),
            Kind::Node(node) => (!node.news.is_empty()).then_some(soon),
        });
        let rows = self.connections.values().filter(|row| row.established);
        let streams = rows.flat_map(|row| {
            let sides = row
                .sides
                .iter()
                .zip(&row.streams)
                .zip(row.streams.iter().rev());
            sides.filter_map(move |((side, out), into)| match &side.who {
                Who::Gone => None,
                Who::Hostile(talk) => Some(talk.acts_at),
                Who::Node(end) => {
                    let waits = !end.outflow.is_empty() && out.room() > 0 || end.sent > 0;
                    let arrives = into.next_at().map(|at| at.max(soon));
                    waits.then_some(soon).into_iter().chain(arrives).min()
                }
            })
        });
        calls.chain(streams).min()
    }
}

/// A host whose process runs.
fn alive((node, host): (NodeKey, &super::ports::HostRow)) -> Option<NodeKey> {
    match &host.kind {
        Kind::Node(row) if row.alive => Some(node),
        Kind::Node(_) | Kind::Hostile(_) => None,
    }
}
