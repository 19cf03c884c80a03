//! `dunlin sim sweep`: many runs of a scenario, over all cores or as one shard of several.

use core::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use dunlin_scenarios::run::{RunError, run};
use dunlin_scenarios::schema::{Override, Scenario};
use dunlin_scenarios::sweep::{Shard, Sweep, Vary, write_merged};
use dunlin_scenarios::tables::{find_run, write_run};
use indicatif::{ProgressBar, ProgressStyle};

use super::super::signals::Interrupts;
use super::super::text::print;
use super::super::{Exit, Failure, Outcome};

/// Runs a scenario with every combination of values, each with several seeds.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Runs that are there already are not run again, so a sweep that was broken off
goes on. A shard can also be named by the environment: SLURM_ARRAY_TASK_ID with
SLURM_ARRAY_TASK_COUNT, HQ_TASK_ID with DUNLIN_SHARDS, or JOB_COMPLETION_INDEX with
DUNLIN_SHARDS; task numbers count from 0.

Examples:
  dunlin sim sweep scenarios/minimal.ron --vary strategy.slots='[Fixed(4), Fixed(8)]' --seeds 5 --out runs
  dunlin sim sweep scenarios/minimal.ron --vary classes.leech.count=10..50:10 --shard 0/4 --out runs"
)]
pub(super) struct SweepArgs {
    /// The scenario, a RON file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Values of a field: path=a..b, path=a..b:step or path=[v1, v2]
    #[arg(long, value_name = "PATH=VALUES")]
    vary: Vec<Vary>,
    /// Runs of each combination, with seeds that count up from the scenario's
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    seeds: u32,
    /// Changes a part of the scenario in all runs
    #[arg(long = "set", value_name = "PATH=VALUE")]
    set: Vec<Override>,
    /// Where the runs go, a folder for each
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only part I of N equal ones, I from 0
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Runs at a time; all cores unless set
    #[arg(long, value_name = "COUNT")]
    jobs: Option<usize>,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// What the workers of a sweep share.
struct Work<'a> {
    sweep: &'a Sweep,
    out: &'a Path,
    queue: Mutex<Box<dyn Iterator<Item = u64> + Send>>,
    stop: AtomicBool,
    ran: AtomicU64,
    there: AtomicU64,
    failed: Mutex<Vec<String>>,
    bar: ProgressBar,
}

impl SweepArgs {
    pub(super) fn run(&self) -> Outcome {
        let base = Scenario::load(&self.file, &self.set).map_err(Failure::usage)?;
        let sweep = Sweep::new(base, self.vary.clone(), self.seeds).map_err(Failure::usage)?;
        let shard = match self.shard {
            Some(shard) => Some(shard),
            None => shard_of_environment()?,
        };
        let part = shard.unwrap_or(Shard::ALL);
        let interrupts = Interrupts::catch()?;
        let count = sweep.shard(part).count() as u64;
        let work = Work {
            sweep: &sweep,
            out: &self.out,
            queue: Mutex::new(Box::new(sweep.shard(part))),
            stop: AtomicBool::new(false),
            ran: AtomicU64::new(0),
            there: AtomicU64::new(0),
            failed: Mutex::default(),
            bar: bar(count),
        };
        let jobs = self
            .jobs
            .or_else(|| thread::available_parallelism().ok().map(usize::from))
            .unwrap_or(1)
            .max(1);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(|| work.run())).collect();
            while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
                if interrupts.came() {
                    work.stop.store(true, Ordering::Relaxed);
                }
                thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        work.bar.finish_and_clear();
        let failed = work
            .failed
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = failed.first() {
            return Err(Failure::failed(format_args!(
                "{} of {count} runs failed; the first: {first}",
                failed.len()
            )));
        }
        if work.stop.load(Ordering::Relaxed) {
            return Ok(Exit::Interrupted);
        }
        let (ran, there) = (work.ran.into_inner(), work.there.into_inner());
        // Whoever finishes last sees all; until then each shard merges what is there.
        let rows = write_merged(&self.out).map_err(Failure::failed)?.rows();
        if self.json {
            let fact = serde_json::json!({
                "runs": count, "ran": ran, "were_there": there, "merged": rows,
                "summary": self.out.join("summary.csv"),
            });
            print(fact)?;
        } else {
            print(format_args!(
                "{ran} runs, {there} were there already; {rows} in {}",
                self.out.join("summary.csv").display()
            ))?;
        }
        Ok(Exit::Done)
    }
}

impl Work<'_> {
    fn run(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let next = self
                .queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .next();
            let Some(index) = next else { return };
            if let Err(error) = self.one(index) {
                self.failed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(error);
            }
            self.bar.inc(1);
        }
    }

    fn one(&self, index: u64) -> Result<(), String> {
        let planned = self.sweep.run(index).map_err(|error| error.to_string())?;
        if find_run(self.out, &planned.scenario).is_some() {
            self.there.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let mut watch = |_: &_| match self.stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let record = match run(&planned.scenario, &mut watch) {
            Ok(record) => record,
            Err(RunError::Stopped) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        write_run(self.out, &record, &planned.scenario).map_err(|error| error.to_string())?;
        self.ran.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

fn bar(runs: u64) -> ProgressBar {
    let bar = ProgressBar::new(runs);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// The shard that a batch system gives to this process, if one does.
fn shard_of_environment() -> Result<Option<Shard>, Failure> {
    let number = |name: &str| match std::env::var(name) {
        Err(_) => Ok(None),
        Ok(text) => text.parse::<u64>().map(Some).map_err(|error| {
            Failure::usage(format_args!(
                "{name} is `{text}`, expected a number: {error}"
            ))
        }),
    };
    let sources = [
        ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"),
        ("HQ_TASK_ID", "DUNLIN_SHARDS"),
        ("JOB_COMPLETION_INDEX", "DUNLIN_SHARDS"),
    ];
    for (index, of) in sources {
        if let Some(index_number) = number(index)? {
            let Some(of_number) = number(of)? else {
                return Err(Failure::usage(format_args!(
                    "{index} is set, but not {of}: say how many shards there are, or use --shard"
                )));
            };
            return Shard::new(index_number, of_number)
                .map(Some)
                .map_err(Failure::usage);
        }
    }
    Ok(None)
}
