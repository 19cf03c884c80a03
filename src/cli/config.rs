//! `dunlin config`.

use super::{Exit, Global, Outcome};

/// Shows and checks the configuration
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {}

impl ConfigArgs {
    pub(crate) fn run(self, _global: &Global) -> Outcome {
        Ok(Exit::Done)
    }
}
