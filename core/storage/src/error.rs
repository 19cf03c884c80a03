//! What the disk can refuse, by what helps.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A file operation that failed: the environment's fault, never a peer's.
#[derive(Debug, thiserror::Error)]
#[error("cannot {op} {path}: {source}{advice}", path = path.display(), advice = kind.advice())]
pub struct StorageError {
    /// What was tried.
    pub op: Operation,
    /// On which file or folder.
    pub path: PathBuf,
    /// What would help.
    pub kind: ErrorKind,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Kinds of disk trouble, by what helps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// No space, quota or file size left: helps to make room.
    Full,
    /// Not allowed, or the file system is read-only: helps to change permissions.
    Permission,
    /// A file or folder is gone: helps to bring it back or to check again.
    Missing,
    /// A file ends before the bytes that were asked for: these bytes were never written.
    Short,
    /// A symbolic link stands where a file or folder of the torrent belongs; it is never followed.
    Link,
    /// Another file is where ours should go; it is never overwritten.
    Occupied,
    /// Anything else: the source says.
    Other,
}

/// What was tried when an error came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Open a file or folder.
    Open,
    /// Reserve space for a file.
    Allocate,
    /// Read from a file.
    Read,
    /// Write to a file.
    Write,
    /// Make a file's content durable.
    Flush,
    /// Ask for a file's length and time.
    Stat,
    /// Move a file to another folder.
    Move,
    /// Remove a file.
    Remove,
    /// Create a symbolic link of the torrent.
    Link,
    /// Make a file executable.
    Mark,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Allocate => "reserve space for",
            Self::Read => "read",
            Self::Write => "write",
            Self::Flush => "flush",
            Self::Stat => "look at",
            Self::Move => "move",
            Self::Remove => "remove",
            Self::Link => "link",
            Self::Mark => "make executable",
        })
    }
}

impl StorageError {
    pub(crate) fn new(op: Operation, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self {
            op,
            path: path.into(),
            kind: ErrorKind::of(&source),
            source,
        }
    }

    /// For `map_err`: the error of `op` on `path`.
    pub(crate) fn on(op: Operation, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::new(op, path, source)
    }
}

impl ErrorKind {
    /// What a person can do, to be put behind the system's words.
    const fn advice(self) -> &'static str {
        match self {
            Self::Full => "; make room on that disk",
            Self::Permission => "; check its permissions",
            Self::Missing => "; bring it back",
            Self::Short | Self::Link | Self::Occupied | Self::Other => "",
        }
    }

    /// The kind of an error of the system.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        #[cfg(unix)]
        if rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::LOOP) {
            return Self::Link;
        }
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::Full,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Permission,
            io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle => Self::Missing,
            io::ErrorKind::UnexpectedEof => Self::Short,
            io::ErrorKind::AlreadyExists => Self::Occupied,
            _ => Self::Other,
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn system_errors_are_sorted_by_what_helps() {
        let cases = [
            (Errno::NOSPC, ErrorKind::Full),
            (Errno::DQUOT, ErrorKind::Full),
            (Errno::FBIG, ErrorKind::Full),
            (Errno::ACCESS, ErrorKind::Permission),
            (Errno::PERM, ErrorKind::Permission),
            (Errno::ROFS, ErrorKind::Permission),
            (Errno::NOENT, ErrorKind::Missing),
            (Errno::STALE, ErrorKind::Missing),
            (Errno::LOOP, ErrorKind::Link),
            (Errno::EXIST, ErrorKind::Occupied),
            (Errno::IO, ErrorKind::Other),
        ];
        for (errno, kind) in cases {
            assert_eq!(ErrorKind::of(&errno.into()), kind, "{errno:?}");
        }
    }
}
