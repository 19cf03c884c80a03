//! What the engine asks of connections, and what arrives at their ends.

use core::time::Duration;
use std::net::SocketAddr;

use dunlin_base::{NodeKey, PeerKey};
use dunlin_port::net::{CloseReason, NetCommand, NetEvent};
use dunlin_port::{BlockBuffer, Inbox};
use dunlin_protocol::wire::Message;

use super::books::Afloat;
use super::connections::{Arrival, Connection, End, Item, NEVER, NOWHERE, Pipe};
use super::line::{Transport, addr_of, loss_cap, node_of};
use super::ports::SimPorts;
use super::queue::TARGET;
use super::sending::{Sending, scaled};

/// After so long a connection attempt that nobody answers is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl SimPorts {
    pub(super) fn net(&mut self, command: NetCommand, inbox: &mut Inbox) {
        match command {
            NetCommand::Connect { peer, node, addr } => self.connect(peer, node, addr),
            NetCommand::Handshake { peer, handshake } => {
                self.send(peer, Item::Handshake(Box::new(handshake)), inbox);
            }
            NetCommand::Send { peer, message } => {
                self.send(peer, Item::Message(message), inbox);
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
                if !self.send(peer, block, inbox) {
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
        let delay_nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        self.connections.push(Connection {
            peers: [peer, PeerKey::incoming(u64::from(connection))],
            nodes: [node.0, there.map_or(NOWHERE, |there| there.0)],
            open: [true, there.is_some()],
            utp: here.transport == Transport::Utp,
            delay_nanos,
            places: [NOWHERE; 2],
            unchoked: [NEVER; 2],
        });
        self.pipes.extend([Pipe::new(cap), Pipe::new(cap)]);
        if let Some(packets) = &mut self.packets {
            let ends = [node.0, there.map_or(node.0, |there| there.0)];
            let utp = here.transport == Transport::Utp;
            packets.open(ends, delay_nanos, loss, utp);
        }
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
    fn send(&mut self, peer: PeerKey, item: Item, inbox: &mut Inbox) -> bool {
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
        if let Item::Block { len, .. } = item {
            self.books.payload_handed(row.nodes[side], len);
        }
        match item {
            Item::Message(Message::Unchoke) if row.unchoked[side] == NEVER => {
                row.unchoked[side] = self.tick;
            }
            Item::Message(Message::Choke) => self.choked(end),
            Item::Handshake(_) | Item::Message(_) | Item::Block { .. } => {}
        }
        if self.packets.is_some() {
            self.write_packets(end, item, inbox);
            return true;
        }
        let row = &self.connections[end.connection as usize];
        let from = row.nodes[side] as usize;
        let outgoing = &mut self.outgoing[from];
        let sending = outgoing.busy.get_mut(row.places[side] as usize);
        let is_payload = matches!(item, Item::Block { .. });
        let bytes = item.line_bytes();
        if !is_payload && sending.as_ref().is_none_or(|row| row.backlog == 0) {
            // Nothing is in its way, and it is too small to wait for a share of the line.
            let line = self.rates[0][from].bytes_per_sec;
            outgoing.owe(self.tick, self.tick_nanos, line, bytes);
            let waits = self.queues.waits(row.nodes[side], row.nodes[1 - side]);
            let delay = (row.delay_nanos + waits).div_ceil(self.tick_nanos).max(1);
            let mut at = self.tick + delay;
            if self.has_buffers {
                // What left through a longer queue is still before it.
                let last = &mut self.pipes[end.at()].arrives_at;
                at = at.max(*last);
                *last = at;
            }
            self.under_way.put(at, (end.other(), Arrival::Item(item)));
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
        // LEDBAT does not notice a queue that is full before its target is reached.
        let to = row.nodes[1 - side];
        let notices = |line: u32| {
            let host = self.hosts.get(line as usize);
            host.is_none_or(|host| host.line.buffer.is_none_or(|buffer| buffer >= TARGET))
        };
        let yields = row.utp && notices(from) && notices(to);
        let outgoing = &mut self.outgoing[from as usize];
        row.places[side] = outgoing.busy.len() as u32;
        outgoing.busy.push(Sending {
            end,
            to,
            backlog,
            head: 0,
            window: pipe.window,
            loss_cap,
            rtt_nanos: 2 * row.delay_nanos,
            queue_nanos: 0,
            yields,
        });
        if !core::mem::replace(&mut outgoing.listed, true) {
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

    pub(super) fn arrive(&mut self, end: End, arrival: Arrival, inbox: &mut Inbox) {
        let row = &mut self.connections[end.connection as usize];
        let side = usize::from(end.side);
        if !row.open[side] {
            if let Arrival::Item(item) = arrival {
                let lost = Afloat {
                    waiting: 0,
                    under_way: item.payload_bytes(),
                };
                self.books.payload_ended(row.nodes[1 - side], lost);
            }
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

    /// Ends a connection at once; the ends that are to be told are.
    pub(super) fn end_connection(
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
        let pipe = &mut self.pipes[end.at()];
        let mut ended = Afloat {
            waiting: pipe.payload_bytes(),
            under_way: 0,
        };
        pipe.clear();
        if let Some(packets) = &mut self.packets {
            ended = packets.clear(end.at());
        }
        let row = &self.connections[end.connection as usize];
        let side = usize::from(end.side);
        if ended != Afloat::default() {
            self.books.payload_ended(row.nodes[side], ended);
        }
        if row.places[side] != NOWHERE {
            let busy = &mut self.outgoing[row.nodes[side] as usize].busy;
            let sending = &mut busy[row.places[side] as usize];
            (sending.backlog, sending.head) = (0, 0);
            self.emptied.push(row.nodes[side]);
        }
    }

    /// Books the time for which an end had the other unchoked.
    pub(super) fn choked(&mut self, end: End) {
        let row = &mut self.connections[end.connection as usize];
        let side = usize::from(end.side);
        let since = core::mem::replace(&mut row.unchoked[side], NEVER);
        if since != NEVER {
            let nanos = (self.tick - since) * self.tick_nanos;
            self.books
                .unchoked(row.nodes[side], row.nodes[1 - side], nanos);
        }
    }
}
