//! When nodes got their pieces.

use std::collections::BTreeMap;

use dunlin_scenarios::run::Observer;
use dunlin_scenarios::summary::statistics;
use dunlin_systems::Relation;

/// The instants, in microseconds, at which each node had one more piece.
#[derive(Default)]
pub(super) struct Pieces(pub(super) BTreeMap<u32, Vec<u64>>);

impl Observer for Pieces {
    fn piece_done(&mut self, at_us: u64, node: u32) {
        self.0.entry(node).or_default().push(at_us);
    }

    fn sample(&mut self, _: u64, _: &[Relation]) {}
}

impl Pieces {
    /// How long its last so many pieces took each node, seconds, in ascending order.
    pub(super) fn last(&self, count: usize) -> Vec<f64> {
        let took = self.0.values().filter_map(|done| {
            let from = done.len().checked_sub(count + 1)?;
            Some((done.last()? - done[from]) as f64 / 1e6)
        });
        let mut took: Vec<f64> = took.collect();
        took.sort_by(f64::total_cmp);
        took
    }

    /// Of the gaps before pieces of nodes that got all of so many by themselves: the median and the 90th
    /// percentile, seconds, first of all gaps and then of those before the last hundred pieces.
    pub(super) fn gaps(&self, pieces: usize) -> [[f64; 2]; 2] {
        let whole = || self.0.values().filter(|done| done.len() == pieces);
        let quantiles = |skip: usize| {
            let gaps = whole().flat_map(|done| done[skip..].windows(2));
            let mut gaps: Vec<f64> = gaps.map(|pair| (pair[1] - pair[0]) as f64 / 1e6).collect();
            gaps.sort_by(f64::total_cmp);
            let at = |percent| statistics::percentile(&gaps, percent).expect("gaps");
            [at(50), at(90)]
        };
        [quantiles(0), quantiles(pieces - 101)]
    }
}
