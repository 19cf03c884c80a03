//! The files that one hashing thread keeps open.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use dunlin_hash::Sha1Lanes;
use dunlin_storage::files_to_keep_open;

/// The pieces that one thread reads side by side may each be of another file, and the next ones too.
const KEPT_MAX: usize = 4 * Sha1Lanes::MAX;

/// Open files by their number. Pieces are read in order, so the first file is the one that is done with.
pub(super) struct OpenFiles {
    files: BTreeMap<usize, Arc<File>>,
    kept_max: usize,
}

impl OpenFiles {
    /// None yet, of one of so many threads.
    pub(super) fn of_threads(threads: usize) -> Self {
        Self {
            files: BTreeMap::new(),
            kept_max: (files_to_keep_open() / threads).clamp(1, KEPT_MAX),
        }
    }

    /// Opens a file, unless it is open.
    pub(super) fn open(&mut self, number: usize, path: &Path) -> io::Result<Arc<File>> {
        if let Some(file) = self.files.get(&number) {
            return Ok(Arc::clone(file));
        }
        while self.files.len() >= self.kept_max {
            self.files.pop_first();
        }
        let file = Arc::new(File::open(path)?);
        self.files.insert(number, Arc::clone(&file));
        Ok(file)
    }
}
