//! `dunlin sim tune`: the search for the best parameters of a scenario.

use std::fs;
use std::path::{Path, PathBuf};

use dunlin_scenarios::schema::{Override, Scenario};
use dunlin_scenarios::sweep::{Sweep, Vary};
use dunlin_scenarios::tables::{find_run, read_run};
use dunlin_scenarios::tune::{BATCH, Objective, Profile, Search, Trial, history};
use indicatif::ProgressBar;

use super::super::signals::Interrupts;
use super::super::text::{count, print};
use super::super::{Exit, Failure, Outcome};
use super::pool::{Pool, bar};

/// Searches the values with which a scenario comes out best, and writes them as a profile.
///
/// First the scenario is run as it is, then combinations of the values, each with several seeds. A
/// range is searched as numbers that are alike when they are near, a list as names.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What was run is not run again: a search that was broken off goes on when it is begun
again, and one with more evaluations continues one with fewer. The search is a Tree-structured
Parzen Estimator; the same command tries the same values.

The profile holds the parameters of the client that were varied, for `dunlin get --profile` and
`dunlin seed --profile`. DIR also gets tune.csv, a row for each trial, and can be shown by
`dunlin sim report`.

Exit code 0: something better than the scenario as it is was found. 1: nothing was, so that no
profile is written, or a run failed.

Objectives: mean, median, p95 and last are completion times of all leechers, median:CLASS of one
class; utilisation is that of the uplinks.

Examples:
  dunlin sim tune scenarios/minimal.ron --objective median --vary 'strategy.slots=Fixed(1)..Fixed(8)' --out tuned
  dunlin sim tune scenarios/flash-crowd.ron --objective p95:leech --evaluations 100 --out tuned \\
    --vary strategy.choke_interval=5s..60s:5s --vary 'strategy.seed_choke=[RoundRobin, FastestUpload]'
  dunlin get debian.torrent --profile tuned/profile.toml"
)]
pub(super) struct TuneArgs {
    /// The scenario, a RON file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What to make better: mean, median, p95 or last, or one of them with :CLASS, or utilisation
    #[arg(long)]
    objective: Objective,
    /// Values that a field may have: path=a..b, path=a..b:step or path=[v1, v2]
    #[arg(long, value_name = "PATH=VALUES", required = true)]
    vary: Vec<Vary>,
    /// Combinations that are tried at most, besides the scenario as it is
    #[arg(long, default_value_t = 40, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    evaluations: u64,
    /// Runs of each combination, with seeds that count up from the scenario's
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    seeds: u32,
    /// Where the luck of the search comes from
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    search_seed: u64,
    /// Changes a part of the scenario in all runs
    #[arg(long = "set", value_name = "PATH=VALUE")]
    set: Vec<Override>,
    /// Where the runs go, a folder for each
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Where to write the best values; profile.toml in DIR unless set
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Runs at a time; all cores unless set
    #[arg(long, value_name = "COUNT")]
    jobs: Option<usize>,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// What a search works with.
struct Tuning<'a> {
    objective: &'a Objective,
    /// The combinations.
    sweep: Sweep,
    /// The scenario as it is.
    plain: Sweep,
    pool: Pool<'a>,
    bar: ProgressBar,
}

