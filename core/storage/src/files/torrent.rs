//! [`TorrentFiles`]: a torrent's bytes in its files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use dunlin_base::InfoHash;

use super::beneath::{Access, Folder, Opened};
use super::io::{read_all_at, will_read, write_all_at};
use super::look::{Looker, look};
use super::pool::FilePool;
use super::prepare::Preallocation;
use super::{part, prepare, transfer};
use crate::ranges::Ranges;
use crate::{
    FileIndex, FileLayout, FileSpec, Flushed, Operation, Span, StatSnapshot, Storage, StorageError,
};

/// The slot of the part file in the pool; files of the layout have their own numbers.
pub(super) const PART_SLOT: u32 = u32::MAX;

/// Files for which another thread is worth starting in a flush.
const SLOTS_PER_FLUSHER: usize = 16;
/// Most threads that help with a flush.
const FLUSHERS_MAX: usize = 15;
/// Most places of a torrent that are told to be read soon at a time: as many as there are pieces side by
/// side in a check.
const READS_AHEAD_MAX: usize = 64;

/// One torrent's files below a download folder.
///
/// Files are created when they are first written to, and never reached through a symbolic link
/// below the folder. What pieces carry of unwanted files goes to a part file,
/// `.<info hash>.dunlin-part` in the download folder, until the file is wanted.
#[derive(Debug)]
pub struct TorrentFiles {
    pub(super) torrent: InfoHash,
    pub(super) layout: Arc<FileLayout>,
    pub(super) pool: Arc<FilePool>,
    /// Our name in the pool.
    pub(super) owner: u64,
    /// Read inside every operation, so that moving and selecting wait for those under way. It
    /// holds up no other reader.
    place: RwLock<Place>,
    /// Written, but not flushed; nothing for most torrents at most times. Never locked during I/O.
    pending: Mutex<Option<Box<Pending>>>,
}

/// Where the bytes are.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) root: Arc<Path>,
    pub(super) wanted: Vec<bool>,
    pub(super) homes: Vec<Home>,
    pub(super) preallocation: Preallocation,
}

/// Where a file's bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Home {
    /// In the file itself.
    File,
    /// In the part file, at their offsets in the torrent.
    Part,
}

/// What the next flush has to make durable.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Slots that were written to.
    slots: BTreeSet<u32>,
    /// Folders that got new entries, relative to the root; the root is the empty path.
    folders: BTreeSet<PathBuf>,
    /// What was written.
    ranges: Ranges,
}

impl TorrentFiles {
    /// The files of `torrent` below the folder `root`, which has to exist: creating it anew would
    /// hide that a disk is not mounted. `wanted` says for each file whether it is to be downloaded.
    ///
    /// What the part file holds of wanted files is moved to where it belongs.
    ///
    /// # Errors
    /// When the folder cannot be opened, or the part file cannot be read or its content moved.
    ///
    /// # Panics
    /// When `wanted` does not have one entry for each file.
    pub fn open(
        root: Arc<Path>,
        torrent: InfoHash,
        layout: Arc<FileLayout>,
        wanted: Vec<bool>,
        preallocation: Preallocation,
        pool: Arc<FilePool>,
    ) -> Result<Self, StorageError> {
        assert_eq!(
            wanted.len(),
            layout.files().len(),
            "one choice for each file"
        );
        let folder = open_folder(&root)?;
        let mut looker = Looker::new(&folder, &root);
        let mut homes = vec![Home::File; wanted.len()];
        for (at, spec) in layout.files().iter().enumerate() {
            if !wanted[at] {
                homes[at] = home_of_unwanted(&mut looker, spec)?;
            }
        }
        let files = Self {
            torrent,
            owner: pool.new_owner(),
            pool,
            place: RwLock::new(Place {
                root,
                wanted,
                homes,
                preallocation,
            }),
            pending: Mutex::default(),
            layout,
        };
        part::bring_home(&files, &mut files.place_mut())?;
        Ok(files)
    }

    /// The download folder.
    #[must_use]
    pub fn root(&self) -> Arc<Path> {
        Arc::clone(&self.place().root)
    }

    /// Which files are wanted, in the order of the metainfo.
    #[must_use]
    pub fn wanted(&self) -> Vec<bool> {
        self.place().wanted.clone()
    }

    /// Changes which files are wanted. What the part file holds of files that become wanted is
    /// moved into them. A file that is no longer wanted stays where it is.
    ///
    /// # Errors
    /// When a file cannot be looked at or written; files before it in the torrent have their new
    /// state then, and the call can be repeated.
    ///
    /// # Panics
    /// When `wanted` does not have one entry for each file.
    pub fn select(&self, wanted: Vec<bool>) -> Result<(), StorageError> {
        let mut place = self.place_mut();
        assert_eq!(wanted.len(), place.homes.len(), "one choice for each file");
        let root = Arc::clone(&place.root);
        let folder = open_folder(&root)?;
        let mut looker = Looker::new(&folder, &root);
        for (at, spec) in self.layout.files().iter().enumerate() {
            if place.wanted[at] && !wanted[at] {
                place.homes[at] = home_of_unwanted(&mut looker, spec)?;
            }
            place.wanted[at] = wanted[at];
        }
        part::bring_home(self, &mut place)
    }

