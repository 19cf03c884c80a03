//! Packets behind the port: what the engine sends goes into streams, what comes out goes to it.

use dunlin_port::Inbox;
use dunlin_port::net::NetEvent;

use super::Outcome;
use crate::sim::connections::{Arrival, End, Item};
use crate::sim::ports::SimPorts;

impl SimPorts {
    /// Lets packets move up to the present tick.
    pub(in crate::sim) fn run_packets(&mut self, inbox: &mut Inbox) {
        let now = self.now().as_nanos();
        let mut outcomes = Vec::new();
        if let Some(packets) = &mut self.packets {
            packets.run(now, &mut |stream, outcome| outcomes.push((stream, outcome)));
        }
        self.tell(outcomes, inbox);
    }

    /// Sends something in packets.
    pub(in crate::sim) fn write_packets(&mut self, end: End, item: Item, inbox: &mut Inbox) {
        let now = self.now().as_nanos();
        let mut outcomes = Vec::new();
        if let Some(packets) = &mut self.packets {
            let mut note = |stream, outcome| outcomes.push((stream, outcome));
            packets.write(now, end.at(), item, &mut note);
        }
        self.tell(outcomes, inbox);
    }

    fn tell(&mut self, outcomes: Vec<(usize, Outcome)>, inbox: &mut Inbox) {
        for (stream, outcome) in outcomes {
            let end = End {
                connection: (stream / 2) as u32,
                side: (stream % 2) as u8,
            };
            match outcome {
                Outcome::There(item) => self.arrive(end.other(), Arrival::Item(item), inbox),
                Outcome::Left(bytes) => {
                    let row = &self.connections[end.connection as usize];
                    let side = usize::from(end.side);
                    let peer = row.peers[side];
                    self.books.payload_sent(row.nodes[side], bytes);
                    inbox.net.push_back(NetEvent::Sent { peer, bytes });
                }
            }
        }
    }
}
