//! A node as the outside sees it: its line, and what waits to leave by it.

use super::line::Line;
use super::sending::{Sending, scaled};

/// A node's line, and what is going on there.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) line: Line,
    pub(super) alive: bool,
    /// Of how many blocks it spoils one; 0 for none.
    pub(super) spoils_one_in: u32,
    pub(super) blocks_sent: u32,
    /// Numbers of its connections, those that are over too: they are few beside those that stand.
    pub(super) connections: Vec<u32>,
}

/// What is to leave a node: all of the node that every tick looks at, in one line of a cache.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Outgoing {
    /// Ends at this node from which something is to leave.
    pub(super) busy: Vec<Sending>,
    /// Line bytes of messages that went past the queues; they come off what payload may take.
    pub(super) debt: u64,
    debt_tick: u64,
    /// Whether it is in the list of hosts with busy pipes.
    pub(super) listed: bool,
}

const _: () = assert!(size_of::<Outgoing>() == 64, "a line of a cache");

/// What a line carries one way. Asked of every line in every tick, so these stand side by side.
#[derive(Debug)]
pub(super) struct Rate {
    pub(super) bytes_per_sec: u64,
    /// Bytes per second times nanoseconds that did not make a whole byte yet.
    carry: u64,
}

impl Rate {
    pub(super) const fn new(bytes_per_sec: u64) -> Self {
        Self {
            bytes_per_sec,
            carry: 0,
        }
    }

    /// Bytes that it carries in a tick; what does not make a byte is kept for the next.
    pub(super) fn budget(&mut self, tick_nanos: u64) -> u64 {
        // In short numbers where they are long enough.
        let short = self.bytes_per_sec.checked_mul(tick_nanos);
        if let Some(earned) = short.and_then(|earned| earned.checked_add(self.carry)) {
            self.carry = earned % 1_000_000_000;
            return earned / 1_000_000_000;
        }
        let rate = u128::from(self.bytes_per_sec);
        let earned = rate * u128::from(tick_nanos) + u128::from(self.carry);
        self.carry = (earned % 1_000_000_000) as u64;
        u64::try_from(earned / 1_000_000_000).unwrap_or(u64::MAX)
    }
}

impl Host {
    pub(super) const fn new(line: Line) -> Self {
        Self {
            line,
            alive: false,
            spoils_one_in: 0,
            blocks_sent: 0,
            connections: Vec::new(),
        }
    }
}

impl Outgoing {
    /// Notes bytes that went past the queues of a line that carries so much.
    pub(super) fn owe(&mut self, tick: u64, tick_nanos: u64, bytes_per_sec: u64, bytes: u64) {
        self.pay(tick, tick_nanos, bytes_per_sec);
        self.debt += bytes;
    }

    /// What the line carried since the last look pays the debt.
    pub(super) fn pay(&mut self, tick: u64, tick_nanos: u64, bytes_per_sec: u64) {
        if self.debt > 0 {
            let passed = (tick - self.debt_tick).saturating_mul(tick_nanos);
            let carried = scaled(bytes_per_sec, passed, 1_000_000_000);
            self.debt = self.debt.saturating_sub(carried);
        }
        self.debt_tick = tick;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The budgets of any number of ticks together are what the line carries in their time, cut off to
        /// bytes: no remainder is lost, none is given twice.
        #[test]
        fn budgets_add_up_to_what_the_line_carries(
            rate in prop_oneof![0..10_000_000_u64, Just(u64::MAX / 1000)],
            tick_nanos in 1..2_000_000_000_u64,
            ticks in 1..200_u64,
        ) {
            let mut line = Rate::new(rate);
            let sum: u128 = (0..ticks).map(|_| u128::from(line.budget(tick_nanos))).sum();
            let time = u128::from(tick_nanos) * u128::from(ticks);
            prop_assert_eq!(sum, u128::from(rate) * time / 1_000_000_000);
        }
    }
}