    pub(super) fn place(&self) -> RwLockReadGuard<'_, Place> {
        self.place
            .read()
            .expect("nothing panics with the place locked")
    }

    pub(super) fn place_mut(&self) -> RwLockWriteGuard<'_, Place> {
        self.place
            .write()
            .expect("nothing panics with the place locked")
    }

    fn pending(&self) -> MutexGuard<'_, Option<Box<Pending>>> {
        self.pending
            .lock()
            .expect("nothing panics with the pending writes locked")
    }

    /// Changes what the next flush has to make durable.
    pub(super) fn change_pending(&self, change: impl FnOnce(&mut Pending)) {
        change(self.pending().get_or_insert_default());
    }

    /// Takes what the next flush has to make durable.
    pub(super) fn take_pending(&self) -> Pending {
        self.pending()
            .take()
            .map_or_else(Pending::default, |pending| *pending)
    }

    /// The folders that got new entries since the last flush.
    pub(super) fn pending_folders(&self) -> BTreeSet<PathBuf> {
        let pending = self.pending();
        let folders = pending.as_ref().map(|pending| pending.folders.clone());
        folders.unwrap_or_default()
    }

    /// The slot that holds a span, and the offset in its file.
    fn locate(&self, place: &Place, span: &Span) -> (u32, u64) {
        match place.homes[span.file.0 as usize] {
            Home::File => (span.file.0, span.file_offset),
            Home::Part => {
                let start = self.layout.range_of(span.file).start;
                (PART_SLOT, start + span.file_offset)
            }
        }
    }

    /// A slot's path below the root.
    pub(super) fn path_of(&self, slot: u32) -> PathBuf {
        if slot == PART_SLOT {
            part::file_name(self.torrent)
        } else {
            self.layout.file(FileIndex(slot)).path.clone()
        }
    }

    /// A slot's open file. One that did not exist is created and gets its space when it is written.
    pub(super) fn open_slot(
        &self,
        place: &Place,
        slot: u32,
        access: Access,
    ) -> Result<Arc<File>, StorageError> {
        let writable = access == Access::Write;
        if let Some(file) = self.pool.get(self.owner, slot, writable) {
            return Ok(file);
        }
        let path = self.path_of(slot);
        let opened = self.open_file(place, &path, access)?;
        if opened.created {
            let folders = path.ancestors().skip(1).map(Path::to_path_buf);
            self.change_pending(|pending| pending.folders.extend(folders));
            if slot != PART_SLOT {
                let length = self.layout.file(FileIndex(slot)).length;
                prepare::allocate(&opened.file, length, place.preallocation).map_err(|error| {
                    StorageError::new(Operation::Allocate, place.root.join(&path), error)
                })?;
            }
        }
        let file = Arc::new(opened.file);
        self.pool.put(self.owner, slot, &file, writable);
        Ok(file)
    }

    /// Opens a file below the root, whose descriptor is kept for the next one.
    fn open_file(
        &self,
        place: &Place,
        path: &Path,
        access: Access,
    ) -> Result<Opened, StorageError> {
        if let Some(folder) = self.pool.folder(self.owner)
            && let Ok(opened) = folder.open_file(path, access)
        {
            return Ok(opened);
        }
        // The root may be another folder by now, or none.
        let folder = Arc::new(open_folder(&place.root)?);
        self.pool.put_folder(self.owner, &folder);
        folder
            .open_file(path, access)
            .map_err(|error| StorageError::new(Operation::Open, place.root.join(path), error))
    }

    fn error(&self, op: Operation, place: &Place, slot: u32, error: io::Error) -> StorageError {
        StorageError::new(op, place.root.join(self.path_of(slot)), error)
    }

    /// Makes one slot durable.
    fn sync_slot(&self, place: &Place, slot: u32) -> Result<(), StorageError> {
        let file = self.open_slot(place, slot, Access::Read)?;
        let synced = file.sync_data().and_then(|()| still_linked(&file));
        if let Err(error) = synced {
            transfer::forget_cached(&file);
            self.pool.close(self.owner, slot);
            return Err(self.error(Operation::Flush, place, slot, error));
        }
        Ok(())
    }

    /// The ranges of the torrent that a slot holds.
    fn ranges_of(&self, place: &Place, slot: u32) -> Ranges {
        let mut ranges = Ranges::default();
        for (index, _) in self.layout.iter() {
            let home = match place.homes[index.0 as usize] {
                Home::File => index.0,
                Home::Part => PART_SLOT,
            };
            if home == slot {
                ranges.insert(self.layout.range_of(index));
            }
        }
        ranges
    }

    /// Makes slots durable, many at a time when there are many: file systems commit their journal
    /// once for all flushes that wait for it, but one after the other each takes a turn of the disk.
    /// Returns those that failed.
    fn sync_slots(&self, place: &Place, slots: BTreeSet<u32>) -> BTreeMap<u32, StorageError> {
        let slots: Vec<u32> = slots.into_iter().collect();
        let failed = Mutex::new(BTreeMap::new());
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(&slot) = slots.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = self.sync_slot(place, slot) {
                    let mut failed = failed.lock().expect("nothing panics with it locked");
                    failed.insert(slot, error);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..(slots.len() / SLOTS_PER_FLUSHER).min(FLUSHERS_MAX) {
                let helper = std::thread::Builder::new().name("flush".into());
                // Without a helper it takes longer, that is all.
                _ = helper.spawn_scoped(scope, work);
            }
            work();
        });
        failed.into_inner().expect("nothing panics with it locked")
    }

    /// Makes a batch of writes durable, or takes it back except for what is lost.
    fn sync(&self, place: &Place, mut batch: Pending) -> Result<Flushed, StorageError> {
        let failed = self.sync_slots(place, mem::take(&mut batch.slots));
        let mut first_error = None;
        for (slot, error) in failed {
            self.ranges_of(place, slot)
                .iter()
                .for_each(|lost| batch.ranges.remove(lost));
            first_error.get_or_insert(error);
        }
        if first_error.is_none() {
            first_error = sync_folders(place, &batch.folders).err();
        }
        let Some(error) = first_error else {
            return Ok(Flushed::new(self.torrent, batch.ranges));
        };
        self.change_pending(|pending| {
            pending.folders.append(&mut batch.folders);
            pending.ranges.merge(&batch.ranges);
        });
        Err(error)
    }
}

