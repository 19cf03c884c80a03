//! `dunlin sim sweep`: many runs of a scenario, over all cores, as one shard of several, or as shards
//! that a batch system runs.

use std::num::NonZeroU64;
use std::path::PathBuf;

use dunlin_scenarios::schema::{Override, Scenario};
use dunlin_scenarios::sweep::{Shard, Sweep, Vary, write_merged};

use super::super::signals::Interrupts;
use super::super::text::{count, print};
use super::super::{Exit, Failure, Outcome};
use super::engine::{Engine, Task};
use super::pool::{Pool, bar};

/// Runs a scenario with every combination of values, each with several seeds.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Runs that are there already are not run again, so a sweep that was broken off
goes on. A shard can also be named by the environment: HQ_TASK_ID or JOB_COMPLETION_INDEX
(Kubernetes), from 0, with DUNLIN_SHARDS; or SLURM_ARRAY_TASK_ID with SLURM_ARRAY_TASK_COUNT.

--engine needs DIR on a file system that all machines share: slurm calls sbatch; hyperqueue calls
python3 with the package `hyperqueue`, and finds its server as that does (HQ_SERVER_DIR).

Examples:
  dunlin sim sweep scenarios/minimal.ron --vary strategy.slots='[Fixed(4), Fixed(8)]' --seeds 5 --out runs
  dunlin sim sweep scenarios/minimal.ron --vary classes.leech.count=10..50:10 --shard 0/4 --out runs
  dunlin sim sweep scenarios/kr-1000.ron --seeds 100 --out runs --engine slurm --shards 20 --engine-arg=--time=1:00:00"
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
    /// Runs at a time; all cores unless set, with --engine 1 in each shard
    #[arg(long, value_name = "COUNT")]
    jobs: Option<usize>,
    /// Has the shards run by a batch system, waits for them, and merges
    #[arg(long, value_enum, conflicts_with = "shard")]
    engine: Option<Engine>,
    /// Shards that --engine makes
    #[arg(long, default_value = "16", value_name = "COUNT", requires = "engine")]
    shards: NonZeroU64,
    /// Passed on to sbatch: --engine-arg=--partition=short
    #[arg(
        long,
        value_name = "ARG",
        requires = "engine",
        allow_hyphen_values = true
    )]
    engine_arg: Vec<String>,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

impl SweepArgs {
    pub(super) fn run(&self) -> Outcome {
        let base = Scenario::load(&self.file, &self.set).map_err(Failure::usage)?;
        let sweep = Sweep::new(base, self.vary.clone(), self.seeds).map_err(Failure::usage)?;
        match self.engine {
            Some(engine) => self.run_elsewhere(engine, &sweep),
            None => self.run_here(&sweep),
        }
    }

    fn run_here(&self, sweep: &Sweep) -> Outcome {
        let shard = match self.shard {
            Some(shard) => Some(shard),
            None => {
                shard_of_environment(|name| std::env::var(name).ok()).map_err(Failure::usage)?
            }
        };
        let part = shard.unwrap_or(Shard::ALL);
        let interrupts = Interrupts::catch()?;
        let runs = sweep.shard(part).count() as u64;
        let pool = Pool::new(&self.out, self.jobs, &interrupts);
        let bar = bar(runs, "runs");
        let planned = sweep
            .shard(part)
            .map(|index| Ok(sweep.run(index)?.scenario));
        let failed = pool.run(planned, || bar.inc(1));
        bar.finish_and_clear();
        if let Some(first) = failed.first() {
            let failed = failed.len();
            return Err(Failure::failed(format_args!(
                "{failed} of {runs} runs failed; the first: {first}"
            )));
        }
        if interrupts.came() {
            return Ok(Exit::Interrupted);
        }
        let (ran, there) = pool.counts();
        self.merge(runs, ran, there)
    }

    fn run_elsewhere(&self, engine: Engine, sweep: &Sweep) -> Outcome {
        let interrupts = Interrupts::catch()?;
        let missing = sweep.missing(&self.out).map_err(Failure::failed)?;
        if missing > 0 {
            let task = Task {
                engine,
                shards: self.shards.get().min(sweep.runs()),
                jobs: self.jobs.unwrap_or(1).max(1),
                arguments: &self.engine_arg,
                out: &self.out,
                sweep,
            };
            if task.run(missing, &interrupts)? == Exit::Interrupted {
                return Ok(Exit::Interrupted);
            }
        }
        self.merge(sweep.runs(), missing, sweep.runs() - missing)
    }

