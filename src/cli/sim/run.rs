//! `dunlin sim run`: one run of a scenario.

use core::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use dunlin_scenarios::run::{Progress, run};
use dunlin_scenarios::schema::{Override, Scenario};
use indicatif::{ProgressBar, ProgressStyle};

use super::super::{Exit, Failure, Outcome};

/// Runs a scenario once and says what came out.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// The scenario, a RON file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where all luck comes from, instead of what the scenario says
    #[arg(long)]
    seed: Option<u64>,
    /// Changes a part of the scenario, such as classes.0.count=50 or strategy.slots=Fixed(4)
    #[arg(long = "set", value_name = "PATH=VALUE")]
    set: Vec<Override>,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

impl RunArgs {
    pub(super) fn run(&self) -> Outcome {
        let mut scenario = Scenario::load(&self.file, &self.set).map_err(Failure::usage)?;
        if let Some(seed) = self.seed {
            scenario.rng_seed = seed;
        }
        let start = Instant::now();
        let bar = bar();
        let record = run(&scenario, &mut |progress| {
            show(&bar, progress);
            ControlFlow::Continue(())
        })
        .map_err(Failure::failed)?;
        bar.finish_and_clear();
        let wall = start.elapsed().as_secs_f64();
        let mut times: Vec<f64> = record
            .nodes
            .iter()
            .filter_map(|n| Some((n.completed_us? - n.arrived_us) as f64 / 1e6))
            .collect();
        times.sort_by(f64::total_cmp);
        println!(
            "digest {:016x} virtual {} wall {:.2} speed {:.1} ticks {} completed {} mean {:.1} last {:.1} bound {:?}",
            record.digest,
            record.virtual_us as f64 / 1e6,
            wall,
            record.virtual_us as f64 / 1e6 / wall,
            record.ticks,
            times.len(),
            times.iter().sum::<f64>() / times.len() as f64,
            times.last().unwrap_or(&0.0),
            record.bound_us.map(|b| b as f64 / 1e6)
        );
        Ok(Exit::Done)
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} complete  {msg}");
    let bar = ProgressBar::new(0);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, progress: &Progress) {
    bar.set_length(progress.leechers.into());
    bar.set_position(progress.completed.into());
    bar.set_message(format!("{} s", progress.virtual_us / 1_000_000));
}