impl Storage for TorrentFiles {
    fn torrent(&self) -> InfoHash {
        self.torrent
    }

    fn layout(&self) -> &FileLayout {
        &self.layout
    }

    fn write_vectored_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> Result<(), StorageError> {
        let len = parts.iter().map(|part| part.len() as u64).sum();
        let place = self.place();
        let mut rest = parts.iter().map(|part| &**part);
        let mut current: &[u8] = &[];
        let mut slots = BTreeSet::new();
        for span in self.layout.spans(offset, len) {
            let mut here = Vec::new();
            let mut left = span.len;
            while left > 0 {
                if current.is_empty() {
                    current = rest.next().expect("the spans are as long as the parts");
                }
                let (head, tail) = current.split_at(left.min(current.len() as u64) as usize);
                left -= head.len() as u64;
                here.push(IoSlice::new(head));
                current = tail;
            }
            if span.pad {
                continue;
            }
            let (slot, at) = self.locate(&place, &span);
            let file = self.open_slot(&place, slot, Access::Write)?;
            write_all_at(&file, &mut here, at)
                .map_err(|error| self.error(Operation::Write, &place, slot, error))?;
            slots.insert(slot);
        }
        // Only now: a flush that ran meanwhile must not vouch for them.
        self.change_pending(|pending| {
            pending.slots.append(&mut slots);
            pending.ranges.insert(offset..offset + len);
        });
        Ok(())
    }

