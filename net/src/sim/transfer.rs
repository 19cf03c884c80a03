//! The bytes of one tick: what may leave by which line, and what has left.

use dunlin_port::Inbox;
use dunlin_port::net::NetEvent;

use super::connections::{Arrival, Item};
use super::flow::Flow;
use super::ports::SimPorts;

impl SimPorts {
    /// Shares the lines and moves the bytes of one tick.
    pub(super) fn transfer(&mut self, inbox: &mut Inbox) {
        if self.busy.is_empty() {
            return;
        }
        self.gather();
        self.shares.compute(&mut self.flows, &self.up, &self.down);
        let Self {
            flows,
            ends,
            connections,
            under_way,
            tick,
            tick_nanos,
            books,
            ..
        } = self;
        for (flow, &end) in flows.iter().zip(&*ends) {
            if flow.share == 0 {
                continue;
            }
            let row = &mut connections[end.connection as usize];
            let side = usize::from(end.side);
            let (peer, delay) = (row.peers[side], row.delay_nanos);
            // What leaves during a tick is there at the first tick that its delay has passed by.
            let at = *tick + delay.div_ceil(*tick_nanos);
            row.pipes[side].drain(flow.share, |item| {
                if let Item::Block { len, .. } = item {
                    books.payload_sent(flow.from, len);
                    inbox.net.push_back(NetEvent::Sent { peer, bytes: len });
                }
                under_way.put(at, (end.other(), Arrival::Item(item)));
            });
        }
        self.let_go();
    }

    /// Lists what wants to be sent, and what each line can carry.
    fn gather(&mut self) {
        self.flows.clear();
        self.ends.clear();
        self.up.resize(self.hosts.len(), 0);
        self.down.clear();
        for host in &mut self.hosts {
            self.down.push(host.budget(1, self.tick_nanos));
        }
        for &from in &self.busy {
            let host = &mut self.hosts[from as usize];
            self.up[from as usize] = host.budget(0, self.tick_nanos);
            let debt = host.debt.min(self.up[from as usize]);
            host.pay(self.tick, self.tick_nanos);
            self.up[from as usize] -= debt;
            for &end in &host.busy {
                let row = &self.connections[end.connection as usize];
                let side = usize::from(end.side);
                let want = row.pipes[side].want(self.tick_nanos, 2 * row.delay_nanos);
                self.ends.push(end);
                self.flows.push(Flow {
                    from,
                    to: row.nodes[1 - side],
                    want,
                    share: 0,
                });
            }
        }
    }

    /// Takes pipes without backlog off the lists.
    fn let_go(&mut self) {
        let Self {
            busy,
            hosts,
            connections,
            ..
        } = self;
        busy.retain(|&from| {
            let host = &mut hosts[from as usize];
            host.busy.retain(|&end| {
                let pipe = connections[end.connection as usize].pipe(end);
                if pipe.is_idle() {
                    pipe.listed = false;
                }
                !pipe.is_idle()
            });
            if host.busy.is_empty() {
                host.listed = false;
            }
            !host.busy.is_empty()
        });
    }
}
