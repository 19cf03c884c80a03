//! Looks at files without opening them.

use std::path::Path;

use super::beneath::Folder;
use crate::{FileStat, Operation, StorageError};

/// Looks at files one after the other, and keeps the folder of the last one open: those of a torrent
/// come folder by folder, so that most take one call.
#[derive(Debug)]
pub(super) struct Looker<'a> {
    folder: &'a Folder,
    /// The folder's own path, for errors.
    root: &'a Path,
    /// Where the last file is or would be.
    last: Option<(&'a Path, Option<Folder>)>,
}

impl<'a> Looker<'a> {
    /// Looks below `folder`, whose path is `root`.
    pub(super) const fn new(folder: &'a Folder, root: &'a Path) -> Self {
        Self {
            folder,
            root,
            last: None,
        }
    }

    /// Length and time of the regular file at a path, when there is one.
    pub(super) fn look(&mut self, path: &'a Path) -> Result<Option<FileStat>, StorageError> {
        let error = |error| StorageError::new(Operation::Stat, self.root.join(path), error);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(error(std::io::ErrorKind::InvalidInput.into()));
        };
        if parent.as_os_str().is_empty() {
            return self.folder.look(name).map_err(error);
        }
        let folder = match self.last.take_if(|(last, _)| *last == parent) {
            Some((_, folder)) => folder,
            None => self.folder.subfolder(parent).map_err(error)?,
        };
        let found = folder.as_ref().map_or(Ok(None), |folder| folder.look(name));
        let found = found.map_err(error);
        self.last = Some((parent, folder));
        found
    }
}

/// Length and time of the regular file at a path, when there is one.
pub(super) fn look(
    folder: &Folder,
    root: &Path,
    path: &Path,
) -> Result<Option<FileStat>, StorageError> {
    Looker::new(folder, root).look(path)
}