impl TuneArgs {
    pub(super) fn run(&self) -> Outcome {
        let base = Scenario::load(&self.file, &self.set).map_err(Failure::usage)?;
        self.objective.check(&base).map_err(Failure::usage)?;
        let plain = Sweep::new(base.clone(), Vec::new(), self.seeds).map_err(Failure::usage)?;
        let sweep = Sweep::new(base, self.vary.clone(), self.seeds).map_err(Failure::usage)?;
        let first = sweep.run(0).map_err(Failure::usage)?.scenario;
        let kept = Profile::new(&first, &self.paths()).map_err(Failure::usage)?;
        if self.profile.is_some() && kept.elsewhere.len() == self.vary.len() {
            return Err(Failure::usage(format_args!(
                "{} is no parameter of a client, so there is nothing for --profile to hold: vary \
                 fields below `strategy`",
                kept.elsewhere.join(", ")
            )));
        }
        let interrupts = Interrupts::catch()?;
        let evaluations = self.evaluations.min(sweep.combinations());
        let tuning = Tuning {
            objective: &self.objective,
            sweep,
            plain,
            pool: Pool::new(&self.out, self.jobs, &interrupts),
            bar: bar((evaluations + 1) * u64::from(self.seeds), "runs"),
        };
        let trials = tuning.search(evaluations, self.search_seed, &interrupts);
        tuning.bar.finish_and_clear();
        let Some(trials) = trials? else {
            return Ok(Exit::Interrupted);
        };
        self.conclude(&tuning, &trials)
    }

    fn paths(&self) -> Vec<String> {
        self.vary.iter().map(|vary| vary.path.clone()).collect()
    }

    /// Writes what came out and tells of it.
    fn conclude(&self, tuning: &Tuning<'_>, trials: &[Trial]) -> Outcome {
        let Some((as_it_is, tried)) = trials.split_first() else {
            return Ok(Exit::Interrupted);
        };
        let cost = |trial: &&Trial| self.objective.cost(trial.value());
        let Some(best) = tried
            .iter()
            .min_by(|one, other| cost(one).total_cmp(&cost(other)))
        else {
            return Ok(Exit::Interrupted);
        };
        let table = history(trials, &self.paths(), &self.objective);
        table
            .write_csv(&self.out.join("tune.csv"))
            .map_err(Failure::failed)?;
        let is_better = self.objective.cost(best.value()) < self.objective.cost(as_it_is.value());
        let file = match is_better {
            true => self.write_profile(tuning, as_it_is, best)?,
            false => None,
        };
        // Who waits for a profile must not go on without one.
        let exit = match is_better {
            true => Exit::Done,
            false => Exit::Failed,
        };
        let (ran, there) = tuning.pool.counts();
        if self.json {
            let values: serde_json::Map<String, serde_json::Value> = best
                .overrides
                .iter()
                .map(|one| (one.path.clone(), one.value.clone().into()))
                .collect();
            print(serde_json::json!({
                "objective": self.objective.to_string(), "evaluations": tried.len(),
                "seeds": self.seeds, "ran": ran, "were_there": there,
                "as_it_is": as_it_is.value(), "best": best.value(), "values": values,
                "better": is_better, "profile": file,
            }))?;
            return Ok(exit);
        }
        print(format_args!(
            "{} tried, {ran} run, {there} were there already",
            count(tried.len() as u64, "combination")
        ))?;
        let shown = |trial: &Trial| self.shown(trial.value());
        print(format_args!(
            "{:<24} {}",
            "as the scenario has it",
            shown(as_it_is)
        ))?;
        print(format_args!(
            "{:<24} {}",
            "best that was tried",
            shown(best)
        ))?;
        for Override { path, value } in &best.overrides {
            print(format_args!("  {path} = {value}"))?;
        }
        if !is_better {
            print(
                "nothing that was tried is better than the scenario as it is: no profile is written",
            )?;
        }
        if let Some(file) = file {
            print(format_args!("written to {}", file.display()))?;
        }
        Ok(exit)
    }

    fn shown(&self, value: f64) -> String {
        match self.objective.is_time() {
            true => format!("{} {value:.1} s", self.objective),
            false => format!("{} {:.1} %", self.objective, value * 100.0),
        }
    }

