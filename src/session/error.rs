//! What a session can refuse.

use std::path::PathBuf;

use dunlin_base::InfoHash;
use dunlin_net::real::{DiskPortError, OpenError};
use dunlin_port::config::ConfigError;
use dunlin_storage::ResumeError;

/// A session cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is out of its range.
    #[error("the configuration cannot be used: {0}")]
    Config(#[from] ConfigError),
    /// No socket can be opened as configured.
    #[error(transparent)]
    Network(#[from] OpenError),
    /// The resume database cannot be used, or there are no threads for the disk.
    #[error(transparent)]
    Disk(#[from] DiskPortError),
    /// What happens cannot be written down.
    #[error("cannot write the recording {path}: {source}", path = path.display())]
    Recording {
        /// Into which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gives no thread, event queue or random numbers.
    #[error("cannot start the engine: {0}")]
    System(#[from] std::io::Error),
}

/// A torrent cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// The session has it already, or is still closing its files.
    #[error("torrent {0} is in this session already")]
    Duplicate(InfoHash),
    /// It has no SHA-1 hashes.
    #[error(
        "`{name}` is a torrent of version 2 alone, which cannot be downloaded yet: \
         get its version 1 or hybrid torrent"
    )]
    OnlyV2 {
        /// What it is called.
        name: String,
    },
    /// Priorities do not fit its files.
    #[error("priorities for {got} files were given, the torrent has {files}")]
    Priorities {
        /// How many came.
        got: usize,
        /// How many files there are.
        files: usize,
    },
    /// The torrent cannot be remembered for a restart.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// The session is over.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// Torrents cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The resume database cannot be read.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// The session is over.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// The session's engine has ended, by a mistake of ours: the log has the details.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the engine has ended unexpectedly; what was committed is safe")]
pub struct Ended;

/// A session did not end in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StopError {
    /// Trackers or the disk took too long; everything written is still committed.
    #[error("the engine was not quiet in time, so trackers may not know that it stopped")]
    Timeout,
    /// The engine had failed before.
    #[error(transparent)]
    Ended(#[from] Ended),
}
