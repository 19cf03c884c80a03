//! `dunlin sim fuzz`: the fault campaign, over all cores.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use dunlin_scenarios::fuzz::{Survived, fuzz};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::super::signals::Interrupts;
use super::super::text::{count, print};
use super::super::{Exit, Outcome};

/// Runs small swarms in hard times and checks every tick.
///
/// Each seed is a swarm: real bytes, real hashes, the code that reads and writes real sockets, in
/// virtual time; and breaking connections, failing disks, crashes, jumping clocks, bad datagrams,
/// hostile peers and lying trackers.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 0: all swarms survived. 1: some did not; for each, the command that repeats it is printed.

Examples:
  dunlin sim fuzz --seeds 300
  dunlin sim fuzz --first 1234 --seeds 1"
)]
pub(super) struct FuzzArgs {
    /// How many seeds
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    seeds: u64,
    /// The first seed; the others count up from it
    #[arg(long, default_value_t = 0, value_name = "SEED")]
    first: u64,
    /// Swarms at a time; all cores unless set
    #[arg(long, value_name = "COUNT")]
    jobs: Option<usize>,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

impl FuzzArgs {
    pub(super) fn run(&self) -> Outcome {
        let interrupts = Interrupts::catch()?;
        let start = Instant::now();
        let outcomes = self.campaign(&interrupts);
        if interrupts.came() {
            return Ok(Exit::Interrupted);
        }
        let mut all = Survived::default();
        let mut failed = Vec::new();
        for (seed, outcome) in outcomes {
            match outcome {
                Ok(survived) => all.add(&survived),
                Err(why) => failed.push((seed, why)),
            }
        }
        let wall_s = start.elapsed().as_secs_f64();
        let [virtual_s, calm_s] = [all.virtual_us, all.calm_us_max].map(|us| us as f64 / 1e6);
        let digest = format!("{:016x}", all.digest);
        let repeat = |seed| format!("dunlin sim fuzz --first {seed} --seeds 1");
        if self.json {
            let failed: Vec<_> = failed
                .iter()
                .map(|(seed, why)| json!({"seed": seed, "why": why, "repeat": repeat(*seed)}))
                .collect();
            print(json!({
                "first": self.first, "seeds": self.seeds, "failed": failed, "ticks": all.ticks,
                "troubles": all.troubles, "hash_failures": all.hash_failures, "bans": all.bans,
                "stops": all.stops, "spills": all.spills, "datagrams": all.datagrams,
                "virtual_s": virtual_s, "calm_s_max": calm_s, "digest": digest, "wall_s": wall_s,
            }))?;
        } else {
            for (seed, why) in &failed {
                print(format_args!(
                    "seed {seed} failed: {why}\n  {}",
                    repeat(*seed)
                ))?;
            }
            print(format_args!(
                "{}, {} failed; {}, {}, {}, {}, {}, {}, {}; complete within {calm_s:.0} s of calm; \
                 {virtual_s:.0} s of virtual time in {wall_s:.1} s, digest {digest}",
                count(self.seeds, "seed"),
                failed.len(),
                count(all.ticks, "tick"),
                count(all.troubles, "trouble"),
                count(all.hash_failures, "bad piece"),
                count(all.bans, "ban"),
                count(all.stops, "stop"),
                count(all.spills, "spill"),
                count(all.datagrams, "bad datagram"),
            ))?;
        }
        Ok(match failed.is_empty() {
            true => Exit::Done,
            false => Exit::Failed,
        })
    }

    /// Runs the seeds, until a person ends it.
    fn campaign(&self, interrupts: &Interrupts) -> BTreeMap<u64, Result<Survived, String>> {
        let jobs = self
            .jobs
            .or_else(|| thread::available_parallelism().ok().map(usize::from))
            .unwrap_or(1)
            .max(1);
        let (next, outcomes, bar) = (AtomicU64::new(0), Mutex::default(), bar(self.seeds));
        thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| {
                    while !interrupts.came() {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= self.seeds {
                            return;
                        }
                        let seed = self.first.wrapping_add(number);
                        let outcome = fuzz(seed);
                        let mut all: std::sync::MutexGuard<'_, BTreeMap<_, _>> =
                            outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                        all.insert(seed, outcome);
                        bar.inc(1);
                    }
                });
            }
        });
        bar.finish_and_clear();
        outcomes
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn bar(seeds: u64) -> ProgressBar {
    let bar = ProgressBar::new(seeds);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} seeds, {eta} left") {
        bar.set_style(style);
    }
    bar
}
