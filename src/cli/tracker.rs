//! `dunlin tracker`.

use super::{Exit, Global, Outcome};

/// Runs a small tracker
#[derive(Debug, clap::Args)]
pub(crate) struct TrackerArgs {}

impl TrackerArgs {
    pub(crate) fn run(self, _global: &Global) -> Outcome {
        Ok(Exit::Done)
    }
}
