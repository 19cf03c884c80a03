//! Moves a torrent's files to another folder, or removes them.

use std::collections::BTreeSet;
use std::fs::{File, FileTimes};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::beneath::{Access, Folder};
use super::look::{Looker, look};
use super::torrent::{TorrentFiles, open_folder};
use super::{part, prepare, transfer};
use crate::{Operation, StorageError};

/// How far a move has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MoveProgress {
    /// Bytes that are in the new folder. Holes in files are not counted.
    pub done_bytes: u64,
    /// Bytes of all files that have to get there.
    pub of_bytes: u64,
}

/// A move under way.
struct Move<'a> {
    from: Folder,
    from_root: &'a Path,
    to: Folder,
    to_root: &'a Path,
    progress: MoveProgress,
    report: &'a mut dyn FnMut(MoveProgress) -> ControlFlow<()>,
    renamed: Vec<PathBuf>,
    copied: Vec<PathBuf>,
    /// In both folders since an earlier, interrupted move.
    copied_before: Vec<PathBuf>,
}

impl TorrentFiles {
    /// Moves all files to the folder `root`, which has to exist. On one file system they are
    /// renamed; else they are copied, made durable, compared, and only when all are there removed
    /// from the old folder. Other calls wait meanwhile.
    ///
    /// Nothing is overwritten: a file that is in both places is an error, unless the content is
    /// the same. After a crash the files may be in either folder; a move to the same folder, from a
    /// torrent that was opened at the old one, then completes it.
    ///
    /// `report` is told of every step and can stop the move.
    ///
    /// # Errors
    /// When a file cannot be moved, or `report` stops ([`io::ErrorKind::Interrupted`]). The files
    /// are back in the old folder then, unless that fails as well.
    pub fn move_to(
        &self,
        root: &Path,
        report: &mut dyn FnMut(MoveProgress) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        let mut place = self.place_mut();
        let (from, to) = (open_folder(&place.root)?, open_folder(root)?);
        // By another name of the same folder, every file would be its own copy.
        if from
            .is(&to)
            .map_err(StorageError::on(Operation::Stat, root))?
        {
            place.root = root.into();
            return Ok(());
        }
        let paths = self.paths();
        let mut of_bytes = 0;
        let mut looker = Looker::new(&from, &place.root);
        for path in &paths {
            of_bytes += looker.look(path)?.map_or(0, |stat| stat.len);
        }
        // Open files would go on to be the old ones.
        self.pool.close_all(self.owner);
        let from_root = Arc::clone(&place.root);
        let mut job = Move {
            from,
            from_root: &from_root,
            to,
            to_root: root,
            progress: MoveProgress {
                done_bytes: 0,
                of_bytes,
            },
            report,
            renamed: Vec::new(),
            copied: Vec::new(),
            copied_before: Vec::new(),
        };
        let folders = folders_of(paths.iter().chain(self.links()));
        if let Err(error) = job.bring(&paths, &folders) {
            job.take_back(&folders);
            return Err(error);
        }
        place.root = root.into();
        let mut had_links = false;
        for path in self.links() {
            had_links |= remove_link(&job.from, job.from_root, path)?;
        }
        if had_links {
            prepare::create_links(&self.layout, &place)?;
        }
        for path in job.copied.iter().chain(&job.copied_before) {
            remove(&job.from, job.from_root, path)?;
        }
        remove_empty(&job.from, &folders);
        Ok(())
    }

    /// Removes all files of the torrent, and the folders that are empty then.
    ///
    /// # Errors
    /// When a file cannot be removed; others may be gone.
    pub fn remove_data(&self) -> Result<(), StorageError> {
        let place = self.place_mut();
        self.pool.close_all(self.owner);
        let folder = open_folder(&place.root)?;
        let paths = self.paths();
        for path in &paths {
            if look(&folder, &place.root, path)?.is_some() {
                remove(&folder, &place.root, path)?;
            }
        }
        for path in self.links() {
            remove_link(&folder, &place.root, path)?;
        }
        drop(self.take_pending());
        remove_empty(&folder, &folders_of(paths.iter().chain(self.links())));
        Ok(())
    }

    /// Every regular file that may be on disk.
    fn paths(&self) -> Vec<PathBuf> {
        let files = self.layout.files().iter();
        files
            .filter(|spec| !spec.pad && spec.symlink.is_none())
            .map(|spec| spec.path.clone())
            .chain([part::file_name(self.torrent)])
            .collect()
    }

    /// Every symbolic link that may be on disk.
    fn links(&self) -> impl Iterator<Item = &PathBuf> {
        let files = self.layout.files().iter();
        files
            .filter(|spec| spec.symlink.is_some())
            .map(|spec| &spec.path)
    }
}

