//! `dunlin sim`: simulated swarms.

mod diff;
mod engine;
mod fuzz;
mod pool;
mod progress;
mod replay;
mod report;
mod run;
mod sweep;
mod table;
mod tune;

use clap::Subcommand;

use super::{Global, Outcome};

/// Runs swarms of the real engine in a simulated network.
#[derive(Debug, clap::Args)]
pub(crate) struct SimArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::RunArgs),
    Sweep(sweep::SweepArgs),
    Tune(tune::TuneArgs),
    Report(report::ReportArgs),
    Replay(replay::ReplayArgs),
    Diff(diff::DiffArgs),
    Fuzz(fuzz::FuzzArgs),
}

impl SimArgs {
    /// What is logged when nobody says otherwise: the campaign causes troubles by the thousand, and
    /// tells of those that were not survived itself.
    pub(crate) fn default_log(&self) -> &'static str {
        match &self.verb {
            Verb::Fuzz(_) => "off",
            _ => super::log::DEFAULT,
        }
    }

    /// Whether it may hold thousands of nodes.
    pub(crate) const fn is_large(&self) -> bool {
        matches!(self.verb, Verb::Run(_) | Verb::Sweep(_) | Verb::Tune(_))
    }

    pub(crate) fn run(&self, _global: &Global) -> Outcome {
        match &self.verb {
            Verb::Run(args) => args.run(),
            Verb::Sweep(args) => args.run(),
            Verb::Tune(args) => args.run(),
            Verb::Report(args) => args.run(),
            Verb::Replay(args) => args.run(),
            Verb::Diff(args) => args.run(),
            Verb::Fuzz(args) => args.run(),
        }
    }
}
