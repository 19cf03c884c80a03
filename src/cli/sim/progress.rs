//! A bar while a swarm is simulated, and how a person stops it.

use core::ops::ControlFlow;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::{Duration, Instant};

use dunlin_scenarios::outcome::RunRecord;
use dunlin_scenarios::run::{Progress, RunError, run, run_recorded};
use dunlin_scenarios::schema::Scenario;
use indicatif::{ProgressBar, ProgressStyle};

use super::super::Failure;
use super::super::signals::Interrupts;

/// Time between changes of the bar.
const REDRAW_EVERY: Duration = Duration::from_millis(100);

/// Runs a scenario with a bar on the terminal, if there is one, and records it if a file is named;
/// `None` when it was interrupted.
pub(super) fn watched(
    scenario: &Scenario,
    record: Option<&Path>,
) -> Result<Option<RunRecord>, Failure> {
    let out = record.map(|path| {
        let file = File::create(path).map_err(|error| {
            Failure::failed(format_args!("cannot write {}: {error}", path.display()))
        })?;
        Ok(Box::new(BufWriter::new(file)))
    });
    let out = out.transpose()?;
    let interrupts = Interrupts::catch()?;
    let bar = bar();
    let start = Instant::now();
    let mut drawn: Option<Instant> = None;
    let mut watch = |progress: &Progress| {
        if drawn.is_none_or(|at| at.elapsed() >= REDRAW_EVERY) {
            show(&bar, progress, start.elapsed());
            drawn = Some(Instant::now());
        }
        match interrupts.came() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let record = match out {
        Some(out) => run_recorded(scenario, out, &mut watch),
        None => run(scenario, &mut watch),
    };
    bar.finish_and_clear();
    match record {
        Ok(record) => Ok(Some(record)),
        Err(RunError::Stopped) => Ok(None),
        Err(error) => Err(Failure::failed(error)),
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} complete, {msg}");
    let bar = ProgressBar::new(0);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, progress: &Progress, wall: Duration) {
    bar.set_length(progress.leechers.into());
    bar.set_position(progress.completed.into());
    let virtual_secs = progress.virtual_us as f64 / 1e6;
    bar.set_message(format!(
        "{} nodes there, {virtual_secs:.0} s ({:.0} times real time)",
        progress.present,
        virtual_secs / wall.as_secs_f64().max(0.001),
    ));
}
