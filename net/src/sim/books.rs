//! What is counted while a swarm runs, for reports: nothing in a run depends on it.

use dunlin_base::NodeKey;

/// Counts by node and by group of nodes. Groups are numbered by whoever runs the swarm.
#[derive(Clone, Debug, Default)]
pub struct Books {
    group_of: Vec<u16>,
    groups: usize,
    received: Vec<u64>,
    sent: Vec<u64>,
    control: Vec<u64>,
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
        self.sent.push(0);
        self.control.push(0);
    }

    pub(super) fn payload_sent(&mut self, node: u32, bytes: u32) {
        self.sent[node as usize] += u64::from(bytes);
    }

    pub(super) fn payload_received(&mut self, node: u32, from: u32, bytes: u32) {
        let group = usize::from(self.group_of[from as usize]);
        self.received[node as usize * self.groups + group] += u64::from(bytes);
    }

    pub(super) fn note_control(&mut self, node: u32, bytes: u64) {
        self.control[node as usize] += bytes;
    }

    pub(super) fn unchoked(&mut self, giver: u32, taker: u32, nanos: u64) {
        let [giver, taker] = [giver, taker].map(|node| usize::from(self.group_of[node as usize]));
        self.unchoked_nanos[giver * self.groups + taker] += nanos;
    }

    /// Payload that left a node, bytes.
    #[must_use]
    pub fn sent(&self, node: NodeKey) -> u64 {
        self.sent[node.0 as usize]
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
        self.control[node.0 as usize]
    }

    /// Nanoseconds for which nodes of a group had nodes of another unchoked, summed over pairs: a
    /// row for each giver's group.
    pub fn unchoked_nanos(&self) -> impl Iterator<Item = &[u64]> {
        self.unchoked_nanos.chunks(self.groups.max(1))
    }
}
