//! The queue before a line.

use crate::sim::line::{MSS_BYTES, on_the_line};
use crate::sim::sending::scaled;

const SECOND_NANOS: u64 = 1_000_000_000;

/// One way of a line: first in, first out, and what does not fit is dropped.
#[derive(Debug)]
pub(super) struct Fifo {
    bytes_per_sec: u64,
    limit_bytes: u64,
    /// When all that is in has left.
    empty_at: u64,
    /// Nanoseconds times bytes per second that were rounded off.
    carry: u64,
}

impl Fifo {
    /// A line with a queue that takes so long to empty; two full segments fit in any case.
    pub(super) fn new(bytes_per_sec: u64, buffer_nanos: u64) -> Self {
        let limit = scaled(bytes_per_sec, buffer_nanos, SECOND_NANOS);
        Self {
            bytes_per_sec,
            limit_bytes: limit.max(2 * on_the_line(MSS_BYTES)),
            empty_at: 0,
            carry: 0,
        }
    }

    /// What comes from now on leaves at this rate. What is in keeps its time.
    pub(super) fn set_rate(&mut self, bytes_per_sec: u64) {
        self.bytes_per_sec = bytes_per_sec;
        self.carry = 0;
    }

    /// How long what comes now waits.
    pub(super) const fn waits(&self, now: u64) -> u64 {
        self.empty_at.saturating_sub(now)
    }

    /// When a packet that comes now has left; `None` when it is dropped.
    pub(super) fn pass(&mut self, now: u64, bytes: u64) -> Option<u64> {
        let queued = scaled(self.waits(now), self.bytes_per_sec, SECOND_NANOS);
        if self.bytes_per_sec == 0 || queued + bytes > self.limit_bytes {
            return None;
        }
        let work = u128::from(bytes) * u128::from(SECOND_NANOS) + u128::from(self.carry);
        let rate = u128::from(self.bytes_per_sec);
        self.carry = (work % rate) as u64;
        self.empty_at = now.max(self.empty_at) + (work / rate) as u64;
        Some(self.empty_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_leave_one_by_one_and_what_does_not_fit_is_dropped() {
        // 3000 bytes per second, a second of them.
        let mut fifo = Fifo::new(3000, SECOND_NANOS);
        fifo.limit_bytes = 3000;
        assert_eq!(fifo.pass(0, 1000), Some(333_333_333));
        assert_eq!(fifo.pass(0, 1000), Some(666_666_666));
        assert_eq!(
            fifo.pass(0, 1000),
            Some(SECOND_NANOS),
            "nothing is lost by rounding"
        );
        assert_eq!(fifo.pass(0, 1), None);
        assert_eq!(
            fifo.pass(SECOND_NANOS / 2, 1500),
            Some(3 * SECOND_NANOS / 2)
        );
        assert_eq!(fifo.pass(5 * SECOND_NANOS, 3), Some(5_001_000_000));
        fifo.set_rate(0);
        assert_eq!(fifo.pass(6 * SECOND_NANOS, 3), None);
    }
}
