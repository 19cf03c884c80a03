//! What storage refuses, in the port's terms.

use dunlin_port::disk::{DiskError, DiskErrorKind};
use dunlin_storage::{ErrorKind, LayoutError, RecheckError, ResumeError, StorageError};

pub(crate) fn of_storage(error: &StorageError) -> DiskError {
    DiskError {
        kind: kind_of(error.kind),
        message: error.to_string(),
    }
}

pub(super) fn of_resume(error: &ResumeError) -> DiskError {
    let kind = match error {
        ResumeError::Io { source, .. } => kind_of_io(source),
        _ => DiskErrorKind::Other,
    };
    DiskError {
        kind,
        message: error.to_string(),
    }
}

pub(super) fn of_layout(error: &LayoutError) -> DiskError {
    DiskError {
        kind: DiskErrorKind::Other,
        message: error.to_string(),
    }
}

/// `None` when somebody asked to stop, which is no trouble.
pub(super) fn of_recheck(error: &RecheckError) -> Option<DiskError> {
    match error {
        RecheckError::Cancelled => None,
        RecheckError::Storage(error) => Some(of_storage(error)),
        RecheckError::Thread(error) => Some(other(&error.to_string())),
    }
}

pub(crate) fn other(message: &str) -> DiskError {
    DiskError {
        kind: DiskErrorKind::Other,
        message: message.to_owned(),
    }
}

pub(super) fn not_open() -> DiskError {
    let message = "the torrent's files are not open".to_owned();
    DiskError {
        kind: DiskErrorKind::Missing,
        message,
    }
}

pub(super) fn kind_of_io(error: &std::io::Error) -> DiskErrorKind {
    kind_of(ErrorKind::of(error))
}

fn kind_of(kind: ErrorKind) -> DiskErrorKind {
    match kind {
        ErrorKind::Full => DiskErrorKind::Full,
        ErrorKind::Permission => DiskErrorKind::Permission,
        ErrorKind::Missing | ErrorKind::Short => DiskErrorKind::Missing,
        ErrorKind::Link | ErrorKind::Occupied | ErrorKind::Other => DiskErrorKind::Other,
    }
}
