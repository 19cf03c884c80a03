//! What of a run is drawn.

use super::ReportError;
use super::chart::{Line, LineChart, bars};
use crate::outcome::{NodeOutcome, SeriesRow};
use crate::summary::download_secs;
use crate::tables::Run;

const DOWNLOAD_TIME: &str = "download time, s";
const SHARE_COMPLETE: &str = "leechers complete, %";
pub(super) const RUN_TIME: &str = "time in the run, s";

/// The share of `leechers` that had completed after a time, as a line. Those who never did keep it
/// below 100 %.
pub(super) fn completion_line<'a>(
    name: String,
    leechers: u64,
    nodes: impl Iterator<Item = &'a NodeOutcome>,
) -> Line {
    let mut times: Vec<f64> = nodes.filter_map(download_secs).collect();
    times.sort_by(f64::total_cmp);
    let all = leechers.max(1) as f64;
    let step = |(at, time): (usize, &f64)| {
        [
            (*time, at as f64 * 100.0 / all),
            (*time, (at + 1) as f64 * 100.0 / all),
        ]
    };
    let points = times.iter().enumerate().flat_map(step).collect();
    Line { name, points }
}

/// Lines of [`completion_line`] in one chart, each kept up to the last completion of any, with the
/// bound.
pub(super) fn completion_chart(
    mut lines: Vec<Line>,
    bound_s: Option<f64>,
) -> Result<String, ReportError> {
    let ends = lines.iter().filter_map(|line| line.points.last());
    let end = ends.map(|point| point.0).fold(0.0, f64::max);
    for line in &mut lines {
        if let Some((_, share)) = line.points.last().copied() {
            line.points.push((end, share));
        }
    }
    LineChart {
        x_label: DOWNLOAD_TIME,
        y_label: SHARE_COMPLETE,
        lines,
        mark: bound_s.map(|bound| (bound, "Kumar-Ross bound".to_owned())),
        y_min_top: 100.0,
    }
    .svg()
}

/// A part of a whole; `None` of nothing.
pub(super) fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// Cumulative completion times of each class of leechers, with the bound.
pub(super) fn completion_by_class(run: &Run) -> Result<String, ReportError> {
    let mut lines = Vec::new();
    for (at, class) in run.summary.classes.iter().enumerate() {
        if class.times.leechers > 0 {
            let nodes = run
                .record
                .nodes
                .iter()
                .filter(|node| usize::from(node.class) == at);
            lines.push(completion_line(
                class.name.clone(),
                class.times.leechers,
                nodes,
            ));
        }
    }
    completion_chart(lines, run.summary.bound_s)
}

fn series(run: &Run, name: &str, value: impl Fn(&SeriesRow) -> Option<f64>) -> Line {
    let point = |row: &SeriesRow| value(row).map(|value| (row.at_us as f64 / 1e6, value));
    Line {
        name: name.to_owned(),
        points: run.record.series.iter().filter_map(point).collect(),
    }
}

/// Bytes sent as a share of what could be sent.
pub(super) fn utilisation(run: &Run) -> Result<String, ReportError> {
    let used = |row: &SeriesRow| {
        let share = share(row.up_bytes as f64, row.up_capacity_bytes as f64);
        share.map(|share| share * 100.0)
    };
    LineChart {
        x_label: RUN_TIME,
        y_label: "upload capacity in use, %",
        lines: vec![series(run, "all nodes present", used)],
        mark: None,
        y_min_top: 100.0,
    }
    .svg()
}

/// Copies of the rarest, the mean and the commonest piece.
pub(super) fn rarity(run: &Run) -> Result<String, ReportError> {
    LineChart {
        x_label: RUN_TIME,
        y_label: "copies of a piece",
        lines: vec![
            series(run, "rarest piece", |row| Some(row.rarest_copies.into())),
            series(run, "mean", |row| {
                Some(row.mean_copies_milli as f64 / 1000.0)
            }),
            series(run, "commonest piece", |row| Some(row.most_copies.into())),
        ],
        ..LineChart::default()
    }
    .svg()
}

/// Leechers and seeds.
pub(super) fn population(run: &Run) -> Result<String, ReportError> {
    LineChart {
        x_label: RUN_TIME,
        y_label: "nodes",
        lines: vec![
            series(run, "leechers", |row| Some(row.leechers.into())),
            series(run, "seeds", |row| Some(row.seeds.into())),
        ],
        ..LineChart::default()
    }
    .svg()
}

/// Bytes uploaded by bytes downloaded, of classes that downloaded.
pub(super) fn share_ratios(run: &Run) -> Result<String, ReportError> {
    let classes = run.summary.classes.iter();
    let ratios: Vec<(String, f64)> = classes
        .filter_map(|class| Some((class.name.clone(), class.share_ratio?)))
        .collect();
    bars("bytes uploaded / bytes downloaded", &ratios, 1.0)
}
