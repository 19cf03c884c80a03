//! What happens to files before their first byte and after their last one.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::beneath::Access;
use super::look::Looker;
use super::torrent::{Home, Place, TorrentFiles, open_folder};
use crate::{FileLayout, FileStat, Operation, StorageError};

/// How space is reserved for a file when it is created.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Preallocation {
    /// Not at all: the file grows as pieces come.
    None,
    /// A file has its length from its first byte on, but takes no space before it is written.
    #[default]
    Sparse,
    /// The file has its length and its space at once: a full disk shows before the download.
    Full,
}

impl TorrentFiles {
    /// Creates the wanted files that have no bytes, and reserves all space if that is asked for; of
    /// sparse files only the first is created, so that a folder in which nothing can be created is known
    /// before the download. The others are when their first bytes come: thousands at once would
    /// hold up the first byte. To be called when a download starts.
    ///
    /// # Errors
    /// When a file cannot be created or there is no space.
    pub fn prepare(&self) -> Result<(), StorageError> {
        let place = self.place();
        let mut probed = false;
        for (index, spec) in self.layout.iter() {
            let at = index.0 as usize;
            let ours = place.wanted[at] && place.homes[at] == Home::File;
            if !ours || spec.pad || spec.symlink.is_some() {
                continue;
            }
            let due = match place.preallocation {
                Preallocation::None => false,
                Preallocation::Sparse => !std::mem::replace(&mut probed, true),
                Preallocation::Full => true,
            };
            if spec.length > 0 && !due {
                continue;
            }
            let file = self.open_slot(&place, index.0, Access::Write)?;
            let path = place.root.join(&spec.path);
            allocate(&file, spec.length, place.preallocation)
                .map_err(StorageError::on(Operation::Allocate, &path))?;
        }
        Ok(())
    }

    /// Gives the wanted files their last touch: empty files and the links of the torrent are
    /// created, executable files are marked, and what an older, longer file left behind the end is
    /// cut off. To be called when the download is complete.
    ///
    /// Links point at files or folders of the torrent only; others are left out.
    ///
    /// # Errors
    /// When a file cannot be changed.
    pub fn finish(&self) -> Result<(), StorageError> {
        let place = self.place();
        let folder = open_folder(&place.root)?;
        let mut looker = Looker::new(&folder, &place.root);
        for (index, spec) in self.layout.iter() {
            let at = index.0 as usize;
            let ours = place.wanted[at] && place.homes[at] == Home::File;
            if !ours || spec.pad || spec.symlink.is_some() {
                continue;
            }
            let fits = |stat: FileStat| stat.len <= spec.length;
            if looker.look(&spec.path)?.is_some_and(fits) && !spec.executable {
                continue;
            }
            let path = place.root.join(&spec.path);
            let file = self.open_slot(&place, index.0, Access::Write)?;
            let metadata = file
                .metadata()
                .map_err(StorageError::on(Operation::Stat, &path))?;
            if metadata.len() > spec.length {
                file.set_len(spec.length)
                    .map_err(StorageError::on(Operation::Write, &path))?;
            }
            if spec.executable {
                make_executable(&file).map_err(StorageError::on(Operation::Mark, &path))?;
            }
        }
        create_links(&self.layout, &place)
    }
}

/// Reserves space for a file of `length` bytes. Never shortens it, nor changes its bytes.
pub(super) fn allocate(file: &File, length: u64, how: Preallocation) -> io::Result<()> {
    let len = file.metadata()?.len();
    match how {
        Preallocation::Sparse if len < length => file.set_len(length),
        Preallocation::Full if length > 0 => reserve(file, len, length),
        Preallocation::None | Preallocation::Sparse | Preallocation::Full => Ok(()),
    }
}

/// Takes the blocks of a file whose length is `len` up to `length`.
fn reserve(file: &File, len: u64, length: u64) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    {
        use rustix::{fs::FallocateFlags, io::Errno};
        loop {
            match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, length) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    write_zeros(file, len, length)
}

/// Writes zeros behind the end of a file: what takes space where nothing else does.
fn write_zeros(file: &File, len: u64, length: u64) -> io::Result<()> {
    let zeros = vec![0; 1 << 20];
    let mut at = len;
    while at < length {
        let step = (length - at).min(zeros.len() as u64);
        let mut parts = [io::IoSlice::new(&zeros[..step as usize])];
        super::io::write_all_at(file, &mut parts, at)?;
        at += step;
    }
    Ok(())
}

/// Whoever may read the file may run it.
#[cfg(unix)]
fn make_executable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut permissions = file.metadata()?.permissions();
    let mode = permissions.mode();
    permissions.set_mode(mode | (mode & 0o444) >> 2);
    file.set_permissions(permissions)
}

/// Names, not marks, say elsewhere what can be run.
#[cfg(not(unix))]
fn make_executable(_file: &File) -> io::Result<()> {
    Ok(())
}

pub(super) fn create_links(layout: &FileLayout, place: &Place) -> Result<(), StorageError> {
    let links = || {
        layout
            .iter()
            .filter_map(|(at, spec)| Some((at, spec, spec.symlink.as_ref()?)))
    };
    if links().next().is_none() {
        return Ok(());
    }
    // Links to links are left out, and so there are no loops.
    let mut targets = BTreeSet::new();
    for spec in layout.files() {
        if !spec.pad && spec.symlink.is_none() {
            targets.extend(
                spec.path
                    .ancestors()
                    .filter(|path| !path.as_os_str().is_empty()),
            );
        }
    }
    let folder = open_folder(&place.root)?;
    for (at, spec, target) in links() {
        if place.wanted[at.0 as usize] && targets.contains(target.as_path()) {
            folder
                .symlink(&relative(&spec.path, target), &spec.path)
                .map_err(StorageError::on(
                    Operation::Link,
                    &place.root.join(&spec.path),
                ))?;
        }
    }
    Ok(())
}

/// The text of a link at `link` that leads to `target`, both below one folder.
fn relative(link: &Path, target: &Path) -> PathBuf {
    let from: Vec<_> = link
        .parent()
        .into_iter()
        .flat_map(Path::components)
        .collect();
    let to: Vec<_> = target.components().collect();
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(Path::new(".."), from.len() - common);
    let text: PathBuf = up.chain(to[common..].iter().map(AsRef::as_ref)).collect();
    if text.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_relative_to_their_folder() {
        let cases = [
            ("t/a", "t/b", "b"),
            ("t/x/a", "t/b", "../b"),
            ("t/a", "t/x/y/b", "x/y/b"),
            ("t/x/a", "t/y/b", "../y/b"),
            ("t/x/a", "t/x", "."),
            ("a", "b", "b"),
        ];
        for (link, target, text) in cases {
            assert_eq!(
                relative(Path::new(link), Path::new(target)),
                Path::new(text)
            );
        }
    }

    #[test]
    fn space_is_reserved_without_touching_what_is_there() {
        for reserve_by in [
            reserve as fn(&File, u64, u64) -> io::Result<()>,
            write_zeros,
        ] {
            let file = tempfile::tempfile().unwrap();
            super::super::io::write_all_at(&file, &mut [io::IoSlice::new(b"kept")], 0).unwrap();
            reserve_by(&file, 4, 3 << 20).unwrap();
            assert_eq!(file.metadata().unwrap().len(), 3 << 20);
            let mut start = [0; 5];
            let mut parts = [io::IoSliceMut::new(&mut start)];
            super::super::io::read_all_at(&file, &mut parts, 0).unwrap();
            assert_eq!(&start, b"kept\0");
        }
    }
}