    /// Writes the profile of the best, unless nothing of it is a client's; returns its file.
    fn write_profile(
        &self,
        tuning: &Tuning<'_>,
        as_it_is: &Trial,
        best: &Trial,
    ) -> Result<Option<PathBuf>, Failure> {
        let scenario = tuning.sweep.base().with(&best.overrides);
        let scenario = scenario.map_err(Failure::failed)?;
        let profile = Profile::new(&scenario, &self.paths()).map_err(Failure::usage)?;
        let settings = profile.strategy.to_profile();
        if settings.is_empty() {
            return Ok(None);
        }
        let text = format!(
            "# Found by `dunlin sim tune` in the scenario `{}`: {}, and {} as it was.\n\
             # For `dunlin get --profile FILE` and `dunlin seed --profile FILE`.\n{settings}",
            scenario.name,
            self.shown(best.value()),
            self.shown(as_it_is.value()),
        );
        let file = match &self.profile {
            Some(file) => file.clone(),
            None => self.out.join("profile.toml"),
        };
        write(&file, &text)?;
        Ok(Some(file))
    }
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    fs::write(file, text)
        .map_err(|error| Failure::failed(format_args!("cannot write {}: {error}", file.display())))
}

impl Tuning<'_> {
    /// The scenario as it is, and what the search tried; `None` when interrupted.
    fn search(
        &self,
        evaluations: u64,
        seed: u64,
        interrupts: &Interrupts,
    ) -> Result<Option<Vec<Trial>>, Failure> {
        let mut search = Search::new(self.sweep.vary(), seed);
        let Some(mut trials) = self.try_all(&self.plain, &[0], interrupts)? else {
            return Ok(None);
        };
        while (trials.len() as u64) <= evaluations {
            let room = evaluations as usize + 1 - trials.len();
            let batch: Vec<u64> = (0..BATCH.min(room)).map_while(|_| search.ask()).collect();
            let Some(tried) = self.try_all(&self.sweep, &batch, interrupts)? else {
                return Ok(None);
            };
            for (combination, trial) in batch.iter().zip(&tried) {
                search.tell(*combination, self.objective.cost(trial.value()));
            }
            trials.extend(tried);
            let costs = trials
                .iter()
                .map(|trial| self.objective.cost(trial.value()));
            let best = costs.min_by(f64::total_cmp).unwrap_or(f64::NAN);
            let value = self.objective.cost(best);
            self.bar
                .set_message(format!("best {} {value:.3}", self.objective));
        }
        Ok(Some(trials))
    }

    /// Runs combinations with all seeds and measures them; `None` when interrupted.
    fn try_all(
        &self,
        sweep: &Sweep,
        combinations: &[u64],
        interrupts: &Interrupts,
    ) -> Result<Option<Vec<Trial>>, Failure> {
        let all = combinations
            .iter()
            .flat_map(|combination| sweep.runs_of(*combination));
        let planned = all.map(|index| Ok(sweep.run(index)?.scenario));
        let failed = self.pool.run(planned, || self.bar.inc(1));
        if let Some(first) = failed.first() {
            return Err(Failure::failed(format_args!(
                "{} of the runs failed; the first: {first}",
                failed.len()
            )));
        }
        if interrupts.came() {
            return Ok(None);
        }
        let trials = combinations
            .iter()
            .map(|combination| self.measure(sweep, *combination));
        trials.collect::<Result<_, _>>().map(Some)
    }

    /// The trial of a combination whose runs are there.
    fn measure(&self, sweep: &Sweep, combination: u64) -> Result<Trial, Failure> {
        let (mut overrides, mut values) = (Vec::new(), Vec::new());
        for index in sweep.runs_of(combination) {
            let planned = sweep.run(index).map_err(Failure::failed)?;
            let folder = find_run(self.pool.out, &planned.scenario)
                .ok_or_else(|| Failure::failed("a run that was there is gone"))?;
            let run = read_run(&folder).map_err(Failure::failed)?;
            let value = self
                .objective
                .value(&run.record, &run.scenario)
                .ok_or_else(|| {
                    let folder = folder.display();
                    Failure::failed(format_args!("nobody in {folder} has a {}", self.objective))
                })?;
            values.push(value);
            overrides = planned.overrides;
        }
        // The seed is the runs' own.
        overrides.retain(|one| one.path != "rng_seed");
        Ok(Trial { overrides, values })
    }
}
