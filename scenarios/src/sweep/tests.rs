//! Plans of sweeps and the tables of their results.

use std::collections::BTreeSet;

use super::*;
use crate::summary::tests::record;
use crate::tables::{Column, Table, run_name, write_run};

fn sweep(vary: &[&str], seeds: u32) -> Result<Sweep, SweepError> {
    let vary = vary
        .iter()
        .map(|text| text.parse().expect("values"))
        .collect();
    Sweep::new(crate::schema::tests::scenario(), vary, seeds)
}

#[test]
fn every_combination_is_planned_once() {
    let sweep = sweep(
        &[
            "classes.leech.count=2..4",
            "strategy.slots=[Fixed(4), RateBased]",
        ],
        2,
    )
    .unwrap();
    assert_eq!(sweep.runs(), 12);
    let runs: Vec<PlannedRun> = (0..12).map(|index| sweep.run(index).unwrap()).collect();
    let shown = |at: usize| {
        runs[at]
            .overrides
            .iter()
            .map(Override::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        shown(0),
        "classes.leech.count=2 strategy.slots=Fixed(4) rng_seed=1"
    );
    assert_eq!(
        shown(1),
        "classes.leech.count=2 strategy.slots=Fixed(4) rng_seed=2"
    );
    assert_eq!(
        shown(2),
        "classes.leech.count=2 strategy.slots=RateBased rng_seed=1"
    );
    assert_eq!(
        shown(11),
        "classes.leech.count=4 strategy.slots=RateBased rng_seed=2"
    );
    assert_eq!(runs[11].scenario.classes[1].count, 4);
    let names: BTreeSet<String> = runs.iter().map(|run| run_name(&run.scenario)).collect();
    assert_eq!(names.len(), 12);
}

#[test]
fn shards_part_a_sweep() {
    let sweep = sweep(&["classes.leech.count=1..7"], 3).unwrap();
    let shards = (0..4).map(|index| Shard::new(index, 4).unwrap());
    let mut all: Vec<u64> = shards.flat_map(|shard| sweep.shard(shard)).collect();
    all.sort_unstable();
    assert_eq!(all, (0..21).collect::<Vec<_>>());
    assert_eq!(sweep.shard(Shard::ALL).count(), 21);
    assert_eq!("1/4".parse(), Shard::new(1, 4));
    for text in ["4/4", "0/0", "1", "a/b", "-1/2"] {
        assert!(text.parse::<Shard>().is_err(), "{text}");
    }
}

#[test]
fn sweeps_that_cannot_be_are_refused_before_the_first_run() {
    let message = |vary: &[&str], seeds| sweep(vary, seeds).unwrap_err().to_string();
    assert!(message(&[], 0).contains("0 runs"));
    assert!(
        message(&["rng_seed=1..1000", "classes.leech.count=1..1000"], 11).contains("11000000 runs")
    );
    assert!(message(&["rng_seed=1..2", "rng_seed=1..2"], 1).contains("twice"));
    assert!(message(&["classes.leech.up=[1Mbit, 0bit]"], 1).contains("classes[1].up is 0bit"));
    assert!(message(&["classes.leech.speed=1..2"], 1).contains("`speed`"));
}

#[test]
fn finished_runs_become_one_table() {
    let out = tempfile::tempdir().unwrap();
    let sweep = sweep(
        &[
            "classes.leech.up=[1Mbit, 2Mbit]",
            "strategy.slots=[Fixed(4), RateBased]",
        ],
        1,
    )
    .unwrap();
    let (record, _) = record();
    for index in 0..sweep.runs() {
        write_run(out.path(), &record, &sweep.run(index).unwrap().scenario).unwrap();
    }
    let table = write_merged(out.path()).unwrap();
    assert_eq!(table.rows(), 4);
    let names: Vec<&str> = table
        .columns
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names[..6],
        [
            "run",
            "scenario",
            "seed",
            "digest",
            "classes.leech.up",
            "strategy.slots"
        ]
    );
    let Some(Column::Text(slots)) = table.column("strategy.slots") else {
        panic!("{names:?}");
    };
    assert_eq!(slots.iter().filter(|slots| *slots == "Fixed(4)").count(), 2);
    assert_eq!(
        table.column("median"),
        Some(&Column::Real(vec![Some(20.0); 4]))
    );
    assert_eq!(
        Table::read_parquet(&out.path().join("summary.parquet")).unwrap(),
        table
    );
    assert!(out.path().join("summary.csv").is_file());
    // The merged files are no runs.
    assert_eq!(merge(out.path()).unwrap(), table);
}
