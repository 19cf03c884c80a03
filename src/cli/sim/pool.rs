//! Runs of scenarios over several threads, each into its own folder, none twice.

use core::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use dunlin_scenarios::run::{RunError, run};
use dunlin_scenarios::schema::{Scenario, ScenarioError};
use dunlin_scenarios::tables::{find_run, write_run};
use indicatif::{ProgressBar, ProgressStyle};

use super::super::signals::Interrupts;

/// What the runs of a sweep or a search share.
pub(super) struct Pool<'a> {
    /// Where the folders of the runs are.
    pub(super) out: &'a Path,
    /// Runs at a time.
    jobs: usize,
    interrupts: &'a Interrupts,
    ran: AtomicU64,
    there: AtomicU64,
}

impl<'a> Pool<'a> {
    /// A pool of so many threads, or of one for each core.
    pub(super) fn new(out: &'a Path, jobs: Option<usize>, interrupts: &'a Interrupts) -> Self {
        let jobs = jobs.or_else(|| thread::available_parallelism().ok().map(usize::from));
        Self {
            out,
            jobs: jobs.unwrap_or(1).max(1),
            interrupts,
            ran: AtomicU64::new(0),
            there: AtomicU64::new(0),
        }
    }

    /// Runs all that are not there yet, unless it is interrupted, and tells `done` of each. Returns
    /// what went wrong.
    pub(super) fn run(
        &self,
        planned: impl Iterator<Item = Result<Scenario, ScenarioError>> + Send,
        done: impl Fn() + Sync,
    ) -> Vec<String> {
        let (queue, failed) = (Mutex::new(planned), Mutex::new(Vec::new()));
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        thread::scope(|scope| {
            for _ in 0..self.jobs {
                scope.spawn(|| {
                    while !self.interrupts.came() {
                        let Some(planned) = next() else { return };
                        let outcome = planned
                            .map_err(|error| error.to_string())
                            .and_then(|scenario| self.one(&scenario));
                        if let Err(error) = outcome {
                            let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                            failed.push(error);
                        }
                        done();
                    }
                });
            }
        });
        failed.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn one(&self, scenario: &Scenario) -> Result<(), String> {
        if find_run(self.out, scenario).is_some() {
            self.there.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let mut watch = |_: &_| match self.interrupts.came() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let record = match run(scenario, &mut watch) {
            Ok(record) => record,
            Err(RunError::Stopped) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        write_run(self.out, &record, scenario).map_err(|error| error.to_string())?;
        self.ran.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// How many were run, and how many were there already.
    pub(super) fn counts(&self) -> (u64, u64) {
        (
            self.ran.load(Ordering::Relaxed),
            self.there.load(Ordering::Relaxed),
        )
    }
}

/// A bar over so many of something.
pub(super) fn bar(count: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(count);
    let form = format!("{{bar:30}} {{pos}}/{{len}} {what}, {{eta}} left {{msg}}");
    if let Ok(style) = ProgressStyle::with_template(&form) {
        bar.set_style(style);
    }
    bar
}
