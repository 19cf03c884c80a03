//! The files that are open: a bounded number for the whole process, the longest unused close first.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::beneath::Folder;
use super::limit::files_to_keep_open;

/// Torrents whose folder is kept open, so that each of their files need not open it again.
const FOLDERS_MAX: usize = 16;

/// Open files of all torrents of a process. A file that is in use stays open until its use ends,
/// so there may be more for a moment: one for each thread that is inside a call.
#[derive(Debug)]
pub struct FilePool {
    open_files_max: usize,
    next_owner: AtomicU64,
    open: Mutex<OpenFiles>,
}

/// Which torrent, and which file of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    owner: u64,
    slot: u32,
}

#[derive(Debug)]
struct Entry {
    file: Arc<File>,
    writable: bool,
    last_use: u64,
}

#[derive(Debug, Default)]
struct OpenFiles {
    by_key: BTreeMap<Key, Entry>,
    by_last_use: BTreeMap<u64, Key>,
    uses: u64,
    /// Download folders by torrent; the first was opened first.
    folders: VecDeque<(u64, Arc<Folder>)>,
}

impl FilePool {
    /// A pool for all torrents of this process: see [`files_to_keep_open`].
    #[must_use]
    pub fn of_process() -> Arc<Self> {
        Self::new(files_to_keep_open())
    }

    /// A pool that keeps at most `open_files_max` files open.
    #[must_use]
    pub fn new(open_files_max: usize) -> Arc<Self> {
        Arc::new(Self {
            open_files_max: open_files_max.max(1),
            next_owner: AtomicU64::new(0),
            open: Mutex::default(),
        })
    }

    /// Number of files that the pool keeps open now.
    #[must_use]
    pub fn open_files(&self) -> usize {
        self.lock().by_key.len()
    }

    /// Number of files that the pool keeps open at most.
    pub(crate) const fn open_files_max(&self) -> usize {
        self.open_files_max
    }

    /// The folder that a torrent's files are in, when it is open.
    pub(crate) fn folder(&self, owner: u64) -> Option<Arc<Folder>> {
        let open = self.lock();
        let (_, folder) = open.folders.iter().find(|(of, _)| *of == owner)?;
        Some(Arc::clone(folder))
    }

    /// Keeps the folder open that a torrent's files are in.
    pub(crate) fn put_folder(&self, owner: u64, folder: &Arc<Folder>) {
        let mut open = self.lock();
        open.folders.retain(|(of, _)| *of != owner);
        open.folders.push_back((owner, Arc::clone(folder)));
        if open.folders.len() > FOLDERS_MAX {
            open.folders.pop_front();
        }
    }

    /// A name for the files of one torrent.
    pub(crate) fn new_owner(&self) -> u64 {
        self.next_owner.fetch_add(1, Ordering::Relaxed)
    }

    /// An open file, when it is open in the way that is asked for.
    pub(crate) fn get(&self, owner: u64, slot: u32, writable: bool) -> Option<Arc<File>> {
        let key = Key { owner, slot };
        let mut guard = self.lock();
        let open = &mut *guard;
        let entry = open.by_key.get_mut(&key)?;
        if writable && !entry.writable {
            return None;
        }
        open.uses += 1;
        open.by_last_use.remove(&entry.last_use);
        open.by_last_use.insert(open.uses, key);
        entry.last_use = open.uses;
        Some(Arc::clone(&entry.file))
    }

    /// Keeps a file open, instead of the one that was least recently used.
    pub(crate) fn put(&self, owner: u64, slot: u32, file: &Arc<File>, writable: bool) {
        // Closing may wait for a disk, so what leaves is dropped behind the lock.
        let mut closed = Vec::new();
        let mut open = self.lock();
        closed.extend(open.remove(Key { owner, slot }));
        while open.by_key.len() >= self.open_files_max
            && let Some((_, key)) = open.by_last_use.pop_first()
        {
            closed.extend(open.by_key.remove(&key));
        }
        open.uses += 1;
        let (key, last_use) = (Key { owner, slot }, open.uses);
        open.by_last_use.insert(last_use, key);
        open.by_key.insert(
            key,
            Entry {
                file: Arc::clone(file),
                writable,
                last_use,
            },
        );
        drop(open);
        drop(closed);
    }

    /// Closes one file, when it is open.
    pub(crate) fn close(&self, owner: u64, slot: u32) {
        let closed = self.lock().remove(Key { owner, slot });
        drop(closed);
    }

    /// Closes all files of a torrent, and its folder.
    pub(crate) fn close_all(&self, owner: u64) {
        let range = Key { owner, slot: 0 }..=Key {
            owner,
            slot: u32::MAX,
        };
        let mut open = self.lock();
        let keys: Vec<_> = open.by_key.range(range).map(|(key, _)| *key).collect();
        let closed: Vec<_> = keys.into_iter().map(|key| open.remove(key)).collect();
        open.folders.retain(|(of, _)| *of != owner);
        drop(open);
        drop(closed);
    }

    fn lock(&self) -> MutexGuard<'_, OpenFiles> {
        self.open
            .lock()
            .expect("nothing panics with the pool locked")
    }
}

impl OpenFiles {
    fn remove(&mut self, key: Key) -> Option<Entry> {
        let entry = self.by_key.remove(&key)?;
        self.by_last_use.remove(&entry.last_use);
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_file_is_closed_first() {
        let pool = FilePool::new(2);
        let (ours, theirs) = (pool.new_owner(), pool.new_owner());
        let file = Arc::new(tempfile::tempfile().unwrap());
        pool.put(ours, 0, &file, false);
        pool.put(theirs, 0, &file, true);
        assert!(pool.get(ours, 0, false).is_some());
        pool.put(ours, 1, &file, true);
        assert!(pool.get(theirs, 0, false).is_none());
        assert!(pool.get(ours, 0, true).is_none(), "open for reading only");
        assert_eq!(pool.open_files(), 2);
        pool.put(ours, 0, &file, true);
        assert!(pool.get(ours, 0, true).is_some());
        pool.close_all(ours);
        assert_eq!((pool.open_files(), Arc::strong_count(&file)), (0, 1));
    }
}
