//! [`Folder`] by `openat2` where there is one (Linux 5.6), else one component after the other.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Access, Opened};
use crate::FileStat;

/// Without `NONBLOCK` the open of a planted FIFO would wait for ever.
const OPEN: OFlags = OFlags::CLOEXEC
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);
const OPEN_FOLDER: OFlags = OPEN.union(OFlags::DIRECTORY);

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

impl Folder {
    /// Opens a folder by the user's own path, in which links are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::CLOEXEC | OFlags::DIRECTORY;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// Whether both are the same folder, perhaps by different paths.
    pub(crate) fn is(&self, other: &Self) -> io::Result<bool> {
        let (a, b) = (rustix::fs::fstat(&self.0)?, rustix::fs::fstat(&other.0)?);
        Ok((a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
    }

    /// Opens a regular file.
    pub(crate) fn open_file(&self, path: &Path, access: Access) -> io::Result<Opened> {
        let flags = match access {
            Access::Read => OFlags::RDONLY,
            Access::Write => OFlags::RDWR,
        };
        let (fd, created) = match self.open_at(path, OPEN | flags, Mode::empty()) {
            Err(Errno::NOENT) if access == Access::Write => self.create(path, OPEN | flags)?,
            opened => (opened?, false),
        };
        let file = File::from(fd);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        Ok(Opened { file, created })
    }

    /// Creates a file that was not there a moment ago, and its folders; says whether it did.
    fn create(&self, path: &Path, flags: OFlags) -> io::Result<(OwnedFd, bool)> {
        let mode = Mode::from_raw_mode(0o666);
        let create = flags | OFlags::CREATE;
        match self.open_at(path, create | OFlags::EXCL, mode) {
            // Another thread was faster.
            Err(Errno::EXIST) => Ok((self.open_at(path, flags, Mode::empty())?, false)),
            Err(Errno::NOENT) => {
                let (parent, name) = self.parent(path, true)?;
                Ok((rustix::fs::openat(&parent, name, create, mode)?, true))
            }
            created => Ok((created?, true)),
        }
    }

    /// The regular file of this name, which is no path, if there is one.
    pub(crate) fn look(&self, name: &OsStr) -> io::Result<Option<FileStat>> {
        match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => {
                let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
                Ok(is_file.then(|| FileStat::from(&stat)))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a symbolic link is at a path.
    pub(crate) fn is_link(&self, path: &Path) -> io::Result<bool> {
        match self.parent(path, false) {
            Ok((parent, name)) => Ok(is_link(&parent, name)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A folder below this one to look into; `None` when it is not there.
    pub(crate) fn subfolder(&self, path: &Path) -> io::Result<Option<Self>> {
        // A path descriptor needs no permission to read, and takes no other flags.
        #[cfg(target_os = "linux")]
        let look = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        #[cfg(not(target_os = "linux"))]
        let look = OPEN_FOLDER;
        match self.open_at(path, look, Mode::empty()) {
            Ok(fd) => Ok(Some(Self(fd))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the entries of a folder durable; the folder itself when the path is empty.
    pub(crate) fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let folder = self.walk(path, false)?;
        Ok(rustix::fs::fsync(folder.as_ref().unwrap_or(&self.0))?)
    }

    /// Moves a file into another folder of the same file system; what is there stays there.
    pub(crate) fn rename(&self, from: &Path, folder: &Self, to: &Path) -> io::Result<()> {
        let (old_parent, old_name) = self.parent(from, false)?;
        let (new_parent, new_name) = folder.parent(to, true)?;
        #[cfg(target_os = "linux")]
        {
            let flags = rustix::fs::RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(&old_parent, old_name, &new_parent, new_name, flags) {
                // Not every file system knows the flag.
                Err(Errno::INVAL | Errno::NOSYS) => {}
                result => return Ok(result?),
            }
        }
        if rustix::fs::statat(&new_parent, new_name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(Errno::EXIST.into());
        }
        Ok(rustix::fs::renameat(
            &old_parent,
            old_name,
            &new_parent,
            new_name,
        )?)
    }

    /// Removes a file or a link; says whether it was there.
    pub(crate) fn remove_file(&self, path: &Path) -> io::Result<bool> {
        self.unlink(path, AtFlags::empty())
    }

    /// Removes an empty folder; says whether it was there and empty.
    pub(crate) fn remove_folder(&self, path: &Path) -> io::Result<bool> {
        self.unlink(path, AtFlags::REMOVEDIR)
    }

    fn unlink(&self, path: &Path, flags: AtFlags) -> io::Result<bool> {
        let unlinked = self
            .parent(path, false)
            .and_then(|(parent, name)| Ok(rustix::fs::unlinkat(&parent, name, flags)?));
        match unlinked {
            Ok(()) => Ok(true),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::NOENT) => Ok(false),
                Some(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR)
                    if flags.contains(AtFlags::REMOVEDIR) =>
                {
                    Ok(false)
                }
                _ => Err(error),
            },
        }
    }

    /// Creates a symbolic link with this text; whatever is at the path stays there.
    pub(crate) fn symlink(&self, text: &Path, path: &Path) -> io::Result<()> {
        let (parent, name) = self.parent(path, true)?;
        match rustix::fs::symlinkat(text, &parent, name) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// `mode` is what a file gets that the flags let it create; empty for other flags.
    fn open_at(&self, path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::ResolveFlags;
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            match rustix::fs::openat2(&self.0, path, flags, mode, resolve) {
                // An old kernel, a sandbox that does not let the call through, or a rename race.
                Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => {}
                result => return result,
            }
        }
        self.open_by_walking(path, flags, mode)
    }

    fn open_by_walking(&self, path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        let (parent, name) = self
            .parent(path, false)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        rustix::fs::openat(&parent, name, flags, mode)
    }

    /// The folder that holds `path`, and the last name of `path`.
    fn parent<'a>(&self, path: &'a Path, create: bool) -> io::Result<(OwnedFd, &'a OsStr)> {
        let name = path.file_name().ok_or(Errno::INVAL)?;
        let parent = self.walk(path.parent().unwrap_or(Path::new("")), create)?;
        let parent = parent.map_or_else(|| self.0.try_clone(), Ok)?;
        Ok((parent, name))
    }

    /// Opens a folder below this one component by component; `None` for this one itself.
    fn walk(&self, path: &Path, create: bool) -> io::Result<Option<OwnedFd>> {
        let mut at: Option<OwnedFd> = None;
        for component in path.components() {
            let Component::Normal(name) = component else {
                return Err(Errno::INVAL.into());
            };
            let here = at.as_ref().unwrap_or(&self.0);
            let opened = match rustix::fs::openat(here, name, OPEN_FOLDER, Mode::empty()) {
                Err(Errno::NOENT) if create => {
                    match rustix::fs::mkdirat(here, name, Mode::from_raw_mode(0o777)) {
                        // Another thread may have been faster.
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(error.into()),
                    }
                    rustix::fs::openat(here, name, OPEN_FOLDER, Mode::empty())
                }
                // The kernel reports a link that may not be followed as "not a folder".
                Err(Errno::NOTDIR) if is_link(here, name) => Err(Errno::LOOP),
                result => result,
            };
            at = Some(opened?);
        }
        Ok(at)
    }
}

fn is_link(folder: &OwnedFd, name: &OsStr) -> bool {
    rustix::fs::readlinkat(folder, OsString::from(name), Vec::new()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// Both ways of opening, so that the one which this kernel does not take is tested too.
    fn open_both(root: &Path, path: &str) -> [Result<(), Errno>; 2] {
        let folder = Folder::open(root).unwrap();
        let flags = OPEN | OFlags::RDONLY;
        [
            folder
                .open_at(Path::new(path), flags, Mode::empty())
                .map(drop),
            folder
                .open_by_walking(Path::new(path), flags, Mode::empty())
                .map(drop),
        ]
    }

    #[test]
    fn links_are_followed_nowhere_below_the_folder() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("real")).unwrap();
        fs::write(root.path().join("real/file"), "x").unwrap();
        symlink(outside.path(), root.path().join("dir")).unwrap();
        symlink("real", root.path().join("inner")).unwrap();
        symlink(outside.path().join("secret"), root.path().join("real/link")).unwrap();

        assert_eq!(open_both(root.path(), "real/file"), [Ok(()); 2]);
        for path in ["dir/secret", "inner/file", "real/link", "dir"] {
            assert_eq!(
                open_both(root.path(), path),
                [Err(Errno::LOOP); 2],
                "{path}"
            );
        }
        let folder = Folder::open(root.path()).unwrap();
        for path in ["dir/new", "dir/deep/new", "real/link"] {
            let refused = folder
                .open_file(Path::new(path), Access::Write)
                .unwrap_err();
            assert_eq!(Errno::from_io_error(&refused), Some(Errno::LOOP), "{path}");
        }
        assert!(folder.remove_file(Path::new("dir/secret")).is_err());
        let real = folder.subfolder(Path::new("real")).unwrap().unwrap();
        assert!(real.look(OsStr::new("file")).unwrap().is_some());
        assert!(real.look(OsStr::new("link")).unwrap().is_none());
        for path in ["dir", "inner"] {
            let refused = folder.subfolder(Path::new(path)).unwrap_err();
            assert!(
                matches!(
                    Errno::from_io_error(&refused),
                    Some(Errno::LOOP | Errno::NOTDIR)
                ),
                "{path}: {refused}"
            );
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_folder_itself_may_be_reached_through_a_link() {
        let outside = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join("downloads");
        symlink(outside.path(), &link).unwrap();
        let opened = Folder::open(&link)
            .unwrap()
            .open_file(Path::new("a/b"), Access::Write)
            .unwrap();
        assert!(opened.created && outside.path().join("a/b").exists());
    }

    #[test]
    fn paths_that_leave_the_folder_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        for path in ["../x", "/tmp/x", "a/../../x", "..", ""] {
            assert!(
                folder.open_file(Path::new(path), Access::Write).is_err(),
                "{path}"
            );
        }
    }

    #[test]
    fn a_planted_pipe_does_not_block() {
        let root = tempfile::tempdir().unwrap();
        let fifo = root.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("skipped: there is no mkfifo");
            return;
        }
        let folder = Folder::open(root.path()).unwrap();
        for access in [Access::Read, Access::Write] {
            assert!(folder.open_file(Path::new("pipe"), access).is_err());
        }
    }

    #[test]
    fn a_move_replaces_nothing() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a"), "a").unwrap();
        fs::write(root.path().join("b"), "b").unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let refused = folder
            .rename(Path::new("a"), &folder, Path::new("b"))
            .unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        folder
            .rename(Path::new("a"), &folder, Path::new("c/d"))
            .unwrap();
        assert_eq!(fs::read(root.path().join("c/d")).unwrap(), b"a");
    }
}
