//! `dunlin seed`.

use super::{Exit, Global, Outcome};

/// Seeds a file or a folder
#[derive(Debug, clap::Args)]
pub(crate) struct SeedArgs {}

impl SeedArgs {
    pub(crate) fn run(self, _global: &Global) -> Outcome {
        Ok(Exit::Done)
    }
}
