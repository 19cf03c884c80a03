//! The shares of those whose receivers are offered more than they can take.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Flow;

/// A level that no line sets: all that wants to pass it gets through.
const UNBOUND: u64 = u64::MAX;

/// One way of a line: the number of the line times two, and one more for what comes in.
type Way = usize;

const fn out_of(line: u32) -> Way {
    line as usize * 2
}

const fn into(line: u32) -> Way {
    line as usize * 2 + 1
}

/// Progressive filling: the line that leaves its flows the least is settled first, then the next of
/// those that are left. Keeps its scratch memory from tick to tick.
///
/// Only senders that a full receiver can concern are in it: those who send to one, and those whose
/// part at a receiver turns out to be more than others get there. All the others have already what
/// their own lines give.
#[derive(Default)]
pub(super) struct Settling {
    /// Where the flows of a sender begin and end.
    spans: Vec<(u32, u32)>,
    /// Where the flows to a receiver begin in `incoming`; one more than there are lines.
    starts: Vec<u32>,
    /// Flows by receiver.
    incoming: Vec<u32>,
    /// Whether each line is among the senders, and among the receivers.
    sends: Vec<bool>,
    takes: Vec<bool>,
    senders: Vec<u32>,
    receivers: Vec<u32>,
    /// Flows without a share as yet.
    open: Vec<bool>,
    /// Bytes that each way has left for open flows.
    left: Vec<u64>,
    /// Ways by what they would give to each of their open flows, the least first. What a way would
    /// give only rises while others are settled, so it is looked at again when its turn comes.
    turns: BinaryHeap<Reverse<(u64, Way)>>,
    /// What each settled way gives at most.
    levels: Vec<u64>,
    wants: Vec<u64>,
    batch: Vec<usize>,
}

impl Settling {
    /// Makes shares max-min fair. They are what senders would give if receivers took everything, and
    /// `crowded` are the receivers that do not.
    pub(super) fn settle(&mut self, flows: &mut [Flow], crowded: &[u32], up: &[u64], down: &[u64]) {
        self.index(flows, down.len());
        for &line in crowded {
            self.admit(flows, line, 0);
        }
        let mut solved = 0;
        while solved < self.senders.len() {
            solved = self.senders.len();
            self.open_all(flows, up, down);
            self.fill(flows);
            for at in 0..self.receivers.len() {
                let line = self.receivers[at];
                self.admit(flows, line, self.levels[into(line)]);
            }
        }
    }

    /// Lists flows by sender and by receiver.
    fn index(&mut self, flows: &[Flow], lines: usize) {
        self.spans.resize(lines, (0, 0));
        self.starts.clear();
        self.starts.resize(lines + 1, 0);
        self.incoming.resize(flows.len(), 0);
        for (at, flow) in (0..).zip(flows) {
            let span = &mut self.spans[flow.from as usize];
            if at == 0 || flows[at as usize - 1].from != flow.from {
                span.0 = at;
            }
            span.1 = at + 1;
            self.starts[flow.to as usize + 1] += 1;
        }
        for line in 0..lines {
            self.starts[line + 1] += self.starts[line];
        }
        // Each is put where its receiver's list begins, which moves on; at the end it is where the next begins.
        for (at, flow) in (0..).zip(flows) {
            let start = &mut self.starts[flow.to as usize];
            self.incoming[*start as usize] = at;
            *start += 1;
        }
        self.starts.rotate_right(1);
        self.starts[0] = 0;
        for list in [&mut self.sends, &mut self.takes, &mut self.open] {
            list.clear();
        }
        self.sends.resize(lines, false);
        self.takes.resize(lines, false);
        self.open.resize(flows.len(), false);
        self.left.resize(lines * 2, 0);
        self.levels.resize(lines * 2, UNBOUND);
        self.senders.clear();
        self.receivers.clear();
    }

    /// Takes those in who send more than `level` to a line and are not in yet, with the receivers of
    /// all that they send.
    fn admit(&mut self, flows: &[Flow], line: u32, level: u64) {
        let span = self.starts[line as usize] as usize..self.starts[line as usize + 1] as usize;
        for &at in &self.incoming[span] {
            let flow = &flows[at as usize];
            if flow.share <= level || core::mem::replace(&mut self.sends[flow.from as usize], true)
            {
                continue;
            }
            self.senders.push(flow.from);
            let (start, end) = self.spans[flow.from as usize];
            for flow in &flows[start as usize..end as usize] {
                if !core::mem::replace(&mut self.takes[flow.to as usize], true) {
                    self.receivers.push(flow.to);
                }
            }
        }
    }

    /// Begins with no shares for flows of the senders; the others keep theirs.
    fn open_all(&mut self, flows: &[Flow], up: &[u64], down: &[u64]) {
        for &line in &self.senders {
            let (start, end) = self.spans[line as usize];
            self.open[start as usize..end as usize].fill(true);
            self.left[out_of(line)] = up[line as usize];
        }
        for &line in &self.receivers {
            let taken: u64 = self
                .flows_of(into(line))
                .map(|at| &flows[at])
                .filter(|flow| !self.sends[flow.from as usize])
                .map(|flow| flow.share)
                .sum();
            self.left[into(line)] = down[line as usize].saturating_sub(taken);
        }
    }

    /// Flows by a way, settled ones too.
    fn flows_of(&self, way: Way) -> impl Iterator<Item = usize> {
        let line = way / 2;
        let (span, listed) = if way.is_multiple_of(2) {
            let (start, end) = self.spans[line];
            (start..end, None)
        } else {
            (
                self.starts[line]..self.starts[line + 1],
                Some(&self.incoming),
            )
        };
        span.map(move |at| listed.map_or(at, |list| list[at as usize]) as usize)
    }

    /// Gives every open flow its share.
    fn fill(&mut self, flows: &mut [Flow]) {
        self.turns.clear();
        let ways = self.senders.iter().map(|&line| out_of(line));
        let ways = ways.chain(self.receivers.iter().map(|&line| into(line)));
        // What they would give is not worked out before the first look.
        self.turns.extend(ways.map(|way| Reverse((0, way))));
        while let Some(Reverse((looked, way))) = self.turns.pop() {
            let level = self.level(flows, way);
            if level > looked {
                self.turns.push(Reverse((level, way)));
                continue;
            }
            self.levels[way] = level;
            let mut batch = core::mem::take(&mut self.batch);
            batch.clear();
            batch.extend(self.flows_of(way).filter(|&at| self.open[at]));
            for &at in &batch {
                let flow = &mut flows[at];
                flow.share = flow.want.min(level);
                self.open[at] = false;
                for way in [out_of(flow.from), into(flow.to)] {
                    self.left[way] -= flow.share;
                }
            }
            self.batch = batch;
        }
    }

    /// What a way gives to each of its open flows: those that want less get it, the others equal parts of
    /// the rest. Bytes that do not divide are not given.
    fn level(&mut self, flows: &[Flow], way: Way) -> u64 {
        let mut wants = core::mem::take(&mut self.wants);
        wants.clear();
        let open = self.flows_of(way).filter(|&at| self.open[at]);
        wants.extend(open.map(|at| flows[at].want));
        let mut left = self.left[way];
        let level = loop {
            let count = wants.len();
            if count == 0 {
                break UNBOUND;
            }
            let part = left / count as u64;
            wants.retain(|&want| {
                let more = want > part;
                left -= if more { 0 } else { want };
                more
            });
            if wants.len() == count {
                break part;
            }
        };
        self.wants = wants;
        level
    }
}