impl Move<'_> {
    /// Gets every file into the new folder, durably; old copies stay.
    fn bring(
        &mut self,
        paths: &[PathBuf],
        folders: &BTreeSet<PathBuf>,
    ) -> Result<(), StorageError> {
        for path in paths {
            self.bring_one(path)?;
        }
        for path in folders.iter().rev() {
            if let Err(error) = self.to.sync_folder(path)
                // Folders of which no file is there yet are not there either.
                && error.kind() != io::ErrorKind::NotFound
            {
                let path = self.to_root.join(path);
                return Err(StorageError::new(Operation::Flush, path, error));
            }
        }
        Ok(())
    }

    fn bring_one(&mut self, path: &Path) -> Result<(), StorageError> {
        let Some(here) = look(&self.from, self.from_root, path)? else {
            return Ok(());
        };
        let on = |error| StorageError::new(Operation::Move, self.from_root.join(path), error);
        if look(&self.to, self.to_root, path)?.is_some() {
            if !self.is_copied(path).map_err(on)? {
                let path = self.to_root.join(path);
                let error = io::ErrorKind::AlreadyExists.into();
                return Err(StorageError::new(Operation::Move, path, error));
            }
            self.copied_before.push(path.to_path_buf());
            return Ok(());
        }
        match self.from.rename(path, &self.to, path) {
            Ok(()) => {
                self.renamed.push(path.to_path_buf());
                self.step(here.len).map_err(on)
            }
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let copied = self.copy(path);
                copied.map_err(|error| {
                    StorageError::new(Operation::Move, self.from_root.join(path), error)
                })?;
                self.copied.push(path.to_path_buf());
                Ok(())
            }
            Err(error) => Err(on(error)),
        }
    }

    fn is_copied(&self, path: &Path) -> io::Result<bool> {
        let ours = self.from.open_file(path, Access::Read)?.file;
        let theirs = self.to.open_file(path, Access::Read)?.file;
        transfer::same_content(&ours, &theirs)
    }

    /// Copies a file under another name, and gives it its own when it is safe.
    fn copy(&mut self, path: &Path) -> io::Result<()> {
        let mut name = path.as_os_str().to_os_string();
        name.push(".dunlin-moving");
        let beside = Path::new(&name);
        // What an interrupted move left behind.
        self.to.remove_file(beside)?;
        let source = self.from.open_file(path, Access::Read)?.file;
        let target = self.to.open_file(beside, Access::Write)?.file;
        let copied = self
            .copy_content(&source, &target)
            .and_then(|()| self.to.rename(beside, &self.to, path));
        if copied.is_err() {
            // The first error is the one to tell.
            _ = self.to.remove_file(beside);
        }
        copied
    }

    fn copy_content(&mut self, source: &File, target: &File) -> io::Result<()> {
        let metadata = source.metadata()?;
        let (progress, report) = (&mut self.progress, &mut self.report);
        transfer::copy(source, 0..metadata.len(), target, 0, &mut |bytes| {
            progress.done_bytes += bytes;
            report(*progress)
        })?;
        target.set_len(metadata.len())?;
        target.set_permissions(metadata.permissions())?;
        target.set_times(FileTimes::new().set_modified(metadata.modified()?))?;
        target.sync_all()?;
        transfer::forget_cached(target);
        if !transfer::same_content(source, target)? {
            return Err(io::Error::other("the copy differs from the original"));
        }
        Ok(())
    }

    fn step(&mut self, bytes: u64) -> io::Result<()> {
        self.progress.done_bytes += bytes;
        match (self.report)(self.progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(io::ErrorKind::Interrupted.into()),
        }
    }

    /// Undoes what a failed move did, as far as that goes: the first error is the one to tell.
    fn take_back(&mut self, folders: &BTreeSet<PathBuf>) {
        for path in self.renamed.iter().rev() {
            _ = self.to.rename(path, &self.from, path);
        }
        for path in &self.copied {
            _ = self.to.remove_file(path);
        }
        remove_empty(&self.to, folders);
    }
}

/// Every folder on the way to these files; the empty path is the root.
fn folders_of<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> BTreeSet<PathBuf> {
    let ancestors = paths.flat_map(|path| path.ancestors().skip(1));
    ancestors.map(Path::to_path_buf).collect()
}

/// Removes folders that are empty, the deepest first. One that cannot be removed just stays.
fn remove_empty(root: &Folder, folders: &BTreeSet<PathBuf>) {
    for path in folders
        .iter()
        .rev()
        .filter(|path| !path.as_os_str().is_empty())
    {
        _ = root.remove_folder(path);
    }
}

fn remove(folder: &Folder, root: &Path, path: &Path) -> Result<bool, StorageError> {
    folder
        .remove_file(path)
        .map_err(|error| StorageError::new(Operation::Remove, root.join(path), error))
}

/// Removes what is at a path when it is a link; says whether it was.
fn remove_link(folder: &Folder, root: &Path, path: &Path) -> Result<bool, StorageError> {
    let is_link = folder
        .is_link(path)
        .map_err(|error| StorageError::new(Operation::Stat, root.join(path), error))?;
    Ok(is_link && remove(folder, root, path)?)
}
