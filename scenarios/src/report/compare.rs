//! Several runs beside each other: what tells them apart, and how those that differ in nothing but
//! their seed did together.

use std::collections::{BTreeMap, BTreeSet};

use super::chart::{Line, LineChart};
use super::plots::{RUN_TIME, completion_chart, completion_line, share};
use super::{ReportError, page, section};
use crate::outcome::{NodeOutcome, SeriesRow};
use crate::summary::{Summary, statistics};
use crate::sweep::differing;
use crate::tables::Run;

/// Variants that are drawn in one chart; more lines are not told apart.
const DRAWN_MAX: usize = 10;
/// Fields that differ by which variants are called; with more of them they are numbered.
const FIELDS_MAX: usize = 4;

/// Runs of one scenario with one set of values, each with its own seed.
pub(super) struct Variant<'a> {
    /// What sets it apart from the others.
    pub(super) name: String,
    pub(super) runs: Vec<&'a Run>,
}

/// The variants among runs, those that complete soonest first.
pub(super) fn variants(runs: &[Run]) -> Vec<Variant<'_>> {
    let fields: Vec<_> = runs.iter().map(|run| run.scenario.fields()).collect();
    let different = differing(&fields);
    let short = short_names(different.iter().map(|(path, _)| path.as_str()));
    let scenarios: BTreeSet<&str> = runs.iter().map(|run| run.record.name.as_str()).collect();
    let mut found: BTreeMap<(&str, Vec<&str>), Vec<&Run>> = BTreeMap::new();
    for (at, run) in runs.iter().enumerate() {
        let values = different
            .iter()
            .map(|(_, values)| values[at].as_str())
            .collect();
        found
            .entry((&run.record.name, values))
            .or_default()
            .push(run);
    }
    let name = |number: usize, scenario: &str, values: &[&str]| {
        let set: Vec<String> = short
            .iter()
            .zip(values)
            .map(|(name, value)| format!("{name} {}", if value.is_empty() { "–" } else { value }))
            .collect();
        match (scenarios.len(), set.len()) {
            (1, 0) => scenario.to_owned(),
            (1, ..=FIELDS_MAX) => set.join(", "),
            (_, 1..=FIELDS_MAX) => format!("{scenario}, {}", set.join(", ")),
            _ => format!("{scenario} #{number}"),
        }
    };
    let mut variants: Vec<Variant<'_>> = found
        .into_iter()
        .enumerate()
        .map(|(at, ((scenario, values), runs))| Variant {
            name: name(at + 1, scenario, &values),
            runs,
        })
        .collect();
    variants.sort_by(|one, other| one.rank().total_cmp(&other.rank()));
    variants
}

/// The ends of paths, as long as needed to tell them apart.
fn short_names<'a>(paths: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or(path).to_owned();
    let shared = |path: &str| {
        paths
            .clone()
            .filter(|other| last(other) == last(path))
            .count()
            > 1
    };
    let name = |path: &str| {
        if shared(path) {
            path.to_owned()
        } else {
            last(path)
        }
    };
    paths.clone().map(name).collect()
}

impl Variant<'_> {
    /// The mean over its runs of a number that all have.
    fn mean(&self, number: impl Fn(&Summary) -> Option<f64>) -> Option<f64> {
        let all: Option<Vec<f64>> = self.runs.iter().map(|run| number(&run.summary)).collect();
        statistics::mean(&all?)
    }

    /// The lowest and the highest of a number, where there are several.
    fn range(&self, number: impl Fn(&Summary) -> Option<f64>) -> String {
        let all: Option<Vec<f64>> = self.runs.iter().map(|run| number(&run.summary)).collect();
        let mut all = all.unwrap_or_default();
        all.sort_by(f64::total_cmp);
        match all.as_slice() {
            [lowest, .., highest] => {
                format!(
                    "{} to {}",
                    page::seconds(Some(*lowest)),
                    page::seconds(Some(*highest))
                )
            }
            _ => "–".to_owned(),
        }
    }

    fn sum(&self, number: impl Fn(&Summary) -> u64) -> u64 {
        self.runs.iter().map(|run| number(&run.summary)).sum()
    }

    /// By the mean completion time; behind all others where somebody was left behind.
    fn rank(&self) -> f64 {
        let left_behind = |summary: &Summary| summary.times.leechers - summary.times.completed;
        let mean = self.mean(|summary| summary.times.mean);
        mean.filter(|_| self.sum(left_behind) == 0)
            .unwrap_or(f64::INFINITY)
    }

    fn row(&self) -> Vec<String> {
        let time = |number: fn(&Summary) -> Option<f64>| page::seconds(self.mean(number));
        let over_bound = |summary: &Summary| Some(summary.times.mean? / summary.bound_s?);
        vec![
            self.name.clone(),
            self.runs.len().to_string(),
            format!(
                "{} of {}",
                self.sum(|summary| summary.times.completed),
                self.sum(|summary| summary.times.leechers)
            ),
            time(|summary| summary.times.mean),
            self.range(|summary| summary.times.mean),
            time(|summary| summary.times.median),
            time(|summary| summary.times.p95),
            time(|summary| summary.times.last),
            page::shown(self.mean(over_bound)),
            page::percent(self.mean(|summary| summary.utilisation_busy)),
            page::percent(self.mean(|summary| summary.wasted)),
        ]
    }
}

