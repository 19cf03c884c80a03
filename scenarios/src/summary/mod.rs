//! A run in a few numbers, and whether they are what its scenario expects.

mod growth;
pub mod statistics;
mod verdict;

use serde::{Deserialize, Serialize};

pub use verdict::Verdict;

use crate::outcome::{NodeOutcome, RunRecord};
use crate::schema::{Role, Scenario};

/// A run in a few numbers. Times are seconds; `None` where nothing was there to count.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// The scenario's name.
    pub scenario: String,
    /// Digest of the final state, in hexadecimal.
    pub digest: String,
    /// Where all luck came from.
    pub seed: u64,
    /// Ticks that were run.
    pub ticks: u64,
    /// How long the run was in virtual time.
    pub virtual_s: f64,
    /// Most connections between nodes at a time, attempts included.
    pub connections: u32,
    /// Nodes that came, seeds too.
    pub nodes: u64,
    /// Completion times of all leechers.
    #[serde(flatten)]
    pub times: Times,
    /// The minimum distribution time (Kumar and Ross) of a closed swarm.
    pub bound_s: Option<f64>,
    /// Bytes uploaded as a share of what the lines of those present could send.
    pub utilisation: Option<f64>,
    /// The same from 5 % to 90 % of the time of the last completion.
    pub utilisation_busy: Option<f64>,
    /// The same from the start until nine in ten of all leechers are complete.
    pub utilisation_most: Option<f64>,
    /// Jain's index of the download rates of complete leechers.
    pub jain_rates: Option<f64>,
    /// Jain's index of the share ratios of leechers.
    pub jain_share_ratios: Option<f64>,
    /// Downloaded bytes of no use, as a share of all.
    pub wasted: Option<f64>,
    /// Bytes that are no payload, as a share of the payload.
    pub control: Option<f64>,
    /// By class, in the scenario's order.
    pub classes: Vec<ClassSummary>,
    /// Seconds for which one class (row) had another (column) unchoked.
    pub unchoke_s: Vec<Vec<f64>>,
}

/// Completion times of some leechers, each from its own arrival except `last`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Times {
    /// How many leechers came.
    pub leechers: u64,
    /// How many of them became complete.
    pub completed: u64,
    /// How many of them were gone before.
    pub gone: u64,
    /// Mean.
    pub mean: Option<f64>,
    /// Median.
    pub median: Option<f64>,
    /// 95th percentile.
    pub p95: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
    /// The last completion, from the first arrival of any node.
    pub last: Option<f64>,
}

/// A class in a few numbers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ClassSummary {
    /// The class.
    pub name: String,
    /// Its nodes that came.
    pub nodes: u64,
    /// Completion times of its leechers.
    #[serde(flatten)]
    pub times: Times,
    /// Bytes uploaded by bytes downloaded.
    pub share_ratio: Option<f64>,
    /// Payload sent.
    pub up_bytes: u64,
    /// Payload received.
    pub down_bytes: u64,
    /// Stops of playback.
    pub stalls: u64,
    /// Time for which playback stood.
    pub stalled_s: f64,
}

