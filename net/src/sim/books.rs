//! What is counted while a swarm runs, for reports and to see that no byte goes astray: nothing in a
//! run depends on it.

use dunlin_base::{NodeKey, prefetch};

use super::breach::{Breach, LineRule};

/// What became of the payload that a node was given to send, bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Sender {
    /// Given to it.
    handed: u64,
    /// Left.
    sent: u64,
    /// Thrown away before it left, because its connection ended.
    dropped: u64,
    /// Left and arrived.
    arrived: u64,
    /// Left, and found nobody when it arrived.
    lost: u64,
    /// Stream bytes that left beside payload.
    control: u64,
}

/// Payload of a node that is still to leave, and that has left and not arrived, bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Afloat {
    pub(super) waiting: u64,
    pub(super) under_way: u64,
}

/// Counts by node and by group of nodes. Groups are numbered by whoever runs the swarm.
#[derive(Clone, Debug, Default)]
pub struct Books {
    group_of: Vec<u16>,
    groups: usize,
    received: Vec<u64>,
    senders: Vec<Sender>,
    unchoked_nanos: Vec<u64>,
}

impl Books {
    pub(super) fn new(groups: u16) -> Self {
        let groups = usize::from(groups);
        Self {
            groups,
            unchoked_nanos: vec![0; groups * groups],
            ..Self::default()
        }
    }

    pub(super) fn enter(&mut self, group: u16) {
        assert!(usize::from(group) < self.groups, "group {group} is there");
        self.group_of.push(group);
        self.received.extend((0..self.groups).map(|_| 0));
        self.senders.push(Sender::default());
    }

    /// Asks for the row of a sender that is needed soon.
    pub(super) fn prefetch(&self, node: usize) {
        prefetch(&self.senders[node]);
    }

    pub(super) fn payload_handed(&mut self, node: u32, bytes: u32) {
        self.senders[node as usize].handed += u64::from(bytes);
    }

    pub(super) fn payload_sent(&mut self, node: u32, bytes: u32) {
        self.senders[node as usize].sent += u64::from(bytes);
    }

    /// What ends with a connection: what waited there, and what had left and cannot arrive.
    pub(super) fn payload_ended(&mut self, node: u32, ended: Afloat) {
        let sender = &mut self.senders[node as usize];
        sender.dropped += ended.waiting;
        sender.lost += ended.under_way;
    }

    pub(super) fn payload_received(&mut self, node: u32, from: u32, bytes: u32) {
        let group = usize::from(self.group_of[from as usize]);
        self.received[node as usize * self.groups + group] += u64::from(bytes);
        self.senders[from as usize].arrived += u64::from(bytes);
    }

    pub(super) fn note_control(&mut self, node: u32, bytes: u64) {
        self.senders[node as usize].control += bytes;
    }

    pub(super) fn unchoked(&mut self, giver: u32, taker: u32, nanos: u64) {
        let [giver, taker] = [giver, taker].map(|node| usize::from(self.group_of[node as usize]));
        self.unchoked_nanos[giver * self.groups + taker] += nanos;
    }

    /// The first node of whose payload bytes are missing or too many, given what is afloat of each.
    pub(super) fn breach(&self, tick: u64, afloat: &[Afloat]) -> Option<Breach> {
        let nodes = (0..).map(NodeKey).zip(self.senders.iter().zip(afloat));
        let sums = nodes.flat_map(|(node, (of, afloat))| {
            let handed = of.sent + of.dropped + afloat.waiting;
            let sent = of.arrived + of.lost + afloat.under_way;
            [
                (LineRule::HandedOver, node, handed, of.handed),
                (LineRule::Sent, node, sent, of.sent),
            ]
        });
        let mut breaches = sums.filter(|(_, _, found, expected)| found != expected);
        breaches.next().map(|(rule, node, found, expected)| Breach {
            rule,
            tick,
            node,
            found,
            expected,
        })
    }

    /// Payload that left a node, bytes.
    #[must_use]
    pub fn sent(&self, node: NodeKey) -> u64 {
        self.senders[node.0 as usize].sent
    }

    /// Payload that reached a node, bytes, by the sender's group.
    #[must_use]
    pub fn received(&self, node: NodeKey) -> &[u64] {
        let start = node.0 as usize * self.groups;
        &self.received[start..start + self.groups]
    }

    /// Stream bytes that a node sent beside payload: message headers and all other messages.
    #[must_use]
    pub fn control_sent(&self, node: NodeKey) -> u64 {
        self.senders[node.0 as usize].control
    }

    /// Nanoseconds for which nodes of a group had nodes of another unchoked, summed over pairs: a
    /// row for each giver's group.
    pub fn unchoked_nanos(&self) -> impl Iterator<Item = &[u64]> {
        self.unchoked_nanos.chunks(self.groups.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two nodes; the second was given 100 bytes, of which 60 left, 20 arrived and 30 were lost.
    fn books() -> (Books, [Afloat; 2]) {
        let mut books = Books::new(1);
        books.enter(0);
        books.enter(0);
        books.payload_handed(1, 100);
        books.payload_sent(1, 60);
        books.payload_received(0, 1, 20);
        let lost = Afloat {
            waiting: 25,
            under_way: 30,
        };
        books.payload_ended(1, lost);
        let afloat = Afloat {
            waiting: 15,
            under_way: 10,
        };
        (books, [Afloat::default(), afloat])
    }

    #[test]
    fn books_that_add_up_are_right() {
        let (books, afloat) = books();
        assert_eq!(books.breach(9, &afloat), None);
    }

    #[test]
    fn a_byte_that_is_nowhere_or_twice_is_found() {
        let (right, afloat) = books();
        let breach = |rule, found, expected| {
            Some(Breach {
                rule,
                tick: 9,
                node: NodeKey(1),
                found,
                expected,
            })
        };
        let mut wrong = right.clone();
        wrong.payload_received(0, 1, 1);
        assert_eq!(wrong.breach(9, &afloat), breach(LineRule::Sent, 61, 60));
        let mut wrong = right.clone();
        wrong.payload_handed(1, 1);
        assert_eq!(
            wrong.breach(9, &afloat),
            breach(LineRule::HandedOver, 100, 101)
        );
        let mut gone = afloat;
        gone[1].under_way -= 1;
        assert_eq!(right.breach(9, &gone), breach(LineRule::Sent, 59, 60));
        gone = afloat;
        gone[1].waiting += 1;
        assert_eq!(
            right.breach(9, &gone),
            breach(LineRule::HandedOver, 101, 100)
        );
    }
}
