//! How long to let a fast stream gather before it is read again.
//!
//! A kernel that hands over each segment as it comes wakes us for every few blocks of a fast
//! stream, and a wake, a read and a tick cost about the same for four blocks as for forty. So while
//! much is coming, the next read waits until about [`GATHER_BYTES`] are there; a trickle is read at
//! once.

use std::time::{Duration, Instant};

/// What shall be there for a read.
const GATHER_BYTES: u64 = 384 * 1024;
/// The longest wait: small beside the time that any network takes to answer a request.
const PAUSE_MAX: Duration = Duration::from_millis(1);
/// Fewer bytes than this in [`PAUSE_MAX`] are not worth a wait.
const WORTH_BYTES: u64 = 48 * 1024;

/// What came lately, and when.
pub(super) struct Pace {
    last: Instant,
    /// Bytes a second, smoothed over a few reads.
    rate: u64,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { last: now, rate: 0 }
    }

    /// Notes what one round of reads brought.
    pub(super) fn note(&mut self, now: Instant, bytes: usize) {
        let micros = now.duration_since(self.last).as_micros().max(1);
        let micros = u64::try_from(micros).unwrap_or(u64::MAX);
        let rate = (bytes as u64).saturating_mul(1_000_000) / micros;
        self.rate = (self.rate / 4).saturating_mul(3) + rate / 4;
        self.last = now;
    }

    /// How long to wait from `now` on before the next read.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        let micros = PAUSE_MAX.as_micros() as u64;
        if self.rate.saturating_mul(micros) / 1_000_000 < WORTH_BYTES {
            return Duration::ZERO;
        }
        let wanted = Duration::from_micros((GATHER_BYTES * 1_000_000 / self.rate).min(micros));
        wanted.saturating_sub(now.duration_since(self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// The pause after reads of `bytes` every millisecond.
    fn pause(bytes: usize) -> Duration {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..100 {
            now += MILLI;
            pace.note(now, bytes);
        }
        pace.pause(now)
    }

    #[test]
    fn a_trickle_is_read_at_once_and_a_torrent_in_gulps() {
        assert_eq!(pause(0), Duration::ZERO);
        assert_eq!(pause(16 * 1024), Duration::ZERO);
        assert_eq!(pause(100 * 1024), PAUSE_MAX);
        // Twice the gulp in a millisecond: half of one.
        let half = pause(2 * GATHER_BYTES as usize);
        assert!(half.abs_diff(MILLI / 2) < MILLI / 50, "{half:?}");
    }

    #[test]
    fn what_has_passed_counts_and_silence_ends_the_pauses() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..100 {
            now += MILLI;
            pace.note(now, 200 * 1024);
        }
        assert_eq!(pace.pause(now + MILLI / 4), MILLI * 3 / 4);
        assert_eq!(pace.pause(now + MILLI * 2), Duration::ZERO);
        for _ in 0..10 {
            now += MILLI;
            pace.note(now, 0);
        }
        assert_eq!(pace.pause(now), Duration::ZERO);
    }
}
