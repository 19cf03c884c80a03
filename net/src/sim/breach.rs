//! What no run may break on its lines, and the checks of it: they cost a few sums a tick, so every run
//! has them.

use core::fmt;

use dunlin_base::NodeKey;

/// A rule of the simulated lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineRule {
    /// Payload that was handed over for sending has left, was thrown away when its connection ended, or
    /// waits.
    HandedOver,
    /// Payload that left has arrived, was lost because nobody was there any more, or is under way.
    Sent,
    /// A node's uplink carries no more in a tick than it can.
    Uplink,
    /// A node's downlink carries no more in a tick than it can.
    Downlink,
}

/// A rule that did not hold: then a rule of the simulation is wrong, and so is the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Breach {
    /// Which one.
    pub rule: LineRule,
    /// The tick at whose end it was found.
    pub tick: u64,
    /// Whose line or payload.
    pub node: NodeKey,
    /// Bytes that moved, or of which it is known where they are.
    pub found: u64,
    /// Bytes that could have moved at most, or that there must be.
    pub expected: u64,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (node, found, expected) = (self.node.0, self.found, self.expected);
        match self.rule {
            LineRule::HandedOver => write!(
                f,
                "node {node} was given {expected} bytes of payload to send, and {found} have left, were thrown away or wait"
            ),
            LineRule::Sent => write!(
                f,
                "{expected} bytes of payload left node {node}, and {found} arrived, were lost or are under way"
            ),
            LineRule::Uplink => {
                write!(
                    f,
                    "the uplink of node {node} carried {found} bytes, at most {expected} fit"
                )
            }
            LineRule::Downlink => {
                write!(
                    f,
                    "the downlink of node {node} carried {found} bytes, at most {expected} fit"
                )
            }
        }
    }
}

/// Follows what the flows of a tick really move, by line.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// What each downlink can still take.
    down_left: Vec<u64>,
    /// The first breach.
    breach: Option<Breach>,
}

impl Meter {
    /// A tick begins in which downlinks carry so much.
    pub(super) fn begin(&mut self, down: &[u64]) {
        self.down_left.clear();
        self.down_left.extend_from_slice(down);
    }

    /// A flow moved bytes to a node, whose downlink carries `down` of them in all.
    pub(super) fn came(&mut self, tick: u64, to: u32, bytes: u64, down: &[u64]) {
        let left = &mut self.down_left[to as usize];
        if let Some(rest) = left.checked_sub(bytes) {
            *left = rest;
            return;
        }
        let budget = down[to as usize];
        let found = budget - *left + bytes;
        self.note(LineRule::Downlink, tick, to, found, budget);
    }

    /// All flows of a node together moved bytes from it.
    pub(super) fn left(&mut self, tick: u64, from: u32, bytes: u64, up: u64) {
        if bytes > up {
            self.note(LineRule::Uplink, tick, from, bytes, up);
        }
    }

    fn note(&mut self, rule: LineRule, tick: u64, node: u32, found: u64, expected: u64) {
        self.breach.get_or_insert(Breach {
            rule,
            tick,
            node: NodeKey(node),
            found,
            expected,
        });
    }

    pub(super) const fn breach(&self) -> Option<Breach> {
        self.breach
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_carries_too_much_is_found() {
        let down = [100, 50];
        let mut meter = Meter::default();
        meter.begin(&down);
        meter.came(7, 1, 30, &down);
        meter.came(7, 1, 20, &down);
        meter.left(7, 0, 50, 50);
        assert_eq!(meter.breach(), None, "full is not too much");
        meter.begin(&down);
        meter.came(8, 1, 30, &down);
        meter.came(8, 1, 21, &down);
        let expected = Breach {
            rule: LineRule::Downlink,
            tick: 8,
            node: NodeKey(1),
            found: 51,
            expected: 50,
        };
        assert_eq!(meter.breach(), Some(expected));
        let text = "the downlink of node 1 carried 51 bytes, at most 50 fit";
        assert_eq!(expected.to_string(), text);
        meter.left(9, 0, 101, 100);
        assert_eq!(meter.breach(), Some(expected), "the first one is told");

        let mut meter = Meter::default();
        meter.left(9, 0, 101, 100);
        let breach = meter.breach().map(|breach| (breach.rule, breach.node));
        assert_eq!(breach, Some((LineRule::Uplink, NodeKey(0))));
    }
}
