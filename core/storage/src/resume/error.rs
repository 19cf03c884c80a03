//! What can be wrong with what was remembered.

use std::io;
use std::path::PathBuf;

use dunlin_base::InfoHash;

use crate::ErrorKind;

/// A record that is not one of ours, or was damaged.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordError {
    /// A version that this program does not know.
    #[error("version {0} is not known; a newer program wrote it")]
    Version(u64),
    /// The record ends inside a value.
    #[error("ends at byte {at}, inside {what}")]
    End {
        /// Where it ends.
        at: usize,
        /// What was expected.
        what: &'static str,
    },
    /// A value that cannot be.
    #[error("{what} at byte {at} is out of bounds")]
    Value {
        /// Where it is.
        at: usize,
        /// What it is.
        what: &'static str,
    },
    /// Bytes behind the last value.
    #[error("{0} bytes are left over")]
    Trailing(usize),
}

/// The resume database could not do something.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// Another process has it open.
    #[error("{0} is in use by another program; only one at a time can keep torrents there")]
    InUse(PathBuf),
    /// The system refused.
    #[error("cannot use {path}: {source}", path = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The database is damaged. The next start moves it aside and begins a new one.
    #[error(
        "{path} is damaged ({message}); start again: it is kept under another name, and the \
         torrents can be added anew from the folder `torrents` beside it",
        path = path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What the database said.
        message: String,
    },
    /// What is stored of one torrent is damaged; others are not concerned.
    #[error(
        "what is stored of torrent {torrent} is damaged ({source}); remove it and add it again"
    )]
    Record {
        /// Which torrent.
        torrent: InfoHash,
        /// What is wrong.
        #[source]
        source: RecordError,
    },
    /// There is no such torrent.
    #[error("torrent {0} is not in the database")]
    Unknown(InfoHash),
    /// A torrent cannot be stored: too many files, a path that is no text, and so on.
    #[error("torrent {torrent} cannot be stored: its {what} is out of bounds")]
    Unstorable {
        /// Which torrent.
        torrent: InfoHash,
        /// What is too large.
        what: &'static str,
    },
}

impl ResumeError {
    /// What would help.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } => ErrorKind::of(source),
            _ => ErrorKind::Other,
        }
    }
}
