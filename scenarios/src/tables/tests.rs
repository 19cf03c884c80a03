//! Runs written, read back, and refused when they are broken.

use std::fs;

use super::*;
use crate::summary::Summary;
use crate::summary::tests::record;

#[test]
fn a_run_reads_back_as_it_was() {
    let out = tempfile::tempdir().unwrap();
    let (record, scenario) = record();
    assert_eq!(find_run(out.path(), &scenario), None);
    let folder = write_run(out.path(), &record, &scenario).unwrap();
    assert_eq!(find_run(out.path(), &scenario), Some(folder.clone()));
    let run = read_run(&folder).unwrap();
    assert_eq!(run.record, record);
    assert_eq!(run.scenario, scenario);
    assert_eq!(run.summary, Summary::new(&record, &scenario));
    assert_eq!(runs_in(out.path()).unwrap(), std::slice::from_ref(&folder));
    assert_eq!(runs_in(&folder).unwrap(), [folder]);
}

#[test]
fn the_same_run_is_written_once_and_bit_for_bit() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut record, mut scenario) = record();
    let one = write_run(first.path(), &record, &scenario).unwrap();
    let two = write_run(second.path(), &record, &scenario).unwrap();
    for name in [
        "nodes.parquet",
        "nodes.csv",
        "series.parquet",
        "series.csv",
        "summary.json",
        "scenario.ron",
    ] {
        assert_eq!(
            fs::read(one.join(name)).unwrap(),
            fs::read(two.join(name)).unwrap(),
            "{name}"
        );
    }
    record.digest += 1;
    assert_eq!(write_run(first.path(), &record, &scenario).unwrap(), one);
    assert_eq!(read_run(&one).unwrap().record.digest, record.digest - 1);
    scenario.rng_seed += 1;
    assert_ne!(write_run(first.path(), &record, &scenario).unwrap(), one);
    assert_eq!(
        fs::read_dir(first.path()).unwrap().count(),
        2,
        "nothing unfinished is left"
    );
}

#[test]
fn a_run_that_cannot_be_read_is_run_again() {
    let out = tempfile::tempdir().unwrap();
    let (record, scenario) = record();
    let folder = write_run(out.path(), &record, &scenario).unwrap();
    let whole = read_run(&folder).unwrap();
    for (name, left) in [
        ("nodes.parquet", None),
        ("series.parquet", Some(100)),
        ("summary.json", Some(0)),
    ] {
        let file = folder.join(name);
        match left {
            None => fs::remove_file(&file).unwrap(),
            Some(len) => fs::File::options()
                .write(true)
                .open(&file)
                .and_then(|file| file.set_len(len))
                .unwrap(),
        }
        assert_eq!(find_run(out.path(), &scenario), None, "{name}");
        assert_eq!(write_run(out.path(), &record, &scenario).unwrap(), folder);
        assert_eq!(read_run(&folder).unwrap(), whole);
    }
}

#[test]
fn csv_has_a_header_and_empty_fields() {
    let out = tempfile::tempdir().unwrap();
    let (record, scenario) = record();
    let folder = write_run(out.path(), &record, &scenario).unwrap();
    let text = fs::read_to_string(folder.join("nodes.csv")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("node,class,arrived_us,first_piece_us"),
        "{}",
        lines[0]
    );
    assert!(
        lines[0].ends_with("down_from_seed,down_from_leech"),
        "{}",
        lines[0]
    );
    assert_eq!(
        lines[5],
        "4,leech,5000000,,,,30000000,true,1100000,2200000,2,11000,22000,0,0,600000,500000"
    );
    assert_eq!(lines.len(), 6);
}

#[test]
fn broken_runs_are_named() {
    let out = tempfile::tempdir().unwrap();
    let message = runs_in(out.path()).unwrap_err().to_string();
    assert!(message.contains("no run in here"), "{message}");
    let (record, scenario) = record();
    let folder = write_run(out.path(), &record, &scenario).unwrap();
    fs::write(folder.join("nodes.parquet"), b"PAR1 not really").unwrap();
    let message = read_run(&folder).unwrap_err().to_string();
    assert!(message.contains("nodes.parquet"), "{message}");
    fs::copy(folder.join("series.parquet"), folder.join("nodes.parquet")).unwrap();
    let message = read_run(&folder).unwrap_err().to_string();
    assert!(message.contains("no column of text class"), "{message}");
}
