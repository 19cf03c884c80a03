//! The true max-min fair shares, to measure the fast ones by.

use super::Flow;

/// The max-min fair share of each flow, by progressive filling: all shares rise together, and
/// whenever a line is full or a want is met, its flows stop. Bytes that do not divide are lost, at
/// most one for each flow and stop.
pub(super) fn exact_shares(flows: &[Flow], up: &[u64], down: &[u64]) -> Vec<u64> {
    let mut shares = vec![0; flows.len()];
    let mut open = vec![true; flows.len()];
    let mut left = [up.to_vec(), down.to_vec()];
    let ends = |flow: &Flow| [flow.from as usize, flow.to as usize];
    loop {
        let mut counts = [vec![0_u64; up.len()], vec![0_u64; down.len()]];
        for (flow, _) in flows.iter().zip(&open).filter(|(_, open)| **open) {
            for (count, end) in counts.iter_mut().zip(ends(flow)) {
                count[end] += 1;
            }
        }
        let lines = left.iter().flatten().zip(counts.iter().flatten());
        let by_line = lines
            .filter(|(_, count)| **count > 0)
            .map(|(left, count)| left / count);
        let rows = flows.iter().zip(&shares).zip(&open);
        let by_want = rows
            .filter(|(_, open)| **open)
            .map(|((flow, share), _)| flow.want - share);
        let Some(rise) = by_line.chain(by_want).min() else {
            return shares;
        };
        for ((flow, share), open) in flows.iter().zip(&mut shares).zip(&mut open) {
            if *open {
                *share += rise;
                for (left, end) in left.iter_mut().zip(ends(flow)) {
                    left[end] -= rise;
                }
            }
        }
        for ((flow, share), open) in flows.iter().zip(&shares).zip(&mut open) {
            let lines = left.iter().zip(&counts).zip(ends(flow));
            let full = lines
                .into_iter()
                .any(|((left, count), end)| left[end] < count[end].max(1));
            *open &= *share < flow.want && !full;
        }
    }
}
