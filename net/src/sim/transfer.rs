//! The bytes of one tick: what may leave by which line, and what has left.

use dunlin_base::{LOOK, prefetch};
use dunlin_port::Inbox;
use dunlin_port::net::NetEvent;

use super::connections::{Arrival, Item, NOWHERE};
use super::flow::Flow;
use super::ports::SimPorts;
use super::queue::ledbat_floor;
use super::sending::Sending;

impl SimPorts {
    /// Shares the lines and moves the bytes of one tick.
    pub(super) fn transfer(&mut self, inbox: &mut Inbox) {
        if self.busy.is_empty() {
            self.queues.empty();
            return;
        }
        self.gather();
        let (flows, up, down) = (&mut self.flows, &self.up, &self.down);
        if self.has_utp {
            self.turns
                .compute(&mut self.shares, flows, &self.floors, up, down);
        } else {
            self.shares.compute(flows, up, down);
        }
        self.carry(inbox);
        if self.has_buffers {
            let budgets = [&*self.up, &*self.down];
            self.queues
                .measure(&self.hosts, &self.flows, &self.floors, budgets);
        }
        self.let_go();
    }

    /// Moves what each flow may send, and sends on what has left whole.
    fn carry(&mut self, inbox: &mut Inbox) {
        let Self {
            flows,
            busy,
            emptied,
            outgoing,
            connections,
            pipes,
            under_way,
            tick,
            tick_nanos,
            books,
            meter,
            up,
            down,
            ..
        } = self;
        meter.begin(down);
        let mut shares = flows.iter().map(|flow| flow.share);
        for &from in &*busy {
            let rows = &mut outgoing[from as usize].busy;
            let mut moved = 0;
            for (row, share) in rows.iter_mut().zip(&mut shares) {
                if share == 0 {
                    continue;
                }
                moved += share;
                meter.came(*tick, row.to, share, down);
                // Most ticks move a part of a block, and then there is nothing else to look at.
                if !row.leave(share) {
                    continue;
                }
                let end = row.end;
                let connection = &connections[end.connection as usize];
                let peer = connection.peers[usize::from(end.side)];
                // What leaves during a tick is there at the first tick that its delay has passed by.
                let delay = connection.delay_nanos + row.queue_nanos;
                let pipe = &mut pipes[end.at()];
                let at = pipe.arrives_at.max(*tick + delay.div_ceil(*tick_nanos));
                pipe.arrives_at = at;
                row.head = pipe.drain(row.head, share, |item| {
                    if let Item::Block { len, .. } = item {
                        books.payload_sent(from, len);
                        inbox.net.push_back(NetEvent::Sent { peer, bytes: len });
                    }
                    under_way.put(at, (end.other(), Arrival::Item(item)));
                });
                if row.backlog == 0 && emptied.last() != Some(&from) {
                    emptied.push(from);
                }
            }
            meter.left(*tick, from, moved, up[from as usize]);
        }
    }

    /// Lists what wants to be sent, and what each line can carry.
    fn gather(&mut self) {
        self.flows.clear();
        self.floors.clear();
        self.up.resize(self.hosts.len(), 0);
        self.down.clear();
        let [up, down] = &mut self.rates;
        let budgets = down.iter_mut().map(|rate| rate.budget(self.tick_nanos));
        self.down.extend(budgets);
        for (at, &from) in self.busy.iter().enumerate() {
            if let Some(next) = self.busy.get(at + 2 * LOOK) {
                prefetch(&self.outgoing[*next as usize]);
            }
            if let Some(next) = self.busy.get(at + LOOK) {
                let busy = &self.outgoing[*next as usize].busy;
                busy.iter().for_each(prefetch);
            }
            let outgoing = &mut self.outgoing[from as usize];
            let line = &mut up[from as usize];
            self.up[from as usize] = line.budget(self.tick_nanos);
            let debt = outgoing.debt.min(self.up[from as usize]);
            outgoing.pay(self.tick, self.tick_nanos, line.bytes_per_sec);
            self.up[from as usize] -= debt;
            if self.has_buffers {
                for row in &mut outgoing.busy {
                    row.queue_nanos = self.queues.waits(from, row.to);
                }
            }
            if self.has_utp {
                let tick_nanos = self.tick_nanos;
                let floor = |row: &Sending| {
                    let rtt_nanos = row.rtt_nanos + row.queue_nanos;
                    row.yields.then(|| ledbat_floor(tick_nanos, rtt_nanos))
                };
                self.floors.extend(outgoing.busy.iter().map(floor));
            }
            let part = self.up[from as usize] / outgoing.busy.len().max(1) as u64;
            self.flows.extend(outgoing.busy.iter().map(|row| {
                let want = row.want(self.tick_nanos);
                // Something of it will probably have left whole.
                if u64::from(row.head) <= want.min(part) {
                    self.pipes[row.end.at()].prefetch();
                    prefetch(&self.connections[row.end.connection as usize]);
                }
                Flow {
                    from,
                    to: row.to,
                    want,
                    share: 0,
                }
            }));
        }
    }

    /// Takes ends from which nothing is to leave any more off the lists.
    fn let_go(&mut self) {
        let mut resting = false;
        for from in self.emptied.drain(..) {
            let outgoing = &mut self.outgoing[from as usize];
            // Most rows stay where they are: only of those that move, or go, the connection is looked at.
            let (mut at, mut place) = (0, 0);
            outgoing.busy.retain(|row| {
                let stays = row.backlog > 0;
                if !stays || place != at {
                    let places = &mut self.connections[row.end.connection as usize].places;
                    places[usize::from(row.end.side)] = if stays { place } else { NOWHERE };
                }
                if !stays {
                    self.pipes[row.end.at()].window = row.window;
                }
                at += 1;
                place += u32::from(stays);
                stays
            });
            outgoing.listed = !outgoing.busy.is_empty();
            resting |= !outgoing.listed;
        }
        if resting {
            self.busy
                .retain(|&from| self.outgoing[from as usize].listed);
        }
    }
}
