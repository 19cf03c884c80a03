//! `dunlin show`.

use super::{Exit, Global, Outcome};

/// Shows what a torrent or a magnet link contains
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {}

impl ShowArgs {
    pub(crate) fn run(self, _global: &Global) -> Outcome {
        Ok(Exit::Done)
    }
}
