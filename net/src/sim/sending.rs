//! Ends with something to send, as the sharing of lines sees them.

use super::connections::End;

/// Most bytes under way on one connection: what socket buffers grow to.
const WINDOW_MAX_BYTES: u32 = 16 * 1024 * 1024;

/// An end of a connection from which something is to leave: all that is touched for it in every tick.
/// Those of one sender stand side by side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sending {
    pub(super) end: End,
    /// The receiver.
    pub(super) to: u32,
    /// Line bytes that have not left.
    pub(super) backlog: u64,
    /// How many of them are of what leaves now; 0 before its first byte has left.
    pub(super) head: u32,
    /// Line bytes that may be under way.
    pub(super) window: u32,
    /// Line bytes that loss lets leave in a tick.
    pub(super) loss_cap: u64,
    /// Round-trip time without queues.
    pub(super) rtt_nanos: u64,
    /// How long what it sends waits in queues.
    pub(super) queue_nanos: u64,
    /// Whether it gives way to others.
    pub(super) yields: bool,
}

impl Sending {
    /// Bytes that may leave in a tick.
    pub(super) fn want(&self, tick_nanos: u64) -> u64 {
        let rtt_nanos = self.rtt_nanos + self.queue_nanos;
        let by_loss = self.backlog.min(self.loss_cap.max(1));
        // A window that holds all of it needs no division, and there is one for every flow and tick.
        let window = u64::from(self.window);
        let in_window = window.checked_mul(tick_nanos);
        let asked = by_loss.checked_mul(rtt_nanos);
        match (in_window, asked) {
            (Some(in_window), Some(asked)) if in_window >= asked => by_loss,
            _ => by_loss.min(scaled(window, tick_nanos, rtt_nanos).max(1)),
        }
    }

    /// Notes that bytes left; whether they were the last ones of what was leaving.
    pub(super) fn leave(&mut self, bytes: u64) -> bool {
        // Every byte that is acknowledged opens the window by itself: it doubles in a round trip.
        let window = (u64::from(self.window) + bytes).min(WINDOW_MAX_BYTES.into());
        self.window = window as u32;
        self.backlog -= bytes;
        let rest = u64::from(self.head).saturating_sub(bytes);
        if rest > 0 {
            self.head = rest as u32;
        }
        rest == 0
    }
}

/// `amount * by / over`, in short numbers where they are long enough: this is asked for every flow in
/// every tick.
pub(super) fn scaled(amount: u64, by: u64, over: u64) -> u64 {
    let over = over.max(1);
    amount.checked_mul(by).map_or_else(
        || {
            let long = u128::from(amount) * u128::from(by) / u128::from(over);
            u64::try_from(long).unwrap_or(u64::MAX)
        },
        |product| product / over,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::connections::WINDOW_START_BYTES;

    fn sending() -> Sending {
        Sending {
            end: End {
                connection: 0,
                side: 0,
            },
            to: 1,
            backlog: 1 << 30,
            head: 0,
            window: WINDOW_START_BYTES,
            loss_cap: u64::MAX,
            rtt_nanos: 100_000_000,
            queue_nanos: 0,
            yields: false,
        }
    }

    #[test]
    fn a_window_doubles_in_each_round_trip() {
        let mut row = sending();
        let moved = [0; 4].map(|_| {
            let want = row.want(row.rtt_nanos);
            row.leave(want);
            want / u64::from(WINDOW_START_BYTES)
        });
        assert_eq!(moved, [1, 2, 4, 8]);
    }

    #[test]
    fn the_least_of_backlog_window_and_loss_bounds_a_tick() {
        let mut row = sending();
        assert_eq!(row.want(10_000_000), u64::from(WINDOW_START_BYTES / 10));
        // A queue makes the way longer.
        row.queue_nanos = row.rtt_nanos;
        assert_eq!(row.want(10_000_000), u64::from(WINDOW_START_BYTES / 20));
        row.loss_cap = 100;
        assert_eq!(row.want(10_000_000), 100);
        row.backlog = 7;
        assert_eq!(row.want(10_000_000), 7);
        // Something always leaves, and no round trip is no bound.
        (row.loss_cap, row.window) = (0, 0);
        assert_eq!(row.want(10_000_000), 1);
        (row.rtt_nanos, row.queue_nanos, row.loss_cap) = (0, 0, u64::MAX);
        assert_eq!(row.want(10_000_000), 7);
    }
}
