//! How much a sender may have under way: TCP's slow start and AIMD, or LEDBAT.

use crate::sim::line::MSS_BYTES;

/// First window of TCP (RFC 6928).
const TCP_START_BYTES: u64 = 10 * MSS_BYTES;
/// Least window of TCP after a loss (RFC 5681).
const TCP_MIN_BYTES: u64 = 2 * MSS_BYTES;
/// First and least window of LEDBAT (RFC 6817: `INIT_CWND`, `MIN_CWND`).
const LEDBAT_MIN_BYTES: u64 = 2 * MSS_BYTES;
/// Queueing delay that LEDBAT aims at (RFC 6817: `TARGET`).
const TARGET_NANOS: u64 = 100_000_000;
/// Minutes for which the least delay is remembered (RFC 6817: `BASE_HISTORY`).
const BASE_MINUTES: usize = 10;
/// Delays of which the least counts as the present one (RFC 6817: `CURRENT_FILTER`).
const CURRENT_SAMPLES: usize = 4;
const MINUTE_NANOS: u64 = 60_000_000_000;
/// Most bytes under way: what socket buffers grow to.
const WINDOW_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A congestion window.
#[derive(Debug)]
pub(super) struct Window {
    bytes: u64,
    /// Slow start ends here.
    threshold: u64,
    /// What LEDBAT knows; `None` for TCP.
    delays: Option<Delays>,
}

impl Window {
    pub(super) fn new(utp: bool) -> Self {
        Self {
            bytes: if utp {
                LEDBAT_MIN_BYTES
            } else {
                TCP_START_BYTES
            },
            threshold: WINDOW_MAX_BYTES,
            delays: utp.then(Delays::new),
        }
    }

    /// Bytes that may be under way.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// `bytes` of the `flight` that was under way are there, the last of them after a one-way delay.
    pub(super) fn acknowledge(&mut self, now: u64, bytes: u64, flight: u64, delay_nanos: u64) {
        if let Some(delays) = &mut self.delays {
            delays.note(now, delay_nanos);
            let off_target = i128::from(TARGET_NANOS) - i128::from(delays.queueing());
            let gain = off_target * i128::from(bytes) * i128::from(MSS_BYTES)
                / (i128::from(TARGET_NANOS) * i128::from(self.bytes));
            // RFC 6817, `ALLOWED_INCREASE`: a window that is not used does not grow.
            let most = (flight + MSS_BYTES).max(LEDBAT_MIN_BYTES);
            let wanted = i128::from(self.bytes) + gain;
            self.bytes = u64::try_from(wanted)
                .unwrap_or(0)
                .clamp(LEDBAT_MIN_BYTES, most.min(WINDOW_MAX_BYTES));
        } else if flight + MSS_BYTES > self.bytes {
            let slow_start = self.bytes < self.threshold;
            self.bytes += if slow_start {
                bytes
            } else {
                (MSS_BYTES * bytes / self.bytes).max(1)
            };
            self.bytes = self.bytes.min(WINDOW_MAX_BYTES);
        }
    }

    /// Something was lost: called once for all that is lost in a round trip.
    pub(super) fn lose(&mut self, flight: u64) {
        let least = if self.delays.is_some() {
            LEDBAT_MIN_BYTES
        } else {
            TCP_MIN_BYTES
        };
        self.threshold = (flight.min(self.bytes) / 2).max(least);
        self.bytes = self.threshold;
    }

    /// Nothing came back for too long.
    pub(super) fn time_out(&mut self, flight: u64) {
        self.lose(flight);
        self.bytes = MSS_BYTES;
    }
}

/// One-way delays as LEDBAT remembers them. Clocks are the same at both ends here; only differences
/// count anyway.
#[derive(Debug)]
struct Delays {
    /// The least of each of the last minutes, the present one first.
    base: [u64; BASE_MINUTES],
    minute: u64,
    current: [u64; CURRENT_SAMPLES],
    samples: usize,
}

impl Delays {
    const fn new() -> Self {
        Self {
            base: [u64::MAX; BASE_MINUTES],
            minute: 0,
            current: [u64::MAX; CURRENT_SAMPLES],
            samples: 0,
        }
    }

    fn note(&mut self, now: u64, delay_nanos: u64) {
        let minute = now / MINUTE_NANOS;
        for _ in 0..(minute - self.minute).min(BASE_MINUTES as u64) {
            self.base.rotate_right(1);
            self.base[0] = u64::MAX;
        }
        self.minute = minute;
        self.base[0] = self.base[0].min(delay_nanos);
        self.current[self.samples % CURRENT_SAMPLES] = delay_nanos;
        self.samples += 1;
    }

    fn queueing(&self) -> u64 {
        let least = |delays: &[u64]| delays.iter().copied().min().unwrap_or(0);
        least(&self.current) - least(&self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_doubles_until_it_loses_and_then_adds_a_segment_a_round_trip() {
        let mut window = Window::new(false);
        let round = |window: &mut Window| {
            for _ in 0..window.bytes() / MSS_BYTES {
                let flight = window.bytes();
                window.acknowledge(0, MSS_BYTES, flight, 0);
            }
            window.bytes() / MSS_BYTES
        };
        assert_eq!([0; 2].map(|_| round(&mut window)), [20, 40]);
        window.lose(40 * MSS_BYTES);
        assert_eq!(window.bytes(), 20 * MSS_BYTES);
        let after = [0; 3].map(|_| round(&mut window));
        assert!(
            after.is_sorted() && (21..=23).contains(&after[2]),
            "{after:?}"
        );
        // What is not used does not grow.
        let before = window.bytes();
        window.acknowledge(0, MSS_BYTES, MSS_BYTES, 0);
        assert_eq!(window.bytes(), before);
        window.time_out(before);
        assert_eq!(window.bytes(), MSS_BYTES);
    }

    #[test]
    fn ledbat_goes_up_below_its_target_and_down_above_it() {
        let mut window = Window::new(true);
        let base = 50_000_000;
        let mut acknowledge = |times: u64, queueing: u64| {
            for _ in 0..times {
                let flight = window.bytes();
                window.acknowledge(0, MSS_BYTES, flight, base + queueing);
            }
            window.bytes()
        };
        let up = acknowledge(200, 0);
        assert!(up > 15 * MSS_BYTES, "{up}");
        // The last samples without a queue are forgotten, then it stands still.
        let _ = acknowledge(4, TARGET_NANOS);
        let stays = acknowledge(1, TARGET_NANOS);
        assert_eq!(acknowledge(50, TARGET_NANOS), stays);
        assert!(acknowledge(50, 2 * TARGET_NANOS) < stays);
        assert_eq!(acknowledge(10_000, 5 * TARGET_NANOS), LEDBAT_MIN_BYTES);
    }

    #[test]
    fn a_base_delay_is_forgotten_after_ten_minutes() {
        let mut delays = Delays::new();
        delays.note(0, 10);
        delays.note(9 * MINUTE_NANOS, 30);
        assert_eq!(
            delays.queueing(),
            0,
            "the first sample is still a current one"
        );
        (0..4).for_each(|_| delays.note(9 * MINUTE_NANOS, 30));
        assert_eq!(delays.queueing(), 20);
        (0..4).for_each(|_| delays.note(10 * MINUTE_NANOS, 30));
        assert_eq!(delays.queueing(), 0);
    }
}
