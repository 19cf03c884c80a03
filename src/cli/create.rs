//! `dunlin create`.

use super::{Exit, Global, Outcome};

/// Makes a torrent of a file or a folder
#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {}

impl CreateArgs {
    pub(crate) fn run(self, _global: &Global) -> Outcome {
        Ok(Exit::Done)
    }
}
