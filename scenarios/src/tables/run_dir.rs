//! The folder of one run: named by what was run, so that it is never run twice, and written as a
//! whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Table, TableError, convert};
use crate::outcome::RunRecord;
use crate::schema::Scenario;
use crate::summary::Summary;

/// A run that was read back.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    /// What was run.
    pub scenario: Scenario,
    /// What came out.
    pub record: RunRecord,
    /// The same in a few numbers.
    pub summary: Summary,
}

/// `summary.json`: what is for people, and what else of the record is in no table.
#[derive(Serialize, Deserialize)]
struct Whole {
    #[serde(flatten)]
    summary: Summary,
    record: Rest,
}

#[derive(Serialize, Deserialize)]
struct Rest {
    virtual_us: u64,
    unchoke_us: Vec<Vec<u64>>,
    bound_us: Option<u64>,
}

/// The name of the folder of a run: scenario, seed, and a hash of all that decides it. That is the
/// scenario with every default, override and seed in it, and the rules of each class with the
/// engine's defaults, which another version may have changed.
#[must_use]
pub fn run_name(scenario: &Scenario) -> String {
    let mut text = scenario.to_ron();
    for class in &scenario.classes {
        text += &scenario.strategy_of(class).effective().to_profile();
    }
    let digest = dunlin_hash::sha256(text.as_bytes());
    let hash: String = digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{}-{}-{hash}", scenario.name, scenario.rng_seed)
}

/// The finished run of `scenario` below `out`, if it is there and can be read: what a crash of the system left
/// half written is run again.
#[must_use]
pub fn find_run(out: &Path, scenario: &Scenario) -> Option<PathBuf> {
    let folder = out.join(run_name(scenario));
    (folder.join(SUMMARY).is_file() && read_run(&folder).is_ok()).then_some(folder)
}

const SUMMARY: &str = "summary.json";
const SCENARIO: &str = "scenario.ron";

/// Writes a run below `out` and returns its folder. A run that is there already is left alone.
///
/// # Errors
/// When a file cannot be written; nothing of the run stays behind then under its name.
pub fn write_run(
    out: &Path,
    record: &RunRecord,
    scenario: &Scenario,
) -> Result<PathBuf, TableError> {
    if let Some(done) = find_run(out, scenario) {
        return Ok(done);
    }
    let name = run_name(scenario);
    // Two processes may have been given the same run: each writes into a folder of its own.
    let unfinished = out.join(format!(".{name}.{}", std::process::id()));
    fs::create_dir_all(&unfinished).map_err(|source| TableError::io(&unfinished, source))?;
    let folder = out.join(name);
    let put = || fs::rename(&unfinished, &folder);
    let written = write_files(&unfinished, record, scenario).and_then(|()| {
        let put = put().or_else(|error| match find_run(out, scenario) {
            Some(_) => Err(error),
            None => put_aside(&folder).and_then(|()| put()),
        });
        put.map_err(|source| TableError::io(&folder, source))
    });
    match written {
        Ok(()) => Ok(folder),
        Err(error) => {
            // Best effort: what is left has a name that nobody reads.
            fs::remove_dir_all(&unfinished).ok();
            find_run(out, scenario).ok_or(error)
        }
    }
}

/// Clears the place of a run that cannot be read.
fn put_aside(folder: &Path) -> io::Result<()> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let aside = folder.with_file_name(format!(".{name}.broken.{}", std::process::id()));
    fs::rename(folder, &aside)?;
    // Best effort: what is left has a name that nobody reads.
    fs::remove_dir_all(&aside).ok();
    Ok(())
}

fn write_files(folder: &Path, record: &RunRecord, scenario: &Scenario) -> Result<(), TableError> {
    let nodes = convert::nodes(record);
    nodes.write_parquet(&folder.join("nodes.parquet"))?;
    nodes.write_csv(&folder.join("nodes.csv"))?;
    let series = convert::series(record);
    series.write_parquet(&folder.join("series.parquet"))?;
    series.write_csv(&folder.join("series.csv"))?;
    let whole = Whole {
        summary: Summary::new(record, scenario),
        record: Rest {
            virtual_us: record.virtual_us,
            unchoke_us: record.unchoke_us.clone(),
            bound_us: record.bound_us,
        },
    };
    let json = format!("{:#}\n", serde_json::json!(whole));
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|source| TableError::io(&path, source))
    };
    write(SCENARIO, &scenario.to_ron())?;
    // Last: its presence says that the run is whole.
    write(SUMMARY, &json)
}

/// The folders of finished runs in `dir`, which may be one itself, in order of name.
///
/// # Errors
/// When the folder cannot be read, or there is no run in it.
pub fn runs_in(dir: &Path) -> Result<Vec<PathBuf>, TableError> {
    if dir.join(SUMMARY).is_file() {
        return Ok(vec![dir.to_owned()]);
    }
    let entries = fs::read_dir(dir).map_err(|source| TableError::io(dir, source))?;
    let is_hidden = |path: &Path| {
        path.file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| !is_hidden(path) && path.join(SUMMARY).is_file())
        .collect();
    found.sort();
    if found.is_empty() {
        return Err(TableError::no_run(dir, "there is no run in here"));
    }
    Ok(found)
}

/// What was run in a folder, and its numbers, without the tables.
///
/// # Errors
/// When a file cannot be read or is not what a run writes.
pub fn read_summary(folder: &Path) -> Result<(Scenario, Summary), TableError> {
    read_texts(folder).map(|(_, scenario, whole)| (scenario, whole.summary))
}

/// The texts of a run: the scenario as it stands there, and as it is meant, and the summary.
fn read_texts(folder: &Path) -> Result<(String, Scenario, Whole), TableError> {
    let (scenario_path, summary_path) = (folder.join(SCENARIO), folder.join(SUMMARY));
    let read =
        |path: &Path| fs::read_to_string(path).map_err(|source| TableError::io(path, source));
    let text = read(&scenario_path)?;
    let scenario = Scenario::parse(SCENARIO, &text, &[])
        .map_err(|error| TableError::no_run(&scenario_path, error))?;
    let whole = serde_json::from_str(&read(&summary_path)?)
        .map_err(|error| TableError::no_run(&summary_path, error))?;
    Ok((text, scenario, whole))
}

/// Reads a run back.
///
/// # Errors
/// When a file cannot be read or is not what a run writes.
pub fn read_run(folder: &Path) -> Result<Run, TableError> {
    let (text, scenario, whole) = read_texts(folder)?;
    let classes: Vec<String> = scenario
        .classes
        .iter()
        .map(|class| class.name.clone())
        .collect();
    let (nodes, series) = (folder.join("nodes.parquet"), folder.join("series.parquet"));
    let digest = u64::from_str_radix(&whole.summary.digest, 16)
        .map_err(|error| TableError::no_run(&folder.join(SUMMARY), error))?;
    let record = RunRecord {
        scenario: text,
        name: whole.summary.scenario.clone(),
        seed: whole.summary.seed,
        digest,
        ticks: whole.summary.ticks,
        virtual_us: whole.record.virtual_us,
        nodes: convert::nodes_from(&Table::read_parquet(&nodes)?, &classes)
            .map_err(|message| TableError::no_run(&nodes, message))?,
        series: convert::series_from(&Table::read_parquet(&series)?)
            .map_err(|message| TableError::no_run(&series, message))?,
        classes,
        unchoke_us: whole.record.unchoke_us,
        bound_us: whole.record.bound_us,
    };
    // Summed up again rather than read: JSON may have cost a float its last bit.
    Ok(Run {
        summary: Summary::new(&record, &scenario),
        scenario,
        record,
    })
}
