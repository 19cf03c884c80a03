//! Looks ahead along what is to be done: each entry leads to rows that are far from each other in memory.

use dunlin_base::{look_ahead, prefetch};
use dunlin_port::net::NetCommand;

use super::connections::{Arrival, End, Item};
use super::ports::SimPorts;

impl SimPorts {
    /// Asks for the rows of commands to come.
    pub(super) fn look_at_commands(&self, rest: &[NetCommand]) {
        let row = |end: End| &self.connections[end.connection as usize];
        let sender = |end: End| row(end).nodes[usize::from(end.side)] as usize;
        look_ahead(
            rest,
            &[
                &|command| {
                    let number = (command.peer().raw() >> 1) as usize;
                    self.dialed.get(number).into_iter().for_each(prefetch);
                },
                &|command| {
                    if let Some(end) = self.end_of(command.peer()) {
                        prefetch(row(end));
                        self.pipes[end.at()].prefetch();
                    }
                },
                &|command| {
                    if let Some(end) = self.end_of(command.peer()) {
                        prefetch(&self.outgoing[sender(end)]);
                        self.books.prefetch(sender(end));
                    }
                },
                &|command| {
                    if let Some(end) = self.end_of(command.peer()) {
                        let busy = &self.outgoing[sender(end)].busy;
                        let place = row(end).places[usize::from(end.side)] as usize;
                        busy.get(place).into_iter().for_each(prefetch);
                    }
                },
            ],
        );
    }

    /// Asks for the rows of ends where things arrive.
    pub(super) fn look_at_arrivals(&self, rest: &[(End, Arrival)]) {
        let row = |end: &End| &self.connections[end.connection as usize];
        look_ahead(
            rest,
            &[&|(end, _)| prefetch(row(end)), &|(end, arrival)| {
                if let Arrival::Item(Item::Block { .. }) = arrival {
                    let from = row(end).nodes[usize::from(end.other().side)];
                    self.books.prefetch(from as usize);
                }
            }],
        );
    }
}
