//! `dunlin get`.

use super::{Exit, Global, Outcome};

/// Downloads torrents
#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {}

impl GetArgs {
    pub(crate) fn run(self, _global: &Global) -> Outcome {
        Ok(Exit::Done)
    }
}
