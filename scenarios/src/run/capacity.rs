//! What the uplinks of the nodes present could have sent since the last row of the time series.

/// Rates of uplinks, and their sum over time.
#[derive(Default)]
pub(super) struct Capacity {
    /// Bytes per second of each node; 0 while it is not there.
    rates: Vec<u64>,
    /// Sum of `rates`.
    rate: u64,
    /// Up to when `carried` goes, microseconds.
    since_us: u64,
    /// Bytes per second times microseconds since the last row.
    carried: u128,
}

impl Capacity {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            rates: vec![0; nodes],
            ..Self::default()
        }
    }

    /// From now on a node can send so much.
    pub(super) fn set(&mut self, now_us: u64, node: u32, bytes_per_sec: u64) {
        self.pass_to(now_us);
        let rate = &mut self.rates[node as usize];
        self.rate = self.rate - *rate + bytes_per_sec;
        *rate = bytes_per_sec;
    }

    /// Whole bytes since they were taken last.
    pub(super) fn take(&mut self, now_us: u64) -> u64 {
        self.pass_to(now_us);
        let bytes = self.carried / 1_000_000;
        self.carried %= 1_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    fn pass_to(&mut self, now_us: u64) {
        self.carried += u128::from(self.rate) * u128::from(now_us - self.since_us);
        self.since_us = now_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_there_for_a_part_counts_for_it() {
        let mut capacity = Capacity::new(2);
        capacity.set(0, 0, 1000);
        capacity.set(2_500_000, 1, 400);
        capacity.set(7_500_000, 0, 0);
        assert_eq!(capacity.take(10_000_000), 7500 + 3000);
        // Slowed down, and gone at the end of the next row.
        capacity.set(12_000_000, 1, 1);
        assert_eq!(capacity.take(15_500_000), 800 + 3);
        capacity.set(16_000_000, 1, 0);
        assert_eq!(capacity.take(16_000_000), 1, "two halves of a byte");
        assert_eq!(capacity.take(99_000_000), 0);
    }
}
