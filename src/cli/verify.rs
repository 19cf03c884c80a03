//! `dunlin verify`.

use super::{Exit, Global, Outcome};

/// Checks data on disk against a torrent
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {}

impl VerifyArgs {
    pub(crate) fn run(self, _global: &Global) -> Outcome {
        Ok(Exit::Done)
    }
}
