//! `dunlin sim run`: one run of a scenario.

use std::path::PathBuf;
use std::time::Instant;

use dunlin_scenarios::schema::{Override, Scenario};
use dunlin_scenarios::summary::Summary;
use dunlin_scenarios::tables::write_run;

use super::super::text::print;
use super::super::{Exit, Failure, Outcome};
use super::progress::watched;
use super::table;

/// Runs a scenario once and says what came out.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dunlin sim run scenarios/minimal.ron
  dunlin sim run scenarios/kr-1000.ron --seed 7 --set classes.leech.count=200 --check
  dunlin sim run scenarios/streaming.ron --out runs && dunlin sim report runs")]
pub(super) struct RunArgs {
    /// The scenario, a RON file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where all luck comes from, instead of what the scenario says
    #[arg(long)]
    seed: Option<u64>,
    /// Changes a part of the scenario: classes.leech.count=50, strategy.slots=Fixed(4)
    #[arg(long = "set", value_name = "PATH=VALUE")]
    set: Vec<Override>,
    /// Writes tables, summary and scenario into a folder of this run in DIR
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Writes all that happens into FILE, for `dunlin sim replay` and `dunlin sim diff`
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Fails unless the run comes out as the scenario expects; says so where it expects nothing
    #[arg(long)]
    check: bool,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

impl RunArgs {
    pub(super) fn run(&self) -> Outcome {
        let mut scenario = Scenario::load(&self.file, &self.set).map_err(Failure::usage)?;
        scenario.rng_seed = self.seed.unwrap_or(scenario.rng_seed);
        let start = Instant::now();
        let Some(record) = watched(&scenario, self.record.as_deref())? else {
            return Ok(Exit::Interrupted);
        };
        let wall_s = start.elapsed().as_secs_f64();
        let summary = Summary::new(&record, &scenario);
        if self.json {
            print(summary.to_json(Some(wall_s)))?;
        } else {
            print(table::of_run(&summary, wall_s))?;
        }
        if let Some(out) = &self.out {
            let folder = write_run(out, &record, &scenario).map_err(Failure::failed)?;
            if !self.json {
                print(format_args!("written to {}", folder.display()))?;
            }
        }
        if !self.check {
            return Ok(Exit::Done);
        }
        let verdicts = summary.verdicts(&record, &scenario);
        if verdicts.is_empty() {
            let file = self.file.display();
            eprintln!("nothing was checked: {file} expects nothing, its `expect` is empty");
        }
        for verdict in &verdicts {
            let word = if verdict.met { "met" } else { "NOT MET" };
            if !self.json || !verdict.met {
                eprintln!("{word}: {}", verdict.text);
            }
        }
        Ok(if verdicts.iter().all(|verdict| verdict.met) {
            Exit::Done
        } else {
            Exit::Failed
        })
    }
}