    fn read_vectored_at(
        &self,
        offset: u64,
        parts: &mut [IoSliceMut<'_>],
    ) -> Result<(), StorageError> {
        let len = parts.iter().map(|part| part.len() as u64).sum();
        let place = self.place();
        let mut rest = parts.iter_mut().map(|part| &mut **part);
        let mut current: &mut [u8] = &mut [];
        for span in self.layout.spans(offset, len) {
            let mut here = Vec::new();
            let mut left = span.len;
            while left > 0 {
                if current.is_empty() {
                    current = rest.next().expect("the spans are as long as the parts");
                }
                let step = left.min(current.len() as u64) as usize;
                let (head, tail) = mem::take(&mut current).split_at_mut(step);
                left -= step as u64;
                here.push(IoSliceMut::new(head));
                current = tail;
            }
            if span.pad {
                here.iter_mut().for_each(|part| part.fill(0));
                continue;
            }
            let (slot, at) = self.locate(&place, &span);
            let file = self.open_slot(&place, slot, Access::Read)?;
            read_all_at(&file, &mut here, at)
                .map_err(|error| self.error(Operation::Read, &place, slot, error))?;
        }
        Ok(())
    }

    fn will_read(&self, offset: u64, len: u64) {
        let place = self.place();
        // More would close what others were told of before they read it.
        let files_max = (self.pool.open_files_max() / READS_AHEAD_MAX).max(1);
        let spans = self.layout.spans(offset, len).filter(|span| !span.pad);
        for span in spans.take(files_max) {
            let (slot, at) = self.locate(&place, &span);
            if let Ok(file) = self.open_slot(&place, slot, Access::Read) {
                will_read(&file, at, span.len);
            }
        }
    }

    fn file_at(&self, offset: u64, len: u64) -> Option<(Arc<File>, u64)> {
        let place = self.place();
        let mut spans = self.layout.spans(offset, len);
        let span = spans.next().filter(|span| !span.pad && span.len == len)?;
        let (slot, at) = self.locate(&place, &span);
        let file = self.open_slot(&place, slot, Access::Read).ok()?;
        Some((file, at))
    }

    fn note_good(&self, offset: u64, len: u64) {
        let place = self.place();
        let spans = self.layout.spans(offset, len).filter(|span| !span.pad);
        let slots: Vec<u32> = spans.map(|span| self.locate(&place, &span).0).collect();
        self.change_pending(|pending| {
            pending.slots.extend(slots);
            pending.ranges.insert(offset..offset + len);
        });
    }

    fn flush(&self) -> Result<Flushed, StorageError> {
        let place = self.place();
        let batch = self.take_pending();
        self.sync(&place, batch)
    }

    fn flush_all(&self) -> Result<Flushed, StorageError> {
        let place = self.place();
        let folder = open_folder(&place.root)?;
        let mut looker = Looker::new(&folder, &place.root);
        let mut batch = self.take_pending();
        let mut part_len = None;
        for (index, spec) in self.layout.iter() {
            let range = self.layout.range_of(index);
            let (slot, until) = match place.homes[index.0 as usize] {
                _ if spec.pad => {
                    batch.ranges.insert(range);
                    continue;
                }
                Home::File => {
                    let len = looker.look(&spec.path)?.map_or(0, |stat| stat.len);
                    (index.0, range.start + len.min(spec.length))
                }
                Home::Part => {
                    let len = match part_len {
                        Some(len) => len,
                        None => look(&folder, &place.root, &part::file_name(self.torrent))?
                            .map_or(0, |stat| stat.len),
                    };
                    part_len = Some(len);
                    (PART_SLOT, len.min(range.end))
                }
            };
            if until > range.start {
                batch.slots.insert(slot);
                batch.folders.extend(
                    self.path_of(slot)
                        .ancestors()
                        .skip(1)
                        .map(Path::to_path_buf),
                );
                batch.ranges.insert(range.start..until);
            }
        }
        self.sync(&place, batch)
    }

    fn stat(&self) -> Result<StatSnapshot, StorageError> {
        let place = self.place();
        let folder = open_folder(&place.root)?;
        let mut looker = Looker::new(&folder, &place.root);
        let mut files = Vec::with_capacity(place.homes.len());
        for spec in self.layout.files() {
            files.push(if spec.pad || spec.symlink.is_some() {
                None
            } else {
                looker.look(&spec.path)?
            });
        }
        let part = if place.homes.contains(&Home::Part) {
            look(&folder, &place.root, &part::file_name(self.torrent))?
        } else {
            None
        };
        Ok(StatSnapshot { files, part })
    }
}

impl Drop for TorrentFiles {
    fn drop(&mut self) {
        self.pool.close_all(self.owner);
    }
}

impl Pending {
    /// Forgets that a slot was written to, when it was made durable or removed on another way.
    pub(super) fn forget(&mut self, slot: u32) {
        self.slots.remove(&slot);
    }
}

pub(super) fn open_folder(root: &Path) -> Result<Folder, StorageError> {
    Folder::open(root).map_err(StorageError::on(Operation::Open, root))
}

/// Where the bytes of an unwanted file go: not into a new file of its own.
fn home_of_unwanted<'a>(looker: &mut Looker<'a>, spec: &'a FileSpec) -> Result<Home, StorageError> {
    if spec.pad || spec.length == 0 || looker.look(&spec.path)?.is_some() {
        Ok(Home::File)
    } else {
        Ok(Home::Part)
    }
}

pub(super) fn sync_folders(place: &Place, folders: &BTreeSet<PathBuf>) -> Result<(), StorageError> {
    if folders.is_empty() {
        return Ok(());
    }
    let root = open_folder(&place.root)?;
    for path in folders {
        root.sync_folder(path)
            .map_err(|error| StorageError::new(Operation::Flush, place.root.join(path), error))?;
    }
    Ok(())
}

/// An error when somebody removed or replaced the file that we hold open: what we wrote is gone.
#[cfg(unix)]
fn still_linked(file: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    if file.metadata()?.nlink() == 0 {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(())
}

/// Elsewhere a file that is open cannot be removed.
#[cfg(not(unix))]
fn still_linked(_file: &File) -> io::Result<()> {
    Ok(())
}
