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
    /// Bytes per second times nanoseconds that did not make a whole byte yet, up and down.
    carry: [u64; 2],
    /// Line bytes of messages that went past the queues; they come off what payload may take.
    pub(super) debt: u64,
    debt_tick: u64,
    /// Numbers of its connections, those that are over too: they are few beside those that stand.
    pub(super) connections: Vec<u32>,
    /// Ends at this node from which something is to leave.
    pub(super) busy: Vec<Sending>,
    /// Whether it is in the list of hosts with busy pipes.
    pub(super) listed: bool,
}

impl Host {
    pub(super) const fn new(line: Line) -> Self {
        Self {
            line,
            alive: false,
            spoils_one_in: 0,
            blocks_sent: 0,
            carry: [0; 2],
            debt: 0,
            debt_tick: 0,
            connections: Vec::new(),
            busy: Vec::new(),
            listed: false,
        }
    }

    /// Bytes that the line carries in a tick, up (0) or down (1); what does not make a byte is kept
    /// for the next.
    pub(super) fn budget(&mut self, way: usize, tick_nanos: u64) -> u64 {
        let rate = [self.line.up_bytes_per_sec, self.line.down_bytes_per_sec][way];
        // In short numbers where they are long enough: this is asked of every line in every tick.
        let short = rate.checked_mul(tick_nanos);
        if let Some(earned) = short.and_then(|earned| earned.checked_add(self.carry[way])) {
            self.carry[way] = earned % 1_000_000_000;
            return earned / 1_000_000_000;
        }
        let earned = u128::from(rate) * u128::from(tick_nanos) + u128::from(self.carry[way]);
        self.carry[way] = (earned % 1_000_000_000) as u64;
        u64::try_from(earned / 1_000_000_000).unwrap_or(u64::MAX)
    }

    /// Notes bytes that went past the queues.
    pub(super) fn owe(&mut self, tick: u64, tick_nanos: u64, bytes: u64) {
        self.pay(tick, tick_nanos);
        self.debt += bytes;
    }

    /// What the line carried since the last look pays the debt.
    pub(super) fn pay(&mut self, tick: u64, tick_nanos: u64) {
        if self.debt > 0 {
            let passed = (tick - self.debt_tick).saturating_mul(tick_nanos);
            let carried = scaled(self.line.up_bytes_per_sec, passed, 1_000_000_000);
            self.debt = self.debt.saturating_sub(carried);
        }
        self.debt_tick = tick;
    }
}
