//! `dunlin demo`.

use super::{Exit, Global, Outcome};

/// Shows a whole transfer over loopback: tracker, seeder and downloader
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {}

impl DemoArgs {
    pub(crate) fn run(self, _global: &Global) -> Outcome {
        Ok(Exit::Done)
    }
}