    /// Merges what is there and says so. Whoever finishes last sees all; until then each shard
    /// merges what it finds.
    fn merge(&self, runs: u64, ran: u64, there: u64) -> Outcome {
        let rows = write_merged(&self.out).map_err(Failure::failed)?.rows();
        let summary = self.out.join("summary.csv");
        if self.json {
            print(serde_json::json!({
                "runs": runs, "ran": ran, "were_there": there, "merged": rows, "summary": summary,
            }))?;
        } else {
            print(format_args!(
                "{}, {there} were there already; {rows} in {}",
                count(ran, "run"),
                summary.display()
            ))?;
        }
        Ok(Exit::Done)
    }
}

/// The shard that a batch system gives to this process, if one does. The workers of HyperQueue often
/// run inside jobs of Slurm, never the other way round: its word comes first.
fn shard_of_environment(
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Shard>, String> {
    let number = |name: &str| match variable(name) {
        None => Ok(None),
        Some(text) => text
            .parse::<u64>()
            .map(Some)
            .map_err(|error| format!("{name} is `{text}`, expected a number: {error}")),
    };
    let sources = [
        ("HQ_TASK_ID", "DUNLIN_SHARDS"),
        ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"),
        ("JOB_COMPLETION_INDEX", "DUNLIN_SHARDS"),
    ];
    for (index_name, of_name) in sources {
        let Some(mut index) = number(index_name)? else {
            continue;
        };
        let Some(of) = number(of_name)? else {
            return Err(format!(
                "{index_name} is set, but not {of_name}: say how many shards there are, or use \
                 --shard"
            ));
        };
        if index_name == "SLURM_ARRAY_TASK_ID" {
            // An array may begin anywhere and take steps: --array=1-9:2 has five tasks.
            let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
            let step = number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
            index = index.saturating_sub(first) / step;
        }
        return Shard::new(index, of)
            .map(Some)
            .map_err(|error| error.to_string());
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(variables: &[(&str, &str)]) -> Result<String, String> {
        let value = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let shard = shard_of_environment(value)?;
        Ok(shard.map_or_else(|| "all".to_owned(), |shard| shard.to_string()))
    }

    #[test]
    fn batch_systems_name_shards() {
        let named = |variables: &[(&str, &str)]| shard(variables).unwrap();
        assert_eq!(named(&[("DUNLIN_SHARDS", "4")]), "all");
        assert_eq!(named(&[("HQ_TASK_ID", "2"), ("DUNLIN_SHARDS", "4")]), "2/4");
        assert_eq!(
            named(&[("JOB_COMPLETION_INDEX", "0"), ("DUNLIN_SHARDS", "4")]),
            "0/4"
        );
        let slurm = |id, min, step, of| {
            named(&[
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_MIN", min),
                ("SLURM_ARRAY_TASK_STEP", step),
                ("SLURM_ARRAY_TASK_COUNT", of),
            ])
        };
        assert_eq!(slurm("3", "0", "1", "4"), "3/4");
        assert_eq!(slurm("4", "1", "1", "4"), "3/4");
        assert_eq!(slurm("9", "1", "2", "5"), "4/5");
        // A worker of HyperQueue inside an array of Slurm.
        let nested = [
            ("SLURM_ARRAY_TASK_ID", "7"),
            ("SLURM_ARRAY_TASK_COUNT", "8"),
            ("HQ_TASK_ID", "1"),
            ("DUNLIN_SHARDS", "3"),
        ];
        assert_eq!(named(&nested), "1/3");
    }

    #[test]
    fn half_a_shard_is_refused() {
        let error = |variables: &[(&str, &str)]| shard(variables).unwrap_err();
        assert!(error(&[("HQ_TASK_ID", "2")]).contains("DUNLIN_SHARDS"));
        assert!(error(&[("SLURM_ARRAY_TASK_ID", "2")]).contains("SLURM_ARRAY_TASK_COUNT"));
        assert!(error(&[("JOB_COMPLETION_INDEX", "x")]).contains("`x`"));
        assert!(error(&[("HQ_TASK_ID", "4"), ("DUNLIN_SHARDS", "4")]).contains("4/4"));
    }
}
