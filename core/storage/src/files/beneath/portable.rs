//! [`Folder`] where files cannot be opened relative to a folder: every component is looked at
//! before the path is used. A link planted between the look and the use would be followed.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::{Access, Opened};
use crate::FileStat;

/// A folder by its path.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Takes a folder by the user's own path, in which links are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        if path.is_dir() {
            Ok(Self(path))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    /// Whether both are the same folder, perhaps by different paths.
    pub(crate) fn is(&self, other: &Self) -> io::Result<bool> {
        Ok(self.0 == other.0)
    }

    /// Opens a regular file.
    pub(crate) fn open_file(&self, path: &Path, access: Access) -> io::Result<Opened> {
        let full = self.resolve(path, access == Access::Write)?;
        let created = !full.try_exists()?;
        let write = access == Access::Write;
        let file = OpenOptions::new()
            .read(true)
            .write(write)
            .create(write)
            .truncate(false)
            .open(full)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        Ok(Opened { file, created })
    }

    /// The regular file of this name, which is no path, if there is one.
    pub(crate) fn look(&self, name: &OsStr) -> io::Result<Option<FileStat>> {
        match fs::symlink_metadata(self.0.join(name)) {
            Ok(metadata) => Ok(metadata.is_file().then(|| FileStat::from(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a symbolic link of ours is at a path: none is made here.
    pub(crate) fn is_link(&self, _path: &Path) -> io::Result<bool> {
        Ok(false)
    }

    /// A folder below this one to look into; `None` when it is not there.
    pub(crate) fn subfolder(&self, path: &Path) -> io::Result<Option<Self>> {
        match self.resolve(path, false) {
            Ok(full) => Ok(full.is_dir().then_some(Self(full))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Folders cannot be flushed here.
    pub(crate) fn sync_folder(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Moves a file into another folder of the same file system; what is there stays there.
    pub(crate) fn rename(&self, from: &Path, folder: &Self, to: &Path) -> io::Result<()> {
        let (from, to) = (self.resolve(from, false)?, folder.resolve(to, true)?);
        if to.try_exists()? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        fs::rename(from, to)
    }

    /// Removes a file; says whether it was there.
    pub(crate) fn remove_file(&self, path: &Path) -> io::Result<bool> {
        match self.resolve(path, false).and_then(fs::remove_file) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes an empty folder; says whether it was there and empty.
    pub(crate) fn remove_folder(&self, path: &Path) -> io::Result<bool> {
        match self.resolve(path, false).and_then(fs::remove_dir) {
            Ok(()) => Ok(true),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// Symbolic links need a privilege on Windows; a torrent does without them there.
    pub(crate) fn symlink(&self, _text: &Path, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    /// The full path, when no folder on the way and not the file itself is a link.
    fn resolve(&self, path: &Path, create: bool) -> io::Result<PathBuf> {
        let mut full = self.0.clone();
        let mut rest = path.components().peekable();
        while let Some(component) = rest.next() {
            let Component::Normal(name) = component else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            full.push(name);
            let last = rest.peek().is_none();
            match fs::symlink_metadata(&full) {
                Ok(metadata) if metadata.is_symlink() => {
                    return Err(io::Error::other("a symbolic link is in the way"));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound && (create || last) => {
                    if !last {
                        fs::create_dir(&full)?;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(full)
    }
}