fn secs(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Summary {
    /// Sums a run of `scenario` up.
    #[must_use]
    pub fn new(record: &RunRecord, scenario: &Scenario) -> Self {
        let start = record
            .nodes
            .iter()
            .map(|node| node.arrived_us)
            .min()
            .unwrap_or(0);
        let is_leecher = |node: &&NodeOutcome| {
            let class = scenario.classes.get(usize::from(node.class));
            class.is_some_and(|class| class.role == Role::Leech)
        };
        let leechers: Vec<&NodeOutcome> = record.nodes.iter().filter(is_leecher).collect();
        let rates: Vec<f64> = leechers
            .iter()
            .filter_map(|node| download_secs(node))
            .map(|secs| 1.0 / secs)
            .collect();
        let ratios: Vec<f64> = leechers
            .iter()
            .filter_map(|node| ratio(node.up_bytes, node.down_bytes))
            .collect();
        let sum = |count: fn(&NodeOutcome) -> u64| record.nodes.iter().map(count).sum::<u64>();
        let (down, up) = (sum(|node| node.down_bytes), sum(|node| node.up_bytes));
        let last_us = leechers
            .iter()
            .filter_map(|node| node.completed_us)
            .max()
            .unwrap_or(record.virtual_us);
        Self {
            scenario: record.name.clone(),
            digest: format!("{:016x}", record.digest),
            seed: record.seed,
            ticks: record.ticks,
            virtual_s: secs(record.virtual_us),
            connections: record
                .series
                .iter()
                .map(|row| row.connections)
                .max()
                .unwrap_or(0),
            nodes: record.nodes.len() as u64,
            times: Times::new(&leechers, start),
            bound_s: record.bound_us.map(secs),
            utilisation: utilisation(record, 0, u64::MAX),
            utilisation_busy: utilisation(record, last_us / 20, last_us / 10 * 9),
            utilisation_most: most_complete(&leechers)
                .and_then(|until| utilisation(record, 0, until)),
            jain_rates: statistics::jain(&rates),
            jain_share_ratios: statistics::jain(&ratios),
            wasted: ratio(sum(|node| node.wasted_bytes), down),
            control: ratio(sum(|node| node.control_bytes_up), up),
            classes: (0..record.classes.len())
                .map(|class| ClassSummary::new(record, class, &leechers, start))
                .collect(),
            unchoke_s: record
                .unchoke_us
                .iter()
                .map(|row| row.iter().map(|us| secs(*us)).collect())
                .collect(),
        }
    }

    /// The summary as one JSON object, with the time that the computer took if it is told.
    #[must_use]
    pub fn to_json(&self, wall_s: Option<f64>) -> serde_json::Value {
        let mut object = serde_json::json!(self);
        if let Some(wall_s) = wall_s {
            object["wall_s"] = wall_s.into();
        }
        object
    }
}

impl ClassSummary {
    fn new(record: &RunRecord, class: usize, leechers: &[&NodeOutcome], start: u64) -> Self {
        let of_class = |node: &&NodeOutcome| usize::from(node.class) == class;
        let own: Vec<&NodeOutcome> = leechers.iter().copied().filter(of_class).collect();
        let sum = |count: fn(&NodeOutcome) -> u64| {
            record.nodes.iter().filter(of_class).map(count).sum::<u64>()
        };
        let (up_bytes, down_bytes) = (sum(|node| node.up_bytes), sum(|node| node.down_bytes));
        Self {
            name: record.classes[class].clone(),
            nodes: record.nodes.iter().filter(of_class).count() as u64,
            times: Times::new(&own, start),
            share_ratio: ratio(up_bytes, down_bytes),
            up_bytes,
            down_bytes,
            stalls: sum(|node| node.stalls.into()),
            stalled_s: secs(sum(|node| node.stalled_us)),
        }
    }
}

fn is_gone(node: &NodeOutcome) -> bool {
    node.completed_us.is_none() && node.left_us.is_some()
}

/// From arrival to completion.
pub(crate) fn download_secs(node: &NodeOutcome) -> Option<f64> {
    node.completed_us
        .map(|at| secs(at.saturating_sub(node.arrived_us)))
}

/// When nine in ten of all leechers are complete, microseconds.
fn most_complete(leechers: &[&NodeOutcome]) -> Option<u64> {
    let complete = leechers.iter().filter_map(|node| node.completed_us);
    let mut complete: Vec<u64> = complete.collect();
    complete.sort_unstable();
    let last = (leechers.len() * 9 / 10).checked_sub(1)?;
    complete.get(last).copied()
}

/// Bytes sent as a share of capacity after `from` and up to `until`, microseconds. A row that is partly
/// outside counts for the part of its time that is inside.
fn utilisation(record: &RunRecord, from: u64, until: u64) -> Option<f64> {
    let (mut sent, mut capacity, mut start) = (0.0, 0.0, 0);
    for row in &record.series {
        let inside = row.at_us.min(until).saturating_sub(from.max(start));
        if inside > 0 {
            let part = inside as f64 / (row.at_us - start) as f64;
            sent += row.up_bytes as f64 * part;
            capacity += row.up_capacity_bytes as f64 * part;
        }
        start = row.at_us;
    }
    (capacity > 0.0).then(|| sent / capacity)
}

impl Times {
    fn new(leechers: &[&NodeOutcome], start: u64) -> Self {
        let mut times: Vec<f64> = leechers
            .iter()
            .filter_map(|node| download_secs(node))
            .collect();
        times.sort_by(f64::total_cmp);
        let last = leechers.iter().filter_map(|node| node.completed_us).max();
        Self {
            leechers: leechers.len() as u64,
            completed: times.len() as u64,
            gone: leechers.iter().filter(|node| is_gone(node)).count() as u64,
            mean: statistics::mean(&times),
            median: statistics::median(&times),
            p95: statistics::percentile(&times, 95),
            p99: statistics::percentile(&times, 99),
            last: last.map(|at| secs(at.saturating_sub(start))),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
