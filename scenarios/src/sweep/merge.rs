//! The finished runs of a folder as one table: what they differ in, and what came out.

use std::collections::BTreeMap;
use std::path::Path;

use crate::summary::Summary;
use crate::tables::{Column, Table, TableError, read_summary, runs_in};

/// One row per finished run in `dir`, in order of name: the run's folder, seed and digest, every
/// field of the scenario that is not the same in all of them, and the numbers of the summary.
///
/// # Errors
/// When there is no run, or one cannot be read.
pub fn merge(dir: &Path) -> Result<Table, TableError> {
    let (mut names, mut fields, mut summaries) = (Vec::new(), Vec::new(), Vec::new());
    for folder in runs_in(dir)? {
        let (scenario, summary) = read_summary(&folder)?;
        names.push(
            folder
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
        );
        fields.push(scenario.fields());
        summaries.push(summary);
    }
    let mut table = Table::default();
    table.add("run", Column::Text(names));
    table.add(
        "scenario",
        Column::Text(summaries.iter().map(|run| run.scenario.clone()).collect()),
    );
    table.add("seed", Column::whole(summaries.iter().map(|run| run.seed)));
    table.add(
        "digest",
        Column::Text(summaries.iter().map(|run| run.digest.clone()).collect()),
    );
    for (path, values) in differing(&fields) {
        table.add(path, Column::Text(values));
    }
    add_numbers(&mut table, &summaries);
    Ok(table)
}

/// Merges the runs in `dir` into `summary.csv` and `summary.parquet` there.
///
/// # Errors
/// As [`merge`], and when a file cannot be written.
pub fn write_merged(dir: &Path) -> Result<Table, TableError> {
    let table = merge(dir)?;
    table.write_csv(&dir.join("summary.csv"))?;
    table.write_parquet(&dir.join("summary.parquet"))?;
    Ok(table)
}

/// The fields that differ between scenarios, each with its value in every one. Names and seeds have
/// columns of their own, and what is said or expected of a scenario is no part of its run.
pub(crate) fn differing(scenarios: &[BTreeMap<String, String>]) -> Vec<(String, Vec<String>)> {
    let of_text = |path: &str| {
        ["name", "rng_seed", "about", "expect"].iter().any(|name| {
            path.strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    let paths: std::collections::BTreeSet<&String> =
        scenarios.iter().flat_map(BTreeMap::keys).collect();
    let mut found = Vec::new();
    for path in paths.into_iter().filter(|path| !of_text(path)) {
        let values: Vec<String> = scenarios
            .iter()
            .map(|fields| fields.get(path).cloned().unwrap_or_default())
            .collect();
        if values.windows(2).any(|two| two[0] != two[1]) {
            found.push((path.clone(), values));
        }
    }
    found
}

fn add_numbers(table: &mut Table, runs: &[Summary]) {
    let whole = |value: fn(&Summary) -> u64| Column::whole(runs.iter().map(value));
    let real = |value: fn(&Summary) -> Option<f64>| Column::Real(runs.iter().map(value).collect());
    table.add("nodes", whole(|run| run.nodes));
    table.add("leechers", whole(|run| run.times.leechers));
    table.add("completed", whole(|run| run.times.completed));
    table.add("gone", whole(|run| run.times.gone));
    table.add("virtual_s", real(|run| Some(run.virtual_s)));
    table.add("mean", real(|run| run.times.mean));
    table.add("median", real(|run| run.times.median));
    table.add("p95", real(|run| run.times.p95));
    table.add("p99", real(|run| run.times.p99));
    table.add("last", real(|run| run.times.last));
    table.add("bound_s", real(|run| run.bound_s));
    table.add("utilisation", real(|run| run.utilisation));
    table.add("utilisation_busy", real(|run| run.utilisation_busy));
    table.add("utilisation_most", real(|run| run.utilisation_most));
    table.add("jain_rates", real(|run| run.jain_rates));
    table.add("jain_share_ratios", real(|run| run.jain_share_ratios));
    table.add("wasted", real(|run| run.wasted));
    table.add("control", real(|run| run.control));
}
