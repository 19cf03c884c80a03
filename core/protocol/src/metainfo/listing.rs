//! The files as a torrent spells them, and how they become [`FileEntry`]s.

use dunlin_base::limits::{DIRECTORY_DEPTH_MAX, FILES_MAX, PATHS_BYTES_MAX};

use super::error::{MetainfoError, MetainfoErrorKind};
use super::file::{FileAttributes, FileEntry};
use super::safe_path::SafePath;
use super::{symlinks, unique_names};
use crate::bencode::{Dict, Value};

/// One file as the torrent spells it.
pub(super) struct RawFile<'a> {
    /// The names below the torrent's folder; none for a torrent that is one file.
    pub(super) names: Vec<&'a [u8]>,
    pub(super) length: u64,
    pub(super) attributes: FileAttributes,
    /// The target of a symbolic link, below the torrent's folder.
    pub(super) symlink: Option<Vec<&'a [u8]>>,
    pub(super) sha1: Option<[u8; 20]>,
    pub(super) pieces_root: Option<[u8; 32]>,
}

impl<'a> RawFile<'a> {
    /// A file with what v1 and v2 torrents say of one alike: length and BEP 47.
    pub(super) fn new(dict: Dict<'a>, names: Vec<&'a [u8]>) -> Result<Self, MetainfoError> {
        let flags = dict
            .get(b"attr")
            .and_then(|attributes| attributes.as_bytes())
            .unwrap_or_default();
        let link = dict.get(b"symlink path").filter(|_| flags.contains(&b'l'));
        let length = match dict.get(b"length") {
            Some(length) => length.u64()?,
            None if link.is_some() => 0,
            None => return Err(MetainfoError::missing(dict.value().offset(), "length")),
        };
        // A link has no content. What has some is taken for the file that its length says it is.
        let symlink = match link {
            Some(link) if length == 0 => Some(name_list(link)?),
            _ => None,
        };
        Ok(Self {
            names,
            length,
            attributes: FileAttributes {
                padding: flags.contains(&b'p'),
                executable: flags.contains(&b'x'),
                hidden: flags.contains(&b'h'),
            },
            symlink,
            sha1: dict
                .get(b"sha1")
                .and_then(|sha1| sha1.as_bytes())
                .and_then(|sha1| sha1.try_into().ok()),
            pieces_root: None,
        })
    }

    /// Zeros up to the start of the next file (BEP 47). Padding is never on a disk, so that all of
    /// it may have one name.
    pub(super) fn padding(length: u64) -> Self {
        Self {
            names: vec![b".pad"],
            length,
            attributes: FileAttributes {
                padding: true,
                ..FileAttributes::default()
            },
            symlink: None,
            sha1: None,
            pieces_root: None,
        }
    }
}

/// The names of a path that is given as a list.
pub(super) fn name_list(path: Value<'_>) -> Result<Vec<&[u8]>, MetainfoError> {
    let mut names = Vec::new();
    for name in path.list()? {
        if names.len() >= DIRECTORY_DEPTH_MAX {
            let max = DIRECTORY_DEPTH_MAX;
            let kind = MetainfoErrorKind::TooDeep { max };
            return Err(MetainfoError::new(path.offset(), kind));
        }
        names.push(name.bytes()?);
    }
    Ok(names)
}

/// The sum of all lengths, when it does not overflow.
pub(super) fn total_bytes(files: &[RawFile<'_>]) -> Option<u64> {
    files
        .iter()
        .try_fold(0_u64, |total, file| total.checked_add(file.length))
}

/// The files of a torrent as it spells them.
pub(super) struct Listing<'a> {
    pub(super) single_file: bool,
    pub(super) files: Vec<RawFile<'a>>,
    /// Bytes that all paths will need: a tree of folders says a long path once for many files.
    paths_bytes: usize,
}

impl<'a> Listing<'a> {
    pub(super) const fn new() -> Self {
        Self {
            single_file: false,
            files: Vec::new(),
            paths_bytes: 0,
        }
    }

    /// A torrent that is the one file.
    pub(super) fn single(file: RawFile<'a>) -> Self {
        Self {
            single_file: true,
            files: vec![file],
            paths_bytes: 0,
        }
    }

    /// Makes sure that there is room for one more file with a path of `names` below `root`.
    pub(super) fn reserve(
        &mut self,
        root: &[u8],
        names: &[&[u8]],
    ) -> Result<(), MetainfoErrorKind> {
        /// What one name costs beside its bytes.
        const NAME_COST_BYTES: usize = size_of::<&[u8]>();
        if self.files.len() >= FILES_MAX {
            let max = FILES_MAX;
            return Err(MetainfoErrorKind::TooManyFiles { max });
        }
        let names_bytes: usize = names.iter().map(|name| name.len() + NAME_COST_BYTES).sum();
        self.paths_bytes += root.len() + names_bytes;
        if self.paths_bytes > PATHS_BYTES_MAX {
            let max = PATHS_BYTES_MAX;
            return Err(MetainfoErrorKind::PathsTooLong { max });
        }
        Ok(())
    }

    /// The files with safe and unique paths, links resolved, one behind the other.
    pub(super) fn into_entries(
        self,
        raw_name: &[u8],
        safe_name: &str,
    ) -> Result<Vec<FileEntry>, MetainfoErrorKind> {
        let root = SafePath::from_raw([safe_name]);
        let single_file = self.single_file;
        let place = |names: &[&[u8]]| {
            if single_file {
                root.clone()
            } else {
                SafePath::from_raw(names).inside(&root)
            }
        };
        let mut paths: Vec<_> = self.files.iter().map(|file| place(&file.names)).collect();
        let links: Vec<_> = self
            .files
            .iter()
            .map(|file| file.symlink.as_deref().map(place))
            .collect();
        let targets = symlinks::resolve(&paths, &links);
        let stored = paths
            .iter_mut()
            .zip(&self.files)
            .filter(|(_, file)| !file.attributes.padding)
            .map(|(path, _)| path);
        unique_names::make_unique(stored)?;
        let mut offset = 0;
        let mut entries = Vec::with_capacity(self.files.len());
        for ((file, path), target) in self.files.iter().zip(&paths).zip(targets) {
            entries.push(FileEntry {
                path: path.clone(),
                raw_path: raw_path(raw_name, single_file, file, path),
                length: file.length,
                offset,
                attributes: file.attributes,
                symlink: target.and_then(|target| paths.get(target)).cloned(),
                sha1: file.sha1,
                pieces_root: file.pieces_root,
            });
            // The reader has summed all lengths before.
            offset += file.length;
        }
        Ok(entries)
    }
}

/// The path as the torrent spells it, when that is not what it became.
fn raw_path(
    raw_name: &[u8],
    single_file: bool,
    file: &RawFile<'_>,
    path: &SafePath,
) -> Option<Box<[u8]>> {
    let mut raw = raw_name.to_vec();
    if !single_file {
        for name in &file.names {
            raw.push(b'/');
            raw.extend_from_slice(name);
        }
    }
    (raw != path.as_str().as_bytes()).then(|| raw.into())
}
