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
    /// Since when something has been in without a break, and how many bytes have come since.
    busy_since: u64,
    busy_bytes: u64,
    /// Bytes that passed while fewer fit, with how many did.
    overrun: Option<(u64, u64)>,
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
            busy_since: 0,
            busy_bytes: 0,
            overrun: None,
        }
    }

    /// What comes from now on leaves at this rate. What is in keeps its time.
    pub(super) fn set_rate(&mut self, bytes_per_sec: u64) {
        self.bytes_per_sec = bytes_per_sec;
        self.carry = 0;
        (self.busy_since, self.busy_bytes) = (self.empty_at, 0);
    }

    /// Bytes that passed where fewer fit, with how many did.
    pub(super) const fn overrun(&self) -> Option<(u64, u64)> {
        self.overrun
    }

    /// Bytes came that will all have left when the queue is empty: from the last time at which it was to
    /// then, the line carries so many.
    fn meter(&mut self, now: u64, empty_before: u64, bytes: u64) {
        if empty_before < now {
            (self.busy_since, self.busy_bytes) = (now, 0);
        }
        self.busy_bytes += bytes;
        // The time is rounded to nanoseconds.
        let busy = self.empty_at - self.busy_since + 1;
        let most = scaled(self.bytes_per_sec, busy, SECOND_NANOS) + 1;
        if self.busy_bytes > most {
            self.overrun.get_or_insert((self.busy_bytes, most));
        }
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
        let empty_before = self.empty_at;
        self.empty_at = now.max(empty_before) + (work / rate) as u64;
        self.meter(now, empty_before, bytes);
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
        assert_eq!(fifo.overrun(), None);
        fifo.set_rate(0);
        assert_eq!(fifo.pass(6 * SECOND_NANOS, 3), None);
    }

    #[test]
    fn a_queue_that_lets_too_much_through_is_found() {
        let mut fifo = Fifo::new(3000, SECOND_NANOS);
        for _ in 0..3 {
            fifo.pass(5, 1000);
        }
        assert_eq!(fifo.overrun(), None);
        // Somebody forgets that a packet takes time.
        fifo.empty_at -= SECOND_NANOS / 3;
        fifo.pass(5, 1000);
        assert_eq!(fifo.overrun(), Some((4000, 3001)));
    }
}
