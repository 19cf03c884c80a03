//! How the service capacity of a new swarm grows.

use super::statistics::{Line, fit};
use crate::outcome::RunRecord;

/// Growth of what leechers send, as an exponential.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Growth {
    /// Time in which it doubles, seconds.
    pub(super) doubling_s: f64,
    /// How much of its course the exponential explains: the coefficient of determination.
    pub(super) fit: f64,
}

/// Fits an exponential to what leechers sent, row by row, from when it first is 2 % of the capacity of
/// all lines until it first is 50 %. `None` when there are fewer than three rows of that.
pub(super) fn growth(record: &RunRecord) -> Option<Growth> {
    let capacity = record
        .series
        .iter()
        .map(|row| row.up_capacity_bytes)
        .max()? as f64;
    let share = |row: &crate::outcome::SeriesRow| {
        row.up_bytes.saturating_sub(row.seed_up_bytes) as f64 / capacity
    };
    let rows = record.series.iter().skip_while(|row| share(row) < 0.02);
    let points: Vec<(f64, f64)> = rows
        .take_while(|row| share(row) < 0.5)
        .filter(|row| share(row) > 0.0)
        .map(|row| (super::secs(row.at_us), share(row).ln()))
        .collect();
    let Line {
        slope, explained, ..
    } = fit(&points).filter(|_| points.len() >= 3)?;
    Some(Growth {
        doubling_s: core::f64::consts::LN_2 / slope,
        fit: explained,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::SeriesRow;

    #[test]
    fn an_exponential_is_found_between_its_limits() {
        let row = |at: u64, up: f64| SeriesRow {
            at_us: at * 1_000_000,
            up_bytes: up as u64 + 7,
            seed_up_bytes: 7,
            up_capacity_bytes: 1_000_000,
            ..SeriesRow::default()
        };
        // Doubles every four seconds, from a value that is not yet 2 %.
        let sent = |at: u64| 10_000.0 * (at as f64 / 4.0).exp2();
        let mut series: Vec<_> = (0..20).map(|at| row(at, sent(at))).collect();
        series.extend((20..40).map(|at| row(at, 600_000.0)));
        let record = RunRecord {
            series,
            ..RunRecord::default()
        };
        let found = growth(&record).expect("it grows");
        assert!((found.doubling_s - 4.0).abs() < 0.01, "{found:?}");
        assert!(found.fit > 0.999, "{found:?}");
        assert_eq!(growth(&RunRecord::default()), None);
    }
}