const HEAD: [&str; 11] = [
    "variant",
    "seeds",
    "complete",
    "mean, s",
    "by seed, s",
    "median, s",
    "p95, s",
    "last, s",
    "mean / bound",
    "uplinks used",
    "wasted",
];

/// The table and the charts of all variants.
pub(super) fn comparison(variants: &[Variant<'_>]) -> Result<String, ReportError> {
    let mut body = page::table(&HEAD, variants.iter().map(Variant::row));
    let drawn = &variants[..variants.len().min(DRAWN_MAX)];
    let note = if drawn.len() < variants.len() {
        format!(
            "Drawn are the {DRAWN_MAX} of {} variants that are at the top of the table. ",
            variants.len()
        )
    } else {
        String::new()
    };
    body += &format!(
        "<p class=\"note\">{note}Numbers and lines are of all seeds of a variant together. Times count \
         from a node's arrival; the last is from the first arrival of any.</p>\n"
    );
    body += &section(
        "Completion times of all leechers",
        &completion(drawn, None)?,
    );
    let classes = leecher_classes(drawn);
    if classes.len() > 1 {
        for class in &classes {
            let title = format!("Completion times of class {class}");
            body += &section(&title, &completion(drawn, Some(class))?);
        }
    }
    let used = |row: &SeriesRow| (row.up_bytes as f64, row.up_capacity_bytes as f64);
    body += &section(
        "Uplinks in use",
        &over_time(drawn, "upload capacity in use, %", 100.0, used, 100.0)?,
    );
    let rarest = |row: &SeriesRow| (f64::from(row.rarest_copies), 1.0);
    body += &section(
        "Copies of the rarest piece",
        &over_time(drawn, "copies of the rarest piece", 1.0, rarest, 0.0)?,
    );
    Ok(body)
}

/// The classes of leechers of all variants, in the order of the first.
fn leecher_classes(variants: &[Variant<'_>]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for run in variants.iter().flat_map(|variant| &variant.runs) {
        for class in run
            .summary
            .classes
            .iter()
            .filter(|class| class.times.leechers > 0)
        {
            if !found.contains(&class.name) {
                found.push(class.name.clone());
            }
        }
    }
    found
}

/// Cumulative completion times of one class of leechers or of all.
fn completion(variants: &[Variant<'_>], class: Option<&String>) -> Result<String, ReportError> {
    let line = |variant: &Variant<'_>| {
        let of_class = |run: &Run, node: &NodeOutcome| {
            class.is_none_or(|class| run.record.classes[usize::from(node.class)] == *class)
        };
        let leechers = variant.sum(|summary| match class {
            None => summary.times.leechers,
            Some(class) => {
                let of_class = summary.classes.iter().filter(|known| known.name == *class);
                of_class.map(|class| class.times.leechers).sum()
            }
        });
        let nodes = variant.runs.iter().flat_map(|run| {
            run.record
                .nodes
                .iter()
                .filter(move |node| of_class(run, node))
        });
        completion_line(variant.name.clone(), leechers, nodes)
    };
    // A bound that is the same for all can be shown; it is one of the whole swarm.
    let mut bounds = variants
        .iter()
        .flat_map(|variant| &variant.runs)
        .map(|run| run.summary.bound_s);
    let first = bounds.next().flatten().filter(|_| class.is_none());
    let common = first.filter(|_| bounds.all(|bound| bound == first));
    completion_chart(variants.iter().map(line).collect(), common)
}

/// A line for each variant: at each instant the sum over its seeds of a part by that of a whole.
fn over_time(
    variants: &[Variant<'_>],
    y_label: &str,
    scale: f64,
    value: impl Fn(&SeriesRow) -> (f64, f64),
    y_min_top: f64,
) -> Result<String, ReportError> {
    let line = |variant: &Variant<'_>| {
        let mut sums: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
        for row in variant.runs.iter().flat_map(|run| &run.record.series) {
            let (part, whole) = value(row);
            let sum = sums.entry(row.at_us).or_default();
            *sum = (sum.0 + part, sum.1 + whole);
        }
        let point = |(at, (part, whole)): (u64, (f64, f64))| {
            Some((at as f64 / 1e6, share(part, whole)? * scale))
        };
        Line {
            name: variant.name.clone(),
            points: sums.into_iter().filter_map(point).collect(),
        }
    };
    LineChart {
        x_label: RUN_TIME,
        y_label,
        lines: variants.iter().map(line).collect(),
        mark: None,
        y_min_top,
    }
    .svg()
}
