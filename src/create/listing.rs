//! What a path holds that can be shared.

use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use dunlin_base::limits::DIRECTORY_DEPTH_MAX;
use dunlin_storage::FileStat;

use super::{CreateError, read_error};

/// A file on disk and its place in the torrent.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) names: Vec<String>,
    pub(super) length: u64,
    pub(super) offset: u64,
    /// What it looked like before it was read.
    pub(super) looks: FileStat,
}

/// Whether a file ends where it begins. Those that the kernel makes up (`/proc`) say that they do.
fn is_empty(path: &Path) -> Result<bool, CreateError> {
    let mut file = File::open(path).map_err(|source| read_error(path, source))?;
    // What cannot be read has something to read.
    Ok(matches!(file.read(&mut [0]), Ok(0)))
}

/// What a path holds.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) files: Vec<Source>,
    pub(super) left_out: Vec<PathBuf>,
}

impl Listing {
    pub(super) fn of(path: &Path) -> Result<Self, CreateError> {
        let mut listing = Self::default();
        let metadata = fs::metadata(path).map_err(|source| read_error(path, source))?;
        if metadata.is_dir() {
            listing.walk(path, &mut Vec::new())?;
        } else if metadata.is_file() {
            listing.push(path.to_path_buf(), Vec::new(), &metadata)?;
        } else {
            return Err(CreateError::NoFile {
                path: path.to_path_buf(),
            });
        }
        if listing.files.is_empty() {
            return Err(CreateError::Empty {
                path: path.to_path_buf(),
            });
        }
        Ok(listing)
    }

    fn push(
        &mut self,
        path: PathBuf,
        names: Vec<String>,
        metadata: &Metadata,
    ) -> Result<(), CreateError> {
        let length = metadata.len();
        if length == 0 && !is_empty(&path)? {
            return Err(CreateError::NoLength { path });
        }
        let offset = self
            .files
            .last()
            .map_or(0, |last| last.offset + last.length);
        self.files.push(Source {
            path,
            names,
            length,
            offset,
            looks: FileStat::from(metadata),
        });
        Ok(())
    }

    fn walk(&mut self, folder: &Path, names: &mut Vec<String>) -> Result<(), CreateError> {
        if names.len() >= DIRECTORY_DEPTH_MAX {
            return Err(CreateError::TooDeep {
                path: folder.to_path_buf(),
            });
        }
        let entries = fs::read_dir(folder).map_err(|source| read_error(folder, source))?;
        let mut entries: Vec<_> = entries
            .collect::<Result<_, _>>()
            .map_err(|source| read_error(folder, source))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let metadata = entry
                .metadata()
                .map_err(|source| read_error(&path, source))?;
            if !metadata.is_dir() && !metadata.is_file() {
                self.left_out.push(path);
                continue;
            }
            let Ok(name) = entry.file_name().into_string() else {
                return Err(CreateError::Name { path });
            };
            names.push(name);
            if metadata.is_dir() {
                self.walk(&path, names)?;
            } else {
                self.push(path, names.clone(), &metadata)?;
            }
            names.pop();
        }
        Ok(())
    }
}
