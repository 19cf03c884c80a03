//! Means, quantiles and fairness of samples. Floats: nothing is decided by them.

/// The mean, or `None` of nothing.
#[must_use]
pub fn mean(samples: &[f64]) -> Option<f64> {
    (!samples.is_empty()).then(|| samples.iter().sum::<f64>() / samples.len() as f64)
}

/// The median of sorted samples: the middle one, or the mean of the middle two.
#[must_use]
pub fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(sorted[middle - 1], upper))
}

/// The smallest of sorted samples that at least `percent` percent do not exceed (nearest rank).
#[must_use]
pub fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// Jain's fairness index `(sum x)^2 / (n sum x^2)`: 1 where all are equal, `1 / n` where one has
/// all. `None` of nothing or of zeros.
#[must_use]
pub fn jain(samples: &[f64]) -> Option<f64> {
    let sum: f64 = samples.iter().sum();
    let squares: f64 = samples.iter().map(|x| x * x).sum();
    (squares > 0.0).then(|| sum * sum / (samples.len() as f64 * squares))
}

/// A straight line through points.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Line {
    /// Rise by unit of the first coordinate.
    pub slope: f64,
    /// Value at nothing.
    pub intercept: f64,
    /// How much of the spread it explains, 0 to 1: the coefficient of determination.
    pub explained: f64,
}

/// The line that is nearest to the points by least squares; `None` where all points are above one
/// another or at one height.
#[must_use]
pub fn fit(points: &[(f64, f64)]) -> Option<Line> {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|point| point.0).sum::<f64>() / count;
    let mean_y = points.iter().map(|point| point.1).sum::<f64>() / count;
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in points {
        let (x, y) = (x - mean_x, y - mean_y);
        xx += x * x;
        xy += x * y;
        yy += y * y;
    }
    (xx > 0.0 && yy > 0.0).then(|| Line {
        slope: xy / xx,
        intercept: mean_y - xy / xx * mean_x,
        explained: xy * xy / (xx * yy),
    })
}

/// Spearman's rank correlation of pairs: 1 where one rises with the other, -1 where it falls; pairs
/// of equal values share their mean rank. `None` where one of them is the same in all pairs.
#[must_use]
pub fn spearman(pairs: &[(f64, f64)]) -> Option<f64> {
    let ranks = |values: Vec<f64>| -> Vec<f64> {
        let rank = |value: &f64| {
            let below = values.iter().filter(|other| *other < value).count();
            let equal = values.iter().filter(|other| *other == value).count();
            below as f64 + (equal as f64 - 1.0) / 2.0
        };
        values.iter().map(rank).collect()
    };
    let first = ranks(pairs.iter().map(|pair| pair.0).collect());
    let second = ranks(pairs.iter().map(|pair| pair.1).collect());
    let points: Vec<(f64, f64)> = first.into_iter().zip(second).collect();
    fit(&points).map(|line| line.explained.sqrt().copysign(line.slope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_and_their_numbers() {
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[1.0, 2.0, 6.0]), Some(3.0));
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[1.0, 2.0, 6.0]), Some(2.0));
        assert_eq!(median(&[1.0, 2.0, 4.0, 6.0]), Some(3.0));
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&hundred, 95), Some(95.0));
        assert_eq!(percentile(&[7.0], 99), Some(7.0));
        assert_eq!(percentile(&[1.0, 2.0], 50), Some(1.0));
        assert_eq!(percentile(&[], 50), None);
        assert_eq!(jain(&[3.0, 3.0, 3.0]), Some(1.0));
        assert_eq!(jain(&[5.0, 0.0, 0.0, 0.0]), Some(0.25));
        assert_eq!(jain(&[0.0]), None);
    }

    #[test]
    fn lines_and_ranks() {
        let line = fit(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]).expect("a line");
        assert_eq!(
            (line.slope, line.intercept, line.explained),
            (2.0, 1.0, 1.0)
        );
        assert_eq!(fit(&[]), None);
        assert_eq!(fit(&[(1.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(spearman(&[(1.0, 1.0), (2.0, 8.0), (3.0, 9.0)]), Some(1.0));
        assert_eq!(spearman(&[(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]), Some(-1.0));
        assert_eq!(spearman(&[(1.0, 3.0), (1.0, 2.0)]), None);
    }
}
