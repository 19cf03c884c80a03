//! Rates in integers: a meter that smooths what happened and a bucket that limits what may happen.

use core::time::Duration;

use crate::EngineTime;

const NANOS_PER_SEC: u128 = 1_000_000_000;

/// Bytes per second, as an exponential average over some seconds of closed one-second slots.
///
/// The decay follows elapsed slots, not calls, so an idle meter reads right without being touched.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct RateMeter {
    slot: u64,
    slot_bytes: u64,
    /// Average of the closed slots, bytes per second, 8 fractional bits.
    average_q8: u64,
    total_bytes: u64,
}

impl RateMeter {
    const SLOT_NANOS: u64 = 1_000_000_000;

    /// Credits bytes that moved now.
    pub fn add(&mut self, now: EngineTime, bytes: u64) {
        self.roll(now);
        self.slot_bytes += bytes;
        self.total_bytes += bytes;
    }

    /// Smoothed bytes per second.
    #[must_use]
    pub fn bytes_per_sec(&self, now: EngineTime) -> u64 {
        let mut meter = *self;
        meter.roll(now);
        // The open slot counts for the part that it already exceeds the average, so that a rate
        // that starts shows at once and a steady one does not sag at every slot's beginning.
        (meter.average_q8 >> 8).max(
            meter
                .slot_bytes
                .min((meter.average_q8 >> 7).max(meter.slot_bytes / 2)),
        )
    }

    /// Whether nothing was credited in this second and the one before.
    #[must_use]
    pub fn is_idle(&self, now: EngineTime) -> bool {
        let slot = now.as_nanos() / Self::SLOT_NANOS;
        slot > self.slot + 1 || self.slot_bytes == 0 && self.average_q8 == 0
    }

    /// All bytes ever credited.
    #[must_use]
    pub const fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    fn roll(&mut self, now: EngineTime) {
        let slot = now.as_nanos() / Self::SLOT_NANOS;
        let passed = slot.saturating_sub(self.slot);
        if passed == 0 {
            return;
        }
        // Weight 1/4 for a new slot: three quarters of a step show after five seconds.
        for closed in 0..passed.min(64) {
            let bytes = if closed == 0 { self.slot_bytes } else { 0 };
            self.average_q8 = self.average_q8 - self.average_q8 / 4 + (bytes << 8) / 4;
        }
        if passed > 64 {
            self.average_q8 = 0;
        }
        self.slot = slot;
        self.slot_bytes = 0;
    }
}

/// A token bucket: at most `rate` bytes per second, with a burst of one second's worth (at least
/// `burst_min_bytes`). A rate of `None` never limits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TokenBucket {
    rate_bytes_per_sec: Option<u64>,
    burst_min_bytes: u64,
    tokens: u64,
    /// Nanosecond-bytes that did not make a whole token yet.
    carry: u64,
    filled_at: EngineTime,
}

impl TokenBucket {
    /// A bucket that starts with its minimum burst.
    #[must_use]
    pub const fn new(rate_bytes_per_sec: Option<u64>, burst_min_bytes: u64) -> Self {
        Self {
            rate_bytes_per_sec,
            burst_min_bytes,
            tokens: burst_min_bytes,
            carry: 0,
            filled_at: EngineTime::START,
        }
    }

    /// The limit in force, bytes per second.
    #[must_use]
    pub const fn rate(&self) -> Option<u64> {
        self.rate_bytes_per_sec
    }

    /// Changes the limit; tokens over the new burst are lost.
    pub fn set_rate(&mut self, now: EngineTime, rate_bytes_per_sec: Option<u64>) {
        self.fill(now);
        self.rate_bytes_per_sec = rate_bytes_per_sec;
        self.tokens = self.tokens.min(self.burst_bytes());
    }

    /// Bytes that may move now.
    pub fn available(&mut self, now: EngineTime) -> u64 {
        if self.rate_bytes_per_sec.is_none() {
            return u64::MAX;
        }
        self.fill(now);
        self.tokens
    }

    /// Takes `bytes`, which must have been [`available`](Self::available).
    ///
    /// # Panics
    /// When there are fewer tokens: a limit that can be overdrawn is no limit.
    pub fn take(&mut self, bytes: u64) {
        if self.rate_bytes_per_sec.is_some() {
            assert!(
                bytes <= self.tokens,
                "took {bytes} of {} tokens",
                self.tokens
            );
            self.tokens -= bytes;
        }
    }

    /// When `bytes` will be available, if nothing else takes any.
    #[must_use]
    pub fn available_at(&self, bytes: u64) -> EngineTime {
        match self.rate_bytes_per_sec {
            None => EngineTime::START,
            Some(0) => EngineTime::NEVER,
            Some(rate) => {
                let missing = bytes.min(self.burst_bytes()).saturating_sub(self.tokens);
                let nanos = (u128::from(missing) * NANOS_PER_SEC).div_ceil(u128::from(rate));
                self.filled_at + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
        }
    }

    fn burst_bytes(&self) -> u64 {
        self.rate_bytes_per_sec
            .unwrap_or(0)
            .max(self.burst_min_bytes)
    }

    fn fill(&mut self, now: EngineTime) {
        let passed = now.since(self.filled_at).as_nanos();
        self.filled_at = self.filled_at.max(now);
        let earned =
            passed * u128::from(self.rate_bytes_per_sec.unwrap_or(0)) + u128::from(self.carry);
        let tokens = u64::try_from(earned / NANOS_PER_SEC).unwrap_or(u64::MAX);
        self.carry = (earned % NANOS_PER_SEC) as u64;
        self.tokens = self.tokens.saturating_add(tokens).min(self.burst_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_rate_is_met_and_idle_decays() {
        let mut meter = RateMeter::default();
        for millis in 0..20_000 {
            meter.add(EngineTime::from_nanos(millis * 1_000_000), 1000);
        }
        let rate = meter.bytes_per_sec(EngineTime::from_secs(20));
        assert!((950_000..=1_000_000).contains(&rate), "{rate}");
        assert!(meter.bytes_per_sec(EngineTime::from_secs(40)) < 10_000);
        assert_eq!(meter.bytes_per_sec(EngineTime::from_secs(4000)), 0);
        assert_eq!(meter.total_bytes(), 20_000_000);
    }

    #[test]
    fn bucket_gives_exactly_its_rate() {
        let mut bucket = TokenBucket::new(Some(999), 10);
        let mut taken = 0;
        for millis in 0..=10_000 {
            let now = EngineTime::from_nanos(millis * 1_000_000);
            let tokens = bucket.available(now);
            bucket.take(tokens);
            taken += tokens;
        }
        assert_eq!(taken, 9990 + 10);
    }

    #[test]
    fn bucket_says_when_to_come_back() {
        let mut bucket = TokenBucket::new(Some(1000), 0);
        bucket.available(EngineTime::from_secs(1));
        bucket.take(1000);
        assert_eq!(
            bucket.available_at(500),
            EngineTime::from_nanos(1_500_000_000)
        );
        bucket.set_rate(EngineTime::from_secs(1), Some(0));
        assert_eq!(bucket.available_at(1), EngineTime::NEVER);
        bucket.set_rate(EngineTime::from_secs(1), None);
        assert_eq!(bucket.available(EngineTime::from_secs(1)), u64::MAX);
    }
}
